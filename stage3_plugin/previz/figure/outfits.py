"""What is on an outfit: lapels, ties, belts, buttons, plates.

One function per outfit behind a table of words. ``middle`` is where the front's middle line is
seen when the figure turns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from stage3_plugin.previz.colour import darken, lighten, luminance
from stage3_plugin.previz.figure.mannequin import NECK, Mannequin
from stage3_plugin.previz.svg import circle, ellipse, line, opacity, path, rect, stroke


def outfit_details(figure: Mannequin) -> str:
    """Draw what is on the outfit; nothing on a silhouette."""
    if figure.is_solid:
        return ""
    return DETAILS.get(figure.look.outfit, _shirt)(figure, figure.facing * 0.10)


def _coat(figure: Mannequin, middle: float) -> str:
    """Draw a buttoned coat with a wide collar and a scarf of the character's colour."""
    paint, body = figure.paint, figure.body
    coat, hem = paint.coat, body.hem
    trim = lighten(coat, 0.16) if luminance(coat) < 0.8 else darken(coat, 0.12)
    seam = darken(coat, 0.32)
    # fmt: off
    scarf = figure.outline(
        "M", (middle - 0.26, NECK - 0.06), "L", (middle + 0.26, NECK - 0.06),
        "L", (middle, NECK + 0.62), "Z")
    # fmt: on
    parts = [path(scarf, paint.inner)]
    for side in (-1, 1):
        # fmt: off
        collar = figure.outline(
            "M", (middle + side * 0.22, NECK - 0.10), "L", (middle + side * 0.60, NECK + 0.34),
            "L", (middle + side * 0.44, NECK + 0.62), "L", (middle, NECK + 0.72),
            "L", (middle + side * 0.08, NECK + 0.40), "Z")
        # fmt: on
        parts.append(path(collar, trim))
    edge = figure.outline("M", (middle + 0.06, NECK + 0.72), "L", (middle + 0.10, hem))
    parts.append(path(edge, extra=figure.pen(seam, 0.03)))
    for row in range(3):
        for side in (-1, 1):
            where = figure.at(middle + side * 0.20, NECK + 0.98 + 0.48 * row)
            parts.append(circle(*where, figure.px(0.05), darken(coat, 0.5)))
    for side in (-1, 1):
        x = middle + side * body.waist * 0.62
        pocket = figure.outline("M", (x - 0.16, 2.62), "L", (x + 0.16, 2.58))
        parts.append(path(pocket, extra=figure.pen(seam, 0.05)))
    return "".join(parts)


def _raincoat(figure: Mannequin, middle: float) -> str:
    """Draw a closed coat with a flap over its buttons, and seams that shine."""
    paint, body = figure.paint, figure.body
    coat, hem = paint.coat, body.hem
    seam, shine = darken(coat, 0.26), lighten(coat, 0.35)
    # fmt: off
    flap = figure.outline(
        "M", (middle - 0.13, NECK + 0.06), "L", (middle + 0.15, NECK + 0.06),
        "L", (middle + 0.19, hem), "L", (middle - 0.15, hem), "Z")
    neck = figure.outline(
        "M", (middle - 0.24, NECK - 0.08), "Q", (middle, NECK + 0.20), (middle + 0.24, NECK - 0.08),
        "Z")
    # fmt: on
    parts = [path(neck, paint.main), path(flap, lighten(coat, 0.08))]
    for side in (-0.15, 0.17):
        start, end = (middle + side * 0.9, NECK + 0.08), (middle + side, hem)
        line_of_it = figure.outline("M", start, "L", end)
        parts.append(path(line_of_it, extra=figure.pen(seam, 0.022)))
    for button in range(5):
        where = figure.at(middle + 0.01, NECK + 0.34 + 0.56 * button)
        if NECK + 0.34 + 0.56 * button < hem - 0.2:
            parts.append(circle(*where, figure.px(0.05), darken(coat, 0.5)))
    for side in (-1, 1):
        x = middle + side * body.waist * 0.66
        # fmt: off
        pocket = figure.outline("M", (x - 0.19, 2.60), "L", (x + 0.19, 2.60),
                                "L", (x + 0.17, 2.80), "L", (x - 0.17, 2.80), "Z")
        # fmt: on
        parts.append(path(pocket, seam, opacity(0.55)))
    gleam_x = figure.near * body.shoulder * 0.72
    gleam = figure.outline(
        "M", (gleam_x, NECK + 0.42), "Q", (gleam_x * 0.94, 1.3), (gleam_x * 0.86, 1.9)
    )
    parts.append(path(gleam, extra=figure.pen(shine, 0.05) + opacity(0.8)))
    return "".join(parts)


def hood(figure: Mannequin) -> str:
    """Draw the hood of a raincoat, which lies around the neck."""
    if figure.look.outfit != "raincoat":
        return ""
    coat = figure.paint.coat
    # fmt: off
    roll = figure.outline(
        "M", (-0.30, NECK - 0.20), "C", (-0.66, NECK - 0.12), (-0.62, NECK + 0.30),
        (-0.10, NECK + 0.22),
        "Q", (0, NECK + 0.19), (0.10, NECK + 0.22),
        "C", (0.62, NECK + 0.30), (0.66, NECK - 0.12), (0.30, NECK - 0.20), "Z")
    # fmt: on
    return path(roll, figure.ink(darken(coat, 0.14)))


def _sweater(figure: Mannequin, middle: float) -> str:
    """Draw a rolled collar, a ribbed hem and rows of knitting."""
    paint, body = figure.paint, figure.body
    coat, hem = paint.coat, body.hem
    dark = darken(coat, 0.24)
    collar = figure.outline(
        "M", (middle - 0.25, NECK - 0.02), "Q", (middle, NECK + 0.22), (middle + 0.25, NECK - 0.02)
    )
    rib = figure.outline(
        "M", (-body.skirt * 0.95, hem - 0.08), "L", (body.skirt * 0.95, hem - 0.08)
    )
    chest = paint.main if figure.look.garment else lighten(coat, 0.25)
    # fmt: off
    band = figure.outline("M", (-body.shoulder * 0.93, NECK + 0.62), "Q", (middle, NECK + 0.76),
                          (body.shoulder * 0.93, NECK + 0.62))
    # fmt: on
    parts = [
        path(collar, extra=figure.limb(lighten(coat, 0.14), 0.16)),
        path(band, extra=figure.pen(chest, 0.07)),
        path(rib, extra=figure.pen(dark, 0.14)),
    ]
    for row in range(3):
        y = NECK + 1.02 + 0.42 * row
        knit = figure.outline("M", (middle - 0.36, y), "Q", (middle, y + 0.10), (middle + 0.36, y))
        parts.append(path(knit, extra=figure.pen(dark, 0.02) + opacity(0.7)))
    return "".join(parts)


def _labcoat(figure: Mannequin, middle: float) -> str:
    """Draw an open coat over a shirt and tie, with a pen in its pocket."""
    paint, near = figure.paint, figure.near
    coat, inner = paint.coat, paint.inner
    opening = min(figure.body.hem, figure.body.hip_y + 0.9)
    # fmt: off
    front = figure.outline(
        "M", (middle - 0.22, NECK - 0.02), "L", (middle + 0.22, NECK - 0.02),
        "L", (middle + 0.13, 2.5), "L", (middle + 0.16, opening),
        "L", (middle - 0.10, opening), "L", (middle - 0.12, 2.5), "Z")
    tie = figure.outline(
        "M", (middle - 0.05, NECK + 0.12), "L", (middle + 0.05, NECK + 0.12),
        "L", (middle + 0.07, 1.7), "L", (middle, 1.84), "L", (middle - 0.07, 1.7), "Z")
    parts = [path(front, inner), path(tie, darken(inner, 0.45))]
    lapel_colour = lighten(coat, 0.25) if luminance(coat) < 0.8 else darken(coat, 0.10)
    for side in (-1, 1):
        lapel = figure.outline(
            "M", (middle + side * 0.20, NECK - 0.05), "L", (middle + side * 0.50, NECK + 0.55),
            "L", (middle + side * 0.30, NECK + 0.70), "L", (middle + side * 0.36, NECK + 0.86),
            "L", (middle + side * 0.05, 1.9), "L", (middle + side * 0.13, NECK + 0.3), "Z")
        parts.append(path(lapel, lapel_colour))
    # fmt: on
    edge = (*figure.at(middle + 0.02, 1.95), *figure.at(middle + 0.02, opening))
    parts.append(line(*edge, darken(coat, 0.3), figure.px(0.02)))
    pocket = figure.outline("M", (middle + near * 0.42, 1.55), "L", (middle + near * 0.70, 1.52))
    parts.append(path(pocket, extra=figure.limb(darken(coat, 0.22), 0.035)))
    pen_x, pen_y = figure.at(middle + near * 0.50, 1.36)
    pen = (pen_x - figure.px(0.03), pen_y, figure.px(0.05), figure.px(0.22))
    parts.append(rect(*pen, paint.main, figure.px(0.02)))
    return "".join(parts)


def _suit(figure: Mannequin, middle: float) -> str:
    paint, coat = figure.paint, figure.paint.coat
    # fmt: off
    shirt = figure.outline("M", (middle - 0.24, NECK - 0.02), "L", (middle + 0.24, NECK - 0.02),
                           "L", (middle, 1.75), "Z")
    tie = figure.outline(
        "M", (middle - 0.07, NECK + 0.06), "L", (middle + 0.07, NECK + 0.06),
        "L", (middle + 0.05, NECK + 0.2), "L", (middle + 0.10, 1.5), "L", (middle, 1.68),
        "L", (middle - 0.10, 1.5), "L", (middle - 0.05, NECK + 0.2), "Z")
    parts = [path(shirt, figure.lit("#f4f4f0")), path(tie, paint.main)]
    for side in (-1, 1):
        lapel = figure.outline(
            "M", (middle + side * 0.22, NECK - 0.05), "L", (middle + side * 0.50, NECK + 0.45),
            "L", (middle + side * 0.32, NECK + 0.58), "L", (middle + side * 0.40, NECK + 0.72),
            "L", (middle, 1.85), "Z")
        parts.append(path(lapel, lighten(coat, 0.13)))
    # fmt: on
    edge = (*figure.at(middle, 1.85), *figure.at(middle, figure.body.hem))
    parts.append(line(*edge, darken(coat, 0.4), figure.px(0.02)))
    for button in (2.1, 2.5):
        where = figure.at(middle + 0.04, button)
        parts.append(circle(*where, figure.px(0.03), lighten(coat, 0.4)))
    return "".join(parts)


def _robe(figure: Mannequin, middle: float) -> str:
    paint, body = figure.paint, figure.body
    coat, waist = paint.coat, body.waist
    # fmt: off
    under = figure.outline("M", (middle - 0.26, NECK - 0.04), "L", (middle + 0.14, 1.5),
                           "L", (middle - 0.06, 1.75), "L", (middle - 0.42, NECK + 0.10), "Z")
    over = figure.outline("M", (middle + 0.26, NECK - 0.04), "L", (middle - 0.30, 1.95),
                          "L", (middle - 0.10, 2.1), "L", (middle + 0.42, NECK + 0.10), "Z")
    belt = figure.outline("M", (-waist * 0.99, 2.15), "L", (waist * 0.99, 2.15),
                          "L", (waist * 1.02, 2.55), "L", (-waist * 1.02, 2.55), "Z")
    sash = figure.outline("M", (middle - 0.04, 2.5), "L", (middle + 0.10, 2.5),
                          "L", (middle + 0.14, 3.6), "L", (middle - 0.02, 3.6), "Z")
    # fmt: on
    parts = [
        path(under, paint.inner),
        path(over, lighten(paint.inner, 0.25)),
        path(belt, darken(coat, 0.42)),
        path(sash, darken(coat, 0.3)),
    ]
    fold = stroke(darken(coat, 0.25), figure.px(0.03)) + opacity(0.7)
    for across in (-0.5, -0.1, 0.35):
        start, end = (across * body.skirt * 0.6, 2.7), (across * body.skirt * 1.5, body.hem - 0.1)
        parts.append(path(figure.outline("M", start, "L", end), extra=fold))
    return "".join(parts)


def _armor(figure: Mannequin, middle: float) -> str:
    paint, body = figure.paint, figure.body
    coat, shoulder, waist = paint.coat, body.shoulder, body.waist
    # fmt: off
    plate = figure.outline(
        "M", (-shoulder * 0.8, NECK + 0.30), "Q", (0, NECK + 0.05), (shoulder * 0.8, NECK + 0.30),
        "L", (waist * 0.9, 2.2), "Q", (0, 2.45), (-waist * 0.9, 2.2), "Z")
    # fmt: on
    ridge = figure.outline("M", (middle, NECK + 0.2), "L", (middle, 2.3))
    belt = figure.outline("M", (-waist, 2.35), "L", (waist, 2.35))
    parts = [
        path(plate, lighten(coat, 0.18)),
        path(ridge, extra=figure.limb(darken(coat, 0.3), 0.04)),
        path(belt, extra=figure.limb(paint.main, 0.16)),
    ]
    return "".join(parts)


def shoulder_guards(figure: Mannequin) -> str:
    """Draw the plates over both arms of an armour."""
    if figure.look.outfit != "armor" or figure.is_solid:
        return ""
    paint, rim = figure.paint, stroke(figure.paint.main, figure.px(0.06))
    parts: list[str] = []
    for side in (-1, 1):
        middle = figure.at(side * figure.body.shoulder * 0.92, 1.0)
        guard = (*middle, figure.px(0.30), figure.px(0.27))
        parts.append(ellipse(*guard, lighten(paint.coat, 0.25), rim))
    return "".join(parts)


def _spacesuit(figure: Mannequin, middle: float) -> str:
    paint, body = figure.paint, figure.body
    shoulder, waist = body.shoulder, body.waist
    panel = (*figure.at(middle - 0.30, 1.25), figure.px(0.6), figure.px(0.5))
    slot = (*figure.at(middle - 0.2, 1.56), figure.px(0.4), figure.px(0.08))
    left = figure.outline("M", (-shoulder * 0.98, 1.25), "L", (-shoulder * 0.80, 1.30))
    right = figure.outline("M", (shoulder * 0.80, 1.30), "L", (shoulder * 0.98, 1.25))
    belt = figure.outline("M", (-waist, 2.5), "L", (waist, 2.5))
    badge = figure.limb(paint.main, 0.12)
    red, blue = figure.at(middle - 0.15, 1.42), figure.at(middle + 0.04, 1.42)
    return "".join(
        [
            rect(*panel, figure.lit("#c9d2dc"), figure.px(0.08)),
            circle(*red, figure.px(0.06), figure.lit("#e4572e")),
            circle(*blue, figure.px(0.06), figure.lit("#4fb0e0")),
            rect(*slot, figure.lit("#6b7686"), figure.px(0.03)),
            path(left, extra=badge),
            path(right, extra=badge),
            path(belt, extra=figure.limb(paint.main, 0.10)),
        ]
    )


def _dress(figure: Mannequin, middle: float) -> str:
    paint, waist = figure.paint, figure.body.waist
    belt = figure.outline("M", (-waist, 2.3), "Q", (0, 2.42), (waist, 2.3))
    # fmt: off
    neckline = figure.outline("M", (middle - 0.26, NECK - 0.04), "Q", (middle, NECK + 0.34),
                              (middle + 0.26, NECK - 0.04), "Z")
    # fmt: on
    has_own_colour = bool(figure.look.garment)
    wide = path(belt, extra=figure.limb(paint.main, 0.12)) if has_own_colour else ""
    sash = paint.main if has_own_colour else darken(paint.coat, 0.35)
    return wide + path(neckline, paint.skin) + path(belt, extra=figure.limb(sash, 0.10))


def _shirt(figure: Mannequin, middle: float) -> str:
    paint, coat = figure.paint, figure.paint.coat
    collar_colour = paint.main if figure.look.garment else lighten(coat, 0.3)
    parts: list[str] = []
    for side in (-1, 1):
        wing, point = (middle + side * 0.27, NECK - 0.08), (middle + side * 0.38, NECK + 0.22)
        collar = figure.outline("M", (middle, NECK + 0.30), "L", wing, "L", point, "Z")
        parts.append(path(collar, collar_colour))
    edge = (*figure.at(middle, NECK + 0.3), *figure.at(middle, figure.body.hem))
    parts.append(line(*edge, darken(coat, 0.25), figure.px(0.022)))
    for button in range(5):
        where = figure.at(middle, NECK + 0.5 + 0.42 * button)
        parts.append(circle(*where, figure.px(0.022), darken(coat, 0.4)))
    return "".join(parts)


DETAILS: Final[Mapping[str, Callable[[Mannequin, float], str]]] = MappingProxyType(
    {
        "armor": _armor,
        "coat": _coat,
        "dress": _dress,
        "labcoat": _labcoat,
        "raincoat": _raincoat,
        "robe": _robe,
        "shirt": _shirt,
        "spacesuit": _spacesuit,
        "suit": _suit,
        "sweater": _sweater,
    }
)
"""What is on each outfit; an unknown one is a shirt."""
