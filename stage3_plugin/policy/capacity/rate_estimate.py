"""How fast a provider takes requests, measured between two rejections.

Nothing was left of the quota at either of them, so what was taken in between, over the time in
between, is what flowed in, however large the bucket is. Apart from the departures that are spaced
by it, because it only counts, and decides nothing.
"""

from __future__ import annotations

from collections import deque

LEAST_TAKEN = 4
"""Fewer between two rejections are noise."""
SURE_RUN = 16
"""Enough in between for a measurement."""
BURST = 48
"""While nothing is spaced, more in between are the burst of a window that began anew: no rate."""
SLOWEST_S, FASTEST_S = 4.0, 0.001
"""Seconds for each request: slower is no rate but an outage, and faster holds nothing back."""
CALM, FEW = 96, 3
"""So many taken, and as many as there are places, with no more rejections than these."""
MEMORY = 24
"""Rejections that are remembered."""


class RateEstimate:
    """Counts what is taken between rejections."""

    def __init__(self) -> None:
        self._taken = 0
        self._rejections: deque[tuple[float, int]] = deque(maxlen=MEMORY)
        """When each left, and how many had been taken before it."""

    @property
    def run(self) -> int:
        """Return how many were taken since the last rejection."""
        return self._taken - (self._rejections[-1][1] if self._rejections else 0)

    @property
    def rejected_in_a_row(self) -> int:
        """Return how many were rejected since the last one that was taken."""
        return sum(before == self._taken for _, before in self._rejections)

    def was_calm(self, places: int) -> bool:
        """Return whether all was taken for long before the last few rejections.

        Args:
            places: How many are taken at once: a round of them at least has to have gone well.
        """
        since = self._taken - max(CALM, places)
        return since >= 0 and sum(before > since for _, before in self._rejections) <= FEW

    def taken(self) -> None:
        """Count a request that was taken."""
        self._taken += 1

    def rejected(self, left_at: float) -> None:
        """Remember a rejection of what left at a moment."""
        self._rejections.append((left_at, self._taken))

    def measured_s(self, *, is_spaced: bool) -> float | None:
        """Return the seconds for each request that was taken before the last rejection, if known.

        From the last rejection back, the first counts with ``SURE_RUN`` taken since; or else the
        oldest with ``LEAST_TAKEN``, and no fewer than were rejected.

        Args:
            is_spaced: Departures are spaced evenly, so that a long run is no burst.
        """
        interval_s = 0.0
        last_at, _ = self._rejections[-1]
        for rejected, (left_at, before) in enumerate(list(self._rejections)[-2::-1], start=1):
            taken = self._taken - before
            if taken + rejected > BURST and not is_spaced:
                break
            if taken >= max(LEAST_TAKEN, rejected):
                interval_s = (last_at - left_at) / taken
                if taken >= SURE_RUN:
                    break
        return max(FASTEST_S, interval_s) if 0 < interval_s <= SLOWEST_S else None
