"""Scenes with the prompts that decisions gave them.

A prompt in a decision stands in place of the one in the scene file, as long as the file says what
it said when that was decided: who edits the file afterwards has the later word. A plan, a run and
every look at the story go through here, so that they speak of the same prompt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping

from host_stub.contract import Scene
from host_stub.scenes.file import SceneView
from host_stub.scenes.index import SceneFile
from host_stub.story.book import SaidPrompt


def words_digest(prompt: str) -> str:
    """Return the sha256 of a prompt, by which it is known whether a file still says it."""
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()


class DirectedScenes(SceneView):
    """A scene file, each scene with the prompt that is in force.

    Args:
        scenes: The file.
        said: What decisions said, by scene.
    """

    def __init__(self, scenes: SceneFile, said: Mapping[str, SaidPrompt]) -> None:
        super().__init__(scenes)
        self._said = said

    def __iter__(self) -> Iterator[Scene]:
        if not self._said:
            return iter(self._scenes)
        return (directed(scene, self._said.get(scene.scene_id)) for scene in self._scenes)


def directed(scene: Scene, said: SaidPrompt | None) -> Scene:
    """Return a scene with the prompt that is in force.

    Args:
        scene: As its file has it.
        said: What decisions said of it.
    """
    if said is None or not is_in_force(scene, said):
        return scene
    return scene.model_copy(update={"prompt": said.prompt})


def own_digests(scenes: Iterable[Scene], scene_ids: Collection[str]) -> dict[str, str]:
    """Return the digest of what the file itself says, for these of its scenes.

    Args:
        scenes: As the file has them.
        scene_ids: Those that are asked about.
    """
    if not scene_ids:
        return {}
    return {
        scene.scene_id: words_digest(scene.prompt)
        for scene in scenes
        if scene.scene_id in scene_ids
    }


def in_force(said: Mapping[str, SaidPrompt], own: Mapping[str, str]) -> dict[str, SaidPrompt]:
    """Return the prompts that are in force, of those scenes whose own digest is known.

    Args:
        said: What decisions said, by scene.
        own: See :func:`own_digests`.
    """
    return {scene_id: one for scene_id, one in said.items() if own.get(scene_id) == one.said_for}


def is_in_force(scene: Scene, said: SaidPrompt) -> bool:
    """Return whether a file's scene is still the one that a prompt was said for."""
    return said.said_for == words_digest(scene.prompt)
