"""A provider's batches with books of what it did, behind the steps of :class:`Batching`.

What ran and what was told of it are two things, and a run knows only the second. What comes lies in
the spool as real answers do, so that a run which dies at any step leaves what a real one leaves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, TypeAlias, TypeVar, cast

import trio
import trio.testing

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import BatchEnded, key_of
from stage3_plugin.domain.exchange import Sought
from stage3_plugin.domain.job import Accepted, BeingMade, Job
from stage3_plugin.domain.money import FREE, UNKNOWN, Charge
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.owners import Owners
from stage3_plugin.ledger.session import Session
from stage3_plugin.purchase.conversation import Batching, Conversation
from stage3_plugin.purchase.recovery import Recovery
from stage3_plugin.purchase.result_files import ReadLine, ResultFile, Results
from stage3_plugin.purchase.run_ledger import RunLedger
from stage3_plugin.runtime import trace
from stage3_plugin.runtime.trace import Event
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool.folders import SpoolFolders
from tests.fakes.inline_commit import InlineCommit
from tests.stage3.ledger.samples import NOW, accepted, picture
from tests.stage3.line_shop import opened_in

T = TypeVar("T")
Kind: TypeAlias = Literal["picture", "refused", "billed", "never_ran", "unreadable", "full", "odd"]
"""What a line of a result file says, or what becomes of it here."""
HOLD, BILL = 10, 8
SETTLE_S = 1800.0


def verdict(kind: VerdictKind, *, billed: bool = False) -> Verdict:
    return Verdict(kind=kind, message=f"it is {kind}", may_be_billed=billed)


NEVER_RAN = AttemptResult(verdict=verdict(VerdictKind.BUSY), cost=FREE)
"""What whole results that lack a line say of it."""
FULL = StorageFailed(Path("disk"), OSError(28, "No space left on device"))


def said(kind: str) -> AttemptResult:
    """Return what the answer in a line's folder comes to."""
    if kind == "odd":
        raise ValueError("what strangers write")
    if kind == "full":
        return AttemptResult(
            verdict=verdict(VerdictKind.PICTURES, billed=True),
            cost=UNKNOWN,
            storage=FULL,
            stays_open=True,
        )
    if kind == "picture":
        made = verdict(VerdictKind.PICTURES, billed=True)
        return AttemptResult(verdict=made, cost=Charge(BILL, "tokens"), picture=picture())
    if kind == "billed":
        return AttemptResult(
            verdict=verdict(VerdictKind.REFUSED, billed=True), cost=Charge(BILL, "tokens")
        )
    if kind == "unreadable":
        return AttemptResult(verdict=verdict(VerdictKind.UNREADABLE, billed=True), cost=UNKNOWN)
    if kind == "never_ran":
        return NEVER_RAN
    return AttemptResult(verdict=verdict(VerdictKind.REFUSED), cost=FREE)


@dataclass
class BatchBooks:
    """One batch at its provider.

    Attributes:
        token: What it is found by.
        create: What the answer to its create says.
        polls: What polls say, one after the other, the last for ever.
        came: How the results come, likewise: whole, cut behind so many lines, or not at all.
        lines: What the results have, by key, in their order.
        lacking: What is true of lines that whole results lack.
        tells: Results that nothing frames are known to be whole by its counts.
        listings: What its listing says, one after the other, the last for ever.
        has_listing: It can prove absence.
        asked: How often each step was taken.
        dies_after: The process dies when so many more lines were claimed.
    """

    spool: Path
    token: str
    create: Accepted | AttemptResult = field(default_factory=lambda: accepted("the batch"))
    polls: list[BeingMade | BatchEnded | AttemptResult | Exception] = field(
        default_factory=list[BeingMade | BatchEnded | AttemptResult | Exception]
    )
    came: list[int | None] = field(default_factory=lambda: list[int | None]([None]))
    lines: list[tuple[str, Kind]] = field(default_factory=list[tuple[str, Kind]])
    lacking: AttemptResult | None = NEVER_RAN
    tells: bool = False
    listings: list[Sought] = field(default_factory=list[Sought])
    has_listing: bool = True
    asked: Counter[str] = field(default_factory=Counter[str])
    dies_after: int | None = None
    before_take: Callable[[], None] = lambda: None

    def has(self, *kinds: Kind | None) -> None:
        """Let the results have these lines, in the order of their numbers; ``None`` lacks."""
        self.lines = [
            (key_of(self.token, number), kind) for number, kind in enumerate(kinds) if kind
        ]

    @property
    def listing(self) -> Listing | None:
        if not self.has_listing:
            return None
        return Listing(proves_absence=True, settle_s=SETTLE_S, reaches_back_s=1e9)

    def _next(self, of: list[Any], what: str) -> Any:
        self.asked[what] += 1
        said = of.pop(0) if len(of) > 1 else of[0]
        if isinstance(said, BaseException):
            raise said
        return said

    async def resume_create(self, token: str) -> Accepted | AttemptResult:
        assert token == self.token
        self.asked["create"] += 1
        return self.create

    async def poll(self, token: str, before: BeingMade) -> Any:
        assert token == self.token
        said = self._next(self.polls, "poll")
        if isinstance(said, BeingMade):
            return replace(said, job=before.job, asked=before.asked + 1)
        return said

    async def results(self, token: str, ended: BatchEnded, job: object, *, lines: int) -> Results:
        assert token == self.token
        assert ended.files
        assert job is not None
        assert lines > 0
        cut = self._next(self.came, "results")
        if cut is None:
            return Results(files=(ResultFile(path=self.spool, is_whole=True),))
        return Results(
            files=(ResultFile(path=self.spool, is_whole=False),),
            problem=f"cut behind {cut}",
            again_s=60.0,
        )

    async def read(self, token: str, results: Results) -> AsyncGenerator[ReadLine]:
        self.asked["read"] += 1
        is_whole = not results.problem
        cut = len(self.lines) if is_whole else int(results.problem.rsplit(" ", 1)[1])
        by_key: dict[str, Kind] = {}
        for key, kind in self.lines[:cut]:
            if key not in by_key or (kind == "picture" and by_key[key] != "picture"):
                by_key[key] = kind
        says_all = is_whole or results.is_over or self.tells
        for key, kind in sorted(by_key.items(), key=lambda one: one[1] != "picture"):
            if not (says_all or kind in {"picture", "full"}):
                continue  # another line of its key may come with a picture
            folder = self.spool / token / f"line-{key}"
            write_answer(folder, kind)
            yield ReadLine(key=key, folder=folder, has_picture=kind in {"picture", "full"})

    async def claim(self, line: ReadLine, attempt_id: str) -> None:
        self.asked["claim"] += 1
        if self.dies_after is not None:
            if not self.dies_after:
                raise Killed
            self.dies_after -= 1
        is_there = (self.spool / attempt_id / "answer").exists()
        if not is_there or (line.has_picture and kind_in(self.spool / attempt_id) != "picture"):
            write_answer(self.spool / attempt_id, kind_in(line.folder))

    async def resume_line(self, attempt_id: str) -> AttemptResult:
        self.asked["resume"] += 1
        self.before_take()
        return said(kind_in(self.spool / attempt_id))

    async def find(self, token: str, lost: Any) -> Sought:
        assert token == self.token == lost.token
        return cast("Sought", self._next(self.listings, "find"))


class Killed(BaseException):
    """The process is no more."""


def write_answer(folder: Path, kind: str) -> None:
    """Let a whole answer lie in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "answer").write_text(f"{kind}\n{{}}\nend\n", encoding="ascii")


def kind_in(folder: Path) -> str:
    """Return what a whole answer says."""
    return (folder / "answer").read_text(encoding="ascii").split()[0]


def pictures(count: int) -> list[Kind]:
    """Return lines that all have a picture."""
    return ["picture"] * count


def virtually(main: Callable[[], Awaitable[T]]) -> T:
    """Run in virtual time: whenever all wait, time jumps to the next deadline."""
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def at_once(work: Callable[[], Any], /) -> Any:
    return work()


class Process:
    """One process that looks after what others have left, over the ledger in a folder.

    Attributes:
        recovery: What does.
        settled: What it has settled.
        after_commit: Called right behind each commit, before anybody hears of it.
    """

    def __init__(
        self,
        folder: Path,
        books: Sequence[BatchBooks],
        run_id: str = "run-2",
        *,
        now: datetime = NOW,
        at_once_most: int = 8,
    ) -> None:
        self.ledger = opened_in(folder)
        self.now = now
        self.settled: list[str] = []
        self.owners = Owners(folder)
        self.after_commit: Callable[[], object] = lambda: None
        inline = InlineCommit(self.ledger)

        async def commit(work: Callable[[Ledger], T], /) -> T:
            result = await inline(work)
            self.after_commit()
            return result

        self.commit = commit
        session = SimpleNamespace(
            reader=self.ledger, commit=commit, run_id=run_id,
            now=lambda: self.now, owners=self.owners,
            homes=SimpleNamespace(other=_nowhere),
        )  # fmt: skip
        self.pictures = Pictures(
            cast("Any", None), SpoolFolders(StateDir(folder)), max_pixels=1, blocking=at_once
        )
        conversation = SimpleNamespace(batching=_ByToken(books))
        self.recovery = Recovery(
            cast("Session", session),
            self.pictures,
            lambda _: cast("Conversation", conversation),
            longest_s=60.0,
            taken_at_once=at_once_most,
            book=cast("RunLedger", self),
        )

    def note(self, settled: Purchase) -> None:
        self.settled.append(settled.new.attempt_id)

    def notify(self) -> None: ...

    async def accept(self, token: str, accepted: Accepted) -> Job | None:
        return await self.commit(lambda ledger: ledger.accept(token, accepted, now=self.now))

    @contextmanager
    def hearing(self) -> Any:
        heard = list[tuple[str, dict[str, object]]]()
        names = {"batch.ended", "batch.strange_lines", "ledger.left_open"}

        def hear(happened: Event) -> None:
            if happened.name in names:
                heard.append((happened.name, happened.fields()))

        with trace.listening(hear):
            yield heard


class _ByToken(Batching):
    """The steps of several batches, in the place of a lane's."""

    def __init__(self, books: Sequence[BatchBooks]) -> None:
        self._books = {one.token: one for one in books}
        self._one = books[0]
        self.files = cast("Any", self)

    @property
    def listing(self) -> Any:
        return self._one.listing

    async def resume(self, name: str, ledger: RunLedger, *, age_s: float = 0.0) -> AttemptResult:
        assert age_s >= 0
        came = await self._books[name].resume_create(name)
        if isinstance(came, AttemptResult):
            return came
        return await self._accepted(Path(name), came, ledger)

    async def ask(self, name: str, before: BeingMade) -> Any:
        return await self._books[name].poll(name, before)

    async def find(self, name: str, lost: Any) -> Sought:
        return await self._books[name].find(name, lost)

    async def here(self, folder: Path, ended: BatchEnded, job: Job, *, lines: int) -> Results:
        return await self._books[folder.name].results(folder.name, ended, job, lines=lines)

    def reading(self, folder: Path, ended: BatchEnded, results: Results) -> Any:
        assert ended.files
        books = self._books[folder.name]
        reading = SimpleNamespace(passed=0, lacking=None)

        async def lines() -> AsyncGenerator[ReadLine]:
            async with aclosing(books.read(folder.name, results)) as read:
                async for line in read:
                    yield line
            if books.tells or not results.problem:
                reading.lacking = books.lacking

        reading.lines = lines
        return reading

    async def claim(self, line: ReadLine, to: Path) -> None:
        await self._one.claim(line, to.name)

    async def resume_line(self, attempt_id: str) -> AttemptResult:
        return await self._one.resume_line(attempt_id)


def _nowhere(_run_id: str) -> None:
    return None


def ended(how: Literal["completed", "expired"] = "completed") -> BatchEnded:
    return BatchEnded(how=how, files=("https://results",))


def made(again_s: float | None = 60.0) -> BeingMade:
    """Return that it is being made; which batch, is said by who asks."""
    return BeingMade(job=cast("Any", None), again_s=again_s)


def found(job: Accepted | None, *, at: datetime) -> Sought:
    """Return what a whole listing of some moment says."""
    return Sought(
        accepted=job, is_whole=job is None, began_at=at, listed_at=at, account="a", is_trusted=True
    )


LATER = timedelta(seconds=SETTLE_S)
