"""The observer ``otel``: what it makes of events, what it keeps to itself, and where it goes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind

from host_stub.cli import main
from host_stub.contract import RunInfo, Scene, StageError
from host_stub.events.schema import checked
from host_stub.telemetry import delivery, exporters
from host_stub.telemetry.plugin import Otel, Settings
from tests.watched_runs import AMOUNT, Kept, said_of

BEGUN = datetime(2026, 11, 30, 12, tzinfo=UTC)
SECRET = "hunter2hunter2"


class Told:
    """An observer, and what a run tells it."""

    def __init__(self, way: Any = None, **settings: Any) -> None:
        self.kept = Kept()
        self.warned: list[str] = []
        self._otel = Otel(way or (lambda: self.kept))
        self._settings = Settings(**settings)
        self._at = BEGUN
        self._run("started")

    def _run(self, state: Any, exit_code: int | None = None) -> None:
        self._otel.host_run(
            RunInfo(
                run_id="r1",
                state=state,
                plugin="cards",
                scenes=2,
                out_dir=Path("out"),
                settings=self._settings,
                story=(Scene(scene_id="a", prompt="a very private harbour"),),
                exit_code=exit_code,
                warn=self.warned.append,
            )
        )

    def event(self, name: str, **fields: Any) -> None:
        """Tell an event as the host would: checked, a second after the one before."""
        self._at += timedelta(seconds=1)
        level = {"scene.retried": "warning", "scene.failed": "error"}.get(name, "info")
        stamps = {"event": name, "level": level, "run_id": "r1", "plugin": "cards"}
        record = stamps | {"timestamp": self._at.isoformat()} | fields
        self._otel.host_event(checked(record))

    def ended(self, exit_code: int = 0) -> Kept:
        """End the run and return what was kept."""
        self._run("finished", exit_code)
        return self.kept


def made(told: Told, cost: str | None, basis: str, **more: Any) -> dict[str, object]:
    """Let a scene be made, and return what is said of its request."""
    told.event("scene.started", scene_id="a", attempt=1, queued_s=0.5, **more)
    told.event(
        "scene.finished", scene_id="a", attempt=1, attempts=1, duration_s=1.0,
        cost_usd=cost, cost_basis=basis,
    )  # fmt: skip
    (span,) = told.ended().named("generate_content")
    return said_of(span)


@pytest.mark.parametrize(
    "basis, source",
    [("reported", "provider"), ("gateway", "provider"), ("tokens", "local"), ("flat", "local"),
     ("held", "local"), ("free", "local")],
)  # fmt: skip
def test_a_cost_says_who_says_so(basis: str, source: str) -> None:
    """By the draft of the conventions: a gateway answers as a provider does."""
    said = made(Told(), "0.0401", basis)

    assert said[AMOUNT] == 0.0401
    assert said["gen_ai.usage.cost.currency"] == "USD"
    assert said["gen_ai.usage.cost.source"] == source
    assert said["stage3.cost_basis"] == basis


def test_spans_lie_in_one_another_and_have_the_names_of_the_conventions() -> None:
    """Run, scene, request; kinds, and what the request was for."""
    told = Told()
    told.event("stage.started", provider="openai", model="gpt-image-2", capacity=4)
    said = made(
        told, "0.04", "reported", provider="openai", model="gpt-image-2", size="64x32",
        purchase="f" * 32, base_url=f"https://me:{SECRET}@api.example:8443/v1?key={SECRET}",
    )  # fmt: skip
    (run,) = told.kept.named("invoke_workflow cards")
    (scene,) = told.kept.named("scene")
    (attempt,) = told.kept.named("generate_content gpt-image-2")

    assert run.parent is None
    assert run.context is not None
    assert scene.context is not None
    assert scene.parent is not None
    assert attempt.parent is not None
    assert (scene.parent.span_id, attempt.parent.span_id) == (
        run.context.span_id, scene.context.span_id
    )  # fmt: skip
    assert (run.kind, scene.kind, attempt.kind) == (
        SpanKind.INTERNAL, SpanKind.INTERNAL, SpanKind.CLIENT
    )  # fmt: skip
    assert (
        said
        | {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.output.type": "image",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-image-2",
            "gen_ai.request.image.width": 64,
            "gen_ai.request.image.height": 32,
            "server.address": "api.example",
            "server.port": 8443,
            "stage3.purchase": "f" * 32,
            "stage3.scene_id": "a",
        }
        == said
    )
    assert SECRET not in json.dumps([said_of(one) for one in told.kept.spans])


def test_a_plugin_that_says_only_what_it_must_has_its_sums_too() -> None:
    """The last request cost what all did, less those before it; one unknown makes it unknown."""
    told = Told()
    for scene_id, first, total in (("a", "0.01", "0.05"), ("b", None, None)):
        told.event("scene.started", scene_id=scene_id, attempt=1, queued_s=0)
        told.event(
            "scene.retried", scene_id=scene_id, attempt=1, cause="no_picture", wait_s=0,
            cost_usd=first, cost_basis="flat" if first else "unknown",
        )  # fmt: skip
        told.event("scene.started", scene_id=scene_id, attempt=2, queued_s=0)
        told.event(
            "scene.finished", scene_id=scene_id, attempts=2, duration_s=1.0,
            cost_usd=total, cost_basis="flat" if total else "unknown",
        )  # fmt: skip
    kept = told.ended()

    amounts = [said_of(one).get(AMOUNT) for one in kept.named("generate_content")]
    assert amounts == [0.01, 0.04, None, None]
    assert kept.total("stage3.cost") == pytest.approx(0.05)
    assert kept.total("stage3.cost.unknown") == 2


def test_what_is_bought_and_awaited_is_one_request() -> None:
    """``pending`` sends nothing again, so the span goes on until the bill is known."""
    told = Told()
    told.event("scene.started", scene_id="a", attempt=1, queued_s=0)
    told.event("scene.retried", scene_id="a", cause="pending", wait_s=3, cost_usd=None)
    told.event("scene.awaited", scene_id="a", cause="pending", waited_s=1, wait_s=1)
    told.event(
        "scene.finished", scene_id="a", attempts=1, duration_s=9.0, cost_usd="0.03",
        cost_basis="reported",
    )  # fmt: skip

    (span,) = told.ended().named("generate_content")
    assert said_of(span)[AMOUNT] == 0.03
    assert told.kept.total("stage3.in_flight") == 0


@pytest.mark.usefixtures("painters")
def test_what_may_have_been_billed_is_told_by_its_own_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever looks for it finds it, and is alarmed by nothing of which nobody knows more."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    ends = ("unknown", "pending", "cancelled", "rejected")
    scenes = [{"scene_id": one, "prompt": f"fails: {one}"} for one in ends]
    Path("scenes.json").write_text(json.dumps(scenes), encoding="utf-8")
    Path("host.toml").write_text(
        '[pipeline]\nimage = "painter"\nobservers = ["otel"]\n', encoding="utf-8"
    )
    main(["run", "scenes.json"])
    said = capsys.readouterr().err
    spans = [json.loads(one) for one in re.findall(r"^\{$.*?^\}$", said, re.DOTALL | re.MULTILINE)]
    told = {
        one["attributes"]["stage3.scene_id"]: (
            one["attributes"]["stage3.outcome"], one["status"]["status_code"],
        )
        for one in spans
        if one["name"].startswith("generate_content")
    }  # fmt: skip

    assert told == {
        "unknown": ("unknown", "UNSET"),
        "pending": ("pending", "UNSET"),
        "cancelled": ("cancelled", "UNSET"),
        "rejected": ("failed", "ERROR"),
    }


def test_a_run_that_breaks_off_leaves_no_span_open() -> None:
    """What was in work is ended with it, as unfinished, and is no money."""
    told = Told()
    told.event("scene.started", scene_id="a", queued_s=0, held_usd="0.05")
    kept = told.ended(3)

    assert {said_of(one).get("stage3.outcome") for one in kept.named("generate")} == {"unfinished"}
    assert len(kept.spans) == 3
    assert kept.total("stage3.cost.unknown") == 1
    assert (kept.total("stage3.in_flight"), kept.total("stage3.held")) == (0, 0)


@pytest.mark.parametrize("prompts", [False, True])
def test_words_leave_only_if_they_are_asked_for(*, prompts: bool) -> None:
    """The prompt, and what a provider says of it, which may quote it."""
    told = Told(prompts=prompts)
    told.event("scene.started", scene_id="a", attempt=1, queued_s=0)
    told.event(
        "scene.failed", scene_id="a", code="refused", attempts=1, cost_usd="0",
        cost_basis="free", message="'a very private harbour' is not allowed",
    )  # fmt: skip
    kept = told.ended(1)
    said = json.dumps([[one.name, said_of(one), str(one.status.description)] for one in kept.spans])

    assert ("private harbour" in said) is prompts
    (scene,) = kept.named("scene")
    assert said_of(scene).get("stage3.prompt") == ("a very private harbour" if prompts else None)


def test_what_the_environment_names_is_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that a pipeline starts is a part of its trace."""
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    monkeypatch.setenv("TRACEPARENT", f"00-{trace_id}-{span_id}-01")
    kept = Told().ended()

    (run,) = kept.named("invoke_workflow")
    assert run.context is not None
    assert run.parent is not None
    assert f"{run.context.trace_id:032x}" == trace_id
    assert f"{run.parent.span_id:016x}" == span_id


# Exporters ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environ, names",
    [
        ({}, ["otlp_proto_http"]),
        ({"OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ["otlp_proto_http", "console"]),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ["otlp_proto_grpc"]),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
             "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
            ["otlp_proto_http"],
        ),
    ],
)  # fmt: skip
def test_the_usual_variables_say_where_to(environ: Mapping[str, str], names: list[str]) -> None:
    assert list(exporters.chosen("traces", environ)) == names


def test_an_exporter_that_is_not_there_is_named_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "carrier_pigeon")

    with pytest.raises(StageError, match="'carrier_pigeon'") as caught:
        Otel().host_observer_settings()

    assert "OTEL_TRACES_EXPORTER" in (caught.value.hint or "")


class _Exporter(SpanExporter):
    """Does what a test wants; the spans that it has taken are kept."""

    def __init__(self, act: Callable[[Sequence[ReadableSpan]], SpanExportResult]) -> None:
        self._act = act

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._act(spans)

    def shutdown(self) -> None:
        """Nothing is held."""


@pytest.fixture
def deliver(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Callable[[], Any]]:
    """Return what makes a way by an exporter that does as it is told; metrics go nowhere."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "mine")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")

    def way(act: Any) -> Callable[[], Any]:
        class Found:
            def load(self) -> Callable[[], SpanExporter]:
                return lambda: _Exporter(act)

        def found(kind: str, name: str) -> Found:
            return Found()

        monkeypatch.setattr(delivery, "entry_point_of", found)
        return delivery.Delivery

    return way


@pytest.mark.parametrize(
    "variable",
    ["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_METRIC_EXPORT_INTERVAL"],
)
@pytest.mark.parametrize("value", [None, "0", "-5", "nan", "inf", "1e999", "many", "3"])
def test_what_is_sent_arrives_by_the_end_whatever_number_the_environment_has(
    variable: str, value: str | None, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it, with the name of the service; a queue smaller than a batch of the SDK's is one."""
    if value is not None:
        monkeypatch.setenv("OTEL_METRICS_EXPORTER", "console")
        monkeypatch.setenv(variable, value)
    arrived: list[ReadableSpan] = []

    def take(spans: Sequence[ReadableSpan]) -> SpanExportResult:
        arrived.extend(spans)
        return SpanExportResult.SUCCESS

    told = Told(deliver(take), patience_s=60)
    told.event("scene.reused", scene_id="a")
    told.ended()

    assert [one.name for one in arrived] == ["scene", "invoke_workflow cards"]
    assert arrived[0].resource.attributes["service.name"] == "host-stub"
    assert value is not None or told.warned == []


def test_an_exporter_that_hangs_is_left_behind(deliver: Any) -> None:
    """The run ends, and one line says what became of the rest."""
    never = threading.Event()

    def hang(_spans: Sequence[ReadableSpan]) -> SpanExportResult:
        never.wait()
        return SpanExportResult.SUCCESS

    told = Told(deliver(hang), patience_s=0.05)
    told.event("scene.reused", scene_id="a")
    told.ended()  # else this test would never end
    never.set()

    assert [one for one in told.warned if "given up" in one] == told.warned != []


@pytest.mark.parametrize("raises", [False, True])
def test_an_exporter_that_fails_is_said_once(deliver: Any, *, raises: bool) -> None:
    """With how many spans it lost; nothing of it reaches the events' way."""

    def fail(_spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if raises:
            raise ConnectionRefusedError
        return SpanExportResult.FAILURE

    told = Told(deliver(fail), patience_s=60)
    told.event("scene.reused", scene_id="a")
    told.ended()

    (line,) = told.warned
    assert "2 spans were not delivered" in line
    assert ("ConnectionRefusedError" in line) is raises


def test_a_slow_exporter_holds_no_event_back(deliver: Any) -> None:
    """A hundred scenes pass while the first batch is still on its way."""
    gate, arrived = threading.Event(), 0

    def take(spans: Sequence[ReadableSpan]) -> SpanExportResult:
        nonlocal arrived
        gate.wait()
        arrived += len(spans)
        return SpanExportResult.SUCCESS

    told = Told(deliver(take), patience_s=60)
    for number in range(100):
        told.event("scene.reused", scene_id=f"s{number}")
    assert arrived == 0
    gate.set()
    told.ended()

    assert arrived == 101


NOT_NAMED = """
import sys
from host_stub.cli import main
assert main(sys.argv[1:]) == 0
there = [one for one in sys.modules if one.startswith(("opentelemetry", "host_stub.telemetry"))]
assert there == [], there
"""


@pytest.mark.slow
def test_nothing_of_it_is_imported_where_it_is_not_named(tmp_path: Path) -> None:
    """Neither by a run nor by what looks at the plugins that are installed."""
    (tmp_path / "s.json").write_text('[{"scene_id": "a", "prompt": "x"}]', encoding="utf-8")
    for arguments in (["run", "s.json", "--image", "plain"], ["plugins"]):
        ran = subprocess.run(
            [sys.executable, "-c", NOT_NAMED, *arguments],
            cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
