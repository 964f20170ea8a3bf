"""Which purchases a decision is about, where they are not named one by one.

Only those whose outcome is unknown, and none whose answer lies whole on the disk: that one may
still be understood, so it is given up only by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.home import without_home
from stage3_plugin.maintenance.listing import Situation, of_unknown
from stage3_plugin.maintenance.state_folder import StateFolder

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_RUN_CHARACTERS: Final = 6
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
    """

    run_id: str | None = None
    scene_id: str | None = None
    since: datetime | None = None

    def takes(self, purchase: Purchase) -> bool:
        """Return whether a purchase is meant."""
        return (
            self._is_of(purchase.new.run_id)
            and self.scene_id in {None, purchase.new.scene_id}
            and (self.since is None or purchase.held_at >= self.since)
        )

    def _is_of(self, run_id: str) -> bool:
        if self.run_id is None or self.run_id == run_id:
            return True
        of_its_home = without_home(run_id)  # or a home's word would mean all of its runs
        wanted = self.run_id.removeprefix(run_id.removesuffix(of_its_home))
        return len(wanted) >= _RUN_CHARACTERS and of_its_home.startswith(wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What a choice came to.

    Attributes:
        purchases: Those that a decision may be recorded for, newest first.
        answered: Those that are left out because their answer is on the disk.
    """

    purchases: tuple[Purchase, ...]
    answered: tuple[Purchase, ...]


def choose(ledger: Ledger, folder: StateFolder, choice: Choice) -> Chosen:
    """Find the purchases that a choice is about."""
    found = list(_meant(ledger, choice))
    undecided = [
        purchase for purchase in found if of_unknown(purchase, folder) is Situation.UNDECIDED
    ]
    chosen = {purchase.new.attempt_id for purchase in undecided}
    return Chosen(
        purchases=tuple(undecided),
        answered=tuple(one for one in found if one.new.attempt_id not in chosen),
    )


def _meant(ledger: Ledger, choice: Choice) -> Iterator[Purchase]:
    purchases = ledger.purchases(states={State.UNKNOWN}, scene_id=choice.scene_id)
    return filter(choice.takes, purchases)


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
