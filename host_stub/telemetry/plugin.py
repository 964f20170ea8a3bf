"""The observer ``otel``: what the host calls, and what it takes in settings.

Named under ``[pipeline] observers``, it sends spans and metrics of each run; not named, nothing of
it is imported. Nothing of OpenTelemetry is imported before a run begins.
"""

# ruff: noqa: PLC0415  - see above

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field

from host_stub.contract import Event, RunInfo, StageError
from host_stub.hookspecs import hookimpl
from host_stub.telemetry.exporters import lacking
from host_stub.text.format import coded

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

    from host_stub.telemetry.spans import RunSpans


class Settings(BaseModel):
    """The table ``[plugin.otel]``; where to, is for the usual ``OTEL_`` variables to say."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    prompts: Annotated[
        bool,
        Field(
            description="put the prompt of each scene, and what a provider said of it, into spans"
        ),
    ] = False
    patience_s: Annotated[
        float,
        Field(
            ge=0,
            le=60,
            allow_inf_nan=False,
            description="seconds that the end of a run waits for what is not delivered yet",
        ),
    ] = 2.0


class Way(Protocol):
    """Where the spans and the metrics of a run go."""

    @property
    def tracer(self) -> Tracer: ...
    @property
    def meter(self) -> Meter: ...

    def close(self, patience_s: float) -> str | None:
        """Send what is left, and return in one line what did not arrive, if anything."""
        ...


def deliver() -> Way:
    """Return the way that the environment says."""
    from host_stub.telemetry.delivery import Delivery

    return Delivery()


class Otel:
    """The observer.

    Args:
        way: Called at the beginning of each run; a program that has providers of its own gives its
            own here, and names this object in the place of the installed one.
    """

    def __init__(self, way: Callable[[], Way] = deliver) -> None:
        self._way = way
        self._runs: dict[str, _Run] = {}

    @hookimpl
    def host_observer_settings(self) -> type[BaseModel]:
        """Name the settings, unless what it needs is not there."""
        missing = lacking() if self._way is deliver else None
        if missing is not None:
            problem, hint = missing
            raise StageError(problem, hint=hint)
        return Settings

    @hookimpl
    def host_run(self, run: RunInfo) -> None:
        """Begin the span of a run, or end it."""
        if run.state == "started":
            settings = run.settings if isinstance(run.settings, Settings) else Settings()
            self._runs[run.run_id] = _Run(run, settings, self._way())
            return
        going = self._runs.pop(run.run_id, None)
        if going is not None:
            going.end(run)

    @hookimpl
    def host_event(self, event: Event) -> None:
        """Take an event."""
        going = self._runs.get(event["run_id"])
        if going is not None:
            going.spans.hear(event)


class _Run:
    """One run, and where it is reported to."""

    def __init__(self, run: RunInfo, settings: Settings, way: Way) -> None:
        from host_stub.telemetry.spans import RunSpans

        self._settings = settings
        self._way = way
        self.spans: RunSpans = RunSpans(
            run,
            tracer=way.tracer,
            meter=way.meter,
            parent=_parent(),
            prompts={one.scene_id: one.prompt for one in run.story} if settings.prompts else None,
        )

    def end(self, run: RunInfo) -> None:
        """End it, and say what could not be delivered."""
        self.spans.close(run.exit_code)
        undelivered = self._way.close(self._settings.patience_s)
        if undelivered is not None:
            run.warn(coded("undelivered", undelivered))


def _parent() -> Context:
    """Return what the run is a part of, by ``TRACEPARENT`` and ``TRACESTATE``."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    said = {name.lower(): os.environ.get(name, "") for name in ("TRACEPARENT", "TRACESTATE")}
    return TraceContextTextMapPropagator().extract(said)


otel = Otel()
"""What the entry point names."""
