"""A vendor that keeps books, and a story that is bought from it by runs that are killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from stage3_plugin.domain.states import LIVE
from stage3_plugin.testing.bill import by_the_table
from stage3_plugin.testing.dialects import dialect_of
from stage3_plugin.testing.image_api import Entry, ImageApi
from tests.doors import Row
from tests.killing.chains import Chain, story
from tests.killing.checks import Left, check_counters, left_in, wait_for
from tests.killing.driver import Ended
from tests.killing.processes import Servers

SETTINGS: dict[str, dict[str, Any]] = {
    "openai": {"model": "gpt-image-2.5-flare"},
    "openrouter": {"model": "openai/gpt-image-2.5-flare"},
    "gemini": {"model": "gemini-nano-banana-2.1"},
    "fal": {"model": "fal-ai/flux-2/turbo"},
    "bfl": {"model": "flux-2-pro"},
    "replicate": {"model": "black-forest-labs/flux-2-pro", "price_usd": "0.03"},
    "xai": {"model": "grok-imagine-image-2.0", "price_usd": "0.06"},
}


@dataclass(kw_only=True)
class Studio:
    """A vendor, and a story that is bought from it."""

    api: ImageApi
    chain: Chain
    has_queue: bool
    terms: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def run(self, **more: Any) -> Ended:
        """Make one run, in a hurry; nobody looks at what it leaves."""
        return self.chain.run_in_company(hurry=50, **self.terms, **more)

    def die_after(self, exchanges: int, **more: Any) -> Ended:
        """Make one run that is killed when the vendor has ended so many exchanges more."""
        sign = self.chain.folder.with_suffix(".sign")
        sign.unlink(missing_ok=True)
        left = count(exchanges - 1, -1)

        def ended(_: Entry) -> None:
            if next(left) == 0:
                sign.touch()

        self.api.ended = ended
        return self.run(sign=str(sign), **more)

    @property
    def forgotten(self) -> set[str]:
        """Return the jobs that a vendor with a queue does not know any more.

        Of batches those that failed: one vendor does not say that nothing of them was billed.
        """
        if not self.has_queue:
            failed = {one.id for one in self.api.batches.all if one.plan.ends == "failed"}
            return failed | {f"batches/{one}" for one in failed}
        return {job.id for job in self.api.queue.jobs if job.plan.kept is not None}

    @property
    def billed(self) -> Counter[str]:
        """Return what the vendor has billed for each scene, in millionths of a dollar."""
        billed = Counter[str]()
        for entry in self.api.entries:
            if entry.is_billed and entry.asked.method == "POST":
                assert entry.usd is not None
                billed[entry.asked.prompt.partition(":")[0]] += int(entry.usd * 10**6)
        for line in self.api.batches.lines:
            if line.is_billed:
                assert line.usd is not None
                billed[line.prompt.partition(":")[0]] += int(line.usd * 10**6)
        return billed

    def look(self) -> Left:
        """Look at what is left, and see what holds at any time."""
        wait_for(self.api)
        left, billed = left_in(self.chain.folder), self.billed
        counts = counted(left.purchases.values())
        live = Counter(one.scene_id for one in left.of(*LIVE))
        for scene in self.chain.scenes:
            assert billed[scene] <= counts[scene], f"{scene}: {billed[scene]} {counts[scene]}"
            assert live[scene] <= 1, f"{scene} is bought twice"
        check_counters(left)
        return left


def counted(purchases: Iterable[Row]) -> Counter[str]:
    """Return what rows add to the counters, by scene."""
    sums = Counter[str]()
    for one in purchases:
        sums[one.scene_id] += one.counted_microusd
    return +sums


@contextmanager
def open_studio(
    name: str,
    seed: int,
    servers: Servers,
    projects: Path,
    *,
    scenes: int,
    backend: str,
    settings: Mapping[str, Any] | None = None,
    terms: Mapping[str, Any] | None = None,
) -> Generator[Studio]:
    """Start a vendor, and begin a story that is to be bought from it.

    Args:
        name: Of its provider.
        seed: Tells stories apart.
        servers: Make the runs.
        projects: Where the project comes to lie.
        scenes: So many.
        backend: The event loop of every run.
        settings: More of them.
        terms: What of the order changes the vendor's batches.
    """
    dialect = dialect_of(name)
    with ImageApi(dialect=None if dialect is None else dialect()) as api:
        if dialect is None:
            api.bill = by_the_table
        usual: dict[str, Any] = {
            "provider": name,
            "base_url": api.root_url if name == "gemini" else api.base_url,
            "price_usd": None,
            "listing_is_whole": True,
            "total_usd": "100",
            "backoff_base_s": 0.01,
            "backoff_max_s": 0.05,
            "timeout_s": 5,
            "drain_s": 0.1,
        }
        chain = Chain(
            servers=servers,
            api=api,
            folder=projects / f"{name}-{seed}",
            scenes=story(f"{name}-{seed}", scenes),
            cap=100,
            capacity=6,
            size="1024x1024",
            settings=usual | SETTINGS[name] | dict(settings or {}),
            backend=backend,
        )
        yield Studio(api=api, chain=chain, has_queue=dialect is not None, terms=terms or {})
