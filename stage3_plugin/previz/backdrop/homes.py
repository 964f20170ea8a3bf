"""Rooms people live in: living room, bedroom, kitchen.

One function per room, from the bare room to what stands in it. ``middle`` is the x of the
furniture, across from the window; ``floor`` the y where the wall ends.
"""

from __future__ import annotations

from stage3_plugin.previz.backdrop.furniture import pendant
from stage3_plugin.previz.backdrop.setting import Furnishing, Room
from stage3_plugin.previz.backdrop.windows import window
from stage3_plugin.previz.colour import darken
from stage3_plugin.previz.svg import circle, ellipse, line, opacity, polygon, rect


def living_room(room: Room) -> Furnishing:
    """Furnish with a sofa, pictures, and a standing lamp."""
    height, short, paint = room.canvas.height_px, room.canvas.short_px, room.painted
    middle, floor = room.furniture_px, room.floor_px
    seat = floor + height * 0.07
    wood, padding, arms = paint("#5a3e2c"), short * 0.03, paint("#8a6553")
    high, low = floor - height * 0.40, floor - height * 0.36
    # fmt: off
    parts = [
        window(room, room.frame, curtain=paint("#a4574d")),
        rect(middle - short * 0.13, high, short * 0.12, short * 0.15, wood),
        rect(middle - short * 0.118, high + short * 0.012, short * 0.096, short * 0.126,
             paint("#d9c7a0")),
        rect(middle + short * 0.02, low, short * 0.10, short * 0.10, wood),
        rect(middle + short * 0.03, low + short * 0.01, short * 0.08, short * 0.08,
             paint("#8fa6a0")),
        rect(middle - short * 0.22, seat - short * 0.17, short * 0.44, short * 0.13,
             paint("#7c5a4a"), padding),
        rect(middle - short * 0.25, seat - short * 0.11, short * 0.08, short * 0.12,
             arms, short * 0.025),
        rect(middle + short * 0.17, seat - short * 0.11, short * 0.08, short * 0.12,
             arms, short * 0.025),
        rect(middle - short * 0.19, seat - short * 0.08, short * 0.38, short * 0.075,
             paint("#96705c"), short * 0.02),
        _standing_lamp(room, seat),
    ]
    # fmt: on
    return Furnishing(markup="".join(parts))


def _standing_lamp(room: Room, foot: float) -> str:
    canvas, warm = room.canvas, room.canvas.palette.warm
    width, short = canvas.width_px, canvas.short_px
    inwards = 1 if room.window_left else -1
    is_wide = width > canvas.height_px * 1.25
    x = room.furniture_px - inwards * short * 0.31 if is_wide else width * (0.5 + inwards * 0.06)
    iron = room.painted("#2b2427")
    hem, top = foot - short * 0.33, foot - short * 0.42
    shade = [
        (x - short * 0.06, hem),
        (x - short * 0.038, top),
        (x + short * 0.038, top),
        (x + short * 0.06, hem),
    ]
    is_on = room.needs_lamps
    return (
        line(x, foot, x, foot - short * 0.36, iron, short * 0.008)
        + ellipse(x, foot, short * 0.045, short * 0.01, iron)
        + (canvas.glow(x, foot - short * 0.37, short * 0.42, warm, 0.65) if is_on else "")
        + polygon(shade, warm if is_on else room.painted("#efe0c0"))
    )


def bedroom(room: Room) -> Furnishing:
    """Furnish with a made bed and a pendant lamp."""
    short, paint = room.canvas.short_px, room.painted
    middle, floor = room.furniture_px, room.floor_px
    cover, pillow, soft = paint("#6f6aa8"), paint("#ffffff"), short * 0.02
    lamp = (room.canvas.width_px * 0.5, room.canvas.height_px * 0.14, short * 0.07)
    # fmt: off
    parts = [
        window(room, room.frame, curtain=cover),
        rect(middle - short * 0.27, floor - short * 0.17, short * 0.54, short * 0.2,
             paint("#6b4b3c"), soft),
        rect(middle - short * 0.26, floor - short * 0.07, short * 0.52, short * 0.17,
             paint("#e9e2e6"), soft),
        rect(middle - short * 0.26, floor, short * 0.52, short * 0.14, cover, soft),
        rect(middle - short * 0.21, floor - short * 0.09, short * 0.17, short * 0.07,
             pillow, short * 0.025),
        rect(middle + short * 0.04, floor - short * 0.09, short * 0.17, short * 0.07,
             pillow, short * 0.025),
        pendant(room, *lamp, is_on=room.needs_lamps),
    ]
    # fmt: on
    return Furnishing(markup="".join(parts))


def kitchen(room: Room) -> Furnishing:
    """Furnish with a counter, cupboards, and a lamp that is always on."""
    height, short, paint = room.canvas.height_px, room.canvas.short_px, room.painted
    middle, floor = room.beside_window(short * 0.3), room.floor_px
    above = _pans if "pans" in room.canvas.features else _cupboards
    # fmt: off
    parts = [
        window(room, room.frame),
        above(room, middle, floor - height * 0.40),
        rect(middle - short * 0.34, floor - short * 0.14, short * 0.68, short * 0.02,
             paint("#efe9dc")),
        rect(middle - short * 0.33, floor - short * 0.12, short * 0.66, height * 0.16,
             paint("#7c968d")),
        pendant(room, room.canvas.width_px * 0.5, height * 0.15, short * 0.06),
    ]
    # fmt: on
    return Furnishing(markup="".join(parts))


def _cupboards(room: Room, middle: float, top: float) -> str:
    short, paint = room.canvas.short_px, room.painted
    box = (middle - short * 0.3, top, short * 0.6, short * 0.15)
    step, inset = short * 0.148, short * 0.01
    doors = (
        (middle - short * 0.29 + index * step, top + inset, short * 0.138, short * 0.13)
        for index in range(4)
    )
    return rect(*box, paint("#8aa39a"), short * 0.008) + "".join(
        rect(*door, paint("#9ab5ab"), short * 0.006) for door in doors
    )


def _pans(room: Room, middle: float, top: float) -> str:
    """Draw a rail with copper pans that hang from it and catch the light."""
    short, paint = room.canvas.short_px, room.painted
    copper, iron, shine = paint("#c9733d"), paint("#3a302c"), room.canvas.palette.warm
    parts = [line(middle - short * 0.3, top, middle + short * 0.3, top, iron, short * 0.010)]
    for across, radius in ((-0.22, 0.062), (-0.05, 0.050), (0.09, 0.056), (0.23, 0.044)):
        x, y, size = middle + short * across, top + short * 0.105, short * radius
        parts.append(line(x, top, x, y, iron, short * 0.012))
        parts.append(circle(x, y + size * 0.6, size, copper))
        parts.append(circle(x, y + size * 0.6, size * 0.78, darken(copper, 0.18)))
        parts.append(circle(x - size * 0.32, y + size * 0.3, size * 0.22, shine, opacity(0.85)))
    return "".join(parts)
