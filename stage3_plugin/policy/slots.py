"""Which of the wanted pictures of a subject are still to be bought, and in which slot each.

Pure. A slot is what is bought once, on whatever route: the first ``k`` of a subject where ``k``
pictures of it are wanted, so that two runs that want the same number want the same slots.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import count, islice

from stage3_plugin.domain.purchase import NewPurchase, Purchase
from stage3_plugin.domain.states import LIVE, UNSETTLED


def needed(
    rows: Iterable[Purchase],
    *,
    is_ours: Callable[[NewPurchase], bool],
    unseen: Collection[int] = (),
    wanted: int = 1,
    beside: int = 0,
) -> tuple[int, ...]:
    """Return the slots that are to be bought, lowest first.

    A picture of a route that is not among ours keeps its slot and counts for nothing; what is in
    doubt counts on whatever route it was bought.

    Args:
        rows: The purchases of the subject.
        is_ours: Returns whether a picture was made by a route of this run.
        unseen: Slots that were billed for nothing so lately that nobody can have seen it: they
            stay unfilled, and no other is taken in their place.
        wanted: So many pictures.
        beside: So many of them are in no slot of the subject: they differ in a wish that no route
            of this run is told of.
    """
    live = [row for row in rows if row.state in LIVE]
    counted = beside + sum(row.state in UNSETTLED or is_ours(row.new) for row in live)
    taken = {row.new.take for row in live}
    free = (slot for slot in count(1) if slot not in taken)
    return tuple(slot for slot in islice(free, max(wanted - counted, 0)) if slot not in unseen)
