"""Gets a scene the right to be sent, and settles what came of it.

Between the run, which asks for one scene after another, and the ledger, which answers for all runs:
checkout waits until an amount fits under a cap and an answer fits on the disk, and decides when
waiting has no sense any more. A hold that does not fit may fit later, as long as this run has
purchases in work: they may settle for less than they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, TypeAlias

from host_stub.contract import Failure
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.events import BudgetReached
from stage3_plugin.domain.job import NewJob
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.money import FREE, Charge, to_usd
from stage3_plugin.domain.purchase import CapName, Held, OverCap, Purchase, Settlement
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.domain.states import OPEN, UNSETTLED, State
from stage3_plugin.errors import IllegalTransition
from stage3_plugin.policy.pricing import ABSURD
from stage3_plugin.policy.reuse import Reuse
from stage3_plugin.policy.settlement import cost_with_hold, settlement_of
from stage3_plugin.purchase import messages
from stage3_plugin.purchase.forecast import Elsewhere, Pricing
from stage3_plugin.purchase.recovery import Recovery
from stage3_plugin.purchase.run_ledger import InTheWay, Line, RunLedger
from stage3_plugin.purchase.takes import LiveTake, Part

RESERVE_BYTES = 16 << 20
"""Kept free beside the answers in flight, for the ledger and the pictures' other names."""
ANSWER_FILES = 12
"""Of an answer: its folder and what is in it, the object and its folder, what is being written."""
RESERVE_FILES = 16
"""Kept free beside them, for the folders around them, the ledger and its log."""
_SCOPES: Final[dict[CapName, str]] = {"budget_usd": "run", "daily_usd": "day", "total_usd": "total"}
"""What is reported of which cap is reached."""


@dataclass(frozen=True, slots=True)
class Stands:
    """A purchase stands for the scene, and this step of it sends nothing now.

    Attributes:
        purchase: That.
        means: ``REUSE``: its picture is there. ``BUSY`` or ``AWAITED``: it is in another run's
            work, or waits for its picture. ``RESEND``: it may be sent again, and was sent by
            another step: that one does.
    """

    purchase: Purchase
    means: Reuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The scene must not be sent.

    Attributes:
        failure: Why.
        stops: It is true of every other scene, too.
        over: The cap that is in the way, if it is one.
    """

    failure: Failure
    stops: bool = False
    over: OverCap | None = None


HALTED = Denied(failure=messages.STOPPED)
"""Nothing stands for the scene, and nothing more is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRefused:
    """Its line was taken in before it came here, and has no picture, by its own word.

    By this run, or by anybody before it who had no scene to end by it. It is said once of each such
    line. What follows is what would follow if it had come just now.

    Attributes:
        purchase: As it stands: ``REFUSED``, or ``PAID_BAD`` for a refusal that was billed.
        attempted: What its result came to.
    """

    purchase: Purchase
    attempted: AttemptResult


NotNow: TypeAlias = Stands | Denied | LineRefused
"""Why nothing is held for a picture now."""


@dataclass(slots=True)
class _InWork:
    """What one run has in work, at whatever route.

    Attributes:
        in_hand: Answers that the disk needs room for.
        given_up: Purchases that were left open, and make no room for others in this run.
        is_halted: Nothing more is sent.
        expects_to_find: Whether the scene before had a purchase.
    """

    in_hand: int = 0
    given_up: int = 0
    is_halted: bool = False
    expects_to_find: bool = True


@dataclass(eq=False, repr=False)
class Checkout:
    """Holds and settles for one run, at one route.

    Args:
        run_ledger: The ledger as the run sees it.
        route: Where it is bought.
        keys_of: Returns what a request is known by there.
        story: What is to be bought; what was paid for elsewhere is said of it.
        free_bytes: Returns how much the disk can still take.
        free_files: Returns how many more files it can take, if that is limited.
        answer_bytes: The most one answer takes.
        recovery: Looks after what other runs have left.
    """

    run_ledger: RunLedger
    route: Route
    _: KW_ONLY
    keys_of: Callable[[PictureRequest], Keys]
    story: Iterable[PictureRequest]
    free_bytes: Callable[[], int]
    free_files: Callable[[], int | None] = lambda: None
    answer_bytes: int
    recovery: Recovery
    _in_work: _InWork = field(default_factory=_InWork)

    def __post_init__(self) -> None:
        book = self.run_ledger
        self.caretaker = book.caretaker
        self.estimate = Pricing(self.route, book.reader, run=book).estimate
        self.elsewhere = Elsewhere(
            book.reader, self.route, self.story, keys_of=self.keys_of, estimate=self.estimate
        )

    def at(self, route: Route, keys_of: Callable[[PictureRequest], Keys]) -> Checkout:
        """Return the same for another route of the run."""
        return replace(self, route=route, keys_of=keys_of, story=())

    async def claim(self, request: PictureRequest, part: Part | None = None) -> Held | NotNow:
        """Find a scene's picture, or hold the money for its request.

        What is there is found after :meth:`halt`, too: it costs nothing. Holding looks as well, in
        its transaction. So where the scene before was new, as in a first run, the next is taken to
        be new as well, and looked for only if it cannot be held.

        Args:
            request: The picture.
            part: Which take of its scene it is; the one that is wanted, by default.

        Raises:
            StorageFailed: The ledger or the disk did not let us; nothing was sent.
        """
        part = part or Part()
        if not self._in_work.expects_to_find:
            line = await self.look(request, part, is_new=True)
            tried = await self._try_to_hold([line], None) if isinstance(line, Line) else ()
            if isinstance(tried, list):
                return tried[0]
        found: Held | NotNow | Line = await self.look(request, part)
        while isinstance(found, Line):
            found = (await self.hold([found]))[0]
        return found

    async def look(
        self, request: PictureRequest, part: Part, *, is_new: bool = False
    ) -> Line | NotNow:
        """Return what stands for a picture; nothing is held, and what it says may be held later.

        Args:
            request: The picture.
            part: Which take of its scene it is.
            is_new: Take it that no purchase stands for it.

        Raises:
            StorageFailed: The ledger cannot be read.
        """
        keys, is_line = self.keys_of(request), request.lane == "batch"
        stands = None
        if not is_new:
            stands = self.run_ledger.find(keys, part)
            self._in_work.expects_to_find = stands is not None
        if stands is not None:
            found = self._standing(stands, keys, part)
            is_sent_again = isinstance(found, Stands) and found.means is Reuse.RESEND
            if not is_sent_again or _is_of_another_step(stands, keys):
                return found
        endings = self.recovery.endings
        refused = endings.refused(keys) if is_line and stands is None else None
        if refused is not None:
            await endings.tell(refused[0])
            return LineRefused(purchase=refused[0], attempted=refused[1])
        denied = self.no_more() or self._not_bought(request)
        if denied is not None:
            return denied
        doubted = self.elsewhere.doubts.elsewhere(keys, but=part.of_others)
        if doubted is not None:
            return self._standing(LiveTake(doubted, None), keys, part)
        await self.elsewhere.before_buying(keys)
        lost = None if stands is None else stands.purchase
        take = self.run_ledger.take_to_be(keys, part, but=lost) if is_line else None
        return Line(request=request, keys=keys, part=part, take=take, instead_of=lost)

    def _standing(self, take: LiveTake, keys: Keys, part: Part) -> Stands | Denied:
        """Return what a purchase means for a take, which is at it from now on."""
        purchase, is_ours = take.purchase, take.number is not None
        part.turn_to(purchase.new.attempt_id)
        means = self.run_ledger.standing(take, keys)
        if is_ours and means is not Reuse.REUSE and self.recovery.may_have(purchase):
            means = Reuse.AWAITED
        if not is_ours and purchase.state in OPEN and self.recovery.is_dead(purchase):
            means = Reuse.AWAITED  # recovery has not come to it yet: it may never have left
        if means is not Reuse.UNDECIDED:
            return Stands(purchase, means)
        if is_ours:
            return Denied(failure=messages.undecided(purchase, self.caretaker))
        return Denied(failure=messages.doubted(purchase, self.route, self.caretaker))

    async def hold(
        self, lines: Sequence[Line], batch: NewJob | None = None
    ) -> list[Held] | dict[int, Line | NotNow]:
        """Hold the money for all lines of a job, with its row, in one commit.

        Once this returns a list, all of them are durable and ``SENDING``, and the one paid request
        may leave. While something goes on that may make room for it, a hold waits.

        Args:
            lines: In the order of their numbers in the file, from 0; one, where they are no batch.
            batch: What they are lines of, if they are: with its token and its input file.

        Returns:
            The holds, in the order of the lines. Or, where anything is in the way of any line:
            what looking at such lines says by now, by their places, all of them at once; then
            nothing was changed. A line that does not fit under a cap together with those before it
            is :class:`Denied` with ``over`` and ``stops``; one whose take is another by now is
            that :class:`Line`. The others fit together, if nothing happens meanwhile.

        Raises:
            LedgerInDoubt: They may be held, and may not: nothing may be sent.
            StorageFailed: The ledger did not let us; nothing was held.
        """
        while True:
            version = self.run_ledger.version
            no_more = self.no_more()
            if no_more is not None:
                return dict.fromkeys(range(len(lines)), no_more)
            tried = await self._try_to_hold(lines, batch)
            if isinstance(tried, list):
                return tried
            if not self._may_make_room(tried.values(), is_batch=batch is not None):
                return {place: await self._why(lines[place], one) for place, one in tried.items()}
            await self.run_ledger.changed(since=version)

    async def _try_to_hold(
        self, lines: Sequence[Line], batch: NewJob | None
    ) -> list[Held] | Mapping[int, InTheWay | None]:
        """Hold the money now, or return what is in the way; ``None`` if the disk has no room."""
        answers = 1 if batch is None else 0  # what comes of a batch has its turns
        if answers and not self._has_room():
            return {0: None}
        # Counted before it is durable, so that the disk is not promised twice.
        self._in_work.in_hand += answers
        held: list[Held] | Mapping[int, InTheWay] = {}
        try:
            most = [self.estimate(one.request).high_microusd or 0 for one in lines]
            held = await self.run_ledger.hold(lines, most, route=self.route, batch=batch)
        finally:
            if not isinstance(held, list):
                self._in_work.in_hand -= answers
        return held

    def _may_make_room(self, tried: Iterable[InTheWay | None], *, is_batch: bool) -> bool:
        """Return whether what is in work may make the room that is lacking, by its end."""
        lacking = [one for one in tried if one is None or isinstance(one, OverCap)]
        if self.recovery.is_going:  # what runs before have left may still make room
            return bool(lacking)
        work = self._in_work
        return any(
            # No batch waits until others are made, which takes hours.
            work.in_hand > 0 if one is None or is_batch else one.open_here > work.given_up
            for one in lacking
        )

    async def _why(self, line: Line, in_the_way: InTheWay | None) -> Line | NotNow:
        """Return what keeps a line from being held, as looking at it would say."""
        if in_the_way is None:
            full = messages.no_room(self.answer_bytes, lacks_files=self._lacks_files())
            return Denied(failure=full, stops=True)
        if isinstance(in_the_way, OverCap):
            return Denied(failure=self.failure_of(in_the_way), stops=True, over=in_the_way)
        if isinstance(in_the_way, Purchase):
            return Denied(failure=messages.billed_for_nothing(in_the_way))
        if isinstance(in_the_way, LiveTake):
            if in_the_way.number is None:
                return self._standing(in_the_way, line.keys, line.part)
            beside = self._beside(in_the_way, line)
            if beside is not None:
                return beside
        return await self.look(line.request, line.part)

    def _beside(self, other: LiveTake, line: Line) -> Stands | Denied | None:
        """Return why one of unknown outcome is not sent once more, where another stands beside it.

        So it is where fewer takes are wanted than once were: what is in doubt of all of them counts
        for those, and looking would find the same one first for ever.

        Returns:
            ``None`` where one of them has gone on since it was read: looking says more.
        """
        stands, lost = other.purchase, line.instead_of
        if lost is None or stands.state not in UNSETTLED or stands.new == lost.new:
            return None
        for one in (stands, lost):
            now = self.run_ledger.reader.purchase(one.new.attempt_id)
            if now is None or now.state is not one.state:
                return None
        found = self._standing(other, line.keys, line.part)
        if isinstance(found, Stands) and found.means is Reuse.RESEND:
            return Denied(failure=messages.undecided(stands, self.caretaker))
        return found

    def no_more(self) -> Denied | None:
        """Return why nothing more is held, if that is so."""
        if self._in_work.is_halted:
            return HALTED
        overrun = self.overrun()
        return None if overrun is None else Denied(failure=overrun, stops=True)

    def _not_bought(self, request: PictureRequest) -> Denied | None:
        """Return that a picture is refused, or its price not known while there is a cap."""
        refused = self.route.refuse(request)
        if refused is not None:
            return Denied(failure=Failure(code="rejected", message=refused))
        if not self.run_ledger.limits.any or self.estimate(request).high_microusd is not None:
            return None
        return Denied(failure=messages.unpriced(request))

    def _has_room(self) -> bool:
        needed = (self._in_work.in_hand + 1) * self.answer_bytes + RESERVE_BYTES
        return self.free_bytes() >= needed and not self._lacks_files()

    def _lacks_files(self) -> bool:
        """Return whether the disk lacks room for the files of one more answer, not for bytes."""
        free = self.free_files()
        return (
            free is not None and free < (self._in_work.in_hand + 1) * ANSWER_FILES + RESERVE_FILES
        )

    async def settle(
        self, lines: Sequence[Held], attempted: AttemptResult
    ) -> tuple[Charge, Purchase | None]:
        """Record what came of the one paid request of a job, for all of its lines.

        Of a create that was not accepted: never left or not as a whole: ``VOID``. Answered whole,
        and unbilled: ``REFUSED``. All else is ``UNKNOWN``: a create is never called billed for
        nothing, and a line that somebody has decided about meanwhile stays as it is. Where it
        ``stays_open`` nothing is recorded.

        Args:
            lines: What is held for it, by its lines.
            attempted: What it came to.

        Returns:
            The cost, as the ledger counts it, of each line; and the purchase as it was left, where
            a person or another run has decided about it while its answer was on its way.

        Raises:
            StorageFailed: It could not be recorded. The next start does.
        """
        held = lines[0]
        is_line, hold_microusd = held.line is not None, held.hold_microusd
        is_here = self.route.is_here
        settlement = settlement_of(
            attempted, hold_microusd=hold_microusd, may_be_cut=is_here, of_many=is_line
        )
        if settlement is None:
            self._release_room(held)
            if attempted.storage is not None:  # all others are waited for beside dispatch
                self.give_up(len(lines))
            return attempted.cost, None
        try:
            await self._record(held, settlement, of={State.SENDING} if is_line else None)
        except IllegalTransition:
            found = self.run_ledger.reader.purchase(held.attempt_id)
            if found is None:
                raise
            if found.state is not settlement.state:
                return attempted.cost, found
        if is_line and settlement.state is not State.UNKNOWN:
            return FREE, None
        return cost_with_hold(attempted, hold_microusd, settlement.state), None

    async def release(self, held: Held, why: str) -> None:
        """Release what was held for a request that was never sent, for all lines of its job.

        What a person or another run has decided about stays as it is.

        Raises:
            StorageFailed: It could not be recorded. The next start does.
        """
        await self._record(held, Settlement(state=State.VOID, why=why), of={State.SENDING})

    async def _record(
        self, held: Held, settlement: Settlement, *, of: Collection[State] | None
    ) -> None:
        batch = None if held.line is None else held.token
        try:
            await self.run_ledger.settle(batch or held.attempt_id, settlement, of=of)
        finally:
            self._in_work.in_hand -= held.line is None

    async def leave_open(self, held: Held) -> None:
        """Leave a purchase whose attempt ended in an exception as it is, unless that may be cut.

        The next start takes in what lies in its spool.
        """
        if self.route.is_here:
            await self.release(held, "cut short")
        else:
            self._release_room(held)
            self.give_up()

    def halt(self) -> None:
        """Let nothing more be sent; claims that wait return so."""
        self._in_work.is_halted = True
        self.run_ledger.notify()

    def give_up(self, count: int = 1) -> None:
        """Stop counting on purchases that were left open: they make no room in this run."""
        self._in_work.given_up += count
        self.run_ledger.notify()

    def _release_room(self, held: Held) -> None:
        """Count its answer out of what the disk is promised to; claims that wait look again."""
        self._in_work.in_hand -= held.line is None
        self.run_ledger.notify()

    def failure_of(self, over: OverCap) -> Failure:
        """Return the failure of what does not fit under a cap."""
        return messages.over_cap(
            over,
            resets_at=self._resets_at(over),
            is_doubted=bool(self.run_ledger.reader.overbilled(**ABSURD)),
            caretaker=self.caretaker,
        )

    def reached(self, over: OverCap) -> BudgetReached:
        """Return what is to be reported of what does not fit under a cap."""
        return BudgetReached(
            scope=_SCOPES[over.cap],
            limit_usd=to_usd(over.limit_microusd),
            committed_usd=to_usd(over.committed_microusd),
            needed_usd=to_usd(over.needed_microusd),
            resets_at=self._resets_at(over),
        )

    def _resets_at(self, over: OverCap) -> datetime | None:
        """Return when a cap begins anew, in UTC; ``None`` if it does not by itself.

        The day that is counted may be after today.
        """
        calendar = self.run_ledger.session.calendar
        return calendar.resets_at(over.day).astimezone(UTC) if over.cap == "daily_usd" else None

    def made_instead(self, request: PictureRequest, part: Part) -> Purchase | None:
        """Return the purchase, of any run, that has given a take its picture."""
        found = self.run_ledger.find(self.keys_of(request), part)
        is_there = found is not None and found.purchase.state is State.PAID
        return found.purchase if found is not None and is_there else None

    def billed_refusals(self, request: PictureRequest) -> list[Purchase]:
        """Return what runs before were billed for refusing a picture, and nobody has decided."""
        keys = self.keys_of(request)
        found = self.run_ledger.reader.billed_for_nothing_since(keys, 0)
        return [one for one in found if one.is_billed_refusal and keys.take_of(one.new) is not None]

    def made_with_others(self, request: PictureRequest) -> Purchase | None:
        """Return the picture of a scene with whatever references, where its own are not shown."""
        bare = self.keys_of(replace(request, shown=()))
        return next(iter(self.run_ledger.reader.with_base(bare.base_keys)), None)

    def overrun(self) -> Failure | None:
        """Return the failure of a bill above its hold, while there is a cap: no more is held."""
        purchase = self.run_ledger.overrun
        return None if purchase is None else messages.overrun(purchase, self.caretaker)


def _is_of_another_step(stands: LiveTake, keys: Keys) -> bool:
    """Return whether what stands for a take was made in another way than these keys are of."""
    return stands.number is not None and not keys.of_take(stands.number).has(stands.purchase.new)
