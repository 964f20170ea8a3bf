"""The limiter that finds out how much a provider takes, from nothing but what it turns away.

Latency is no guide here: a picture's own time varies far more than a queue at the provider moves
it. A rejection is exact, and comes back a hundred times faster than a picture. Three things can
bring one: the *number* at once is limited, or the *rate*, or *nothing that we do* (chance, an
outage). They differ in what is rejected:

- Above the most that were ever taken at once, it is the number (``level``).
- Below that it is chance, until several come with hardly a request taken in between.
- Then it is the rate, if what was taken between two rejections can be measured
  (``rate_estimate``), and departures are spaced (``departures``). Else next to nothing is taken,
  and one request goes after each pause. Where a rate is believed in and rejections come too early
  for one, two requests leave together: before a limited rate the second is rejected, before chance
  it is not.

A rejection that names a wait is likelier to be one for a rate, until something is taken that was
sent before the wait was over: chance names one, too. So where the number would explain it as well,
a believed wait decides: while the most that were taken at once are not proved, one at a time is
sent below that, and while a faster rate is looked for, the one that was measured is kept.

That needs clean evidence, so requests are judged *in the order in which they left*. One is taken
when it is answered, or was not rejected for longer than rejections take: a level is proved
in a second, and not in a picture's time. When an earlier one turns out rejected, it was not at
work, and all later ones count one fewer beside them. A rejected request keeps its place until it is
judged, so that a burst of rejections does not invite the next.

``tests/benchmarks/simulated_hour.py`` and ``simulated_runs.py`` judge it beside clients that know
the limit. Its states::

       16 at once, then with each verdict as many more and four: 36, 76, 156, 316
                              ┌──────────┐
            ┌────────────────►│   OPEN   │◄──────────── all places taken ─────┐
            │                 └────┬──┬──┘                                    │
      one more was taken           │  │ five rejections that nothing          │
      three times, tried           │  │ explains (three, where they are rare) │
      each fourth round            │  └──────────────────┐                    │
            │          rejections  │                     ▼                    │
      ┌─────┴──────┐   above what  │              ┌─────────────┐             │
      │   NUMBER   │◄──was taken───┘              │   RAMPING   ├─────────────┤
      │   KNOWN    │◄──likewise───────────────────┤ gap halves, │             │
      └─────┬──────┘                              │ or triples: │             │
            │                                     │ 0.5 to 6 s  │             │
            │ two or three below what was taken:  └──▲───────┬──┘             │
            │ it is asked by a pair                  │       │ rejected again,│
            │                  second of a pair taken│       │ and measured   │
            │                  or nothing is taken   │       ▼                │
            │                                     ┌──┴──────────┐             │
            └──────────── measured ──────────────►│   STEADY    │             │
                                                  │ gap as it   ├─────────────┘
                  NUMBER KNOWN ◄──rejections──────┤ was measured│  (only while ramping)
                                 above what was   └─────────────┘
                                 taken
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from stage3_plugin.policy.capacity.departures import LONGEST_PAUSE_S, Departures
from stage3_plugin.policy.capacity.level import FIRST_ROOM, Level
from stage3_plugin.policy.capacity.limiter import NEVER, Limiter, Permit
from stage3_plugin.policy.capacity.rate_estimate import SURE_RUN, RateEstimate

ALARM = 5.0
"""Rejections that nothing explains, from which they are no chance."""
ALARM_WHEN_RARE = 3.0
"""Likewise where rejections are rare or expected: all was taken for long, one more is tried, or
departures are spaced."""
ALARM_WHEN_SHARP = 2.0
"""Likewise where the number is known and there was a place, or nothing is taken any more."""
EVEN_LUCK = 64
"""Beyond so many places each further so many need one rejection more: more at once, more luck."""
LOWERED = 2.0
"""Rejections at the last place that take it away."""
FORGIVEN = 0.5
"""Of a rejection, for each request that is taken."""
MANY_IN_A_ROW, MANY_AT_A_PACE = 6, 4
"""Rejections in a row, explained or not, from which nothing is taken any more."""
SHORTEST_VERDICT_S, LONGEST_VERDICT_S = 0.1, 2.5
"""Seconds without a rejection after which a request counts as taken.

The longest in the beginning: the first requests open their connections, and nothing is known.
"""
LATER_VERDICT_S, QUICK_VERDICT_S = 1.2, 0.5
"""Likewise after the first was taken by it, and where answers come sooner, while none is rejected:
a rejection takes no longer than an answer. Quick refusals are answers too, so it is no shorter."""
VERDICT_FACTOR = 1.4
"""Times what the slowest of the last rejections took: a late one was believed taken."""
FADING = 0.25
"""Of what a slow rejection took more than the next: it is forgotten with so many of them.

The first few count like a mean, since nothing was known before.
"""
ROUNDED_S = 1e-9
SOONEST_S = 1e-6
HINT_JITTER_S = 0.5
"""Added at most to a wait the provider asked for: other machines of the account got it, too."""
HINT_STEP_S = 1.0
"""A wait is named in whole seconds, rounded up: by so much it may be too long and right."""
FEW = 6
"""Of fewer places one is tried above them for time that has passed, too: their rounds take long."""
FIRST_QUIET_S, LONGEST_QUIET_S = 18.0, 160.0
"""Seconds without a rejection until then; twice as long after each."""


@dataclass(eq=False, repr=False)
class AdaptiveLimiter(Limiter):
    """Follows the provider's limit, below a ceiling.

    Args:
        ceiling: The most that will ever be in flight.
        draw: Returns a number in [0, 1) for jitter.
        longest_hint_s: A wait the provider asks for is cut to so many seconds.
        rate_limit: A known limit per minute; it keeps the first flood away by itself.
        on_change: Called with every change of capacity.
        beside: Returns how many jobs of other runs are in work at the provider.
    """

    _: KW_ONLY
    draw: Callable[[], float]
    longest_hint_s: float = 120.0

    def __post_init__(self) -> None:
        super().__post_init__()
        room = FIRST_ROOM if self.rate_limit is None else self.ceiling
        self._level = Level(self.ceiling, float(room))
        self._rate = RateEstimate()
        self._departures = Departures()
        self._unjudged: deque[Permit] = deque()
        self._held = 0
        self._rejection_s = LONGEST_VERDICT_S / VERDICT_FACTOR
        self._hits = 0.0
        self._is_hinted = False
        self._hinted_after, self._hinted_until = NEVER, NEVER
        self._known_since = NEVER
        self._quiet_s = FIRST_QUIET_S
        self._quiet_until = NEVER

    @property
    def limit(self) -> int:
        """Return the most that may be in flight now."""
        return self.ceiling if self._departures.is_spaced else min(self.ceiling, self._level.most)

    def on_sent(self, permit: Permit, now: float) -> None:
        """Wait for the request's verdict; stop looking for a rate where all places are taken."""
        permit.others += self._held
        self._unjudged.append(permit)
        if self._departures.is_ramping and self._places >= self.ceiling:
            self._departures.drop()
            self._level.open()
            self._report("reopened", now)
        self._departures.sent(permit, now)

    def on_answered(self, permit: Permit, now: float) -> None:
        """Judge what can be judged now."""
        self._assume(max(QUICK_VERDICT_S, now - permit.sent_at))
        self._judge(now)

    def on_rejected(self, permit: Permit, now: float, hint_s: float | None) -> bool:
        """Learn from a rejection; the wait that it names is the scene's, and no other's.

        Of the account it is asked only where next to nothing is taken: chance may name one, too.
        """
        took_s = min(max(now - permit.sent_at, 0.0), LONGEST_VERDICT_S)
        fading = max(FADING, 1 / self._turned_away)
        faded_s = self._rejection_s + fading * (took_s - self._rejection_s)
        self._rejection_s = max(took_s, faded_s)
        is_late = permit not in self._unjudged
        self._held += not is_late
        self._judge(now)
        if is_late:  # it had counted as taken
            self._level.good = min(self._level.good, max(1, permit.others))
            self._rejected(permit, now)
        return hint_s is None

    @property
    def _places(self) -> int:
        """Return the places taken: by scenes, by rejected ones not yet judged, by other runs."""
        return self._entered + self._held + self._taken_beside

    @property
    def _verdict_s(self) -> float:
        return min(LONGEST_VERDICT_S, max(SHORTEST_VERDICT_S, VERDICT_FACTOR * self._rejection_s))

    @property
    def _is_number_known(self) -> bool:
        return self._level.is_known and not self._departures.is_spaced

    @property
    def _is_rate_likely(self) -> bool:
        """Return whether what looks like the number at once may as well have been a first burst."""
        return self._is_hinted and self._is_number_known and not self._level.is_proved

    def _opens_at(self, now: float, in_flight: int) -> float:
        """Return the moment from which one more may leave, by what was learnt."""
        self._judge(now)
        self._known_since = min(self._known_since, now)  # the clock may have been set back
        quiet_until = self._after_quiet(now)
        if in_flight + self._taken_beside >= self.ceiling:
            return math.inf
        if self._places < self.limit and not (self._is_rate_likely and self._unjudged):
            return self._departures.next_at(now, self.unsent)
        if self._unjudged and self.limit < self.ceiling:
            verdict_at = self._unjudged[0].sent_at + self._verdict_s
            return min(quiet_until, max(verdict_at, now + SOONEST_S))
        if self.unsent and self.limit < self.ceiling:  # nobody asks again when those leave
            return min(quiet_until, now + self._verdict_s)
        return quiet_until

    def _after_quiet(self, now: float) -> float:
        """Try one more of few places when no rejection came for long; return when that will be."""
        if not self._is_number_known or self._level.good >= FEW:
            return math.inf
        self._quiet_until = min(self._quiet_until, now + self._quiet_s)
        if now < self._quiet_until:
            return self._quiet_until
        self._quiet_s = min(LONGEST_QUIET_S, 2 * self._quiet_s)
        self._level.try_one_more()
        return math.inf

    def _judge(self, now: float) -> None:
        """Judge requests in the order in which they left."""
        while self._unjudged:
            one = self._unjudged[0]
            if not one.fate and 0 <= now - one.sent_at < self._verdict_s - ROUNDED_S:
                return
            self._unjudged.popleft()
            if one.fate == "rejected":
                self._held -= 1
                for later in self._unjudged:
                    later.others -= 1
                self._rejected(one, now)
            elif one.fate != "lost":
                if not one.fate:
                    self._assume(LATER_VERDICT_S)
                self._taken(one, now)

    def _assume(self, verdict_s: float) -> None:
        """Wait no longer for a verdict, as long as no rejection has shown how long one takes."""
        if not self._turned_away:
            self._rejection_s = min(self._rejection_s, verdict_s / VERDICT_FACTOR)

    def _taken(self, one: Permit, now: float) -> None:
        self._rate.taken()
        if self._hinted_after < one.sent_at < self._hinted_until:
            self._is_hinted, self._hinted_until = False, math.inf
        self._hits = max(0.0, self._hits - FORGIVEN)
        was_below = self._level.most < self.ceiling
        self._level.taken(one.others)
        if was_below and self._level.most >= self.ceiling:
            self._report_limit(now)
        if self._departures.taken(one, now, self._rate.run, is_hinted=self._is_hinted):
            self._hits = 0.0

    def _rejected(self, one: Permit, now: float) -> None:
        """Find out what explains a rejection; those that left before the last alarm are known."""
        if one.sent_at < self._known_since:
            return
        run = self._rate.run
        self._rate.rejected(one.sent_at)
        if self._hinted_until < math.inf:  # no wait has proved to be wrong
            self._is_hinted, self._hinted_after = one.hint_s is not None, one.sent_at
            self._hinted_until = one.sent_at + (one.hint_s or 0.0) - HINT_STEP_S
        is_rate = self._is_hinted and self._departures.is_ramping
        is_rate = is_rate and self._rate.measured_s(is_spaced=False) is not None
        if self._departures.is_answered_by(one, now):
            return
        if not is_rate and self._is_of_number(one, now):
            return
        self._hits += 1
        if self._departures.is_steady:
            self._departures.leave_one_out(now)
            if self._hits < self._enough(one) and run < SURE_RUN:
                self._departures.slow_down(now, run)
                return
        elif self._hits < self._enough(one) and not is_rate:
            if self._is_number_known and self._hits >= LOWERED:
                self._level.lower()
                self._report_limit(now)
            return
        self._alarm(one, now)

    def _is_of_number(self, one: Permit, now: float) -> bool:
        """Return whether the number at once is all that explains a rejection."""
        is_ramping = self._departures.is_ramping
        is_little_taken = is_ramping and self._hits >= ALARM_WHEN_SHARP
        if not self._level.explains(
            one.others, is_quick=is_ramping, is_proof_needed=is_little_taken
        ):
            return False
        if self._level.is_known:
            self._departures.drop()
            self._quiet_until = now + self._quiet_s
            self._report_limit(now)
        return not self._departures.is_spaced

    def _enough(self, one: Permit) -> float:
        """Return how many rejections that nothing explains are no chance."""
        is_steady, in_a_row = self._departures.is_steady, self._rate.rejected_in_a_row
        is_sharp = self._is_number_known and one.others < self._level.good - 1
        luck = max(0, self._level.good - EVEN_LUCK) / EVEN_LUCK
        if is_sharp and self._is_rate_likely:
            return 1.0
        if is_sharp or in_a_row >= (MANY_AT_A_PACE if is_steady else MANY_IN_A_ROW) + luck:
            return ALARM_WHEN_SHARP + luck
        is_trying = self._level.room <= 1 and not self._departures.is_spaced
        is_rare = is_steady or is_trying or self._rate.was_calm(self._level.good)
        return (ALARM_WHEN_RARE if is_rare else ALARM) + luck

    def _alarm(self, one: Permit, now: float) -> None:
        """Space departures by what can be measured; where nothing can, let one go after a pause."""
        departures = self._departures
        was_spaced, was_known = departures.is_spaced, self._is_number_known
        interval_s = self._rate.measured_s(is_spaced=departures.is_steady)
        if not was_spaced or interval_s is None:
            self._level.forget()
        self._known_since = now
        self._quiet_s = FIRST_QUIET_S
        if interval_s is not None:
            self._hits = 0.0
            was_steady = departures.is_steady
            departures.keep(interval_s, now, tries_faster=not (was_spaced or was_known))
            if was_known:
                departures.ask(now)
            if not was_steady:
                self._report("paced", now)
            return
        self._hits = ALARM - 1  # the next rejection is an alarm again
        is_longer = departures.interval_s < LONGEST_PAUSE_S
        departures.pause(now, self.draw())
        if one.hint_s is not None:
            wait_s = min(one.hint_s, self.longest_hint_s) + self.draw() * HINT_JITTER_S
            is_longer = self._hold(now, wait_s) or is_longer
        if is_longer:
            self._report("still_turned_away" if was_spaced else "turned_away", now)

    def _pause_left_s(self, now: float) -> float:
        """Return the seconds until the next may leave; an interval is a short pause."""
        return max(super()._pause_left_s(now), self._departures.next_at(now, 0) - now)

    def _report_limit(self, now: float) -> None:
        if self.limit != self._reported_limit:
            is_lower = self.limit < self._reported_limit
            self._report("turned_away" if is_lower else "went_well", now)
