"""The pace a provider shows it takes, where it limits how often one comes, and not how many do.

Between two requests that were turned away nothing was left of the quota, so what was taken in
between, over the time in between, is the quota, however large the bucket. A tempo goes on from
there, faster with every request that is taken, until one too many is: what it wastes is one
request in fifteen or twenty. Beside ``pacing``, which keeps a limit that is known; and apart from
the adaptive gate, which decides when there is reason to keep a tempo at all.
"""

from __future__ import annotations

from collections import deque

from stage3_plugin.capacity.gate import NEVER, Passage

MEMORY = 32
"""Requests the pace is measured by: fewer are noise, and more are the past."""
YOUNG_S = 1.5
"""Younger requests are kept beyond that number, for nobody knows yet if they were taken."""
LONGEST_SILENCE_S = 60.0
"""In a longer one nobody had anything to send, which says nothing of the pace."""
GAIN = 1 / 1000
"""Faster by so much with a request that is taken, by twice as much with the next, and so on.

The more are taken in a row, the further off the limit is; at ``MEMORY`` it ends, lest a full bucket
let it run away. Before an empty bucket it comes to one rejection in about eighteen requests.
"""
SLOWEST = 5 / 4
"""No lone rejections make it slower than so much of what it began with.

Before a limit it goes no slower anyway; where rejections are chance, it would creep to a halt.
"""
FASTEST_S = 1 / 1000
"""The shortest interval; a shorter one holds nobody back, and is divided by."""
MOST_DOUBTS = 3
"""Rejections that look like a limit on how many at once, before it is taken for one."""


class Tempo:
    """Measures departures that were not turned away, and spaces them where it is told to."""

    def __init__(self) -> None:
        self.is_kept = False
        self._taken: deque[Passage] = deque()
        self._since = NEVER
        self._left_at = NEVER
        self._interval_s = self._slowest_s = 0.0
        self._in_a_row = 0
        self._refused: Passage | None = None
        self._doubts = 0

    @property
    def is_doubtful(self) -> bool:
        """Tell whether it rather looks as if the number at once were limited."""
        return self._doubts >= MOST_DOUBTS

    @property
    def interval_s(self) -> float:
        """Give the seconds between two departures."""
        return self._interval_s

    def next_at(self, now: float, unsent: int) -> float:
        """Give the earliest moment one more may leave; at ``now`` or before means at once."""
        if not self.is_kept:
            return NEVER
        return (now if unsent else self._left_at) + max(1, unsent) * self._interval_s

    def sent(self, passage: Passage, now: float) -> None:
        """Take note that a request left, which counts as taken until it is turned away."""
        if now - self._left_at > LONGEST_SILENCE_S:
            self._taken.clear()
            self._since = now
        self._left_at = now
        self._taken.append(passage)
        while len(self._taken) > MEMORY and _left(self._taken[0]) < now - YOUNG_S:
            self._since = _left(self._taken.popleft())
        self._in_a_row += 1
        faster_s = self._interval_s / (1 + GAIN * min(self._in_a_row, MEMORY))
        self._interval_s = max(FASTEST_S, faster_s)

    def turned_away(self, passage: Passage) -> None:
        """Begin again from what was taken before this one; doubt if only fewer at once were."""
        if passage in self._taken:
            self._taken.remove(passage)
        self._in_a_row = 0
        if self.is_kept:
            count = sum(one.number < passage.number for one in self._taken)
            took_s = _left(passage) - self._since
            if count and took_s > 0:
                self._interval_s = max(FASTEST_S, min(took_s / count, self._slowest_s))
            self._weigh(passage)

    def keep(self, now: float, since: float, *, is_sure: bool = True) -> None:
        """Space departures as those that were taken.

        Args:
            now: Seconds.
            since: When requests were turned away last. Nothing was left of the quota then, and
                what was taken before was in the bucket: it is measured no more.
            is_sure: Whether it is proved that it is the rate which is limited; else a single doubt
                is enough.
        """
        self._interval_s = max(FASTEST_S, (now - self._since) / max(1, len(self._taken)))
        self._slowest_s = SLOWEST * self._interval_s
        self._in_a_row = 0
        if self.is_kept:
            return
        self.is_kept = True
        self._doubts = 0 if is_sure else MOST_DOUBTS - 1
        self._refused = None
        while self._taken and _left(self._taken[0]) <= since:
            self._taken.popleft()
        self._since = since

    def drop(self) -> None:
        """Space them no more."""
        self.is_kept = False
        self._doubts = 0

    def _weigh(self, passage: Passage) -> None:
        """See if others were taken meanwhile with no fewer beside them than were too many before.

        Before a limit on how many at once none ever is; where the rate is limited, most are.
        """
        if self._refused is not None:
            between = range(self._refused.number + 1, passage.number)
            beside = [one.beside for one in self._taken if one.number in between]
            if not beside:
                return
            proves = max(beside) >= self._refused.beside
            self._doubts = 0 if proves else self._doubts + 1
        self._refused = passage


def _left(passage: Passage) -> float:
    assert passage.sent_at is not None, "only what was sent is measured"
    return passage.sent_at
