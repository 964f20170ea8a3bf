"""One flat figure from its parts, from the far ones to the near ones, with a rim of light."""

from __future__ import annotations

import math
from dataclasses import replace

from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.chance import seed_of
from stage3_plugin.previz.colour import mix, multiply
from stage3_plugin.previz.figure.face import beard, head
from stage3_plugin.previz.figure.hair import back_hair, front_hair, headgear
from stage3_plugin.previz.figure.limbs import (
    arm,
    arms,
    gripping,
    inner_edge,
    legs,
    lowered_by,
    sword,
)
from stage3_plugin.previz.figure.look import Look
from stage3_plugin.previz.figure.mannequin import (
    FIGURE_LIFT,
    Mannequin,
    paint,
    proportions,
    standing_foot_y,
)
from stage3_plugin.previz.figure.outfits import hood, outfit_details, shoulder_guards
from stage3_plugin.previz.figure.torso import torso
from stage3_plugin.previz.palette import SKIN
from stage3_plugin.previz.svg import Point, circle, ellipse, group, number, opacity

LEANS = {"run": 0.20, "lean": 0.20, "show": 0.20}
"""By how much a pose bends forward, in radians."""


def figure(
    canvas: Canvas,
    x: float,
    y: float,
    unit: float,
    look: Look,
    colour: str,
    facing: float = 0.0,
    *,
    full: bool = True,
    seated: bool = False,
    light: int = 1,
    room: float = math.inf,
    clasp: Point | None = None,
) -> str:
    """Draw one character.

    Args:
        canvas: where to; nothing is drawn from its chance, so figures may be added freely.
        x: the middle of the head in pixels.
        y: the middle of the head in pixels, as if standing.
        unit: a head's height in pixels.
        look: what it looks like.
        colour: the character's own colour, "#rrggbb".
        facing: -1 is to the left, 0 to the viewer, 1 to the right.
        full: whether legs and a shadow on the ground are drawn.
        seated: whether it sits on a stool, which only shows with ``full``.
        light: from which side the rim of light comes: 1 is the right, -1 the left.
        room: how far from the middle an arm may reach before it meets a neighbour, in heads.
        clasp: where a neighbour's hand is to be held, in pixels.
    """
    mannequin = _mannequin(canvas, x, y, unit, look, colour, facing, full=full, seated=seated)
    mannequin = replace(mannequin, room=room, clasp=clasp)
    rim_px = min(0.030 * unit, canvas.short_px * 0.0052)
    shift = f"translate({number(light * rim_px)},{number(-0.7 * rim_px)})"
    lit_edge = replace(mannequin, silhouette=mix(canvas.palette.light, "#ffffff", 0.25))
    rim = group(_body(lit_edge), f' transform="{shift}"' + opacity(0.9))
    # Feet stay on their shadow, however far the body bends over them.
    shadow = _shadow(replace(mannequin, lean=0.0)) if full else ""
    return shadow + rim + _body(mannequin)


def over_table(
    canvas: Canvas, x: float, y: float, unit: float, look: Look, colour: str, facing: float
) -> str:
    """Draw the arm of a person who points at something on the table, over the table."""
    if look.pose != "show" or look.hands:
        return ""
    body = _mannequin(canvas, x, y, unit, look, colour, facing, full=False, seated=False)
    return arm(body, body.near, "show", 0.0)


def grip(
    canvas: Canvas,
    x: float,
    y: float,
    unit: float,
    look: Look,
    facing: float = 0.0,
    *,
    full: bool = True,
    seated: bool = False,
    clasp: Point | None = None,
) -> Point:
    """Return the place, in pixels, where this figure has in its hand what it carries."""
    mannequin = _mannequin(canvas, x, y, unit, look, "#000000", facing, full=full, seated=seated)
    return gripping(replace(mannequin, clasp=clasp))


def fist(canvas: Canvas, place: Point, unit: float) -> str:
    """Draw the hand around something that is carried."""
    light = mix(canvas.palette.ambient, "#ffffff", FIGURE_LIFT)
    return circle(*place, unit * 0.135, multiply(SKIN, light))


def _mannequin(
    canvas: Canvas,
    x: float,
    y: float,
    unit: float,
    look: Look,
    colour: str,
    facing: float,
    *,
    full: bool,
    seated: bool,
) -> Mannequin:
    seated = seated and full
    body = proportions(look, seated=seated)
    # Feet stay where they are when somebody sits down; the head comes lower.
    lowered = (standing_foot_y(look) - body.foot_y) * unit if seated else 0
    if full and not seated:
        lowered += lowered_by(look.pose) * (body.foot_y - body.hip_y) * unit
    return Mannequin(
        canvas=canvas,
        x=x,
        y=y + lowered,
        unit=unit,
        look=look,
        facing=facing,
        full=full,
        seated=seated,
        body=body,
        paint=paint(canvas, look, colour),
        seed=seed_of("fig", colour, look.ident),
        lean=0.0 if seated else LEANS.get(look.pose, 0.0),
    )


def _shadow(mannequin: Mannequin) -> str:
    foot = mannequin.at(0.1, mannequin.body.foot_y + 0.16)
    size = (mannequin.px(1.05), mannequin.px(0.17))
    return ellipse(*foot, *size, "#05060c", opacity(0.34))


def _body(mannequin: Mannequin) -> str:
    far_arm, near_arm = arms(mannequin)
    near = mannequin.near
    return "".join(
        [
            back_hair(mannequin),
            legs(replace(mannequin, lean=0.0)),
            arm(mannequin, -near, far_arm, 0.16),
            torso(mannequin),
            outfit_details(mannequin),
            sword(mannequin, near_arm),
            inner_edge(mannequin, near, near_arm),
            arm(mannequin, near, near_arm, 0.0),
            shoulder_guards(mannequin),
            hood(mannequin),
            head(mannequin),
            beard(mannequin),
            front_hair(mannequin),
            headgear(mannequin),
        ]
    )
