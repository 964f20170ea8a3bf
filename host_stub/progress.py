"""What a person sees while a run is going on.

On a terminal one line that moves: scenes done, in flight, retries, cost so far, time left.
Elsewhere one plain line per scene that ends, so that a log tells the story. With ``--json``
nothing. Scenes and figures come from outcomes, which every plugin delivers; what is in flight comes
from its events. All of it goes to stderr, so that stdout keeps the result. rich is imported only
for the moving line.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol, TextIO

from host_stub.contract import Event, SceneOutcome
from host_stub.escaping import escaped
from host_stub.outcomes import Totals
from host_stub.wording import counted, dollars, duration

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_NEVER_STARTED = frozenset({"not_tried", "budget"})
_LONGEST_MESSAGE = 300


class Display(Protocol):
    """Shows a run; none of its methods raises."""

    def open(self, totals: Totals) -> None:
        """Begin; ``totals`` goes on being counted."""
        ...

    def event(self, event: Event) -> None:
        """Take an event of the stage."""
        ...

    def outcome(self, outcome: SceneOutcome, image_path: str | None) -> None:
        """Take the end of a scene, already counted in the totals."""
        ...

    def close(self) -> None:
        """End, and leave the terminal as it was; closing again does nothing."""
        ...


class Activity:
    """What is happening now, told by events."""

    def __init__(self) -> None:
        self.retries = 0
        self.limit: int | None = None
        self._in_flight: set[str] = set()

    @property
    def in_flight(self) -> int:
        """Scenes in work; a scene that waits to be tried again is not."""
        return len(self._in_flight)

    def note(self, event: Event) -> None:
        """Take one event."""
        match event["event"]:
            case "scene.started":
                self._in_flight.add(event["scene_id"])
            case "scene.retried":
                self.retries += 1
                self._in_flight.discard(event["scene_id"])
            case "scene.finished" | "scene.failed" | "scene.reused" | "scene.skipped":
                self._in_flight.discard(event["scene_id"])
            case "capacity.changed":
                self.limit = event.get("limit")
            case _:
                pass

    def ended(self, scene_id: str) -> None:
        """Take the end of a scene whose plugin may have logged nothing."""
        self._in_flight.discard(scene_id)


class Silence:
    """Shows nothing."""

    def open(self, totals: Totals) -> None:
        """Show nothing."""

    def event(self, event: Event) -> None:
        """Show nothing."""

    def outcome(self, outcome: SceneOutcome, image_path: str | None) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Show nothing."""


class PlainLines:
    """Writes one line for each scene that ends.

    Args:
        scenes: How many there are.
        say: Writes a line, without the secrets in it.
    """

    def __init__(self, scenes: int, say: Callable[[str], None]) -> None:
        self._scenes = scenes
        self._say = say
        self._totals = Totals()

    def open(self, totals: Totals) -> None:
        """Begin."""
        self._totals = totals

    def event(self, event: Event) -> None:
        """Say what a person should know; a line per attempt would drown the others."""
        if event["event"] == "stage.warned":
            self._say(warning_line(event))

    def outcome(self, outcome: SceneOutcome, image_path: str | None) -> None:
        """Say how a scene ended."""
        line = outcome_line(outcome, image_path)
        if line is not None:
            self._say(f"[{self._totals.ended}/{self._scenes}] {line}")

    def close(self) -> None:
        """End."""


class MovingLine:
    """Shows one line that moves, with failures standing above it.

    What it says is made up when it is drawn, ten times a second, and not for each event: a quick
    renderer ends thousands of scenes in a second, and while all wait the time left goes on moving.

    Args:
        scenes: How many there are.
        stream: A terminal.
        clock: Seconds, from any beginning.
        redact: Takes secrets out of a line.
    """

    def __init__(
        self,
        scenes: int,
        stream: TextIO,
        *,
        clock: Callable[[], float],
        redact: Callable[[str], str],
    ) -> None:
        self._scenes = scenes
        self._stream = stream
        self._clock = clock
        self._redact = redact
        self._begun = clock()
        self._activity = Activity()
        self._totals = Totals()
        self._rich: RichProgress | None = None
        self._task: TaskID | None = None

    def open(self, totals: Totals) -> None:
        """Begin to show."""
        from rich.console import Console, RenderableType  # noqa: PLC0415 - only a terminal needs it
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn  # noqa: PLC0415

        display = self

        class Line(Progress):
            """Asks for its figures when it is drawn, in rich's thread."""

            def get_renderables(self) -> Iterable[RenderableType]:
                display.bring_up_to_date()
                return super().get_renderables()

        self._totals = totals
        self._begun = self._clock()
        self._rich = Line(
            SpinnerColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} scenes", markup=False),
            BarColumn(),
            TextColumn("{task.fields[state]}", markup=False),
            console=Console(file=self._stream, markup=False, highlight=False, emoji=False),
        )
        self._task = self._rich.add_task("", total=self._scenes, state="starting")
        self._rich.start()

    def event(self, event: Event) -> None:
        """Note what is in flight; say what a person should know."""
        self._activity.note(event)
        if event["event"] == "stage.warned":
            self._print(warning_line(event))

    def outcome(self, outcome: SceneOutcome, image_path: str | None) -> None:
        """Count a scene; say so if it failed."""
        self._activity.ended(outcome.scene_id)
        line = outcome_line(outcome, image_path) if outcome.failure is not None else None
        if line is not None:
            self._print(line)

    def _print(self, line: str) -> None:
        """Write a line above the one that moves."""
        if self._rich is not None:
            from rich.text import Text  # noqa: PLC0415 - only a terminal needs it

            self._rich.console.print(Text(self._redact(line)), soft_wrap=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._rich is not None:
            self._rich.stop()
            self._rich = None

    def bring_up_to_date(self) -> None:
        """Give the line its figures; each is read in one step, whoever counts meanwhile."""
        if self._rich is not None and self._task is not None:
            state = state_of(
                self._totals,
                scenes=self._scenes,
                activity=self._activity,
                elapsed_s=self._clock() - self._begun,
            )
            self._rich.update(self._task, completed=self._totals.ended, state=state)


def make_display(
    scenes: int,
    *,
    json_only: bool,
    say: Callable[[str], None],
    redact: Callable[[str], str],
    clock: Callable[[], float] = time.monotonic,
    stream: TextIO | None = None,
) -> Display:
    """Choose how a run is shown.

    Args:
        scenes: How many there are.
        json_only: Show nothing.
        say: Writes a line, where there is no terminal.
        redact: Takes secrets out of a line.
        clock: Seconds, from any beginning.
        stream: Where to look for a terminal; stderr if absent.
    """
    if json_only:
        return Silence()
    stream = sys.stderr if stream is None else stream
    if stream is not None and stream.isatty():  # pyright: ignore[reportUnnecessaryComparison] - None under pythonw
        return MovingLine(scenes, stream, clock=clock, redact=redact)
    return PlainLines(scenes, lambda line: say(redact(line)))


def warning_line(event: Event) -> str:
    """Say what a stage warned of."""
    return f"warning: {escaped(str(event['message']), limit=_LONGEST_MESSAGE)}"


def outcome_line(outcome: SceneOutcome, image_path: str | None) -> str | None:
    """Say in one line how a scene ended; ``None`` if it was never started."""
    name = escaped(outcome.scene_id, limit=80)
    cost = dollars(outcome.cost.usd)
    if outcome.failure is None:
        what = "reused" if outcome.reused else f"done in {duration(outcome.duration_s)}"
        return f"{name} {what}, {cost} -> {escaped(image_path or '')}"
    if outcome.failure.code in _NEVER_STARTED:
        return None
    code, message = outcome.failure.code, outcome.failure.message
    said = code if message == code else f"{code}: {escaped(message, limit=_LONGEST_MESSAGE)}"
    tried = f" ({counted(outcome.attempts, 'attempt')}, {cost})" if outcome.attempts else ""
    if code == "pending":  # bought, and to be had by the same command: nothing has failed
        return f"{name} {said}{tried}"
    return f"{name} failed: {said}{tried}"


def state_of(totals: Totals, *, scenes: int, activity: Activity, elapsed_s: float) -> str:
    """Say what stands beside the bar."""
    at_most = "" if activity.limit is None else f" of at most {activity.limit}"
    parts = [f"{activity.in_flight} in flight{at_most}"]
    if activity.retries:
        parts.append(counted(activity.retries, "retry", "retries"))
    if failed := totals.failed.total() - totals.pending:
        parts.append(f"{failed} failed")
    if totals.pending:
        parts.append(f"{totals.pending} pending")
    if totals.ended > totals.unknown_costs:
        parts.append(("at least " if totals.unknown_costs else "") + dollars(totals.known_usd))
    elif totals.unknown_costs:
        parts.append(dollars(None))
    made = totals.ended - totals.reused
    if made and scenes > totals.ended:
        # What was found again took no time and tells nothing about the rest.
        parts.append(f"{duration(elapsed_s / made * (scenes - totals.ended))} left")
    return " · ".join(parts)
