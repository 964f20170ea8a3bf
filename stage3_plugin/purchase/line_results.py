"""Takes in what a job with many lines has ended with, line by line, as a stream.

A line is given the folder of its purchase before anything is settled from it, so that a run which
dies in between leaves what any other answer leaves. What the files of a batch say stays on the disk
until its last line is final, and may be read any number of times: a line that is final by then is
left alone. One without a picture waits until the files are whole, since another with the same key
may have one.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from stage3_plugin.domain import events
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import BatchEnded, line_of
from stage3_plugin.domain.events import BatchStrangeLines
from stage3_plugin.domain.job import BeingMade, Job
from stage3_plugin.domain.money import UNKNOWN
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import StorageFailed
from stage3_plugin.ledger.session import Session
from stage3_plugin.policy.settlement import settlement_of
from stage3_plugin.purchase.conversation import Batching
from stage3_plugin.purchase.endings import Endings, left_open
from stage3_plugin.purchase.known import Known, Turns
from stage3_plugin.purchase.result_files import Reading, ReadLine, Results
from stage3_plugin.runtime import trace
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool import batch_files

AT_ITS_PROVIDER = frozenset({State.ACCEPTED, State.UNKNOWN})
"""A line in these may still get its result."""
NOT_ALL = "its results are not all here"
TRIES = 3
"""Of the results of a batch that has ended, one right after the other, before a later walk."""
SHOWN_KEYS = 5
"""Of lines that are none of a batch's."""

_LEFT = AttemptResult(
    verdict=Verdict(
        kind=VerdictKind.PICTURES, may_be_billed=True, message="its result could not be taken in"
    ),
    cost=UNKNOWN,
    stays_open=True,
)


@dataclass(slots=True, kw_only=True)
class LineResults:
    """The results of one batch, in one walk.

    Attributes:
        token: Of the batch.
        batching: Reads them.
        known: What is known of it; who waits for a line goes once that was taken in.
        session: The opened ledger.
        pictures: Has the received answers.
        turns: Hands out turns.
        endings: Settles.
    """

    token: str
    batching: Batching
    known: Known
    session: Session
    pictures: Pictures
    turns: Turns
    endings: Endings
    _lines: dict[int, Purchase] = field(default_factory=dict[int, Purchase])
    _facts: Mapping[int, Mapping[str, str]] = field(default_factory=dict[int, Mapping[str, str]])
    """What was noted of their pictures when they were wanted, by their numbers."""
    _handed_on: set[int] = field(default_factory=set[int])
    _strange: list[str] = field(default_factory=list[str])

    @property
    def _folder(self) -> Path:
        return self.pictures.spool.folder_of(self.token)

    async def take_left(self) -> bool:
        """Take in the pictures of lines that a run before has claimed and not settled.

        What has none is read again from the results.

        Returns:
            Whether there were any: they are looked for once.

        Raises:
            StorageFailed: The disk or the ledger cannot be read.
        """
        if self.known.was_left:
            return False
        self.known.was_left = True
        names = set(await self.pictures.received())
        left = [
            one
            for one in self.session.reader.lines_of(self.token)
            if one.new.attempt_id in names and one.state in AT_ITS_PROVIDER
        ]
        self._facts = await self._read_facts() if left else {}
        for line in left:
            has_answer = partial(self.pictures.spool.has_whole_answer, line.new.attempt_id)
            if await self.pictures.blocking(has_answer):
                await self.turns.take(partial(self._take, line, is_left=True))
        return bool(left)

    async def end(self, ended: BatchEnded, line: Purchase, job: Job) -> None:
        """Take in the results of the batch, which has ended.

        Args:
            ended: What has ended it.
            line: Any of it.
            job: As it stands.

        Raises:
            StorageFailed: The disk failed; some lines may have been taken in.
        """
        self._tell(job, ended)
        known = self.known
        known.making = making = BeingMade(job=job, asked=known.asked, lines=ended.lines)
        lines = len(self.session.reader.lines_of(self.token))
        if ended.how == "completed" and ended.lines is not None and ended.lines.total != lines:
            ended = replace(ended, lacking="unknown")  # its counts are not of all that was sent
        for _ in range(TRIES):
            results = await self.turns.take(
                partial(self.batching.files.here, self._folder, ended, job, lines=lines)
            )
            if results is None or results.interrupted:
                known.leave(NOT_ALL)
                return
            lacking = await self._take_all(ended, results)
            if results.storage is not None:
                raise results.storage
            known.making = replace(making, stops_run=results.stops_run)
            known.leave(results.problem or NOT_ALL, results.again_s)
            if lacking is not None:
                await self._settle_lacking(line, lacking)
                return
            if results.stops_run or results.again_s is None:
                return

    async def _take_all(self, ended: BatchEnded, results: Results) -> AttemptResult | None:
        """Take in all lines that are here; return what is true of those that they do not have."""
        self._lines = {
            one.new.line: one
            for one in self.session.reader.lines_of(self.token)
            if one.new.line is not None
        }
        self._facts = await self._read_facts()
        self._handed_on, self._strange = set(), []
        reading = self.batching.files.reading(self._folder, ended, results)
        problem: Exception | None = None
        async with anyio.create_task_group() as tasks:
            try:
                await self.turns.take(partial(self._read, reading, tasks))
            except Exception as error:  # noqa: BLE001 - raised again, and not as a group of one
                problem = error
        if problem is not None:
            raise problem
        self._tell_strange(reading.passed)
        return reading.lacking

    async def _read(self, reading: Reading, tasks: TaskGroup) -> None:
        async with aclosing(reading.lines()) as lines:
            async for line in lines:
                if self.turns.is_halted:
                    return
                await self._hand_on(tasks, line)

    async def _settle_lacking(self, line: Purchase, lacking: AttemptResult) -> None:
        """Settle all lines that whole results lack, in one commit."""
        settlement = settlement_of(lacking, of_many=True)
        if settlement is not None:
            is_unknown = settlement.state is State.UNKNOWN
            await self.endings.settle_job(
                line,
                settlement,
                of={State.ACCEPTED} if is_unknown else AT_ITS_PROVIDER,
                heard=None if is_unknown else lacking,
                but=self._handed_on,
            )

    async def _hand_on(self, tasks: TaskGroup, came: ReadLine) -> None:
        """Give a line that was read to its purchase, and take it in, beside others if it can be."""
        number = line_of(self.token, came.key)
        line = None if number is None else self._lines.get(number)
        if number is None or line is None:
            self._strange.append(came.key)
            return
        self._handed_on.add(number)
        if not await self._is_wanted(line, came):
            return
        to = self.pictures.spool.folder_of(line.new.attempt_id)
        await self.batching.files.claim(came, to)
        take = partial(self._take, line)
        begun = self.turns.begin(take)
        if begun is None:
            await take()
        else:
            tasks.start_soon(begun)

    async def _is_wanted(self, line: Purchase, came: ReadLine) -> bool:
        """Return whether a line is to be taken in: its purchase waits for it.

        The picture of one that a person has decided about is kept and shown to them, once.
        """
        if line.state in AT_ITS_PROVIDER:
            return True
        if line.state is State.PAID or line.decided_by is None or not came.has_picture:
            return False
        noted = partial(self.pictures.spool.late, line.new.attempt_id)
        return await self.pictures.blocking(noted) is None

    async def _take(self, line: Purchase, *, is_left: bool = False) -> None:
        """Settle a line by what lies in its own folder; never raises for what goes wrong with it.

        Args:
            line: As it was read.
            is_left: Another process has put it there, which may have died over it.
        """
        attempt_id, stuck = line.new.attempt_id, self.endings.stuck
        try:
            attempted = await self.batching.resume_line(attempt_id)
            if attempted.picture is not None:
                facts = self._facts.get(line.new.line or 0, {})
                details = {**attempted.verdict.details, **facts}
                attempted = replace(attempted, verdict=replace(attempted.verdict, details=details))
            if attempted.picture is not None or not is_left:
                await self.endings.end(line, attempted)
        except Exception as error:  # noqa: BLE001 - one that is odd must not keep the others
            before = stuck.get(attempt_id)
            if isinstance(error, StorageFailed) and (before is None or before.storage is None):
                stuck[attempt_id] = replace(_LEFT, storage=error)
            left_open(attempt_id, error)
        self.known.pass_by(attempt_id)

    async def _read_facts(self) -> Mapping[int, Mapping[str, str]]:
        return await self.pictures.blocking(partial(batch_files.read_facts, self._folder))

    def _tell(self, job: Job, ended: BatchEnded) -> None:
        """Tell once that the batch has ended."""
        count = ended.lines
        if self.known.says_first(events.BatchEnded.name):
            trace.event(
                events.BatchEnded(
                    batch=self.token,
                    job="" if job.accepted is None else job.accepted.job_id,
                    how=ended.how,
                    lines=None if count is None else count.total,
                    done=None if count is None else count.done,
                    failed=None if count is None else count.failed,
                    expired=None if count is None else count.expired,
                    message=ended.message,
                )
            )

    def _tell_strange(self, more: int) -> None:
        """Tell once that results have lines that are none of the batch's: they change nothing."""
        keys = self._strange
        if (keys or more) and self.known.says_first(BatchStrangeLines.name):
            count, shown = len(keys) + more, tuple(key[:80] for key in keys[:SHOWN_KEYS])
            trace.event(BatchStrangeLines(batch=self.token, count=count, keys=shown))
