"""fal.ai: a request is taken into a queue, asked for until it has ended, and found by its seed.

A model is an endpoint's name, such as ``fal-ai/flux-2/turbo``; where pictures are shown its sibling
``…/edit`` is asked, for families that have one and names that end in ``/text-to-image``. How any
other would be shown them is not known: it is shown none. The queue says where a job is asked for,
and nothing is built from its name. It has no word for a failure: what went wrong waits where the
result would be. What the queue forgets the history still has, for as long as payloads are stored,
which is why storing them is never switched off.

The history lists what has ended, so that it can find a lost request and never proves that there is
none.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Literal
from urllib.parse import quote

from pydantic import Field, JsonValue

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import (
    Asked,
    Fetch,
    Gone,
    Lost,
    NotListed,
    Poll,
    Reply,
    Send,
    Unclear,
    Unsaid,
)
from stage3_plugin.domain.free_checks import Ask, Finding, Price
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.money import MOST_USD
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import Looked, Next, Polled
from stage3_plugin.providers.models import inputs_of
from stage3_plugin.providers.prices import listed_usd
from stage3_plugin.providers.profiles import profile_named
from stage3_plugin.providers.queue import Queue, since, with_inputs
from stage3_plugin.providers.replies.answers import MOST_PICTURES, details_of, with_pictures
from stage3_plugin.providers.replies.figures import figure_of
from stage3_plugin.providers.replies.free_answers import unsure
from stage3_plugin.providers.replies.hints import told_to_retry
from stage3_plugin.providers.replies.polling import about_another, is_gone
from stage3_plugin.providers.replies.reading import Json, at, cleaned, items_at, name_at, text_at
from stage3_plugin.providers.replies.words import ErrorWords, error_in
from stage3_plugin.settings import ProviderOptions

# What fal says, and where that stands; "facts" is the record of wire facts that this is from. ----

PENDING = frozenset({"IN_QUEUE", "IN_PROGRESS"})
COMPLETED = "COMPLETED"
"""The words of its queue; there is none for a failure (facts 3; fal_client 1.0.3)."""
STILL_MADE = re.compile("(?i)still in progress")
"""What the result's address says of a job that has no result yet."""
ABOUT_US = frozenset({401, 403, 407, 408, 409, 425, 429})
"""Statuses that are said of who asks, and never of what came of a job."""
UNBILLED_FROM = 500
"""A server's error is never charged; what a model says below that may have been (facts 1.4;
docs.fal.ai/faq), and so is a picture that is covered as not safe for work."""
INFRASTRUCTURE = re.compile("runner_[a-z_]+|startup_timeout|request_timeout")
"""What an ``error_type`` is where fal's own machines failed a request or a job (facts 3)."""
START_TIMEOUT = "request_timeout"
"""The job did not begin in :data:`BEGINS_WITHIN_S`: too many were before it (facts 3)."""
BEGINS_WITHIN_S = 120

HEADERS = {
    "x-fal-no-retry": "1",  # else the queue itself runs a job up to ten times (facts 3)
    "x-fal-request-timeout": str(BEGINS_WITHIN_S),  # until it starts, and not until it ends
    # another endpoint, with another price, makes it else (facts 3; the header is named by public
    # clients of 2026, and by none of fal's pages that are stored)
    "x-app-fal-disable-fallback": "true",
}
"""Of every request. ``x-fal-store-io: 0`` is never one of them: it takes the history away."""

PROFILE = profile_named("fal")
PLATFORM = "https://api.fal.ai/v1"
"""History and prices, where the queue is fal's own; else they are below the same ``base_url``."""


class FalOptions(ProviderOptions):
    """What only fal has: none of them changes what a picture costs, or how many there are."""

    enable_safety_checker: bool = Field(
        default=True, strict=True, description="Cover pictures that are not safe for work."
    )
    safety_tolerance: Literal["1", "2", "3", "4", "5", "6"] = Field(
        default="2", description="From 1, which refuses the most; of some endpoints."
    )
    enable_prompt_expansion: bool = Field(
        default=False, strict=True, description="Have fal write more into the prompt."
    )
    guidance_scale: float = Field(default=2.5, ge=0, le=20, description="Of flux and its like.")
    num_inference_steps: int = Field(
        default=28, strict=True, ge=1, le=50, description="Of flux and its like."
    )


class Fal(Queue):
    """The provider ``fal``; the arguments are those of ``Hosted``."""

    Options = FalOptions
    _forbids_keys = True
    _id, _listed, _given, _seed = "request_id", ("items",), "json_input", ("seed",)
    _poll, _result, _cancel = ("status_url",), ("response_url",), ("cancel_url",)
    _calls = "fal calls the job"
    _no_model = "has no such endpoint"

    @staticmethod
    def profile_of(endpoint: Endpoint, /) -> Profile:
        """Return what is known beforehand of one of its endpoints."""
        inputs = inputs_of("fal", endpoint.known_as)
        known = with_inputs(PROFILE, inputs)
        return replace(
            known,
            # of one that is not known they are refused, by the table, and not left out unseen
            references=known.references or inputs.is_a_guess,
            listing=PROFILE.listing if inputs.seed else None,  # nothing to find it by
        )

    def begin(self, request: PictureRequest) -> Send:
        """Return the request to send for a picture."""
        model, form = self.model_of(request), self.form_of(request)
        inputs = inputs_of("fal", self.known_as(model))
        in_pixels = {"image_size": {"width": request.width_px, "height": request.height_px}}
        size = in_pixels if form is None else form.said("aspect_ratio", "resolution")
        payload, dropped = self.wishes(request, inputs, form, size)
        path = _in_a_path(inputs.endpoint_of(model, shows=bool(request.shown)))
        url = f"{self.base_url}/{path}"
        return Send(url=url, payload=payload, headers=HEADERS, dropped=dropped)

    def next(self, reply: Reply) -> Next:
        """Return what follows from the answer to a submit."""
        is_infrastructure = INFRASTRUCTURE.fullmatch(text_at(reply.document, "error_type"))
        if self.is_vendors and reply.status >= UNBILLED_FROM and is_infrastructure:
            return _failed(reply, None)
        return super().next(reply)

    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:
        """Return what follows from an answer of a job's."""
        if (another := about_another(_named(reply, of), job)) is not None:
            return another
        if is_gone(reply):
            if of == "record":
                return Gone(message="neither fal's queue nor its history has it")
            return Poll(url=self._record_url(job.job_id), of="record")
        if _is_being_made(reply):
            return Poll(url=job.poll_url)
        is_about_us = reply.status in ABOUT_US or 300 <= reply.status < 400
        if is_about_us or not isinstance(reply.document, dict):
            return self.says_nothing(reply)
        if of == "record" or job.result_url is None:  # one that was found has no other page
            return self._of_record(reply, job)
        if of == "status":
            return self._of_status(reply, job, job.result_url)
        is_told = 200 <= reply.status < 300 or _is_of_the_job(reply, job)
        return self._outcome(reply, job) if is_told else self.says_nothing(reply)

    def look_for(self, lost: Lost) -> str:
        """Return where the history begins that would have a lost request's job."""
        return self._history(lost.endpoint, f"start={since(lost)}", "limit=100")

    def _problem_of(self, reply: Reply, lost: Lost) -> Unsaid | None:  # noqa: ARG002 - it is of the request
        told = "its seed is a person's, by which no job can be told from another"
        return Unsaid(message=told) if lost.token is None else None

    def _is_of(self, item: Json, endpoint: str) -> bool:
        return text_at(item, "endpoint_id") in self._siblings(endpoint)

    def _of_listed(self, item: Json) -> Accepted:
        name = name_at(item, self._id)
        return Accepted(job_id=name, poll_url=self._record_url(name), keeps_s=self._keeps_s)

    def _not_among(self, items: list[JsonValue], reply: Reply, lost: Lost) -> Looked:  # noqa: ARG002 - the page names the next one
        cursor = quote(name_at(reply.document, "next_cursor"), safe="")
        has_more = at(reply.document, "has_more") is True and cursor
        return NotListed(next_url=f"{self.look_for(lost)}&cursor={cursor}" if has_more else None)

    def checks(self, models: tuple[str, ...]) -> tuple[Ask | Finding, ...]:
        """Return what can be asked for free: the list of prices, which has what there is."""
        page = f"{self._platform}/models/pricing?endpoint_id="
        asks = self._pages(models, lambda one: f"{page}{quote(one, safe='/')}", "model")
        return (*asks, _NO_PAGE_OF_KEYS, _NO_PAGE_OF_MONEY)

    def _on_page(self, model: str, reply: Reply, today: date) -> tuple[Finding, ...]:
        prices = at(reply.document, "prices")
        if not isinstance(prices, list):
            return ()
        listed = [_price(one) for one in prices if text_at(one, "endpoint_id") == model]
        if not listed:
            return (unsure("model", "the list of prices does not have it", model=model),)
        return (self._has(model, today), *self.priced(model, filter(None, listed)))

    def _of_status(self, reply: Reply, job: Accepted, result_url: str) -> Polled:
        word = text_at(reply.document, "status")
        if not (200 <= reply.status < 300 and word):
            return self.says_nothing(reply)
        if word != COMPLETED:
            return self._called(word)
        if INFRASTRUCTURE.fullmatch(text_at(reply.document, "error_type")):
            return _failed(reply, job.job_id)
        return Poll(url=result_url, of="result")

    def _of_record(self, reply: Reply, job: Accepted) -> Polled:
        """Read the history's page of a job as if its result's address had answered."""
        items = at(reply.document, "items")
        if reply.status != 200 or not isinstance(items, list):
            return self.says_nothing(reply)
        found = next((one for one in items if text_at(one, "request_id") == job.job_id), None)
        if found is None:
            others = text_at(items[0], "request_id") if items else ""
            return about_another(others, job) or Gone(message="fal's history does not have it")
        status = at(found, "status_code")
        if status is None:
            return Poll(url=self._record_url(job.job_id), of="record")
        if not isinstance(status, int) or not (200 <= status < 300 or 400 <= status < 600):
            shown = cleaned(str(status), most=40)
            return Unclear(message=f"fal's history says of the job that it ended with {shown!r}")
        output = at(found, "json_output")
        if not isinstance(output, dict) and status < 400:
            return Gone(message="fal's history has its output no more")
        return self._outcome(replace(reply, status=status, headers={}, document=output), job)

    def _outcome(self, reply: Reply, job: Accepted) -> Polled:
        """Judge what came of a job: pictures, or the model's own error."""
        if reply.status >= UNBILLED_FROM:
            return _failed(reply, job.job_id)
        if not 200 <= reply.status < 300:
            return self._rejected(reply, job)
        known = self.ended(reply, job, VerdictKind.PICTURES)
        units = cleaned(reply.headers.get("x-fal-billable-units", ""), most=40)
        billed = {"billable_units": units} if units else {}
        details = {**details_of(reply), **known.details, **billed}
        known = replace(known, listed_usd=self._listed_usd(reply), details=details)
        return self._of_pictures(reply, known)

    def _of_pictures(self, reply: Reply, known: Verdict) -> Polled:
        entries = items_at(reply.document, "images") or items_at(reply.document, "image")
        is_flagged = at(reply.document, "has_nsfw_concepts")
        numbered = enumerate(entries[:MOST_PICTURES])
        good = [entry for number, entry in numbered if at(is_flagged, number) is not True]
        texts = (one if isinstance(one, str) else text_at(one, "url") for one in good)
        sources = self.sources_of(reply, texts)
        if sources:
            return with_pictures(known, sources)
        if good:
            return Unclear(message="the address of its picture is none")
        if entries:
            message = "fal covers what was made as not safe for work; change the scene's prompt"
            return replace(known, kind=VerdictKind.REFUSED, message=message, about="output")
        word = text_at(reply.document, "status")  # each of its pages may say how far a job is
        if isinstance(at(reply.document, "images"), list) and not word:
            return replace(known, kind=VerdictKind.NO_PICTURE, message="a result without a picture")
        step = self.judged(reply)
        if step.sources:
            return with_pictures(known, step.sources)
        strange = Unclear(message="a result in a format that is not known")
        return self._called(word) if word else strange

    def _rejected(self, reply: Reply, job: Accepted) -> Verdict:
        """Judge the model's own error below 500: it may have been billed, whatever it is."""
        step = self.judged(reply)
        verdict = step.verdict if isinstance(step, Fetch) else step
        is_refusal = verdict.kind is VerdictKind.REFUSED
        return replace(
            verdict,
            kind=VerdictKind.REFUSED if is_refusal else VerdictKind.REJECTED,
            may_be_billed=True,
            stops_run=False,
            lower_capacity=False,
            hint_s=None,
            should_retry=None,
            sources=(),
            listed_usd=self._listed_usd(reply),
            request_id=job.job_id,
        )

    def _listed_usd(self, reply: Reply) -> Decimal | None:
        units = figure_of(reply.headers.get("x-fal-billable-units"), most=10**6)
        return listed_usd("fal", self.endpoint.model, units) if units else None

    @property
    def _platform(self) -> str:
        return PLATFORM if self.is_vendors else f"{self.base_url}/v1"

    def _record_url(self, job_id: str) -> str:
        """Return where the history has one job; unlike a listing it reaches back 90 days."""
        return self._history(self.endpoint.model, f"request_id={quote(job_id, safe='')}")

    def _history(self, model: str, *asked: str) -> str:
        endpoints = ",".join(quote(endpoint, safe="/") for endpoint in self._siblings(model))
        page = f"{self._platform}/models/requests/by-endpoint?endpoint_id={endpoints}"
        return "&".join((page, *asked, "expand=payloads"))

    def _siblings(self, model: str) -> tuple[str, ...]:
        inputs = inputs_of("fal", self.known_as(model))
        both = (inputs.endpoint_of(model, shows=shows) for shows in (False, True))
        return tuple(dict.fromkeys(both))


_NO_PAGE_OF_KEYS = unsure("key", "no free page says whether it may buy pictures")
_NO_PAGE_OF_MONEY = unsure("account", "no free page says what is left of its balance")


def _in_a_path(endpoint: str) -> str:
    """Write an endpoint as a path of its own steps: the key goes to no other place."""
    return "/".join(
        quote(step, safe="") for step in endpoint.split("/") if step not in {"", ".", ".."}
    )


def _price(listed: Json) -> Price | None:
    """Return a price of the list, where it is one in dollars of a picture or a megapixel."""
    usd = figure_of(at(listed, "unit_price"), most=MOST_USD)
    unit = text_at(listed, "unit").lower().removesuffix("s")
    is_usd = text_at(listed, "currency") in {"", "USD"}
    if usd is None or not is_usd or unit not in {"image", "megapixel"}:
        return None
    return Price(usd=usd, per="picture" if unit == "image" else "megapixel")


def _is_being_made(reply: Reply) -> bool:
    """Return whether an answer, at whichever address, says that a job goes on."""
    if 200 <= reply.status < 300:
        return text_at(reply.document, "status") in PENDING
    return reply.status == 400 and STILL_MADE.search(text_at(reply.document, "detail")) is not None


def _named(reply: Reply, of: Asked) -> str:
    """Return which job an answer is about: a result says it in a header alone.

    What that header says of any other page is documented nowhere.
    """
    of_a_result = reply.headers.get("x-fal-request-id", "") if of == "result" else ""
    return of_a_result or text_at(reply.document, "request_id")


def _is_of_the_job(reply: Reply, job: Accepted) -> bool:
    """Return whether an error is what came of the job, and not one of who was asked for it.

    Its queue says of both in the same words; but only a model finds fault with a field, and only
    what came of a job is called by its name. From 500 on the name alone is not enough: what stands
    before a picture that is made may fail at its address, too.
    """
    is_named = reply.headers.get("x-fal-request-id") == job.job_id
    if reply.status >= UNBILLED_FROM:
        return is_named and INFRASTRUCTURE.fullmatch(_error_type(reply)) is not None
    return is_named or any(text_at(item, "type") for item in items_at(reply.document, "detail"))


def _error_type(reply: Reply) -> str:
    return text_at(reply.document, "error_type") or reply.headers.get("x-fal-error-type", "")


def _failed(reply: Reply, job_id: str | None) -> Verdict:
    """Judge a job that failed on fal's side: never billed, and perhaps better the next time."""
    words = error_in(reply.document) or ErrorWords()
    code = cleaned(_error_type(reply), most=80) or words.code or ""
    told = words.message or cleaned(text_at(reply.document, "error")) or f"HTTP {reply.status}"
    return Verdict(
        kind=VerdictKind.BUSY,
        message=cleaned(f"{code}: {told}" if code else told),
        lower_capacity=code == START_TIMEOUT,
        provider_status=reply.status,
        provider_code=code or None,
        request_id=job_id,
        should_retry=told_to_retry(reply.headers, "x-fal-retryable", "x-fal-needs-retry"),
    )
