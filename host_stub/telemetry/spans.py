"""Makes spans and metrics of one run's events.

The tracer and the meter are given: whose they are, and where what they make goes, is decided
elsewhere. A request has a span from its start to its end; what is only waited for in between is
part of it. Money is on the spans of requests alone, so that adding up all spans counts it once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import Meter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from host_stub.contract import Event, RunInfo
from host_stub.telemetry import facts
from host_stub.telemetry.facts import Attributes

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "budget.reached": ("scope", "limit_usd", "committed_usd", "needed_usd"),
    "capacity.changed": ("reason", "limit", "previous", "pause_s", "in_flight"),
}
"""What a run's span notes as a moment, with the fields that are numbers or words of ours."""
_TOTALS: Final = ("made", "reused", "failed", "skipped", "retries")


def moment_ns(event: Event) -> int:
    """Return when an event was, in nanoseconds since 1970."""
    return (datetime.fromisoformat(event["timestamp"]) - _EPOCH) // timedelta(microseconds=1) * 1000


@dataclass(slots=True)
class _Timed:
    """A span, and when it began by both clocks: it ends by the one that is never set."""

    span: Span
    began_ns: int
    began_s: float = field(default_factory=time.monotonic)

    @property
    def took_s(self) -> float:
        return time.monotonic() - self.began_s

    def end(self, attributes: Attributes, *, failed: bool) -> None:
        self.span.set_attributes(attributes)
        if failed:
            self.span.set_status(Status(StatusCode.ERROR))
        self.span.end(self.began_ns + int(self.took_s * 1e9))


@dataclass(slots=True)
class _Attempt:
    """A request in work: its span, what it was asked for, and what is held for it."""

    timed: _Timed
    asked: Attributes
    held_usd: float


@dataclass(slots=True)
class _Picture:
    """A scene, or a take of one, in work.

    Attributes:
        timed: Its span.
        attempt: Its request, while there is one.
        paid: What its requests have cost; ``None`` once one of them is not known.
    """

    timed: _Timed
    attempt: _Attempt | None = None
    paid: Decimal | None = Decimal(0)


class RunSpans:
    """The spans and the metrics of one run.

    Args:
        run: What the host says of it.
        tracer: Makes spans.
        meter: Counts.
        parent: What the run is a part of.
        prompts: The prompt of each scene, where they may be said, by its id; ``None`` where not.
            Then no word of a provider is said either.
    """

    def __init__(
        self,
        run: RunInfo,
        *,
        tracer: Tracer,
        meter: Meter,
        parent: Context | None = None,
        prompts: Mapping[str, str] | None = None,
    ) -> None:
        self._tracer = tracer
        self._prompts = prompts
        self._plugin = run.plugin
        self._asked: Attributes = {"gen_ai.operation.name": facts.GENERATE}
        began_ns = time.time_ns()
        span = tracer.start_span(
            f"{facts.RUN} {run.plugin}",
            context=parent,
            kind=SpanKind.INTERNAL,
            attributes=facts.of_run(run.plugin, run.run_id, run.scenes),
            start_time=began_ns,
        )
        self._run = _Timed(span, began_ns)
        self._inside = trace.set_span_in_context(span, parent)
        self._pictures: dict[tuple[str, int], _Picture] = {}
        self._paid, self._unknown = Decimal(0), 0
        self._metrics = _Metrics(meter)

    def hear(self, event: Event) -> None:
        """Take an event of the run."""
        name: str = event["event"]
        if name == "scene.started":
            self._started(event)
        elif name == "scene.retried":
            self._retried(event)
        elif name in {"scene.finished", "scene.failed"}:
            self._ended(event)
        elif name in {"scene.reused", "scene.skipped", "scene.recovered"}:
            self._alone(event)
        elif name == "stage.started":
            self._asked = facts.of_model(event)
            self._run.span.set_attributes(
                {key: value for key, value in self._asked.items() if key != "gen_ai.operation.name"}
            )
            self._metrics.capacity(event.get("capacity"))
        elif name == "stage.finished":
            totals = {one: event[one] for one in _TOTALS if isinstance(event.get(one), int)}
            self._run.span.set_attributes({f"stage3.{one}": n for one, n in totals.items()})
        elif name in _MOMENTS:
            self._moment(event)

    def close(self, exit_code: int | None) -> None:
        """End the run, and whatever it has left open."""
        for picture in self._pictures.values():
            if picture.attempt is not None:
                self._end_attempt(picture, {"stage3.outcome": "unfinished"}, None, "unknown")
            picture.timed.end({"stage3.outcome": "unfinished"}, failed=False)
        self._pictures.clear()
        ending: Attributes = {
            "stage3.cost_usd": float(self._paid),
            "stage3.unknown_costs": self._unknown,
        }
        if exit_code is not None:
            ending["stage3.exit_code"] = exit_code
        self._metrics.ran(self._run.took_s, self._plugin)
        self._run.end(ending, failed=exit_code != 0)

    # Scenes --------------------------------------------------------------------------------------

    def _started(self, event: Event) -> None:
        key = facts.of_picture(event)
        picture = self._pictures.get(key)
        if picture is None:
            picture = self._pictures[key] = self._picture(event)
        elif picture.attempt is not None:  # which the contract rules out
            self._end_attempt(picture, {"stage3.outcome": "unfinished"}, None, "unknown")
        asked = self._asked | facts.of_attempt(event)
        began_ns = moment_ns(event)
        span = self._tracer.start_span(
            facts.span_name(asked),
            context=trace.set_span_in_context(picture.timed.span),
            kind=SpanKind.CLIENT,
            attributes=asked,
            start_time=began_ns,
        )
        span.set_attribute("stage3.queued_s", event["queued_s"])
        held_usd = float(facts.amount(event.get("held_usd")) or 0)
        picture.attempt = _Attempt(_Timed(span, began_ns), asked, held_usd)
        self._metrics.sent(asked, held_usd)

    def _picture(self, event: Event) -> _Picture:
        attributes = facts.of_scene(event)
        prompt = None if self._prompts is None else self._prompts.get(event["scene_id"])
        if prompt is not None:
            attributes["stage3.prompt"] = prompt
        began_ns = moment_ns(event)
        span = self._tracer.start_span(
            "scene",
            context=self._inside,
            kind=SpanKind.INTERNAL,
            attributes=attributes,
            start_time=began_ns,
        )
        return _Picture(_Timed(span, began_ns))

    def _retried(self, event: Event) -> None:
        self._metrics.retried(event["cause"])
        picture = self._pictures.get(facts.of_picture(event))
        if picture is None or picture.attempt is None or event["cause"] == "pending":
            return  # nothing more is sent for what is bought: the same request goes on
        usd, basis = facts.last_cost(event, picture.paid)
        self._end_attempt(picture, self._said(event), usd, basis)

    def _ended(self, event: Event) -> None:
        picture = self._pictures.pop(facts.of_picture(event), None) or self._picture(event)
        said = self._said(event)
        if picture.attempt is not None:
            usd, basis = facts.last_cost(event, picture.paid)
            self._end_attempt(picture, said, usd, basis)
        total, outcome = event.get("cost_usd"), str(said["stage3.outcome"])
        said |= {"stage3.attempts": event.get("attempts", 0)}
        if total is not None:
            said["stage3.cost_usd"] = float(total)
        picture.timed.end(said, failed=outcome == "failed")
        self._metrics.ended(outcome)

    def _end_attempt(
        self, picture: _Picture, said: Attributes, usd: Decimal | None, basis: str
    ) -> None:
        attempt = picture.attempt
        assert attempt is not None, "only a request in work ends"
        picture.attempt = None
        picture.paid = None if usd is None or picture.paid is None else picture.paid + usd
        self._count(usd)
        took_s = attempt.timed.took_s
        attempt.timed.end(said | facts.of_cost(usd, basis), failed=is_failure(said))
        self._metrics.answered(attempt.asked, said, took_s, attempt.held_usd)
        self._metrics.paid(attempt.asked, usd, basis)

    def _alone(self, event: Event) -> None:
        """Note what is over at once: a scene that sent nothing, or an earlier run's request."""
        outcome, when = facts.outcome_of(event), moment_ns(event)
        said = facts.of_scene(event) | self._said(event)
        name, kind = "scene", SpanKind.INTERNAL
        if event["event"] == "scene.recovered":
            asked = facts.of_attempt(event)
            usd, basis = event["cost_usd"], event["cost_basis"]
            said |= asked | facts.of_cost(usd, basis) | {"stage3.recovered": True}
            sent_at = event.get("sent_at")
            if isinstance(sent_at, str):
                said["stage3.sent_at"] = sent_at
            name, kind = facts.span_name(asked), SpanKind.CLIENT
            self._count(usd)
            self._metrics.paid(asked, usd, basis)
        else:
            self._metrics.ended(outcome)
        span = self._tracer.start_span(
            name, context=self._inside, kind=kind, attributes=said, start_time=when
        )
        if is_failure(said):
            span.set_status(Status(StatusCode.ERROR))
        span.end(when)

    def _count(self, usd: Decimal | None) -> None:
        if usd is None:
            self._unknown += 1
        else:
            self._paid += usd

    def _said(self, event: Event) -> Attributes:
        said = facts.of_end(event)
        message = event.get("message")
        if self._prompts is not None and isinstance(message, str) and message:
            said["stage3.message"] = message
        return said

    def _moment(self, event: Event) -> None:
        name: str = event["event"]
        said = {
            f"stage3.{one}": float(value) if isinstance(value, Decimal) else value
            for one in _MOMENTS[name]
            if isinstance(value := event.get(one), str | int | float | Decimal)
        }
        self._run.span.add_event(name, said, moment_ns(event))
        if name == "capacity.changed":
            self._metrics.capacity(event.get("limit"))


def is_failure(said: Attributes) -> bool:
    """Return whether a span's status is an error; what may have been billed is none."""
    return said.get("stage3.outcome") == "failed"


class _Metrics:
    """What is counted; see ``docs/telemetry.md`` for each."""

    def __init__(self, meter: Meter) -> None:
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="Seconds from sending a request for a picture to its end.",
            explicit_bucket_boundaries_advisory=facts.BUCKETS_S,
        )
        self._run_duration = meter.create_histogram(
            "gen_ai.workflow.duration",
            unit="s",
            description="Seconds that a run took.",
            explicit_bucket_boundaries_advisory=(*facts.BUCKETS_S, 1800.0, 3600.0, 14400.0),
        )
        self._cost = meter.create_counter(
            "stage3.cost", unit="{USD}", description="What requests have cost, as far as known."
        )
        self._unknown = meter.create_counter(
            "stage3.cost.unknown", unit="{request}", description="Requests of unknown cost."
        )
        self._scenes = meter.create_counter(
            "stage3.scenes", unit="{picture}", description="Pictures by how they ended."
        )
        self._retries = meter.create_counter(
            "stage3.retries", unit="{request}", description="Requests that another one follows."
        )
        self._in_flight = meter.create_up_down_counter(
            "stage3.in_flight", unit="{request}", description="Requests in work."
        )
        self._held = meter.create_up_down_counter(
            "stage3.held", unit="{USD}", description="Money held for requests in work."
        )
        self._capacity = meter.create_gauge(
            "stage3.capacity", unit="{request}", description="The most that may be in flight."
        )

    def sent(self, asked: Attributes, held_usd: float) -> None:
        self._in_flight.add(1, _of_whom(asked))
        self._held.add(held_usd, _of_whom(asked))

    def answered(self, asked: Attributes, said: Attributes, took_s: float, held_usd: float) -> None:
        whom = _of_whom(asked)
        self._in_flight.add(-1, whom)
        self._held.add(-held_usd, whom)
        code = said.get("error.type")
        self._duration.record(took_s, whom if code is None else whom | {"error.type": code})

    def paid(self, asked: Attributes, usd: Decimal | None, basis: str) -> None:
        whom = _of_whom(asked)
        if usd is None:
            self._unknown.add(1, whom)
            return
        source = facts.of_cost(usd, basis)["gen_ai.usage.cost.source"]
        by = {"stage3.cost_basis": basis, "gen_ai.usage.cost.source": source}
        self._cost.add(float(usd), whom | by)

    def ended(self, outcome: str) -> None:
        self._scenes.add(1, {"stage3.outcome": outcome})

    def retried(self, cause: str) -> None:
        self._retries.add(1, {"error.type": cause})

    def capacity(self, limit: object) -> None:
        if isinstance(limit, int):
            self._capacity.set(limit)

    def ran(self, took_s: float, plugin: str) -> None:
        self._run_duration.record(took_s, {"gen_ai.workflow.name": plugin})


def _of_whom(asked: Attributes) -> Attributes:
    """Return what metrics are told apart by: few values, whatever the story."""
    few = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")
    return {name: asked[name] for name in few if name in asked}
