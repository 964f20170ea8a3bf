"""Hair behind the body, hair over the face, and what covers it."""

from __future__ import annotations

import math

from stage3_plugin.previz.chance import Chance
from stage3_plugin.previz.colour import darken, lighten
from stage3_plugin.previz.figure.mannequin import Mannequin
from stage3_plugin.previz.svg import Point, circle, curve, opacity, path, stroke


def back_hair(figure: Mannequin) -> str:
    """Draw what of the hair is behind head and body."""
    if figure.look.outfit == "spacesuit":
        return ""  # it has to fit into the helmet
    hair = figure.paint.hair
    # fmt: off
    match figure.look.hair:
        case "long":
            fall = figure.outline(
                "M", (-0.40, -0.42), "C", (-0.64, -0.05), (-0.68, 0.9), (-0.56, 1.45),
                "L", (0.56, 1.45), "C", (0.68, 0.9), (0.64, -0.05), (0.40, -0.42), "Z")
            return path(fall, figure.ink(darken(hair, 0.18)))
        case "bob":
            fall = figure.outline(
                "M", (-0.40, -0.42), "C", (-0.62, -0.1), (-0.64, 0.45), (-0.52, 0.52),
                "L", (0.52, 0.52), "C", (0.64, 0.45), (0.62, -0.1), (0.40, -0.42), "Z")
            return path(fall, figure.ink(darken(hair, 0.18)))
        case "ponytail":
            away = -figure.near
            tail = figure.outline(
                "M", (away * 0.28, -0.42),
                "C", (away * 0.85, -0.5), (away * 0.92, 0.2), (away * 0.66, 0.95),
                "C", (away * 0.6, 0.5), (away * 0.5, 0.1), (away * 0.3, 0.02), "Z")
            return path(tail, figure.ink(darken(hair, 0.15)))
        case "bun":
            knot = figure.at(-figure.facing * 0.16, -0.60)
            return circle(*knot, figure.px(0.22), figure.ink(darken(hair, 0.08)))
        case _:
            return ""
    # fmt: on


def front_hair(figure: Mannequin) -> str:
    """Draw what of the hair is over the head."""
    hair = figure.look.hair
    if hair == "bald":
        return ""
    if hair == "messy" and figure.look.outfit != "spacesuit":
        return _messy(figure)
    if hair in {"long", "bob"}:
        return _parted(figure)
    return _cropped(figure)


def _messy(figure: Mannequin) -> str:
    """Draw a crown of tufts and a ragged fringe."""
    colour = figure.ink(figure.paint.hair)
    shape = "L".join(figure.outline(place) for place in (*_tufts(figure), *_fringe(figure)))
    strands = path(f"M{shape}Z", colour, stroke(colour, figure.px(0.035), join=True))
    if figure.is_solid:
        return strands
    return strands + _gleam(figure, (-0.26, -0.50), (-0.10, -0.62), (0.10, -0.58))


def _tufts(figure: Mannequin) -> list[Point]:
    count, strands = 11, Chance(figure.seed)
    ring: list[Point] = []
    for step in range(count + 1):
        angle = math.pi * (1.02 - 1.04 * step / count)
        ring.append((math.cos(angle) * 0.465, -0.10 - math.sin(angle) * 0.56))
        if step < count:
            lean = 0.78 if step < count / 2 else 0.22
            tip = math.pi * (1.02 - 1.04 * (step + 1 - lean) / count)
            reach = 1 + strands.between(0.05, 0.135)
            ring.append((math.cos(tip) * 0.465 * reach, -0.10 - math.sin(tip) * 0.575 * reach))
    return ring


def _fringe(figure: Mannequin) -> list[Point]:
    # fmt: off
    ends = ((0.40, -0.02), (0.375, -0.17), (0.29, -0.05), (0.25, -0.25), (0.13, -0.10),
            (0.06, -0.27), (-0.04, -0.12), (-0.13, -0.28), (-0.21, -0.11), (-0.29, -0.25),
            (-0.35, -0.07), (-0.40, -0.02))
    # fmt: on
    return [(x + figure.facing * 0.06 * (1 - abs(x)), y) for x, y in ends]


def _cropped(figure: Mannequin) -> str:
    """Draw short hair, or hair drawn back."""
    facing = figure.facing
    temple = 0.02 if figure.look.hair in {"ponytail", "bun"} else 0.06
    # fmt: off
    shape = figure.outline(
        "M", (-0.44, temple), "C", (-0.52, -0.42), (-0.30, -0.68), (0, -0.67),
        "C", (0.30, -0.68), (0.52, -0.42), (0.44, temple),
        "L", (0.38, -0.06),
        "C", (0.38, -0.22), (0.30 + facing * 0.05, -0.30), (0.12 + facing * 0.12, -0.31),
        "C", (-0.05 + facing * 0.1, -0.30), (-0.20 + facing * 0.1, -0.26),
        (-0.26 + facing * 0.1, -0.20),
        "C", (-0.34, -0.22), (-0.37, -0.16), (-0.38, -0.06), "Z")
    # fmt: on
    gleam = _gleam(figure, (-0.28, -0.50), (0, -0.64), (0.26, -0.50))
    return path(shape, figure.ink(figure.paint.hair)) + gleam


def _parted(figure: Mannequin) -> str:
    """Draw long hair that falls to both sides of the face."""
    facing = figure.facing
    # fmt: off
    shape = figure.outline(
        "M", (-0.46, 0.30), "C", (-0.58, -0.35), (-0.34, -0.69), (0, -0.68),
        "C", (0.34, -0.69), (0.58, -0.35), (0.46, 0.30),
        "C", (0.42, 0.05), (0.40, -0.10), (0.34 + facing * 0.04, -0.22),
        "C", (0.15 + facing * 0.1, -0.30), (facing * 0.1, -0.36), (-0.06 + facing * 0.12, -0.42),
        "C", (-0.14 + facing * 0.1, -0.30), (-0.34, -0.20), (-0.38, -0.05),
        "C", (-0.40, 0.05), (-0.42, 0.15), (-0.46, 0.30), "Z")
    # fmt: on
    gleam = _gleam(figure, (-0.30, -0.50), (0, -0.65), (0.28, -0.50))
    return path(shape, figure.ink(figure.paint.hair)) + gleam


def _gleam(figure: Mannequin, start: Point, bow: Point, end: Point) -> str:
    colour = figure.ink(lighten(figure.paint.hair, 0.12))
    shine = figure.pen(colour, 0.035) + opacity(0.7)
    return path(figure.outline("M", start, "Q", bow, end), extra=shine)


def headgear(figure: Mannequin) -> str:
    """Draw the helmet that goes with the outfit, if one does."""
    if figure.look.outfit == "spacesuit":
        return _space_helmet(figure)
    if figure.look.outfit == "armor" and not figure.is_solid:
        return _plumed_helmet(figure)
    return ""


def _space_helmet(figure: Mannequin) -> str:
    globe = (*figure.at(0, -0.02), figure.px(0.70))
    rim = stroke(figure.ink(figure.lit("#e6ebf0")), figure.px(0.08))
    if figure.is_solid:
        return circle(*globe, "none", rim)
    gleam = figure.outline("M", (-0.44, -0.32), "Q", (-0.30, -0.54), (-0.04, -0.58))
    return (
        circle(*globe, "#cfe9ff", opacity(0.22))
        + circle(*globe, "none", rim)
        + path(gleam, extra=figure.pen("#ffffff", 0.05) + opacity(0.8))
    )


def _plumed_helmet(figure: Mannequin) -> str:
    # fmt: off
    helmet = figure.outline(
        "M", (-0.46, -0.02), "C", (-0.52, -0.5), (-0.25, -0.70), (0, -0.70),
        "C", (0.25, -0.70), (0.52, -0.5), (0.46, -0.02),
        "L", (0.36, -0.16), "L", (-0.36, -0.16), "Z")
    px, back = figure.px, -figure.near
    plume = figure.outline("M", (0, -0.70)) + curve(
        "q", (back * px(0.10), -px(0.45)), (back * px(0.75), -px(0.30)),
        "q", (-back * px(0.10), px(0.10)), (-back * px(0.05), px(0.42)), "Z")
    # fmt: on
    return path(helmet, lighten(figure.paint.coat, 0.05)) + path(plume, figure.paint.main)
