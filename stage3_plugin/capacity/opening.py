"""Letting requests through in stages: so many go, and what becomes of them is seen before more do.

A gate that was shut, or has just begun, does not know how much the provider takes. If it sent all
it may at once, every one too many would be turned away. Rejections come back within a second, so a
stage costs little: it is over when all its requests are answered, or none was turned away in the
time a rejection takes. Apart from the adaptive gate, which decides what a rejection means.
"""

from __future__ import annotations

from stage3_plugin.capacity.gate import Passage


class Opening:
    """Stages that grow: each one as large as was seen to go well, in part.

    Args:
        size: Of the first stage.
        is_strict: Whether a single rejection ends it; else chance is allowed for.
        passed: How many have gone well before it.
    """

    def __init__(self, size: int, *, is_strict: bool, passed: int = 0) -> None:
        self.size = size
        self.is_strict = is_strict
        self.passed = passed
        self._stage: set[Passage] = set()
        self._answered = 0
        self._verdict_at = float("-inf")

    def __contains__(self, passage: Passage) -> bool:
        return passage in self._stage

    @property
    def has_room(self) -> bool:
        """Tell whether one more may go in this stage."""
        return len(self._stage) < self.size

    @property
    def beside(self) -> int:
        """Give how many others were at the provider when its last one left."""
        return max((passage.beside for passage in self._stage), default=0)

    def enter(self, passage: Passage) -> None:
        """Take one into the stage, if there is room."""
        if self.has_room:
            self._stage.add(passage)

    def sent(self, passage: Passage, verdict_at: float) -> None:
        """Take note that one leaves, and from when it counts as taken if it is not turned away."""
        if passage in self._stage:
            self._verdict_at = max(self._verdict_at, verdict_at)

    def answered(self, passage: Passage) -> None:
        """Take note that one was taken."""
        self._answered += passage in self._stage

    def proves_nothing(self, passage: Passage) -> None:
        """Let another go in its place: it was never sent, or nobody knows what became of it."""
        self._stage.discard(passage)

    def waits_until(self, now: float, verdict_s: float) -> float:
        """Give the earliest moment this stage can be over; ``now`` or before if it is."""
        if self.has_room or self._answered >= len(self._stage):
            return now
        if any(passage.sent_at is None for passage in self._stage):
            return now + verdict_s  # it leaves now at the earliest
        return self._verdict_at

    def next_stage(self, size: int, *, is_strict: bool) -> None:
        """Begin the next stage: all of this one were taken."""
        self.passed += len(self._stage)
        self.size = size
        self.is_strict = is_strict
        self._stage.clear()
        self._answered = 0
