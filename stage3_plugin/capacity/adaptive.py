"""The gate that finds out how much a provider takes, from nothing but what it turns away.

Latency is no guide here: a picture's own time varies far more than a queue at the provider moves
it, so the gradient and queue-length algorithms (Vegas, Gradient2, Envoy's) read noise, and settle
at a handful in flight where there is no limit at all. A rejection is exact, and comes back a
hundred times faster than a picture. Halving upon it would throw away places that are known to be
good, and sending "another one" would flood. So:

- A lone rejection makes its own scene wait. Several in a row are the limit: what is at the provider
  then *was taken*, and is the best estimate there is of what it takes. Everybody pauses once.
- After the pause one request goes first. Only if it, too, is turned away, the pause doubles.
- Each round that goes well at a limit earns a step more. A step that is turned away makes the gate
  more patient before the next; a step that went well makes the next one larger.

Compared with nine known algorithms on twelve kinds of limits in simulated hours;
``tests/benchmarks/simulated_hour.py`` repeats it.
"""

from __future__ import annotations

from collections.abc import Callable

from stage3_plugin.capacity.gate import NEVER, Change, CountingGate, Passage
from stage3_plugin.capacity.pacing import Pace

FIRST_LIMIT = 16
"""In flight at first: more than most accounts take, and too few to be a flood."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
"""The longest pause that doubling comes to by itself."""
HINT_JITTER_S = 0.5
"""Added at most to a wait the provider asked for: other machines of the account heard it, too."""
FEWEST_REJECTIONS = 2.0
"""So many without successes between them are the limit, or a sixteenth of what is in flight."""
SHARE_REJECTED = 1 / 16
FORGIVEN_PER_ANSWER = 1 / 8
"""Of a rejection, per answer: below one rejection in nine requests, none is taken for a limit."""
MOST_PATIENCE = 8
"""Rounds that must go well before a step is tried again that failed before."""
LONGEST_VERDICT_S = 1.5
SHORTEST_VERDICT_S = 0.1
"""How long the request that goes first must not be turned away to count as taken."""
SMOOTHING = 0.2


class AdaptiveGate(CountingGate):
    """Follows the provider's limit, below a ceiling.

    Args:
        ceiling: The most that will ever be in flight.
        draw: Gives a number in [0, 1) for jitter.
        longest_hint_s: A wait the provider asks for is cut to so many seconds.
        pace: A limit per minute that is known beforehand; then the gate starts at its ceiling.
        tell: Hears of every change of capacity.
    """

    def __init__(
        self,
        ceiling: int,
        *,
        draw: Callable[[], float],
        longest_hint_s: float = 120.0,
        pace: Pace | None = None,
        tell: Callable[[Change], None] | None = None,
    ) -> None:
        super().__init__(ceiling, pace=pace, tell=tell)
        self._draw = draw
        self._longest_hint_s = longest_hint_s
        self._limit = self._told_limit = ceiling if pace is not None else min(ceiling, FIRST_LIMIT)
        self._hits = 0.0
        self._rejection_s = LONGEST_VERDICT_S / 3
        # closed to all but one
        self._half_open = False
        self._first: Passage | None = None
        self._verdict_at = NEVER
        self._pause_s = FIRST_PAUSE_S
        # growth
        self._credit = 0
        self._step = 1
        self._patience = 1
        self._stepped = False
        self._last_full = 0

    @property
    def limit(self) -> int:
        """Give the most that may be in flight now."""
        return self._limit

    def enter(self) -> Passage:
        """Let a scene through that was taken; the first one after a pause goes alone."""
        passage = super().enter()
        if self._entered >= self._limit:
            self._last_full = passage.number
        if self._half_open and self._first is None:
            self._first = passage
        return passage

    def on_sent(self, passage: Passage, now: float) -> None:
        """Give the request that goes first the time in which a rejection would come."""
        if passage is self._first:
            self._verdict_at = now + self._verdict_s

    def on_answered(self, passage: Passage, now: float) -> None:
        """Forgive a little, and after a round that went well at the limit try a step more."""
        if passage is self._first:
            self._reopen(now)
        self._hits = max(0.0, self._hits - FORGIVEN_PER_ANSWER)
        if self._limit >= self._ceiling or self._last_full < passage.number:
            return  # the gate held nobody back while this one was under way: nothing to learn
        self._credit += 1
        if self._credit >= self._limit * (1 if self._stepped else self._patience):
            self._grow(now)

    def on_rejected(self, passage: Passage, now: float, hint_s: float | None) -> bool:
        """Let one rejection pass for chance; take several in a row for the limit."""
        if passage.sent_at is not None:
            self._rejection_s += (now - passage.sent_at - self._rejection_s) * SMOOTHING
        enough = max(FEWEST_REJECTIONS, self._limit * SHARE_REJECTED)
        self._hits = min(self._hits + 1, enough)
        if self._hits < enough and not self._half_open:
            return False
        self._clamp(passage, now, hint_s)
        return True

    def on_left(self, passage: Passage) -> None:
        """Let another go first if this one was to, and proved nothing."""
        if passage is self._first:
            self._first = None

    @property
    def _verdict_s(self) -> float:
        return min(LONGEST_VERDICT_S, max(SHORTEST_VERDICT_S, 3 * self._rejection_s))

    def _reconsider(self, now: float) -> None:
        """Hold everybody back while one goes first; reopen once it was not turned away."""
        self._closed_until = NEVER
        if self._first is None:
            return
        if self._first.sent_at is None:
            self._closed_until = now + self._verdict_s  # it leaves now at the earliest
        elif now < self._verdict_at:
            self._closed_until = self._verdict_at
        else:
            self._reopen(now)

    def _reopen(self, now: float) -> None:
        self._half_open = False
        self._first = None
        self._pause_s = FIRST_PAUSE_S
        self._told("reopened", now)

    def _clamp(self, passage: Passage, now: float, hint_s: float | None) -> None:
        """Go down to what the provider took, and pause once for all that are turned away."""
        if self._stepped:
            self._patience = min(MOST_PATIENCE, 2 * self._patience)
        others = self._sent - 1  # this one was not taken
        self._limit = max(1, min(self._limit, others))
        self._credit, self._step, self._stepped, self._last_full = 0, 1, False, 0
        wait_s = self._obeyed(hint_s)
        went_first = passage is self._first
        if self._half_open and not went_first:  # of the same burst: the running pause is for it
            self._paused_until = max(self._paused_until, now + (wait_s or 0.0))
            return
        if went_first:
            self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s)
        if wait_s is None:
            wait_s = self._pause_s * (0.75 + self._draw() / 2)
        self._half_open, self._first = True, None
        self._paused_until = max(self._paused_until, now + wait_s)
        self._told("still_turned_away" if went_first else "turned_away", now)

    def _obeyed(self, hint_s: float | None) -> float | None:
        if hint_s is None:
            return None
        return min(hint_s, self._longest_hint_s) + self._draw() * HINT_JITTER_S

    def _grow(self, now: float) -> None:
        """Try a step more; the steps double while they go well, and at first each round does."""
        if self._stepped:
            self._patience = 1
            self._step = max(1, min(2 * self._step, self._limit // 4))
        if not self._turned_away:
            self._step = self._limit
        self._limit = min(self._ceiling, self._limit + self._step)
        self._credit, self._stepped, self._last_full = 0, True, 0
        self._told("went_well", now)
