import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

import pytest

from host_stub.contract import Cost, Failure, FailureCode, SceneOutcome
from host_stub.run.activity import Activity
from host_stub.run.outcomes import Totals
from host_stub.run.progress import (
    SAID_EVERY_S,
    Display,
    LiveDisplay,
    PlainLines,
    make_display,
    state_of,
    time_of,
)
from host_stub.text.format import dollars, duration
from host_stub.text.redaction import Redactor

KEY = "sk-CANARY-0123456789"


def _made(scene_id: str, *, usd: str | None = "0.04", **parts: Any) -> SceneOutcome:
    cost = Cost(usd=None, basis="unknown") if usd is None else Cost(usd=Decimal(usd), basis="flat")
    return SceneOutcome(
        scene_id=scene_id,
        image=Path("out/images") / f"{scene_id}.png",
        sha256="0" * 64,
        width=1,
        height=1,
        attempts=1,
        duration_s=1.23,
        cost=cost,
        **parts,
    )


def _failed(scene_id: str, code: FailureCode, message: str, attempts: int) -> SceneOutcome:
    return SceneOutcome(
        scene_id=scene_id,
        failure=Failure(code=code, message=message, retryable=False),
        attempts=attempts,
        cost=Cost(usd=Decimal("0.01"), basis="flat"),
    )


def _show(display: Display, *outcomes: SceneOutcome) -> None:
    totals = Totals()
    display.open(totals)
    for outcome in outcomes:
        totals.add(outcome)
        display.outcome(outcome)
    display.close()
    display.close()


class TestPlainLines:
    def test_what_holds_for_many_scenes_is_said_once(self) -> None:
        """A line of a log for each all the same; another batch has its own word, once."""
        lines: list[str] = []
        _show(
            PlainLines(6, lines.append),
            _failed("s1", "pending", "made in batch 1", 1),
            _failed("s2", "pending", "made in batch 1", 1),
            _failed("s3", "pending", "made in batch 2", 1),
            _failed("s4", "pending", "made in batch 1", 1),
            _failed("s5", "refused", "not that", 1),
            _failed("s6", "refused", "not that", 1),
        )

        assert [line.split("] ")[1] for line in lines] == [
            "s1 pending: made in batch 1 (1 attempt, $0.01)",
            "s2 pending, as before (1 attempt, $0.01)",
            "s3 pending: made in batch 2 (1 attempt, $0.01)",
            "s4 pending, as before (1 attempt, $0.01)",
            "s5 failed: refused: not that (1 attempt, $0.01)",
            "s6 failed: refused, as before (1 attempt, $0.01)",
        ]

    def test_scenes_that_were_never_started_have_none(self) -> None:
        """A stop at the second of 100,000 scenes is no reason for 99,998 lines."""
        lines: list[str] = []
        _show(PlainLines(1, lines.append), _failed("a", "not_tried", "stopped", 0))

        assert lines == []


@dataclass
class _Terminal:
    """A real terminal of 120 columns, of which everything written can be read."""

    stream: TextIO
    master: int

    def text(self) -> str:
        """Hang up and return all that was written."""
        self.stream.close()
        parts: list[bytes] = []
        with suppress(OSError):  # how Linux says that the other end has hung up
            while part := os.read(self.master, 65_536):
                parts.append(part)
        return b"".join(parts).decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Terminal]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        yield _Terminal(stream, master)
    os.close(master)


class TestWaits:
    def test_a_wait_before_another_try_is_said_with_its_reason(self) -> None:
        """A long one alone, and not for each of many scenes that wait for the same."""
        now = 0.0
        lines: list[str] = []
        display = PlainLines(9, lines.append, clock=lambda: now)
        display.open(Totals())
        display.event(_retried("a", 2.0, cause="rate_limited"))
        display.event(_retried("b", 12.0, cause="rate_limited", asked_for=True))
        display.event(_retried("c", 20.0, cause="unavailable"))
        now = SAID_EVERY_S
        display.event({"event": "scene.started", "scene_id": "b"})
        display.event(_retried("d", 5.0, cause="unavailable"))

        assert lines == [
            "[0/9] b: retrying in 12 s: the provider asked for it",
            "[0/9] c: retrying now: the provider is busy, or cannot be reached, and 1 more",
        ]


class TestMovingLine:
    def test_a_terminal_shows_one_line_that_moves(self, terminal: _Terminal) -> None:
        """Scenes done, time left, cost, in flight, held, retries; then the cursor is back."""
        now = 0.0
        display = LiveDisplay(4, terminal.stream, clock=lambda: now, redact=Redactor([KEY]).text)
        totals = Totals()
        display.open(totals)
        display.event({"event": "scene.started", "scene_id": "a"})
        display.event({"event": "scene.started", "scene_id": "b"})
        display.event({"event": "scene.retried", "scene_id": "b"})
        display.event({"event": "scene.started", "scene_id": "c", "held_usd": "0.05"})
        now = 10.0
        outcome = _made("a")
        totals.add(outcome)
        display.outcome(outcome)
        display.close()

        text = terminal.text()
        assert "1/4 scenes" in text
        assert "10 s, about 30 s left" in text
        assert "  $0.04 · 1 in flight, $0.05 held · 1 retry" in text
        assert text.rstrip().endswith("\x1b[?25h")

    def test_the_line_is_made_up_when_it_is_drawn(self, terminal: _Terminal) -> None:
        """Ten times a second, not for each event: 100,000 quick scenes cost nothing here."""
        looks_at_the_clock: list[float] = []

        def clock() -> float:
            looks_at_the_clock.append(0.0)
            return 0.0

        display = LiveDisplay(20_000, terminal.stream, clock=clock, redact=str)
        display.open(Totals())
        for number in range(20_000):
            display.event({"event": "scene.started", "scene_id": str(number)})
        display.close()

        assert "20000 in flight" in terminal.text()
        assert 0 < len(looks_at_the_clock) < 1_000

    def test_failures_stand_above_it_without_secrets_or_control(self, terminal: _Terminal) -> None:
        """What a provider echoes is shown as text, on a line of its own."""
        display = make_display(
            2,
            json_only=False,
            say=lambda _: None,
            redact=Redactor([KEY]).text,
            stream=terminal.stream,
        )
        _show(display, _failed("s", "refused", f"[red]key {KEY}\x1b]0;x\x07", 1))

        text = terminal.text()
        assert isinstance(display, LiveDisplay)
        assert r"s failed: refused: [red]key [secret]\x1b]0;x\x07 (1 attempt, $0.01)" in text
        assert "\x1b]0;" not in text


class TestChoice:
    def test_richs_progress_is_imported_only_for_a_terminal(self) -> None:
        """A pipeline in CI need not wait for what it does not show."""
        program = (
            "import sys, host_stub.run.pipeline\n"
            "from host_stub.run.progress import make_display\n"
            "make_display(1, json_only=False, say=print, redact=str)\n"
            "sys.exit('rich.progress' in sys.modules)"  # structlog imports rich itself
        )
        done = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, check=False)

        assert done.returncode == 0, done.stderr


class TestWaiting:
    def test_a_log_says_now_and_then_what_is_awaited(self) -> None:
        """Which scenes, for how long, and when it is asked again: at most every half a minute."""
        now = 0.0
        lines: list[str] = []
        display = PlainLines(9, lines.append, clock=lambda: now)
        totals = Totals()
        display.open(totals)
        totals.add(_made("s1"))
        told: list[float] = []
        for second in range(200):
            now = float(second)
            if second in {10, 11, 13, 17, 25, 41, 73, 133}:
                display.event(_awaited("s2", waited_s=now - 9, wait_s=60, message="HTTP 503"))
            if second == 20:
                display.event(_awaited("s3", waited_s=0, wait_s=10, cause="busy"))
            if second == 190:
                display.event({"event": "scene.failed", "scene_id": "s2", "code": "pending"})
                display.outcome(_failed("s3", "busy", "b", 0))
            before = len(lines)
            display.look()
            told += [now] * (len(lines) - before)

        assert told[:3] == [12, 42, 72]
        assert all(after - before >= 30 for before, after in pairwise(told))
        assert lines[0] == (
            "[1/9] waiting for 1 bought picture, at no further cost: s2 (for 3.0 s, "
            "asked again in 59 s, at most 4 min 57 s more, HTTP 503)"
        )
        assert (
            "; waiting for 1 scene that another run has in work: s3 (for 22 s, at most" in lines[1]
        )
        assert max(told) < 190

    def test_many_scenes_and_odd_names_stay_one_short_line(self) -> None:
        """Three are named; nothing in them speaks to the terminal."""
        activity = Activity(lambda: 100.0)
        for number in range(50):
            name = f"\x1b[2J{number}" + "x" * 500
            activity.note(_awaited(name, waited_s=1, wait_s=2, message="\r\n" + "y" * 5_000))
        line = activity.awaited_line()

        assert line is not None
        assert line.startswith("waiting for 50 bought pictures")
        assert line.endswith("and 47 more")
        assert line.isprintable()
        assert len(line) < 900

    def test_a_terminal_shows_it_below_the_line_that_moves(self, terminal: _Terminal) -> None:
        """With its time going on, though nothing happens."""
        now = 0.0
        display = LiveDisplay(2, terminal.stream, clock=lambda: now, redact=Redactor([KEY]).text)
        display.open(Totals())
        display.event(_awaited("s2", waited_s=0, wait_s=60, message=f"HTTP 503 {KEY}"))
        now = 42.0
        display.bring_up_to_date()
        display.close()
        text = terminal.text()

        told = " ".join(text.split())
        assert "s2 (for 42 s, asked again in 18 s, at most 4 min 18 s more, HTTP 503" in told
        assert KEY not in text

    def test_a_log_says_for_what_scenes_wait(self) -> None:
        """Those that most wait for first, until their pictures are there or nothing waits."""
        now = 0.0
        lines: list[str] = []
        display = PlainLines(9, lines.append, clock=lambda: now)
        display.open(Totals(sheets=2))
        for scene_id, waits_for in [("a", ["mira"]), ("b", ["bo", "mira"]), ("c", ["mira"])]:
            display.event(_waiting(scene_id, *waits_for))
        now = 2.0
        display.look()
        now = 5.0
        display.look()
        display.event({"event": "scene.finished", "scene_id": "mira"})
        display.event({"event": "scene.started", "scene_id": "a"})
        now = 40.0
        display.look()
        display.event({"event": "scene.started", "scene_id": "b"})
        now = 80.0
        display.look()

        assert lines == [
            "[0/11] waiting for mira (3 scenes), bo (1 scene)",
            "[0/11] waiting for bo (1 scene)",
        ]

    def test_a_log_says_why_less_is_in_flight(self) -> None:
        """Once, and not for each step."""
        now = 0.0
        lines: list[str] = []
        display = PlainLines(9, lines.append, clock=lambda: now)
        display.open(Totals())
        for limit in (8, 4, 3, 2):
            now += 1
            event = {"event": "capacity.changed", "limit": limit, "reason": "turned_away"}
            display.event(event)
            display.look()
        now = 40.0
        display.look()

        assert lines == [
            "at most 8 in flight for now: too many requests",
            "at most 2 in flight for now: too many requests",
        ]

    def test_what_is_due_is_being_asked(self) -> None:
        """No wait of nothing is said."""
        activity = Activity(lambda: 100.0)
        activity.note(_awaited("s2", waited_s=5, wait_s=0))

        assert "s2 (for 5.0 s, being asked now, at most" in (activity.awaited_line() or "")


class TestStopping:
    def test_what_is_not_tried_is_neither_done_nor_failed(self, terminal: _Terminal) -> None:
        """And no time is promised any more: 2 of 9 made, one failed, six left out."""
        now = 0.0
        display = LiveDisplay(9, terminal.stream, clock=lambda: now, redact=str)
        totals = Totals()
        display.open(totals)
        display.event({"event": "scene.started", "scene_id": "a"})
        now = 10.0
        outcomes = [_made("a"), _made("b"), _failed("c", "refused", "no", 1)]
        for outcome in outcomes:
            totals.add(outcome)
            display.outcome(outcome)
        display.stopping()
        display.bring_up_to_date()
        for number in range(6):
            totals.add(_failed(str(number), "not_tried", "stopped", 0))
        display.close()
        text = terminal.text()

        assert "3/9 scenes" in text
        assert "9/9" not in text
        assert "1 failed · 6 not tried" in text
        assert "10 s · stopping" in text
        assert "left" not in text.partition("10 s · stopping")[2]

    def test_sheets_lengthen_the_line_as_they_become_known(self, terminal: _Terminal) -> None:
        """All that is made counts, and is called by a word for both."""
        display = LiveDisplay(2, terminal.stream, clock=lambda: 0.0, redact=str)
        totals = Totals()
        display.open(totals)
        totals.sheets = 3
        totals.add(_made("mira", role="sheet"))
        display.bring_up_to_date()
        display.close()

        assert "1/5 pictures" in " ".join(terminal.text().split())

    def test_a_narrow_terminal_cuts_no_figure(
        self, terminal: _Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What does not fit is on the next line."""
        monkeypatch.setenv("COLUMNS", "60")
        display = LiveDisplay(
            40, terminal.stream, clock=lambda: 0.0, redact=str, cap_usd=Decimal("2.5")
        )
        totals = Totals()
        display.open(totals)
        display.event({"event": "capacity.changed", "limit": 8, "reason": "turned_away"})
        totals.add(_made("a"))
        display.bring_up_to_date()
        display.close()

        text = terminal.text()
        assert "  $0.04 of $2.50\n" in text.replace("\r", "")
        assert "  0 in flight of at most 8 (too many requests)" in text

    def test_more_takes_than_the_file_says_do_not_move_the_end(self) -> None:
        """Re-rolls are known before the first request; so is the end of the count."""
        lines: list[str] = []
        display = PlainLines(2, lines.append)
        totals = Totals()
        display.open(totals)
        display.expect(4)
        for number, scene_id in enumerate(("a", "b", "a", "b")):
            totals.further += number > 1
            totals.add(_made(scene_id))
            display.outcome(_made(scene_id))

        assert [line.partition(" ")[0] for line in lines] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]


def _awaited(
    scene_id: str, *, waited_s: float, wait_s: float, message: str = "", cause: str = "pending"
) -> dict[str, Any]:
    return {
        "event": "scene.awaited",
        "scene_id": scene_id,
        "cause": cause,
        "waited_s": waited_s,
        "wait_s": wait_s,
        "left_s": 300.0 - waited_s if cause == "pending" else 100.0,
        "message": message,
    }


def _retried(scene_id: str, wait_s: float, **more: Any) -> dict[str, Any]:
    return {"event": "scene.retried", "scene_id": scene_id, "wait_s": wait_s, **more}


def _waiting(scene_id: str, *waits_for: str) -> dict[str, Any]:
    return {"event": "scene.waiting", "scene_id": scene_id, "waits_for": waits_for}


def _state(totals: Totals, activity: Activity | None = None) -> str:
    return " · ".join(state_of(totals, activity=activity or Activity()))


class TestFigures:
    def test_time_left_is_told_by_what_was_made(self) -> None:
        """Pictures found again took no time and say nothing about the others."""
        totals = Totals()
        for outcome in (_made("a", reused=True, usd="0"), _made("b"), _made("c")):
            totals.add(outcome)

        said = time_of(totals, pictures=13, activity=Activity(), elapsed_s=60)
        assert said == "1 min 00 s, about 5 min 00 s left"

    def test_no_time_is_promised_before_it_can_be_known(self) -> None:
        """Not before as many came as are in flight, nor while a provider is waited for."""
        totals, activity = Totals(), Activity()
        totals.add(_made("a"))
        for scene_id in ("b", "c"):
            activity.note({"event": "scene.started", "scene_id": scene_id})
        early = time_of(totals, pictures=9, activity=activity, elapsed_s=5)
        totals.add(_made("b"))
        known = time_of(totals, pictures=9, activity=activity, elapsed_s=5)
        activity.note(_awaited("c", waited_s=0, wait_s=60))
        awaited = time_of(totals, pictures=9, activity=activity, elapsed_s=5)

        assert (early, known, awaited) == ("5.0 s", "5.0 s, about 18 s left", "5.0 s")

    def test_a_pause_and_a_cap_are_named(self) -> None:
        """Why nothing goes on."""
        activity = Activity()
        asked = {
            "event": "capacity.changed",
            "reason": "asked_to_wait",
            "limit": 4,
            "pause_s": 12.0,
        }
        activity.note(asked)
        paused = _state(Totals(), activity)
        activity.note({"event": "capacity.changed", "reason": "paced", "limit": 4, "pause_s": 2.0})
        cap = {"event": "budget.reached", "scope": "day", "limit_usd": Decimal("2.5")}
        activity.note(cap)

        assert paused == "0 in flight of at most 4 (asked to wait) · paused for 12 s"
        assert time_of(Totals(), pictures=9, activity=activity, elapsed_s=5) == (
            "5.0 s · stopping: the day's cap of $2.50 is reached"
        )

    def test_what_is_still_to_come_is_counted_apart_from_failures(self) -> None:
        """Somebody who sees failures looks for a fault."""
        totals = Totals()
        totals.add(_failed("a", "pending", "later", 1))
        pending = _state(totals)
        totals.add(_failed("b", "refused", "no", 1))

        assert pending == "$0.01 · 0 in flight · 1 pending"
        assert _state(totals) == "$0.02 · 0 in flight · 1 failed · 1 pending"

    def test_a_cost_that_is_not_known_is_not_shown_as_zero(self) -> None:
        """Known parts are a lower bound."""
        totals = Totals()
        totals.add(_made("a", usd=None))
        unknown = _state(totals)
        totals.add(_made("b"))
        totals.add(_failed("c", "refused", "no", 1))

        assert unknown == "unknown cost · 0 in flight"
        assert _state(totals) == "at least $0.05 · 0 in flight · 1 failed"

    @pytest.mark.parametrize(
        "seconds, said",
        [
            (0, "0 ms"),
            (0.0084, "8 ms"),
            (0.0994, "99 ms"),
            (0.0996, "0.1 s"),
            (9.94, "9.9 s"),
            (9.96, "10 s"),
            (59.4, "59 s"),
            (59.6, "1 min 00 s"),
            (200, "3 min 20 s"),
            (3599.6, "1 h 00 min"),
            (7512, "2 h 05 min"),
        ],
    )
    def test_durations_are_said_in_few_digits(self, seconds: float, said: str) -> None:
        """And never as sixty seconds or sixty minutes."""
        assert duration(seconds) == said

    @pytest.mark.parametrize(
        "usd, said",
        [
            ("0", "$0.00"),
            ("0.04", "$0.04"),
            ("0.0390000", "$0.039"),
            ("0.0000001", "$0.00"),
            ("12", "$12.00"),
            ("1234.5", "$1,234.50"),
            (None, "unknown cost"),
        ],
    )
    def test_amounts_are_said_to_the_digit(self, usd: str | None, said: str) -> None:
        """Cents at least, micro-dollars at most."""
        assert dollars(None if usd is None else Decimal(usd)) == said
