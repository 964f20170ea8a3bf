"""What a person sees while a run is going on.

On a terminal a few lines that move: a bar with what is made and the time gone and left; below it
the money against the cap, what is in flight and what failed; below that what is waited for and why.
Elsewhere one plain line per scene that ends, so that a log has the story, and now and then one
about what is waited for. With ``--json`` nothing. What is said at length in the summary is said in
short here.

Scenes and figures come from outcomes, which every plugin delivers; what is in flight comes from the
plugin's events. All of it goes to stderr, so that stdout keeps the result. rich is imported only
for the moving line.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, TextIO

from host_stub.contract import Event, SceneOutcome
from host_stub.run.activity import Activity, picture_of
from host_stub.run.outcomes import Totals
from host_stub.stage.offered import LONGEST_WARNING
from host_stub.text.escape import escaped
from host_stub.text.format import counted, dollars, duration

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_NEVER_STARTED = frozenset({"not_tried", "budget"})
_LONGEST_REASON = 240
"""Characters of a failure's message; the summary has all of it."""
SAID_EVERY_S = 30.0
"""Least seconds between two lines of a log about one thing that goes on for long."""
SAID_AFTER_S = 3.0
"""Seconds; what is over sooner gets no line."""
_NARROW = 100


_MOST_SAID = 64
"""So many messages are known again; what many scenes wait for is mostly one batch or a few."""


class Display:
    """Shows nothing, and knows what there is to be shown; none of its methods raises.

    Args:
        scenes: How many there are.
        clock: Seconds, from any beginning.
    """

    def __init__(self, scenes: int = 0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._scenes = scenes
        self._expected = 0
        self._clock = clock
        self._totals = Totals()
        self._activity = Activity(clock)
        self._messages: set[str] = set()

    def open(self, totals: Totals) -> None:
        """Begin; ``totals`` goes on being counted."""
        self._totals = totals

    def expect(self, pictures: int) -> None:
        """Note how many takes are wanted of the scenes, where more are than their file says."""
        self._expected = pictures

    @property
    def pictures(self) -> int:
        """How many pictures there are to be, sheets included, as far as that is known."""
        totals = self._totals
        return max(self._scenes + totals.further, self._expected) + totals.sheets

    def event(self, event: Event) -> None:
        """Take an event of the stage, and say what a person should know."""
        self._activity.note(event)
        if event["event"] == "stage.warned":
            self._say(f"warning: {escaped(str(event['message']), limit=LONGEST_WARNING)}")

    def outcome(self, outcome: SceneOutcome) -> None:
        """Take the end of a scene, already counted in the totals."""
        self._activity.ended(picture_of(outcome.scene_id, outcome.take))

    def stopping(self) -> None:
        """Note that nothing new is started from now on: scenes that wait are not made any more."""
        self._activity.is_stopping = True

    def look(self) -> None:
        """Say what has gone on for long; called about once a second."""

    def close(self) -> None:
        """End, and leave the terminal as it was; closing again does nothing."""

    def _say(self, line: str) -> None:
        """Write a line."""

    def _was_said(self, outcome: SceneOutcome) -> bool:
        """Return whether this was said of another scene: a wrong key is so for all of them."""
        failure = outcome.failure
        if failure is None:
            return False
        if failure.message in self._messages:
            return True
        if len(self._messages) < _MOST_SAID:
            self._messages.add(failure.message)
        return False


class PlainLines(Display):
    """Writes one line for each scene that ends, and now and then one about what goes on for long.

    Args:
        scenes: How many there are.
        say: Writes a line, without the secrets in it.
        clock: Seconds, from any beginning.
    """

    def __init__(
        self,
        scenes: int,
        say: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(scenes, clock=clock)
        self._write = say
        self._limited: int | None = None
        self._said_at: dict[str, float] = dict.fromkeys(
            ("awaited", "limited", "retried"), -SAID_EVERY_S
        )

    def event(self, event: Event) -> None:
        """Say what a person should know; a line per attempt would drown the others."""
        super().event(event)
        if event["event"] == "scene.retried" and self._may_say("retried"):
            line = self._activity.retry_line()
            if line is not None:
                self._say(f"{self._done()} {line}")
                self._said_at["retried"] = self._clock()

    def outcome(self, outcome: SceneOutcome) -> None:
        """Say how a scene ended."""
        super().outcome(outcome)
        line = outcome_line(outcome, was_said=self._was_said(outcome))
        if line is not None:
            self._say(f"{self._done()} {line}")

    def look(self) -> None:
        """Say what is waited for, and why less is in flight than before; neither often."""
        self._look_for_awaited()
        limit, before = self._activity.limit, self._limited
        if limit is not None and self._may_say("limited"):
            why = self._activity.why_limited
            if why and (before is None or limit < before):
                self._say(f"at most {limit} in flight for now: {why}")
                self._said_at["limited"] = self._clock()
            self._limited = limit

    def _look_for_awaited(self) -> None:
        since = self._activity.awaited_since
        if since is None or self._clock() - since < SAID_AFTER_S or not self._may_say("awaited"):
            return
        line = self._activity.awaited_line()
        if line is not None:
            self._say(f"{self._done()} {line}")
            self._said_at["awaited"] = self._clock()

    def _done(self) -> str:
        return f"[{self._totals.ended - never_tried(self._totals)}/{self.pictures}]"

    def _may_say(self, what: str) -> bool:
        return self._clock() - self._said_at[what] >= SAID_EVERY_S

    def _say(self, line: str) -> None:
        self._write(line)


class LiveDisplay(Display):
    """Shows a bar and its figures, with failures standing above it.

    What it says is made up when it is drawn, ten times a second, and not for each event: a quick
    renderer ends thousands of scenes in a second, and while all wait the time left goes on moving.

    Args:
        scenes: How many there are.
        stream: A terminal.
        clock: Seconds, from any beginning.
        redact: Takes secrets out of a line.
        cap_usd: What the run may spend, if that is bounded.
    """

    def __init__(
        self,
        scenes: int,
        stream: TextIO,
        *,
        clock: Callable[[], float],
        redact: Callable[[str], str],
        cap_usd: Decimal | None = None,
    ) -> None:
        super().__init__(scenes, clock=clock)
        self._stream = stream
        self._redact = redact
        self._cap_usd = cap_usd
        self._begun = clock()
        self._rich: RichProgress | None = None
        self._task: TaskID | None = None

    def open(self, totals: Totals) -> None:
        """Begin to show."""
        from rich.console import Console, RenderableType  # noqa: PLC0415 - only a terminal needs it
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        display = self
        console = Console(file=self._stream, markup=False, highlight=False, emoji=False)

        class Bar(Progress):
            """Asks for its figures when it is drawn, in rich's thread."""

            def get_renderables(self) -> Iterator[RenderableType]:
                display.bring_up_to_date()
                yield from super().get_renderables()
                for line in display.lines(console.width):
                    yield Text(line)

        super().open(totals)
        self._begun = self._clock()
        self._rich = Bar(
            SpinnerColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[what]}", markup=False),
            BarColumn(bar_width=10 if console.width < _NARROW else 20),
            TextColumn("{task.fields[time]}", markup=False),
            console=console,
        )
        self._task = self._rich.add_task("", total=self._scenes, what="scenes", time="starting")
        self._rich.start()

    def outcome(self, outcome: SceneOutcome) -> None:
        """Count a scene; say so if it failed, of those that wait for the same once."""
        super().outcome(outcome)
        if outcome.failure is None:
            return
        was_said = self._was_said(outcome)
        line = outcome_line(outcome, was_said=was_said)
        if line is not None and not (was_said and outcome.failure.code == "pending"):
            self._say(line)

    def lines(self, width: int) -> Iterator[str]:
        """Say what stands below the bar, safe to show; no figure is broken or cut."""
        parts = state_of(self._totals, activity=self._activity, cap_usd=self._cap_usd)
        yield from folded(parts, width)
        for line in (self._activity.retry_line(), self._activity.awaited_line()):
            if line is not None:
                yield f"  {self._redact(line)}"

    def _say(self, line: str) -> None:
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
        """Update the figures; each is read in one step, so another thread may count meanwhile."""
        if self._rich is not None and self._task is not None:
            self._rich.update(
                self._task,
                total=self.pictures,
                completed=self._totals.ended - never_tried(self._totals),
                what="scenes" if self.pictures == self._scenes else "pictures",
                time=time_of(
                    self._totals,
                    pictures=self.pictures,
                    activity=self._activity,
                    elapsed_s=self._clock() - self._begun,
                ),
            )


def make_display(
    scenes: int,
    *,
    json_only: bool,
    say: Callable[[str], None],
    redact: Callable[[str], str],
    clock: Callable[[], float] = time.monotonic,
    stream: TextIO | None = None,
    cap_usd: Decimal | None = None,
) -> Display:
    """Choose how a run is shown.

    Args:
        scenes: How many there are.
        json_only: Show nothing.
        say: Writes a line, where there is no terminal.
        redact: Takes secrets out of a line.
        clock: Seconds, from any beginning.
        stream: Where to look for a terminal; stderr if absent.
        cap_usd: What the run may spend, if that is bounded.
    """
    if json_only:
        return Display()
    stream = sys.stderr if stream is None else stream
    if stream is not None and stream.isatty():  # pyright: ignore[reportUnnecessaryComparison] - None under pythonw
        return LiveDisplay(scenes, stream, clock=clock, redact=redact, cap_usd=cap_usd)
    return PlainLines(scenes, lambda line: say(redact(line)), clock=clock)


def outcome_line(outcome: SceneOutcome, *, was_said: bool = False) -> str | None:
    """Say in one line how a scene ended; ``None`` if it was never started.

    The summary says where its picture lies, and the whole of a failure's message, once.

    Args:
        outcome: How it ended.
        was_said: Its failure's message has been said of another scene: in two hundred lines of one
            batch it would hide all else.
    """
    name = picture_of(escaped(outcome.scene_id, limit=80), outcome.take)
    if outcome.role == "sheet":
        name = f"sheet {name}"
    cost = dollars(outcome.cost.usd)
    if outcome.failure is None:
        what = "reused" if outcome.reused else f"done in {duration(outcome.duration_s)}"
        return f"{name} {what}, {cost}"
    if outcome.failure.code in _NEVER_STARTED:
        return None
    code, message = outcome.failure.code, outcome.failure.message
    about = "" if outcome.failure.cause is None else f" ({outcome.failure.cause})"
    said = code + about
    if was_said:
        said += ", as before"
    elif message != code:
        said += f": {escaped(message, limit=_LONGEST_REASON)}"
    tried = f" ({counted(outcome.attempts, 'attempt')}, {cost})" if outcome.attempts else ""
    # Bought, perhaps bought, or in work elsewhere: nobody can say that it failed.
    if code in {"pending", "unknown", "busy"}:
        return f"{name} {said}{tried}"
    return f"{name} failed: {said}{tried}"


def never_tried(totals: Totals) -> int:
    """Count the scenes that were left out, which are neither done nor failed."""
    return sum(totals.failed[code] for code in _NEVER_STARTED)


def time_of(totals: Totals, *, pictures: int, activity: Activity, elapsed_s: float) -> str:
    """Say the time gone, and left where that can be known.

    It can once as many pictures came as are in flight, and while nothing waits for a provider or
    another run. What was found again took no time and says nothing about the rest.
    """
    made = totals.ended - totals.reused - never_tried(totals)
    gone, left = duration(elapsed_s), pictures - totals.ended
    if activity.is_stopping:
        return f"{gone} · stopping" + (activity.why_stopping and f": {activity.why_stopping}")
    if not left or made < max(1, activity.in_flight) or activity.awaited:
        return gone
    return f"{gone}, about {duration(elapsed_s / made * left)} left"


def state_of(
    totals: Totals, *, activity: Activity, cap_usd: Decimal | None = None
) -> Iterator[str]:
    """Yield what stands below the bar, money first."""
    held, of = activity.held_usd, "" if cap_usd is None else f" of {dollars(cap_usd)}"
    if totals.ended > totals.unknown_costs or cap_usd is not None:
        at_least = "at least " if totals.unknown_costs else ""
        yield f"{at_least}{dollars(totals.known_usd)}{of}"
    elif totals.unknown_costs:
        yield dollars(None)
    yield _in_flight(activity) + (f", {dollars(held)} held" if held else "")
    if activity.paused_s:
        yield f"paused for {duration(activity.paused_s)}"
    if activity.retries:
        yield counted(activity.retries, "retry", "retries")
    left_out = never_tried(totals)
    if failed := totals.failed.total() - totals.pending - left_out:
        yield f"{failed} failed"
    if totals.pending:
        yield f"{totals.pending} pending"
    if left_out:
        yield f"{left_out} not tried"


def folded(parts: Iterable[str], width: int) -> Iterator[str]:
    """Yield the parts in lines of at most so many columns, broken between parts alone."""
    line = ""
    for part in parts:
        longer = f"{line} · {part}" if line else f"  {part}"
        if line and len(longer) > width:
            yield line
            longer = f"  {part}"
        line = longer
    if line:
        yield line


def _in_flight(activity: Activity) -> str:
    count = f"{activity.in_flight} in flight"
    if activity.limit is not None:
        count += f" of at most {activity.limit}"
    return f"{count} ({activity.why_limited})" if activity.why_limited else count
