"""All pictures that a ledger has of a scene, whatever they were made from; nothing is written.

Which of them are the ones that are wanted now, and which of those comes first, is said here, for a
run, a plan and a survey alike.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from operator import attrgetter
from typing import TypeAlias

from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.made_from import as_first_take, kept_of, shown_by
from stage3_plugin.domain.purchase import Purchase
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
        """Return those that are made from what is wanted now; see :meth:`current_among`."""
        return self.current_among(self.of(scene_id), keys)

    def first(self, scene_id: str, keys: Keys) -> Purchase | None:
        """Return the one of them that others are shown, where nobody chose one."""
        return next(iter(self.current(scene_id, keys)), None)

    def with_bytes(self, scene_id: str, sha256: str) -> Purchase | None:
        """Return the picture of a scene that has these bytes."""
        return next((one for one in self.of(scene_id) if _sha256(one) == sha256), None)

    def with_others(self, bare: Keys) -> Purchase | None:
        """Return the newest picture of a wish with whatever references, or with none."""
        found = [] if self._ledger is None else self._ledger.with_base(bare.base_keys)
        return next(iter(found), None)

    def current_among(self, takes: Sequence[Purchase], keys: Keys) -> list[Purchase]:
        """Return those pictures of a scene that are made from what is wanted now.

        In any way. The one is first that scenes were made from, if any was: of several, that which
        most scenes were shown, and then the one that was shown last. So nothing is stale where
        nobody knows any more which of them was meant.

        Args:
            takes: The pictures of the scene.
            keys: Those of the first take of what is wanted.
        """
        if self._ledger is None or not takes:
            return []
        known = frozenset(keys.all)
        return self._in_order([one for one in takes if _is_current(one, keys, known)])

    def _in_order(self, current: Sequence[Purchase]) -> list[Purchase]:
        if len(current) < 2:
            return list(current)
        nobody = (set[str](), -1)
        shown = [self._shown_where.get(_sha256(one), nobody) for one in current]
        ranks = [(len(scenes), last) for scenes, last in shown]
        chosen = ranks.index(max(ranks))  # the first of them, if nobody was shown any
        return [current[chosen], *current[:chosen], *current[chosen + 1 :]]

    @cached_property
    def _numbers(self) -> dict[str, list[int]]:
        return {} if self._ledger is None else self._ledger.picture_numbers()

    @cached_property
    def _shown_where(self) -> ShownWhere:
        found: ShownWhere = {}
        shown = () if self._ledger is None else self._ledger.shown_others()
        for number, (scene_id, details) in enumerate(shown):
            for sha256 in (shown_by(details) or {}).values():
                scenes, _ = found.get(sha256, (set[str](), 0))
                scenes.add(scene_id)
                found[sha256] = (scenes, number)
        return found


def _is_current(purchase: Purchase, keys: Keys, known: Collection[str]) -> bool:
    if as_first_take(purchase).scene_key in known:
        return True
    # A run that was killed leaves no facts, and the next one takes its answer in.
    return kept_of(purchase) is None and keys.take_of(purchase.new) is not None


def _sha256(purchase: Purchase) -> str:
    return "" if purchase.picture is None else purchase.picture.sha256
