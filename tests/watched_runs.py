"""Runs a project's command in this process with the observer ``otel``, and keeps what it sends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
    NumberDataPoint,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from host_stub.config.file import load_config
from host_stub.plugins.selection import select_plugins
from host_stub.run.finish import RunReport
from host_stub.run.pipeline import RunOptions, run_pipeline
from host_stub.telemetry.plugin import Otel
from stage3_plugin.domain.states import State
from tests.doors import Row

AMOUNT = "gen_ai.usage.cost.amount"


class Kept:
    """Where spans and metrics go: into memory."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self._traces = TracerProvider(shutdown_on_exit=False)
        self._traces.add_span_processor(SimpleSpanProcessor(self.exporter))
        self._metrics = MeterProvider([self.reader], shutdown_on_exit=False)
        self.patience_s: float | None = None

    @property
    def tracer(self) -> Tracer:
        return self._traces.get_tracer("test")

    @property
    def meter(self) -> Meter:
        return self._metrics.get_meter("test")

    def close(self, patience_s: float) -> str | None:
        self.patience_s = patience_s
        return None

    @property
    def spans(self) -> list[ReadableSpan]:
        """Return the spans that have ended, in that order."""
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        """Return those whose name begins so."""
        return [span for span in self.spans if span.name.startswith(name)]

    def points(self, metric: str) -> Sequence[NumberDataPoint | HistogramDataPoint]:
        """Return what was counted under a name."""
        data = self.reader.get_metrics_data()
        if data is None:
            return []
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for one in scope.metrics
            if one.name == metric
            for point in one.data.data_points
            if isinstance(point, NumberDataPoint | HistogramDataPoint)
        ]

    def total(self, metric: str) -> float:
        """Return the sum of a counter."""
        return sum(one.value for one in self.points(metric) if isinstance(one, NumberDataPoint))


def said_of(span: ReadableSpan) -> dict[str, object]:
    """Return a span's attributes."""
    return dict(span.attributes or {})


def run_watched(
    folder: Path, kept: Kept, *, observer_settings: Sequence[str] = (), takes: int | None = None
) -> RunReport:
    """Run ``scenes.json`` of a project in this process.

    Args:
        folder: The project's; its config names no observers.
        kept: Takes what is sent.
        observer_settings: ``key=value`` of the table ``[plugin.otel]``.
        takes: So many of each scene.
    """
    more = ['pipeline.observers=["otel"]', *(f"plugin.otel.{one}" for one in observer_settings)]
    config = load_config(folder / "host.toml", more)
    chosen = select_plugins(config, extra={"otel": Otel(lambda: kept)})
    options = RunOptions(
        scenes_path=folder / "scenes.json",
        out_dir=folder / "out",
        journal=folder / "out" / "events.jsonl",
        max_in_flight=8,
        observers=chosen.observers,
        takes=takes,
        json_only=True,
    )
    return run_pipeline(chosen.image, options)


def amounts(spans: Iterable[ReadableSpan]) -> dict[str, Decimal]:
    """Return what the requests of spans have cost, by purchase, in whole micro-USD."""
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for span in spans:
        said = said_of(span)
        if AMOUNT in said:
            purchase, amount = said["stage3.purchase"], said[AMOUNT]
            assert isinstance(purchase, str)
            assert isinstance(amount, float)
            found[purchase] += round(Decimal(amount), 6)
    return dict(found)


def booked(purchases: Iterable[Row]) -> dict[str, Decimal]:
    """Return what a ledger counts as spent, by purchase: of those whose cost is known."""
    return {
        one.attempt_id: Decimal(one.counted_microusd) / 10**6
        for one in purchases
        if one.basis not in {None, "unknown"} and one.state is not State.VOID
    }
