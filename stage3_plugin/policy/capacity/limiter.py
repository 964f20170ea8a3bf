"""A limiter: lets scenes through, counts them, reports its state; at a fixed number by itself.

Dispatch asks ``may_send`` before it takes a scene, and asking uses up nothing. A scene that was
taken gets a :class:`Permit`, which notes what becomes of it: many are never sent, because their
picture is already there, and those leave no trace. The limiter learns from what is sent and turned
away.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Literal, Self, TypeAlias

from stage3_plugin.domain.events import CapacityChanged
from stage3_plugin.policy.capacity.rate_limit import RateLimit

Reason: TypeAlias = Literal[
    "turned_away", "still_turned_away", "reopened", "went_well", "paced", "used_up", "asked_to_wait"
]
"""Why capacity changed.

``turned_away``: so many are not taken at once, or next to nothing is: then ``pause_s`` is a pause.
``still_turned_away``: so was the one that was sent to try; the next goes after a longer pause.
``paced``: their rate is limited, and not their number; ``pause_s`` lies between two requests.
``reopened``: all places are taken, and nothing was turned away any more.
``went_well``: more than were known to be taken at once were.
``used_up``: an answer said that nothing is left until a moment; all wait for it.
``asked_to_wait``: a rejection named a wait at a fixed capacity; all wait, and capacity stays.
"""

Fate: TypeAlias = Literal["", "taken", "rejected", "lost"]
"""What became of a request; empty while that is not known."""

NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a request may leave now; if not, when to ask again.

    ``wake_at is None`` beside ``allowed=False`` means: when one that is in flight has ended.
    """

    allowed: bool
    wake_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterState:
    """How a limiter stands at a moment.

    Attributes:
        limit: At most so many may be in flight now.
        ceiling: At most so many ever.
        sent: Requests at the provider: sent and not answered.
        pause_s: Seconds until the next may leave, if a pause is running.
        answered: Requests the provider took and answered so far.
        turned_away: Requests it rejected.
    """

    limit: int
    ceiling: int
    sent: int
    pause_s: float
    answered: int
    turned_away: int


class Permit:
    """The permit of one try of one scene, from being taken to its end.

    A context manager: however the block ends, the place is free again. Nothing is learnt from a try
    that was never sent, or whose end is not known.

    Attributes:
        number: From 1, in the order of entering.
        sent_at: When the request left; ``NEVER`` before.
        others: How many others were at the provider then.
        fate: What became of the request.
        hint_s: The wait that its rejection asked for.
        is_covered: It was turned away, and needs no wait of its own: the limiter spaces all.
    """

    __slots__ = ("_left", "_limiter", "fate", "hint_s", "is_covered", "number", "others", "sent_at")

    def __init__(self, limiter: Limiter, number: int) -> None:
        self._limiter = limiter
        self.number = number
        self.sent_at = NEVER
        self.others = 0
        self.fate: Fate = ""
        self.hint_s: float | None = None
        self.is_covered = False
        self._left = False

    @property
    def is_sent(self) -> bool:
        """Return whether the request left and its end is not known yet."""
        return self.sent_at > NEVER and not self._left

    def sent(self, now: float) -> None:
        """Report that the request leaves now."""
        if self.sent_at > NEVER:
            raise RuntimeError("a permit is for one request, and this one has left")
        self.sent_at = now
        self.others = self._limiter.count_sent(now)
        self._limiter.on_sent(self, now)

    def answered(self, now: float) -> None:
        """Report that the provider took the request and answered it, whatever the answer."""
        if self.is_sent:
            self.fate = "taken"
            self._limiter.count_answered()
            self._limiter.on_answered(self, now)
        self._end()

    def rejected(self, now: float, hint_s: float | None) -> bool:
        """Report that the provider turned the request away without running it.

        Args:
            now: Seconds.
            hint_s: The wait the provider asked for.

        Returns:
            Whether a pause of all covers the scene's wait: then it is due at once, and goes first
            after the pause. Else it waits for itself, and others go on.
        """
        if self.is_sent:
            self.fate, self.hint_s = "rejected", hint_s
            self._limiter.count_rejected()
            self.is_covered = self._limiter.on_rejected(self, now, hint_s)
        self._end()
        return self.is_covered

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if not self._left:
            self._left = True
            if self.sent_at > NEVER and not self.fate:
                self.fate = "lost"
            self._limiter.count_left(was_sent=self.sent_at > NEVER)


@dataclass(eq=False, repr=False)
class Limiter:
    """Decides from what is reported to it; dispatch asks it before every start.

    This one lets a fixed number be in flight, with one shared pause when the provider asks for one:
    a scene that was turned away keeps its own wait, since nothing else spreads them out.

    Args:
        ceiling: The most that will ever be in flight.
        rate_limit: A limit per minute that is known beforehand.
        on_change: Called with every change of capacity.
        beside: Returns how many jobs of other runs are in work at the provider.
    """

    ceiling: int
    _: KW_ONLY
    rate_limit: RateLimit | None = None
    on_change: Callable[[CapacityChanged], None] | None = None
    beside: Callable[[], int] = lambda: 0

    def __post_init__(self) -> None:
        if self.ceiling < 1:
            raise ValueError("capacity is at least 1")
        self._reported_limit = self.ceiling
        self._paused_until = NEVER
        self._pause_s = 0.0
        self._permits = 0
        self._entered = 0
        self._sent = 0
        self._answered = 0
        self._turned_away = 0

    @property
    def limit(self) -> int:
        """Return the most that may be in flight now."""
        return self.ceiling

    @property
    def unsent(self) -> int:
        """Return how many were let through and have neither left nor ended."""
        return self._entered - self._sent

    def may_send(self, now: float, in_flight: int) -> Permission:
        """Return whether one more may be in flight; uses up nothing."""
        opens_at = self._opens_at(now, in_flight)
        if opens_at == math.inf:
            return Permission(allowed=False)
        self._paused_until = min(
            self._paused_until, now + self._pause_s
        )  # a clock that was set back
        wake_at = max(opens_at, self._paused_until)
        if self.rate_limit is not None:
            wake_at = max(wake_at, self.rate_limit.next_at(now, self.unsent))
        return Permission(allowed=False, wake_at=wake_at) if wake_at > now else _ALLOWED

    def enter(self) -> Permit:
        """Let a scene through that was taken; return its permit."""
        self._entered += 1
        self._permits += 1
        return Permit(self, self._permits)

    def hold_back(self, now: float, wait_s: float) -> None:
        """Let nothing leave for ``wait_s`` seconds: an answer said that nothing is left."""
        self._pause(now, wait_s, "used_up")

    def state(self, now: float) -> LimiterState:
        """Return how the limiter stands now."""
        return LimiterState(
            limit=self.limit,
            ceiling=self.ceiling,
            sent=self._sent,
            pause_s=self._pause_left_s(now),
            answered=self._answered,
            turned_away=self._turned_away,
        )

    def count_sent(self, now: float) -> int:
        """Count a request that leaves; return how many others are at the provider."""
        self._sent += 1
        if self.rate_limit is not None:
            self.rate_limit.sent(now)
        return self._sent - 1

    def count_answered(self) -> None:
        """Count an answer."""
        self._answered += 1

    def count_rejected(self) -> None:
        """Count a rejection."""
        self._turned_away += 1

    def count_left(self, *, was_sent: bool) -> None:
        """Free a place."""
        self._entered -= 1
        self._sent -= was_sent

    def on_sent(self, permit: Permit, now: float) -> None:
        """Learn from a request that leaves."""

    def on_answered(self, permit: Permit, now: float) -> None:
        """Learn from an answer."""

    def on_rejected(
        self,
        permit: Permit,  # noqa: ARG002 - here it does not matter which permit it was
        now: float,
        hint_s: float | None,
    ) -> bool:
        """Pause for the longest wait asked for; return whether that covers the scene's wait."""
        if hint_s is not None:
            self._pause(now, hint_s, "asked_to_wait")
        return False

    def _opens_at(self, now: float, in_flight: int) -> float:
        """Return the moment from which one more may leave, by what the limiter has learnt.

        Pauses and the known rate limit come on top; infinity is when one has ended.
        """
        del now
        return math.inf if in_flight + self._taken_beside >= self.ceiling else NEVER

    @property
    def _taken_beside(self) -> int:
        """Return the places taken by jobs of other runs; one is left, whatever becomes of those."""
        return min(self.beside(), self.limit - 1)

    def _pause(self, now: float, wait_s: float, reason: Reason) -> None:
        """Let nothing leave for so long, and report it if that is new."""
        if self._hold(now, wait_s):
            self._report(reason, now)

    def _hold(self, now: float, wait_s: float) -> bool:
        """Let nothing leave for so long; a shorter wait never cuts a longer one short."""
        if now + wait_s <= max(now, self._paused_until):
            return False
        self._paused_until, self._pause_s = now + wait_s, wait_s
        return True

    def _pause_left_s(self, now: float) -> float:
        """Return the seconds until the next may leave."""
        return max(0.0, min(self._paused_until - now, self._pause_s))

    def _report(self, reason: Reason, now: float) -> None:
        previous, self._reported_limit = self._reported_limit, self.limit
        if self.on_change is not None:
            self.on_change(
                CapacityChanged(
                    reason=reason,
                    limit=self.limit,
                    previous=previous,
                    pause_s=self._pause_left_s(now),
                    in_flight=self._sent,
                )
            )


_ALLOWED = Permission(allowed=True)
