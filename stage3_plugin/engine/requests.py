"""From a scene and the settings to the picture that is asked for."""

from __future__ import annotations

from dataclasses import replace

from host_stub.contract import Lane, Scene
from stage3_plugin.domain.reference import wishes_of
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.engine.showing.casting import Casting
from stage3_plugin.settings import Settings


def request_for(
    scene: Scene,
    settings: Settings,
    casting: Casting | None = None,
    *,
    lane: Lane | None = None,
) -> PictureRequest:
    """Put a scene's own wishes and the settings together.

    Args:
        scene: What a caller wants.
        settings: What holds where the scene says nothing.
        casting: What its characters look like.
        lane: How pictures are bought of which the scene does not say it, instead of the settings'.
    """
    width_px, height_px = settings.default_size_px
    return PictureRequest(
        scene_id=scene.scene_id,
        prompt=scene.prompt,
        negative_prompt=scene.negative_prompt or None,
        width_px=scene.width or width_px,
        height_px=scene.height or height_px,
        quality=scene.quality or settings.quality,
        output_format=settings.output_format,
        background=settings.background,
        model=scene.model or settings.model or "",
        provider=settings.provider,
        seed=settings.seed if scene.seed is None else scene.seed,
        references=scene.references,
        wishes=wishes_of(scene) if casting is None else casting.wishes_of(scene),
        labels=settings.reference_labels,
        characters=scene.characters,
        style_tags=scene.style_tags,
        extra=scene.extra,
        if_refused=scene.if_refused,
        takes=scene.takes,
        lane=scene.lane or lane or settings.lane,
    )


def draft_for(scene: Scene, settings: Settings) -> PictureRequest:
    """Return a scene's draft: its words and its frame, and nothing that a drawing has no use for.

    So it stays the same where only that changes.
    """
    return replace(
        request_for(scene, settings),
        negative_prompt=None,
        quality=settings.quality,
        model=settings.model or "",
        references=(),
        wishes=(),
        if_refused=(),
        is_draft=True,
        lane="ordinary",
    )


def at_route(wanted: PictureRequest, route: Route, *, size_px: tuple[int, int]) -> PictureRequest:
    """Return a picture as a further route is asked for it.

    Args:
        wanted: The picture as the first route is asked for it.
        route: This one.
        size_px: The settings' size, instead of which it may be asked for another.
    """
    width_px, height_px = wanted.width_px, wanted.height_px
    if route.size_px is not None and (width_px, height_px) == size_px:
        width_px, height_px = route.size_px
    return replace(
        wanted,
        width_px=width_px,
        height_px=height_px,
        quality=route.quality or wanted.quality,
        output_format=route.output_format or wanted.output_format,
        background=route.background or wanted.background,
        model=route.endpoint.model,
        provider=route.endpoint.provider,
        lane="ordinary",
    )


def sheets_of(
    casting: Casting, settings: Settings, *, lane: Lane | None = None
) -> dict[str, PictureRequest]:
    """Return the requests of a cast's sheets, by their ids; ``lane`` as in :func:`request_for`."""
    return {
        cast_id: replace(request_for(sheet, settings, lane=lane), is_sheet=True)
        for cast_id, sheet in casting.sheets.items()
    }
