"""What a rehearsal would have cost, as a report: the stand-in itself needs nothing but Python."""

from __future__ import annotations

from collections.abc import Iterator

from stage3_plugin.maintenance.report import Kept, Line, Report


class Rehearsed(Report):
    """The books of a rehearsal.

    Attributes:
        requests: For pictures, lines of batches among them.
        pictures: Those of them that would have been billed.
        unpriced: Pictures that the price table has no price of.
        billed_microusd: What the others would have cost.
        said: All of it in one line.
    """

    format = "stage3-rehearse/1"
    provider: str
    requests: int
    pictures: int
    unpriced: int
    billed_microusd: int
    said: Kept[str]

    def sentences(self) -> Iterator[Line]:
        """Say it in one line."""
        yield self.said
