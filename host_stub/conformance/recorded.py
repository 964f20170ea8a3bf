"""What one run of a stage came to, as it was seen; nothing of it is judged here.

The host's own pipeline refuses what breaks a rule, and one broken rule would hide all others. So
the kit takes what comes, keeps it in order and with its time, and leaves the verdict to the checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from host_stub.contract import SceneOutcome, StageSummary
from host_stub.errors import in_one_line
from host_stub.events.schema import PREFIXES


@dataclass(frozen=True, slots=True)
class Heard:
    """Something the plugin logged.

    Attributes:
        event: Its fields, made plain; ``event`` is its name.
        at_s: When, by ``time.monotonic()``.
        problems: How it is not as the contract has it; empty for a line that is no event.
    """

    event: Mapping[str, Any]
    at_s: float
    problems: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return str(self.event.get("event", ""))

    @property
    def is_of_contract(self) -> bool:
        """Whether its name is one of the contract's."""
        return self.name.startswith(PREFIXES)


@dataclass(frozen=True, slots=True)
class Delivered:
    """An outcome, and when it came, by ``time.monotonic()``."""

    outcome: SceneOutcome
    at_s: float


@dataclass(slots=True)
class Recorded:
    """One run, from the opening of its stage to its end.

    Attributes:
        delivered: The outcomes, in the order in which they came.
        malformed: What was delivered and is no outcome, and why.
        heard: What was logged, in order.
        summary: What ``run`` returned; ``None`` if it did not return a ``StageSummary``.
        returned: Whether ``run`` returned at all.
        raised: What ``run`` raised, the cancellation that was asked for apart.
        opening: What opening raised.
        closing: What closing raised.
        is_hung: It took longer than the case's patience, and was cut off.
        was_cancelled: The cancellation that was asked for came out of ``run`` again.
        begun_s: When ``run`` was called, by ``time.monotonic()``.
        stopped_s: When ``stopping`` was set, or the run cancelled.
        ended_s: When ``run`` was over.
    """

    delivered: list[Delivered] = field(default_factory=list[Delivered])
    malformed: list[str] = field(default_factory=list[str])
    heard: list[Heard] = field(default_factory=list[Heard])
    summary: StageSummary | None = None
    returned: bool = False
    raised: BaseException | None = None
    opening: BaseException | None = None
    closing: BaseException | None = None
    is_hung: bool = False
    was_cancelled: bool = False
    begun_s: float = 0.0
    stopped_s: float | None = None
    ended_s: float = 0.0

    @property
    def outcomes(self) -> list[SceneOutcome]:
        """The outcomes of scenes, in the order in which they came."""
        return [one.outcome for one in self.delivered if one.outcome.role == "scene"]

    @property
    def pictures(self) -> list[SceneOutcome]:
        """The outcomes with a picture, sheets included."""
        return [one.outcome for one in self.delivered if one.outcome.image is not None]

    def of(self, scene_id: str) -> list[SceneOutcome]:
        """Return the outcomes of a scene or a sheet."""
        return [one.outcome for one in self.delivered if one.outcome.scene_id == scene_id]

    def events(self, *names: str, scene_id: str | None = None) -> list[Heard]:
        """Return the events with one of these names, of a scene if one is named."""
        return [
            one
            for one in self.heard
            if one.name in names and (scene_id is None or one.event.get("scene_id") == scene_id)
        ]

    @property
    def trouble(self) -> str | None:
        """What kept the run as a whole from ending well, in a line."""
        for what, error in (
            ("opening", self.opening),
            ("run", self.raised),
            ("closing", self.closing),
        ):
            if error is not None:
                return f"{what} raised {in_one_line(error)}"
        if self.is_hung:
            return "it did not end, and was cut off"
        return None

    @property
    def failures(self) -> str:
        """The outcomes without a picture, in a line; empty if there are none."""
        return "; ".join(
            f"{one.scene_id}: {one.failure.code}, {one.failure.message}"
            for one in self.outcomes
            if one.failure is not None
        )


Watching = Callable[[Recorded], bool]
"""Looks at a run as far as it is, and says whether what was waited for has come."""
