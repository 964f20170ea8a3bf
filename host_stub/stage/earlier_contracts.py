"""What a plugin of contract 1.0 is given: what 1.0 has, and nothing that came later.

A plugin passes on what it is given, to a service that refuses an unknown field, say; and what a
later contract reads from a scene file is among the further fields of an earlier one. So a scene is
the same to it as it was under the host it was written for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pydantic import Field

from host_stub.contract import ImageRequest, Scene, SceneReference, SceneSource


def request_for(contract: tuple[int, int], request: ImageRequest) -> ImageRequest:
    """Return a request as a plugin of this contract knows it."""
    if contract >= (1, 1):
        return request
    return replace(
        request,
        scenes=_EarlierScenes(request.scenes),
        story=None if request.story is None else _EarlierScenes(request.story),
        scenes_dir=None,
        wanted=None,
        shown=None,
        place=None,
        draft=False,
    )


class _EarlierScene(Scene):
    """A scene of contract 1.0: what came later is unset, and not written out."""

    reference_details: tuple[SceneReference, ...] = Field(default=(), exclude=True)
    model: str | None = Field(default=None, exclude=True)
    quality: str | None = Field(default=None, exclude=True)
    if_refused: tuple[str, ...] = Field(default=(), exclude=True)
    takes: int = Field(default=1, exclude=True)


class _EarlierScenes:
    """Scenes as contract 1.0 has them."""

    def __init__(self, scenes: SceneSource) -> None:
        self._scenes = scenes

    def __len__(self) -> int:
        return len(self._scenes)

    def __iter__(self) -> Iterator[Scene]:
        return map(_earlier, self._scenes)


def _earlier(scene: Scene) -> Scene:
    others = list(scene.if_refused) or None
    said = {
        "model": scene.model,
        "quality": scene.quality,
        "if_refused": others,
        "takes": scene.takes if scene.takes > 1 else None,
    }
    return _EarlierScene(
        scene_id=scene.scene_id,
        prompt=scene.prompt,
        negative_prompt=scene.negative_prompt,
        width=scene.width,
        height=scene.height,
        seed=scene.seed,
        references=scene.references,
        characters=scene.characters,
        style_tags=scene.style_tags,
        extra=scene.extra | {name: value for name, value in said.items() if value is not None},
    )
