"""Which function draws which outdoor place, under which sky."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from stage3_plugin.previz.backdrop import harbours, seas, towers, towns, waters, wilds
from stage3_plugin.previz.backdrop.setting import Backdrop, Outdoors, Scenery
from stage3_plugin.previz.backdrop.sky import sky
from stage3_plugin.previz.backdrop.space import space
from stage3_plugin.previz.backdrop.street import street
from stage3_plugin.previz.canvas import Canvas

EXTERIORS: Final[Mapping[str, Callable[[Outdoors], Scenery]]] = MappingProxyType(
    {
        "battlefield": towns.battlefield,
        "beach": seas.beach,
        "castle": towns.castle,
        "cave": wilds.cave,
        "city": towns.city,
        "desert": wilds.desert,
        "field": wilds.field,
        "forest": wilds.forest,
        "harbour": harbours.harbour,
        "house": towns.house,
        "lake": waters.lake,
        "mountain": wilds.mountain,
        "pagoda": towns.pagoda,
        "sea": seas.sea,
        "space": space,
        "stage": wilds.stage,
        "street": street,
        "tower": towers.tower,
        "underwater": waters.underwater,
    }
)
"""Every outdoor place by its word."""

SKYLESS: Final = frozenset({"space", "stage", "underwater"})
"""Places where no sun can be seen; a cave's mouth does have one."""


def exterior(canvas: Canvas, place: str, horizon_px: float, time: str, weather: str) -> Backdrop:
    """Draw an outdoor place.

    Args:
        canvas: where to; its palette must already be the one of this time and weather.
        place: a key of ``EXTERIORS``; any other word is drawn as a field.
        horizon_px: the y of the horizon.
        time: a key of ``PALETTES``.
        weather: ``clear``, ``rain``, ``storm``, ``snow``, ``fog`` or ``overcast``; falling rain
            and snow are ``weather_effects``.
    """
    outdoors = Outdoors(canvas=canvas, horizon_px=horizon_px, time=time, weather=weather)
    heaven = None if place in SKYLESS else sky(canvas, horizon_px, time, weather)
    if heaven is not None:
        outdoors = replace(outdoors, sun_px=heaven.sun_px)
    scenery = EXTERIORS.get(place, wilds.field)(outdoors)
    behind = "" if heaven is None or scenery.hides_sky else heaven.markup
    ground_px = scenery.ground_px
    return Backdrop(
        markup=behind + scenery.markup,
        ground_px=horizon_px + canvas.height_px * 0.06 if ground_px is None else ground_px,
        sun_px=None if heaven is None else heaven.sun_px,
        door=scenery.door,
        door_height_px=scenery.door_height_px,
        waterline_px=scenery.waterline_px,
        berth=scenery.berth,
    )
