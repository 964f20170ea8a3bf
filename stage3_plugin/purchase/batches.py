"""Brings batches on: one walk for all lines of a job, whoever asks for which of them.

A line is a purchase like any other. What is different is that many of them have one job: it is
asked for once for all of them, and what is true of all of them is one transaction. A line that has
a result of its own is then taken in by itself, from its own folder in the spool.

::

    SENDING ── its run is dead ──┬── the create's whole answer ── ACCEPTED, REFUSED
                                 └── none ── UNKNOWN ── its label is listed, or provably not
    ACCEPTED ── poll ──┬── being made
                       ├── ended ── results ── line by line: PAID, PAID_BAD, REFUSED
                       │                └── what whole files lack ── REFUSED, or UNKNOWN
                       └── nobody can be asked any more ── UNKNOWN ── being made ── ACCEPTED

Everything begins with what lies on the disk and in the ledger, may be cut off anywhere, and is done
again by whoever comes next: another scene, a later run, another home.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import anyio

from stage3_plugin.domain import events
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import BatchEnded
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.events import LedgerLeftOpen
from stage3_plugin.domain.exchange import Lost, Sought
from stage3_plugin.domain.job import Accepted, BeingMade, Job
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.money import UNKNOWN
from stage3_plugin.domain.purchase import Purchase, Settlement
from stage3_plugin.domain.states import OPEN, UNSETTLED, State
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import JobRefused, LookupRefused, StorageFailed
from stage3_plugin.ledger.session import Session
from stage3_plugin.policy.polling import GiveUp, without_asking
from stage3_plugin.policy.settlement import settlement_of_create
from stage3_plugin.purchase.batching import Batching
from stage3_plugin.purchase.conversation import Conversation
from stage3_plugin.purchase.endings import Endings, as_settled, result_of, word_of
from stage3_plugin.purchase.line_results import AT_ITS_PROVIDER, LineResults
from stage3_plugin.purchase.lost import (
    Brought,
    Listed,
    LostRequests,
    is_lost,
    name_of,
    was_accepted,
)
from stage3_plugin.purchase.polling import lost as lost_job
from stage3_plugin.purchase.turns import Turns
from stage3_plugin.runtime import trace
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool import batch_files

ASKED_SOON = 2
"""The first polls of a process come as they are asked for; all further ones at the batch's pace."""
SOON_S = 0.2
AGAIN_S = 60.0
"""Seconds after which what did not work is tried again, where nothing says when."""
NOT_ALL = "its results are not all here"
TRIES = 3
"""Of the results of a batch that has ended, one right after the other, before a later walk."""

_MAY_GO_AGAIN = {VerdictKind.BUSY, VerdictKind.RATE_LIMITED}
"""Of what provably never ran, or was turned away: it says nothing about the picture."""


@dataclass(slots=True)
class _Known:
    """What is known of a batch by this process.

    Attributes:
        making: How far it is, if it was asked.
        due: When it may be asked again; ``None`` if this process asks no more.
        asked: How often it was polled.
        storage: The disk failed over it.
        was_left: What earlier processes left of its lines was looked at.
    """

    making: BeingMade | None = None
    due: float | None = 0.0
    asked: int = 0
    storage: StorageFailed | None = None
    was_left: bool = False


@dataclass(slots=True)
class _Walk:
    """A walk that is under way, and those who wait for one of its lines."""

    over: anyio.Event = field(default_factory=anyio.Event)
    waiters: dict[str, anyio.Event] = field(default_factory=dict[str, anyio.Event])

    async def passed(self, attempt_id: str) -> None:
        """Wait until a line has ended, or the walk is over."""
        await self.waiters.setdefault(attempt_id, anyio.Event()).wait()

    def pass_by(self, attempt_id: str) -> None:
        """Let those go who wait for a line."""
        waiter = self.waiters.pop(attempt_id, None)
        if waiter is not None:
            waiter.set()

    def end(self) -> None:
        """Let all go."""
        self.over.set()
        for waiter in self.waiters.values():
            waiter.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """An accepted batch that is asked for, in one walk."""

    token: str
    line: Purchase
    job: Job
    batching: Batching
    known: _Known
    walk: _Walk


class Batches:
    """Looks after the batches of one ledger; made by :class:`~.purchase.recovery.Recovery`.

    Args:
        session: The opened ledger.
        pictures: Has the received answers, and takes the pictures.
        conversation_for: Returns the conversation with an endpoint, if anything speaks with it.
        turns: Hands out turns.
        endings: Settles.
        lost: Asks for those whose create was lost.
        is_dead: Returns whether the run of a purchase has died.
    """

    def __init__(
        self,
        session: Session,
        pictures: Pictures,
        conversation_for: Callable[[Endpoint], Conversation | None],
        *,
        turns: Turns,
        endings: Endings,
        lost: LostRequests,
        is_dead: Callable[[Purchase], bool],
    ) -> None:
        self._session = session
        self._pictures = pictures
        self._conversation_for = conversation_for
        self._turns = turns
        self._endings = endings
        self._lost = lost
        self._is_dead = is_dead
        self._under_way: dict[str, _Walk] = {}
        self._known: dict[str, _Known] = {}
        self._came: dict[str, AttemptResult] = {}
        """What results of lines came to, where a scene may have to end by it."""
        self._refused: dict[str, list[Purchase]] = {}
        """Lines of other runs without a picture, by subject, until a scene has heard of them."""
        self._told = set[str]()
        """Lines of other runs that a scene of this process has heard of."""
        self._tried = set[str]()
        self._was_told = set[str]()
        self._results = LineResults(
            session,
            pictures,
            turns=turns,
            endings=endings,
            heard=self._hear,
            unheard=self._unhear,
        )

    async def bring_on(self, purchase: Purchase) -> Brought:
        """Bring the batch of a line as far as it can be brought now; never raises for its content.

        All lines of a batch share one walk: who comes while it is under way gets what came of it,
        as soon as its line has ended, and who comes before the batch is to be polled again gets
        what is known of it, for nothing but a look at the line's row.

        Args:
            purchase: A line, as it stands now, in any state.

        Returns:
            For that line. ``making`` while its batch is being made, with ``lines`` and the seconds
            until it is polled again in ``again_s``. ``attempted`` where its own result was taken in
            by this process and has no picture, whichever run it is of, or has one and it is of this
            run; ``None`` where a line of another run has never run (expired, cancelled, absent), so
            that it may be bought at once.
        """
        token, attempt_id = name_of(purchase), purchase.new.attempt_id
        walk = self._under_way.get(token)
        if walk is not None and purchase.state in UNSETTLED:
            await walk.passed(attempt_id)
        elif walk is None and self._is_due(purchase, token):
            walk = self._under_way[token] = _Walk()
            known = self._known.setdefault(token, _Known())
            known.storage = None
            try:
                await self._fenced(purchase, token, known, walk)
            finally:
                del self._under_way[token]
                walk.end()
        return self._brought(attempt_id, token)

    def is_under_way(self, purchase: Purchase) -> bool:
        """Return whether the batch of a line is being looked after at this moment."""
        return name_of(purchase) in self._under_way

    def was_tried(self, purchase: Purchase) -> bool:
        """Return whether the batch of a line was brought on by this process."""
        return name_of(purchase) in self._tried

    def refused(self, keys: Keys) -> tuple[Purchase, AttemptResult] | None:
        """Return a line of a wish that has no picture by its own word; each only once.

        One that this run has taken in; or one that somebody else has, and that no scene was told
        of: see :meth:`tell`.
        """
        for line in self._refused.get(keys.subject_key, ()):
            if keys.take_of(line.new) is not None:
                self.forget(line)
                return line, self._came[line.new.attempt_id]
        reader = self._session.reader
        for attempt_id, word in reader.untold(keys.subject_key).items():
            noted = None if attempt_id in self._told else reader.purchase(attempt_id)
            attempted = None if noted is None else result_of(noted, word)
            if noted is not None and attempted is not None and keys.take_of(noted.new) is not None:
                self.forget(noted)
                return noted, attempted
        return None

    async def tell(self, line: Purchase) -> None:
        """Note in the ledger that a scene ends by what came of a line: no later run is to.

        Never raises: where it cannot be noted, the next run is told once more, and buys nothing.
        """
        attempt_id, subject = line.new.attempt_id, line.new.subject_key
        try:
            if attempt_id in self._session.reader.untold(subject):
                await self._session.commit(lambda ledger: ledger.tell(line))
        except StorageFailed as failure:
            trace.event(LedgerLeftOpen(attempt_id=attempt_id, problem=str(failure)))

    def forget(self, line: Purchase) -> None:
        """Note, for this process, that the scene of a line has heard what came of it."""
        self._told.add(line.new.attempt_id)
        self._drop(line)

    def _drop(self, line: Purchase) -> None:
        """Keep a line no more among those that a scene has to hear of."""
        subject = line.new.subject_key or ""
        left = [one for one in self._refused.get(subject, ()) if one.new != line.new]
        if left:
            self._refused[subject] = left
        else:
            self._refused.pop(subject, None)

    async def new_folder(self, token: str) -> Path:
        """Make the folder of a batch, and note whose it is until it is held.

        Raises:
            StorageFailed: The disk did not let us.
        """

        def make() -> Path:
            folder = self._pictures.new_folder(token)
            batch_files.note_owner(folder, self._session.run_id)
            return folder

        return await self._pictures.blocking(make)

    async def tidy(self, name: str) -> None:
        """Remove the folder of a batch that has ended, or of one that was never held.

        Args:
            name: Of a folder in the spool that is no purchase's.

        Raises:
            StorageFailed: The ledger or the disk cannot be read.
        """
        if self._session.reader.job_named(name) is not None:
            await self._tidy(name)
            return
        folder = self._pictures.spool.folder_of(name)
        owner = await self._pictures.blocking(partial(batch_files.owner_of, folder))
        if owner is None:
            is_over = await self._pictures.blocking(partial(batch_files.is_abandoned, folder))
        else:
            is_over = self._is_over(owner)
        if is_over:
            await self._pictures.remove_answer(name)

    def _is_over(self, run_id: str) -> bool:
        """Return whether a run of this home has ended."""
        session = self._session
        return run_id != session.run_id and not session.owners.lives(run_id)

    # One walk ------------------------------------------------------------------------------------

    def _is_due(self, purchase: Purchase, token: str) -> bool:
        """Return whether there is anything to be done for a line's batch now."""
        if self._turns.is_halted or purchase.state not in UNSETTLED:
            return False
        if purchase.state in OPEN or not was_accepted(purchase):
            return True
        known = self._known.get(token)
        if known is None:
            return True
        return known.due is not None and anyio.current_time() >= known.due

    async def _fenced(self, purchase: Purchase, token: str, known: _Known, walk: _Walk) -> None:
        """Look after one batch; what that raises is logged, and leaves it as it is."""
        try:
            await self._bring_on(purchase, token, known, walk)
        except StorageFailed as failure:
            known.storage = failure
            self._leave(known, str(failure), AGAIN_S)
            trace.event(LedgerLeftOpen(attempt_id=token, problem=str(failure)))
            return
        except Exception as error:  # noqa: BLE001 - one that is odd must not keep the others
            problem = type(error).__name__
            self._leave(known, f"it could not be looked after: {problem}", AGAIN_S)
            trace.event(LedgerLeftOpen(attempt_id=token, problem=problem))
        self._tried.add(token)

    def _leave(self, known: _Known, problem: str, again_s: float | None) -> None:
        """Leave a batch as it is until later."""
        known.due = None if again_s is None else anyio.current_time() + again_s
        if known.making is not None:
            known.making = replace(known.making, problem=problem, again_s=again_s)

    async def _bring_on(self, purchase: Purchase, token: str, known: _Known, walk: _Walk) -> None:
        conversation = self._conversation_for(purchase.new.endpoint)
        batching = None if conversation is None else conversation.batching
        if purchase.state in OPEN:
            await self._after_its_owner(purchase, token, batching)
        found = self._session.reader.purchase(purchase.new.attempt_id)
        if found is not None and is_lost(found):
            await self._look_for(found, token, batching)
            found = self._session.reader.purchase(purchase.new.attempt_id)
        if found is None or found.state not in AT_ITS_PROVIDER or not was_accepted(found):
            await self._tidy(token)
            return
        assert found.job is not None, "a line has a job"
        if batching is None:
            await self._unasked(token, found.job, known)
        else:
            asked = partial(_Asked, token=token, line=found, job=found.job, batching=batching)
            await self._ask(asked(known=known, walk=walk))

    async def _after_its_owner(
        self, purchase: Purchase, token: str, batching: Batching | None
    ) -> None:
        """Go on where a run has died between the hold and what came of the create."""
        if not self._is_dead(purchase):
            return
        run_id = purchase.new.run_id
        spool, owners = self._pictures.spool, self._session.owners
        if await self._pictures.blocking(partial(spool.has_whole_answer, token)):
            await self._take_create(token, batching, of={State.SENDING})
        elif run_id == self._session.run_id:
            return  # it may be on its way at this moment
        elif owners.has_never_sent(run_id, token):
            unsent = Settlement(state=State.VOID, why="its run ended before it was sent")
            await self._endings.settle_lines(token, unsent, of={State.SENDING})
        else:
            why = "its run ended before the whole answer came"
            unknown = Settlement(state=State.UNKNOWN, why=why)
            await self._pictures.secure(token)  # what lies there is as it came
            await self._endings.settle_lines(token, unknown, of={State.SENDING})

    async def _take_create(
        self, token: str, batching: Batching | None, *, of: Collection[State]
    ) -> Verdict | None:
        """Take in the whole answer to a create that lies in the spool.

        Args:
            token: Of the batch.
            batching: Reads it.
            of: Settle what is in these states, if the answer is none that accepts.

        Returns:
            What it came to, where it has settled nothing; ``None`` also where it was not read now.
        """
        if batching is None:
            return None
        came = await self._turns.take(partial(batching.resume_create, token))
        if isinstance(came, Accepted):
            came = await self._accepted(token, came)
        if came is None:
            return None
        if came.storage is not None:
            raise came.storage
        settlement = settlement_of_create(came)
        if settlement is not None and of:
            await self._endings.settle_lines(token, settlement, of=of)
            return None
        return came.verdict

    async def _accepted(self, token: str, accepted: Accepted) -> AttemptResult | None:
        """Make a batch durable; return what its answer came to where its name cannot be right."""
        now = self._session.now
        try:
            await self._session.commit(lambda ledger: ledger.accept(token, accepted, now=now()))
        except JobRefused as refusal:
            verdict = Verdict(kind=VerdictKind.UNKNOWN, message=str(refusal), may_be_billed=True)
            return AttemptResult(verdict=verdict, cost=UNKNOWN)
        return None

    async def _look_for(self, purchase: Purchase, token: str, batching: Batching | None) -> None:
        """Look for a batch whose create was lost: in the spool, then in its provider's listing."""
        if batching is None or not self._lost.is_due(purchase):
            return
        heard: Verdict | None = None
        if await self._pictures.blocking(partial(self._pictures.spool.has_whole_answer, token)):
            heard = await self._take_create(token, batching, of=())
            found = self._session.reader.purchase(purchase.new.attempt_id)
            if found is None or not is_lost(found):
                return
            if heard is None:  # there was no turn to read it in: it must not be taken for lost
                return

        async def find(lost: Lost) -> Sought:
            return await batching.find(token, lost)

        listed = Listed(listing=batching.listing, find=find)
        after = await self._turns.take(partial(self._lost.ask, purchase, listed, heard=heard))
        if after is not None and after.state is State.REFUSED:
            for one in self._session.reader.lines_of(token):
                if one.state is State.REFUSED and one.decided_by is None:
                    self._endings.note(one)

    async def _unasked(self, token: str, job: Job, known: _Known) -> None:
        """Leave a batch that nothing here can ask for, but for one that nobody ever could."""
        known.due = None
        if job.expires_at is None:
            return
        unasked = without_asking((job.expires_at - self._session.now()).total_seconds())
        if isinstance(unasked, GiveUp):
            lost = Settlement(state=State.UNKNOWN, why=unasked.why)
            await self._endings.settle_lines(token, lost, of={State.ACCEPTED})

    # At its provider -----------------------------------------------------------------------------

    async def _ask(self, asked: _Asked) -> None:
        """Poll a batch once, and take in what it has ended with."""
        token, batching, known = asked.token, asked.batching, asked.known
        if not known.was_left:
            known.was_left = True
            await self._results.take_left(token, batching)
            if await self._tidy(token):
                return
        before = known.making or BeingMade(job=asked.job)
        said = await self._turns.take(partial(batching.poll, token, before))
        if said is None:
            self._leave(known, "others are asked first", AGAIN_S)
            return
        known.asked += 1
        if isinstance(said, BeingMade) and said.is_gone and asked.line.state is State.ACCEPTED:
            gone = await self._lost.gone(asked.line, said, within_s=batching.terms.within_s)
            said = lost_job(asked.job, gone) if isinstance(gone, str) else gone
        elif isinstance(said, BeingMade):
            await self._lost.back(asked.line, said)
        if isinstance(said, BeingMade):
            self._note(known, said)
        elif isinstance(said, AttemptResult):
            known.making, known.due = None, None
            lost = settlement_of_create(said)
            if lost is not None:
                await self._endings.settle_lines(token, lost, of={State.ACCEPTED})
        else:
            await self._end(asked, said)

    def _note(self, known: _Known, making: BeingMade) -> None:
        """Note how far a batch is; the first polls of a process come as they are asked for."""
        again_s = making.again_s
        if again_s is not None and known.asked < ASKED_SOON and not making.problem:
            again_s = min(again_s, SOON_S)
        known.making = replace(making, again_s=again_s)
        known.due = None if again_s is None else anyio.current_time() + again_s

    async def _end(self, asked: _Asked, ended: BatchEnded) -> None:
        """Take in the results of a batch that has ended."""
        token, batching, known = asked.token, asked.batching, asked.known
        self._tell(token, asked.job, ended)
        making = BeingMade(job=asked.job, asked=known.asked, lines=ended.lines)
        known.making = making
        lines = len(self._session.reader.lines_of(token))
        if ended.how == "completed" and ended.lines is not None and ended.lines.total != lines:
            ended = replace(ended, lacking="unknown")  # its counts are not of all that was sent
        for _ in range(TRIES):
            results = await self._turns.take(
                partial(batching.results, token, ended, asked.job, lines=lines)
            )
            if results is None or results.interrupted:
                self._leave(known, NOT_ALL, AGAIN_S)
                return
            taken = await self._results.take_all(
                token, batching, ended, results, passed=asked.walk.pass_by
            )
            if results.storage is not None:
                raise results.storage
            problem, again_s = results.problem or NOT_ALL, results.again_s or AGAIN_S
            known.making = replace(making, stops_run=results.stops_run)
            self._leave(known, problem, again_s)
            if taken.lacking is not None:
                await self._settle_lacking(token, taken.lacking, taken.handed_on)
                break
            if results.stops_run or results.again_s is None:
                break
        await self._tidy(token)

    async def _settle_lacking(
        self, token: str, lacking: AttemptResult, handed_on: Collection[int]
    ) -> None:
        """Settle all lines that whole results lack, in one commit."""
        settlement = settlement_of_create(lacking)
        if settlement is None:
            return
        of = {State.ACCEPTED} if settlement.state is State.UNKNOWN else AT_ITS_PROVIDER
        lines = {
            one.new.line: one
            for one in self._session.reader.lines_of(token)
            if one.new.line is not None and one.new.line not in handed_on
        }
        if not lines:
            return
        is_heard = settlement.state is not State.UNKNOWN
        before = [one for one in lines.values() if one.state in of] if is_heard else []
        untold = dict[str, str]()
        for line in before:
            word = self._hear(as_settled(line, settlement), lacking)
            if word is not None:
                untold[line.new.attempt_id] = word
        settled = set[str]()
        try:
            after = await self._endings.settle_lines(
                token, settlement, of=of, lines=set(lines), untold=untold
            )
            settled.update(one.new.attempt_id for one in after)
        finally:
            for line in before:
                if line.new.attempt_id not in settled:
                    self._unhear(line)

    def _tell(self, token: str, job: Job, ended: BatchEnded) -> None:
        """Tell once that a batch has ended."""
        if token in self._was_told:
            return
        self._was_told.add(token)
        count = ended.lines
        trace.event(
            events.BatchEnded(
                batch=token,
                job="" if job.accepted is None else job.accepted.job_id,
                how=ended.how,
                lines=None if count is None else count.total,
                done=None if count is None else count.done,
                failed=None if count is None else count.failed,
                expired=None if count is None else count.expired,
                message=ended.message,
            )
        )

    # What came of it -----------------------------------------------------------------------------

    def _unhear(self, line: Purchase) -> None:
        """Forget what a line was thought to come to."""
        self._came.pop(line.new.attempt_id, None)
        self._drop(line)

    def _hear(self, after: Purchase, attempted: AttemptResult) -> str | None:
        """Keep what a line comes to, where a scene of this run has to end by it.

        It is kept before that is settled: a scene may look at the row from that moment on. Of a
        line of another run it is returned what the ledger is to keep of it: this process may have
        no scene that wants it.
        """
        attempt_id = after.new.attempt_id
        if after.new.run_id == self._session.run_id:
            self._came[attempt_id] = attempted
            return None
        is_free = after.state is State.REFUSED and attempted.verdict.kind not in _MAY_GO_AGAIN
        if is_free or after.is_billed_refusal:
            self._came[attempt_id] = attempted
            self._refused.setdefault(after.new.subject_key or "", []).append(after)
            return word_of(attempted.verdict)
        return None

    def _brought(self, attempt_id: str, token: str) -> Brought:
        """Return how a line stands."""
        try:
            purchase = self._session.reader.purchase(attempt_id)
        except (StorageFailed, LookupRefused):
            return Brought(purchase=None)
        if purchase is None or purchase.state not in UNSETTLED:
            return Brought(purchase=purchase, attempted=self._came.get(attempt_id))
        stuck, known = self._results.stuck.get(attempt_id), self._known.get(token)
        if stuck is not None:
            return Brought(
                purchase=purchase,
                attempted=stuck,
                not_here=stuck.not_here,
                storage=stuck.storage,
            )
        making = None if known is None else known.making
        if making is not None and known is not None and known.due is not None:
            making = replace(making, again_s=max(0.0, known.due - anyio.current_time()))
        is_there = purchase.state in AT_ITS_PROVIDER and was_accepted(purchase)
        return Brought(
            purchase=purchase,
            making=making if is_there else None,
            storage=None if known is None else known.storage,
        )

    async def _tidy(self, token: str) -> bool:
        """Remove the folder of a batch whose last line is final; return whether it is.

        What a person has decided about keeps it: it may be what their word is to be held against.
        """
        lines = self._session.reader.lines_of(token)
        if any(one.state in UNSETTLED for one in lines):
            return False
        if all(one.decided_by != "user" or one.state is State.PAID for one in lines):
            await self._pictures.remove_answer(token)
        return True
