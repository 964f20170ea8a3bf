"""Where spans and metrics go: exporters by the usual variables, and an end that waits for none.

Everything is made here, for one run, and nothing is registered: a program that has providers of its
own keeps them. Spans wait in memory, are sent by a thread of their own and are dropped where that
does not keep up, so an exporter that hangs costs the run nothing; at its end it is waited for as
long as the setting says, and then left behind.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from threading import Thread
from typing import Any, Final

from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import Tracer

from host_stub.telemetry.exporters import OWN, Kind, chosen, entry_point_of

NAME: Final = "host_stub.telemetry"
MOST_WAITING: Final = 16_384
"""Spans kept for an exporter that does not keep up, some 30 MB; then the oldest are dropped."""
SENT_AFTER_MS: Final = 1000.0
"""A killed run loses the spans that ended in the last second, and whatever was in work."""
METRICS_EVERY_MS: Final = 15_000.0
_MOST: Final = 1e9  # of milliseconds or spans: no number above it is meant


class Delivery:
    """The tracer and the meter of one run, and the way of what they make.

    Raises:
        Exception: An exporter does not take what the environment has set for it.
    """

    def __init__(self) -> None:
        # Whose warnings about exporters Python would write to the terminal otherwise.
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        resource = _resource()
        self._watched = [
            _Watched(_made("traces", name, ConsoleSpanExporter)) for name in chosen("traces")
        ]
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        for exporter in self._watched:
            self._traces.add_span_processor(_waiting_room(exporter))
        self._metrics = MeterProvider(
            resource=resource,
            shutdown_on_exit=False,
            metric_readers=[
                PeriodicExportingMetricReader(
                    _made("metrics", name, ConsoleMetricExporter),
                    export_interval_millis=_unless_set(
                        "OTEL_METRIC_EXPORT_INTERVAL", METRICS_EVERY_MS
                    ),
                )
                for name in chosen("metrics")
            ],
        )

    @property
    def tracer(self) -> Tracer:
        """Return what makes spans."""
        return self._traces.get_tracer(NAME, version("stage3-plugin"))

    @property
    def meter(self) -> Meter:
        """Return what counts."""
        return self._metrics.get_meter(NAME, version("stage3-plugin"))

    def close(self, patience_s: float) -> str | None:
        """Send what is left, and return in one line what did not arrive, if anything.

        Args:
            patience_s: Seconds that it may take; what is left then is given up.
        """
        until = time.monotonic() + patience_s
        patience_ms = max(1.0, patience_s * 1000)
        ending = [
            Thread(target=self._traces.shutdown, daemon=True),
            Thread(target=self._metrics.shutdown, args=(patience_ms,), daemon=True),
        ]
        for one in ending:
            one.start()
        for one in ending:
            one.join(max(0.0, until - time.monotonic()))
        if any(one.is_alive() for one in ending):
            return (
                f"telemetry: its receiver took longer than {patience_s:g} s, and what was left is "
                "given up; the run itself is whole"
            )
        lost = sum(one.lost for one in self._watched)
        why = next((one.why for one in self._watched if one.why), "its receiver refused them")
        if not lost:
            return None
        return f"telemetry: {lost:,} spans were not delivered ({why}); the run itself is whole"


class _Watched(SpanExporter):
    """An exporter, and how many spans it has failed to deliver."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.lost = 0
        self.why = ""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - whatever an exporter does, the run goes on
            self.why = type(error).__name__
            result = SpanExportResult.FAILURE
        if result is not SpanExportResult.SUCCESS:
            self.lost += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _waiting_room(exporter: SpanExporter) -> BatchSpanProcessor:
    most = int(
        _unless_set("OTEL_BSP_MAX_QUEUE_SIZE", MOST_WAITING)
    )  # the SDK wants no batch above it
    return BatchSpanProcessor(
        exporter,
        max_queue_size=most,
        max_export_batch_size=min(most, int(_unless_set("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512))),
        schedule_delay_millis=_unless_set("OTEL_BSP_SCHEDULE_DELAY", SENT_AFTER_MS),
    )


def _made(kind: Kind, name: str, own: Any) -> Any:
    """Make an exporter; the SDK's own writes where it is in nobody's way."""
    if name == OWN:
        return own(out=sys.stderr)
    found = entry_point_of(kind, name)
    if found is None:  # it was there when the observer was asked
        raise LookupError(name)
    return found.load()()


def _unless_set(variable: str, default: float) -> float:
    """Return a number of the environment; one that is none, or below 1, counts as not set."""
    try:
        said = float(os.environ.get(variable) or default)
    except ValueError:
        return default
    return said if 1 <= said <= _MOST else default


def _resource() -> Resource:
    """Return what all of it is said of; the environment's own words come first."""
    named = "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    ours = {"service.version": version("stage3-plugin")}
    if not named and not os.environ.get("OTEL_SERVICE_NAME"):
        ours["service.name"] = "host-stub"
    return Resource.create(dict(ours))
