"""One run's view of the ledger: what it finds there, holds, and settles.

The ledger itself knows rows and counters; this module knows the run's: its caps, its calendar, the
lock that shows others it is alive. The database alone answers each question, so any number of runs
may share one ledger.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import date
from functools import partial
from typing import TypeAlias

import anyio

from stage3_plugin.domain.events import warn_of
from stage3_plugin.domain.job import Accepted, Job, NewJob
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.purchase import Held, Limits, NewPurchase, OverCap, Purchase, Settlement
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.domain.states import State
from stage3_plugin.errors import LedgerFailed, LedgerInDoubt
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.session import Session
from stage3_plugin.policy.pricing import is_absurd
from stage3_plugin.policy.reuse import OnUnknown, Reuse
from stage3_plugin.purchase import messages
from stage3_plugin.purchase.takes import LiveTake, Part, live_takes, needed, standing

WITHDRAWING_S = 5.0
"""For so long a run that ends begins anew to ask a ledger that took a hold and did not say so."""
_ASKED_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Nothing stands for a picture: it may be bought, by itself or as a line of a batch.

    Attributes:
        request: The picture.
        keys: What it is known by.
        part: Which take of its scene it is.
        take: Of a batch, which take of its wish it is, as :attr:`~.domain.purchase.Held.number`:
            its seed hangs on that. No other part of its scene that is looked at has the same.
        instead_of: One of unknown outcome that is written off for it, if both fit the caps.
    """

    request: PictureRequest
    keys: Keys
    part: Part
    take: int | None = None
    instead_of: Purchase | None = None


@dataclass(eq=False, repr=False)
class RunLedger:
    """The ledger as one run sees it.

    Args:
        session: The opened ledger.
        is_local: What its rows say of where they are made.
        limits: The caps.
        on_unknown: The setting.
        caretaker: Returns the command line of a ``stage3`` command for this ledger.
        story: What the ledger is to call the story that this run is of; without, it notes none.

    Raises:
        LedgerFailed: Here and in every method: the database did not let us.

    Attributes:
        limits: The caps.
        version: Counts how often this run's purchases have changed so that a cap may have room
            again.
        overrun: The first bill that was higher than what was held for it, while there is a cap.
        overruns: How many such bills were recorded by this run, whichever run they are of: those
            of a batch come to a later run than the one that has held for them.
    """

    session: Session
    _: KW_ONLY
    is_local: bool
    limits: Limits
    on_unknown: OnUnknown
    caretaker: Callable[[str], str]
    story: str = ""
    version: int = 0
    overrun: Purchase | None = None
    overruns: int = 0
    _story_is_noted: bool = False
    _waited_for: anyio.Event | None = None
    _in_doubt: list[str] = field(default_factory=list[str])
    """What may be held, and was not sent: its commit's fate is not known."""

    def __post_init__(self) -> None:
        self._first_event = self.session.reader.last_event()

    @property
    def reader(self) -> Ledger:
        """Return what the run reads with."""
        return self.session.reader

    def find(self, keys: Keys, part: Part) -> LiveTake | None:
        """Return the purchase that stands for a take of a scene, of any run, if one does.

        The reader sees what is durable; the hold asks again, in its transaction.
        """
        return part.among(live_takes(self.session.reader, keys, wanted=part.wanted))

    def age_s(self, held: Held) -> float:
        """Return the seconds since a hold by the wall clock; 0 where it is set back."""
        if held.held_at is None:
            return 0.0
        return max(0.0, (self.session.now() - held.held_at).total_seconds())

    def standing(self, take: LiveTake, keys: Keys) -> Reuse:
        """Return what a purchase means for the take that it stands for."""
        return standing(
            self.session.reader,
            take,
            keys,
            state=take.purchase.state,
            on_unknown=self.on_unknown,
        )

    async def hold(
        self,
        lines: Sequence[Line],
        most_microusd: Sequence[int],
        *,
        route: Route,
        batch: NewJob | None = None,
    ) -> list[Held] | Mapping[int, InTheWay]:
        """Hold the money for all lines of a job in one commit, or for none.

        Once this returns a list, their rows are durable and SENDING.

        Args:
            lines: In the order of their numbers; one alone, where they are no batch.
            most_microusd: The most that each can cost.
            route: Where they are bought.
            batch: The job that they are lines of, if they are.

        Returns:
            The holds; or what is in the way, by the places of the lines, of all that it is in the
            way of; then nothing was changed.
        """
        news = [
            self._new(line, most, route, batch, number)
            for number, (line, most) in enumerate(zip(lines, most_microusd, strict=True))
        ]
        for new, line in zip(news, lines, strict=True):
            line.part.turn_to(new.attempt_id)  # before other takes would see it in the ledger
        self.session.claim.renew()
        today = self.session.calendar.today()
        try:
            held = await self.session.commit(partial(self._write_lines, news, lines, route, today))
        except _NotAll as refusal:
            return refusal.in_the_way
        except LedgerInDoubt:
            self._in_doubt.extend(new.attempt_id for new in news)
            raise
        self._story_is_noted = True
        return held

    def _new(
        self, line: Line, most_microusd: int, route: Route, batch: NewJob | None, number: int
    ) -> NewPurchase:
        request, keys = line.request, line.keys
        return NewPurchase(
            attempt_id=secrets.token_hex(16),
            scene_key=keys.scene_key,
            scene_id=request.scene_id,
            run_id=self.session.run_id,
            endpoint=route.endpoint_of(request.model),
            size=request.size,
            quality=request.quality,
            is_local=self.is_local,
            hold_microusd=most_microusd,
            content_key=keys.content_key,
            base_key=keys.base_key,
            subject_key=keys.subject_key,
            job=batch or route.new_job(request),
            line=None if batch is None else number,
        )

    def _write_lines(
        self,
        news: Sequence[NewPurchase],
        lines: Sequence[Line],
        route: Route,
        day: date,
        ledger: Ledger,
    ) -> list[Held]:
        """Hold one line after the other; what is in the way of any undoes them all at the end."""
        held: list[Held] = []
        in_the_way: dict[int, InTheWay] = {}
        for place, (new, line) in enumerate(zip(news, lines, strict=True)):
            one = self._hold_slot(new, line, route, day, ledger)
            if isinstance(one, Held) and line.take in {None, one.number}:
                held.append(one)
            else:
                in_the_way[place] = one
        if in_the_way:
            raise _NotAll(in_the_way)
        if self.story and not self._story_is_noted:
            ledger.name_story(self.session.run_id, self.story)
        if not self.is_local:
            job = None if news[0].line is None else news[0].job
            self.session.claim.note_held(job.token or "" if job else news[0].attempt_id)
        return held

    def _hold_slot(
        self, new: NewPurchase, line: Line, route: Route, day: date, ledger: Ledger
    ) -> InTheWay:
        """Hold a free slot, unless something stands for the take, or is in doubt elsewhere."""
        now, keys, part = self.session.now(), line.keys, line.part
        unseen = {
            bad.new.slot: bad  # it cannot have been seen yet
            for bad in ledger.billed_for_nothing_since(keys, self._first_event)
            if _is_of(bad, keys) and not route.may_follow(bad, new)
        }
        lost = None if line.instead_of is None else ledger.purchase(line.instead_of.new.attempt_id)
        is_instead = lost is not None and lost.state is State.UNKNOWN  # or it has gone on
        if lost is not None and is_instead:
            if lost.new.slot in unseen:
                return unseen[lost.new.slot]
            written_off = Settlement(
                state=State.WROTE_OFF, why="sent again: on_unknown", decided_by="policy"
            )
            ledger.settle(lost.new.attempt_id, written_off, now=now)
        rows = ledger.of_subject(keys.subject_key)
        is_first = part.wanted == 1 and not (rows or unseen)  # and the hold itself looks again
        live = [] if is_first else live_takes(ledger, keys, wanted=part.wanted, rows=rows)
        mine = part.among(live)
        leaves_some = is_instead and len(live) < part.wanted  # those are for the other takes
        if mine is not None and not leaves_some:
            return mine
        slots = needed(
            rows,
            is_ours=lambda one: keys.take_of(one) is not None,
            unseen=unseen,
            wanted=part.wanted,
            beside=sum(one.purchase.new.subject_key != keys.subject_key for one in live),
        )
        if not slots:
            return next(iter(unseen.values()))
        taken = {one.number for one in live}
        free = [one for one in range(1, part.wanted + 1) if one not in taken]
        number = line.take if line.take in free else free[0]
        known_as = keys.of_take(number)
        if number > 1:
            new = replace(
                new,
                scene_key=known_as.scene_key,
                content_key=known_as.content_key,
                base_key=known_as.base_key,
            )
        new = replace(new, slot=slots[0])
        held = ledger.hold(new, self.limits, day=day, now=now, known_as=known_as)
        if isinstance(held, Purchase):
            return LiveTake(held, number)
        return replace(held, number=number) if isinstance(held, Held) else held

    async def accept(self, name: str, accepted: Accepted) -> Job | None:
        """Make a job's identifier durable, with all its lines ``ACCEPTED``, in one commit.

        Args:
            name: What the job is known by: the token of a batch, or else its purchase.
            accepted: What its provider said.

        Returns:
            The job as it stands then; ``None`` if all of it has been settled meanwhile.

        Raises:
            JobRefused: It is the name of another job, or this one has another.
        """
        now = self.session.now
        return await self.session.commit(lambda ledger: ledger.accept(name, accepted, now=now()))

    def take_to_be(self, keys: Keys, part: Part, *, but: Purchase | None) -> int:
        """Return which take of its wish a part is to be, where nothing stands for it.

        It is reserved for it among the parts of its scene.

        Args:
            keys: Of any take of the wish.
            part: Which take of its scene it is.
            but: One that is written off for it.
        """
        reader, wanted = self.session.reader, part.wanted
        live = [] if wanted == 1 else live_takes(reader, keys, wanted=wanted)
        lost = None if but is None else but.new.attempt_id
        return part.reserve({one.number for one in live if one.purchase.new.attempt_id != lost})

    async def settle(
        self, name: str, settlement: Settlement, *, of: Collection[State] | None = None
    ) -> list[Purchase]:
        """Record how a job ended; once this returns, that is durable.

        Args:
            name: What the job is known by: the token of a batch, or else its purchase.
            settlement: What is true of all its lines.
            of: The states that it was made for: what has gone on since stays as it is.

        Returns:
            The lines that have ended so.

        Raises:
            IllegalTransition: It was settled otherwise meanwhile.
        """
        now = self.session.now
        after = await self.session.commit(
            lambda ledger: ledger.settle(name, settlement, of=of, now=now())
        )
        self.session.claim.forget(name)
        for purchase in after:
            self.note(purchase)
        return after

    async def withdraw(self) -> None:
        """Give back what may be held and was never sent, once the ledger answers again.

        To be called by the run itself when it sends nothing more. It begins to ask for some
        seconds (:data:`WITHDRAWING_S`); a commit that is on its way is waited for to its end, and
        for as long as a ledger on a server waits for that. What is left then is seen by the next
        run of this home in the list of what was sent.
        """
        with anyio.move_on_after(WITHDRAWING_S, shield=True):
            while self._in_doubt:
                try:
                    await self.session.commit(self._write_void)
                except LedgerFailed:
                    await anyio.sleep(_ASKED_AGAIN_S)
                else:
                    self._in_doubt.clear()

    def note_sent(self, name: str) -> None:
        """Note that the request of an attempt, or the create of a batch, is about to leave.

        Raises:
            StorageFailed: The disk did not take it: it must not leave.
        """
        self.session.claim.note_sent(name)

    def _write_void(self, ledger: Ledger) -> None:
        now = self.session.now()
        unsent = Settlement(state=State.VOID, why="its commit was in doubt; it was never sent")
        for attempt_id in self._in_doubt:
            if ledger.purchase(attempt_id) is not None:
                ledger.settle(attempt_id, unsent, of={State.SENDING}, now=now)

    def note(self, purchase: Purchase) -> None:
        """Note that a purchase was settled, of this or any other run."""
        cost, is_ours = purchase.cost_microusd, purchase.new.run_id == self.session.run_id
        is_over = cost is not None and cost > purchase.new.hold_microusd
        self.overruns += is_over
        if self.limits.any and is_ours and is_over:
            self.overrun = self.overrun or purchase
        if is_absurd(purchase):
            warn_of(messages.absurd_bill(purchase, self.caretaker))
        self.notify()

    async def changed(self, since: int) -> None:
        """Wait until :attr:`version` is more than ``since``."""
        while self.version <= since:
            if self._waited_for is None:
                self._waited_for = anyio.Event()
            await self._waited_for.wait()

    def notify(self) -> None:
        """Wake the claims that wait for a purchase to be settled, to look again."""
        self.version += 1
        if self._waited_for is not None:
            self._waited_for.set()
            self._waited_for = None


def _is_of(purchase: Purchase, keys: Keys) -> bool:
    """Return whether a purchase was for a picture, on whatever route or of whatever subject."""
    return purchase.new.subject_key == keys.subject_key or keys.take_of(purchase.new) is not None


InTheWay: TypeAlias = LiveTake | Purchase | OverCap | Held
"""What keeps a line from being held: what stands for its take, of this route or another; what was
billed for nothing since this run began; a cap; or, of a batch, that its take is another by now."""


class _NotAll(Exception):
    """Something is in the way of lines of a job: none of them may be held."""

    def __init__(self, in_the_way: dict[int, InTheWay]) -> None:
        self.in_the_way = in_the_way
        super().__init__(len(in_the_way))
