"""The pages that cost nothing: what the vendors say of a key, a model and an account.

Written from the vendors' references of 2026-11. Apart from ``shapes``, which are answers to what is
paid for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

GEMINI = "/v1beta/models/"
OPENAI = "/v1/models/"
OPENROUTER_IMAGES = "/v1/images/models/"
KEY = "/v1/key"
CREDITS = "/v1/credits"
_ENDPOINTS = "/endpoints"


def _key_page() -> dict[str, Any]:
    return {
        "label": "sk-or-v1-7f3...b06",
        "limit": 100,
        "limit_remaining": 74.5,
        "limit_reset": "monthly",
        "usage": 25.5,
        "is_free_tier": False,
        "is_management_key": False,
        "expires_at": None,
    }


@dataclass
class FreePages:
    """What the pages say; tests change it.

    Attributes:
        has_pages: Without them it is a server that only makes pictures.
        models: What is added to the page of each model there is; ``None`` as a page: there is none.
        others: Whether there are all models that are not named.
        key: OpenRouter's page of the key.
        balance: What OpenRouter tells a key that may know; ``None``: this one may not.
    """

    has_pages: bool = True
    models: dict[str, Mapping[str, Any] | None] = field(
        default_factory=dict[str, Mapping[str, Any] | None]
    )
    others: bool = True
    key: dict[str, Any] = field(default_factory=_key_page)
    balance: dict[str, Any] | None = None

    def vendor_of(self, path: str) -> str:
        """Return whose page a path is; empty if it is none."""
        if not self.has_pages:
            return ""
        if path.startswith(GEMINI):
            return "gemini"
        if path in {KEY, CREDITS} or path.endswith(_ENDPOINTS):
            return "openrouter"
        return "openai" if path.startswith(OPENAI) else ""

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        """Return status and document for somebody with a good key."""
        if path == KEY:
            return 200, {"data": self.key}
        if path == CREDITS:
            if self.balance is not None:
                return 200, {"data": self.balance}
            told = "Only management keys can fetch credits for an account"
            return 403, {"error": {"code": 403, "message": told}}
        vendor = self.vendor_of(path)
        model = _model_of(path)
        page = self.models.get(model, {} if self.others else None)
        if page is None:
            return 404, {"error": _no_such_model(vendor, model)}
        return 200, {**_PAGES[vendor](model, path), **page}


def _model_of(path: str) -> str:
    for beginning in (GEMINI, OPENROUTER_IMAGES, OPENAI):
        if path.startswith(beginning):
            return unquote(path.removeprefix(beginning).removesuffix(_ENDPOINTS))
    return ""


def _openai(model: str, _path: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": 1784000000, "owned_by": "system"}


def _openrouter(model: str, path: str) -> dict[str, Any]:
    servers = [{"provider_name": "Somebody", "tag": "somebody"}]
    if path.startswith(OPENROUTER_IMAGES):
        return {"id": model, "endpoints": servers}
    makes = {"input_modalities": ["text"], "output_modalities": ["image", "text"]}
    return {"data": {"id": model, "architecture": makes, "endpoints": servers}}


def _gemini(model: str, _path: str) -> dict[str, Any]:
    methods = ["generateContent", "countTokens"]
    return {"name": f"models/{model}", "version": "001", "supportedGenerationMethods": methods}


def _no_such_model(vendor: str, model: str) -> dict[str, Any]:
    if vendor == "openrouter":
        return {"code": 404, "message": "Model not found"}
    if vendor == "gemini":
        told = f"models/{model} is not found for API version v1beta."
        return {"code": 404, "message": told, "status": "NOT_FOUND"}
    told = f"The model '{model}' does not exist"
    kind = {"type": "invalid_request_error", "code": "model_not_found"}
    return {"message": told, "param": "model", **kind}


_PAGES = {"openai": _openai, "openrouter": _openrouter, "gemini": _gemini}
