"""Towers: one of stone at whose foot people stand, and a lighthouse near or far."""

from __future__ import annotations

from stage3_plugin.previz.backdrop.land import grass, ground, ridge
from stage3_plugin.previz.backdrop.setting import Outdoors, Scenery
from stage3_plugin.previz.backdrop.waters import coast, water
from stage3_plugin.previz.colour import darken, lighten
from stage3_plugin.previz.svg import (
    circle,
    curve,
    line,
    number,
    opacity,
    path,
    polygon,
    rect,
    smooth,
)


def tower(outdoors: Outdoors) -> Scenery:
    """Draw a tower on a hill with a door and lit windows, or a lighthouse above the sea."""
    if "lighthouse" in outdoors.canvas.features:
        return _headland(outdoors)
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height = canvas.width_px, canvas.height_px
    foot = horizon + height * 0.045
    # fmt: off
    parts = [
        ridge(canvas, horizon - height * 0.01, height * 0.09, "#73849c",
              rough=0.08, depth=0.6, floor_px=height),
        ridge(canvas, horizon + height * 0.005, height * 0.045, outdoors.snowed("#5d7a62"),
              rough=0.03, depth=0.32, floor_px=height),
        ground(canvas, horizon + height * 0.012, outdoors.snowed("#5f7557"), 0.2),
    ]
    # fmt: on
    middle = width * (0.74 if canvas.people else 0.5)
    wide = min(width * 0.26, height * 0.34)
    parts.append(_stone(outdoors, middle, foot, wide))
    if not outdoors.is_snowy:
        top, green = horizon + height * 0.06, canvas.tone("#4a6b45")
        parts.append(grass(canvas, top, height, green, blades=80, height=height * 0.045))
    return Scenery(markup="".join(parts), ground_px=foot)


def _headland(outdoors: Outdoors) -> Scenery:
    """Draw a lighthouse on a green headland that falls off to the sea."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height = canvas.width_px, canvas.height_px
    middle, foot = width * (0.74 if canvas.people else 0.66), horizon + height * 0.05
    # fmt: off
    land = [(-10, horizon + height * 0.22), (width * 0.20, horizon + height * 0.19),
            (width * 0.42, horizon + height * 0.11), (width * 0.58, foot - height * 0.004),
            (middle, foot - height * 0.010), (width + 10, foot + height * 0.02)]
    # fmt: on
    near = canvas.tone(outdoors.snowed("#6b8a58"))
    turf = canvas.linear([(0, near), (1, darken(near, 0.5))])
    rock = darken(canvas.tone(outdoors.powdered("#7a736a")), 0.1)
    cliff = [(x, y + height * 0.012) for x, y in land]
    parts = [coast(outdoors), water(outdoors)]
    parts.append(path(smooth(cliff, height + 10), rock))
    parts.append(lighthouse(outdoors, middle, foot, min(horizon, height * 0.66), depth=0.06))
    parts.append(path(smooth(land, height + 10), turf))
    if not outdoors.is_snowy:
        top, green = horizon + height * 0.22, canvas.tone("#4a6b45")
        parts.append(grass(canvas, top, height, green, blades=80, height=height * 0.045))
    return Scenery(
        markup="".join(parts),
        ground_px=horizon + height * 0.12,
        waterline_px=horizon + height * 0.055,
    )


def _stone(outdoors: Outdoors, x: float, y: float, wide: float) -> str:
    """Draw a round tower of courses of stone, ``wide`` at its foot, with an iron door."""
    canvas = outdoors.canvas
    chance, height = canvas.chance, canvas.height_px
    wall = canvas.tone(outdoors.powdered("#a8a298"), 0.04)
    crown = max(y - height * 0.64, height * 0.09)
    top, half, narrow = crown + wide * 0.16, wide * 0.5, wide * 0.42
    fill = canvas.linear(
        [(0, darken(wall, 0.35)), (0.35, wall), (1, darken(wall, 0.5))], 0, 0, 1, 0
    )
    body = [(x - half, y), (x - narrow, top), (x + narrow, top), (x + half, y)]
    parts = [polygon(body, fill)]
    seam, pale = darken(wall, 0.42), lighten(wall, 0.10)
    courses = 15
    for course in range(1, courses):
        level = y - (y - top) * course / courses
        reach = half - (half - narrow) * course / courses
        parts.append(line(x - reach, level, x + reach, level, seam, wide * 0.007, opacity(0.5)))
        for stone in range(6):
            left = x - reach + 2 * reach * (stone + (0.5 if course % 2 else 0.0)) / 6
            joint = (left, level, left, level + (y - top) / courses)
            if x - reach < left < x + reach:
                parts.append(line(*joint, seam, wide * 0.006, opacity(0.45)))
        if chance.happens(0.6):
            left = x + reach * chance.between(-0.9, 0.6)
            size = (reach * 0.26, (y - top) / courses * 0.9)
            parts.append(rect(left, level + size[1] * 0.05, *size, pale, extra=opacity(0.5)))
    ledge = wide * 0.06
    parts.append(rect(x - narrow - ledge, top - ledge, 2 * (narrow + ledge), ledge * 1.7, wall))
    notch = 2 * (narrow + ledge) / 11
    for merlon in range(6):
        left = x - narrow - ledge + merlon * notch * 2
        parts.append(rect(left, top - ledge - notch * 1.1, notch, notch * 1.2, wall))
    parts.extend(_slit(outdoors, x, y - (y - top) * up, wide) for up in (0.48, 0.74))
    parts.append(_door(outdoors, x, y, wide))
    return "".join(parts)


def _slit(outdoors: Outdoors, x: float, y: float, wide: float) -> str:
    canvas = outdoors.canvas
    is_lit = outdoors.lit_share > 0
    glass = canvas.palette.warm if is_lit else darken(canvas.tone("#a8a298"), 0.7)
    size = (wide * 0.09, wide * 0.20)
    frame = canvas.tone("#6d665e")
    box = (x - size[0] * 0.8, y - size[1] * 0.1, size[0] * 1.6, size[1] * 1.2)
    shine = canvas.glow(x, y + size[1] * 0.5, wide * 0.45, glass, 0.5) if is_lit else ""
    return (
        shine
        + rect(*box, frame, size[0] * 0.8)
        + rect(x - size[0] / 2, y, *size, glass, size[0] * 0.5)
    )


def _door(outdoors: Outdoors, x: float, y: float, wide: float) -> str:
    canvas = outdoors.canvas
    half, high = wide * 0.15, wide * 0.50
    stone, iron = canvas.tone("#7d766c"), canvas.tone("#3d4148")

    def arch(grow: float) -> str:
        side, spring = half * grow, y - high * 0.62 * grow
        bow = f"A{number(side)} {number(side)} 0 0 1 "
        start = curve("M", (x - side, y), "L", (x - side, spring), bow, (x + side, spring))
        return start + curve("L", (x + side, y), "Z")

    parts = [path(arch(1.28), stone), path(arch(1.0), iron)]
    band = lighten(iron, 0.16)
    for up in (0.16, 0.40, 0.62):
        level = y - high * up
        parts.append(line(x - half, level, x + half, level, band, wide * 0.018))
        parts.extend(
            circle(x + half * rivet, level, wide * 0.012, lighten(iron, 0.35))
            for rivet in (-0.7, 0.0, 0.7)
        )
    parts.append(circle(x + half * 0.6, y - high * 0.30, wide * 0.022, canvas.tone("#c9a24a")))
    return "".join(parts)


def lighthouse(outdoors: Outdoors, x: float, y: float, height_px: float, *, depth: float) -> str:
    """Draw a white tower with red bands and a lamp, which shines after dark.

    Args:
        outdoors: The conditions.
        x: The middle of its foot.
        y: Its foot.
        height_px: How high it is.
        depth: How far away, from 0 to 1.
    """
    canvas = outdoors.canvas
    white, red = canvas.tone("#efe9de", depth), canvas.tone("#b8463e", depth)
    iron = canvas.tone("#3b4048", depth)
    half, narrow, gallery = height_px * 0.115, height_px * 0.075, y - height_px * 0.78
    shade = canvas.linear(
        [(0, darken(white, 0.2)), (0.4, white), (1, darken(white, 0.35))], 0, 0, 1, 0
    )
    body = [(x - half, y), (x - narrow, gallery), (x + narrow, gallery), (x + half, y)]
    parts = [polygon(body, shade)]
    for band in (0.24, 0.62):
        low, high = y - (y - gallery) * band, y - (y - gallery) * (band + 0.17)
        wide, tight = half - (half - narrow) * band, half - (half - narrow) * (band + 0.17)
        ring = [(x - wide, low), (x - tight, high), (x + tight, high), (x + wide, low)]
        parts.append(polygon(ring, red, opacity(0.92)))
    is_lit = outdoors.lit_share > 0 and "unlit" not in canvas.features
    glass = canvas.palette.warm if is_lit else canvas.tone("#bcd3dc", depth)
    lamp_y = gallery - height_px * 0.06
    if is_lit:
        beam = canvas.linear([(0, glass, 0.5), (1, glass, 0)], 0, 0, 1, 0)
        reach = height_px * 2.4
        aside = 1 if x < canvas.width_px / 2 else -1
        ray = [
            (x, lamp_y),
            (x + aside * reach, lamp_y - height_px * 0.24),
            (x + aside * reach, lamp_y + height_px * 0.16),
        ]
        if aside > 0:
            parts.append(polygon(ray, beam))
        else:
            mirrored = canvas.linear([(0, glass, 0), (1, glass, 0.5)], 0, 0, 1, 0)
            parts.append(polygon(ray, mirrored))
        parts.append(canvas.glow(x, lamp_y, height_px * 0.4, glass, 0.8))
    room = height_px * 0.058
    parts.append(
        rect(x - narrow * 1.35, gallery - height_px * 0.015, narrow * 2.7, height_px * 0.03, iron)
    )
    parts.append(rect(x - room, gallery - height_px * 0.115, room * 2, height_px * 0.10, glass))
    for bar in (-1, 0, 1):
        left = x + bar * room * 0.95
        parts.append(
            line(left, gallery, left, gallery - height_px * 0.115, iron, height_px * 0.008)
        )
    dome = [(x - room * 1.3, gallery - height_px * 0.11), (x, gallery - height_px * 0.22)]
    parts.append(polygon([*dome, (x + room * 1.3, gallery - height_px * 0.11)], red))
    door = (height_px * 0.05, height_px * 0.09)
    parts.append(rect(x - door[0] / 2, y - door[1], *door, iron, door[0] * 0.4))
    return "".join(parts)
