"""What providers with a queue have in common: how a job is asked for, taken, looked at and ended.

Each says as data where things stand in its documents, and which of its words stands for what; a
model's own inputs are a row of ``models.toml``. What is nobody else's, it says in a method.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import ClassVar, Literal, TypeAlias

from pydantic import JsonValue

from stage3_plugin.domain.addressing import address_of
from stage3_plugin.domain.exchange import (
    Asked,
    Fetch,
    Found,
    Gone,
    Lost,
    Payload,
    Poll,
    Reply,
    Unclear,
    Unsaid,
)
from stage3_plugin.domain.job import Accepted, is_for, seed_of
from stage3_plugin.domain.money import MOST_USD
from stage3_plugin.domain.picture import PictureSource, RemotePicture
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.reference import SentPicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import RefusedFor, Verdict, VerdictKind
from stage3_plugin.providers.base import Looked, Next, Polled
from stage3_plugin.providers.hosted import Hosted, unsaid_of
from stage3_plugin.providers.models import Form, Inputs, formats_of
from stage3_plugin.providers.replies.figures import figure_of
from stage3_plugin.providers.replies.judging import forbidden
from stage3_plugin.providers.replies.polling import about_another, is_gone
from stage3_plugin.providers.replies.reading import Json, at, cleaned, name_at, text_at
from stage3_plugin.providers.replies.words import error_in
from stage3_plugin.providers.showing import data_url, named_first

SINCE = timedelta(days=1)
"""Before the money was held a listing is read from: clocks are set, and not all of them well."""
MOST_SEED = 2**64

Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class End:
    """What a job has come to whose word is of an end without a picture.

    Attributes:
        kind: See :class:`~stage3_plugin.domain.verdict.VerdictKind`.
        message: For people.
        about: What a refusal is about, where the word says so.
        may_be_billed: By the vendor's own word it is not, where this is ``False``.
    """

    kind: VerdictKind
    message: str
    about: RefusedFor | None = None
    may_be_billed: bool = True


State: TypeAlias = Literal["making", "made"] | End
"""What a vendor's word for how far a job is stands for."""


class Queue(Hosted, ABC):
    """The shared part of a provider whose requests become jobs."""

    _id: ClassVar[str] = "id"
    """Where a document has the name of a job."""
    _poll: ClassVar[Path] = ()
    """Where it has the address that is asked how far the job is."""
    _result: ClassVar[Path | None] = None
    """Where it has that of the result; ``None`` if this is on the same page."""
    _cancel: ClassVar[Path] = ()
    """Where it has the one for calling it off; nothing if there is none."""
    _state: ClassVar[Path] = ("status",)
    """Where it has the word for how far the job is."""
    _states: ClassVar[Mapping[str, State]] = {}
    """What each word stands for."""
    _calls: ClassVar[str] = "the job is said to be"
    """What stands before a word that nobody here knows."""
    _forbids_keys: ClassVar[bool] = False
    """It says 403 of nothing but the key."""
    _noun: ClassVar[str] = "job"
    """What it is to people."""
    _picture: ClassVar[Path] = ()
    """Where it has the address of the picture."""
    _price: ClassVar[Path] = ()
    """Where it has what that cost, in USD."""
    _seed: ClassVar[Path] = ()
    """Where it has the seed that it was made from."""
    _listed: ClassVar[Path] = ()
    """Where a page of the listing has its jobs."""
    _given: ClassVar[str] = "input"
    """Where one of these has what was asked of its model."""

    # What is sent --------------------------------------------------------------------------------

    def wishes(
        self,
        request: PictureRequest,
        inputs: Inputs,
        form: Form | None,
        size: Mapping[str, Payload],
        *,
        most_seed: int | None = None,
    ) -> tuple[dict[str, Payload], tuple[str, ...]]:
        """Say a request by its model's inputs, and name the wishes that these cannot carry.

        Args:
            request: The picture.
            inputs: What its model is asked by.
            form: How its size is asked for; ``None`` where it is in pixels.
            size: The same by the model's own names.
            most_seed: The highest seed that can be said; ``None`` where any can.
        """
        model, asked = self.model_of(request), len(request.shown)
        known = formats_of(self._profile.name, self.known_as(model)) if inputs.output_format else ()
        formats = inputs.formats or {one: one for one in known}
        request = replace(request, shown=request.shown[: inputs.most_shown])
        prompt, dropped = self.prompt_of(request)
        if len(request.shown) < asked and "references" not in dropped:
            dropped.append("references")
        seed = self._seed_said(request, inputs, most_seed)
        said: dict[str, Payload] = {"prompt": named_first(prompt, request), **size, **seed}
        if inputs.output_format:
            said["output_format"] = formats.get(request.output_format, "png")
        if inputs.quality:
            said["quality"] = request.quality
        if inputs.background == "always" or (inputs.background and request.background != "auto"):
            said["background"] = request.background
        beyond = unsaid_of(
            request,
            form,
            seed=bool(seed),
            formats=formats,
            background=bool(inputs.background),
        )
        said |= self.said_of(model)
        name, shown = inputs.references or "", [self._shown(one.sent) for one in request.shown]
        if inputs.numbered:
            names = (name, *(f"{name}_{number}" for number in range(2, len(shown) + 1)))
            said |= zip(names, shown, strict=False)
        elif shown:
            said[name] = shown[0] if inputs.one else shown
        return said, (*dropped, *beyond)

    def _shown(self, sent: SentPicture) -> Payload:
        """Return how a reference is written."""
        return data_url(sent)

    def _seed_said(
        self, request: PictureRequest, inputs: Inputs, most: int | None
    ) -> Mapping[str, int]:
        """Say the seed that a person has set, else the one by which the request is found."""
        seed = request.seed
        if seed is None and request.token is not None and self._profile.token_is_seed:
            seed = seed_of(request.token)
        is_said = inputs.seed and seed is not None and (most is None or 0 <= seed <= most)
        return {"seed": seed} if is_said and seed is not None else {}

    @property
    def _keeps_s(self) -> float:
        """For how long it promises to know a job and to have its result."""
        keeps_s = self._profile.keeps_s
        assert keeps_s is not None  # said by the profile of each that has a queue
        return keeps_s

    # How its job is taken, and what it comes to --------------------------------------------------

    def next(self, reply: Reply) -> Next:
        """Return what follows from the answer to a submit."""
        accepted = self._accepted(reply.document) if 200 <= reply.status < 300 else None
        return accepted or self._refused(reply)

    def _refused(self, reply: Reply) -> Verdict | Fetch:
        """Read an answer as all providers do; a 403 as what this vendor says by it."""
        step = self.judged(reply)
        return forbidden(step) if self._forbids_keys and isinstance(step, Verdict) else step

    def says_nothing(self, reply: Reply) -> Unsaid:
        """Return that its answer says nothing of a job; one about the key is so of every job."""
        unsaid, step = self._unsaid(reply), self._refused(reply)
        if not self._forbids_keys:
            return unsaid
        is_key = isinstance(step, Verdict) and step.kind is VerdictKind.BAD_CREDENTIALS
        return replace(unsaid, stops_run=is_key and error_in(reply.document) is not None)

    def _accepted(self, document: Json) -> Accepted | None:
        """Return a job; ``None`` if it does not say where it is asked for."""
        name, poll_url = name_at(document, self._id), self._address(document, self._poll)
        result_url = self._address(document, self._result or ())
        if not name or poll_url is None or (self._result and result_url is None):
            return None
        return Accepted(
            job_id=name,
            poll_url=poll_url,
            result_url=result_url,
            cancel_url=self._address(document, self._cancel),
            keeps_s=self._keeps_s,
        )

    def _address(self, document: Json, path: Path) -> str | None:
        return address_of(text_at(document, *path), base_url=self.base_url) if path else None

    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:  # noqa: ARG002 - most have one address
        """Return what follows from an answer of a job's."""
        if (another := about_another(text_at(reply.document, self._id), job)) is not None:
            return another
        if (gone := self._gone(reply, job)) is not None:
            return gone
        word = text_at(reply.document, *self._state)
        if not (word and self._is_told(reply, word)):
            return self.says_nothing(reply)
        return self._of_state(reply, job, word)

    def _gone(self, reply: Reply, job: Accepted) -> Gone | None:
        """Return that it does not know a job any more; ``None`` if it does not say so."""
        told = Gone(message=f"the job {job.job_id} is not known any more")
        return told if is_gone(reply) else None

    def _is_told(self, reply: Reply, word: str) -> bool:  # noqa: ARG002 - one that says so with errors
        """Return whether an answer is one about a job."""
        return 200 <= reply.status < 300

    def _of_state(self, reply: Reply, job: Accepted, word: str) -> Polled:
        """Return what follows from the word for how far a job is."""
        match self._states.get(word):
            case "making":
                return Poll(url=job.poll_url)
            case "made":
                return self._made(reply, job)
            case End() as end:
                return self._ended(reply, job, end)
            case None:
                return self._called(word)

    def _called(self, word: str) -> Unclear:
        """Return that it has a word for where a job is that nobody here knows."""
        return Unclear(message=f"{self._calls} {cleaned(word, most=40)!r}")

    def _made(self, reply: Reply, job: Accepted) -> Polled:
        """Return that a picture is to be fetched, from where a document says that it lies."""
        source = reply.source(text_at(reply.document, *self._picture), base_url=self.base_url)
        if not isinstance(source, RemotePicture):
            return Unclear(message=f"the {self._noun} is ready, and its picture is at no address")
        return Fetch(sources=(source,), verdict=self.ended(reply, job, VerdictKind.PICTURES))

    def _ended(self, reply: Reply, job: Accepted, end: End) -> Verdict:
        """Return what a job came to whose word is of an end without a picture."""
        verdict = self.ended(reply, job, end.kind, end.message)
        return replace(verdict, may_be_billed=end.may_be_billed, about=end.about)

    def ended(self, reply: Reply, job: Accepted, kind: VerdictKind, message: str = "") -> Verdict:
        """Return what a job comes to, at the cost that is said now, or was at its acceptance."""
        document = reply.document
        usd = figure_of(at(document, *self._price), most=MOST_USD) if self._price else None
        return Verdict(
            kind=kind,
            message=message,
            may_be_billed=True,
            reported_usd=job.cost_usd if usd is None else usd,
            provider_status=reply.status,
            request_id=job.job_id,
            details=seed_at(document, *self._seed) if self._seed else {},
        )

    def sources_of(
        self, reply: Reply, texts: Iterable[str]
    ) -> tuple[PictureSource | RemotePicture, ...]:
        """Return the pictures that some texts of an answer are, or are the addresses of."""
        found = (reply.source(text, base_url=self.base_url) for text in texts)
        return tuple(source for source in found if source is not None)

    # What a listing shows ------------------------------------------------------------------------

    def looked(self, reply: Reply, lost: Lost) -> Looked:
        """Return what a page of the listing shows; one that cannot be read proves nothing."""
        items = at(reply.document, *self._listed)
        if not (200 <= reply.status < 300 and isinstance(items, list)):
            return self.says_nothing(reply)
        if (problem := self._problem_of(reply, lost)) is not None:
            return problem
        found = next((one for one in items if self._is_it(one, lost)), None)
        if found is None:
            return self._not_among(items, reply, lost)
        accepted = self._of_listed(found)
        if accepted is None:
            return Unsaid(message="it is listed, without an address where it is asked for")
        return Found(accepted=accepted)

    def _problem_of(self, reply: Reply, lost: Lost) -> Unsaid | None:  # noqa: ARG002 - of one that has such a problem
        """Return why nothing can be told from a page of the listing; ``None`` if it can."""
        return None

    def _is_it(self, item: Json, lost: Lost) -> bool:
        """Return whether an entry of the listing is a lost request's job: by its seed and words."""
        token, given = lost.token or "", at(item, self._given)
        is_seed = figure_of(at(given, "seed"), most=MOST_SEED) == seed_of(token)
        is_asked = is_seed and is_for(token, text_at(given, "prompt"))
        is_new = name_at(item, self._id) not in {"", *lost.taken}
        return is_asked and is_new and self._is_of(item, lost.endpoint)

    def _is_of(self, item: Json, endpoint: str) -> bool:
        """Return whether an entry is of the endpoint that was asked, as far as it says so."""
        raise NotImplementedError(f"{self._profile.name} has no listing")

    def _not_among(self, items: list[JsonValue], reply: Reply, lost: Lost) -> Looked:
        """Return what follows from a page that does not have it."""
        raise NotImplementedError(f"{self._profile.name} has no listing")

    def _of_listed(self, item: Json) -> Accepted | None:
        """Return the job of an entry; ``None`` if it does not say where it is asked for."""
        return self._accepted(item)


def with_inputs(profile: Profile, inputs: Inputs) -> Profile:
    """Return a profile as it is of a model that is asked by these inputs."""
    takes = inputs.references is not None
    return replace(profile, seed=inputs.seed, references=takes, unsaid=inputs.unsaid)


def since(lost: Lost) -> str:
    """Return from which moment on a listing would have a lost request's job."""
    return (lost.opened_at - SINCE).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seed_at(document: Json, *path: str) -> dict[str, str]:
    """Return the seed of a picture as a fact that is worth keeping, if it is there."""
    seed = figure_of(at(document, *path), most=MOST_SEED)
    return {} if seed is None else {"seed": f"{seed:f}"}
