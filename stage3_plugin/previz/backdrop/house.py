"""A gabled old house seen from the front: the one building people come out of.

A second figure stands in its door, so the house returns where that is.
"""

from __future__ import annotations

from dataclasses import dataclass

from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import darken, lighten, mix
from stage3_plugin.previz.svg import (
    Point,
    curve,
    ellipse,
    line,
    opacity,
    path,
    polygon,
    rect,
    stroke,
)


@dataclass(frozen=True, slots=True)
class House:
    """A drawn house, the foot of its door, and the door's height in pixels."""

    markup: str
    door: Point
    door_height_px: float


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the house stands and what it is painted with."""

    canvas: Canvas
    x: float
    y: float
    width: float
    height: float
    wall: str
    roof: str
    trim: str
    is_night: bool


def house(
    canvas: Canvas, x: float, y: float, size: float, *, base: str, roof: str, is_night: bool
) -> House:
    """Draw a house ``size`` pixels wide, its foot's middle at ``x``, ``y``."""
    plan = _Plan(
        canvas=canvas,
        x=x,
        y=y,
        width=size,
        height=size * 0.56,
        wall=canvas.tone(base),
        roof=canvas.tone(roof, 0, 0.1),
        trim=canvas.tone("#efe6d5"),
        is_night=is_night,
    )
    door = (x + size * 0.16, y)
    markup = _walls(plan) + _roofs(plan) + _windows(plan) + _porch(plan, door[0])
    return House(markup, door, plan.height * 0.72)


def _walls(plan: _Plan) -> str:
    x, y, width, height = plan.x, plan.y, plan.width, plan.height
    shadow = ellipse(x, y + width * 0.02, width * 0.66, width * 0.05, "#000000", opacity(0.28))
    fill = plan.canvas.linear([(0, plan.wall), (1, darken(plan.wall, 0.28))])
    parts = [shadow, rect(x - width / 2, y - height, width, height, fill)]
    seam = darken(plan.wall, 0.35)
    for board in range(1, 9):
        level = y - height + height * board / 9
        ends = (x - width / 2, level, x + width / 2, level)
        parts.append(line(*ends, seam, width * 0.004, opacity(0.55)))
    return "".join(parts)


def _roofs(plan: _Plan) -> str:
    x, y, width, height, roof = plan.x, plan.y, plan.width, plan.height, plan.roof
    eaves, crest = y - height * 0.97, y - height * 1.62
    left, ridge_left = (x - width * 0.60, eaves), (x - width * 0.30, crest)
    ridge_right, right = (x + width * 0.36, crest), (x + width * 0.60, eaves)
    verge = [left, ridge_left, (x - width * 0.26, crest), (x - width * 0.54, eaves)]
    gable = x - width * 0.22
    front = [
        (gable - width * 0.21, y - height * 0.99),
        (gable, y - height * 1.46),
        (gable + width * 0.21, y - height * 0.99),
    ]
    rake = curve(
        "M", (gable - width * 0.25, y - height * 0.95), "L", (gable, y - height * 1.52)
    ) + curve("L", (gable + width * 0.25, y - height * 0.95))
    chimney, cap = darken(roof, 0.15), lighten(roof, 0.1)
    return "".join(
        [
            polygon([left, ridge_left, ridge_right, right], roof),
            polygon(verge, lighten(roof, 0.14)),
            polygon(front, plan.wall),
            path(rake, extra=stroke(lighten(roof, 0.1), width * 0.026, join=True)),
            rect(x + width * 0.18, y - height * 1.92, width * 0.09, height * 0.42, chimney),
            rect(x + width * 0.165, y - height * 1.96, width * 0.12, height * 0.06, cap),
        ]
    )


def _windows(plan: _Plan) -> str:
    width, height = plan.width, plan.height
    gable = plan.x - width * 0.22
    low = plan.y - height * 0.5
    return (
        _window(plan, gable, plan.y - height * 1.13, width * 0.11, height * 0.2)
        + _window(plan, plan.x - width * 0.36, low, width * 0.13, height * 0.34)
        + _window(plan, plan.x - width * 0.13, low, width * 0.13, height * 0.34)
        + _window(plan, plan.x + width * 0.40, low, width * 0.11, height * 0.34)
    )


def _window(plan: _Plan, x: float, y: float, width: float, height: float) -> str:
    palette, bar = plan.canvas.palette, plan.width * 0.008
    glass = palette.warm if plan.is_night else mix(palette.sky[2], "#ffffff", 0.25)
    left, top, right, bottom = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    shine = plan.canvas.glow(x, y, width * 1.9, palette.warm, 0.5) if plan.is_night else ""
    frame = stroke(plan.trim, plan.width * 0.012)
    return (
        shine
        + rect(left, top, width, height, glass)
        + rect(left, top, width, height, "none", extra=frame)
        + line(x, top, x, bottom, plan.trim, bar)
        + line(left, y, right, y, plan.trim, bar)
    )


def _porch(plan: _Plan, x: float) -> str:
    canvas, y, size, trim = plan.canvas, plan.y, plan.width, plan.trim
    width, height, storey = size * 0.17, plan.height * 0.72, plan.height
    leaf = darken(canvas.tone("#6b3f2a"), 0.55)
    parts = [
        rect(x - width * 0.62, y - height * 1.06, width * 1.24, height * 1.06, trim),
        rect(x - width / 2, y - height, width, height, leaf),
    ]
    if plan.is_night:
        warm = canvas.palette.warm
        parts.append(rect(x - width / 2, y - height, width, height, warm, extra=opacity(0.75)))
        parts.append(canvas.glow(x, y - height * 0.4, width * 2.4, warm, 0.45))
    roof = lighten(plan.roof, 0.06)
    parts.append(rect(x - width * 1.15, y - height * 1.2, width * 2.3, storey * 0.07, roof))
    for side in (-1, 1):
        post = x + side * (width * 1.02)
        parts.append(line(post, y - height * 1.15, post, y, trim, size * 0.014))
    upper, lower = canvas.tone("#b7a58a"), canvas.tone("#9d8c74")
    parts.append(rect(x - width * 0.95, y - storey * 0.03, width * 1.9, storey * 0.045, upper))
    parts.append(rect(x - width * 1.15, y + storey * 0.01, width * 2.3, storey * 0.045, lower))
    return "".join(parts)
