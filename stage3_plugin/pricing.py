"""What a picture can cost: by the price table, and by the bills that came for such pictures before.

Pure but for the asking. A price table is guesswork that somebody wrote down; where the provider has
billed more than it says, the highest bill counts, so that the next hold is not too small again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from stage3_plugin.providers.base import Estimate
from stage3_plugin.requests import PictureRequest

Dearest = Callable[[str, str], int | None]
"""Gives the highest bill in micro-USD for a size and a quality, ``None`` if there was none."""


class Pricing:
    """Estimates that have learnt from the bills of earlier runs.

    Args:
        estimate: By the price table.
        dearest: See :data:`Dearest`; asked once for each size and quality.
    """

    def __init__(self, estimate: Callable[[PictureRequest], Estimate], dearest: Dearest) -> None:
        self._estimate = estimate
        self._dearest = dearest
        self._known: dict[tuple[str, str], int] = {}

    def estimate(self, request: PictureRequest) -> Estimate:
        """Tell what a picture can cost; a price that is not known stays unknown."""
        told = self._estimate(request)
        if told.high_microusd is None:
            return told
        kind = (request.size, request.quality)
        if kind not in self._known:
            self._known[kind] = self._dearest(*kind) or 0
        if self._known[kind] <= told.high_microusd:
            return told
        return replace(told, high_microusd=self._known[kind])
