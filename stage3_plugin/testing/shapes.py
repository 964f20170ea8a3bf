"""The providers' answers to a success, endpoint by endpoint, as they were recorded.

Apart from the behaviours so that what is *said* and how it is *sent* can go wrong separately.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias
from urllib.parse import unquote

from stage3_plugin.testing.wire import Asked, Said

OPENAI = "/v1/images/generations"
OPENROUTER = "/v1/images"
CHAT = "/v1/chat/completions"
EDITS = "/v1/images/edits"
GENERATE_CONTENT = ":generateContent"
"""The end of Gemini's path, behind the model."""
_MODELS = "/v1beta/models/"

COST_USD = "0.0342"
"""What one picture costs at the two endpoints of OpenRouter."""
TEXT_TOKENS = 12
IMAGE_TOKENS = 1056
"""What one picture uses at OpenAI's endpoint."""


@dataclass(frozen=True, slots=True)
class Base64:
    """A picture in the answer itself."""

    text: str


@dataclass(frozen=True, slots=True)
class Address:
    """A picture to be fetched."""

    url: str


Picture: TypeAlias = Base64 | Address


def success(
    asked: Asked, picture: Picture | None, *, usage: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the document of a success; ``usage={}`` is the endpoint's usual one."""
    usual = usual_usage(asked)
    if vendor_of(asked.path) == "gemini":
        return _with_usage(_gemini(asked, picture), usual, usage, name="usageMetadata")
    if asked.path == CHAT:
        return _with_usage(_chat(picture), usual, usage)
    if asked.path == OPENROUTER:
        return _with_usage({"created": 0, "data": _data(picture)}, usual, usage)
    echoed = {name: asked.document.get(name) for name in ("quality", "size", "background")}
    document = {"created": 1784000000, "output_format": "png", **echoed, "data": _data(picture)}
    return _with_usage(document, usual, usage)


def vendor_of(path: str) -> str:
    """Return whose endpoint a path is; empty if it is none."""
    if path.startswith(_MODELS) and path.endswith(GENERATE_CONTENT):
        return "gemini"
    return {OPENAI: "openai", EDITS: "openai", OPENROUTER: "openrouter", CHAT: "openrouter"}.get(
        path, ""
    )


def model_of(path: str) -> str:
    """Return the model that a path of Gemini's is about."""
    return unquote(path.removeprefix(_MODELS).removesuffix(GENERATE_CONTENT))


def words(asked: Asked, text: str) -> dict[str, Any]:
    """Return an answer in words, without a picture."""
    if vendor_of(asked.path) == "gemini":
        document = _gemini(asked, None)
        document["candidates"][0]["content"] = {"role": "model", "parts": [{"text": text}]}
        return document | {"usageMetadata": usual_usage(asked)}
    document = _chat(None)
    document["choices"][0]["message"] = {"role": "assistant", "content": text}
    return document | {"usage": usual_usage(asked)}


def refusal(asked: Asked) -> Said:
    """Return what is said of a prompt that the vendor's policy is against; it costs nothing."""
    if vendor_of(asked.path) == "gemini":
        document: dict[str, Any] = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
        return Said(200, document | {"modelVersion": model_of(asked.path)})
    error = {
        "message": "Your request was rejected by the safety system.",
        "type": "image_generation_user_error",
        "param": None,
        "code": "moderation_blocked",
    }
    return Said(400, {"error": error})


def fault(asked: Asked) -> Said:
    """Return what is said where the vendor could not do it; it costs nothing."""
    message = "The server had an error while processing your request. Sorry about that!"
    if vendor_of(asked.path) == "gemini":
        error: dict[str, Any] = {"code": 500, "message": message, "status": "INTERNAL"}
    else:
        error = {"message": message, "type": "server_error", "param": None, "code": None}
    return Said(500, {"error": error})


def bad_key(vendor: str) -> Said:
    """Return what is said to who has no good key."""
    if vendor == "gemini":
        reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo"}
        error: dict[str, Any] = {
            "code": 400,
            "message": "API key not valid. Please pass a valid API key.",
            "status": "INVALID_ARGUMENT",
            "details": [reason | {"reason": "API_KEY_INVALID"}],
        }
        return Said(400, {"error": error})
    error = {
        "message": "Incorrect API key provided.",
        "type": "invalid_request_error",
        "code": "invalid_api_key",
        "param": None,
    }
    return Said(401, {"error": error})


def headers(asked: Asked) -> dict[str, str]:
    """Return the headers of a success."""
    if vendor_of(asked.path) == "gemini":
        return {"Content-Type": "application/json; charset=UTF-8"}
    name = "x-request-id" if vendor_of(asked.path) == "openai" else "X-Generation-Id"
    return {"Content-Type": "application/json", name: request_id(asked)}


def request_id(asked: Asked) -> str:
    """Return the name that the service has for a request."""
    if vendor_of(asked.path) == "openai":
        return f"req_{asked.number:08d}"
    if vendor_of(asked.path) == "gemini":
        return f"gem{asked.number:019d}"
    return f"gen-img-1784000000-{asked.number:020d}"


def usual_usage(asked: Asked) -> Mapping[str, Any]:
    """Return the usage of a success: by its bill, or else always the same."""
    bill = asked.bill
    vendor = vendor_of(asked.path)
    if bill is None:
        return _USUAL.get(vendor, OPENROUTER_USAGE)  # asked as well where a picture is visited
    total_in = bill.text_in + bill.image_in
    total_out = bill.text_out + bill.image_out
    if vendor == "gemini":
        return {
            "promptTokenCount": total_in,
            "candidatesTokenCount": total_out,
            "totalTokenCount": total_in + total_out,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": bill.image_out}],
        }
    if vendor == "openai":
        return {
            "input_tokens": total_in,
            "input_tokens_details": {"text_tokens": bill.text_in, "image_tokens": bill.image_in},
            "output_tokens": total_out,
            "output_tokens_details": {"image_tokens": bill.image_out, "text_tokens": bill.text_out},
            "total_tokens": total_in + total_out,
        }
    return {
        "prompt_tokens": total_in,
        "completion_tokens": total_out,
        "total_tokens": total_in + total_out,
        "cost": float(bill.usd),
        "is_byok": False,
        "cost_details": {"upstream_inference_cost": None},
        "completion_tokens_details": {"image_tokens": bill.image_out, "reasoning_tokens": 0},
    }


def usual_usd(asked: Asked) -> Decimal | None:
    """Return what a picture costs; ``None`` where tokens have no price."""
    if asked.bill is not None:
        return asked.bill.usd
    return Decimal(COST_USD) if vendor_of(asked.path) == "openrouter" else None


OPENAI_USAGE: Mapping[str, Any] = {
    "input_tokens": TEXT_TOKENS,
    "input_tokens_details": {"text_tokens": TEXT_TOKENS, "image_tokens": 0},
    "output_tokens": IMAGE_TOKENS,
    "output_tokens_details": {"image_tokens": IMAGE_TOKENS, "text_tokens": 0},
    "total_tokens": TEXT_TOKENS + IMAGE_TOKENS,
}
OPENROUTER_USAGE: Mapping[str, Any] = {
    "prompt_tokens": 5,
    "completion_tokens": 1537,
    "total_tokens": 1542,
    "cost": float(COST_USD),  # JSON has no decimals; this one prints as it was written
    "is_byok": False,
    "cost_details": {"upstream_inference_cost": None},
    "completion_tokens_details": {"image_tokens": 1120, "reasoning_tokens": 0},
}
GEMINI_USAGE: Mapping[str, Any] = {
    "promptTokenCount": TEXT_TOKENS,
    "candidatesTokenCount": 1216,
    "thoughtsTokenCount": 87,
    "totalTokenCount": TEXT_TOKENS + 1216 + 87,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": TEXT_TOKENS}],
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
}
_USUAL = {"openai": OPENAI_USAGE, "openrouter": OPENROUTER_USAGE, "gemini": GEMINI_USAGE}


def _with_usage(
    document: dict[str, Any],
    usual: Mapping[str, Any],
    usage: Mapping[str, Any] | None,
    *,
    name: str = "usage",
) -> dict[str, Any]:
    return document if usage is None else document | {name: usage or usual}


def _data(picture: Picture | None) -> list[dict[str, Any]]:
    match picture:
        case None:
            return []
        case Base64(text):
            return [{"b64_json": text}]
        case Address(url):
            return [{"url": url}]


def _chat(picture: Picture | None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    if picture is not None:
        url = picture.url if isinstance(picture, Address) else _as_data_url(picture.text)
        message["images"] = [{"type": "image_url", "image_url": {"url": url}, "index": 0}]
    return {
        "id": "gen-1784000000-abcdefghij",
        "provider": "Google AI Studio",
        "model": "google/gemini-3-pro-image",
        "object": "chat.completion",
        "created": 1784000000,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "native_finish_reason": "STOP",
                "message": message,
            }
        ],
    }


def _gemini(asked: Asked, picture: Picture | None) -> dict[str, Any]:
    """Answer with a thought before the picture, as a model that thinks does."""
    parts: list[dict[str, Any]] = []
    match picture:
        case Base64(text):
            inline = {"mimeType": "image/png", "data": text.removeprefix("data:image/png;base64,")}
            parts = [
                {"text": "A first try.", "thought": True},
                {"inlineData": inline, "thoughtSignature": "c2lnbmVk"},
            ]
        case Address(url):
            parts = [{"fileData": {"mimeType": "image/png", "fileUri": url}}]
        case None:
            pass
    candidate = {
        "content": {"role": "model", "parts": parts},
        "finishReason": "STOP" if parts else "NO_IMAGE",
        "index": 0,
    }
    return {
        "candidates": [candidate],
        "modelVersion": model_of(asked.path),
        "responseId": request_id(asked),
    }


def _as_data_url(text: str) -> str:
    return text if text.startswith("data:") else f"data:image/png;base64,{text}"
