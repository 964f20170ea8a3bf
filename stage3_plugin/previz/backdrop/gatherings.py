"""Rooms people meet in: cafe, library, hall."""

from __future__ import annotations

from stage3_plugin.previz.backdrop.furniture import books, bottles, pendant
from stage3_plugin.previz.backdrop.setting import Furnishing, Room
from stage3_plugin.previz.backdrop.windows import window
from stage3_plugin.previz.colour import darken
from stage3_plugin.previz.svg import polygon, rect


def cafe(room: Room) -> Furnishing:
    """Furnish with a counter, two shelves of bottles and three lamps."""
    width, height, short = room.canvas.width_px, room.canvas.height_px, room.canvas.short_px
    middle, floor, paint = room.beside_window(short * 0.26), room.floor_px, room.painted
    parts = [window(room, room.frame, curtain=paint("#8a5a3a"))]
    parts.extend(
        pendant(room, width * across, height * 0.15, short * 0.065) for across in (0.2, 0.5, 0.8)
    )
    for up, tall in ((0.36, 0.10), (0.22, 0.09)):
        y = floor - height * up
        parts.append(rect(middle - short * 0.26, y, short * 0.52, short * 0.01, paint("#5a3a26")))
        row = (middle - short * 0.25, y, short * 0.5)
        parts.append(bottles(room, *row, count=10, height=height * tall))
    # fmt: off
    parts += [
        rect(middle - short * 0.36, floor - short * 0.13, short * 0.72, short * 0.025,
             paint("#d9b27c")),
        rect(middle - short * 0.35, floor - short * 0.105, short * 0.70, height * 0.15,
             paint("#6b4329")),
    ]
    # fmt: on
    return Furnishing(markup="".join(parts))


def library(room: Room) -> Furnishing:
    """Furnish with five cases of books, a window among them, and a lamp."""
    width, height, floor = room.canvas.width_px, room.canvas.height_px, room.floor_px
    paint = room.painted
    parts: list[str] = []
    for case in range(5):
        x, case_width = width * case / 5, width / 5 * 0.94
        top = floor - height * 0.62
        parts.append(rect(x, top, case_width, height * 0.62, paint("#5d4029")))
        for shelf in range(5):
            y = top + height * 0.125 * (shelf + 1) - height * 0.008
            back = (x + case_width * 0.05, y - height * 0.105, case_width * 0.9, height * 0.107)
            parts.append(rect(*back, paint("#2f2118")))
            row = (x + case_width * 0.06, y, case_width * 0.88, height * 0.10)
            parts.append(books(room, *row))
    parts.append(window(room, paint("#4a3222"), rows=3))
    parts.append(pendant(room, width * 0.5, height * 0.13, room.canvas.short_px * 0.07))
    return Furnishing(markup="".join(parts))


def hall(room: Room) -> Furnishing:
    """Furnish with six columns, a painted beam, and a carpet towards the viewer."""
    canvas, paint, chance = room.canvas, room.painted, room.canvas.chance
    width, height, short, floor = (
        canvas.width_px,
        canvas.height_px,
        canvas.short_px,
        room.floor_px,
    )
    parts: list[str] = []
    thick = width * 0.055
    for column in range(6):
        x = width * (column + 0.5) / 6
        round_shade = [
            (0, darken(paint("#a83d32"), 0.3)),
            (0.35, paint("#c14d3d")),
            (1, darken(paint("#a83d32"), 0.5)),
        ]
        shaft = canvas.linear(round_shade, 0, 0, 1, 0)
        base = (x - thick * 0.75, floor - height * 0.03, thick * 1.5, height * 0.04)
        capital = (x - thick * 0.7, height * 0.06, thick * 1.4, height * 0.03)
        parts.append(rect(x - thick / 2, 0, thick, floor, shaft))
        parts.append(rect(*base, paint("#d8c9a8")))
        parts.append(rect(*capital, paint("#d8b45a")))
    parts.append(rect(0, 0, width, height * 0.07, paint("#3c5a6a")))
    for panel in range(24):
        colour = paint(chance.pick(["#d8b45a", "#6fa58f", "#c95a4a"]))
        field = (width * panel / 24, height * 0.02, width / 30, height * 0.03)
        parts.append(rect(*field, colour))
    carpet = [
        (width * 0.42, floor),
        (width * 0.58, floor),
        (width * 0.78, height),
        (width * 0.22, height),
    ]
    parts.append(polygon(carpet, paint("#b23a36")))
    eye = room.horizon_px - height * 0.1
    parts.append(canvas.glow(width * 0.5, eye, short * 0.6, canvas.palette.warm, 0.5))
    return Furnishing(markup="".join(parts))
