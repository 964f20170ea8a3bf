"""Buys at a fixed price from the loopback API, and reads in the ledger what it counts.

The price held and the price billed are two figures here, so that a test can tell them apart.
"""

from __future__ import annotations

from pathlib import Path

from stage3_plugin.domain.keys import Keys, scene_keys
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.states import COUNTED, State
from stage3_plugin.engine.backend import endpoint_of, route_of
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.owners import Owners
from stage3_plugin.ledger.place import LEDGER_NAME
from stage3_plugin.providers.registry import provider_at
from stage3_plugin.settings import Settings
from tests.stage3.running import Story, story


def scenes(count: int) -> Story:
    """Make scenes, from ``s01`` on."""
    return story(*(f"s{number:02}" for number in range(1, count + 1)))


def ledger_path(folder: Path) -> Path:
    """Return where the ledger of a run into ``folder`` lies."""
    return folder / ".stage3" / LEDGER_NAME


def purchases(folder: Path, scene_id: str | None = None) -> list[Purchase]:
    """Return every row, oldest first."""
    with Ledger.open(ledger_path(folder)) as ledger:
        assert ledger.problems() == []
        return list(ledger.purchases(scene_id=scene_id))[::-1]


def states(folder: Path, scene_id: str | None = None) -> list[State]:
    """Return every row's state, oldest first."""
    return [purchase.state for purchase in purchases(folder, scene_id)]


def counted(folder: Path) -> int:
    """Add up what is held and spent in micro-USD, from the rows."""
    return sum(
        purchase.counted_microusd for purchase in purchases(folder) if purchase.state in COUNTED
    )


def only(folder: Path, scene_id: str | None = None) -> Purchase:
    """Return the one row there is."""
    (purchase,) = purchases(folder, scene_id)
    return purchase


def keys_of(request: PictureRequest, settings: Settings) -> Keys:
    """Return what a picture is known by at the settings' provider."""
    if settings.provider == "previz":
        return scene_keys(request, route_of(settings, None, is_here=True))
    provider = provider_at(endpoint_of(settings), negative_prompt=settings.negative_prompt)
    return scene_keys(request, route_of(settings, provider.profile))


def leave_lock(state_dir: Path, run_id: str) -> None:
    """Leave the lock of a run that has died: its file is there, and no process holds it."""
    (state_dir / "owners").mkdir(mode=0o700, exist_ok=True)
    (state_dir / "owners" / f"{run_id}.lock").touch(mode=0o600)


def leave_list(state_dir: Path, run_id: str, *unsent: str) -> None:
    """Leave the lock and the list of a run that has ended, and left rows that it never sent."""
    with Owners(state_dir).claim(run_id) as claim:
        claim.leaves_rows = True
        for name in unsent:
            claim.note_held(name)


class NoClaim:
    """The claim of a run that no other looks at."""

    def renew(self) -> None:
        """Hold nothing anew."""

    def note_held(self, name: str) -> None:
        """Keep no list."""

    def forget(self, name: str) -> None:
        """Keep nothing in mind."""
