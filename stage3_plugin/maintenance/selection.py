"""Which purchases a decision is about, where they are not named one by one.

Only those whose outcome is unknown, or comes to be: the lines of a batch that a dead run has left.
None whose answer lies whole on the disk: that one may still be understood, so it is given up only
by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import OPEN, State
from stage3_plugin.errors import LookupRefused
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.home import without_home
from stage3_plugin.maintenance.listing import Situation, left_behind, of_unknown
from stage3_plugin.maintenance.report import token_of
from stage3_plugin.maintenance.state_folder import StateFolder

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_RUN_CHARACTERS: Final = 6
BATCH_CHARACTERS: Final = 6
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is wanted of the purchases of unknown outcome; all of it has to hold.

    Attributes:
        run_id: Only this run's; the first 6 characters or more of its name in the ledger, or of
            what follows its home there, will do.
        scene_id: Only this scene's.
        since: Only those that were sent at this moment or later.
        batch: Only lines of this batch: its token, or what its provider calls it; the first 6
            characters or more will do.
    """

    run_id: str | None = None
    scene_id: str | None = None
    since: datetime | None = None
    batch: str | None = None

    def takes(self, purchase: Purchase) -> bool:
        """Return whether a purchase is meant."""
        return (
            self._is_of(purchase.new.run_id)
            and self.scene_id in {None, purchase.new.scene_id}
            and (self.since is None or purchase.held_at >= self.since)
            and self._is_of_batch(purchase)
        )

    def _is_of_batch(self, purchase: Purchase) -> bool:
        if self.batch is None:
            return True
        job = purchase.job
        if purchase.new.line is None or job is None:
            return False
        names = (job.new.token, None if job.accepted is None else job.accepted.job_id)
        is_long = len(self.batch) >= BATCH_CHARACTERS
        return self.batch in names or any(
            is_long and name is not None and name.startswith(self.batch) for name in names
        )

    def _is_of(self, run_id: str) -> bool:
        if self.run_id is None or self.run_id == run_id:
            return True
        of_its_home = without_home(run_id)  # or a home's word would mean all of its runs
        wanted = self.run_id.removeprefix(run_id.removesuffix(of_its_home))
        return len(wanted) >= _RUN_CHARACTERS and of_its_home.startswith(wanted)


def choose(
    ledger: Ledger, folder: StateFolder, choice: Choice
) -> tuple[list[Purchase], list[Purchase]]:
    """Find the purchases that a choice is about.

    Returns:
        Those that a decision may be recorded for, newest first, and those that are left out because
        their answer is on the disk.

    Raises:
        LookupRefused: Several batches are called so, or a run has the batch in work.
    """
    found = list(_meant(ledger, choice))
    if choice.batch is not None:
        need_one_batch(found, choice.batch)
        _need_nobody_at_work(found, choice.batch, folder)
    is_undecided = [_is_undecided(one, folder) for one in found]
    both = list(zip(found, is_undecided, strict=True))
    return [one for one, it_is in both if it_is], [one for one, it_is in both if not it_is]


def _meant(ledger: Ledger, choice: Choice) -> Iterator[Purchase]:
    """Yield what a choice takes; of a batch also what a dead run has left open."""
    states = {State.UNKNOWN} if choice.batch is None else {State.UNKNOWN, *OPEN}
    purchases = ledger.purchases(states=states, scene_id=choice.scene_id)
    return filter(choice.takes, purchases)


def _is_undecided(purchase: Purchase, folder: StateFolder) -> bool:
    if purchase.state in OPEN:
        return left_behind(purchase, folder) is Situation.ABANDONED
    return of_unknown(purchase, folder) is Situation.UNDECIDED


def need_one_batch(found: Sequence[Purchase], batch: str) -> None:
    """See that lines are of one batch.

    Raises:
        LookupRefused: They are not.
    """
    if len({token_of(one) for one in found}) > 1:
        raise LookupRefused(batch, "several batches are called so; give more of its characters")


def _need_nobody_at_work(found: Sequence[Purchase], batch: str, folder: StateFolder) -> None:
    """See that no run has a batch in work.

    Raises:
        LookupRefused: One has.
    """
    going_on = next((one for one in found if one.state in OPEN), None)
    if going_on is not None and folder.may_be_going(going_on):
        raise LookupRefused(batch, "a run that is still going has this batch in work")


def moment(text: str, *, now: datetime) -> datetime:
    """Read since when: a date, a date and time (UTC without a zone), or so long ago, as in ``2h``.

    Raises:
        ValueError: It is none of them.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
    if _MOMENT.fullmatch(text) is None:  # fromisoformat takes more, and not the same everywhere
        raise ValueError("no moment")
    read = datetime.fromisoformat(text)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read
