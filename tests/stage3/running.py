"""Runs a whole stage against the loopback API, for the tests that start from settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import structlog
from structlog.testing import CapturingLogger
from structlog.typing import FilteringBoundLogger

from host_stub.config.file import NO_CEILING
from host_stub.contract import (
    ImageRequest,
    Lane,
    PlaceFor,
    Scene,
    SceneOutcome,
    SceneSource,
    ShownPicture,
    StageContext,
    StageSummary,
    WantedTakes,
)
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.build import open_stage
from stage3_plugin.settings import Settings
from stage3_plugin.storage.pictures import RunBlocking


@dataclass
class Story:
    """Scenes in memory."""

    scenes: Sequence[Scene]

    def __len__(self) -> int:
        return len(self.scenes)

    def __iter__(self) -> Iterator[Scene]:
        return iter(self.scenes)


@dataclass
class Ran:
    """What a run left behind.

    Attributes:
        outcomes: How the take of each scene ended that ended first.
        takes: How each take ended, by scene and number.
    """

    outcomes: dict[str, SceneOutcome] = field(default_factory=dict[str, SceneOutcome])
    takes: dict[tuple[str, int], SceneOutcome] = field(
        default_factory=dict[tuple[str, int], SceneOutcome]
    )
    ending: StageSummary | None = None
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def code(self, scene_id: str) -> str:
        """Return how a scene ended."""
        failure = self.outcomes[scene_id].failure
        return failure.code if failure else "made"

    def codes(self, scene_id: str) -> list[str]:
        """Return how each take of a scene ended, in their order."""
        numbers = sorted(take for of, take in self.takes if of == scene_id)
        failures = [self.takes[scene_id, number].failure for number in numbers]
        return [failure.code if failure else "made" for failure in failures]

    def named(self, event: str) -> list[dict[str, Any]]:
        """Return the events of one name."""
        return [one for one in self.events if one["event"] == event]


def story(*scene_ids: str) -> Story:
    """Make scenes whose prompts name them, so that the API can be scripted by scene."""
    return Story([Scene(scene_id=one, prompt=f"{one}: a harbour at dusk") for one in scene_ids])


def asking(scenes: SceneSource, folder: Path = Path("nowhere"), **more: Any) -> ImageRequest:
    """Ask for a story whose pictures go below ``folder``."""
    return ImageRequest(run_id="a-run-of-tests", scenes=scenes, out_dir=folder / "out", **more)


def costing(
    microusd: int, least_microusd: int | None = None
) -> Callable[[PictureRequest], Estimate]:
    """Return what expects the same cost of every picture."""
    low = microusd if least_microusd is None else least_microusd
    estimate = Estimate(low_microusd=low, high_microusd=microusd)
    return lambda _request: estimate


def context_of(
    log: FilteringBoundLogger,
    deliver: Callable[[SceneOutcome], None],
    stopping: anyio.Event | None = None,
) -> StageContext:
    """Return what a run may use of its caller's, with no ceiling of its own."""
    return StageContext(
        log=log,
        max_in_flight=NO_CEILING,
        stopping=stopping or anyio.Event(),
        deliver=deliver,
    )


async def run_stage(
    settings: Settings,
    scenes: Story,
    folder: Path,
    *,
    into: Ran | None = None,
    blocking: RunBlocking | None = None,
    stopping: anyio.Event | None = None,
    max_cost_usd: Decimal | None = None,
    deadline_s: float | None = None,
    scenes_dir: Path | None = None,
    whole_story: Story | None = None,
    place: PlaceFor | None = None,
    shown: Callable[[str], ShownPicture | None] | None = None,
    wanted: Callable[[str], Sequence[WantedTakes]] | None = None,
    is_draft: bool = False,
    lane: Lane | None = None,
    **opening: Any,
) -> Ran:
    """Open the stage, run the story into ``folder``, and return what came of it.

    ``opening`` goes to :func:`~stage3_plugin.engine.build.open_stage`.
    """
    ran = into or Ran()

    def keep(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
        ran.events.append(dict(event))
        return ""

    def deliver(outcome: SceneOutcome) -> None:
        assert (outcome.scene_id, outcome.take) not in ran.takes
        ran.takes[outcome.scene_id, outcome.take] = outcome
        ran.outcomes.setdefault(outcome.scene_id, outcome)

    request = asking(
        scenes,
        folder,
        max_cost_usd=max_cost_usd,
        deadline_s=deadline_s,
        scenes_dir=scenes_dir,
        story=whole_story,
        place=place,
        shown=shown,
        wanted=wanted,
        draft=is_draft,
        lane=lane,
    )
    log = structlog.wrap_logger(CapturingLogger(), processors=[keep])
    context = context_of(log, deliver, stopping)
    async with open_stage(settings, folder, blocking=blocking, **opening) as stage:
        ran.ending = await stage.run(request, context)
    return ran
