"""Looks after what runs have left behind, beside the run that goes on: one walk for every job.

A job has lines: what was bought by itself is a job of one line, named by its purchase, and a batch
one of many, named by its token. It is asked for once for all of them, what is true of all of them
is one transaction, and what has a result of its own is taken in by itself.

::

    SENDING ── its run is dead ──┬── its whole answer ── ACCEPTED, PAID, REFUSED, …
                                 ├── never sent ── VOID
                                 └── none ── UNKNOWN ── it is listed, or provably not
    ACCEPTED ── ask ──┬── being made
                      ├── ended ── line by line: PAID, PAID_BAD, REFUSED
                      │        └── what whole results lack ── REFUSED, or UNKNOWN
                      └── nobody can be asked any more ── UNKNOWN ── being made ── ACCEPTED

A run whose lock is free is dead: what it held for requests that were never sent is released, a
whole answer that lies in the spool is taken in without a request, and all else that may have been
billed is called unknown and stays counted. Nothing of a run that lives is touched, and nothing is
ever sent that is paid for. A job that its provider has accepted needs no death: whoever asks for it
gets the same answer. Those of one line are asked for as long as this run lasts, at the queue's
pace; a batch takes hours, and is left to a later run.

Only what runs of this home have left in work is judged: that no whole answer came is seen on the
disk where it would lie. What another home's runs have in work is left to that home.

Each job is looked after by itself, several at once, and may be cut off anywhere and done again.
What goes wrong with one is logged, leaves that one as it is, and keeps neither another job nor the
run from anything; a scene that needs one asks for it, and waits for just that. A dead run stays
dead, so no lock is held meanwhile: a settlement says which state it was made for, and is dropped if
the row has moved on, since then another run had the same evidence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import anyio

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import BatchEnded
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.events import LedgerNotTidied, LedgerRecovered
from stage3_plugin.domain.job import BeingMade, Job
from stage3_plugin.domain.purchase import Purchase, Settlement
from stage3_plugin.domain.states import OPEN, UNSETTLED, State
from stage3_plugin.errors import StorageFailed
from stage3_plugin.ledger.owners import MARGIN_S
from stage3_plugin.ledger.session import Session
from stage3_plugin.policy.polling import without_asking
from stage3_plugin.policy.reuse import after_its_owner
from stage3_plugin.policy.settlement import settlement_of
from stage3_plugin.purchase.conversation import Batching, Conversation
from stage3_plugin.purchase.drive import Drive, lost_job
from stage3_plugin.purchase.endings import NOTHING_TO_SHOW, Endings, left_open
from stage3_plugin.purchase.known import Known, Turns
from stage3_plugin.purchase.line_results import AT_ITS_PROVIDER, LineResults
from stage3_plugin.purchase.lost import (
    Brought,
    LostRequests,
    is_lost,
    may_be_going,
    name_of,
    was_accepted,
)
from stage3_plugin.purchase.run_ledger import RunLedger
from stage3_plugin.runtime import trace
from stage3_plugin.runtime.due_items import HANDS, DueItems
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool import batch_files

ConversationFor = Callable[[Endpoint], Conversation | None]
"""Returns the conversation with an endpoint; ``None`` if nothing here can speak with it."""

AT_ONCE = 8
"""Jobs looked after at once that no scene waits for."""

MOST_TAKEN_AT_ONCE = AT_ONCE + HANDS
"""As many as may ask at once: these tasks, and those of the scenes that wait."""

CONNECTED_S = 0.3
"""Seconds for which it is not asked again whether a home is connected."""
ASKED_SOON = 2
"""The first polls of a process come as they are asked for; all further ones at the batch's pace."""
SOON_S = 0.2


@dataclass(eq=False, repr=False)
class Recovery:
    """Recovers what runs have left.

    Args:
        session: The opened ledger.
        pictures: Has the received answers, and takes the pictures.
        conversation_for: See :data:`ConversationFor`.
        longest_s: Seconds that a request may take.
        taken_at_once: So many answers are read or fetched at once, as far as descriptors go.
        book: The ledger as the run sees it: it notes what is settled, and wakes who waits for it.

    Attributes:
        endings: What it settles goes there, and is told from there.
        is_over: All is done, or was cut off.
        job_moved: Called whenever a job was asked for.
    """

    session: Session
    pictures: Pictures
    conversation_for: ConversationFor
    _: KW_ONLY
    longest_s: float
    taken_at_once: int = MOST_TAKEN_AT_ONCE
    book: RunLedger
    is_over: bool = False
    job_moved: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._turns = Turns(min(self.taken_at_once, MOST_TAKEN_AT_ONCE))
        self._dead: set[str] = set()
        self._connected: dict[str, tuple[float, bool]] = {}
        self._found = deque[str]()
        self._known: dict[str, Known] = {}
        self._asking = DueItems[str](self._ask_again)
        self._lost = LostRequests(self.session)
        self.endings = Endings(self.session, self.pictures, self.book)
        self._open = set[str]()
        self._in_work: dict[str, str] = {}
        """Where the jobs of runs that have ended are, by name, until they have ended, too."""

    def look(self) -> None:
        """Find what there is to be looked after, before anything is bought.

        Raises:
            StorageFailed: The ledger cannot be read.
        """
        reader = self.session.reader
        unknown = reader.purchases(states={State.UNKNOWN})
        seen = set[str]()
        for purchase in chain(reader.open_purchases(), reader.accepted(), unknown):
            name, is_open = name_of(purchase), purchase.state in OPEN
            is_ours = purchase.new.run_id == self.session.run_id
            if is_open and (is_ours or self.home_of(purchase) is not None):
                continue
            is_accepted, was_seen = purchase.state is State.ACCEPTED, name in seen
            seen.add(name)  # the first of a job stands for all of it
            if was_seen or (is_accepted and self.lives(purchase)):
                continue
            self._found.append(purchase.new.attempt_id)
            is_awaited = is_accepted and purchase.new.line is None
            if is_open or is_awaited:  # a batch takes hours: no run waits for it
                self._open.add(name)
            if is_awaited:
                self._in_work[name] = purchase.new.endpoint.provider
            if is_lost(purchase):
                self._lost.watch(purchase)

    @property
    def is_halted(self) -> bool:
        """Return whether nothing more is begun."""
        return self._turns.is_halted

    @property
    def is_going(self) -> bool:
        """Return whether what was found open may still be brought to its end, and make room."""
        return bool(self._open) and not (self.is_over or self.is_halted)

    async def of_all(self) -> None:
        """Look after all that was found, remove what is not needed any more, and report of that.

        Never raises for what it finds. What it has not come to when it is halted or cancelled is
        as it was.
        """
        try:
            async with anyio.create_task_group() as beside:
                beside.start_soon(self._asking.run)
                async with anyio.create_task_group() as hands:
                    for _ in range(min(AT_ONCE, len(self._found))):
                        hands.start_soon(self._work)
                while not self._asking.is_at_rest:
                    await self._asking.moved()
                beside.cancel_scope.cancel()
            if not self.is_halted:
                await self._tidy()
                left = self.session.reader.open_purchases()
                self.session.owners.tidy(keep={one.new.run_id for one in left})
        except StorageFailed as failure:
            trace.event(LedgerNotTidied(problem=str(failure)))
        finally:
            self.is_over = True
            self.book.notify()
        counted = self.endings.counted.copy()
        unknown, void = counted.pop(State.UNKNOWN, 0), counted.pop(State.VOID, 0)
        if unknown or void or counted.total():
            adopted = counted.total()
            trace.event(LedgerRecovered(adopted=adopted, unknown=unknown, void=void))

    def halt(self) -> None:
        """Begin nothing more, and cut short what is under way; it costs nothing to do again."""
        self._turns.halt()
        self._asking.halt()

    async def _work(self) -> None:
        while self._found and not self.is_halted:
            attempt_id = self._found.popleft()
            due = await self._ask_again(attempt_id)
            if due is not None:
                self._asking.push(attempt_id, due)

    async def _ask_again(self, attempt_id: str) -> float | None:
        """Bring a job on; return when to ask for it again, if it has to be."""
        again_s = _again_s(await self._bring_on(attempt_id))
        return None if again_s is None or self.is_halted else anyio.current_time() + again_s

    def jobs_at(self, provider: str) -> int:
        """Count the jobs of other runs that are known to be in work at a provider."""
        return list(self._in_work.values()).count(provider)

    def may_have(self, purchase: Purchase) -> bool:
        """Return whether an unknown purchase may have a whole answer that was not tried yet."""
        known = self._known.get(name_of(purchase), Known())
        if known.waiters is not None:
            return True
        if self.is_halted or (known.was_tried and known.storage is None):
            return False
        if was_accepted(purchase) or is_lost(purchase):
            return True
        try:
            return self.pictures.spool.has_whole_answer(name_of(purchase))
        except StorageFailed:
            return True  # there may be one: bringing it on finds out, and reports it

    def is_dead(self, purchase: Purchase) -> bool:
        """Return whether a purchase's run has died; our own rows that were left open count as dead.

        A run of another home is never judged here: its answer may lie there. A lock that is free
        proves it for good.
        """
        run_id, owners = purchase.new.run_id, self.session.owners
        if run_id in self._dead or run_id == self.session.run_id:
            return True
        age_s = abs((self.session.now() - purchase.changed_at).total_seconds())
        is_over = age_s > self.longest_s + MARGIN_S
        is_left = self.pictures.spool.has_answer_left
        if self.home_of(purchase) is not None or may_be_going(
            purchase, owners, is_over=is_over, is_left=is_left
        ):
            return False
        if owners.has_lock(run_id):
            self._dead.add(run_id)
        return True

    def lives(self, purchase: Purchase) -> bool:
        """Return whether a purchase's run may live, as far as is known; our own does not count."""
        run_id = purchase.new.run_id
        if run_id == self.session.run_id:
            return False
        home = self.home_of(purchase)
        return self.session.owners.lives(run_id) if home is None else self._is_connected(home)

    def home_of(self, purchase: Purchase) -> str | None:
        """Return the home of a purchase's run; ``None`` if it is this one."""
        return self.session.homes.other(purchase.new.run_id)

    def is_left_elsewhere(self, purchase: Purchase) -> bool:
        """Return whether another home has a purchase in work, and no driver of it is connected."""
        home = self.home_of(purchase)
        return home is not None and not self._is_connected(home)

    def _is_connected(self, home: str) -> bool:
        """Return whether a driver of a home is connected; for all scenes that wait it is one."""
        now = anyio.current_time()
        known = self._connected.get(home)
        if known is None or now - known[0] > CONNECTED_S:
            self._connected[home] = known = now, self.session.reader.home_is_connected(home)
        return known[1]

    async def bring_on(self, attempt_id: str) -> Brought:
        """Bring a purchase's job as far as it can be brought now; never raises for what it finds.

        All lines of a job share one walk: who comes while it is under way gets what came of it, as
        soon as its line has ended, and who comes before the job is to be asked for again gets what
        is known of it, for nothing but a look at the row.

        Returns:
            For that purchase. ``making`` while its job is being made, with the seconds until it is
            asked for again in ``again_s``. ``attempted`` where its own answer was taken in by this
            process; of a line of another run only if it has no picture by its own word, so that one
            which has never run (expired, cancelled, absent) may be bought at once.
        """
        brought = await self._bring_on(attempt_id)
        if brought.attempted is not None and brought.purchase is not None:
            self.endings.forget(brought.purchase)  # who asks has heard of it
        return brought

    async def new_batch_folder(self, token: str) -> Path:
        """Make the folder of a batch of this run, and note whose it is until it is held.

        Raises:
            StorageFailed: The disk did not let us.
        """

        def make() -> Path:
            folder = self.pictures.new_folder(token)
            batch_files.note_owner(folder, self.session.run_id)
            return folder

        return await self.pictures.blocking(make)

    # One walk ------------------------------------------------------------------------------------

    async def _bring_on(self, attempt_id: str) -> Brought:
        try:
            purchase = self.session.reader.purchase(attempt_id)
        except Exception as error:  # noqa: BLE001 - an odd row, too, must not keep the others
            left_open(attempt_id, error)
            return Brought(purchase=None, storage=_if_the_disk(error))
        if purchase is None:
            return Brought(purchase=None)
        name = name_of(purchase)
        known = self._known.setdefault(name, Known())
        if known.waiters is None and self._is_due(purchase, known):
            known.waiters = {}
            try:
                await self._fenced(purchase, name, known)
            finally:
                known.end_walk()
        elif known.waiters is not None and purchase.state in UNSETTLED:
            await known.passed(attempt_id)
            return self._brought(attempt_id, known)
        brought = self._brought(attempt_id, known)
        if known.waiters is None and _again_s(brought) is None:
            self._open.discard(name)
        self.book.notify()
        return brought

    def _is_due(self, purchase: Purchase, known: Known) -> bool:
        """Return whether there is anything to be done for a purchase's job now."""
        if self.is_halted or purchase.state not in UNSETTLED:
            return False
        if purchase.state in OPEN or not was_accepted(purchase):
            return True
        return known.due is not None and anyio.current_time() >= known.due

    async def _fenced(self, purchase: Purchase, name: str, known: Known) -> None:
        """Look after one job; what that raises is logged, and leaves it as it is."""
        known.storage = None
        if purchase.new.line is None:
            self.endings.stuck.pop(name, None)
        try:
            await self._recover(purchase, name, known)
            stuck = self.endings.stuck.get(name)
            known.storage = None if stuck is None else stuck.storage
        except Exception as error:  # noqa: BLE001 - one that is odd must not keep the others
            known.storage = _if_the_disk(error)
            why = f"it could not be looked after: {type(error).__name__}"
            known.leave(why if known.storage is None else str(error))
            left_open(name, error)

    async def _recover(self, purchase: Purchase, name: str, known: Known) -> None:
        """Bring one job to an end, or as far as it can be brought now."""
        drive = self._drive_of(purchase)
        if purchase.state in OPEN:
            purchase = await self._after_its_owner(purchase, name, drive)
            if purchase.state in OPEN:
                return
        known.was_tried = True
        if purchase.state is State.UNKNOWN and not was_accepted(purchase):
            purchase = await self._look_for(purchase, name, drive)
        if purchase.state in AT_ITS_PROVIDER and was_accepted(purchase):
            await self._ask(purchase, name, drive, known)
        elif purchase.new.line is not None:
            await self._tidy_lines(name)

    def _drive_of(self, purchase: Purchase) -> Drive | None:
        """Return what drives a job; ``None`` if nothing here can speak with its provider."""
        conversation = self.conversation_for(purchase.new.endpoint)
        is_line = conversation is not None and purchase.new.line is not None
        return conversation.batching if conversation is not None and is_line else conversation

    async def _resume(
        self, purchase: Purchase, name: str, drive: Drive | None
    ) -> AttemptResult | None:
        """Go on from the whole answer to the one paid request; ``None`` if that cannot be now.

        Raises:
            StorageFailed: The disk did not give, or the ledger not take, what a batch was answered.
        """
        if drive is None:
            return None
        age_s = (self.session.now() - purchase.held_at).total_seconds()
        came = await self._turns.take(partial(drive.resume, name, self.book, age_s=age_s))
        if came is not None and came.storage is not None and purchase.new.line is not None:
            raise came.storage
        return came

    async def _after_its_owner(
        self, purchase: Purchase, name: str, drive: Drive | None
    ) -> Purchase:
        """Go on where a run has died over its one paid request; return what it stands at then."""
        run_id = purchase.new.run_id
        if not self.is_dead(purchase):
            return purchase
        is_complete = await self._has_answer(name)
        if run_id == self.session.run_id and not is_complete:
            return purchase  # it may be on its way at this moment
        state = after_its_owner(purchase, answer_is_complete=is_complete)
        if state is State.PAID:
            await self._adopt(purchase, name, drive)
            return self._as_it_is(purchase)
        why = "its run ended before the whole answer came"
        if state is State.VOID or self.session.owners.has_never_sent(run_id, name):
            state, why = State.VOID, "its run ended before it was sent"
        else:
            await self.pictures.secure(name)  # what lies there is as it came
        await self.endings.settle_job(purchase, Settlement(state=state, why=why), of=OPEN)
        return self._as_it_is(purchase)

    async def _adopt(self, purchase: Purchase, name: str, drive: Drive | None) -> None:
        """Take in an answer that was received to its end."""
        came = await self._resume(purchase, name, drive)
        if came is not None and came.making is None:
            await self._settle(purchase, came, of=OPEN)

    async def _look_for(self, purchase: Purchase, name: str, drive: Drive | None) -> Purchase:
        """Look for what became of a request: in the spool, then in its provider's listing."""
        if drive is None or (is_lost(purchase) and not self._lost.is_due(purchase)):
            return purchase
        came: AttemptResult | None = None
        if await self._has_answer(name):
            came = await self._resume(purchase, name, drive)
            if came is not None and came.making is not None:
                if purchase.new.line is None:
                    await self._lost.back(purchase, came.making)
            elif came is not None and (came.picture is not None or came.stays_open):
                await self.endings.end(purchase, came)
            found = self._as_it_is(purchase)
            # What was not read, for want of a turn or of its picture, must not be taken for lost.
            if came is None or came.stays_open or found.state is not State.UNKNOWN:
                return found
        heard = None if came is None else came.verdict
        if is_lost(purchase):
            find = partial(drive.find, name)
            ask = partial(self._lost.ask, purchase, drive.listing, find, heard=heard)
            after = await self._turns.take(ask)
            if after is not None and after.state is not State.UNKNOWN:
                self._note_found(after, name)
                return after
        if came is not None and purchase.new.line is None:
            self.endings.stuck[name] = came
        return purchase

    def _note_found(self, after: Purchase, name: str) -> None:
        """Note the end of what was provably never begun."""
        lines = self.session.reader.lines_of(name) if after.new.line is not None else [after]
        for one in lines:
            if one.state is State.REFUSED and one.decided_by is None:
                self.endings.note(one)
        self.book.notify()

    async def _ask(self, purchase: Purchase, name: str, drive: Drive | None, known: Known) -> None:
        """Ask for a job once, and take in what it has ended with."""
        job = purchase.job
        assert job is not None, "what was accepted has a job"
        if drive is None:
            await self._unasked(purchase, job, known)
            return
        results = None
        if isinstance(drive, Batching):
            results = LineResults(
                token=name,
                batching=drive,
                known=known,
                session=self.session,
                pictures=self.pictures,
                turns=self._turns,
                endings=self.endings,
            )
            if await results.take_left() and await self._tidy_lines(name):
                return
        before = known.making or BeingMade(job=job)
        said = await self._turns.take(partial(drive.ask, name, before))
        if said is None:
            known.leave("others are asked first")
            return
        known.asked += 1
        self.job_moved()
        if isinstance(said, BeingMade):
            said = await self._as_told(purchase, said, drive, known)
        if isinstance(said, BeingMade):
            known.note(said)
        elif isinstance(said, BatchEnded):
            assert results is not None, "only many lines end so"
            await results.end(said, purchase, job)
            await self._tidy_lines(name)
        else:
            known.making, known.due = None, 0.0 if results is None else None
            await self._settle(purchase, said, of={State.ACCEPTED})

    async def _as_told(
        self, purchase: Purchase, making: BeingMade, drive: Drive, known: Known
    ) -> BeingMade | AttemptResult:
        """Record what asking says of a job that is gone, or that has come back."""
        assert purchase.job is not None, "what is asked for has a job"
        is_accepted = purchase.state is State.ACCEPTED
        if not isinstance(drive, Batching):
            if not is_accepted:
                await self._lost.back(purchase, making)
            return making
        if making.is_gone and is_accepted:
            gone = await self._lost.gone(purchase, making, within_s=drive.terms.within_s)
            return lost_job(purchase.job, gone) if isinstance(gone, str) else gone
        await self._lost.back(purchase, making)
        if making.again_s is None or making.problem or known.asked >= ASKED_SOON:
            return making
        return replace(making, again_s=min(making.again_s, SOON_S))

    async def _settle(
        self, purchase: Purchase, attempted: AttemptResult, *, of: Collection[State]
    ) -> None:
        """Settle a job by what is true of all of it."""
        if purchase.new.line is None:
            self._in_work.pop(purchase.new.attempt_id, None)
            await self.endings.end(purchase, attempted)
            return
        settlement = settlement_of(attempted, of_many=True)
        if settlement is not None:
            await self.endings.settle_job(purchase, settlement, of=of)

    async def _unasked(self, purchase: Purchase, job: Job, known: Known) -> None:
        """Leave a job that nothing here can ask for, but for one that nobody ever could."""
        known.due = None
        if job.expires_at is None:
            return
        unasked = without_asking((job.expires_at - self.session.now()).total_seconds())
        if unasked is not None:
            lost = Settlement(state=State.UNKNOWN, why=unasked.why)
            await self.endings.settle_job(purchase, lost, of={State.ACCEPTED})

    # How it stands -------------------------------------------------------------------------------

    def _brought(self, attempt_id: str, known: Known) -> Brought:
        """Return how a purchase stands, and what is known of it."""
        try:
            purchase = self.session.reader.purchase(attempt_id)
        except StorageFailed:
            return Brought(purchase=None)
        if purchase is None or purchase.state not in UNSETTLED:
            return Brought(purchase=purchase, attempted=self.endings.came.get(attempt_id))
        stuck = self.endings.stuck.get(attempt_id)
        if stuck is not None:
            return Brought(purchase=purchase, attempted=stuck, storage=stuck.storage)
        is_at_it = purchase.state is State.ACCEPTED or purchase.new.line is not None
        making = known.as_it_stands() if is_at_it and was_accepted(purchase) else None
        return Brought(purchase=purchase, making=making, storage=known.storage)

    def _as_it_is(self, purchase: Purchase) -> Purchase:
        return self.session.reader.purchase(purchase.new.attempt_id) or purchase

    async def _has_answer(self, name: str) -> bool:
        """Return whether a whole answer lies in the spool."""
        return await self.pictures.blocking(partial(self.pictures.spool.has_whole_answer, name))

    # What is not needed any more -----------------------------------------------------------------

    async def _tidy(self) -> None:
        """Remove the received answers of what is settled and has nothing to show."""
        for name in await self.pictures.received():
            purchase = self.session.reader.purchase(name)
            if purchase is None:
                await self._tidy_batch(name)
                continue
            if purchase.state not in NOTHING_TO_SHOW:
                continue
            # What a person called unbilled was kept as it came until then, and stays: it may be
            # what the person's word is to be held against.
            if purchase.state is State.PAID or purchase.decided_by is None:
                await self.pictures.remove_answer(name)

    async def _tidy_batch(self, token: str) -> None:
        """Remove the folder of a batch that has ended, or of one that was never held."""
        if self.session.reader.job_named(token) is not None:
            await self._tidy_lines(token)
            return
        folder, run_id = self.pictures.spool.folder_of(token), self.session.run_id
        owner = await self.pictures.blocking(partial(batch_files.owner_of, folder))
        if owner is None:
            is_over = await self.pictures.blocking(partial(batch_files.is_abandoned, folder))
        else:
            is_over = owner != run_id and not self.session.owners.lives(owner)
        if is_over:
            await self.pictures.remove_answer(token)

    async def _tidy_lines(self, token: str) -> bool:
        """Remove the folder of a batch whose last line is final; return whether it is.

        What a person has decided about keeps it: it may be what their word is to be held against.
        """
        lines = self.session.reader.lines_of(token)
        if any(one.state in UNSETTLED for one in lines):
            return False
        if all(one.decided_by != "user" or one.state is State.PAID for one in lines):
            await self.pictures.remove_answer(token)
        return True


def _if_the_disk(error: Exception) -> StorageFailed | None:
    return error if isinstance(error, StorageFailed) else None


def _again_s(brought: Brought) -> float | None:
    """Return when a job is asked for again in this run; a batch takes hours, and is not."""
    making, purchase = brought.making, brought.purchase
    is_line = purchase is not None and purchase.new.line is not None
    is_left = is_line or brought.storage is not None
    return None if making is None or is_left else making.again_s
