"""How many requests a provider has taken at once, and how many more may be tried.

A limit on the number never takes a request with as many others at work as one that it rejected. So
the most that were taken is the best estimate there is, and a rejection above it needs no other
explanation. Apart from the limiter because it knows numbers only, and neither time nor order.
"""

from __future__ import annotations

FIRST_ROOM = 16
"""Tried at once in the beginning: more than most accounts take, and too few to be a flood."""
ROOM_AFTER_ALARM = 2.0
LEAST_STEP, MORE = 10, 4
"""A step above ``FIRST_ROOM`` or more is as much again and ``MORE``, below it ``LEAST_STEP``.

So a flood above a number is at most a seventeenth of twenty rounds, and small above the powers of
two, which are common: 16, 36, 76, 156, 316. In the beginning requests are judged one by one while
others of the same burst are rejected; what is tried then must not be much.
"""
SHRINK, SHRINK_QUICK = 2, 4
"""A rejection above what was taken leaves half of the room: 16, 8, 4, 2, 1, 0.

So chance must hit five times in a row to look like a number, and the next that is taken doubles
what is left. The room has to stay larger than the number of rejected requests that are not judged
yet, for they take places, too: else nothing would ever leave above what was taken. A quarter is
left where next to nothing was taken before: there the flood is over, and few are sent.
"""
FEWEST, ROUNDS = 6, 4
"""One more is tried when so many were taken, then twice as many; at most so many for each place.

After a try that went well one for each place is enough: the number is not what it was. The first
try comes soon, since a number that chance made up is then forgotten before it costs much.
"""
PROVED = 3
"""A level that was taken fewer times may have been luck: one that ended was not heard of yet.

So one more that was tried and taken is on trial, and nothing is tried above it before.
"""


class Level:
    """The most that were taken at once, and the room above it.

    Attributes:
        good: The most that were taken at once.
        room: How many more may be tried; below 1 the number is what the provider limits.
    """

    def __init__(self, ceiling: int, room: float) -> None:
        self._ceiling = ceiling
        self.good = 0
        self.room = room
        self._taken_there = 0
        self._is_on_trial = False
        self._credit = 0
        self._patience = FEWEST

    @property
    def most(self) -> int:
        """Return the most that may be in flight."""
        return max(1, self.good + int(self.room))

    @property
    def is_known(self) -> bool:
        """Return whether the number is what the provider limits, as far as it is known."""
        return self.room < 1

    @property
    def is_proved(self) -> bool:
        """Return whether it was taken often enough to be no luck."""
        return self._taken_there >= PROVED

    def taken(self, others: int) -> None:
        """Learn that a request was taken with so many others at work."""
        if others >= self.good:
            self.good = others + 1
            self._taken_there, self._credit, self._patience = 1, 0, max(FEWEST, self.good)
            self._is_on_trial = self.room == 1
            if self._is_on_trial:
                self.room = 0.0
            elif not self.is_known:  # else it left before, or arrived in another order
                step = self.good + MORE if self.good >= FIRST_ROOM else LEAST_STEP
                self.room = max(2.0, min(2 * self.room, step, self._ceiling - self.good))
            return
        if others == self.good - 1 and not self.is_proved:
            self._taken_there += 1
            if self.is_proved and self._is_on_trial:
                self._is_on_trial, self.room = False, 2.0
        elif self.is_known:
            self._credit += 1
            if self._credit >= self._patience:
                self._patience = max(FEWEST, min(2 * self._patience, ROUNDS * self.good))
                self.try_one_more()

    def explains(self, others: int, *, is_quick: bool, is_proof_needed: bool) -> bool:
        """Return whether the number explains a rejection, and leave less room if it does.

        Args:
            others: How many others were at work.
            is_quick: A faster rate is looked for: a quarter of the room is left, and not half.
            is_proof_needed: Next to nothing is taken: one that was is no level yet.
        """
        is_open = self._is_on_trial or not self.is_known
        if others == self.good - 1 > 0 and not self.is_proved and is_open:
            self._is_on_trial = False
            self.good -= 1
            self._taken_there = PROVED
        if not 0 < self.good <= others or (is_proof_needed and not self.is_proved):
            return False
        self.room //= SHRINK_QUICK if is_quick else SHRINK
        self._credit = 0
        return True

    def try_one_more(self) -> None:
        """Let one request above the level show whether it still holds."""
        self.room, self._credit = 1.0, 0

    def lower(self) -> None:
        """Take one place away: fewer are taken than were."""
        self.good = max(1, self.good - 1)
        self._is_on_trial = False

    def forget(self) -> None:
        """Begin anew, where it is not the number that is limited."""
        self.good, self.room, self._patience = 0, ROOM_AFTER_ALARM, FEWEST

    def open(self) -> None:
        """Let all be tried: so many are taken that the ceiling is what holds back."""
        self.room = float(self._ceiling)
