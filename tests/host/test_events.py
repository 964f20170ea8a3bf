import errno
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO
from unittest.mock import Mock

import anyio
import anyio.to_thread
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from host_stub.contract import Event
from host_stub.events.journal import EventJournal, json_line, keep_earlier, write_whole
from host_stub.events.stream import MOST_REJECTED, EventStream
from host_stub.plugins.selection import Observer
from host_stub.text.plain_values import LONGEST_TEXT, plain
from host_stub.text.redaction import Redactor

KEY = "sk-CANARY-0123456789"


class _Bench:
    """An event stream with its journal and everything that came out of it."""

    def __init__(self, folder: Path, *observers: Observer) -> None:
        self.heard: list[Event] = []
        self.journal = EventJournal(folder / "events.jsonl")
        self.stream = EventStream(
            run_id="run-1",
            plugin="fake",
            redactor=Redactor([KEY]),
            now=lambda: datetime(2026, 11, 24, 12, 0, tzinfo=UTC),
            journal=self.journal,
            observers=observers,
            listener=self.heard.append,
        )
        self.log = self.stream.logger()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.journal.path.read_bytes().splitlines()]

    def names(self) -> list[str]:
        return [line["event"] for line in self.lines()]


MakeBench = Callable[..., _Bench]


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[MakeBench]:
    with ExitStack() as stack:

        def make(*observers: Observer) -> _Bench:
            bench = _Bench(tmp_path, *observers)
            stack.enter_context(bench.journal)
            return bench

        yield make


@pytest.fixture
def bench(make_bench: MakeBench) -> _Bench:
    return make_bench()


def _observer(name: str, on_event: Callable[[Event], None]) -> Observer:
    return Observer(name, on_event, None)


VALID: dict[str, tuple[str, dict[str, Any]]] = {
    "stage.started": ("info", {"sheets": ["mira"]}),
    "scene.started": ("info", {"scene_id": "a", "queued_s": 0.5, "attempt": 1}),
    "scene.retried": (
        "warning",
        {"scene_id": "a", "cause": "rate_limited", "wait_s": 2, "cost_usd": None},
    ),
    "scene.awaited": (
        "info",
        {"scene_id": "a", "cause": "pending", "waited_s": 3.0, "wait_s": 4.0, "left_s": 293.0},
    ),
    "scene.waiting": ("info", {"scene_id": "a", "waits_for": ["mira", "b"]}),
    "scene.recovered": (
        "info",
        {"scene_id": "a", "outcome": "unknown", "cost_usd": None, "cost_basis": "unknown"},
    ),
    "scene.reused": ("info", {"scene_id": "a", "sha256": "0" * 64, "source": "ledger"}),
    "scene.finished": (
        "info",
        {
            "scene_id": "a",
            "duration_s": 1.5,
            "attempts": 2,
            "cost_usd": "0.040",
            "cost_basis": "reported",
        },
    ),
    "scene.failed": ("error", {"scene_id": "a", "code": "refused", "message": "no"}),
    "scene.skipped": (
        "warning",
        {"scene_id": "a", "code": "not_tried", "waits_for": ["mira"]},
    ),
    "capacity.changed": ("info", {"capacity": 3}),
    "budget.reached": (
        "warning",
        {
            "scope": "day",
            "limit_usd": "1.50",
            "committed_usd": "1.46",
            "resets_at": "2026-11-25T00:00:00+01:00",
        },
    ),
    "stage.finished": ("info", {"made": 1}),
}
CAP: dict[str, Any] = {"scope": "run", "limit_usd": "1", "committed_usd": "1"}
INVALID: dict[str, tuple[str, dict[str, Any], str]] = {
    "a misspelt name": ("scene.finnished", {"scene_id": "a"}, "event: expected"),
    "no scene": ("scene.started", {"queued_s": 0}, "scene_id: field required"),
    "an empty scene": ("scene.started", {"scene_id": "", "queued_s": 0}, "scene_id:"),
    "no duration": (
        "scene.finished",
        {"scene_id": "a", "attempts": 1, "cost_usd": None, "cost_basis": "unknown"},
        "duration_s: field required",
    ),
    "money as a float": (
        "scene.retried",
        {"scene_id": "a", "cause": "unavailable", "wait_s": 1, "cost_usd": 0.04},
        "cost_usd: money is a decimal or a decimal string, never a float",
    ),
    "time that runs backwards": ("scene.started", {"scene_id": "a", "queued_s": -1}, "queued_s:"),
    "a code of one's own": ("scene.failed", {"scene_id": "a", "code": "oops"}, "code: expected"),
    "another level": ("scene.failed", {"scene_id": "a", "code": "refused"}, "level: expected"),
    "a wait for nothing": ("scene.waiting", {"scene_id": "a", "waits_for": []}, "waits_for:"),
    "a wait for one text": ("scene.waiting", {"scene_id": "a", "waits_for": "b"}, "waits_for:"),
    "a sheet without a name": ("stage.started", {"sheets": [""]}, "sheets.0:"),
    "a cap of no known kind": ("budget.reached", CAP | {"scope": "week"}, "scope: expected"),
    "a cap that nobody knows": ("budget.reached", CAP | {"limit_usd": None}, "limit_usd:"),
    "a time without a zone": (
        "budget.reached",
        CAP | {"resets_at": "2026-11-25T00:00:00"},
        "resets_at: expected a time in ISO 8601 with its zone",
    ),
    "a time that is none": ("budget.reached", CAP | {"resets_at": "midnight"}, "resets_at:"),
    "a digest that is none": ("scene.reused", {"scene_id": "a", "sha256": "?"}, "sha256:"),
    "the host's own name": ("host.run_finished", {}, "event: expected"),
}


class TestPipeline:
    @pytest.mark.parametrize("name", VALID)
    def test_a_valid_event_reaches_everybody(self, name: str, make_bench: MakeBench) -> None:
        """Journal, display and observers get the same event, stamped by the host."""
        told: list[Event] = []
        bench = make_bench(_observer("one", told.append))
        level, fields = VALID[name]

        getattr(bench.log, level)(name, **fields)

        assert bench.lines() == [
            {
                "event": name,
                "level": level,
                "timestamp": "2026-11-24T12:00:00.000000+00:00",
                "run_id": "run-1",
                "plugin": "fake",
                **fields,
            }
        ]
        assert told == bench.heard
        as_json = json.dumps(dict(told[0]), default=str)
        assert json.loads(as_json) == bench.lines()[0]
        assert bench.stream.rejected_count == 0

    @pytest.mark.parametrize("case", INVALID)
    def test_an_invalid_event_is_kept_and_reaches_nobody(
        self, case: str, make_bench: MakeBench
    ) -> None:
        """It is told once in the journal, with what was expected."""
        told: list[Event] = []
        bench = make_bench(_observer("one", told.append))
        name, fields, problem = INVALID[case]
        is_error = name == "scene.failed" and case != "another level"
        log = bench.log.error if is_error else bench.log.info
        if name in {"scene.retried", "budget.reached"}:
            log = bench.log.warning

        log(name, **fields)
        log(name, **fields)

        assert told == bench.heard == []
        assert bench.stream.rejected_count == 2
        (line,) = bench.lines()
        assert any(part.startswith(problem) for part in line["problems"])
        assert (line["event"], line["level"]) == ("host.event_rejected", "warning")
        assert line["rejected"]["event"] == name

    def test_invalid_events_do_not_pile_up(self, bench: _Bench) -> None:
        """A plugin that gets every event wrong costs neither memory nor a journal full of it."""
        for number in range(MOST_REJECTED * 3):
            name = f"scene.wrong_{number}"
            bench.log.info(name, scene_id="a")

        assert bench.stream.rejected_count == MOST_REJECTED * 3
        assert len(bench.lines()) == MOST_REJECTED

    def test_money_reaches_observers_as_decimal(self, bench: _Bench) -> None:
        """So that it can be added up without a float in between."""
        level, fields = VALID["scene.finished"]
        getattr(bench.log, level)("scene.finished", **{**fields, "cost_usd": Decimal("0.040")})

        assert bench.heard[0]["cost_usd"] == Decimal("0.040")
        assert isinstance(bench.heard[0]["cost_usd"], Decimal)
        assert bench.lines()[0]["cost_usd"] == "0.040"

    def test_the_host_stamps_over_what_a_plugin_says(self, bench: _Bench) -> None:
        """An event cannot pretend to be of another run, plugin or time."""
        bench.log.bind(run_id="x", plugin="y").info("hello", timestamp="z", level="critical")

        line = bench.lines()[0]
        assert (line["run_id"], line["plugin"]) == ("run-1", "fake")
        assert line["timestamp"].startswith("2026-11-24T12:00:00")

    def test_structlog_and_logging_are_left_alone(self, bench: _Bench) -> None:
        """Both are the process's, and a host is a guest in it."""
        handlers = list(logging.getLogger().handlers)
        bench.log.info("stage.started")

        assert not structlog.is_configured()
        assert logging.getLogger().handlers == handlers

    @pytest.mark.anyio
    async def test_events_from_threads_come_one_by_one(self, make_bench: MakeBench) -> None:
        """A plugin may log where it works; observers need not know of threads."""
        busy = threading.Lock()
        overlaps: list[bool] = []

        def on_event(event: Event) -> None:
            overlaps.append(not busy.acquire(blocking=False))
            Path(__file__).read_bytes()  # lets another thread go on
            if not overlaps[-1]:
                busy.release()

        bench = make_bench(_observer("one", on_event))

        def work(number: int) -> None:
            for turn in range(20):
                bench.log.info("scene.started", scene_id=f"{number}-{turn}", queued_s=0)

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(anyio.to_thread.run_sync, work, number)

        assert overlaps == [False] * 160
        assert len(bench.lines()) == len(bench.heard) == 160


class TestSecretsAndText:
    def test_a_line_break_in_a_field_does_not_make_a_second_record(self, bench: _Bench) -> None:
        """One record is one line of ASCII, whatever a prompt holds."""
        bench.log.info("hello\n{}\u2028", prompt="\x1b[2J\r\n2026-01-01 level=info\x85 灯塔 \ud800")

        content = bench.journal.path.read_bytes()
        assert content.isascii()
        assert content.count(b"\n") == 1
        assert not any(byte < 0x20 for byte in content[:-1])
        assert "灯塔" in bench.lines()[0]["prompt"]

    def test_what_cannot_be_shown_does_not_fail_the_call(self, bench: _Bench) -> None:
        """A scene must not end because of what was logged about it."""

        class Awkward:
            def __repr__(self) -> str:
                raise RuntimeError("no")

        endless: list[Any] = []
        endless.append(endless)
        bench.log.info(
            "hello",
            awkward=Awkward(),
            endless=endless,
            huge=10**5000,
            nan=float("nan"),
            infinite=Decimal("Infinity"),
            vast=Decimal("1e999999999"),
            signalling=Decimal("sNaN"),
            data=b"\0" * 9,
            path=Path("a/b"),
            when=datetime(2026, 1, 1, tzinfo=UTC),
            long="x" * (LONGEST_TEXT + 5),
            **{"1": {1: {2}}},
        )

        line = bench.lines()[0]
        assert line["awkward"] == "<Awkward that cannot be shown>"
        assert line["huge"] == "<a huge number>"
        assert (line["nan"], line["infinite"], line["data"]) == ("nan", "Infinity", "<9 bytes>")
        assert (line["path"], line["when"]) == (str(Path("a/b")), "2026-01-01 00:00:00+00:00")
        assert line["long"].endswith("x… (5 more characters)")
        assert line["1"] == {"1": [2]}

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
            max_leaves=10,
        )
    )
    def test_any_value_comes_out_as_json(self, value: object) -> None:
        """A law for everything a plugin could log or report."""
        written = json.dumps(plain(value), allow_nan=False)

        assert json.loads(written) == plain(value)


class TestObservers:
    def test_a_raising_observer_is_muted_and_harms_nobody(self, make_bench: MakeBench) -> None:
        """The others hear everything; the journal says who was muted, and why."""
        told: list[str] = []

        def fail(event: Event) -> None:
            raise ValueError(f"cannot post to https://x/?key={KEY}")

        def leave(event: Event) -> None:
            raise SystemExit(3)

        bench = make_bench(
            _observer("bad", fail),
            _observer("quitter", leave),
            _observer("good", lambda event: told.append(event["event"])),
        )
        bench.log.info("stage.started")
        bench.log.info("stage.finished")

        assert told == ["stage.started", "stage.finished"]
        assert bench.stream.muted == ["bad", "quitter"]
        muted = [line for line in bench.lines() if line["event"] == "host.observer_muted"]
        assert [line["observer"] for line in muted] == ["bad", "quitter"]
        assert muted[0]["cause"].startswith("ValueError: cannot post")
        assert "CANARY" not in str(muted)

    def test_an_observer_cannot_change_what_the_next_one_hears(self, make_bench: MakeBench) -> None:
        """Events are read-only."""
        told: list[Event] = []

        def change(event: Any) -> None:
            event["event"] = "something else"

        bench = make_bench(_observer("changer", change), _observer("good", told.append))
        bench.log.info("stage.started")

        assert bench.stream.muted == ["changer"]
        assert told[0]["event"] == "stage.started"


class TestJournal:
    def test_a_link_in_the_journals_place_is_not_followed(self, tmp_path: Path) -> None:
        """Else a planted link would have another file overwritten."""
        elsewhere = tmp_path / "elsewhere"
        elsewhere.write_text("mine", encoding="ascii")
        (tmp_path / "out").mkdir()
        path = tmp_path / "out" / "events.jsonl"
        path.symlink_to(elsewhere)
        with EventJournal(path) as journal:
            journal.write(json_line({"event": "hello"}))

        assert elsewhere.read_text(encoding="ascii") == "mine"
        assert not path.is_symlink()

    def test_two_journals_begun_at_one_moment_do_not_mix(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first keeps its file under another name, and the second has one of its own."""
        path = tmp_path / "events.jsonl"
        others = [b"theirs", b"a third one's"]

        def others_begin(where: Path, run_of: Callable[[BinaryIO], object]) -> None:
            keep_earlier(where, run_of)
            if others:
                where.write_bytes(others.pop())

        monkeypatch.setattr("host_stub.events.journal.keep_earlier", others_begin)
        with EventJournal(path) as journal:
            journal.write(b"ours")
        kept = {one.read_bytes() for one in tmp_path.rglob("events*.jsonl")}

        assert path.read_bytes() == b"ours"
        assert kept == {b"theirs", b"a third one's", b"ours"}

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has such a disk")
    def test_a_full_disk_ends_the_journal_and_not_the_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first failure is remembered, and nothing is raised into the plugin."""
        full = os.open("/dev/full", os.O_WRONLY)
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", Mock(return_value=full))
            journal = EventJournal(tmp_path / "events.jsonl")
        with journal:
            journal.write(json_line({"event": "hello"}))
            journal.write(json_line({"event": "hello"}))

        assert journal.failure is not None
        assert journal.failure.errno == errno.ENOSPC

    def test_a_file_written_whole_is_the_old_one_if_writing_fails(self, tmp_path: Path) -> None:
        """Half a manifest is never seen, and nothing is left lying about."""
        path = tmp_path / "manifest.json"
        write_whole(path, [b"old"])

        def pieces() -> Any:
            yield b"new"
            raise OSError("no space")

        with pytest.raises(OSError, match="no space"):
            write_whole(path, pieces())

        assert path.read_bytes() == b"old"
        assert [entry.name for entry in tmp_path.iterdir()] == ["manifest.json"]

    def test_a_folder_in_the_journals_place_stays_there(self, tmp_path: Path) -> None:
        """It is no journal of an earlier run."""
        (tmp_path / "events.jsonl").mkdir()

        with pytest.raises(IsADirectoryError, match="it is a folder"):
            EventJournal(tmp_path / "events.jsonl")
        assert (tmp_path / "events.jsonl").is_dir()
