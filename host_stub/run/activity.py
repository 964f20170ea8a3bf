"""What is going on in a run at this moment, gathered from the events of its plugin.

Knows events and the clock, and nothing of where it is shown: a line that moves and lines in a log
say the same of it. Reading is safe while another thread takes events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from host_stub.contract import Event
from host_stub.text.escape import escaped
from host_stub.text.format import counted, dollars, duration

_MOST_NAMED = 3
_LONGEST_NAME = 40
_LONGEST_REASON = 120
SPOKEN_OF_S = 3.0
"""Seconds; a shorter wait before another try is over before it is read of."""
_CAUSES: Mapping[str, str] = {
    "rate_limited": "too many requests",
    "unavailable": "the provider is busy, or cannot be reached",
    "no_picture": "an answer without a picture",
    "unreadable": "an answer that cannot be read",
    "credentials": "the address of the picture has run out",
    "unknown": "what became of the request is unknown, and on_unknown is resend",
}
"""Why a scene is tried again, by the code of what failed; any other is named by it."""
_ENDED = frozenset({"scene.finished", "scene.failed", "scene.reused", "scene.skipped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A scene that is tried again after a wait.

    Attributes:
        due: When, by the run's clock.
        why: In a few words, why it waits.
    """

    due: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """What one scene waits for.

    Attributes:
        since: When it began to wait, by the run's clock.
        due: When it is looked for again.
        until: When this run goes on without it, if that is known.
        is_bought: A picture that is paid for, and not what another run has in work.
        message: Why it is not here.
    """

    since: float
    due: float
    until: float | None
    is_bought: bool
    message: str


class Activity:
    """What is happening now, as events have it.

    Args:
        clock: Seconds, from any beginning.

    Attributes:
        retries: Attempts that failed and are made again.
        limit: The most that may be in flight, if an event has said so.
        why_limited: Why it is no more.
        is_stopping: Nothing new is started any more.
        why_stopping: The cap that is reached, if that is why.
    """

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.retries = 0
        self.limit: int | None = None
        self.why_limited = ""
        self.is_stopping = False
        self.why_stopping = ""
        self._clock = clock
        self._in_flight: dict[str, Decimal] = {}
        self._paused_until = 0.0
        self._awaited: dict[str, Awaited] = {}
        self._retrying: dict[str, Retry] = {}
        self._waiting: dict[str, tuple[str, ...]] = {}
        self._waited_for: dict[str, int] = {}
        self._waiting_since: float | None = None

    @property
    def in_flight(self) -> int:
        """Scenes in work; a scene that waits to be tried again is not."""
        return len(self._in_flight)

    @property
    def held_usd(self) -> Decimal:
        """What is held for the scenes in work, where that is known."""
        return sum(list(self._in_flight.values()), Decimal(0))

    @property
    def paused_s(self) -> float:
        """Seconds for which nothing is sent from now on."""
        return max(0.0, self._paused_until - self._clock())

    @property
    def awaited(self) -> dict[str, Awaited]:
        """Scenes that wait for what is bought, or in work elsewhere."""
        return dict(self._awaited)

    @property
    def awaited_since(self) -> float | None:
        """When the longest of all waits began, by the run's clock; ``None`` without one."""
        begun = [one.since for one in self.awaited.values()]
        if self._waiting_since is not None:
            begun.append(self._waiting_since)
        return min(begun, default=None)

    def note(self, event: Event) -> None:
        """Take one event."""
        name = event["event"]
        scene_id = picture_of(str(event.get("scene_id", "")), event.get("take") or 1)
        if name == "scene.started":
            self._in_flight[scene_id] = Decimal(event.get("held_usd") or 0)  # as text, in an event
            self._awaited.pop(scene_id, None)
            self._retrying.pop(scene_id, None)
            self._waits_no_more(scene_id)
        elif name == "scene.waiting":
            self._wait(scene_id, event["waits_for"])
        elif name == "scene.retried":
            self.retries += event.get("cause") != "pending"  # which sends nothing again
            self._in_flight.pop(scene_id, None)
            self._retry(scene_id, event)
        elif name == "scene.awaited":
            self._await(scene_id, event)
        elif name in _ENDED:
            self.ended(scene_id)
            is_left_out = name == "scene.skipped" and event.get("code") == "not_tried"
            self.is_stopping |= is_left_out and not event.get("waits_for")
        elif name == "capacity.changed":
            self._limit(event)
        elif name == "budget.reached":
            self.is_stopping = True
            cap = f"{_CAPS.get(event['scope'], 'cap')} of {dollars(event['limit_usd'])}"
            self.why_stopping = f"the {cap} is reached"

    def ended(self, scene_id: str) -> None:
        """Take the end of a scene, or of one of its takes, whose plugin may have logged nothing."""
        self._in_flight.pop(scene_id, None)
        self._awaited.pop(scene_id, None)
        self._retrying.pop(scene_id, None)
        self._waited_for.pop(scene_id, None)
        self._waits_no_more(scene_id)

    def retry_line(self) -> str | None:
        """Say which scenes are tried again, when and why, the first of them first."""
        now = self._clock()
        waiting = sorted(dict(self._retrying).items(), key=lambda one: one[1].due)
        if not waiting or self.is_stopping:
            return None
        name, retry = waiting[0]
        left_s = retry.due - now
        when = f"in {duration(left_s)}" if left_s > 0 else "now"
        more = f", and {len(waiting) - 1} more" if len(waiting) > 1 else ""
        return f"{escaped(name, limit=_LONGEST_NAME)}: retrying {when}: {retry.why}{more}"

    def awaited_line(self) -> str | None:
        """Say what is waited for: for how long and until when, or by how many scenes."""
        awaited = self.awaited
        bought = {name: one for name, one in awaited.items() if one.is_bought}
        others = len(awaited) - len(bought)
        parts: list[str] = []
        if bought:
            count = counted(len(bought), "bought picture")
            parts.append(f"{count}, at no further cost: {self._named(bought)}")
        if others:
            busy = {name: one for name, one in awaited.items() if not one.is_bought}
            count = counted(others, "scene")
            parts.append(f"{count} that another run has in work: {self._named(busy)}")
        waited_for = dict(self._waited_for)
        if waited_for and not self.is_stopping:  # else they are not made, whatever comes
            parts.append(_for_scenes(waited_for))
        return "; ".join(f"waiting for {part}" for part in parts) or None

    def _named(self, awaited: dict[str, Awaited]) -> str:
        now = self._clock()
        lines: list[str] = []
        for name, one in list(awaited.items())[:_MOST_NAMED]:
            words = [f"for {duration(max(0.0, now - one.since))}"]
            if one.is_bought:
                due_s = one.due - now
                words.append(
                    f"asked again in {duration(due_s)}" if due_s > 0 else "being asked now"
                )
            if one.until is not None:
                words.append(f"at most {duration(max(0.0, one.until - now))} more")
            if one.message and one.is_bought:
                words.append(escaped(one.message, limit=_LONGEST_REASON))
            lines.append(f"{escaped(name, limit=_LONGEST_NAME)} ({', '.join(words)})")
        more = len(awaited) - len(lines)
        return ", ".join([*lines, *([f"and {more} more"] if more > 0 else [])])

    def _retry(self, scene_id: str, event: Event) -> None:
        """Note a wait that is long enough to be spoken of."""
        wait_s = event.get("wait_s") or 0.0
        if event.get("cause") == "pending" or wait_s < SPOKEN_OF_S:
            return
        cause = str(event.get("cause", ""))
        why = "the provider asked for it" if event.get("asked_for") else _CAUSES.get(cause, cause)
        self._retrying[scene_id] = Retry(due=self._clock() + wait_s, why=why)

    def _await(self, scene_id: str, event: Event) -> None:
        now = self._clock()
        self._in_flight.pop(scene_id, None)
        left_s = event.get("left_s")
        self._awaited[scene_id] = Awaited(
            since=now - event["waited_s"],
            due=now + event["wait_s"],
            until=None if left_s is None else now + left_s,
            is_bought=event["cause"] != "busy",
            message=str(event.get("message", "")),
        )

    def _wait(self, scene_id: str, waits_for: Sequence[str]) -> None:
        self._waits_no_more(scene_id)
        self._waiting[scene_id] = tuple(waits_for)
        for other in waits_for:
            self._waited_for[other] = self._waited_for.get(other, 0) + 1
        if self._waiting_since is None:
            self._waiting_since = self._clock()

    def _waits_no_more(self, scene_id: str) -> None:
        """Forget what a scene waited for; what has ended meanwhile is forgotten already."""
        for other in self._waiting.pop(scene_id, ()):
            left = self._waited_for.get(other, 0) - 1
            if left > 0:
                self._waited_for[other] = left
            else:
                self._waited_for.pop(other, None)
        if not self._waited_for:
            self._waiting_since = None

    def _limit(self, event: Event) -> None:
        if event.get("reason") != "paced":  # whose pause lies between any two requests
            self._paused_until = self._clock() + (event.get("pause_s") or 0.0)
        limit, reason = event.get("limit"), str(event.get("reason") or "")
        if limit is None or self.limit is None or limit < self.limit:
            self.why_limited = _REASONS.get(reason, "")
        elif limit > self.limit:
            self.why_limited = ""
        self.limit = limit


def picture_of(scene_id: str, take: int = 1) -> str:
    """Name one picture of a scene for people."""
    return scene_id if take == 1 else f"{scene_id} take {take}"


def _for_scenes(waited_for: Mapping[str, int]) -> str:
    """Say for whose pictures how many scenes wait, those that most wait for first."""
    most = sorted(waited_for, key=lambda name: -waited_for[name])
    named = [
        f"{escaped(name, limit=_LONGEST_NAME)} ({counted(waited_for[name], 'scene')})"
        for name in most[:_MOST_NAMED]
    ]
    more = len(most) - len(named)
    return ", ".join([*named, *([f"and {more} more"] if more > 0 else [])])


_CAPS = {"run": "run's cap", "day": "day's cap", "total": "total cap"}
_REASONS = {
    "turned_away": "too many requests",
    "still_turned_away": "too many requests",
    "paced": "too many a minute",
    "used_up": "quota used up",
    "asked_to_wait": "asked to wait",
}
"""A plugin's reasons for less capacity, as a line words them; any other is left out."""
