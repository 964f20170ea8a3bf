"""The names of the stage's events, and the one place that sends them.

Events are flat, in the past tense, with numbers ready to add up; money is a decimal string, unknown
money is ``None``. A beginning has exactly one end: every ``scene.started`` is followed by one of
``scene.retried``, ``scene.finished`` or ``scene.failed`` with the same ``attempt``, and every
``stage.started`` by a ``stage.finished``. A scene that waits for a picture it has bought is retried
for the cause ``pending`` and then ends without starting again: nothing more is sent for it. So does
one whose run stops while it waits. ``scene.reused``, ``scene.skipped``, ``scene.awaited`` and
``scene.recovered`` stand alone, and so do all of a batch: its scenes start as their lines are held.

:class:`Telemetry` reports to the trace. :class:`ContractEvents` listens there and logs what the
contract knows; others may listen beside it. The logger is the one the caller gave; structlog is
never configured here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from host_stub.contract import Failure, SceneOutcome
from stage3_plugin.domain.job import Job, LineCount
from stage3_plugin.domain.money import UNKNOWN, Charge, to_usd, usd_of
from stage3_plugin.domain.purchase import CapName, Held, OverCap, Purchase, Recovered
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.states import State
from stage3_plugin.policy.capacity import Change
from stage3_plugin.runtime import trace

if TYPE_CHECKING:  # importing structlog loads rich, and only a run writes events
    from structlog.typing import FilteringBoundLogger

_LEVELS: Final[Mapping[str, str]] = {
    "stage.started": "info",
    "stage.finished": "info",
    "stage.warned": "warning",
    "scene.started": "info",
    "scene.retried": "warning",
    "scene.awaited": "info",
    "scene.waiting": "info",
    "scene.recovered": "info",
    "scene.finished": "info",
    "scene.failed": "error",
    "scene.reused": "info",
    "scene.skipped": "warning",
    "batch.uploaded": "info",
    "batch.created": "info",
    "batch.progress": "info",
    "batch.ended": "info",
    "batch.strange_lines": "warning",
    "capacity.changed": "info",
    "budget.reached": "warning",
    "ledger.recovered": "info",
    "ledger.left_open": "warning",
    "ledger.not_tidied": "warning",
}
_OF_THE_STAGE: Final = frozenset({"stage.started", "stage.finished"})
"""The two ends of a span; all others are moments."""
_COUNTED: Final[Mapping[str, str]] = {
    "scene.finished": "made",
    "scene.reused": "reused",
    "scene.failed": "failed",
    "scene.skipped": "skipped",
    "scene.retried": "retries",
}
"""What a run comes to is counted from its events: what each adds to."""
_RECOVERED: Final[Mapping[State, str]] = {State.PAID: "made", State.UNKNOWN: "unknown"}
"""What became of a request that an earlier run had sent, where it did not simply fail."""
_SCOPES: dict[CapName, str] = {
    "budget_usd": "run",
    "daily_usd": "day",
    "total_usd": "total",
}


def money_text(usd: Decimal | None) -> str | None:
    """Write money as a decimal string; unknown is ``None``."""
    return None if usd is None else format(usd, "f")


def _named(request_id: str | None) -> dict[str, str]:
    """Return what the provider calls an exchange, where it said so."""
    return {} if request_id is None else {"request_id": request_id}


def _of(scene_id: str, take: int) -> dict[str, Any]:
    """Return what an event says of its picture; a take is named where it is not the first."""
    return {"scene_id": scene_id} if take == 1 else {"scene_id": scene_id, "take": take}


class ContractEvents:
    """Logs the events of one run, and counts them for the last one.

    Args:
        log: Takes them.
    """

    names: frozenset[str] = frozenset(
        {*(name for name in _LEVELS if name not in _OF_THE_STAGE), "stage"}
    )

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._totals = dict.fromkeys(_COUNTED.values(), 0)
        self._warned_of = set[object]()

    def handle(self, name: str, fields: Mapping[str, object], /) -> None:
        """Log one, under its level; of warnings in the same words the first."""
        if name == "stage.warned":
            if fields["message"] in self._warned_of:
                return
            self._warned_of.add(fields["message"])
        counted = _COUNTED.get(name)
        if counted is not None:
            self._totals[counted] += 1
        sent = self._totals if name == "stage.finished" else fields
        getattr(self._log, _LEVELS[name])(name, **sent)


class Telemetry:
    """Reports to the trace what happens in a run: a method for each event."""

    def stage(
        self, *, scenes: int, provider: str, model: str, capacity: int, sheets: Iterable[str] = ()
    ) -> AbstractContextManager[object]:
        """Report that a run starts and, however the block ends, that it has finished.

        Args:
            scenes: How many are asked for.
            provider: Who makes them.
            model: Which one.
            capacity: The most that may be in flight.
            sheets: The sheets that this run makes beside them, or finds.
        """
        facts = {"scenes": scenes, "provider": provider, "model": model, "capacity": capacity}
        beside = list(sheets)
        return trace.span("stage", **facts, **({"sheets": beside} if beside else {}))

    def warned(self, message: str) -> None:
        """Report what a person should know although the run goes on."""
        trace.event("stage.warned", message=message)

    def started(
        self,
        request: PictureRequest,
        *,
        take: int,
        attempt: int,
        queued_s: float,
        held: Held,
        base_url: str | None,
    ) -> None:
        """Report that a request starts; capacity has been granted.

        Args:
            request: What is asked for, of whom.
            take: Which of the scene's pictures it is.
            attempt: Which try it is, from 1.
            queued_s: Seconds it waited.
            held: Its purchase, and the money that is held for it.
            base_url: Where it is sent, if that is not the provider's own address.
        """
        trace.event(
            "scene.started",
            **_of(request.scene_id, take),
            attempt=attempt,
            queued_s=round(queued_s, 6),
            purchase=held.attempt_id,
            held_usd=format(to_usd(held.hold_microusd), "f"),
            provider=request.provider,
            model=request.model or "",
            size=request.size,
            base_url=base_url,
        )

    def retried(
        self,
        scene_id: str,
        *,
        take: int,
        attempt: int,
        cause: str,
        wait_s: float,
        cost: Charge,
        message: str,
        request_id: str | None = None,
        asked_for: bool = False,
    ) -> None:
        """Report that a request failed and the scene waits to go again, as long as was asked."""
        trace.event(
            "scene.retried",
            **_of(scene_id, take),
            attempt=attempt,
            cause=cause,
            wait_s=round(wait_s, 6),
            **({"asked_for": True} if asked_for else {}),
            cost_usd=money_text(cost.usd),
            cost_basis=cost.basis,
            message=message,
            **_named(request_id),
        )

    def awaited(
        self,
        scene_id: str,
        *,
        take: int,
        attempt: int,
        cause: str,
        waited_s: float,
        wait_s: float,
        left_s: float,
        message: str,
    ) -> None:
        """Report that what a scene waits for is not here yet, and when it is looked for again."""
        trace.event(
            "scene.awaited",
            **_of(scene_id, take),
            attempt=attempt,
            cause=cause,
            waited_s=round(waited_s, 6),
            wait_s=round(wait_s, 6),
            left_s=round(left_s, 6),
            message=message,
        )

    def ended(self, outcome: SceneOutcome, last: Charge | None = None) -> None:
        """Report how a scene that was started has ended.

        Args:
            outcome: That.
            last: What its last request cost.
        """
        facts = {
            **_of(outcome.scene_id, outcome.take),
            "attempt": outcome.attempts,
            "attempts": outcome.attempts,
            "duration_s": round(outcome.duration_s, 6),
            "cost_usd": money_text(outcome.cost.usd),
            "cost_basis": outcome.cost.basis,
            **_named(outcome.request_id),
        }
        of_last = last or UNKNOWN
        paid, paid_basis = money_text(of_last.usd), of_last.basis
        if outcome.failure is not None:
            failure = outcome.failure
            trace.event(
                "scene.failed",
                code=failure.code,
                message=failure.message,
                last_cost_usd=paid,
                last_cost_basis=paid_basis,
                **facts,
            )
        else:
            trace.event(
                "scene.finished",
                sha256=outcome.sha256,
                last_cost_usd=paid,
                last_cost_basis=paid_basis,
                **facts,
            )

    def reused(self, outcome: SceneOutcome) -> None:
        """Report that a scene's picture was there, and nothing was bought."""
        trace.event("scene.reused", **_of(outcome.scene_id, outcome.take), sha256=outcome.sha256)

    def capacity_changed(self, change: Change) -> None:
        """Report that more or fewer may be in flight, or that all pause, and why."""
        trace.event(
            "capacity.changed",
            reason=change.reason,
            limit=change.limit,
            previous=change.previous,
            pause_s=round(change.pause_s, 6),
            in_flight=change.sent,
        )

    def batch_uploaded(self, token: str, *, lines: int, size_bytes: int) -> None:
        """Report that the file of a batch is at its provider; nothing is bought yet."""
        trace.event("batch.uploaded", batch=token, lines=lines, size_bytes=size_bytes)

    def batch_created(
        self, token: str, *, job: str, lines: int, held_microusd: int, provider: str, model: str
    ) -> None:
        """Report that a batch is being made.

        Args:
            token: What we call it.
            job: What its provider calls it.
            lines: How many pictures it is to have.
            held_microusd: What is held for all of them.
            provider: Who makes it.
            model: With which model.
        """
        trace.event(
            "batch.created",
            batch=token,
            job=job,
            lines=lines,
            held_usd=format(to_usd(held_microusd), "f"),
            provider=provider,
            model=model,
        )

    def batch_progress(self, job: Job, lines: LineCount) -> None:
        """Report how far a batch is, as its provider says."""
        accepted = job.accepted
        trace.event(
            "batch.progress",
            batch=job.new.token,
            job=None if accepted is None else accepted.job_id,
            lines=lines.total,
            done=lines.done,
            failed=lines.failed,
            expired=lines.expired,
        )

    def budget_reached(self, over: OverCap, resets_at: datetime | None) -> None:
        """Report that a cap is in the way, and no further scene is started."""
        trace.event(
            "budget.reached",
            scope=_SCOPES[over.cap],
            limit_usd=format(to_usd(over.limit_microusd), "f"),
            committed_usd=format(to_usd(over.committed_microusd), "f"),
            needed_usd=format(to_usd(over.needed_microusd), "f"),
            resets_at=None if resets_at is None else resets_at.isoformat(),
        )

    def recovered(self, recovered: Recovered) -> None:
        """Report what became of requests that earlier runs died over, if there were any."""
        if recovered != Recovered():
            trace.event("ledger.recovered", **asdict(recovered))

    def brought_to_its_end(self, purchase: Purchase) -> None:
        """Report what became of one of them; nothing of one that was never sent."""
        if purchase.state is State.VOID:
            return
        new, basis = purchase.new, purchase.counted_basis or "unknown"
        is_known = basis != "unknown"
        trace.event(
            "scene.recovered",
            **_of(new.scene_id, new.take),
            outcome=_RECOVERED.get(purchase.state, "failed"),
            cost_usd=money_text(usd_of(purchase.counted_microusd) if is_known else None),
            cost_basis=basis,
            purchase=new.attempt_id,
            provider=new.endpoint.provider,
            model=new.endpoint.model,
            sent_at=purchase.held_at.isoformat(),
            **_named(purchase.request_id),
        )

    def waiting(self, scene_id: str, waits_for: tuple[str, ...], *, take: int = 1) -> None:
        """Report that a scene waits, without capacity, for those it refers to."""
        trace.event("scene.waiting", **_of(scene_id, take), waits_for=list(waits_for))

    def skipped(
        self, scene_id: str, failure: Failure, waits_for: tuple[str, ...] = (), *, take: int = 1
    ) -> None:
        """Report that a scene was never started, and whose pictures it lacks, if that is why."""
        lacks = {"waits_for": list(waits_for)} if waits_for else {}
        code, message = failure.code, failure.message
        trace.event("scene.skipped", **_of(scene_id, take), code=code, message=message, **lacks)
