"""The gate that finds out how much a provider takes, from nothing but what it turns away.

Latency is no guide here: a picture's own time varies far more than a queue at the provider moves
it, so the gradient and queue-length algorithms (Vegas, Gradient2, Envoy's) read noise, and settle
at a handful in flight where there is no limit at all. A rejection is exact, and comes back a
hundred times faster than a picture. Halving upon it would throw away places that are known to be
good, and sending "another one" would flood. So:

- It begins at its ceiling, and fills up in stages: what one stage sent is seen to be taken before
  the next, larger one goes.
- A lone rejection makes its own scene wait, or everybody if it names a wait. Several in a row are
  the limit: what is at the provider then *was taken*, and is the best estimate there is of what it
  takes. Everybody pauses once.
- After the pause one request goes first, and may be one more than were taken. If it is turned away
  although there was a place, the pause doubles.
- If it is taken as one more, it is not their number that is limited, but their rate: then all
  places are open, and departures are spaced as they were taken, a little faster with each
  (``tempo``). So it is if what has opened shuts again with fewer than were taken before. That ends
  when the places are what holds them back, or when it turns out that only fewer at once are taken.
- Else two go, then four. Each round that goes well at a limit earns a step more. A step that is
  turned away makes the gate more patient before the next; a step that went well makes the next one
  larger.

Without the stages and the tempo it was compared with nine known algorithms on twelve kinds of
limits, and with them with itself; ``tests/benchmarks/simulated_hour.py`` repeats what matters.
"""

from __future__ import annotations

from collections.abc import Callable

from stage3_plugin.capacity.gate import NEVER, Change, CountingGate, Passage
from stage3_plugin.capacity.opening import Opening
from stage3_plugin.capacity.pacing import Pace
from stage3_plugin.capacity.tempo import Tempo

FIRST_STAGE = 16
"""Sent at once in the beginning: more than most accounts take, and too few to be a flood."""
LEAST_STAGE = 4
STAGE_SHARE = 1 / 2
"""Of what went well since the gate began to open: so much at most can be too much."""
LAST_STRICT_STAGE = 8
"""After a pause, up to this stage a single rejection shuts the gate again."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
"""The longest pause that doubling comes to by itself."""
HINT_JITTER_S = 0.5
"""Added at most to a wait the provider asked for: other machines of the account heard it, too."""
FEWEST_REJECTIONS = 2.0
"""So many without successes between them are the limit, or a sixteenth of what is in flight."""
SHARE_REJECTED = 1 / 16
SHARE_UNHEARD = 1 / 4
"""Where a pace is kept: of the rejections that are the limit, so many may have left unheard of."""
FORGIVEN_PER_ANSWER = 1 / 8
"""Of a rejection, per answer: below one rejection in nine requests, none is taken for a limit.

Where a pace is kept it is per departure, for answers come as late as pictures take.
"""
MOST_PATIENCE = 8
"""Rounds that must go well before a step is tried again that failed before."""
MOST_PATIENCE_TO_ASK = 2
"""Up to this patience the one that goes first asks if it is a rate that is limited.

Where the number at once is, it is turned away; after two steps that failed it is known, and asking
would cost a request each time.
"""
SPREAD = 4
"""Several rejections among more than so many times as many requests are chance, and ask nothing."""
LONGEST_VERDICT_S = 1.5
SHORTEST_VERDICT_S = 0.1
"""How long a request must not be turned away to count as taken."""
SMOOTHING = 0.2


class AdaptiveGate(CountingGate):
    """Follows the provider's limit, below a ceiling.

    Args:
        ceiling: The most that will ever be in flight.
        draw: Gives a number in [0, 1) for jitter.
        longest_hint_s: A wait the provider asks for is cut to so many seconds.
        pace: A limit per minute that is known beforehand; it keeps the first flood away by itself.
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
        self._limit = ceiling
        self._hits = 0.0
        self._rejection_s = LONGEST_VERDICT_S / 3
        self._pause_s = FIRST_PAUSE_S
        self._opening: Opening | None = None
        if pace is None and ceiling > FIRST_STAGE:
            self._opening = Opening(FIRST_STAGE, is_strict=False)
        # the rate; what proves that it is limited, and since when
        self._tempo = Tempo()
        self._least_refused = 0
        self._fell_short = False
        self._was_shut = False
        self._first_refused = 0
        self._full_at: int | None = None
        self._tripped_at = NEVER
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
        """Let a scene through that was taken."""
        passage = super().enter()
        if self._opening is not None:
            self._opening.enter(passage)
        if self._entered >= self._ceiling:
            self._tempo.drop()  # it is not what holds them back
        if self._entered >= self._limit:
            self._last_full = passage.number
            if self._opening is not None and not self._opening.is_strict:
                self._opening = None  # full: from now on one goes when one ends
        return passage

    def on_sent(self, passage: Passage, now: float) -> None:
        """Give the request the time in which a rejection would come."""
        self._tempo.sent(passage, now)
        if self._tempo.is_kept:
            self._forgive(1)
        if self._opening is not None:
            self._opening.sent(passage, now + self._verdict_s)

    def on_answered(self, passage: Passage, now: float) -> None:
        """Forgive a little, and after a round that went well at the limit try a step more."""
        if self._opening is not None:
            self._opening.answered(passage)
            self._reconsider(now)
        if not self._tempo.is_kept:
            self._forgive(1)
        if self._limit >= self._ceiling or self._last_full < passage.number:
            return  # the gate held nobody back while this one was under way: nothing to learn
        self._credit += 1
        if self._credit >= self._limit * (1 if self._stepped else self._patience):
            self._grow(now)

    def on_rejected(self, passage: Passage, now: float, hint_s: float | None) -> bool:
        """Let one rejection pass for chance; take several in a row for the limit."""
        if passage.sent_at is not None:
            self._rejection_s += (now - passage.sent_at - self._rejection_s) * SMOOTHING
        self._tempo.turned_away(passage)
        if not self._hits:
            self._first_refused, self._least_refused = passage.number, passage.beside
        self._least_refused = min(self._least_refused, passage.beside)
        enough = max(FEWEST_REJECTIONS, self._share_rejected)
        self._hits = min(self._hits + 1, enough)
        if self._tempo.is_doubtful:
            self._tempo.drop()
            self._hits = enough
        is_strict = self._opening is not None and self._opening.is_strict
        if self._hits < enough and not is_strict:
            return self._let_pass(now, hint_s)
        self._clamp(passage, now, hint_s)
        return True

    def on_left(self, passage: Passage) -> None:
        """Let another go first if this one was to, and proved nothing."""
        if self._opening is not None and not passage.is_decided:
            self._opening.proves_nothing(passage)

    @property
    def _share_rejected(self) -> float:
        """Give how many rejections chance or a single moment may bring."""
        if self._tempo.is_kept:
            return self._rejection_s / self._tempo.interval_s / SHARE_UNHEARD
        return self._limit * SHARE_REJECTED

    @property
    def _verdict_s(self) -> float:
        return min(LONGEST_VERDICT_S, max(SHORTEST_VERDICT_S, 3 * self._rejection_s))

    def _reconsider(self, now: float) -> None:
        """Hold everybody back while a stage is on its way, and begin the next when it is over."""
        self._closed_until = NEVER
        opening = self._opening
        if opening is not None and not opening.has_room:
            over_at = opening.waits_until(now, self._verdict_s)
            if over_at > now:
                self._closed_until = over_at
            elif opening.is_strict and opening.size == 1:
                self._reopen(opening, now)
            else:
                self._open_further(opening)
        if self._opening is None:
            self._closed_until = self._tempo.next_at(now, self.unsent)

    def _reopen(self, opening: Opening, now: float) -> None:
        """Go on at the pace that is taken, if the first one proved it; else in stages."""
        self._pause_s = FIRST_PAUSE_S
        if self._tempo.is_kept or (self._full_at is not None and opening.beside >= self._full_at):
            self._tempo.keep(now, self._tripped_at, is_sure=self._full_at != 0)
            self._limit, self._patience = self._ceiling, 1
            self._opening = None
        self._told("reopened", now)
        if self._opening is not None:
            self._open_further(opening)

    def _open_further(self, opening: Opening) -> None:
        """Begin the next stage, or open altogether where it would be as large as the limit."""
        self._forgive(opening.size)
        is_strict = opening.is_strict and opening.size < LAST_STRICT_STAGE
        passed = opening.passed + opening.size
        size = 2 * opening.size if is_strict else max(LEAST_STAGE, int(passed * STAGE_SHARE))
        if not is_strict and (size >= self._limit or self._entered >= self._limit):
            self._opening = None
        else:
            opening.next_stage(size, is_strict=is_strict)

    def _clamp(self, passage: Passage, now: float, hint_s: float | None) -> None:
        """Go down to what the provider took, and pause once for all that are turned away."""
        opening = self._opening
        is_probing = opening is not None and opening.is_strict
        is_late = opening is not None and is_probing and passage not in opening
        went_first = opening is not None and is_probing and opening.size == 1 and not is_late
        there_was_a_place = passage.beside < self._limit and not self._stepped
        if self._stepped:
            self._patience = min(MOST_PATIENCE, 2 * self._patience)
        if not went_first:  # with fewer beside it than were taken before, it says nothing of them
            self._limit = max(1, min(self._limit, self._sent - 1))  # this one was not taken
        self._credit, self._step, self._stepped, self._last_full = 0, 1, False, 0
        wait_s = self._obeyed(hint_s)
        if is_late:
            # of the same burst as the ones before: the running pause is for it, too
            self._paused_until = max(self._paused_until, now + (wait_s or 0.0))
            if self._fell_short:
                self._full_at = 0  # so it was not chance: see _ask
            elif self._full_at is not None:
                self._full_at = max(self._limit, self._least_refused)
            return
        if not went_first:
            self._tripped_at = now
            self._fell_short = is_probing and there_was_a_place
            self._ask(passage)
        elif there_was_a_place:
            self._was_shut = True
            self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s)
            if self._pause_s == LONGEST_PAUSE_S:
                self._tempo.drop()  # closed for so long, it was not emptied: that is no pace
        else:
            self._full_at = None  # it is full, then
        if wait_s is None:
            wait_s = self._pause_s * (0.75 + self._draw() / 2)
        self._opening = Opening(1, is_strict=True)
        self._paused_until = max(self._paused_until, now + wait_s)
        self._told("still_turned_away" if went_first else "turned_away", now)

    def _ask(self, passage: Passage) -> None:
        """Settle what the next one that goes first would prove if it is taken.

        What opened and shut again with fewer than were taken before is likely not limited in their
        number, unless it was chance; so if it had to be tried for long before, or if there is one
        more rejection, any first one proves it. Else it has to be one more than were taken.
        """
        left = passage.number - self._first_refused
        if self._fell_short and self._was_shut:
            self._full_at = 0
        elif left < SPREAD * self._hits and self._patience <= MOST_PATIENCE_TO_ASK:
            self._full_at = max(self._limit, self._least_refused)
        else:
            self._full_at = None
        self._was_shut = False

    def _has_room(self, in_flight: int) -> bool:
        """Let the one that goes first be one more than the provider took, to ask why it did not."""
        opening = self._opening
        if self._full_at is None or opening is None or not opening.is_strict or opening.size > 1:
            return super()._has_room(in_flight)
        return in_flight < min(max(self._limit, self._full_at + 1), self._ceiling)

    def _forgive(self, answers: int) -> None:
        self._hits = max(0.0, self._hits - FORGIVEN_PER_ANSWER * answers)

    def _let_pass(self, now: float, hint_s: float | None) -> bool:
        """Keep the limit; but a wait that is asked for is asked of the account: of everybody."""
        wait_s = self._obeyed(hint_s)
        if wait_s is None:
            return False
        self._pause(now, wait_s, "asked_to_wait")
        return True

    def _obeyed(self, hint_s: float | None) -> float | None:
        if hint_s is None:
            return None
        return min(hint_s, self._longest_hint_s) + self._draw() * HINT_JITTER_S

    def _grow(self, now: float) -> None:
        """Try a step more; the steps double while they go well."""
        if self._stepped:
            self._patience = 1
            self._step = max(1, min(2 * self._step, self._limit // 4))
        self._limit = min(self._ceiling, self._limit + self._step)
        self._credit, self._stepped, self._last_full = 0, True, 0
        self._told("went_well", now)
