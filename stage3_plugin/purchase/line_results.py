"""Takes in what the results of a batch say, line by line.

A line is given the folder of its purchase before anything is settled from it, so that a run which
dies in between leaves what any other answer leaves. What the files of a batch say stays on the disk
until its last line is final, and may be read any number of times: a line that is final by then is
left alone. One without a picture waits until the files are whole, since another with the same key
may have one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import anyio
from anyio.abc import TaskGroup

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import BatchEnded, line_of
from stage3_plugin.domain.events import BatchStrangeLines, LedgerLeftOpen
from stage3_plugin.domain.money import UNKNOWN
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import StorageFailed
from stage3_plugin.ledger.session import Session
from stage3_plugin.policy.settlement import settlement_of
from stage3_plugin.purchase.batching import Batching
from stage3_plugin.purchase.endings import Endings, as_settled
from stage3_plugin.purchase.result_files import ReadingStopped, ReadLine, ReadLines, Results
from stage3_plugin.purchase.turns import Turns
from stage3_plugin.runtime import trace
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool import batch_files

AT_ITS_PROVIDER = frozenset({State.ACCEPTED, State.UNKNOWN})
"""A line in these may still get its result."""
SHOWN_KEYS = 5
"""Of lines that are none of a batch's."""

_LEFT = AttemptResult(
    verdict=Verdict(
        kind=VerdictKind.PICTURES, may_be_billed=True, message="its result could not be taken in"
    ),
    cost=UNKNOWN,
    stays_open=True,
)
Heard = Callable[[Purchase, AttemptResult], str | None]
"""Called with a line as it is about to be settled, and with what its result came to: a scene may
look at the row from the moment of its commit, and is to know why. Returns what is to be noted with
it for a later run, if one has to be told."""
Unheard = Callable[[Purchase], None]
"""Called with a line that was not settled so after all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """What the results of a batch were, all in all.

    Attributes:
        lacking: What is true of its lines that they do not have; ``None`` if that shows later.
        handed_on: The numbers of those that they have.
    """

    lacking: AttemptResult | None
    handed_on: frozenset[int]


class LineResults:
    """Takes in the results of batches for one run.

    Args:
        session: The opened ledger.
        pictures: Has the received answers.
        turns: Hands out turns.
        endings: Settles.
        heard: See :data:`Heard`.
        unheard: See :data:`Unheard`.

    Attributes:
        stuck: Lines that are here and could not be taken in now, and why, by their purchases.
    """

    def __init__(
        self,
        session: Session,
        pictures: Pictures,
        *,
        turns: Turns,
        endings: Endings,
        heard: Heard,
        unheard: Unheard,
    ) -> None:
        self.stuck: dict[str, AttemptResult] = {}
        self._session = session
        self._pictures = pictures
        self._turns = turns
        self._endings = endings
        self._heard = heard
        self._unheard = unheard
        self._strange = set[str]()

    async def take_left(self, token: str, batching: Batching) -> None:
        """Take in the pictures of lines that a run before has claimed and not settled.

        What has none is read again from the results.

        Raises:
            StorageFailed: The disk or the ledger cannot be read.
        """
        names = set(await self._pictures.received())
        facts: Mapping[int, Mapping[str, str]] | None = None
        for line in self._session.reader.lines_of(token):
            attempt_id, number = line.new.attempt_id, line.new.line
            if attempt_id not in names or number is None or line.state not in AT_ITS_PROVIDER:
                continue
            has_answer = partial(self._pictures.spool.has_whole_answer, attempt_id)
            if not await self._pictures.blocking(has_answer):
                continue
            if facts is None:
                facts = await self._facts(token)
            take = partial(self._take, line, batching, facts.get(number, {}), is_left=True)
            await self._turns.take(take)

    async def take_all(
        self,
        token: str,
        batching: Batching,
        ended: BatchEnded,
        results: Results,
        *,
        passed: Callable[[str], None],
    ) -> TakenIn:
        """Take in all lines of the results that are here.

        Args:
            token: Of the batch.
            batching: Reads them.
            ended: What has ended it.
            results: Its files.
            passed: Called with each purchase once its line was taken in, or could not be.

        Raises:
            StorageFailed: The disk failed; some lines may have been taken in.
        """
        taking = _Taking(
            token=token,
            batching=batching,
            passed=passed,
            lines={
                one.new.line: one
                for one in self._session.reader.lines_of(token)
                if one.new.line is not None
            },
            facts=await self._facts(token),
            is_all=results.are_whole or results.is_over,
        )
        problem: Exception | None = None
        read: ReadLines | None = None
        async with anyio.create_task_group() as tasks:
            take = partial(self._hand_on, taking, tasks)
            reading = partial(batching.read, token, ended, results, take)
            try:
                read = await self._turns.take(reading)
            except (_Halted, ReadingStopped):
                pass
            except Exception as error:  # noqa: BLE001 - raised again, and not as a group of one
                problem = error
        if problem is not None:
            raise problem
        self._tell_strange(token, taking.strange, 0 if read is None else read.passed)
        lacking = None if read is None else read.lacking
        for line in taking.waiting if lacking is not None else ():  # all is here, as it shows
            await self._turns.take(partial(self._take_for, taking, line))
        return TakenIn(lacking=lacking, handed_on=frozenset(taking.handed_on))

    async def _hand_on(self, taking: _Taking, tasks: TaskGroup, came: ReadLine) -> None:
        """Give a line that was read to its purchase, and take it in, beside others if it can be."""
        if self._turns.is_halted:
            raise _Halted
        line = taking.line_of(came)
        if line is None or not await self._is_wanted(line, came):
            return
        await taking.batching.claim(came, line.new.attempt_id)
        if not (came.has_picture or taking.is_all):
            taking.waiting.append(line)
            return
        take = partial(self._take_for, taking, line)
        begun = self._turns.begin(take)
        if begun is None:
            await take()
        else:
            tasks.start_soon(begun)

    async def _take_for(self, taking: _Taking, line: Purchase) -> None:
        await self._take(line, taking.batching, taking.facts_of(line))
        taking.passed(line.new.attempt_id)

    async def _is_wanted(self, line: Purchase, came: ReadLine) -> bool:
        """Return whether a line is to be taken in: its purchase waits for it.

        The picture of one that a person has decided about is kept and shown to them, once.
        """
        if line.state in AT_ITS_PROVIDER:
            return True
        if line.state is State.PAID or line.decided_by is None or not came.has_picture:
            return False
        noted = partial(self._pictures.spool.late, line.new.attempt_id)
        return await self._pictures.blocking(noted) is None

    async def _take(
        self,
        line: Purchase,
        batching: Batching,
        facts: Mapping[str, str],
        *,
        is_left: bool = False,
    ) -> None:
        """Settle a line by what lies in its own folder; never raises for what goes wrong with it.

        Args:
            line: As it was read.
            batching: Reads it.
            facts: What was noted of its picture when it was wanted.
            is_left: Another process has put it there, which may have died over it.
        """
        attempt_id = line.new.attempt_id
        try:
            await self._settle(line, batching, facts, is_left=is_left)
        except StorageFailed as failure:
            before = self.stuck.get(attempt_id)
            if before is None or before.storage is None:
                self.stuck[attempt_id] = replace(_LEFT, storage=failure)
            trace.event(LedgerLeftOpen(attempt_id=attempt_id, problem=str(failure)))
        except Exception as error:  # noqa: BLE001 - one that is odd must not keep the others
            problem = type(error).__name__
            trace.event(LedgerLeftOpen(attempt_id=attempt_id, problem=problem))

    async def _settle(
        self, line: Purchase, batching: Batching, facts: Mapping[str, str], *, is_left: bool
    ) -> None:
        attempt_id = line.new.attempt_id
        attempted = await batching.resume_line(attempt_id)
        if attempted.picture is None and is_left:
            return
        if attempted.picture is not None and facts:
            details = {**attempted.verdict.details, **facts}
            attempted = replace(attempted, verdict=replace(attempted.verdict, details=details))
        hold_microusd = line.new.hold_microusd
        settlement = settlement_of(attempted, may_be_cut=False, hold_microusd=hold_microusd)
        if settlement is None:
            self.stuck[attempt_id] = attempted
            return
        self.stuck.pop(attempt_id, None)
        after: Purchase | None = None
        untold = self._heard(as_settled(line, settlement), attempted)
        try:
            after = await self._endings.settle(line, settlement, untold=untold)
        finally:
            if after is None or after.state is not settlement.state:
                self._unheard(line)

    async def _facts(self, token: str) -> Mapping[int, Mapping[str, str]]:
        folder = self._pictures.spool.folder_of(token)
        return await self._pictures.blocking(partial(batch_files.read_facts, folder))

    def _tell_strange(self, token: str, keys: list[str], more: int) -> None:
        """Tell once that results have lines that are none of the batch's: they change nothing."""
        if (keys or more) and token not in self._strange:
            self._strange.add(token)
            count, shown = len(keys) + more, tuple(key[:80] for key in keys[:SHOWN_KEYS])
            trace.event(BatchStrangeLines(batch=token, count=count, keys=shown))


@dataclass(slots=True, kw_only=True)
class _Taking:
    """What is known while results are read.

    Attributes:
        token: Of the batch.
        batching: Reads them.
        passed: Called with each purchase that was taken in.
        lines: The batch's, by their numbers.
        facts: What was noted of their pictures.
        is_all: Nothing more comes: a line without a picture has none.
        handed_on: The numbers of lines that came.
        waiting: Lines without a picture, which may come with one as long as not all is here.
        strange: Keys that are none of its lines'.
    """

    token: str
    batching: Batching
    passed: Callable[[str], None]
    lines: dict[int, Purchase]
    facts: Mapping[int, Mapping[str, str]]
    is_all: bool
    handed_on: set[int] = field(default_factory=set[int])
    waiting: list[Purchase] = field(default_factory=list[Purchase])
    strange: list[str] = field(default_factory=list[str])

    def facts_of(self, line: Purchase) -> Mapping[str, str]:
        """Return what was noted of a line's picture."""
        return {} if line.new.line is None else self.facts.get(line.new.line, {})

    def line_of(self, came: ReadLine) -> Purchase | None:
        """Return whose result has come; ``None`` if it is nobody's."""
        number = line_of(self.token, came.key)
        line = None if number is None else self.lines.get(number)
        if number is None or line is None:
            self.strange.append(came.key)
            return None
        self.handed_on.add(number)
        return line


class _Halted(Exception):
    """The run ends: what was not read is read by a later one."""
