"""Black Forest Labs: a request becomes a task, which is asked for until it has ended.

The answer to a submit says what the task costs, in credits, and nothing later does: it is kept with
the task. Where the task is asked for it says, too; that is at a host of the region which took it.
There is no listing: a submit whose answer is lost cannot be found again, and stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from urllib.parse import quote

from pydantic import Field

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Gone, InlinePictureOf, Payload, Reply, Send
from stage3_plugin.domain.free_checks import Ask, Finding
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.money import MOST_USD
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.reference import SentPicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.models import inputs_of
from stage3_plugin.providers.profiles import profile_named
from stage3_plugin.providers.queue import End, Queue, State, with_inputs
from stage3_plugin.providers.replies.figures import figure_of
from stage3_plugin.providers.replies.free_answers import bad, good, unsure
from stage3_plugin.providers.replies.polling import is_gone
from stage3_plugin.providers.replies.reading import Json, at, cleaned, items_at, text_at
from stage3_plugin.settings import ProviderOptions

_REFUSED = "refused by the provider's policy"

# What it says, and where that stands; "facts" is the record of wire facts that this is from. -----

STATES: Mapping[str, State] = {
    **dict.fromkeys(("Pending", "Reasoning", "Generating", "Queued", "Request Accepted"), "making"),
    "Ready": "made",
    "Request Moderated": End(VerdictKind.REFUSED, message=_REFUSED, about="input"),
    "Content Moderated": End(VerdictKind.REFUSED, message=_REFUSED, about="output"),
    "Error": End(VerdictKind.NO_PICTURE, message="the task failed (Error)"),
    "Failed": End(VerdictKind.NO_PICTURE, message="the task failed (Failed)"),
}
"""The first three of FLUX 3 (six public clients of 2026-10 have them), two seen beside them;
whether FLUX.2 says them too is not known, and the address is the same (facts3 0 and 4.4); then
words of a refusal, and of what (facts 5 and 12.2). Whether a refused task, or one that failed, is
billed is not said (facts 1.4): it counts as billed, at what its submit said that it costs."""
NOT_FOUND = "Task not found"
FAILS_AS = 503
"""A task that failed may come with this status, and says why in the ``status`` of its body; without
such a body it is an overload (facts3 4.4; two public clients of 2026-10 read it so)."""
CREDIT_USD = Decimal("0.01")
"""docs.bfl.ai/quick_start/pricing."""
PROFILE = profile_named("bfl")


class BflOptions(ProviderOptions):
    """What only Black Forest Labs has: none of them changes what a picture costs."""

    safety_tolerance: int = Field(
        default=2,
        strict=True,
        ge=0,
        le=6,
        description="From 0, which refuses the most; up to 5 of `flux-2`, 4 of `flux-3`.",
    )
    prompt_upsampling: bool = Field(
        default=False, strict=True, description="Have it write more into the prompt."
    )
    grounding: bool = Field(
        default=False, strict=True, description="Have `flux-3` search the web for the prompt first."
    )
    guidance: float = Field(default=4.5, ge=1.5, le=10, description="Of `flux-2-flex`.")
    steps: int = Field(default=50, strict=True, ge=1, le=50, description="Of `flux-2-flex`.")
    raw: bool = Field(default=False, strict=True, description="Of `flux-pro-1.1-ultra`.")


class Bfl(Queue):
    """The provider ``bfl``; the arguments are those of ``Hosted``.

    Its ``base_url`` ends before the version of the API.
    """

    Options = BflOptions
    _forbids_keys = True
    _poll, _picture, _seed = ("polling_url",), ("result", "sample"), ("result", "seed")
    _states = STATES
    _calls, _noun = "Black Forest Labs calls the task", "task"

    @staticmethod
    def profile_of(endpoint: Endpoint, /) -> Profile:
        """Return what is known beforehand of one of its endpoints."""
        return with_inputs(PROFILE, inputs_of("bfl", endpoint.known_as))

    def begin(self, request: PictureRequest) -> Send:
        """Return the request to send for a picture."""
        model, form = self.model_of(request), self.form_of(request)
        in_pixels = {"width": request.width_px, "height": request.height_px}
        size = in_pixels if form is None else form.said("aspect_ratio", "resolution")
        inputs = inputs_of("bfl", self.known_as(model))
        payload, dropped = self.wishes(request, inputs, form, size)
        url = f"{self.base_url}/v1/{quote(model, safe='')}"
        return Send(url=url, payload=payload, dropped=dropped)

    def _shown(self, sent: SentPicture) -> Payload:
        return InlinePictureOf(sent)

    def _gone(self, reply: Reply, job: Accepted) -> Gone | None:  # noqa: ARG002 - the word says it
        word = text_at(reply.document, "status")
        if not (word == NOT_FOUND or is_gone(reply)):
            return None
        return Gone(message=f"Black Forest Labs does not know it: {cleaned(word)}".rstrip(": "))

    def _is_told(self, reply: Reply, word: str) -> bool:
        is_failure = reply.status == FAILS_AS and isinstance(STATES.get(word), End)
        return super()._is_told(reply, word) or is_failure

    def _ended(self, reply: Reply, job: Accepted, end: End) -> Verdict:
        word = text_at(reply.document, "status")
        why = ", ".join(_reasons(reply.document)) or word
        message = end.message
        if end.kind is VerdictKind.REFUSED:
            message = f"refused by the provider's policy ({why}); change the scene's prompt"
        return replace(
            super()._ended(reply, job, end), message=cleaned(message), provider_code=word
        )

    def checks(self, models: tuple[str, ...]) -> tuple[Ask | Finding, ...]:
        """Return what can be asked for free: the credits, which only a good key is told."""
        ask = Ask(
            url=f"{self.base_url}/v1/credits", about=("key", "account"), judge=self._of_credits
        )
        told = "no free page says whether there is such a model"
        return (ask, *(unsure("model", told, model=model) for model in models))

    def _of_credits(self, ask: Ask, reply: Reply, _today: date) -> tuple[Finding, ...]:
        left = figure_of(at(reply.document, "credits"), most=MOST_USD * 100)
        if reply.status == 403 and self.is_vendors:
            return (bad("key", f"{self.who} does not accept it"), *ask.unknown(_NOT_SAID)[1:])
        if reply.status != 200 or left is None:
            return self._trouble(ask, reply)
        key = good("key", f"{self.who} accepts it")
        if left <= 0:
            return (key, bad("account", "no credit is left", hint=_BUY))
        return (key, good("account", f"${left * CREDIT_USD:.2f} of credit is left"))

    def _accepted(self, document: Json) -> Accepted | None:
        accepted = super()._accepted(document)
        credits_ = figure_of(at(document, "cost"), most=MOST_USD)
        if accepted is None or credits_ is None:
            return accepted
        return replace(accepted, cost_usd=credits_ * CREDIT_USD)


_NOT_SAID = "nothing is said of it, since the key is not good"
_BUY = "buy credit at https://dashboard.bfl.ai"


def _reasons(document: Json) -> list[str]:
    """Return what a refusal was for, where that is said."""
    names = items_at(document, "details", "Moderation Reasons")
    return [cleaned(name, most=80) for name in names[:10] if isinstance(name, str)]
