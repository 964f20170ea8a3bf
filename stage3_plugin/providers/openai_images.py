"""OpenAI's Images API, and every server that speaks it.

One POST for one picture, to ``images/generations``, or to ``images/edits`` with the references it
shows: ``n`` is 1, so that the usage is that picture's, and ``model`` and ``quality`` are always
sent, because the service charges those it picks itself, and so is ``complexity`` with the models
that know it, since another one makes another picture. ``input_fidelity`` is never sent: newer
models refuse it, and the older one's low is its own choice.
``response_format`` is never sent, since GPT image models refuse it; whatever form a compatible
server answers in is read.
"""

from __future__ import annotations

from datetime import date
from typing import Literal
from urllib.parse import quote

from pydantic import Field

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Payload, Reply, Send
from stage3_plugin.domain.free_checks import Ask, Finding
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.providers.openai_batch import OpenAIBatch
from stage3_plugin.providers.profiles import profile_named
from stage3_plugin.providers.replies.free_answers import day_at, unsure
from stage3_plugin.providers.replies.reading import text_at
from stage3_plugin.providers.showing import data_url, named_first
from stage3_plugin.settings import ProviderOptions

PROFILE = profile_named("openai")


class OpenAIOptions(ProviderOptions):
    """What only OpenAI's images have."""

    complexity: Literal["low", "medium", "high"] = Field(
        default="high", description="How much `gpt-image-2.6` plans before it draws."
    )
    moderation: Literal["auto", "low"] = Field(default="auto", description="How strictly.")
    output_compression: int = Field(
        default=100, strict=True, ge=0, le=100, description="Percent, for jpeg and webp."
    )


class OpenAIImages(Hosted):
    """The provider ``openai``; the arguments are those of ``Hosted``."""

    Options = OpenAIOptions

    @staticmethod
    def profile_of(_endpoint: Endpoint, /) -> Profile:
        """Return what is known beforehand of one of its endpoints."""
        return PROFILE

    @staticmethod
    def api_problem(api: str, /) -> str | None:
        """Say what keeps it from being asked in this way."""
        if api == "chat":
            return '`api = "chat"` belongs to provider "openrouter"'
        return Hosted.api_problem(api)

    @property
    def batch(self) -> OpenAIBatch:
        """Return its batch lane."""
        return OpenAIBatch(self)

    def begin(self, request: PictureRequest) -> Send:
        """Return the request to send for a picture."""
        prompt, dropped = self.prompt_of(request)
        model = self.model_of(request)
        payload: dict[str, Payload] = {
            "model": model,
            "prompt": named_first(prompt, request),
            "n": 1,
            "size": request.size,
            "quality": request.quality,
            "output_format": request.output_format,
            **self.said_of(model),
        }
        if request.background != "auto":
            payload["background"] = request.background
        if request.seed is not None:
            dropped.append("seed")
        path = "/images/generations"
        if request.shown:
            path = "/images/edits"
            payload["images"] = [{"image_url": data_url(one.sent)} for one in request.shown]
        return Send(url=f"{self.base_url}{path}", payload=payload, dropped=tuple(dropped))

    def checks(self, models: tuple[str, ...]) -> tuple[Ask | Finding, ...]:
        """Return what can be asked for free: a page for each model, which only a good key opens."""
        page = f"{self.base_url}/models"
        asks = self._pages(models, lambda one: f"{page}/{quote(one, safe='')}", "key", "model")
        return (*asks, NO_ACCOUNT)

    def _on_page(self, model: str, reply: Reply, today: date) -> tuple[Finding, ...]:
        if not text_at(reply.document, "id"):
            return ()
        return (self._has(model, today, day_at(reply.document, "shutdown_date")),)


NO_ACCOUNT = unsure(
    "account", "no free page says whether there is money left, or whether it may make pictures"
)
