"""Where one of several drivers begins in a story that each of them is given whole.

The scenes are cut into as many parts as there are drivers, each of scenes that follow one another.
A driver is asked for its own part first, and then for the others, from the next one on: by then
most of those have their picture, and what a driver that died had not sent is made by another. So
nothing is left out where a driver is missing, and its part need not be given to anybody by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from host_stub.contract import Scene
from host_stub.scenes.file import SceneFile, SceneView


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of several.

    Attributes:
        number: Which one, from 1.
        of: How many there are.
    """

    number: int
    of: int

    def begins_at(self, scenes: int) -> int:
        """Return the place of its first scene among so many, from 0."""
        return (self.number - 1) * scenes // self.of


class FromItsPart(SceneView):
    """All scenes that are asked for, those of one part first, and after the last the first again.

    Args:
        scenes: Those that are asked for, in the file's order.
        shard: Whose part comes first.
    """

    def __init__(self, scenes: SceneFile, shard: Shard) -> None:
        super().__init__(scenes)
        self._first = shard.begins_at(len(scenes))
        self.takes = scenes.takes[self._first :] + scenes.takes[: self._first]

    def __iter__(self) -> Iterator[Scene]:
        yield from islice(self._scenes, self._first, None)
        yield from islice(self._scenes, self._first)


def from_its_part(scenes: SceneFile, shard: Shard | None) -> SceneFile:
    """Return the scenes in the order in which a driver is asked for them."""
    if shard is None or not shard.begins_at(len(scenes)):
        return scenes
    return FromItsPart(scenes, shard)
