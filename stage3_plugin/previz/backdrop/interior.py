"""Which function furnishes which room, and the bare room all of them start from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from stage3_plugin.previz.backdrop import gatherings, homes, passages, workplaces
from stage3_plugin.previz.backdrop.setting import Backdrop, Box, Furnishing, Room
from stage3_plugin.previz.backdrop.windows import sunbeam
from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import darken, lighten, mix, multiply
from stage3_plugin.previz.svg import line, opacity, rect

INTERIORS: Final[Mapping[str, Callable[[Room], Furnishing]]] = MappingProxyType(
    {
        "bedroom": homes.bedroom,
        "cafe": gatherings.cafe,
        "classroom": workplaces.classroom,
        "cockpit": passages.cockpit,
        "corridor": passages.corridor,
        "hall": gatherings.hall,
        "hospital": workplaces.hospital,
        "kitchen": homes.kitchen,
        "lab": workplaces.laboratory,
        "library": gatherings.library,
        "office": workplaces.office,
        "room": homes.living_room,
    }
)
"""Every indoor place by its word."""

WINDOWLESS: Final = frozenset({"classroom", "cockpit", "corridor", "hall"})
"""Rooms without a window in the picture; a classroom's wall is taken by its blackboard."""

WALLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bedroom": "#c6b4c4",
        "cafe": "#b98d68",
        "classroom": "#dfe0cf",
        "cockpit": "#5c6a84",
        "corridor": "#b7bcc4",
        "hall": "#b59a82",
        "hospital": "#d5e6df",
        "kitchen": "#e2d6bd",
        "lab": "#cfe0e4",
        "library": "#a98a6a",
        "office": "#cfd6dc",
        "room": "#c9b596",
    }
)
FLOORS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cockpit": "#3c455c",
        "corridor": "#8b8f9a",
        "hall": "#8a5f4a",
        "hospital": "#aebdb8",
        "lab": "#9fb0b8",
        "office": "#8d8f9a",
    }
)
BOARDS: Final = "#8f6b4c"
"""The floor of every room that has none of its own."""

LIGHT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "night": "#a89692",
        "evening": "#a98a74",
        "dawn": "#ead2cc",
        "sunset": "#dca894",
        "overcast": "#c3c8cf",
    }
)
DAYLIGHT: Final = "#f5f1e8"


def interior(
    canvas: Canvas,
    place: str,
    horizon_px: float,
    time: str,
    weather: str,
    dim: bool,  # noqa: FBT001 - one of the words read from the prompt
) -> Backdrop:
    """Draw an indoor place.

    The canvas' ambient light becomes the room's, and stays so: what is drawn in front of this
    backdrop stands in the same room.

    Args:
        canvas: where to.
        place: a key of ``INTERIORS``; any other word is drawn as a living room.
        horizon_px: the y of the eye.
        time: a key of ``PALETTES``.
        weather: what the window shows, in the words of ``exterior``.
        dim: whether the light is low and lamps are on.
    """
    place = place if place in INTERIORS else "room"
    light = LIGHT.get(time, DAYLIGHT)
    if dim:
        light = multiply(light, "#c8b6a4" if time in {"night", "evening"} else "#d2c6ba")
    room = _bare_room(canvas, place, horizon_px, time, weather=weather, light=light, is_dim=dim)
    canvas.lit_by(mix(light, "#ffffff", 0.1))
    walls = _walls(room)
    furnishing = INTERIORS[place](room)
    markup = ("" if furnishing.hides_walls else walls) + furnishing.markup + sunbeam(room)
    canvas.lit_by(mix(light, "#ffffff", 0.16))
    floor_px = room.floor_px if furnishing.floor_px is None else furnishing.floor_px
    return Backdrop(
        markup=markup,
        ground_px=floor_px + canvas.height_px * 0.05,
        indoors=True,
        lamp=(room.furniture_px, floor_px - canvas.height_px * 0.30),
        window=room.window,
        window_left=room.window_left,
    )


def _bare_room(
    canvas: Canvas,
    place: str,
    horizon_px: float,
    time: str,
    *,
    weather: str,
    light: str,
    is_dim: bool,
) -> Room:
    wall = multiply(WALLS[place], light)
    is_night = time == "night"
    frame = lighten(wall, 0.18) if is_night else mix(lighten(wall, 0.45), "#ffffff", 0.1)
    floor_px = horizon_px + canvas.height_px * 0.10
    window_left = canvas.chance.happens(0.5)
    return Room(
        canvas=canvas,
        horizon_px=horizon_px,
        time=time,
        weather=weather,
        is_dim=is_dim,
        light=light,
        wall=wall,
        floor=multiply(FLOORS.get(place, BOARDS), light),
        frame=frame,
        floor_px=floor_px,
        window=_window_box(canvas, place, floor_px, is_left=window_left),
        window_left=window_left,
    )


def _window_box(canvas: Canvas, place: str, floor_px: float, *, is_left: bool) -> Box | None:
    if place in WINDOWLESS:
        return None
    picture_width, picture_height = canvas.width_px, canvas.height_px
    width = canvas.short_px * (0.36 if place in {"room", "bedroom", "cafe"} else 0.40)
    height = canvas.short_px * (0.40 if picture_height >= picture_width else 0.36)
    x = picture_width * 0.10 if is_left else picture_width * 0.90 - width
    return x, floor_px - height - picture_height * 0.17, width, height


def _walls(room: Room) -> str:
    """Draw a plain wall with a skirting board, and floor boards in perspective."""
    canvas, wall, floor, y = room.canvas, room.wall, room.floor, room.floor_px
    width, height, short = canvas.width_px, canvas.height_px, canvas.short_px
    wall_fill = canvas.linear([(0, darken(wall, 0.30)), (0.45, wall), (1, darken(wall, 0.12))])
    floor_fill = canvas.linear([(0, darken(floor, 0.1)), (1, darken(floor, 0.5))])
    parts = [rect(0, 0, width, y, wall_fill), rect(0, y, width, height - y, floor_fill)]
    seam = darken(floor, 0.45)
    for board in range(-9, 10):
        ends = (width * 0.5 + board * width * 0.07, y, width * 0.5 + board * width * 0.24, height)
        parts.append(line(*ends, seam, short * 0.002, opacity(0.45)))
    parts.append(rect(0, y - short * 0.022, width, short * 0.022, lighten(wall, 0.18)))
    parts.append(rect(0, y, width, short * 0.004, darken(floor, 0.6)))
    return "".join(parts)
