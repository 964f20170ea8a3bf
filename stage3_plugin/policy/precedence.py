"""Which scenes come first, where scenes refer to the pictures of others.

Pure. A scene needs those it refers to, and no others. What can be made at once is a wave; what
refers to itself, by whatever way around, can never be made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from itertools import filterfalse

Refers = Mapping[str, Collection[str]]
"""The scenes that each scene refers to; one that is not in it refers to none."""


def circles(refers: Refers) -> list[tuple[str, ...]]:
    """Return the circles, each by the scenes in it: those that refer to one another.

    Tarjan's algorithm, without recursion: a story may be one chain of 100,000 scenes.
    """
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: dict[str, None] = {}
    found: list[tuple[str, ...]] = []
    way: list[tuple[str, Iterator[str]]] = []

    def enter(scene: str) -> None:
        number[scene] = lowest[scene] = len(number)
        open_[scene] = None
        way.append((scene, iter(refers.get(scene, ()))))

    for root in filterfalse(number.__contains__, refers):
        enter(root)
        while way:
            scene, others = way[-1]
            other = next(others, None)
            if other is None:
                way.pop()
                if way:
                    before = way[-1][0]
                    lowest[before] = min(lowest[before], lowest[scene])
                if lowest[scene] == number[scene]:
                    together = _taken_out(scene, open_)
                    if len(together) > 1 or scene in refers.get(scene, ()):
                        found.append(together)
            elif other not in number:
                enter(other)
            elif other in open_:
                lowest[scene] = min(lowest[scene], number[other])
    return found


def _taken_out(first: str, open_: dict[str, None]) -> tuple[str, ...]:
    together: list[str] = []
    while first in open_:
        together.append(open_.popitem()[0])
    return tuple(reversed(together))


def in_order(refers: Refers) -> list[str]:
    """Return every scene that is named, each behind all it refers to.

    Those in circles are left out, and so are scenes that refer to one in a circle.
    """
    sorter, found = TopologicalSorter(refers), list[str]()
    with suppress(CycleError):  # what is in none can be had from it all the same
        sorter.prepare()
    while ready := sorter.get_ready():
        found += ready
        sorter.done(*ready)
    return found


def waves(refers: Refers, is_made: Callable[[str], bool]) -> dict[str, int]:
    """Return how many pictures have to be made, one after the other, before each scene's.

    Args:
        refers: Without circles; scenes in one, or that lead to one, are not in the result.
        is_made: Whether a picture is still to be made; one that is there is not waited for.
    """
    found: dict[str, int] = {}
    for scene in in_order(refers):
        others = [other for other in refers.get(scene, ()) if is_made(other)]
        found[scene] = max((found[other] + 1 for other in others), default=0)
    return found
