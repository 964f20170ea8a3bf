"""Pictures made with other references than their scenes have now, and what they cost anew.

A changed sheet is another picture for every scene that shows it. The person who pays should know
which sheet that was, which scenes it makes stale, and the price, before a run makes them anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.events import Warned, coded
from stage3_plugin.domain.made_from import shown_to
from stage3_plugin.domain.money import Estimate, usd_text
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.reference import Reference
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.policy.plan import Sum

MOST_NAMED = 20
"""Changed references that are said one by one."""


def with_facts(result: AttemptResult, facts: Mapping[str, str]) -> AttemptResult:
    """Add to an attempt's picture what the ledger keeps of how it came about."""
    if result.picture is None:
        return result
    details = {**result.verdict.details, **facts}
    return replace(result, verdict=replace(result.verdict, details=details))


@dataclass
class Stale:
    """Counts such scenes, by the reference that has changed.

    Attributes:
        count: How many there are.
    """

    count: int = 0
    _by_change: dict[str, tuple[str, Sum]] = field(default_factory=dict[str, tuple[str, Sum]])

    def add(self, request: PictureRequest, purchase: Purchase, estimate: Estimate) -> None:
        """Count a scene that has a picture and would be made anew."""
        self.count += 1
        for change in _changes(request, shown_to(purchase)):
            _, cost = self._by_change.setdefault(change, (request.scene_id, Sum()))
            cost.add(estimate)

    def warnings(self) -> tuple[Warned, ...]:
        """Return a line for each change."""
        lines = [
            f"{change}: {scenes_named(cost.pictures, first)} would be made anew, for "
            f"{_price(cost.high_microusd)}"
            for change, (first, cost) in list(self._by_change.items())[:MOST_NAMED]
        ]
        more = len(self._by_change) - MOST_NAMED
        if more > 0:
            lines.append(f"and {more:,} further references have changed")
        return tuple(coded("references_changed", line) for line in lines)


def _changes(request: PictureRequest, kept: Mapping[str, str] | None) -> Iterable[str]:
    """Name what a request shows and its picture was not shown."""
    if kept is None:
        return ("pictures were made with other references",)
    before = list(kept.values())
    new = [one for one in request.shown if one.sha256 not in before]  # whatever it is called now
    if not new:
        is_same = [one.sha256 for one in request.shown] == before
        what = "have other names or roles" if is_same else "are fewer, or in another order"
        return (f"references {what}",)
    return [
        f"{_called(one)} {'has changed' if one.wish.image in kept else 'is new'}" for one in new
    ]


def _called(reference: Reference) -> str:
    wish = reference.wish
    if wish.scene_id is None:
        return f"reference {wish.image!r}"
    return f"{'sheet' if wish.by == 'cast' else 'the picture of scene'} {wish.scene_id!r}"


def scenes_named(count: int, first: str) -> str:
    """Name one scene, or say how many there are and which is the first."""
    return f"scene {first!r}" if count == 1 else f"{count:,} scenes (the first is {first!r})"


def _price(microusd: int | None) -> str:
    return "a price that is not known" if microusd is None else f"up to ${usd_text(microusd)}"
