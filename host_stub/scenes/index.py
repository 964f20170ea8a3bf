"""Where each scene stands in its file, found by eight bytes per scene instead of its id.

A story of 100,000 scenes has ids of any length; the host needs them to notice duplicates, to know
which outcome belongs to which scene, and to keep input order. A 64-bit BLAKE2 digest serves all
three in flat memory: two of 100,000 ids share one with a chance of 1 in 3,700,000,000.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from host_stub.contract import Scene

_PART_BITS = 8


def digest(data: bytes) -> int:
    """Return the 64-bit digest that stands for ``data``."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def id_digest(scene_id: str) -> int:
    """Return the digest of a scene id; ids with half a surrogate pair have one too."""
    return digest(scene_id.encode("utf-8", "surrogatepass"))


class SceneIndex:
    """The positions of scenes, found by id.

    Args:
        digests: One digest per scene, in input order.
    """

    def __init__(self, digests: array[int]) -> None:
        self._order = _in_order(digests)
        self._digests = array("Q", map(digests.__getitem__, self._order))

    def __len__(self) -> int:
        return len(self._order)

    def find(self, scene_id: str) -> int | None:
        """Return the scene's place in the input, counted from 0, or ``None`` if it has none."""
        wanted = id_digest(scene_id)
        place = bisect_left(self._digests, wanted)
        if place < len(self._digests) and self._digests[place] == wanted:
            return self._order[place]
        return None

    def repeats(self) -> Iterator[tuple[int, int]]:
        """Return the first place and a later place of every id that stands there again."""
        first = 0
        for place in range(1, len(self._digests)):
            if self._digests[place] == self._digests[first]:
                yield self._order[first], self._order[place]
            else:
                first = place


class SceneFile(ABC):
    """A checked file as a source of scenes, with the place of each.

    Attributes:
        path: The file.
        positions: Where each scene stands.
        takes: How many pictures each of them wants, in their order.
    """

    path: Path
    positions: SceneIndex
    takes: bytearray

    def __len__(self) -> int:
        return len(self.takes)

    @abstractmethod
    def __iter__(self) -> Iterator[Scene]: ...


def _in_order(digests: array[int]) -> array[int]:
    """Return the places of digests in the order of the digests, equal ones in their own.

    A part of them at a time: to sort a million at once takes eighty bytes for each, as objects of
    Python's, where all else that is kept of a scene takes half of that.
    """
    parts = [array("L") for _ in range(1 << _PART_BITS)]
    for place, one in enumerate(digests):
        parts[one >> 64 - _PART_BITS].append(place)
    order = array("L")
    for part in parts:
        order.extend(sorted(part, key=digests.__getitem__))
    return order
