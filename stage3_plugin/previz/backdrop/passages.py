"""Rooms that replace the plain wall and floor: a corridor in depth, and a cockpit."""

from __future__ import annotations

from dataclasses import dataclass

from stage3_plugin.previz.backdrop.setting import Furnishing, Room
from stage3_plugin.previz.colour import darken
from stage3_plugin.previz.svg import Point, circle, curve, opacity, path, polygon, rect

NARROW = 0.16
"""Half the far end of a corridor, in shares of the picture."""


@dataclass(frozen=True, slots=True)
class _Depth:
    """The box of a corridor: the picture is its near end, these four lines its far end."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float


def _between(near: float, far: float, share: float) -> float:
    return near + (far - near) * share


def corridor(room: Room) -> Furnishing:
    """Draw a corridor into the depth, with lights in the ceiling and doors on both sides."""
    canvas, palette = room.canvas, room.canvas.palette
    width, height, wall, floor = canvas.width_px, canvas.height_px, room.wall, room.floor
    x, y = width * 0.5, room.horizon_px - height * 0.08
    depth = _Depth(
        width=width,
        height=height,
        left=width * 0.5 - width * NARROW,
        right=width * 0.5 + width * NARROW,
        top=y - height * NARROW,
        bottom=y + height * NARROW * 1.1,
    )
    far = [(depth.left, depth.top), (depth.right, depth.top)]
    far += [(depth.right, depth.bottom), (depth.left, depth.bottom)]
    near = [(0.0, 0.0), (float(width), 0.0), (float(width), float(height)), (0.0, float(height))]
    light, dark = darken(wall, 0.12), darken(wall, 0.5)
    ceiling = polygon([near[0], near[1], far[1], far[0]], darken(wall, 0.35))
    left_fill = canvas.linear([(0, light), (1, dark)], 0, 0, 1, 0)
    right_fill = canvas.linear([(0, dark), (1, light)], 0, 0, 1, 0)
    floor_fill = canvas.linear([(0, darken(floor, 0.45)), (1, floor)])
    parts = [
        ceiling,
        polygon([near[0], far[0], far[3], near[3]], left_fill),
        polygon([near[1], far[1], far[2], near[2]], right_fill),
        polygon([near[3], near[2], far[2], far[3]], floor_fill),
        rect(*far[0], depth.right - depth.left, depth.bottom - depth.top, darken(wall, 0.55)),
        canvas.glow(x, y, canvas.short_px * 0.3, palette.light, 0.55),
    ]
    for bay in range(5):
        start, end = 1 - 0.72 ** (bay * 1.6), 1 - 0.72 ** (bay * 1.6 + 0.7)
        parts.append(polygon(_ceiling_light(depth, start, end), "#f3f7ff", opacity(0.85)))
        for edge, far_edge in ((0.0, depth.left), (width, depth.right)):
            door = _door(depth, edge, far_edge, start, end)
            parts.append(polygon(door, room.painted("#5f7383")))
    return Furnishing(markup="".join(parts), hides_walls=True, floor_px=depth.bottom)


def _ceiling_light(depth: _Depth, start: float, end: float) -> list[Point]:
    middle = depth.width * 0.5
    reach = depth.width * NARROW * 0.25
    left, right = (depth.width * 0.36, middle - reach), (depth.width * 0.64, middle + reach)
    return [
        (_between(*left, start), _between(0, depth.top, start)),
        (_between(*right, start), _between(0, depth.top, start)),
        (_between(*right, end), _between(0, depth.top, end)),
        (_between(*left, end), _between(0, depth.top, end)),
    ]


def _door(depth: _Depth, edge: float, far_edge: float, start: float, end: float) -> list[Point]:
    lintel = (depth.height * 0.30, _between(depth.top, depth.bottom, 0.25))
    sill = (depth.height, depth.bottom)
    near_x, far_x = _between(edge, far_edge, start + 0.02), _between(edge, far_edge, end)
    return [
        (near_x, _between(*lintel, start)),
        (far_x, _between(*lintel, end)),
        (far_x, _between(*sill, end)),
        (near_x, _between(*sill, start)),
    ]


def cockpit(room: Room) -> Furnishing:
    """Draw the inside of a spaceship: stars behind a framed pane, and a console of lights."""
    canvas, chance, floor = room.canvas, room.canvas.chance, room.floor_px
    width, height, short = canvas.width_px, canvas.height_px, canvas.short_px
    parts = [rect(0, 0, width, height, "#050814")]
    for _ in range(170):
        x, y = chance.between(0, width), chance.between(0, floor)
        radius = short * chance.between(0.0006, 0.0024)
        parts.append(circle(x, y, radius, "#fff", opacity(chance.between(0.3, 1))))
    parts.append(canvas.glow(width * 0.7, height * 0.25, short * 0.5, "#4f6fd8", 0.5))
    parts.append(canvas.glow(width * 0.25, height * 0.4, short * 0.35, "#a04fb8", 0.35))
    planet = canvas.linear([(0, "#9fd0e8"), (1, "#1d3f66")], 0.1, 0.1, 0.9, 0.9)
    parts.append(circle(width * 0.72, height * 0.30, short * 0.12, planet))
    parts.append(_canopy(room))
    console = canvas.linear([(0, "#3a4560"), (1, "#141a2a")])
    right = width + 10
    # fmt: off
    board = curve("M", (-10, floor), "L", (right, floor), "L", (right, height),
                  "L", (-10, height), "Z")
    # fmt: on
    parts.append(path(board, console))
    for _ in range(30):
        x, y = width * chance.between(0.02, 0.96), floor + height * chance.between(0.015, 0.1)
        length = short * chance.between(0.008, 0.035)
        colour = chance.pick(["#6ff0d0", "#ffd166", "#ff6b6b", "#6fb7ff"])
        shine = opacity(chance.between(0.5, 1))
        parts.append(rect(x, y, length, short * 0.007, colour, short * 0.003, shine))
    return Furnishing(markup="".join(parts), hides_walls=True)


def _canopy(room: Room) -> str:
    width, height, floor = room.canvas.width_px, room.canvas.height_px, room.floor_px
    metal, top = "#2a3348", height * 0.07
    outside = f"M-10 -10H{width + 10}V{height + 10}H-10Z "
    # fmt: off
    pane = curve("M", (width * 0.06, floor), "L", (width * 0.10, height * 0.12),
                 "Q", (width * 0.5, height * 0.03), (width * 0.90, height * 0.12),
                 "L", (width * 0.94, floor), "Z")
    left = [(width * 0.33, top), (width * 0.35, top), (width * 0.31, floor), (width * 0.28, floor)]
    right = [(width * 0.65, top), (width * 0.67, top), (width * 0.72, floor), (width * 0.69, floor)]
    # fmt: on
    frame = path(outside + pane, metal, ' fill-rule="evenodd"')
    return frame + polygon(left, metal) + polygon(right, metal)
