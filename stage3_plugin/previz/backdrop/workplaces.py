"""Rooms people work and learn in: laboratory, office, hospital, classroom."""

from __future__ import annotations

import math

from stage3_plugin.previz.backdrop.furniture import bottles
from stage3_plugin.previz.backdrop.setting import Furnishing, Room
from stage3_plugin.previz.backdrop.windows import window
from stage3_plugin.previz.colour import darken
from stage3_plugin.previz.svg import curve, group, line, opacity, path, polyline, rect, stroke


def laboratory(room: Room) -> Furnishing:
    """Furnish with a bench across the room, shelves, a monitor and flasks."""
    canvas, paint = room.canvas, room.painted
    width, height, short = canvas.width_px, canvas.height_px, canvas.short_px
    shelf = short * 0.46
    middle, floor = room.beside_window(shelf / 2), room.floor_px
    parts = [window(room, room.frame, columns=3)]
    for index in range(2):
        y = floor - height * (0.42 - 0.16 * index)
        left = middle - shelf / 2
        row = (middle - shelf * 0.47, y, shelf * 0.94)
        parts.append(rect(left, y, shelf, short * 0.012, paint("#7d8f98")))
        parts.append(bottles(room, *row, count=9, height=height * 0.10))
        shadow = (left, y + short * 0.012, shelf, short * 0.01)
        parts.append(rect(*shadow, "#000000", extra=opacity(0.18)))
    tube = (width * 0.2, height * 0.05, width * 0.6, short * 0.016)
    parts.append(group(rect(*tube, "#f4fbff", short * 0.008), opacity(0.9)))
    shine = 0.2 if room.is_dim else 0.45
    parts.append(canvas.glow(width * 0.5, height * 0.06, short * 0.55, "#eaf7ff", shine))
    bench = floor + height * 0.045
    parts.append(_bench(room, bench))
    top = bench - short * 0.135
    aside = width * 0.14 if room.window_left else -width * 0.14
    parts.append(_monitor(room, width * 0.5 + aside, top))
    parts.extend(_flask(room, width * across, top) for across in (0.1, 0.26, 0.74, 0.9))
    return Furnishing(markup="".join(parts))


def _bench(room: Room, y: float) -> str:
    canvas, paint = room.canvas, room.painted
    width, height, short = canvas.width_px, canvas.height_px, canvas.short_px
    front = canvas.linear([(0, paint("#8fa3ac")), (1, darken(paint("#6d818b"), 0.35))])
    parts = [
        rect(-10, y - short * 0.135, width + 20, short * 0.022, paint("#eef3f4")),
        rect(-10, y - short * 0.113, width + 20, height * 0.17, front),
    ]
    edge = stroke(darken(paint("#6d818b"), 0.25), short * 0.003)
    for drawer in range(7):
        x = width * (drawer + 0.5) / 7
        box = (x - width * 0.06, y - short * 0.085, width * 0.12, height * 0.10)
        handle = (x - short * 0.02, y - short * 0.07, short * 0.04, short * 0.006)
        parts.append(rect(*box, "none", short * 0.006, edge))
        parts.append(rect(*handle, paint("#dfe6e8"), short * 0.003))
    return "".join(parts)


def _monitor(room: Room, x: float, y: float) -> str:
    """Draw a screen with a curve on it, standing on ``y``."""
    canvas, short = room.canvas, room.canvas.short_px
    box = (x - short * 0.09, y - short * 0.13, short * 0.18, short * 0.115)
    glass = canvas.linear([(0, "#2a6f8f"), (1, "#123a55")])
    trace = [
        (
            x - short * 0.07 + short * 0.014 * step,
            y
            - short * 0.075
            + short * 0.026 * math.sin(step * 1.9) * canvas.chance.between(0.4, 1),
        )
        for step in range(11)
    ]
    return (
        rect(*box, "#232a35", short * 0.01)
        + rect(x - short * 0.08, y - short * 0.122, short * 0.16, short * 0.097, glass)
        + polyline(trace, stroke("#8ff0d8", short * 0.004))
        + rect(x - short * 0.012, y - short * 0.02, short * 0.024, short * 0.02, "#232a35")
    )


def _flask(room: Room, x: float, y: float) -> str:
    """Draw a conical flask with something coloured in it, standing on ``y``."""
    chance = room.canvas.chance
    size = room.canvas.short_px * 0.05 * chance.between(0.8, 1.15)
    liquid = chance.pick(["#59c2c9", "#e08f5d", "#8cc96b", "#b98ae0"])
    neck, mouth, shoulder = size * 0.18, y - size * 1.5, y - size * 0.9
    wide, heel, low = size * 0.7, size * 0.55, y - size * 0.1
    # fmt: off
    glass = curve("M", (x - neck, mouth), "L", (x - neck, shoulder), "L", (x - wide, low),
                  "Q", (x - wide, y), (x - heel, y), "L", (x + heel, y),
                  "Q", (x + wide, y), (x + wide, low), "L", (x + neck, shoulder),
                  "L", (x + neck, mouth), "Z")
    level, side, bottom, foot = y - size * 0.5, size * 0.68, y - size * 0.02, size * 0.54
    filling = curve("M", (x - size * 0.46, level), "L", (x - side, low),
                    "Q", (x - side, bottom), (x - foot, bottom), "L", (x + foot, bottom),
                    "Q", (x + side, bottom), (x + side, low), "L", (x + size * 0.46, level), "Z")
    # fmt: on
    return path(glass, "#e8f5f8", opacity(0.55)) + path(filling, liquid, opacity(0.9))


def office(room: Room) -> Furnishing:
    """Furnish with a desk, a board with notes, a filing cabinet and a ceiling light."""
    canvas, paint, chance = room.canvas, room.painted, room.canvas.chance
    width, height, short = canvas.width_px, canvas.height_px, canvas.short_px
    middle, floor = room.beside_window(short * 0.24), room.floor_px
    high, soft = floor - height * 0.36, short * 0.006
    board = (middle - short * 0.24, high, short * 0.22, short * 0.15)
    parts = [window(room, room.frame), rect(*board, paint("#f5f4ee"), soft)]
    for row in range(5):
        length = short * chance.between(0.08, 0.18)
        ink = paint(chance.pick(["#d96b5b", "#5f8fb5", "#6faa7a"]))
        y = high + short * (0.02 + 0.026 * row)
        parts.append(rect(middle - short * 0.225, y, length, short * 0.008, ink, short * 0.004))
    cabinet = (middle + short * 0.03, floor - short * 0.34, short * 0.18, short * 0.34)
    parts.append(rect(*cabinet, paint("#7d8794"), soft))
    for drawer in range(4):
        y = floor - short * (0.33 - 0.082 * drawer)
        front = (middle + short * 0.04, y, short * 0.16, short * 0.072)
        parts.append(rect(*front, paint("#98a3b0"), short * 0.005))
    desk, leg = floor + height * 0.02, paint("#8b6a45")
    centre, under = width * 0.5, desk - short * 0.07
    # fmt: off
    parts += [
        rect(centre - short * 0.3, desk - short * 0.09, short * 0.6, short * 0.02,
             paint("#c69a66")),
        rect(centre - short * 0.28, under, short * 0.03, height * 0.13, leg),
        rect(centre + short * 0.25, under, short * 0.03, height * 0.13, leg),
        rect(width * 0.2, height * 0.05, width * 0.6, short * 0.014, "#f6fbff", short * 0.007),
        canvas.glow(centre, height * 0.05, short * 0.5, "#eef6ff", 0.3),
    ]
    # fmt: on
    return Furnishing(markup="".join(parts))


def hospital(room: Room) -> Furnishing:
    """Furnish with a bed, a drip and a ceiling light."""
    width, height, short = room.canvas.width_px, room.canvas.height_px, room.canvas.short_px
    middle, floor, paint = room.furniture_px, room.floor_px, room.painted
    pole = middle + short * 0.34
    # fmt: off
    parts = [
        window(room, room.frame, curtain=paint("#9fc6bd")),
        rect(middle - short * 0.28, floor - short * 0.05, short * 0.56, short * 0.10,
             paint("#f3f6f5"), short * 0.02),
        rect(middle - short * 0.29, floor + short * 0.03, short * 0.58, short * 0.03,
             paint("#8fb0ab")),
        rect(middle - short * 0.30, floor - short * 0.16, short * 0.03, short * 0.28,
             paint("#9fb0b4"), short * 0.01),
        rect(middle - short * 0.22, floor - short * 0.09, short * 0.15, short * 0.06,
             "#ffffff", short * 0.02),
        line(pole, floor + height * 0.09, pole, floor - short * 0.34,
             paint("#9aa8ad"), short * 0.006),
        rect(middle + short * 0.32, floor - short * 0.34, short * 0.04, short * 0.08,
             "#cfe8ef", short * 0.01, opacity(0.9)),
        rect(width * 0.2, height * 0.05, width * 0.6, short * 0.014, "#f4fffb", short * 0.007),
    ]
    # fmt: on
    return Furnishing(markup="".join(parts))


def classroom(room: Room) -> Furnishing:
    """Furnish with a blackboard and two rows of desks."""
    canvas, paint, chance = room.canvas, room.painted, room.canvas.chance
    width, height, short = canvas.width_px, canvas.height_px, canvas.short_px
    centre, floor = width * 0.5, room.floor_px
    high = floor - height * 0.46
    border = (centre - short * 0.36, high, short * 0.72, short * 0.30)
    slate = (centre - short * 0.345, high + short * 0.015, short * 0.69, short * 0.27)
    parts = [rect(*border, paint("#7a5a3c"), short * 0.008), rect(*slate, paint("#2f5d4c"))]
    for row in range(4):
        y = high + short * (0.05 + 0.05 * row)
        chalk = (centre - short * 0.30, y, short * chance.between(0.2, 0.5), short * 0.006)
        parts.append(rect(*chalk, "#f0f2ea", short * 0.003, opacity(0.7)))
    for row, down in enumerate((0.02, 0.09)):
        y, grown = floor + height * down, 1 + row * 0.3
        for column in range(4):
            x = width * (column + 0.5) / 4
            top = (x - short * 0.08 * grown, y, short * 0.16 * grown, short * 0.018)
            leg = (y + short * 0.018, short * 0.012, height * 0.08, paint("#6f7f8a"))
            parts.append(rect(*top, paint("#d0a46c"), short * 0.004))
            parts.append(rect(x - short * 0.07, *leg))
            parts.append(rect(x + short * 0.06, *leg))
    return Furnishing(markup="".join(parts))
