"""Stays until what is being made at providers has come to its end, and takes it in.

Nothing is bought, and nothing is changed by leaving: a job goes on being made at its provider,
whoever asks for it and however often. Each job is followed by itself, at the pace of its kind, for
all of its purchases at once. Jobs that a living run has in work are left to it as long as it lives.

It lays nothing into a story: where a picture belongs a run knows, and puts it there for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Final, Self

import anyio
import anyio.lowlevel

from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import COUNTED, OPEN, State
from stage3_plugin.domain.waited import Waited, WaitedJob
from stage3_plugin.errors import StorageFailed
from stage3_plugin.ledger.session import Session
from stage3_plugin.policy.waiting import batch_wait_s
from stage3_plugin.purchase.lost import Brought, is_lost, name_of
from stage3_plugin.purchase.recovery import AT_ONCE, Recovery
from stage3_plugin.runtime.due_items import DueItems

LOOK_S: Final = 60.0
"""Seconds between two looks at the ledger for jobs that have come to be meanwhile."""
IN_HANDS_S: Final = 10.0
"""Seconds between two looks whether the run that has a job in work goes on."""
LOST_S: Final = 3600.0
"""A batch whose create was lost is waited for as long as its provider may come to list it."""
LEAST_WAIT_S: Final = 0.05
"""Seconds between two times of asking for one job, whatever it says."""
_A_TURN: Final = 200
"""Rows that are read without a pause for others."""


@dataclass(eq=False, repr=False)
class Waiting:
    """Waits for one ledger's jobs.

    Args:
        session: The ledger.
        recovery: Asks for them, and takes in what has come.
        can_ask: Whether the settings let a purchase be asked for at all.
        report: Called with how all of it stands, whenever something was asked.
    """

    session: Session
    recovery: Recovery
    _: KW_ONLY
    can_ask: Callable[[Purchase], bool]
    report: Callable[[Waited], None]

    def __post_init__(self) -> None:
        self._rows = self.session.reader
        self._followed: dict[str, _Followed] = {}
        self._due = DueItems[_Followed](self._ask)
        self._hands = anyio.CapacityLimiter(AT_ONCE)
        self._began_at = 0.0
        self._deadline = math.inf

    async def to_the_end(self, for_s: float | None = None) -> Waited:
        """Wait until nothing is being made any more, or cannot be asked for.

        Args:
            for_s: At most so many seconds; what is being fetched then is fetched to its end.

        Raises:
            StorageFailed: The ledger cannot be read.
        """
        self._began_at = anyio.current_time()
        self._deadline = math.inf if for_s is None else self._began_at + for_s
        failed: StorageFailed | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cut_short_when_cancelled)
            try:
                await self._take_up_what_was_left()
                await self._follow_all()
            except StorageFailed as failure:  # raised again, and not as a group of one
                failed = failure
            tasks.cancel_scope.cancel()
        if failed is not None:
            raise failed
        return self.as_it_stands()

    async def _cut_short_when_cancelled(self) -> None:
        """Let requests that are under way end at once when the wait does: they cost nothing.

        They are shielded from being cancelled, and would be waited for.
        """
        try:
            await anyio.sleep_forever()
        finally:
            self.recovery.halt()

    async def _follow_all(self) -> None:
        """Ask for each job until it is over; look for new ones now and then, and at the end."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._due.run)
            while True:
                for one in self._new_ones():
                    self._due.push(one, one.due)
                if self._due.is_at_rest:
                    break
                with anyio.move_on_after(LOOK_S):
                    while not self._due.is_at_rest:
                        await self._due.moved()
            self._due.halt()

    def as_it_stands(self) -> Waited:
        """Return how all of it stands."""
        now = anyio.current_time()
        due = [one.due for one in self._followed.values() if one.is_followed and one.open]
        return Waited(
            jobs=tuple(one.as_it_stands() for one in self._followed.values()),
            waited_s=now - self._began_at,
            next_s=max(0.0, min(due) - now) if due else None,
        )

    async def _take_up_what_was_left(self) -> None:
        """Bring on what dead runs have sent, and what was lost: some of it is being made."""
        jobs: dict[str, _Followed] = {}
        for purchase in (*self._rows.open_purchases(), *self._rows.lost()):
            if purchase.job is not None and not self.recovery.lives(purchase):
                one = jobs.setdefault(name_of(purchase), _Followed.by(purchase))
                one.open[purchase.new.attempt_id] = None
        async with anyio.create_task_group() as tasks:
            for name, one in jobs.items():
                tasks.start_soon(self._take_up, name, one)

    async def _take_up(self, name: str, one: _Followed) -> None:
        """Bring on the purchases of one job; what is done for one of them holds for the others."""
        async with self._hands:
            for attempt_id in list(one.open):
                found = self._rows.purchase(attempt_id)
                if found is not None and (found.state in OPEN or is_lost(found)):
                    await self.recovery.bring_on(attempt_id)
        await self._read(one)
        if not one.open:  # else it is followed as what it is now, or is nobody's to wait for
            one.is_followed = False
            self._followed[name] = one

    def _new_ones(self) -> Iterator[_Followed]:
        """Yield the jobs that are not followed yet, each once; add to them what is new of them."""
        lost = [one for one in self._rows.lost() if self._may_be_found(one)]
        for purchase in (*self._rows.accepted(), *lost):
            assert purchase.job is not None, "what was accepted, or can be found, has a job"
            name = name_of(purchase)
            one = self._followed.get(name)
            if one is None:
                one = self._followed[name] = _Followed.by(purchase)
                one.due = min(anyio.current_time(), self._deadline)  # once, however short it is
                one.open[purchase.new.attempt_id] = None
                yield one
            elif one.is_followed:
                one.open[purchase.new.attempt_id] = None

    def _may_be_found(self, purchase: Purchase) -> bool:
        """Return whether a batch whose create was lost may be found by staying."""
        job = purchase.job
        if job is None or job.new.lane != "batch":
            return False
        age_s = (self.session.now() - purchase.changed_at).total_seconds()
        return age_s < LOST_S

    async def _ask(self, one: _Followed) -> float | None:
        """Ask for a job once; return when it is looked at again, or the time is over."""
        wait_s: float | None = None
        if one.due <= self._deadline:
            wait_s = await self._looked_at(one)
            if wait_s is None:
                one.give_up()
        one.is_followed = wait_s is not None and bool(one.open)
        one.due = anyio.current_time() + (wait_s or 0.0)
        self.report(self.as_it_stands())
        return min(one.due, self._deadline) if one.is_followed else None

    async def _looked_at(self, one: _Followed) -> float | None:
        """Look at a job once; return when to look again, if that has any sense."""
        purchase = self._rows.purchase(next(iter(one.open)))
        is_in_hands = purchase is not None and self.recovery.lives(purchase)
        one.is_in_hands = is_in_hands
        if purchase is None or is_in_hands:
            await self._read(one)
            return IN_HANDS_S
        if not self.can_ask(purchase):
            one.problem = "the config names no way to ask for it"
            return None
        async with self._hands:
            brought = await self.recovery.bring_on(purchase.new.attempt_id)
        one.note(brought)
        await self._read(one)
        making = brought.making
        if making is not None and (making.again_s is not None or making.problem):
            return None if making.again_s is None else max(LEAST_WAIT_S, making.again_s)
        if one.is_lost and not self._may_be_found(purchase):
            return None
        if brought.not_here is not None and brought.not_here.needs_setting:
            return None
        return batch_wait_s(one.asked)

    async def _read(self, one: _Followed) -> None:
        """See which of a job's purchases have come to their end."""
        for number, attempt_id in enumerate(list(one.open)):
            purchase = self._rows.purchase(attempt_id)
            if purchase is not None:
                one.see(purchase)
            if number % _A_TURN == _A_TURN - 1:
                await anyio.lowlevel.checkpoint()


@dataclass(slots=True, kw_only=True)
class _Followed(WaitedJob):
    """A job that is followed, and what came of it so far.

    Attributes:
        open: The purchases that have not come to their end.
        due: When it is looked at again.
        is_followed: Somebody looks after it.
    """

    open: dict[str, None] = field(default_factory=dict[str, None])
    due: float = 0.0
    is_followed: bool = True

    @classmethod
    def by(cls, purchase: Purchase) -> Self:
        """Return the job of a purchase, with none of those that it has."""
        assert purchase.job is not None, "what is followed has a job"
        return cls(job=purchase.job, endpoint=purchase.new.endpoint, left=0)

    @property
    def is_lost(self) -> bool:
        """Return whether its provider's name of it is not known."""
        return self.job.accepted is None

    def note(self, brought: Brought) -> None:
        """Note what asking once more came to."""
        making, missing = brought.making, brought.not_here
        self.asked, self.problem = self.asked + 1, ""
        if making is not None:
            self.lines, self.problem = making.lines or self.lines, making.problem
        elif brought.storage is not None:
            self.problem = f"{brought.storage}; {brought.storage.hint}"
        elif missing is not None:
            self.problem = missing.problem

    def see(self, purchase: Purchase) -> None:
        """See how one of its purchases stands."""
        self.job = purchase.job or self.job
        if purchase.state in {*OPEN, State.ACCEPTED} or is_lost(purchase):
            return
        self.open.pop(purchase.new.attempt_id, None)
        self.ended = _with(self.ended, purchase.state)
        self.spent_microusd += purchase.counted_microusd
        if purchase.state not in COUNTED:
            self.free_microusd += purchase.new.hold_microusd
        if purchase.picture is None:
            self.without = (*self.without, purchase)

    def give_up(self) -> None:
        """Ask no more: what is lost stays unknown, what is being made stays there."""
        if self.is_lost:
            self.ended = _with(self.ended, State.UNKNOWN, len(self.open))
            self.open.clear()
        self.is_given_up = bool(self.open)

    def as_it_stands(self) -> WaitedJob:
        """Return how it stands."""
        return replace(self, left=len(self.open))


def _with(ended: Mapping[State, int], state: State, count: int = 1) -> dict[State, int]:
    return {**ended, state: ended.get(state, 0) + count}
