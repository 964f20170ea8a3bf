"""A vendor's queue: the jobs it was given, how far each is, and what it billed.

One state machine for all vendors: what their pages are called and what stands on them is a
:class:`Dialect`, some sixty lines of data and functions. A job that was begun is billed by its
plan, whether anybody asks for it or not: as with the vendors, a lost answer changes no bill.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import formatdate
from typing import Any, ClassVar, Literal, TypeAlias

from stage3_plugin.testing.behaviours import Behaviour, Gate, Json
from stage3_plugin.testing.wire import Asked, Exchange, Said, prompt_of

Kind: TypeAlias = Literal["submit", "status", "result", "record", "listing", "file", "free"]
"""What a vendor's page is for; a record is what it knows of a job for longer than its queue."""
Ends: TypeAlias = Literal["made", "refused", "failed", "odd"]
"""How a job ends: with a picture, by the vendor's policy, by its fault, or as nobody knows."""
Standing: TypeAlias = Literal["queued", "working", "made", "refused", "failed", "odd"]
Loss: TypeAlias = Literal["begun", "not begun", "cut"]
"""A submit whose answer does not come: its job is there, or is not, or half of the answer came."""
Trouble: TypeAlias = Literal["bad key", "no money", "no model", "limited", "overloaded"]

_CUT_S = 0.02


@dataclass(frozen=True, slots=True)
class Page:
    """What a request is for; of one job, where it names one."""

    kind: Kind
    job_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """Take a request into the queue: how its submit is answered, and what becomes of its job.

    Attributes:
        polls: How many looks at it find it unfinished.
        takes_s: Seconds before which it is not finished either.
        delay_s: The submit is answered so late.
        gate: It waits for this first; the job is begun before.
        lost: The submit's answer does not come.
        ends: How it ends.
        billed: Whether it is billed; ``None``: if a picture is made.
        word: What an odd end is called.
        between: What the first looks at it meet instead of its state.
        again: Looks after its first end that find it working once more: it finishes twice.
        kept: Looks after which the vendor does not know it any more.
        unlisted: How many listings come too early to have it.
        visits: What the first visits of its picture's address are answered; see ``Ok``.
    """

    polls: int = 2
    takes_s: float = 0.0
    delay_s: float = 0.0
    gate: Gate | None = None
    lost: Loss | None = None
    ends: Ends = "made"
    billed: bool | None = None
    word: str = "MELTED"
    between: Sequence[Behaviour] = ()
    again: int = 0
    kept: int | None = None
    unlisted: int = 0
    visits: Sequence[int] = ()

    @property
    def is_billed(self) -> bool:
        """Whether money is taken for it."""
        return self.ends == "made" if self.billed is None else self.billed

    async def answer(self, exchange: Exchange) -> None:
        await answer_begun(exchange, self, lost=self.lost, delay_s=self.delay_s, gate=self.gate)


async def answer_begun(
    exchange: Exchange, plan: object, *, lost: Loss | None, delay_s: float, gate: Gate | None
) -> None:
    """Begin what is asked for by a plan, and answer that; or lose the answer."""
    if exchange.begin is None:
        raise LookupError("only a queue's submit and a batch's create begin something")
    if lost == "not begun":
        exchange.reset()
        return
    said = exchange.begin(plan)
    await asyncio.sleep(delay_s)
    if gate is not None:
        await gate.passed()
    if lost is None:
        await exchange.reply_json(said.status, said.document, said.headers)
        return
    if lost == "cut":
        await exchange.head(said.status, {"Content-Length": "4096"})
        await exchange.send(b'{"')
        await asyncio.sleep(_CUT_S)  # let it arrive: RST discards what is on its way
    exchange.reset()


@dataclass(slots=True, kw_only=True)
class QueueJob:
    """A job in the vendor's books.

    Attributes:
        id: The vendor's name of it.
        asked: Its submit.
        plan: What becomes of it.
        usd: What it costs; nothing if it is not billed.
        begun_at: When it was begun.
        looks: How often it was looked at.
        listings: How often it might have been listed.
        between: What the next looks at it meet, by its plan.
    """

    id: str
    asked: Asked
    plan: Queued
    usd: Decimal
    begun_at: datetime
    begun_s: float
    looks: int = 0
    listings: int = 0
    between: list[Behaviour] = field(default_factory=list[Behaviour])

    @property
    def document(self) -> Mapping[str, Any]:
        """Return what was asked for."""
        return self.asked.document

    @property
    def picture(self) -> bytes:
        """Return the picture that is made of it."""
        return self.asked.picture()

    def picture_url(self, at: str) -> str:
        """Return where its picture lies, on a server with that root."""
        return f"{at}/pictures/{self.asked.number}.png"


class Dialect(ABC):
    """How a vendor with a queue says things; ``at`` is always the root of the server's address.

    Attributes:
        name: The word of the provider that speaks it.
        api_path: What stands behind the root in the provider's ``base_url``.
        key_header: Where the key is looked for, with what before it.
        troubles: What it answers to who may not, or not now.
        usd: What a picture costs.
    """

    name: ClassVar[str]
    api_path: ClassVar[str] = ""
    key_header: ClassVar[str] = "authorization"
    key_prefix: ClassVar[str] = "Bearer "
    troubles: ClassVar[Mapping[Trouble, Said]]
    usd: Decimal = Decimal("0.03")
    answers_at_once: ClassVar[bool] = False
    """The submit's answer has the picture: there is no queue."""

    @abstractmethod
    def page_of(self, method: str, path: str) -> Page | None:
        """Return what a request is for; ``None`` for what the vendor does not have."""

    def job_in(self, query: Mapping[str, str]) -> str:
        """Return which job a page is about whose path does not say it."""
        del query
        return ""

    def lists(self, job: QueueJob, standing: Standing, asked: Asked) -> bool:
        """Return whether a listing that is asked for has a job."""
        del job, standing, asked
        return True

    @abstractmethod
    def submitted(self, job: QueueJob, at: str) -> Said:
        """Return the answer to a submit."""

    @abstractmethod
    def status(self, job: QueueJob, standing: Standing, at: str) -> Said:
        """Return how far a job is, and its result where that is the same page."""

    def result(self, job: QueueJob, standing: Standing, at: str) -> Said:
        """Return what came of a job; one without such a page says how far it is."""
        return self.status(job, standing, at)

    def record(self, job: QueueJob, standing: Standing, at: str) -> Said:
        """Return what is known of a job that the queue may have forgotten."""
        return self.status(job, standing, at)

    def listed(
        self, jobs: Sequence[tuple[QueueJob, Standing]], asked: Asked, next_url: str | None, at: str
    ) -> Said:
        """Return a page of a listing, newest first; one without a listing has none."""
        del jobs, asked, next_url, at
        return self.unknown("")

    @abstractmethod
    def unknown(self, job_id: str) -> Said:
        """Return the answer to who asks for a job that there is not."""

    def start_of(self, query: Mapping[str, str]) -> int:
        """Return behind how many jobs a page of a listing begins."""
        return int(query.get("offset", "0"))

    def free(self, asked: Asked) -> Said:
        """Return a page that costs nothing and is about no job."""
        del asked
        return self.unknown("")

    def id_of(self, number: int) -> str:
        """Return the name of a new job."""
        return f"{self.name}-{number:08d}"

    def prompt_of(self, document: Mapping[str, Any]) -> str:
        """Return what a submit wants drawn."""
        return prompt_of(document)

    def size_of(self, document: Mapping[str, Any]) -> tuple[int, int] | None:
        """Return its size; ``None`` if that is to be looked for where the others have it."""
        del document
        return None

    def price_of(self, document: Mapping[str, Any]) -> Decimal:
        """Return what its picture costs."""
        del document
        return self.usd

    def tells(self, trouble: Trouble) -> Json:
        """Return an answer to be lined up: why a request is turned away, for nothing."""
        said = self.troubles[trouble]
        return Json(said.document, said.status, said.headers)


class Queue:
    """The jobs that a server was given, in the words of its dialect.

    Attributes:
        jobs: All that were begun, in their order.
        page_jobs: Most jobs on a page of a listing.
        most_unfinished: Submits beyond so many unfinished jobs are turned away; ``None``: none.
        plan: What becomes of jobs that no plan was lined up for.
        date_s: The vendor's own clock, in seconds since 1970, as its answers tell it.
    """

    def __init__(self, dialect: Dialect, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.dialect = dialect
        self.jobs: list[QueueJob] = []
        self.page_jobs = 100
        self.most_unfinished: int | None = None
        self.plan = Queued()
        self.date_s: Callable[[], float] = time.time
        self._clock = clock

    @property
    def billed_usd(self) -> Decimal:
        """Return what all jobs come to."""
        return sum((job.usd for job in self.jobs), Decimal(0))

    @property
    def unfinished(self) -> int:
        """Return how many jobs are being made."""
        return sum(self._standing(job) in {"queued", "working"} for job in self.jobs)

    def page_of(self, method: str, path: str, query: Mapping[str, str]) -> Page | None:
        """Return what a request is for, and of which job."""
        page = self.dialect.page_of(method, path)
        if page is None or page.job_id:
            return page
        return replace(page, job_id=self.dialect.job_in(query))

    def job(self, job_id: str) -> QueueJob | None:
        """Return a job that there is and that the vendor still knows."""
        for job in self.jobs:
            if job.id == job_id and (job.plan.kept is None or job.looks < job.plan.kept):
                return job
        return None

    def begin(self, asked: Asked, plan: object) -> QueueJob:
        """Take a request in; without a plan of its own as usual."""
        chosen = plan if isinstance(plan, Queued) else self.plan
        billed = self.dialect.price_of(asked.document) if chosen.is_billed else Decimal(0)
        job = QueueJob(
            id=self.dialect.id_of(asked.number),
            asked=asked,
            plan=chosen,
            usd=billed,
            begun_at=datetime.now(UTC),
            begun_s=self._clock(),
            between=list(chosen.between),
        )
        self.jobs.append(job)
        return job

    def turns_away(self) -> Behaviour | None:
        """Return what a submit is answered that is one too many."""
        if self.most_unfinished is None or self.unfinished < self.most_unfinished:
            return None
        return self.dialect.tells("limited")

    def meets(self, page: Page) -> Behaviour | None:
        """Return what a look at a job meets instead of its state, by the job's plan."""
        job = self.job(page.job_id) if page.kind in {"status", "result"} else None
        return job.between.pop(0) if job is not None and job.between else None

    async def answer(self, exchange: Exchange, page: Page, at: str) -> None:
        """Answer a request for one of its pages."""
        said = self._said(exchange.asked, page, at)
        if isinstance(said, bytes):
            await exchange.reply(200, said, {"Content-Type": "image/png"})
        else:
            dated = {"Date": formatdate(self.date_s(), usegmt=True), **said.headers}
            await exchange.reply_json(said.status, said.document, dated)

    def _said(self, asked: Asked, page: Page, at: str) -> Said | bytes:
        if page.kind == "listing":
            return self._listed(asked, at)
        if page.kind == "free":
            return self.dialect.free(asked)
        if page.kind in {"record", "file"}:
            begun = {job.id: job for job in self.jobs}
            job = begun.get(page.job_id)
        else:
            job = self.job(page.job_id)
        if job is None:
            return self.dialect.unknown(page.job_id)
        if page.kind == "file":
            return job.picture
        says = {"result": self.dialect.result, "record": self.dialect.record}
        return says.get(page.kind, self.dialect.status)(job, self._looked_at(job), at)

    def _listed(self, asked: Asked, at: str) -> Said:
        """Return a page; a listing is read from its first page on, which counts for lags."""
        start = self.dialect.start_of(asked.query)
        there: list[tuple[QueueJob, Standing]] = []
        for job in reversed(self.jobs):
            job.listings += start == 0
            standing = self._looked_at(job) if start == 0 else self._standing(job)
            if job.listings > job.plan.unlisted and self.dialect.lists(job, standing, asked):
                there.append((job, standing))
        end = start + self.page_jobs
        next_url = None
        if end < len(there):
            more = "&".join(
                f"{name}={value}" for name, value in {**asked.query, "offset": end}.items()
            )
            next_url = f"{at}{asked.path}?{more}"
        return self.dialect.listed(there[start:end], asked, next_url, at)

    def _looked_at(self, job: QueueJob) -> Standing:
        standing = self._standing(job)
        job.looks += 1
        return standing

    def _standing(self, job: QueueJob) -> Standing:
        plan, looks = job.plan, job.looks
        if looks < plan.polls or self._clock() - job.begun_s < plan.takes_s:
            return "queued" if looks * 2 < plan.polls else "working"
        if plan.polls < looks <= plan.polls + plan.again:
            return "working"
        return plan.ends
