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
from typing import Literal
from urllib.parse import quote

from pydantic import Field

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import (
    Asked,
    Fetch,
    Gone,
    InlinePictureOf,
    Payload,
    Poll,
    Reply,
    Send,
    Unclear,
)
from stage3_plugin.domain.free_checks import Ask, Finding
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.money import MOST_USD
from stage3_plugin.domain.picture import RemotePicture
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import RefusedFor, Verdict, VerdictKind
from stage3_plugin.providers.base import Polled
from stage3_plugin.providers.hosted import unsaid_of
from stage3_plugin.providers.models import Form, formats_of, takes_of
from stage3_plugin.providers.queue import Queue, ended, seed_at
from stage3_plugin.providers.replies.figures import figure_of
from stage3_plugin.providers.replies.free_answers import bad, good, unsure
from stage3_plugin.providers.replies.polling import about_another, is_gone
from stage3_plugin.providers.replies.reading import Json, at, cleaned, items_at, text_at
from stage3_plugin.providers.showing import named_first
from stage3_plugin.settings import ProviderOptions

# What it says, and where that stands; "facts" is the record of wire facts that this is from. -----

PENDING = frozenset({"Pending", "Reasoning", "Generating", "Queued", "Request Accepted"})
"""The first three of FLUX 3 (six public clients of 2026-10 have them), the others seen beside them;
whether FLUX.2 says them too is not known, and the address is the same (facts3 0 and 4.4)."""
READY = "Ready"
REFUSED: Mapping[str, RefusedFor] = {"Request Moderated": "input", "Content Moderated": "output"}
"""Words of a refusal, and of what (facts 5 and 12.2)."""
FAILED = frozenset({"Error", "Failed"})
NOT_FOUND = "Task not found"
"""All its words (facts 5; docs.bfl.ai). Whether a refused task, or one that failed, is billed is
not said (facts 1.4): it counts as billed, at what its submit said that it costs."""
FAILS_AS = 503
"""A task that failed may come with this status, and says why in the ``status`` of its body; without
such a body it is an overload (facts3 4.4; two public clients of 2026-10 read it so)."""
CREDIT_USD = Decimal("0.01")
"""docs.bfl.ai/quick_start/pricing."""
KEEPS_S = 3600.0
"""A picture's address is good for about an hour (docs.bfl.ai/flux_3, by clients of 2026-10), or for
10 minutes (docs.bfl.ai before; the official SDK, which forgets tasks after 30). The longer one is
the safe one: nothing is given up before it, and a picture is fetched at once whatever it is, its
task asked anew for an address a minute later. Whether that gives a fresh one is not known."""

PROFILE = Profile(
    name="bfl",
    vendor="Black Forest Labs",
    base_url="https://api.bfl.ai",
    key_variable="BFL_API_KEY",
    key_header="x-key",
    key_prefix="",
    # delivery-us1.bfl.ai and its like; the second is the older one (facts 1.3)
    picture_hosts=(".bfl.ai", "bfldeliveryprod.blob.core.windows.net"),
    seed=True,
    references=True,
    unsaid=frozenset({"background", "quality"}),
    reports_cost=True,
    pictures_last_s=KEEPS_S,
    has_jobs=True,
    keeps_s=KEEPS_S,
    job_hosts=(".bfl.ai",),  # api.eu1, api.us2, … (facts 1.3; litellm checks the same)
)


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


REFERENCES: Mapping[str, str] = {"flux-3": "images", "flux-pro-1.1-ultra": "image_prompt"}
"""The field for them, by how a model's name begins; of others it is ``input_image``, and for the
second and each further one ``input_image_2``, ... (docs.comfy.org of ``flux-3-image``; a client of
2026-10 that mirrors api.bfl.ai/openapi.json)."""


class Bfl(Queue):
    """The provider ``bfl``; the arguments are those of ``Hosted``.

    Its ``base_url`` ends before the version of the API.
    """

    Options = BflOptions
    _keeps_s = KEEPS_S
    _poll = ("polling_url",)

    @staticmethod
    def profile_of(endpoint: Endpoint, /) -> Profile:
        """Return what is known beforehand of one of its endpoints."""
        if _has_file_fields(endpoint.known_as):
            return PROFILE
        unsaid = frozenset[Literal["output_format"]]({"output_format"}) | PROFILE.unsaid
        return replace(PROFILE, seed=False, unsaid=unsaid)

    def begin(self, request: PictureRequest) -> Send:
        """Return the request to send for a picture."""
        prompt, dropped = self.prompt_of(request)
        model = self.model_of(request)
        known, form = self.known_as(model), self.form_of(request)
        formats, has_fields = formats_of("bfl", known), _has_file_fields(known)
        payload: dict[str, Payload] = {
            "prompt": named_first(prompt, request),
            **_size(request, form),
            **(_file(request, formats) if has_fields else {}),
            **self.said_of(model),
            **_references(request, known),
        }
        return Send(
            url=f"{self.base_url}/v1/{quote(model, safe='')}",
            payload=payload,
            dropped=(*dropped, *unsaid_of(request, form, seed=has_fields, formats=formats)),
        )

    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:
        """Return what follows from an answer of a task's; its result is on the same page."""
        del of
        if (another := about_another(text_at(reply.document, "id"), job)) is not None:
            return another
        word = text_at(reply.document, "status")
        if word == NOT_FOUND or is_gone(reply):
            return Gone(message=f"Black Forest Labs does not know it: {cleaned(word)}".rstrip(": "))
        is_failure = reply.status == FAILS_AS and word in {*REFUSED, *FAILED}
        if not (word and (200 <= reply.status < 300 or is_failure)):
            return self.says_nothing(reply)
        if word in PENDING:
            return Poll(url=job.poll_url)
        if word == READY:
            return self._ready(reply, job)
        if word in REFUSED:
            told = "refused by the provider's policy"
            why = ", ".join(_reasons(reply.document)) or word
            message = cleaned(f"{told} ({why}); change the scene's prompt")
            return replace(
                _failed(reply, job, message), kind=VerdictKind.REFUSED, about=REFUSED[word]
            )
        if word in FAILED:
            return _failed(reply, job, f"the task failed ({word})")
        return Unclear(message=f"Black Forest Labs calls the task {cleaned(word, most=40)!r}")

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

    def _ready(self, reply: Reply, job: Accepted) -> Polled:
        address = text_at(reply.document, "result", "sample")
        source = reply.source(address, base_url=self.base_url)
        if not isinstance(source, RemotePicture):
            return Unclear(message="the task is ready, and its picture is at no address")
        verdict = ended(reply, job, VerdictKind.PICTURES)
        details = seed_at(reply.document, "result", "seed")
        return Fetch(sources=(source,), verdict=replace(verdict, details=details))


_NOT_SAID = "nothing is said of it, since the key is not good"
_BUY = "buy credit at https://dashboard.bfl.ai"


def _failed(reply: Reply, job: Accepted, message: str) -> Verdict:
    verdict = ended(reply, job, VerdictKind.NO_PICTURE, message)
    details = seed_at(reply.document, "result", "seed")
    return replace(verdict, provider_code=text_at(reply.document, "status"), details=details)


def _reasons(document: Json) -> list[str]:
    """Return what a refusal was for, where that is said."""
    names = items_at(document, "details", "Moderation Reasons")
    return [cleaned(name, most=80) for name in names[:10] if isinstance(name, str)]


def _has_file_fields(model: str) -> bool:
    """Return whether there are fields for the kind of file and for a seed."""
    takes = takes_of("bfl", model)
    return takes is None or bool(takes.formats)


def _file(request: PictureRequest, formats: tuple[str, ...]) -> Mapping[str, Payload]:
    """Say what the file should be, and from which seed."""
    seed: dict[str, Payload] = {} if request.seed is None else {"seed": request.seed}
    output_format = request.output_format if request.output_format in formats else "png"
    return {"output_format": output_format, **seed}


def _references(request: PictureRequest, model: str) -> Mapping[str, Payload]:
    shown: list[Payload] = [InlinePictureOf(one.sent) for one in request.shown]
    name = next((REFERENCES[one] for one in REFERENCES if model.startswith(one)), "input_image")
    if name == "images":
        return {name: shown} if shown else {}
    return {f"{name}_{number}" if number > 1 else name: one for number, one in enumerate(shown, 1)}


def _size(request: PictureRequest, form: Form | None) -> Mapping[str, Payload]:
    if form is None:
        return {"width": request.width_px, "height": request.height_px}
    return form.said("aspect_ratio", "resolution")
