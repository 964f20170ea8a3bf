"""Chance that repeats: numbers that look random and depend on nothing but what was asked for.

``hash()`` differs between processes, so seeds come from SHA-256. The order of draws is part of
the picture: a draw added in the middle of a drawing moves everything after it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def seed_of(*parts: object) -> int:
    """Make a 64-bit seed of the text of ``parts``; the same parts give the same seed anywhere."""
    text = "\x1f".join(map(str, parts)).encode("utf-8", "replace")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")


class Chance(random.Random):
    """A seeded source of numbers; each method takes exactly one of them.

    The methods of ``random.Random`` itself stay out of drawings: how many numbers they take is
    not promised between versions of Python, only ``random()`` is.
    """

    def between(self, a: float, b: float) -> float:
        """Draw a number from ``a`` (included) to ``b`` (not included)."""
        return a + (b - a) * self.random()

    def whole(self, a: int, b: int) -> int:
        """Draw a whole number from ``a`` to ``b``, both included."""
        return a + int(self.random() * (b - a + 1))

    def pick(self, items: Sequence[Item]) -> Item:
        """Draw one of ``items``, which must not be empty."""
        return items[int(self.random() * len(items))]

    def happens(self, probability: float) -> bool:
        """Return whether something with this probability happens: never at 0, always at 1."""
        return self.random() < probability
