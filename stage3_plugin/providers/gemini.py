"""Google's Gemini, by ``generateContent``: it knows ratios and tiers instead of pixels.

The aspect ratio is always sent, because the service chooses a wide one where it is left out; the
nearest one the model has is taken, and ``size`` counts as left out where that is another ratio.
How much it thinks before it draws is said to the models that know levels of it, since thoughts are
charged as words. There is no field for a negative prompt, a quality, a format or a background. A
picture that is refused is a success without one, charged by the tokens that the answer counts and
by nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Literal
from urllib.parse import quote

from pydantic import Field, JsonValue

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Fetch, InlinePictureOf, Payload, Reply, Send
from stage3_plugin.domain.free_checks import Ask, Finding
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.reference import SentPicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.gemini_batch import GeminiBatch
from stage3_plugin.providers.hosted import Hosted, unsaid_of
from stage3_plugin.providers.models import Form
from stage3_plugin.providers.profiles import profile_named
from stage3_plugin.providers.replies.free_answers import bad, unsure
from stage3_plugin.providers.replies.reading import at, items_at, text_at
from stage3_plugin.providers.showing import as_parts
from stage3_plugin.settings import ProviderOptions

PROFILE = profile_named("gemini")

MOST_SEED = 2**31 - 1
_WITHOUT = frozenset({VerdictKind.REFUSED, VerdictKind.NO_PICTURE})


class GeminiOptions(ProviderOptions):
    """What only Google's models have."""

    thinking_level: Literal["minimal", "low", "medium", "high"] = Field(
        default="medium", description="How much it thinks before it draws; of some models."
    )


class Gemini(Hosted):
    """The provider ``gemini``; the arguments are those of ``Hosted``.

    Its ``base_url`` ends before the version of the API.
    """

    Options = GeminiOptions

    @staticmethod
    def profile_of(_endpoint: Endpoint, /) -> Profile:
        """Return what is known beforehand of one of its endpoints."""
        return PROFILE

    @property
    def batch(self) -> GeminiBatch:
        """Return its batch lane."""
        return GeminiBatch(self)

    def begin(self, request: PictureRequest) -> Send:
        """Return the request to send for a picture."""
        prompt, dropped = self.prompt_of(request)
        model, form = self.model_of(request), self.form_of(request)
        assert form is not None  # the shipped table has a row for every model of it
        parts = as_parts(prompt, request, text=_text, picture=_inline)
        payload: dict[str, Payload] = {
            "contents": [{"role": "user", "parts": parts}],
            "generationConfig": _config(request, form, self.said_of(model)),
        }
        return Send(
            url=f"{self.base_url}/v1beta/models/{_in_a_path(model)}:generateContent",
            payload=payload,
            dropped=(*dropped, *unsaid_of(request, form, seed=_has_sendable_seed(request))),
        )

    def judged(self, reply: Reply) -> Verdict | Fetch:
        """Read a complete answer as all providers do; one of its own without a count is free."""
        step = super().judged(reply)
        if isinstance(step, Verdict) and step.kind in _WITHOUT and _counts_nothing(reply):
            return replace(step, may_be_billed=False)
        return step

    def checks(self, models: tuple[str, ...]) -> tuple[Ask | Finding, ...]:
        """Return what can be asked for free: a page for each model, which only a good key opens."""
        page = f"{self.base_url}/v1beta/models"
        asks = self._pages(models, lambda one: f"{page}/{_in_a_path(one)}", "key", "model")
        return (*asks, _NO_ACCOUNT)

    def _on_page(self, model: str, reply: Reply, today: date) -> tuple[Finding, ...]:
        if not text_at(reply.document, "name"):
            return ()
        methods = items_at(reply.document, "supportedGenerationMethods")
        if methods and _METHOD not in methods:
            told = f"{self.who} has it, but not for {_METHOD}, which makes pictures"
            return (bad("model", told, model=model, hint="choose a model for pictures"),)
        return (self._has(model, today),)


_METHOD = "generateContent"
_NO_ACCOUNT = unsure(
    "account",
    "no free page says whether its project may buy pictures; a free-tier key may make none",
)


def _text(words: str) -> Payload:
    return {"text": words}


def _inline(sent: SentPicture) -> Payload:
    return {"inlineData": {"mimeType": sent.media_type, "data": InlinePictureOf(sent)}}


def _counts_nothing(reply: Reply) -> bool:
    """Return whether an answer is Gemini's own, and charges for no token."""
    document = reply.document
    places = (at(document, "candidates"), at(document, "promptFeedback"))
    return places != (None, None) and not at(document, "usageMetadata")


def _config(
    request: PictureRequest, form: Form, said: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    config: dict[str, JsonValue] = {"responseModalities": ["IMAGE"]}
    if _has_sendable_seed(request):
        config["seed"] = request.seed
    config["imageConfig"] = form.said("aspectRatio", "imageSize")
    if "thinking_level" in said:
        config["thinkingConfig"] = {"thinkingLevel": str(said["thinking_level"]).upper()}
    return config


def _has_sendable_seed(request: PictureRequest) -> bool:
    """Return whether there is a seed of the 32 bits that its field has."""
    return request.seed is not None and -MOST_SEED <= request.seed <= MOST_SEED


def _in_a_path(model: str) -> str:
    return quote(model.removeprefix("models/"), safe="")
