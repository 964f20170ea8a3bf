"""When the next request may leave, where it is not the number at once that holds back.

Departures are spaced by an interval that is either *steady*, at the rate the provider takes, or
*ramping*: shorter with each request that is taken, or tripled where next to nothing is. Beside
``rate_limit``, which keeps a limit that is known beforehand. No interval is longer than the longest
pause, and no remembered moment further ahead than ``LONGEST_WAIT_S``, so that neither an outage nor
a clock that was set back can hold back all requests.
"""

from __future__ import annotations

from stage3_plugin.policy.capacity.limiter import NEVER, Permit
from stage3_plugin.policy.capacity.rate_estimate import FASTEST_S, SLOWEST_S

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 6.0
RAMP, RAMP_WHEN_HINTED = 2.0, 1.5
"""So many times as fast is tried with each request that is taken while a rate is looked for."""
LONGER = 3
"""Between two requests where next to nothing is taken: three times as long as the one before."""
LONGEST_WAIT_S = 2 * LONGEST_PAUSE_S
"""A slot that is left out follows the longest interval."""
GAIN, GAIN_WHEN_HINTED, LONG_RUN = 0.00015, 0.00005, 12
"""The n-th request taken in a row raises a steady rate by ``GAIN`` times n squared, to this n. By
less where the last rejection named a wait: then it is a rate that was measured, and hardly chance.
"""
SLOWER = 1.1
"""The factor by which a lone rejection slows it down."""
SLOW_S, SURE_TO_ASK = 3.3, 10
"""At so slow a rate so many taken in a row are a reason to ask: it may have been measured from a
few lucky answers at the end of an outage. Faster ones quicken soon enough by themselves."""
EARLY_TO_ASK = 2
"""Rejections earlier than a steady rate brings them that are a reason to ask."""


class Departures:
    """Spaces departures, and asks by a pair of them whether there is a reason to."""

    def __init__(self) -> None:
        self.interval_s = 0.0
        """Between two departures; 0 while nothing is spaced."""
        self._ramping_since: float | None = None
        self._next_at = NEVER
        self._early = 0
        self._of_pair_left = 0
        self._asked: Permit | None = None

    @property
    def is_spaced(self) -> bool:
        """Return whether departures are spaced at all."""
        return self.interval_s > 0

    @property
    def is_steady(self) -> bool:
        """Return whether they are spaced at the rate that is taken."""
        return self.is_spaced and self._ramping_since is None

    @property
    def is_ramping(self) -> bool:
        """Return whether a faster rate is looked for."""
        return self.is_spaced and self._ramping_since is not None

    def next_at(self, now: float, unsent: int) -> float:
        """Return the earliest moment one more may leave.

        A scene that was let through and has not left yet counts as leaving now.
        """
        self._next_at = min(self._next_at, now + LONGEST_WAIT_S)
        if self._ramping_since is not None:
            self._ramping_since = min(self._ramping_since, now)
        return max(self._next_at, now + unsent * self.interval_s) if unsent else self._next_at

    def sent(self, permit: Permit, now: float) -> None:
        """Note that a request left."""
        if not self.is_spaced:
            return
        if self._of_pair_left:
            self._of_pair_left -= 1
            if self._of_pair_left:
                return  # the other one leaves with it
            self._asked = permit
        self._next_at = max(self._next_at, now + self.interval_s)

    def taken(self, permit: Permit, now: float, run: int, *, is_hinted: bool = False) -> bool:
        """Go faster after a request that was taken, ``run`` in a row; return if it was the answer.

        Where the rate is limited, nothing is left for the second of a pair. If it is taken all the
        same, the rejections were chance, and no reason to space anything.
        """
        is_answer = permit is self._asked
        if not self.is_spaced:
            return False
        if is_answer:
            self._asked = None
            self._ramp(self.interval_s / 2, now)
        elif self._ramping_since is None:
            faster = 1 + (GAIN_WHEN_HINTED if is_hinted else GAIN) * min(run, LONG_RUN) ** 2
            self.interval_s = max(FASTEST_S, self.interval_s / faster)
            if self.interval_s > SLOW_S and run % SURE_TO_ASK == 0:
                self.ask(now)
        elif permit.sent_at >= self._ramping_since:
            self._ramp(self.interval_s / (RAMP_WHEN_HINTED if is_hinted else RAMP), now)
        self._next_at = min(self._next_at, now + self.interval_s)
        return is_answer

    def is_answered_by(self, permit: Permit, now: float) -> bool:
        """Return whether a rejection is the answer to the question: then the rate is limited."""
        if permit is not self._asked:
            return False
        self._asked = None
        self.leave_one_out(now)
        return True

    def leave_one_out(self, now: float) -> None:
        """Let one slot pass: a rejection may have been charged, and of a pair one came early."""
        self._next_at = max(self._next_at, now) + self.interval_s

    def slow_down(self, now: float, run: int) -> None:
        """Go on a little slower after a lone rejection; ask if they come too early for a rate."""
        self._early += run < LONG_RUN
        if self._early >= EARLY_TO_ASK:
            self.ask(now)
        self.interval_s = min(SLOWEST_S, self.interval_s * SLOWER)

    def ask(self, now: float) -> None:
        """Let the next two leave together."""
        self._early, self._of_pair_left = 0, 2
        self._next_at = now

    def keep(self, interval_s: float, now: float, *, tries_faster: bool) -> None:
        """Space departures by what was measured.

        Args:
            interval_s: Between two of them.
            now: Seconds.
            tries_faster: It may have been chance that was measured: see first what else is taken.
        """
        self._forget_question()
        self.interval_s = interval_s
        self._ramping_since = now if tries_faster else None

    def pause(self, now: float, jitter: float) -> None:
        """Let one request leave after a pause, twice as long as the one before.

        Args:
            now: Seconds.
            jitter: In [0, 1): makes the pause up to a quarter shorter or longer.
        """
        self._forget_question()
        self._ramp(min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, LONGER * self.interval_s)), now)
        self._next_at = now + self.interval_s * (0.75 + jitter / 2)

    def drop(self) -> None:
        """Space nothing any more."""
        self._forget_question()
        self.interval_s, self._ramping_since = 0.0, None

    def _ramp(self, interval_s: float, now: float) -> None:
        self.interval_s, self._ramping_since = interval_s, now

    def _forget_question(self) -> None:
        self._of_pair_left, self._asked = 0, None
