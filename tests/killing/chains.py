"""A chain of runs on one project: killed as often as asked, then run to its end and looked at."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from stage3_plugin.domain.states import State
from tests.fakes.image_api import KEY, ImageApi
from tests.killing import checks
from tests.killing.checks import PRICE_MICROUSD, Left, Told, left_in
from tests.killing.driver import Ended, Order
from tests.killing.processes import Servers

MEMORY = Path("/dev/shm")
"""A killed process loses nothing of it, and syncing it costs nothing; a power cut is not tried."""


@contextmanager
def project_folder(otherwise: Path) -> Generator[Path]:
    """Return a new folder, in memory if this system has such a place."""
    if not MEMORY.is_dir():
        yield otherwise
        return
    folder = Path(mkdtemp(prefix="stage3-kill-", dir=MEMORY))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@dataclass(kw_only=True)
class Chain:
    """Runs of the same story, one after the other.

    Attributes:
        servers: Make the runs.
        api: The service.
        folder: The project.
        scenes: The story; no other chain has a scene of these names.
        cap: ``total_usd``, in pictures.
        capacity: How many may be in flight.
        settings: More of them.
        backend: The event loop of every run.
        mutations: What is broken in every run.
        deaths: What each killed run has left, in order.
        kills: How many were killed.
    """

    servers: Servers
    api: ImageApi
    folder: Path
    scenes: tuple[str, ...]
    cap: int
    capacity: int = 3
    size: str = "256x256"
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    backend: str = "asyncio"
    mutations: tuple[str, ...] = ()
    deaths: list[Left] = field(default_factory=list[Left])
    kills: int = 0

    def __post_init__(self) -> None:
        """Remember where the service's books stand."""
        self._since = len(self.api.entries)

    def order(self, **more: Any) -> Order:
        """Return the order of one run."""
        settings = {
            "provider": "openai",
            "model": "painter-1",
            "base_url": self.api.base_url,
            "api_key": KEY,
            "size": self.size,
            "capacity": self.capacity,
            "state_dir": "state",
            "price_usd": "0.05",
            "total_usd": f"{self.cap * PRICE_MICROUSD / 1e6:.2f}",
        }
        order = Order(
            folder=str(self.folder),
            settings=settings | self.settings,
            scenes=self.scenes,
            backend=self.backend,
            mutations=self.mutations,
        )
        return replace(order, **more)

    def run(self, **more: Any) -> Ended:
        """Make one run; what it leaves if it dies is looked at."""
        ended = self.run_in_company(**more)
        if ended["killed"]:
            self.deaths.append(left_in(self.folder))
        return ended

    def run_in_company(self, **more: Any) -> Ended:
        """Make one run while others may be at work, so that what it leaves cannot be looked at."""
        ended = self.servers.run(self.order(**more))
        self.kills += ended["killed"]
        return ended

    def die_at(self, failpoint: str, nth: int = 1, **more: Any) -> Left:
        """Make one run that dies at a failpoint, and return what it leaves."""
        ended = self.run(failpoint=failpoint, nth=nth, **more)
        assert ended["killed"], f"{failpoint!r} was never reached {nth} times: {ended}"
        return self.deaths[-1]

    @property
    def told(self) -> Told:
        """Return what the service says of this story."""
        return Told.by(self.api, frozenset(self.scenes), since=self._since)

    @property
    def cap_microusd(self) -> int:
        """Return the cap."""
        return self.cap * PRICE_MICROUSD

    def to_the_end(self, **more: Any) -> Left:
        """Run until nothing is left to do, and check all that was ever promised."""
        ended = self.run(**more)
        assert ended["outcomes"] is not None
        left, told = left_in(self.folder), self.told
        self.check(left, told)
        checks.check_outcomes(ended["outcomes"], left, self.cap_microusd)
        assert ended["outcomes"].keys() == set(self.scenes), "a scene has no outcome"
        self._once_more(left, told, **more)
        return left

    def check(self, left: Left, told: Told) -> None:
        """Check what does not depend on what a run reports of itself."""
        checks.check_billing(told, left)
        checks.check_cap(told, left, self.cap_microusd)
        checks.check_counters(left)
        checks.check_answers(left)
        for death in self.deaths:
            checks.check_recovered(death, left)
        checks.check_pictures(self.folder, left)
        checks.check_spools(left)

    def _once_more(self, left: Left, told: Told, **more: Any) -> None:
        """Run a finished story again: nothing is sent, nothing changes, everything is there."""
        again = self.run(**more)["outcomes"]
        assert again is not None
        assert "made" not in again.values(), "a finished scene was made again"
        assert self.told == told, "a finished story was sent again"
        assert left_in(self.folder) == left, "a finished story has changed the ledger"
        checks.check_outcomes(again, left, self.cap_microusd)


def story(name: str, number: int) -> tuple[str, ...]:
    """Name scenes after their chain; no name begins another."""
    return tuple(f"{name}-{scene:03}" for scene in range(number))


def hits(left: Left, leaves: str) -> Sequence[str]:
    """Return the purchases that a death has left in a certain way."""
    paid = [one.attempt_id for one in left.purchases.values() if one.state == "PAID"]
    found = {
        "nothing": ["nothing"],
        "unsent": sorted(left.unanswered - left.lost),
        "no answer": sorted(left.lost),
        "whole answer": sorted(left.whole),
        "job": sorted(one.attempt_id for one in left.of(State.ACCEPTED)),
        "paid": paid,
    }
    return found[leaves]
