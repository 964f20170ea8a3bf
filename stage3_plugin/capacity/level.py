"""How many requests a provider has taken at once, and how many more may be tried.

A limit on the number never takes a request with as many others at work as one that it rejected. So
the most that were taken is the best estimate there is, and a rejection above it needs no other
explanation. Apart from the gate because it knows numbers only, and neither time nor order.
"""

from __future__ import annotations

FIRST_ROOM = 16
"""Tried at once in the beginning: more than most accounts take, and too few to be a flood."""
ROOM_AFTER_ALARM = 4.0
GROWTH = 1 / 2
"""A step above what was taken is at most so much of it."""
SHRINK = 4
"""A rejection above what was taken leaves a quarter of the room: 16, 4, 1, 0."""
ROUNDS, FEWEST = 3, 6
"""One more is tried when so many were taken for each place since the last try; at least so many.

After a try that went well one for each place is enough: the number is not what it was.
"""
PROVED = 3
"""A level that was taken fewer times may have been luck: one that ended was not heard of yet."""


class Level:
    """The most that were taken at once, and the room above it.

    Attributes:
        good: The most that were taken at once.
        room: So many more may be tried; below 1 the number is what the provider limits.
    """

    def __init__(self, room: float) -> None:
        self.good = 0
        self.room = room
        self._taken_there = 0
        self._credit = 0
        self._rounds = ROUNDS
        self._is_trying = False

    @property
    def most(self) -> int:
        """Return the most that may be in flight."""
        return max(1, self.good + int(self.room))

    @property
    def is_known(self) -> bool:
        """Tell whether the number is what the provider limits, as far as it is known."""
        return self.room < 1

    @property
    def is_proved(self) -> bool:
        """Tell whether it was taken often enough to be no luck."""
        return self._taken_there >= PROVED

    def taken(self, beside: int) -> None:
        """Learn that a request was taken with so many others at work."""
        if beside >= self.good:
            self.good = beside + 1
            self.room = max(1.0, min(2 * self.room, GROWTH * max(FIRST_ROOM, self.good)))
            self._taken_there, self._credit = 1, 0
            if self._is_trying:
                self._rounds, self._is_trying = 1, False
            return
        if beside == self.good - 1 and not self.is_proved:
            self._taken_there += 1
        elif self.is_known:
            self._credit += 1
            if self._credit >= max(FEWEST, self._rounds * self.good):
                self.try_one_more()

    def explains(self, beside: int, *, is_proof_needed: bool) -> bool:
        """Tell whether the number explains a rejection, and leave less room if it does.

        Args:
            beside: How many others were at work.
            is_proof_needed: Next to nothing is taken: one that was is no level yet.
        """
        is_luck = beside == self.good - 1 > 0 and not self.is_proved and not self.is_known
        if is_luck:
            self.good -= 1
            self._taken_there = PROVED
        if not 0 < self.good <= beside or (is_proof_needed and not self.is_proved):
            return False
        self.room, self._credit = self.room // SHRINK, 0
        if self._is_trying:
            self._rounds, self._is_trying = ROUNDS, False
        return True

    def try_one_more(self) -> None:
        """Let one request above the level show whether it still holds."""
        self.room, self._credit, self._is_trying = 1.0, 0, True

    def lower(self) -> None:
        """Take one place away: fewer are taken than were."""
        self.good = max(1, self.good - 1)

    def forget(self) -> None:
        """Begin anew, where it is not the number that is limited."""
        self.good, self.room = 0, ROOM_AFTER_ALARM
        self._rounds, self._is_trying = ROUNDS, False

    def open(self, ceiling: int) -> None:
        """Let all be tried: so many are taken that the ceiling is what holds back."""
        self.room = float(ceiling)
