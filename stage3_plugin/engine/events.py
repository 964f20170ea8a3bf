"""The names of the stage's events, and the one place that sends them.

Events are flat, in the past tense, with numbers ready to add up; money is a decimal string, unknown
money is ``None``. A beginning has exactly one end: every ``scene.started`` is followed by one of
``scene.retried``, ``scene.finished`` or ``scene.failed`` with the same ``attempt``, and every
``stage.started`` by a ``stage.finished``. A scene that waits for a picture it has bought is retried
for the cause ``pending`` and then ends without starting again: nothing more is sent for it. So does
one whose run stops while it waits. ``scene.reused``, ``scene.skipped`` and ``scene.awaited`` stand
alone. The logger is the one the caller gave; structlog is never configured here.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from stage3_plugin.domain.money import Cost, to_usd
from stage3_plugin.domain.outcome import Failure, Outcome
from stage3_plugin.domain.purchase import CapName, OverCap, Recovered
from stage3_plugin.policy.capacity import Change

_SCOPES: dict[CapName, str] = {
    "budget_usd": "run",
    "daily_usd": "day",
    "total_usd": "total",
}


def money_text(cost: Cost) -> str | None:
    """Write a cost as a decimal string; unknown is ``None``."""
    return None if cost.usd is None else format(cost.usd, "f")


def _named(request_id: str | None) -> dict[str, str]:
    """Give what the provider calls an exchange, where it said so."""
    return {} if request_id is None else {"request_id": request_id}


@dataclass(slots=True)
class Totals:
    """What a run came to, counted from its events."""

    made: int = 0
    reused: int = 0
    failed: int = 0
    skipped: int = 0
    retries: int = 0


@dataclass(slots=True)
class Telemetry:
    """Sends the events of one run."""

    log: FilteringBoundLogger
    totals: Totals = field(default_factory=Totals)

    @contextmanager
    def stage(self, *, scenes: int, provider: str, model: str, capacity: int) -> Generator[None]:
        """Send ``stage.started`` and, however the block ends, ``stage.finished``."""
        self.log.info(
            "stage.started", scenes=scenes, provider=provider, model=model, capacity=capacity
        )
        try:
            yield
        finally:
            totals = self.totals
            self.log.info(
                "stage.finished",
                made=totals.made,
                reused=totals.reused,
                failed=totals.failed,
                skipped=totals.skipped,
                retries=totals.retries,
            )

    def warned(self, message: str) -> None:
        """Tell what a person should know and what keeps nothing from working."""
        self.log.warning("stage.warned", message=message)

    def started(self, scene_id: str, *, attempt: int, queued_s: float) -> None:
        """Tell that a request starts; capacity has been granted."""
        self.log.info(
            "scene.started", scene_id=scene_id, attempt=attempt, queued_s=round(queued_s, 6)
        )

    def retried(
        self,
        scene_id: str,
        *,
        attempt: int,
        cause: str,
        wait_s: float,
        cost: Cost,
        message: str,
        request_id: str | None = None,
    ) -> None:
        """Tell that a request failed and the scene waits to go again."""
        self.totals.retries += 1
        self.log.warning(
            "scene.retried",
            scene_id=scene_id,
            attempt=attempt,
            cause=cause,
            wait_s=round(wait_s, 6),
            cost_usd=money_text(cost),
            cost_basis=cost.basis,
            message=message,
            **_named(request_id),
        )

    def awaited(
        self,
        scene_id: str,
        *,
        attempt: int,
        cause: str,
        waited_s: float,
        wait_s: float,
        left_s: float,
        message: str,
    ) -> None:
        """Tell that what a scene waits for is not here yet, and when it is looked for again."""
        self.log.info(
            "scene.awaited",
            scene_id=scene_id,
            attempt=attempt,
            cause=cause,
            waited_s=round(waited_s, 6),
            wait_s=round(wait_s, 6),
            left_s=round(left_s, 6),
            message=message,
        )

    def ended(self, outcome: Outcome) -> None:
        """Tell how a scene that was started has ended."""
        facts = {
            "scene_id": outcome.scene_id,
            "attempt": outcome.attempts,
            "attempts": outcome.attempts,
            "duration_s": round(outcome.duration_s, 6),
            "cost_usd": money_text(outcome.cost),
            "cost_basis": outcome.cost.basis,
            **_named(outcome.request_id),
        }
        if outcome.failure is not None:
            self.totals.failed += 1
            failure = outcome.failure
            self.log.error("scene.failed", code=failure.code, message=failure.message, **facts)
        else:
            assert outcome.placed is not None
            self.totals.made += 1
            self.log.info("scene.finished", sha256=outcome.placed.picture.sha256, **facts)

    def reused(self, outcome: Outcome) -> None:
        """Tell that a scene's picture was there, and nothing was bought."""
        assert outcome.placed is not None
        self.totals.reused += 1
        sha256 = outcome.placed.picture.sha256
        self.log.info("scene.reused", scene_id=outcome.scene_id, sha256=sha256)

    def capacity_changed(self, change: Change) -> None:
        """Tell that more or fewer may be in flight, or that all pause, and why."""
        self.log.info(
            "capacity.changed",
            reason=change.reason,
            limit=change.limit,
            previous=change.previous,
            pause_s=round(change.pause_s, 6),
            in_flight=change.sent,
        )

    def budget_reached(self, over: OverCap, resets_at: datetime | None) -> None:
        """Tell that a cap is in the way, and no further scene is started."""
        self.log.warning(
            "budget.reached",
            scope=_SCOPES[over.cap],
            limit_usd=format(to_usd(over.limit_microusd), "f"),
            committed_usd=format(to_usd(over.committed_microusd), "f"),
            needed_usd=format(to_usd(over.needed_microusd), "f"),
            resets_at=None if resets_at is None else resets_at.isoformat(),
        )

    def recovered(self, recovered: Recovered) -> None:
        """Tell what became of requests that runs before had died over, if there were any."""
        if recovered != Recovered():
            self.log.info("ledger.recovered", **asdict(recovered))

    def skipped(self, scene_id: str, failure: Failure) -> None:
        """Tell that a scene was never started."""
        self.totals.skipped += 1
        self.log.warning(
            "scene.skipped", scene_id=scene_id, code=failure.code, message=failure.message
        )
