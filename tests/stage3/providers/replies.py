"""Replies made by hand, as the spool would load them: fractions are Decimal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Fetch, Part, Reply
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict
from stage3_plugin.providers.base import Provider
from stage3_plugin.providers.gemini import Gemini
from stage3_plugin.providers.openai_images import OpenAIImages
from stage3_plugin.providers.openrouter import OpenRouter
from tests.fakes.behaviours import Json

PNG = "iVBORw0KGgo="
NOW_S = 1_789_000_000.0
SUCCESSES: Mapping[str, Mapping[str, Any]] = json.loads(
    Path(__file__).with_name("successes.json").read_text(encoding="utf-8")
)
"""Bodies of answers with 200, by what is read of them: where pictures are, what was used, what it
cost; and those without a picture."""

FAILURES: Mapping[str, list[Any]] = json.loads(
    Path(__file__).with_name("failures.json").read_text(encoding="utf-8")
)
"""How vendors write and word a failure, what may stand beside it, and where they say how long to
wait: its moments are 8 and 20 seconds after :data:`NOW_S`."""


def reply(
    document: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    parts: Mapping[str, Part] | None = None,
) -> Reply:
    """Make a reply with a JSON body."""
    return Reply(
        status=status,
        headers={name.lower(): value for name, value in (headers or {}).items()},
        document=json.loads(json.dumps(document), parse_float=Decimal),
        parts=parts or {},
    )


def page(status: int, text: str = "<!DOCTYPE html><title>nginx</title>", **headers: str) -> Reply:
    """Make a reply whose body is not JSON."""
    return Reply(status=status, headers=headers, text=text)


def recorded(answer: Json) -> Reply:
    """Make the reply that a recorded answer would be."""
    return reply(answer.document, answer.status, answer.headers)


def verdict_on(provider: Provider, reply: Reply) -> Verdict:
    """Return what a provider takes an answer for, whether its picture has to be fetched or not."""
    step = step_on(provider, reply)
    return step if isinstance(step, Verdict) else step.verdict


def step_on(provider: Provider, reply: Reply) -> Verdict | Fetch:
    """Return what follows from the answer of a provider without a queue."""
    step = provider.next(reply)
    assert not isinstance(step, Accepted)
    return step


def part(index: int = 0, media_type: str | None = "image/png") -> Part:
    """Make a spooled picture."""
    return Part(index=index, path=Path(f"part-{index}"), media_type=media_type, size_bytes=99_999)


def openai(
    *, base_url: str | None = None, model: str = "gpt-image-2", **settings: Any
) -> OpenAIImages:
    """Make the provider ``openai`` as the settings would."""
    endpoint = Endpoint(provider="openai", base_url=base_url, model=model)
    return OpenAIImages(endpoint, clock=lambda: NOW_S, **settings)


def openrouter(
    api: str = "images",
    *,
    base_url: str | None = None,
    model: str = "google/gemini-3-pro-image",
    **settings: Any,
) -> OpenRouter:
    """Make the provider ``openrouter`` as the settings would."""
    endpoint = Endpoint(provider="openrouter", api=api, base_url=base_url, model=model)
    return OpenRouter(endpoint, clock=lambda: NOW_S, **settings)


def gemini(
    *, base_url: str | None = None, model: str = "gemini-nano-banana-2.1", **settings: Any
) -> Gemini:
    """Make the provider ``gemini`` as the settings would."""
    endpoint = Endpoint(provider="gemini", base_url=base_url, model=model)
    return Gemini(endpoint, clock=lambda: NOW_S, **settings)


PROVIDERS: Mapping[str, Provider] = {
    "openai": openai(),
    "openrouter images": openrouter(),
    "openrouter chat": openrouter("chat"),
    "gemini": gemini(),
}
"""At the vendors' own addresses."""
RELAY = "https://relay.example/v1"
ELSEWHERE: Mapping[str, Provider] = {
    "openai": openai(base_url=RELAY),
    "openrouter images": openrouter(base_url=RELAY),
    "openrouter chat": openrouter("chat", base_url=RELAY),
    "gemini": gemini(base_url=RELAY),
}
"""At somebody else's."""


def request(**changes: Any) -> PictureRequest:
    """Make a request for a lighthouse."""
    defaults: dict[str, Any] = {
        "scene_id": "scene_001",
        "prompt": "a lighthouse at dusk",
        "width_px": 1024,
        "height_px": 1024,
    }
    return PictureRequest(**defaults | changes)
