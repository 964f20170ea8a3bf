"""The scenes of a file as a run asks for them: some of them, and with more takes than they say.

Apart from the file: what is asked for is decided when more is known than the file, such as which
scenes have a picture. It keeps nine bytes for each scene, and the scenes themselves stay where they
are.

Several drivers are each given the story whole. The scenes are cut into as many parts as there are
drivers, each of scenes that follow one another. A driver is asked for its own part first, and then
for the others, from the next one on: by then most of those have their picture, and what a driver
that died had not sent is made by another. So nothing is left out where a driver is missing, and its
part need not be given to anybody by hand.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress, islice

from host_stub.contract import MOST_TAKES, Scene
from host_stub.scenes.file import SceneView
from host_stub.scenes.index import SceneFile, SceneIndex, id_digest


class AskedScenes(SceneView):
    """Some of the scenes of a file, in its order.

    Args:
        scenes: Those there are.
        kept: Which of them are asked for, by their places; all of them if absent.
        least: So many takes are wanted of each, whatever it says itself.

    Raises:
        SceneFileError: The file has changed since it was checked.
    """

    def __init__(
        self, scenes: SceneFile, *, kept: bytearray | None = None, least: int | None = None
    ) -> None:
        super().__init__(scenes)
        self._kept = None if kept is None or all(kept) else kept
        self._least = least or 1
        takes = scenes.takes if self._kept is None else compress(scenes.takes, self._kept)
        self.takes = bytearray(self._wanted(one) for one in takes)
        if self._kept is not None:
            chosen = compress(scenes, self._kept)
            self.positions = SceneIndex(array("Q", (id_digest(one.scene_id) for one in chosen)))

    def __iter__(self) -> Iterator[Scene]:
        kept = self._scenes if self._kept is None else compress(self._scenes, self._kept)
        for scene in kept:
            wanted = self._wanted(scene.takes)
            if scene.takes == wanted:
                yield scene
            else:
                yield scene.model_copy(update={"takes": wanted})

    def _wanted(self, takes: int) -> int:
        return min(max(takes, self._least), MOST_TAKES)


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
