"""Asks providers for the requests whose answer was lost, and records what they prove.

Only reads are sent. A job that is found is made durable, and goes on as if its answer had come; one
that has provably never begun gives its money back; all else stays unknown, and what was asked, when
and to what end stands in the ledger for people to see. The conditions under which an absence is
believed are those of :mod:`stage3_plugin.policy.absence`; they have to hold of two listings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import anyio

from stage3_plugin.domain.attempt import AttemptResult, MissingPicture
from stage3_plugin.domain.events import coded, warn_of
from stage3_plugin.domain.exchange import Lost, Sought
from stage3_plugin.domain.job import Accepted, BeingMade, Job
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.purchase import Answered, Asking, Look, Purchase, Settlement
from stage3_plugin.domain.states import OPEN, State
from stage3_plugin.domain.verdict import Verdict
from stage3_plugin.errors import JobRefused, StorageFailed
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.owners import Owners
from stage3_plugin.ledger.session import Session
from stage3_plugin.policy.absence import measured, why_not_absent
from stage3_plugin.policy.polling import GONE_PART

APART_S = 2.0
"""Seconds between the two listings that have to agree."""
AGAIN_S = 10.0
"""Seconds after which a lost request is looked for once more: a listing may lag behind."""
PATIENCE_S = 60.0
"""Seconds for which a run goes on looking for a request that it has sent itself."""


def is_lost(purchase: Purchase) -> bool:
    """Return whether a purchase's provider could be asked what became of its request."""
    job = purchase.job
    return purchase.state is State.UNKNOWN and job is not None and job.accepted is None


def was_accepted(purchase: Purchase) -> bool:
    """Return whether a purchase's job is known by its provider's name of it."""
    return purchase.job is not None and purchase.job.accepted is not None


def name_of(purchase: Purchase) -> str:
    """Return what a request is known by here: all lines of a batch are one, by its token."""
    job = purchase.job
    is_line = purchase.new.line is not None and job is not None and job.new.token is not None
    return job.new.token or "" if is_line and job is not None else purchase.new.attempt_id


def may_be_going(
    purchase: Purchase, owners: Owners, *, is_over: bool, is_left: Callable[[str], bool]
) -> bool:
    """Return whether the run of an open purchase of this home lives, or may live.

    A lock that is free proves that it does not. A missing one proves nothing, since it may have
    been removed by hand, until a request would have ended long ago, or its whole answer lies there
    and no run can be taking it in.

    Args:
        purchase: An open one.
        owners: Has the locks.
        is_over: A request that was sent then would have ended long ago.
        is_left: Returns whether such an answer lies there, by its name.

    Raises:
        StorageFailed: Its lock cannot be looked at.
    """
    if owners.lives(purchase.new.run_id):
        return True
    return not (is_over or owners.has_lock(purchase.new.run_id) or is_left(name_of(purchase)))


class LostRequests:
    """Asks for one run's ledger.

    Args:
        session: The opened ledger.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._since: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self._looks: dict[str, list[Look]] | None = None

    def watch(self, purchase: Purchase) -> float:
        """Note that a purchase is unknown; return for how many seconds that has been known here."""
        now = anyio.current_time()
        return now - self._since.setdefault(name_of(purchase), now)

    def is_due(self, purchase: Purchase) -> bool:
        """Return whether a purchase was not asked for just now."""
        asked = self._asked.get(name_of(purchase))
        return asked is None or anyio.current_time() - asked >= AGAIN_S

    async def ask(
        self,
        purchase: Purchase,
        listing: Listing | None,
        find: Callable[[Lost], Awaitable[Sought]],
        *,
        heard: Verdict | None = None,
    ) -> Purchase:
        """Ask for a lost request, record what that came to, and return its purchase as it is then.

        What is found, or provably absent, of a batch is so of all its lines, in one commit.

        Args:
            purchase: One that :func:`is_lost`; of a batch any line.
            listing: What its provider's listing can prove; ``None`` if there is none.
            find: Walks that.
            heard: What its answer came to, if a whole one came that does not settle it.

        Raises:
            StorageFailed: The disk or the ledger did not let us.
        """
        job, watched_s = purchase.job, self.watch(purchase)
        assert job is not None, "what is asked for has a job"
        self._asked[name_of(purchase)] = anyio.current_time()
        if listing is None:
            return purchase
        lost = Lost(
            token=job.new.token,
            endpoint=job.new.endpoint,
            opened_at=job.opened_at,
            taken=self._session.reader.jobs_named_by(job.provider),
        )
        looks = self._looks_of(purchase)
        began: list[str] = []
        for wait_s in (0.0, APART_S):
            await anyio.sleep(wait_s)
            sought = await find(lost)
            if sought.accepted is not None:
                return await self._found(purchase, job, sought.accepted)
            doubt = why_not_absent(
                listing, job, sought, watched_s=watched_s, looks=looks, heard=heard
            )
            if doubt is not None:
                listed_at = sought.listed_at if sought.is_whole else None
                return await self._record(purchase, "cannot_tell", doubt, listed_at)
            began.append(f"{sought.began_at:%Y-%m-%d %H:%M:%S}")
        why = (
            f"it never arrived: two whole listings of {job.provider}, begun at "
            f"{' and '.join(began)} UTC, lack it"
        )
        return await self._record(purchase, "absent", why)

    def _looks_of(self, purchase: Purchase) -> list[Look]:
        if self._looks is None:
            self._looks = self._session.reader.looks()
        return self._looks.setdefault(name_of(purchase), [])

    async def gone(self, line: Purchase, making: BeingMade, *, within_s: float) -> BeingMade | str:
        """Note that a provider does not know an accepted batch; return why it is lost, if it is.

        Args:
            line: One of it, ``ACCEPTED``.
            making: How it stands by that answer.
            within_s: Seconds in which such a batch is made.

        Raises:
            StorageFailed: The ledger did not let us.
        """
        now, watched_s = self._session.now(), self.watch(line)
        unknown_for = measured(now, making.gone_at, watched_s, self._looks_of(line))
        needed = timedelta(seconds=within_s / GONE_PART)
        if unknown_for is not None and unknown_for >= needed:
            return f"{making.problem}, and has not for {unknown_for.total_seconds() / 3600:.1f} h"
        until = now + needed - (unknown_for or timedelta(0))
        when = f"from {until:%Y-%m-%d %H:%M} UTC"
        if making.gone_at is None:
            when = f"once one command has seen it so for {needed.total_seconds() / 3600:.0f} h"
        why = f"{making.problem}; that it is lost is believed {when}"
        await self._record(line, "cannot_tell", why, making.gone_at)
        if not watched_s:
            warn_of(coded("job_missing", f"{why}: until then it counts as being made"))
        return replace(making, problem=why)

    async def back(self, purchase: Purchase, making: BeingMade) -> None:
        """Bring back what was unknown of an accepted job, if its provider is at work on it.

        Args:
            purchase: One of it, ``ACCEPTED`` or ``UNKNOWN``.
            making: How it stands; where no answer says so, nothing follows.

        Raises:
            StorageFailed: The ledger did not let us.
        """
        looks, attempt_id = self._looks_of(purchase), purchase.new.attempt_id
        is_said = making.again_s is not None and not making.problem
        if not is_said or (purchase.state is not State.UNKNOWN and not looks):
            return
        asking = Asking(answered="found", at=self._session.now(), why="it is being made again")
        await self._session.commit(lambda ledger: ledger.accept_again(attempt_id, asking))
        looks.clear()
        self._since.pop(name_of(purchase), None)

    async def _found(self, purchase: Purchase, job: Job, accepted: Accepted) -> Purchase:
        """Make a job durable that was found."""
        why = f"found in the listing of {job.provider}: job {accepted.job_id[:80]}"
        asking = Asking(answered="found", at=self._session.now(), why=why)
        attempt_id = purchase.new.attempt_id

        def accept(ledger: Ledger) -> None:
            ledger.note_asking(attempt_id, asking)
            ledger.accept(name_of(purchase), accepted, now=asking.at, why=why)

        try:
            await self._session.commit(accept)
        except JobRefused as refusal:
            return await self._record(purchase, "cannot_tell", str(refusal))
        self._looks_of(purchase).clear()
        self._since.pop(name_of(purchase), None)
        return self._as_it_is(purchase)

    async def _record(
        self, purchase: Purchase, answered: Answered, why: str, listed_at: datetime | None = None
    ) -> Purchase:
        """Record what asking came to; what has never begun is unbilled."""
        asking = Asking(answered=answered, at=self._session.now(), why=why, listed_at=listed_at)
        attempt_id = purchase.new.attempt_id
        if listed_at is not None:
            self._looks_of(purchase).append(Look(at=asking.at, listed_at=listed_at))

        def record(ledger: Ledger) -> None:
            found = ledger.purchase(attempt_id)
            if found is None or (found.state, is_lost(found)) != (
                purchase.state,
                is_lost(purchase),
            ):
                return  # another run, or a person, has gone on meanwhile
            ledger.note_asking(attempt_id, asking)
            if answered == "absent":
                settlement = Settlement(state=State.REFUSED, why=why)
                unknown = {State.UNKNOWN}
                ledger.settle(name_of(purchase), settlement, of=unknown, now=asking.at)

        await self._session.commit(record)
        return self._as_it_is(purchase)

    def _as_it_is(self, purchase: Purchase) -> Purchase:
        return self._session.reader.purchase(purchase.new.attempt_id) or purchase


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """How far a purchase was brought.

    Attributes:
        purchase: As it stands now; ``None`` if there is none.
        attempted: What its answer came to, if it was looked at.
        making: Its picture is being made.
        storage: The disk failed.
    """

    purchase: Purchase | None
    attempted: AttemptResult | None = None
    making: BeingMade | None = None
    storage: StorageFailed | None = None

    @property
    def not_here(self) -> MissingPicture | None:
        """Return its picture, where an address did not give it and may yet."""
        return None if self.attempted is None else self.attempted.not_here

    @property
    def is_lost(self) -> bool:
        """Return whether its provider has not said what became of its request."""
        return self.purchase is not None and is_lost(self.purchase)

    @property
    def is_open(self) -> bool:
        """Return whether the purchase is still to be brought to an end."""
        return self.purchase is not None and self.purchase.state in {*OPEN, State.ACCEPTED}
