"""All pictures that a ledger has of a scene, whatever they were made from; nothing is written.

Which of them are the ones that are wanted now, and which of those comes first, is said here, for a
run, a plan and a survey alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from operator import attrgetter
from typing import TypeAlias

from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.made_from import as_first_take, kept_of, shown_to
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.book import Ledger

ShownWhere: TypeAlias = dict[str, tuple[set[str], int]]
"""By the hash of a picture: the scenes that were shown it, and how late the last of them was."""

_CAME_AT = attrgetter("changed_at")


class Takes:
    """The pictures of all scenes.

    Args:
        ledger: To read; ``None`` if there is none yet.
    """

    def __init__(self, ledger: Ledger | None) -> None:
        self._ledger = ledger

    def of(self, scene_id: str) -> list[Purchase]:
        """Return the pictures of a scene, or of a sheet, those that came first first."""
        numbers = self._numbers.get(scene_id, ())
        found = [] if self._ledger is None else self._ledger.numbered(numbers)
        return sorted(found, key=_CAME_AT)

    def current(self, scene_id: str, keys: Keys) -> list[Purchase]:
        """Return those that are made from what is wanted now; see :meth:`in_order`."""
        return self.in_order(current_of(self.of(scene_id), keys))

    def first(self, scene_id: str, keys: Keys) -> Purchase | None:
        """Return the one of them that others are shown, where nobody chose one."""
        return next(iter(self.current(scene_id, keys)), None)

    def with_bytes(self, scene_id: str, sha256: str) -> Purchase | None:
        """Return the picture of a scene that has these bytes."""
        return next((one for one in self.of(scene_id) if _sha256(one) == sha256), None)

    def in_order(self, current: Sequence[Purchase]) -> list[Purchase]:
        """Return pictures of one wish, the one first that scenes were made from, if any was.

        Of several, that which most scenes were shown, and then the one that was shown last: so
        that nothing is stale where nobody knows any more which of them was meant.
        """
        if len(current) < 2:
            return list(current)
        nobody = (set[str](), -1)
        shown = [self._shown_where.get(_sha256(one), nobody) for one in current]
        ranks = [(len(scenes), last) for scenes, last in shown]
        first = max(ranks)
        if first == (0, -1):
            return list(current)
        chosen = ranks.index(first)
        return [current[chosen], *current[:chosen], *current[chosen + 1 :]]

    @cached_property
    def _numbers(self) -> dict[str, list[int]]:
        return {} if self._ledger is None else self._ledger.picture_numbers()

    @cached_property
    def _shown_where(self) -> ShownWhere:
        found: ShownWhere = {}
        everything = () if self._ledger is None else self._ledger.purchases(states={State.PAID})
        for age, purchase in enumerate(everything):  # newest first
            for sha256 in (shown_to(purchase) or {}).values():
                found.setdefault(sha256, (set[str](), -age))[0].add(purchase.new.scene_id)
        return found


def current_of(takes: Iterable[Purchase], keys: Keys) -> list[Purchase]:
    """Return the pictures that are made from what is wanted now, in any way and any form of key."""
    known = frozenset(keys.all)

    def is_current(purchase: Purchase) -> bool:
        first = as_first_take(purchase)
        if first.scene_key in known and keys.stands_for(first):
            return True
        return kept_of(purchase) is None and keys.take_of(purchase.new) is not None

    return [one for one in takes if is_current(one)]


def _sha256(purchase: Purchase) -> str:
    return "" if purchase.picture is None else purchase.picture.sha256
