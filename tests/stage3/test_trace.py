"""The trace of a run: who listens hears it from beginning to end, and nobody else pays for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stage3_plugin.domain.events import SceneWaiting
from stage3_plugin.engine.contract_events import ContractEvents
from stage3_plugin.runtime import trace
from tests.doors import settings_for
from tests.fakes.behaviours import Json
from tests.fakes.image_api import ImageApi
from tests.stage3.running import run_stage, story


@dataclass
class Listener:
    """Keeps what it hears."""

    names: Collection[str]
    heard: list[tuple[str, dict[str, object]]] = field(
        default_factory=list[tuple[str, dict[str, object]]]
    )

    def handle(self, name: str, fields: Mapping[str, object], /) -> None:
        self.heard.append((name, dict(fields)))


class Other(Listener):
    """A listener of another kind."""


def test_an_event_reaches_whoever_named_it_inside_the_block() -> None:
    """Others, and what happens outside, are not called."""
    ours, theirs = Listener({"scene.waiting"}), Other({"scene.failed"})
    trace.event(SceneWaiting(scene_id="early", waits_for=()))
    with trace.listening(ours, theirs):
        trace.event(SceneWaiting(scene_id="a", waits_for=("b",)))
    trace.event(SceneWaiting(scene_id="late", waits_for=()))

    assert ours.heard == [("scene.waiting", {"scene_id": "a", "waits_for": ["b"]})]
    assert theirs.heard == []


class Raising(Listener):
    """A listener that cannot note down what it hears."""

    def handle(self, name: str, fields: Mapping[str, object], /) -> None:
        super().handle(name, fields)
        raise OSError("no space left")


def test_one_that_raises_is_muted_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """What is reported is that money is held, or spent: that goes on, and the others hear it."""
    broken, other = Raising(("claim", "scene.waiting")), Other(("claim", "scene.waiting"))
    with trace.listening(broken, other):
        trace.event(SceneWaiting(scene_id="a", waits_for=("b",)))
        with trace.span("claim", scene_id="a"):
            pass

    assert [name for name, _ in broken.heard] == ["scene.waiting"]
    assert [name for name, _ in other.heard] == ["scene.waiting", "claim.started", "claim.finished"]
    assert caplog.messages == ["the listener Raising is muted: it raised OSError at scene.waiting"]


def test_a_span_has_one_beginning_and_one_end() -> None:
    """Its end has the fields of its beginning, what was noted since, and how long it took."""
    listener = Listener(trace.SPANS)
    with trace.listening(listener), trace.span("claim", scene_id="a") as span:
        span.note(attempt_id="f00", outcome="held")
    (begun, first), (ended, last) = listener.heard
    took_s = last.pop("took_s")

    assert (begun, first) == ("claim.started", {"scene_id": "a"})
    assert ended == "claim.finished"
    assert last == {"scene_id": "a", "attempt_id": "f00", "outcome": "held"}
    assert isinstance(took_s, float)
    assert took_s >= 0


def test_a_span_that_an_exception_ends_says_which() -> None:
    """And the exception goes on."""
    listener = Listener({"settle"})
    with trace.listening(listener), suppress(ZeroDivisionError):
        with trace.span("settle", attempt_id="f00") as span:
            span.note(outcome="PAID")
            raise ZeroDivisionError
        pytest.fail("it was swallowed")

    assert listener.heard[-1][1]["outcome"] == "ZeroDivisionError"


def test_a_span_that_nobody_listens_to_is_one_for_all() -> None:
    """Nothing is made for it and nothing kept: a scene goes through several."""
    with trace.listening(Listener({"publish"})):
        unheard = trace.span("claim", scene_id="a")

    assert trace.span("settle", attempt_id="f00") is unheard
    assert not hasattr(unheard, "__dict__")


def test_of_a_kind_the_innermost_listens() -> None:
    """A run that is started inside another has its own events, and others hear both."""
    outer, inner, other = Listener({"claim"}), Listener({"claim"}), Other({"claim"})
    with trace.listening(outer, other), trace.listening(inner), trace.span("claim"):
        pass

    assert outer.heard == []
    assert [name for name, _ in inner.heard] == ["claim.started", "claim.finished"]
    assert [name for name, _ in other.heard] == ["claim.started", "claim.finished"]


@pytest.mark.anyio
async def test_a_scene_reports_the_rooms_that_it_goes_through(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """With one beginning and one end each, the scene, the attempt, and what came of it."""
    listener = Listener(trace.SPANS)
    with trace.listening(listener):
        await run_stage(settings_for(image_api), story("a"), tmp_path)
    spans = [name for name, _ in listener.heard]
    ends = {name.removesuffix(".finished"): fields for name, fields in listener.heard}
    attempt_id = ends["attempt"]["attempt_id"]

    assert spans == [
        "stage.started",
        *("claim.started", "claim.finished"),
        *("attempt.started", "receive.started", "receive.finished"),
        *("ingest.started", "ingest.finished", "attempt.finished"),
        *("settle.started", "settle.finished"),
        *("publish.started", "publish.finished"),
        "stage.finished",
    ]
    assert {name: ends[name]["outcome"] for name in trace.SPANS[1:]} == {
        "claim": "held",
        "attempt": "pictures",
        "receive": "complete",
        "ingest": "pictures",
        "settle": "PAID",
        "publish": "placed",
    }
    assert {ends[name].get("attempt_id") for name in trace.SPANS[1:]} == {attempt_id}
    assert {ends[name].get("scene_id", "a") for name in trace.SPANS[1:]} == {"a"}
    assert all(isinstance(ends[name]["took_s"], float) for name in trace.SPANS)


@pytest.mark.anyio
async def test_another_listener_hears_a_run_beside_the_log(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """What the contract's events are made of is there for others, too, with the same fields."""
    image_api.script(Json({"error": {"code": "moderation_blocked"}}, status=400), scene="b")
    listener = Listener(ContractEvents.names)
    with trace.listening(listener):
        ran = await run_stage(settings_for(image_api), story("a", "b"), tmp_path)
    logged = [{k: v for k, v in one.items() if k != "log_level"} for one in ran.events]
    heard = [{"event": name, **fields} for name, fields in listener.heard]

    assert heard[:-1] == logged[:-1]
    assert heard[-1]["event"] == "stage.finished"
    assert logged[-1] | {"event": None} == {
        "event": None, "made": 1, "reused": 0, "failed": 1, "skipped": 0, "retries": 0
    }  # fmt: skip


@pytest.mark.anyio
async def test_a_picture_that_is_there_is_claimed_and_no_more(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Nothing is attempted or settled for it."""
    await run_stage(settings_for(image_api), story("a"), tmp_path)
    listener = Listener(set(trace.SPANS) - {"stage"})
    with trace.listening(listener):
        await run_stage(settings_for(image_api), story("a"), tmp_path)

    assert [name for name, _ in listener.heard] == ["claim.started", "claim.finished"]
    assert listener.heard[-1][1]["outcome"] == "found"
