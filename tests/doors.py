"""What tests do through doors alone: a run by the contract, and the ledger as ``stage3`` tells it.

Nothing here knows a room of the product, so that what is shown by it holds in a house built anew.
Tests of rooms have :mod:`tests.stage3.running` and :mod:`tests.stage3.buying` beside it.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import structlog
from structlog.testing import CapturingLogger

from host_stub.commands import CommandResult
from host_stub.contract import (
    ImageRequest,
    Lane,
    Scene,
    SceneOutcome,
    SceneSource,
    Services,
    StageContext,
    StagePlan,
    StageSummary,
)
from stage3_plugin.domain.states import COUNTED, State
from stage3_plugin.hooks import host_commands, host_image_plugin
from stage3_plugin.settings import Settings
from tests.fakes.behaviours import Ok
from tests.fakes.image_api import KEY, ImageApi

HOLD = 50_000
"""What is held for each picture of :func:`painter`, in micro-USD."""
NO_CEILING = 1 << 20


# What is asked for -------------------------------------------------------------------------------


@dataclass
class Story:
    """Scenes in memory."""

    scenes: Sequence[Scene]

    def __len__(self) -> int:
        return len(self.scenes)

    def __iter__(self) -> Iterator[Scene]:
        return iter(self.scenes)


def story(*scene_ids: str, **more: Any) -> Story:
    """Make scenes whose prompts name them, so that the API can be scripted by scene."""
    return Story(
        [Scene(scene_id=one, prompt=f"{one}: a harbour at dusk", **more) for one in scene_ids]
    )


def scenes(count: int, **more: Any) -> Story:
    """Make scenes, from ``s01`` on."""
    return story(*(f"s{number:02}" for number in range(1, count + 1)), **more)


def settings_for(api: ImageApi, /, **more: Any) -> Settings:
    """Return settings that reach the loopback API and do not wait long."""
    values: dict[str, Any] = {
        "provider": "openai",
        "model": "gpt-image-2",
        "base_url": api.base_url,
        "api_key": KEY,
        "size": "64x64",
        "backoff_base_s": 0.01,
        "backoff_max_s": 0.02,
        "timeout_s": 20,
    }
    return Settings(**(values | more))


def painter(api: ImageApi, /, **more: Any) -> Settings:
    """Return settings of a provider that reports what it bills; 0.05 USD are held for a picture."""
    fixed = {"provider": "openrouter", "model": "a/painter", "price_usd": "0.05"}
    return settings_for(api, **(fixed | more))


def bills(usd: float, **more: Any) -> Ok:
    """Make the picture and bill this."""
    return Ok(usage={"cost": usd}, **more)


# A run -------------------------------------------------------------------------------------------


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

    def ended(self) -> dict[str, str]:
        """Return how every scene ended."""
        return {one: self.code(one) for one in self.outcomes}

    def codes(self, scene_id: str) -> list[str]:
        """Return how each take of a scene ended, in their order."""
        numbers = sorted(take for of, take in self.takes if of == scene_id)
        failures = [self.takes[scene_id, number].failure for number in numbers]
        return [failure.code if failure else "made" for failure in failures]

    def named(self, event: str) -> list[dict[str, Any]]:
        """Return the events of one name."""
        return [one for one in self.events if one["event"] == event]


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def opened(
    settings: Settings,
    folder: Path,
    *,
    now: Callable[[], datetime] = _now,
    anew: Callable[[], Settings | None] | None = None,
) -> AsyncGenerator[Any]:
    """Open the stage as a host does, with ``folder`` as its project.

    What it may have beside the contract's two methods, its type does not say.
    """
    services = Services(project_dir=folder, now=now, settings_anew=anew)
    async with host_image_plugin().open(settings, services) as stage:
        yield stage


def context_of(ran: Ran, stopping: anyio.Event | None = None) -> StageContext:
    """Return what a run has of its caller, who keeps all that it says and delivers."""

    def keep(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
        ran.events.append(dict(event))
        return ""

    def deliver(outcome: SceneOutcome) -> None:
        assert (outcome.scene_id, outcome.take) not in ran.takes
        ran.takes[outcome.scene_id, outcome.take] = outcome
        ran.outcomes.setdefault(outcome.scene_id, outcome)

    return StageContext(
        log=structlog.wrap_logger(CapturingLogger(), processors=[keep]),
        max_in_flight=NO_CEILING,
        stopping=stopping or anyio.Event(),
        deliver=deliver,
    )


def request(asked: SceneSource, folder: Path, **more: Any) -> ImageRequest:
    """Ask for a story whose pictures go below ``folder``."""
    return ImageRequest(run_id="a-run-of-tests", scenes=asked, out_dir=folder / "out", **more)


async def run_stage(
    settings: Settings,
    asked: Story,
    folder: Path,
    *,
    into: Ran | None = None,
    stopping: anyio.Event | None = None,
    now: Callable[[], datetime] = _now,
    anew: Callable[[], Settings | None] | None = None,
    lane: Lane | None = None,
    **more: Any,
) -> Ran:
    """Open the stage, run the story into ``folder``, and return what came of it.

    ``more`` goes to :class:`~host_stub.contract.ImageRequest`.
    """
    ran = into or Ran()

    context = context_of(ran, stopping)
    async with opened(settings, folder, now=now, anew=anew) as stage:
        ran.ending = await stage.run(request(asked, folder, lane=lane, **more), context)
    return ran


async def plan_of(settings: Settings, asked: Story, folder: Path, **more: Any) -> StagePlan:
    """Return what a run of the story would do and cost."""
    async with opened(settings, folder) as stage:
        found: StagePlan = await stage.plan(request(asked, folder, **more))
    return found


# The ledger --------------------------------------------------------------------------------------


def stage3(*words: str) -> CommandResult:
    """Have a command of ``stage3`` carried out, in this process and without its streams.

    Raises:
        CommandError: It cannot do what it is asked.
    """
    name, *rest = words
    command = next(one for one in host_commands() if one.name == name)
    parser = ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(rest), lambda _line: None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A purchase as ``stage3 attempts --json`` tells it, with its money in micro-USD."""

    attempt_id: str
    scene_id: str
    run_id: str
    state: State
    situation: str
    hold_microusd: int
    cost_microusd: int | None
    counted_microusd: int
    basis: str | None
    why: str
    day: str
    model: str
    decided_by: str | None
    request_id: str | None
    image_url: str | None
    job_id: str | None
    expires_at: datetime | None
    batch: str | None
    said: Mapping[str, Any] = field(repr=False)


def micro(usd: Decimal | str | None) -> int | None:
    """Return an amount in micro-USD."""
    return None if usd is None else int(Decimal(usd) * 10**6)


def _row(said: Mapping[str, Any]) -> Row:
    return Row(
        attempt_id=said["attempt_id"],
        scene_id=said["scene_id"],
        run_id=said["run_id"],
        state=State(said["state"]),
        situation=said["situation"],
        hold_microusd=micro(said["hold_usd"]) or 0,
        cost_microusd=micro(said["cost_usd"]),
        counted_microusd=micro(said["counted_usd"]) or 0,
        basis=said["cost_basis"],
        why=said["why"] or "",
        day=said["day"],
        model=said["model"],
        decided_by=said["decided_by"],
        request_id=said["request_id"],
        image_url=said["image_url"],
        job_id=said["job"] and said["job"]["job_id"],
        expires_at=said["job"] and datetime.fromisoformat(said["job"]["expires_at"]),
        batch=said["batch"],
        said=said,
    )


def rows(state_dir: Path, scene_id: str | None = None) -> list[Row]:
    """Return every purchase of a ledger, oldest first; what they count adds up to what it says."""
    words = ("--state-dir", str(state_dir), "--limit", "100000")
    for _ in range(5):  # rows and their total are of two moments while a run writes: asked again
        said = stage3("attempts", "--all", *words).data
        found = [_row(one) for one in said["attempts"]][::-1]
        counted = sum(one.counted_microusd for one in found if one.state in COUNTED)
        if micro(said["counted_usd"]) == counted:
            return [one for one in found if scene_id is None or one.scene_id == scene_id]
    raise AssertionError("the ledger's total is not that of its rows")


def purchases(folder: Path, scene_id: str | None = None) -> list[Row]:
    """Return every purchase of a project, oldest first."""
    return rows(folder / ".stage3", scene_id)


def states(folder: Path, scene_id: str | None = None) -> list[State]:
    """Return every purchase's state, oldest first."""
    return [one.state for one in purchases(folder, scene_id)]


def counted(folder: Path) -> int:
    """Add up what is held and spent in micro-USD."""
    return sum(one.counted_microusd for one in purchases(folder) if one.state in COUNTED)


def only(folder: Path, scene_id: str | None = None) -> Row:
    """Return the one purchase there is."""
    (purchase,) = purchases(folder, scene_id)
    return purchase
