"""What a plugin of an earlier contract is given: what that has, and nothing that came later.

A plugin passes on what it is given, to a service that refuses an unknown field, say; and what a
later contract reads from a scene file is among the further fields of an earlier one. So a scene is
the same to it as it was under the host it was written for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field

from host_stub.contract import ImageRequest, Lane, Scene, SceneReference, SceneSource


def request_for(contract: tuple[int, int], request: ImageRequest) -> ImageRequest:
    """Return a request as a plugin of this contract knows it."""
    if contract >= (1, 2):
        return request
    if contract >= (1, 1):
        return _with_scenes(replace(request, lane=None), _of_1_1)
    first = replace(
        request, scenes_dir=None, wanted=None, shown=None, place=None, draft=False, lane=None
    )
    return _with_scenes(first, _of_1_0)


class _SceneOf11(Scene):
    """A scene of contract 1.1: what came later is unset, and not written out."""

    lane: Lane | None = Field(default=None, exclude=True)


class _SceneOf10(_SceneOf11):
    """A scene of contract 1.0, likewise."""

    reference_details: tuple[SceneReference, ...] = Field(default=(), exclude=True)
    model: str | None = Field(default=None, exclude=True)
    quality: str | None = Field(default=None, exclude=True)
    if_refused: tuple[str, ...] = Field(default=(), exclude=True)
    takes: int = Field(default=1, exclude=True)


class _EarlierScenes:
    """Scenes as an earlier contract has them."""

    def __init__(self, scenes: SceneSource, earlier: Callable[[Scene], Scene]) -> None:
        self._scenes = scenes
        self._earlier = earlier

    def __len__(self) -> int:
        return len(self._scenes)

    def __iter__(self) -> Iterator[Scene]:
        return map(self._earlier, self._scenes)


def _with_scenes(request: ImageRequest, earlier: Callable[[Scene], Scene]) -> ImageRequest:
    story = request.story
    return replace(
        request,
        scenes=_EarlierScenes(request.scenes, earlier),
        story=None if story is None else _EarlierScenes(story, earlier),
    )


def _of_1_1(scene: Scene) -> Scene:
    return _SceneOf11(
        scene_id=scene.scene_id,
        prompt=scene.prompt,
        negative_prompt=scene.negative_prompt,
        width=scene.width,
        height=scene.height,
        seed=scene.seed,
        references=scene.references,
        reference_details=scene.reference_details,
        model=scene.model,
        quality=scene.quality,
        if_refused=scene.if_refused,
        takes=scene.takes,
        characters=scene.characters,
        style_tags=scene.style_tags,
        extra=_with_what_is_said(scene.extra, {"lane": scene.lane}),
    )


def _of_1_0(scene: Scene) -> Scene:
    said = {
        "model": scene.model,
        "quality": scene.quality,
        "if_refused": list(scene.if_refused) or None,
        "takes": scene.takes if scene.takes > 1 else None,
        "lane": scene.lane,
    }
    return _SceneOf10(
        scene_id=scene.scene_id,
        prompt=scene.prompt,
        negative_prompt=scene.negative_prompt,
        width=scene.width,
        height=scene.height,
        seed=scene.seed,
        references=scene.references,
        characters=scene.characters,
        style_tags=scene.style_tags,
        extra=_with_what_is_said(scene.extra, said),
    )


def _with_what_is_said(extra: dict[str, Any], said: Mapping[str, object]) -> dict[str, Any]:
    return extra | {name: value for name, value in said.items() if value is not None}
