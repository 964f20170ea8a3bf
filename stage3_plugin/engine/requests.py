"""From a scene and the settings to the request for its picture.

Apart from :mod:`stage3_plugin.domain.request`, whose values know no settings.
"""

from __future__ import annotations

from stage3_plugin.domain.request import PictureRequest, Scene
from stage3_plugin.settings import Settings


def request_for(scene: Scene, settings: Settings) -> PictureRequest:
    """Turn a scene into the request for its picture; the scene's own wishes come first."""
    width_px, height_px = settings.default_size_px
    return PictureRequest(
        scene_id=scene.scene_id,
        prompt=scene.prompt,
        negative_prompt=scene.negative_prompt or None,
        width_px=scene.width_px or width_px,
        height_px=scene.height_px or height_px,
        quality=scene.quality or settings.quality,
        output_format=settings.output_format,
        background=settings.background,
        model=scene.model or settings.model or "",
        provider=settings.provider,
        seed=settings.seed if scene.seed is None else scene.seed,
        references=scene.references,
        labels=settings.reference_labels,
        characters=scene.characters,
        style_tags=scene.style_tags,
        extra=scene.extra,
    )
