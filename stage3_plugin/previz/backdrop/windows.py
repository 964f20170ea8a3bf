"""A window with the weather behind it, and its curtains."""

from __future__ import annotations

import math

from stage3_plugin.previz.backdrop.setting import Box, Room
from stage3_plugin.previz.backdrop.sky import MOON
from stage3_plugin.previz.colour import darken, lighten
from stage3_plugin.previz.svg import (
    circle,
    curve,
    group,
    line,
    number,
    opacity,
    path,
    polygon,
    rect,
    smooth,
)


def window(
    room: Room,
    frame: str,
    *,
    columns: int = 2,
    rows: int = 2,
    curtain: str | None = None,
) -> str:
    """Draw the room's window, or nothing in a room without one.

    Args:
        room: where; its ``window`` says where in it.
        frame: the colour of frame and bars.
        columns: panes side by side.
        rows: panes above each other.
        curtain: the curtains' colour, if there are any.
    """
    if room.window is None:
        return ""
    x, y, width, height = room.window
    bar = width * 0.028
    parts = [
        rect(x - width * 0.05, y - width * 0.05, width * 1.1, height + width * 0.1, frame),
        _view(room, room.window),
    ]
    parts += [
        rect(x + width * column / columns - width * 0.014, y, bar, height, frame)
        for column in range(1, columns)
    ]
    parts += [
        rect(x, y + height * row / rows - width * 0.014, width, bar, frame)
        for row in range(1, rows)
    ]
    gleam = [(x, y), (x + width * 0.45, y), (x + width * 0.1, y + height), (x, y + height)]
    parts.append(polygon(gleam, "#ffffff", opacity(0.07)))
    sill = (x - width * 0.09, y + height + width * 0.04, width * 1.18, width * 0.05)
    parts.append(rect(*sill, lighten(frame, 0.12)))
    if curtain is not None:
        parts.append(_curtains(room, room.window, curtain))
    return "".join(parts)


def _view(room: Room, box: Box) -> str:
    canvas, palette = room.canvas, room.canvas.palette
    chance, short = canvas.chance, canvas.short_px
    x, y, width, height = box
    size = f'width="{number(width)}" height="{number(height)}"'
    stencil = canvas.clip(f'<rect x="{number(x)}" y="{number(y)}" {size}/>')
    zenith, upper, lower, low = palette.sky
    heaven = canvas.linear([(0, zenith), (0.5, upper), (0.85, lower), (1, low)])
    parts = [rect(x, y, width, height, heaven), _light_outside(room, box)]
    for _ in range(3):
        length = width * chance.between(0.3, 0.6)
        left, top = x + width * chance.between(-0.1, 0.7), y + height * chance.between(0.15, 0.6)
        bar = (left, top, length, height * 0.045)
        parts.append(rect(*bar, lighten(lower, 0.4), height * 0.022, opacity(0.5)))
    for index, (level, depth) in enumerate(((0.70, 0.5), (0.82, 0.2))):
        hills = [
            (
                x - 5 + (width + 10) * step / 8,
                y
                + height * level
                - height * 0.08 * math.sin(step * 0.9 + index * 2 + 0.6 * chance.random()),
            )
            for step in range(9)
        ]
        parts.append(path(smooth(hills, y + height + 5), canvas.tone("#4f6f7c", depth)))
    if room.weather in {"rain", "storm"}:
        for _ in range(40):
            drop_x, drop_y = x + width * chance.random(), y + height * chance.random()
            ends = (drop_x, drop_y, drop_x - width * 0.03, drop_y + height * 0.10)
            parts.append(line(*ends, "#dfe8f5", short * 0.0016, opacity(0.5)))
    return group("".join(parts), f' clip-path="{stencil}"')


def _light_outside(room: Room, box: Box) -> str:
    """Draw stars and moon, or the sun, or nothing behind clouds."""
    canvas, light = room.canvas, room.canvas.palette.light
    chance = canvas.chance
    x, y, width, height = box
    if room.is_night:
        parts: list[str] = []
        for _ in range(40):
            star = (x + width * chance.random(), y + height * 0.8 * chance.random())
            radius = canvas.short_px * chance.between(0.0009, 0.0026)
            parts.append(circle(*star, radius, "#fff", opacity(chance.between(0.4, 1))))
        moon = (x + width * 0.7, y + height * 0.25)
        parts.append(canvas.glow(*moon, width * 0.5, light, 0.5))
        parts.append(circle(*moon, width * 0.085, MOON))
        return "".join(parts)
    if room.is_sunless:
        return ""
    sun = (x + width * 0.68, y + height * 0.3)
    return canvas.glow(*sun, width * 0.9, light, 0.8) + circle(*sun, width * 0.1, "#fffbe8")


def _curtains(room: Room, box: Box, colour: str) -> str:
    x, y, width, height = box
    top, hem = y - width * 0.10, y + height + width * 0.22
    parts: list[str] = []
    for side in (-1, 1):
        outer = x - width * 0.16 if side < 0 else x + width * 1.16
        spread = width * 0.27 * -side
        # fmt: off
        shape = curve("M", (outer, top), "L", (outer - spread, top),
                      "C", (outer - spread * 1.05, y + height * 0.5),
                      (outer - spread * 0.5, y + height * 0.7), (outer - spread * 0.72, hem),
                      "L", (outer, hem), "Z")
        # fmt: on
        folds = [(0, colour), (0.5, lighten(colour, 0.12)), (1, darken(colour, 0.3))]
        parts.append(path(shape, room.canvas.linear(folds, 0, 0, 1, 0)))
    ends = (x - width * 0.24, top, x + width * 1.24, top)
    rail = darken(colour, 0.5)
    parts.append(line(*ends, rail, width * 0.025, ' stroke-linecap="round"'))
    return "".join(parts)


def sunbeam(room: Room) -> str:
    """Draw the light that falls in through the window, with dust in it when the sun shines."""
    if room.window is None:
        return ""
    canvas, light, chance = room.canvas, room.canvas.palette.light, room.canvas.chance
    width_px, height_px = canvas.width_px, canvas.height_px
    x, y, width, _ = room.window
    side = 1 if room.window_left else -1
    right = x + width
    if room.is_sunless and room.needs_lamps:
        return ""  # the lamps inside outshine what is left outside
    if room.is_sunless:
        pale = canvas.linear([(0, light, 0.22), (1, light, 0)])
        far, near = right + side * width_px * 0.30, x + side * width_px * 0.18
        return polygon([(x, y), (right, y), (far, height_px), (near, height_px)], pale)
    foot = height_px * 0.98
    bright = canvas.linear([(0, light, 0.42), (1, light, 0)])
    far, near = right + side * width_px * 0.34, x + side * width_px * 0.20
    parts = [polygon([(x, y), (right, y), (far, foot), (near, foot)], bright)]
    for _ in range(28):
        mote_x = x + width / 2 + side * width_px * chance.between(0, 0.3)
        mote_y = y + (height_px - y) * chance.between(0.1, 0.8)
        radius = canvas.short_px * chance.between(0.001, 0.0028)
        shine = opacity(chance.between(0.3, 0.8))
        parts.append(circle(mote_x, mote_y, radius, "#fffbe6", shine))
    return "".join(parts)
