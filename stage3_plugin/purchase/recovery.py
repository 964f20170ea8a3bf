"""Looks after what runs have left behind, beside the run that goes on.

A run whose lock is free is dead: then what it held for requests that were never sent is released, a
complete answer that lies in the spool is taken in without a request, and all else that may have
been billed is called unknown and stays counted. Nothing of a run that lives is touched.

A job that its provider has accepted needs no death: whoever asks for it gets the same answer. The
jobs of runs that have ended are asked for as long as this run lasts, at their own pace.

Only what runs of this home have left in work is judged: that no whole answer came is seen on the
disk where it would lie. What another home's runs have in work is left to that home.

Each purchase is looked after by itself, several at once, and may be cut off anywhere and done
again. What goes wrong with one is logged, leaves that one as it is, and keeps neither another
purchase nor the run from anything; a scene that needs one asks for it, and waits for just that. A
dead run stays dead, so no lock is held meanwhile: a settlement says which state it was made for,
and is dropped if the row has moved on, since then another run had the same evidence.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.events import LedgerLeftOpen, LedgerNotTidied, LedgerRecovered
from stage3_plugin.domain.job import BeingMade, Job
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.purchase import Purchase, Settlement
from stage3_plugin.domain.states import OPEN, State
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import LookupRefused, StorageFailed
from stage3_plugin.ledger.owners import MARGIN_S
from stage3_plugin.ledger.session import Session
from stage3_plugin.policy.polling import GiveUp, without_asking
from stage3_plugin.policy.reuse import after_its_owner
from stage3_plugin.policy.settlement import settlement_of
from stage3_plugin.purchase.batches import Batches
from stage3_plugin.purchase.conversation import Conversation
from stage3_plugin.purchase.endings import NOTHING_TO_SHOW, Endings
from stage3_plugin.purchase.lost import (
    Brought,
    Listed,
    LostRequests,
    is_lost,
    name_of,
    was_accepted,
)
from stage3_plugin.purchase.run_ledger import RunLedger
from stage3_plugin.purchase.turns import Turns
from stage3_plugin.runtime import trace
from stage3_plugin.runtime.due_items import HANDS, DueItems
from stage3_plugin.storage.pictures import Pictures

ConversationFor = Callable[[Endpoint], Conversation | None]
"""Returns the conversation with an endpoint; ``None`` if nothing here can speak with it."""

Taken = TypeVar("Taken")
Take = Callable[[Conversation, Path], Awaitable[Taken]]
"""Goes on with what a purchase has left, in its folder."""

AT_ONCE = 8
"""Purchases looked after at once that no scene waits for."""

MOST_TAKEN_AT_ONCE = AT_ONCE + HANDS
"""As many as may ask at once: these tasks, and those of the scenes that wait."""

CONNECTED_S = 0.3
"""Seconds for which it is not asked again whether a home is connected."""


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
        is_over: All is done, or was cut off.
        job_moved: Called whenever a job was asked for.
    """

    def __init__(
        self,
        session: Session,
        pictures: Pictures,
        conversation_for: ConversationFor,
        *,
        longest_s: float,
        taken_at_once: int = MOST_TAKEN_AT_ONCE,
        book: RunLedger,
    ) -> None:
        self._session = session
        self._pictures = pictures
        self._conversation_for = conversation_for
        self._turns = Turns(min(taken_at_once, MOST_TAKEN_AT_ONCE))
        self._longest_s = longest_s
        self._book = book
        self._dead: set[str] = set()
        self._connected: dict[str, tuple[float, bool]] = {}
        self._found = deque[str]()
        self._in_hand: dict[str, _Underway] = {}
        self._tried: set[str] = set()
        self._jobs = _Jobs()
        self._asking = DueItems[str](self._ask_again)
        self._lost = LostRequests(session)
        self._endings = Endings(session, pictures, book)
        self._batches = Batches(
            session,
            pictures,
            conversation_for,
            turns=self._turns,
            endings=self._endings,
            lost=self._lost,
            is_dead=self.is_dead,
        )
        self._open = set[str]()
        self.is_over = False
        self.job_moved: Callable[[], None] = lambda: None

    def look(self) -> None:
        """Find what there is to be looked after, before anything is bought.

        Raises:
            StorageFailed: The ledger cannot be read.
        """
        reader = self._session.reader
        seen = set[str]()

        def is_first(purchase: Purchase) -> bool:
            """Return whether it stands for itself, or as the first line for all of its batch."""
            name = name_of(purchase)
            was_seen = purchase.new.line is not None and name in seen
            seen.add(name)
            return not was_seen

        self._found.extend(
            purchase.new.attempt_id
            for purchase in reader.open_purchases()
            if purchase.new.run_id != self._session.run_id
            and self.home_of(purchase) is None
            and is_first(purchase)
        )
        self._open.update(self._found)
        for purchase in reader.accepted():
            if not is_first(purchase) or self.lives(purchase):
                continue
            self._found.append(purchase.new.attempt_id)
            if purchase.new.line is None:  # a batch takes hours: no run waits for it
                self._open.add(purchase.new.attempt_id)
                self._jobs.expect(purchase)
        for purchase in reader.purchases(states={State.UNKNOWN}):
            if is_first(purchase):
                self._found.append(purchase.new.attempt_id)
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
                left = self._session.reader.open_purchases()
                self._session.owners.tidy(keep={one.new.run_id for one in left})
        except StorageFailed as failure:
            trace.event(LedgerNotTidied(problem=str(failure)))
        finally:
            self.is_over = True
            self._book.notify()
        counted = self._endings.counted.copy()
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
        """Bring a purchase on; return when to ask for its job again, if it has to be."""
        brought = await self._bring_on(attempt_id)
        making, purchase = brought.making, brought.purchase
        if making is None or making.again_s is None or self.is_halted:
            return None
        if purchase is not None and purchase.new.line is not None:
            return None
        return anyio.current_time() + making.again_s

    def jobs_at(self, provider: str) -> int:
        """Count the jobs of other runs that are known to be in work at a provider."""
        return self._jobs.in_work_at(provider)

    def may_have(self, purchase: Purchase) -> bool:
        """Return whether an unknown purchase may have a whole answer that was not tried yet."""
        attempt_id = purchase.new.attempt_id
        is_line, batches = purchase.new.line is not None, self._batches
        if attempt_id in self._in_hand or (is_line and batches.is_under_way(purchase)):
            return True
        was_tried = batches.was_tried(purchase) if is_line else attempt_id in self._tried
        if was_tried or self.is_halted:
            return False
        if was_accepted(purchase) or is_lost(purchase):
            return True
        try:
            return self._pictures.spool.has_whole_answer(name_of(purchase))
        except StorageFailed:
            return True  # there may be one: bringing it on finds out, and reports it

    def is_dead(self, purchase: Purchase) -> bool:
        """Return whether a purchase's run has died; our own rows that were left open count as dead.

        A run of another home is never judged here: its answer may lie there.
        A lock that is free proves it. A missing one proves nothing, since it may have been removed
        by hand, until a request would have ended long ago, or its whole answer lies there and no
        run can be taking it in.
        """
        run_id = purchase.new.run_id
        if run_id in self._dead or run_id == self._session.run_id:
            return True
        if self.home_of(purchase) is not None:
            return False
        owners = self._session.owners
        if owners.lives(run_id):
            return False
        if owners.has_lock(run_id):
            self._dead.add(run_id)
            return True
        age_s = abs((self._session.now() - purchase.changed_at).total_seconds())
        is_over = age_s > self._longest_s + MARGIN_S
        return is_over or self._pictures.spool.has_answer_left(name_of(purchase))

    def lives(self, purchase: Purchase) -> bool:
        """Return whether a purchase's run may live, as far as is known; our own does not count."""
        run_id = purchase.new.run_id
        if run_id == self._session.run_id:
            return False
        home = self.home_of(purchase)
        if home is not None:
            return self._is_connected(home)
        return self._session.owners.lives(run_id)

    def home_of(self, purchase: Purchase) -> str | None:
        """Return the home of a purchase's run; ``None`` if it is this one."""
        return self._session.homes.other(purchase.new.run_id)

    def is_left_elsewhere(self, purchase: Purchase) -> bool:
        """Return whether another home has a purchase in work, and no driver of it is connected."""
        home = self.home_of(purchase)
        return home is not None and not self._is_connected(home)

    def _is_connected(self, home: str) -> bool:
        """Return whether a driver of a home is connected; for all scenes that wait it is one."""
        now = anyio.current_time()
        known = self._connected.get(home)
        if known is None or now - known[0] > CONNECTED_S:
            self._connected[home] = known = now, self._session.reader.home_is_connected(home)
        return known[1]

    async def bring_on(self, attempt_id: str) -> Brought:
        """Bring one purchase as far as it can be brought now; never raises for what it finds.

        A caller that comes while that is under way gets the same result.
        """
        brought = await self._bring_on(attempt_id)
        if brought.attempted is not None and brought.purchase is not None:
            self._batches.forget(brought.purchase)  # who asks has heard of it
        return brought

    def refused_line(self, keys: Keys) -> tuple[Purchase, AttemptResult] | None:
        """Return a line of a wish without a picture that no scene has heard of; each only once."""
        return self._batches.refused(keys)

    async def tell(self, line: Purchase) -> None:
        """Note that a scene ends by what came of a line, for the runs after this; never raises."""
        await self._batches.tell(line)

    async def new_batch_folder(self, token: str) -> Path:
        """Make the folder of a batch of this run.

        Raises:
            StorageFailed: The disk did not let us.
        """
        return await self._batches.new_folder(token)

    async def _bring_on(self, attempt_id: str) -> Brought:
        underway = self._in_hand.get(attempt_id)
        if underway is not None:
            await underway.over.wait()
            return underway.brought
        underway = self._in_hand[attempt_id] = _Underway()
        try:
            underway.brought = await self._fenced(attempt_id)
        finally:
            del self._in_hand[attempt_id]
            if not _is_being_made(underway.brought):
                self._open.discard(attempt_id)
            underway.over.set()
            self._book.notify()
        return underway.brought

    async def _fenced(self, attempt_id: str) -> Brought:
        """Look after one purchase; what that raises is logged, and leaves it as it is."""
        try:
            return await self._recover(attempt_id)
        except StorageFailed as failure:
            trace.event(LedgerLeftOpen(attempt_id=attempt_id, problem=str(failure)))
            return Brought(purchase=self._now(attempt_id), storage=failure)
        except Exception as error:  # noqa: BLE001 - one that is odd must not keep the others
            problem = type(error).__name__
            trace.event(LedgerLeftOpen(attempt_id=attempt_id, problem=problem))
            return Brought(purchase=self._now(attempt_id))

    def _now(self, attempt_id: str) -> Purchase | None:
        """Return a purchase as it stands, if that can be read."""
        try:
            return self._session.reader.purchase(attempt_id)
        except (StorageFailed, LookupRefused):
            return None

    async def _recover(self, attempt_id: str) -> Brought:
        """Bring one purchase to an end, or as far as it can be brought now."""
        purchase = self._session.reader.purchase(attempt_id)
        if purchase is None:
            return Brought(purchase=None)
        if purchase.new.line is not None:
            return await self._batches.bring_on(purchase)
        if purchase.state is State.ACCEPTED:
            return await self._ask(purchase)
        return await self._recover_open(purchase)

    async def _recover_open(self, purchase: Purchase) -> Brought:
        attempt_id = purchase.new.attempt_id
        if purchase.state not in {*OPEN, State.UNKNOWN}:
            return Brought(purchase=purchase)
        if purchase.state in OPEN and not self.is_dead(purchase):
            return Brought(purchase=purchase)
        read = partial(self._pictures.spool.has_whole_answer, attempt_id)
        is_complete = await self._pictures.blocking(read)
        if purchase.state is State.UNKNOWN:
            if is_complete or was_accepted(purchase):
                return await self._try_again(purchase)
            return await self._look_for(purchase)
        if purchase.new.run_id == self._session.run_id and not is_complete:
            return Brought(purchase=purchase)  # it may be on its way at this moment
        state = after_its_owner(purchase, answer_is_complete=is_complete)
        if state is State.PAID:
            return await self._adopt(purchase)
        if self._session.owners.has_never_sent(purchase.new.run_id, attempt_id):
            state = State.VOID
        if state is State.VOID:
            settlement = Settlement(state=state, why="its run ended before it was sent")
        else:
            settlement = Settlement(state=state, why="its run ended before the whole answer came")
            await self._pictures.secure(attempt_id)  # what lies there is as it came
        after = await self._settle(purchase, settlement)
        return Brought(purchase=after) if after is None else await self._look_for(after)

    async def _look_for(self, purchase: Purchase, *, heard: Verdict | None = None) -> Brought:
        """Look for a lost request in its provider's listing, if it has one; then ask for its job.

        Where it is found it goes on as if its answer had come just now.

        Args:
            purchase: The unknown one.
            heard: What its answer came to, if a whole one came that does not settle it.
        """
        attempt_id = purchase.new.attempt_id
        if not is_lost(purchase) or not self._lost.is_due(purchase):
            return Brought(purchase=purchase)

        async def look(conversation: Conversation, folder: Path) -> Purchase:
            listed = Listed(listing=conversation.listing, find=partial(conversation.find, folder))
            return await self._lost.ask(purchase, listed, heard=heard)

        after = await self._taken(purchase, look)
        self._tried.add(attempt_id)
        if after is None or after.state is purchase.state:
            return Brought(purchase=purchase)
        self._book.notify()
        if after.state is State.ACCEPTED:
            return await self._ask(after)
        self._endings.note(after)
        return Brought(purchase=after)

    async def _ask(self, purchase: Purchase) -> Brought:
        """Ask for a job, unless that was done just now; its last answer ends the purchase."""
        assert purchase.job is not None, "what was accepted has a job"
        attempt_id, now = purchase.new.attempt_id, anyio.current_time()
        before = self._jobs.known(attempt_id, now) or BeingMade(job=purchase.job)
        if before.asked and before.again_s != 0:
            return Brought(purchase=purchase, making=before)
        attempted = await self._taken(
            purchase, lambda conversation, folder: conversation.ask(folder, before)
        )
        if attempted is None:
            return await self._unasked(purchase, purchase.job)
        self._jobs.note(attempt_id, attempted.making, anyio.current_time())
        self.job_moved()
        return await self._ended(purchase, attempted)

    async def _unasked(self, purchase: Purchase, job: Job) -> Brought:
        """Leave a job that was not asked for, but for one that nothing here could ever ask for."""
        if self._conversation_for(purchase.new.endpoint) is None and job.expires_at is not None:
            unasked = without_asking((job.expires_at - self._session.now()).total_seconds())
            if isinstance(unasked, GiveUp):
                lost = Settlement(state=State.UNKNOWN, why=unasked.why)
                return Brought(purchase=await self._settle(purchase, lost))
        return Brought(purchase=purchase)

    async def _ended(self, purchase: Purchase, attempted: AttemptResult) -> Brought:
        """Settle a purchase by what its answer came to, or say what keeps that from being done."""
        hold_microusd = purchase.new.hold_microusd
        settlement = settlement_of(attempted, may_be_cut=False, hold_microusd=hold_microusd)
        if settlement is None:
            found = self._now(purchase.new.attempt_id)
            if found is not None and found.state is not purchase.state:
                # Another run took it in, or our own wrote its job down, while it was read here.
                return Brought(purchase=found, making=attempted.making)
            return Brought(
                purchase=purchase,
                attempted=attempted,
                not_here=attempted.not_here,
                making=attempted.making,
                storage=attempted.storage,
            )
        if purchase.state in OPEN:
            settlement = without_doubt(attempted, settlement)
        return Brought(purchase=await self._settle(purchase, settlement), attempted=attempted)

    async def _adopt(self, purchase: Purchase) -> Brought:
        """Take in an answer that was received to its end."""
        attempted = await self._resumed(purchase)
        return (
            Brought(purchase=purchase)
            if attempted is None
            else await self._ended(purchase, attempted)
        )

    async def _try_again(self, purchase: Purchase) -> Brought:
        """Take in an answer that could not be taken in before, or leave it unknown."""
        attempted = await self._resumed(purchase)
        if attempted is not None and attempted.storage is not None:  # it must not be taken for lost
            return Brought(purchase=purchase, attempted=attempted, storage=attempted.storage)
        self._tried.add(purchase.new.attempt_id)
        if attempted is not None and _is_news(purchase, attempted):
            if attempted.making is not None:
                purchase = await self._lost.back(purchase, attempted.making)
            return await self._ended(purchase, attempted)
        if attempted is None or attempted.not_here is not None:
            return Brought(purchase=purchase, attempted=attempted)
        looked = await self._look_for(purchase, heard=attempted.verdict)
        return replace(looked, attempted=looked.attempted or attempted)

    async def _resumed(self, purchase: Purchase) -> AttemptResult | None:
        """Go on from what lies in the spool: the answer to the request, or the last of its job."""
        job = purchase.job
        age_s = (self._session.now() - purchase.held_at).total_seconds()

        async def resume(conversation: Conversation, folder: Path) -> AttemptResult:
            if job is not None and job.accepted is not None:
                return await conversation.ask(folder, BeingMade(job=job))
            return await conversation.resume(folder, self._book, age_s=age_s)

        return await self._taken(purchase, resume)

    async def _taken(self, purchase: Purchase, take: Take[Taken]) -> Taken | None:
        """Have a conversation go on with a purchase in its turn; ``None`` if that cannot be now."""
        conversation = self._conversation_for(purchase.new.endpoint)
        if conversation is None:
            return None
        folder = self._pictures.spool.folder_of(purchase.new.attempt_id)
        return await self._turns.take(partial(take, conversation, folder))

    async def _settle(self, purchase: Purchase, settlement: Settlement) -> Purchase | None:
        """Settle a purchase, unless that was done since it was read."""
        return await self._endings.settle(purchase, settlement)

    async def _tidy(self) -> None:
        """Remove the received answers of purchases that are settled and have nothing to show."""
        for attempt_id in await self._pictures.received():
            purchase = self._session.reader.purchase(attempt_id)
            if purchase is None:
                await self._batches.tidy(attempt_id)
                continue
            if purchase.state not in NOTHING_TO_SHOW:
                continue
            # What a person called unbilled was kept as it came until then, and stays: it may be
            # what the person's word is to be held against.
            if purchase.state is State.PAID or purchase.decided_by is None:
                await self._pictures.remove_answer(attempt_id)


class _Jobs:
    """What is known of jobs, so that none is asked for too often, and which are others' in work."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[BeingMade, float]] = {}
        self._places: dict[str, str] = {}
        self._in_work = Counter[str]()

    def expect(self, purchase: Purchase) -> None:
        """Count the job of a run that has ended, until it has ended, too."""
        provider = purchase.new.endpoint.provider
        self._places[purchase.new.attempt_id] = provider
        self._in_work[provider] += 1

    def in_work_at(self, provider: str) -> int:
        return self._in_work[provider]

    def known(self, attempt_id: str, now: float) -> BeingMade | None:
        """Return what is known of a job, with the wait that is left until it may be asked for."""
        making, at = self._known.get(attempt_id, (None, 0.0))
        if making is None or making.again_s is None:
            return making
        return replace(making, again_s=max(0.0, at + making.again_s - now))

    def note(self, attempt_id: str, making: BeingMade | None, now: float) -> None:
        """Note how far a job is; ``None`` if it has ended."""
        if making is not None:
            self._known[attempt_id] = making, now
            return
        self._known.pop(attempt_id, None)
        provider = self._places.pop(attempt_id, None)
        if provider is not None:
            self._in_work[provider] -= 1


class _Underway:
    """A purchase that is being looked after, and what came of it."""

    def __init__(self) -> None:
        self.over = anyio.Event()
        self.brought = Brought(purchase=None)


def _is_being_made(brought: Brought) -> bool:
    """Return whether a job is asked for again in this run; a batch takes hours, and is not."""
    making, purchase = brought.making, brought.purchase
    is_line = purchase is not None and purchase.new.line is not None
    return making is not None and making.again_s is not None and not is_line


def _is_news(purchase: Purchase, attempted: AttemptResult) -> bool:
    """Return whether what came of an unknown purchase says more than was known of it.

    The answer of a job's that has ended it says what became of it, whatever that is.
    """
    if attempted.making is not None:
        return not attempted.making.problem
    if attempted.picture is not None:
        return True
    return was_accepted(purchase) and not attempted.verdict.is_unknown


def without_doubt(attempted: AttemptResult, settlement: Settlement) -> Settlement:
    """Return the settlement of an answer that another run has left behind.

    Only an answer that says so itself, a success without a picture, is called billed for nothing.
    For all else that is wrong the time between may be to blame, such as a power cut.
    """
    says_so = attempted.verdict.kind is VerdictKind.NO_PICTURE
    if settlement.state is not State.PAID_BAD or says_so:
        return settlement
    why = f"a whole answer was left behind and could not be taken in: {settlement.why}"
    return replace(settlement, state=State.UNKNOWN, why=why)
