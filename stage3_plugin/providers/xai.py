"""xAI's Imagine: one request and one answer, and a file by a name of ours that outlives the answer.

It knows ratios and tiers instead of pixels. Every request asks for the picture to be stored
among the account's files under its token (``storage_options``): an answer that is lost is looked
for there, and what is found is a job whose result is the file. That a file is missing proves
nothing, since a picture that was withheld leaves none; and a file does not say what it cost.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from urllib.parse import quote

from pydantic import JsonValue

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import (
    Asked,
    Gone,
    Lost,
    NotListed,
    Payload,
    Reply,
    Send,
)
from stage3_plugin.domain.free_checks import Ask, Finding, Price
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.picture import SpooledPart
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import Looked, Next, Polled
from stage3_plugin.providers.hosted import unsaid_of
from stage3_plugin.providers.models import takes_of
from stage3_plugin.providers.profiles import profile_named
from stage3_plugin.providers.queue import SINCE, Queue
from stage3_plugin.providers.replies.figures import figure_of
from stage3_plugin.providers.replies.free_answers import bad, good, unsure
from stage3_plugin.providers.replies.polling import is_gone, is_job_id
from stage3_plugin.providers.replies.reading import Json, at, text_at
from stage3_plugin.providers.replies.taxonomy import meanings
from stage3_plugin.providers.replies.usage import reported_usd_of
from stage3_plugin.providers.showing import data_url, named_first

# What xAI says, and where it says so --------------------------------------------------------------

KEPT_S = 86_400
"""For how long a picture stays among the files: an hour to thirty days (docs.x.ai, Imagine and
files)."""
PROFILE = profile_named("xai")


class XAI(Queue):
    """The provider ``xai``; the arguments are those of ``Hosted``.

    Its ``base_url`` ends before the version of the API.
    """

    _listed = ("data",)

    @staticmethod
    def profile_of(endpoint: Endpoint, /) -> Profile:
        """Return what is known beforehand of one of its endpoints: some models have no quality."""
        if _qualities(endpoint.known_as):
            return PROFILE
        return replace(PROFILE, unsaid=PROFILE.unsaid | {"quality"})

    def begin(self, request: PictureRequest) -> Send:
        """Return the request to send for a picture."""
        prompt, dropped = self.prompt_of(request)
        model, form = self.model_of(request), self.form_of(request)
        assert form is not None  # the shipped table has a row for every model of it
        known = self.known_as(model)
        payload: dict[str, Payload] = {
            "model": model,
            "prompt": named_first(prompt, request),
            "n": 1,
            "aspect_ratio": form.ratio,
            "resolution": form.tier.lower(),
            "response_format": "b64_json",
        }
        quality = _quality(request, known)
        if quality:
            payload["quality"] = quality
        if request.token is not None:
            payload["storage_options"] = {
                "filename": _file_name(request.token),
                "expires_after": KEPT_S,
            }
        path = "generations"
        if request.shown:
            path = "edits"
            payload["images"] = [
                {"type": "image_url", "url": data_url(one.sent)} for one in request.shown
            ]
        return Send(
            url=f"{self.base_url}/v1/images/{path}",
            payload=payload,
            dropped=(
                *dropped,
                *unsaid_of(request, form, formats=("jpeg",)),  # all pictures are JPEG
                *_unsaid_quality(request, known),
            ),
        )

    def estimate(self, request: PictureRequest) -> Estimate:
        """Return what the picture is expected to cost in the quality that is asked for."""
        quality = _quality(request, self.known_as(self.model_of(request)))
        return super().estimate(replace(request, quality=quality or request.quality))

    def next(self, reply: Reply) -> Next:
        """Return what follows from a complete answer; a picture that is withheld is charged."""
        slots = _slots(reply.document) if 200 <= reply.status < 300 else None
        if slots is None or at(reply.document, "error"):
            return super().next(reply)
        given = [slot for slot in slots if not _is_withheld(slot)]
        if slots and not given:
            return _withheld(reply)
        step = super().next(_with_slots(reply, slots, given))
        is_empty = isinstance(step, Verdict) and step.kind is VerdictKind.NO_PICTURE
        return _withheld(reply) if is_empty else step

    def _in_known_words(self, reply: Reply) -> Reply:
        """Put a flat error below 500 into the shape and the words that all errors are read by."""
        document = reply.document
        said = text_at(document, "error")
        if not (400 <= reply.status < 500 and said):
            return reply
        code = text_at(document, "code")
        told = f"{code[:_MOST_SAID]} {said[:_MOST_SAID]}".lower()
        word = next((word for part, word in meanings().flat.items() if part in told), code)
        return replace(reply, document={"error": {"code": word, "message": said}})

    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:  # noqa: ARG002 - it has one address
        """Return what follows from an answer with a file's content: that is the picture."""
        if is_gone(self._in_known_words(reply)):
            return Gone(message=f"xAI has the file {job.job_id} no more")
        part = reply.parts.get("") if 200 <= reply.status < 300 else None
        if part is None:  # a page of what stands in between, say
            return self._unsaid(reply)
        verdict = self.ended(reply, job, VerdictKind.PICTURES)
        return replace(verdict, sources=(SpooledPart(part.index),))

    def look_for(self, lost: Lost) -> str:  # noqa: ARG002 - its files have no search that is documented
        """Return where the account's files begin, the newest first."""
        return f"{self.base_url}/v1/files?limit=100&order=desc"

    def _is_it(self, item: Json, lost: Lost) -> bool:
        is_named = lost.token is not None and text_at(item, "filename") == _file_name(lost.token)
        job_id = text_at(item, "id")
        return is_named and is_job_id(job_id) and job_id not in lost.taken

    def _of_listed(self, item: Json) -> Accepted:
        job_id = text_at(item, "id")
        content = f"{self.base_url}/v1/files/{quote(job_id, safe='')}/content"
        return Accepted(job_id=job_id, poll_url=content, keeps_s=KEPT_S)

    def _not_among(self, items: list[JsonValue], reply: Reply, lost: Lost) -> Looked:
        following = text_at(reply.document, "pagination_token")
        if not following or _is_older(items, (lost.opened_at - SINCE).timestamp()):
            return NotListed(next_url=None)
        more = f"&pagination_token={quote(following, safe='', errors='replace')}"
        return NotListed(next_url=self.look_for(lost) + more)

    def checks(self, models: tuple[str, ...]) -> tuple[Ask | Finding, ...]:
        """Return what can be asked for free: the key's page, and one for each model."""
        key = Ask(url=f"{self.base_url}/v1/api-key", about=("key", "account"), judge=self._of_key)
        page = f"{self.base_url}/v1/image-generation-models"
        return (key, *self._pages(models, lambda one: f"{page}/{quote(one, safe='')}", "model"))

    def _of_key(self, ask: Ask, reply: Reply, _today: date) -> tuple[Finding, ...]:
        document = reply.document
        if reply.status != 200 or not text_at(document, "api_key_id"):
            return self._trouble(ask, reply)
        blocked = (
            at(document, "api_key_blocked") is True or at(document, "api_key_disabled") is True
        )
        key = (
            bad("key", "it is blocked or switched off")
            if blocked
            else good("key", f"{self.who} accepts it")
        )
        if at(document, "team_blocked") is True:
            return (key, bad("account", "the team is blocked", hint="see to it at console.x.ai"))
        return (key, _NO_ACCOUNT)

    def _on_page(self, model: str, reply: Reply, today: date) -> tuple[Finding, ...]:
        if not text_at(reply.document, "id"):
            return ()
        ticks = figure_of(at(reply.document, "image_price"), most=_MOST_TICKS)
        prices = list[Price]()
        if ticks is not None and ticks >= _LEAST_TICKS:
            prices.append(Price(usd=ticks / TICKS, per="picture"))
        return (self._has(model, today), *self.priced(model, prices))


_NO_ACCOUNT = unsure("account", "it is not blocked; no free page says whether there is money left")
_MOST_S = 10**11
TICKS = 10**10
"""Of them are a dollar (public clients of 2026 have 200000000 where a picture costs $0.02)."""
_LEAST_TICKS, _MOST_TICKS = 10**5, 10**13
"""A lower price is one in cents, as an older description of the page has it: nothing is read."""


def _file_name(token: str) -> str:
    return f"{token}.jpg"


def _qualities(model: str) -> tuple[str, ...]:
    takes = takes_of("xai", model)
    return () if takes is None else takes.qualities


def _quality(request: PictureRequest, model: str) -> str:
    """Return the word that is sent: the last one for what it has none for; empty for none."""
    qualities = _qualities(model)
    return request.quality if request.quality in qualities else "".join(qualities[-1:])


def _unsaid_quality(request: PictureRequest, model: str) -> list[str]:
    qualities = _qualities(model)
    return ["quality"] if qualities and request.quality not in {*qualities, "auto"} else []


# What came of it ---------------------------------------------------------------------------------


_MOST_SAID = 4000


def _slots(document: Json) -> list[JsonValue] | None:
    """Return the places for pictures; ``None`` where an answer has no such list."""
    slots = at(document, "data")
    return slots if isinstance(slots, list) else None


def _is_withheld(slot: Json) -> bool:
    """Return whether a place says that its picture did not pass, or has nothing but words in it."""
    if not isinstance(slot, dict):
        return False
    filled = {name for name, held in slot.items() if held not in (None, "", False, [], {})}
    return slot.get("respect_moderation") is False or filled <= _WORDS_BESIDE


_WORDS_BESIDE = frozenset({"mime_type", "revised_prompt", "respect_moderation"})


def _with_slots(reply: Reply, slots: list[JsonValue], given: list[JsonValue]) -> Reply:
    """Leave out the places of what is withheld, with their pictures."""
    document = reply.document
    if len(given) == len(slots) or not isinstance(document, dict):
        return reply
    kept = {text_at(slot, name) for slot in given for name in ("b64_json", "url")}
    parts = {name: part for name, part in reply.parts.items() if name in kept}
    return replace(reply, document={**document, "data": given}, parts=parts)


def _withheld(reply: Reply) -> Verdict:
    """Return that a picture was made and is withheld: charged, unless the answer says otherwise."""
    reported_usd = reported_usd_of(reply)
    return Verdict(
        kind=VerdictKind.REFUSED,
        message="made, and withheld by xAI's moderation",
        may_be_billed=reported_usd is None or reported_usd > 0,
        reported_usd=reported_usd,
        provider_status=reply.status,
        about="output",
    )


def _is_older(files: list[JsonValue], since_s: float) -> bool:
    """Return whether a page, the newest first, ends before a moment."""
    last_s = figure_of(at(files[-1], "created_at"), most=_MOST_S) if files else None
    return last_s is not None and last_s < since_s
