"""Legs and arms, a sword in the hand, and where a hand has what it carries.

A pose is a pair of arms and a pair of legs; the arm away from the viewer is drawn before the
torso, the other one after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from stage3_plugin.previz.colour import darken
from stage3_plugin.previz.figure.mannequin import Mannequin
from stage3_plugin.previz.svg import Point, circle, ellipse, path

_CARRYING = frozenset({"carry", "hang", "raise"})

ARMS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "stand": ("down", "down"),
        "sit": ("table", "table"),
        "walk": ("swing", "down"),
        "run": ("pump", "drive"),
        "lean": ("table", "reach"),
        "show": ("table", "show"),
        "think": ("down", "chin"),
        "point": ("down", "point"),
        "wave": ("down", "wave"),
    }
)
"""What the far and the near arm do in each pose."""

_Leg: TypeAlias = tuple[Point, Point]
STRIDES: Final[Mapping[str, tuple[_Leg, _Leg]]] = MappingProxyType(
    {
        "walk": (((-0.42, 0.50), (-1.05, 0.93)), ((0.48, 0.48), (0.72, 1.0))),
        "run": (((-0.34, 0.48), (-1.30, 0.92)), ((1.16, 0.36), (0.92, 0.80))),
    }
)
"""Knee and foot of the far and of the near leg: forward, and down as a share of the leg."""


def lowered_by(pose: str) -> float:
    """Return how far the body comes down until a foot is on the ground, as a share of the leg."""
    stride = STRIDES.get(pose)
    return 1 - max(foot[1] for _, foot in stride) if stride else 0.0


def arms(figure: Mannequin) -> tuple[str, str]:
    """Return what the far and the near arm do."""
    look = figure.look
    far, near = ARMS.get(look.pose, ARMS["stand"])
    if figure.seated and look.pose not in {"think", "point", "wave"}:
        far, near = "table", "table"
    if look.hold == "umbrella":
        near = "reach"
    if look.hands == "both":
        far, near = "both", "both"
    clasping = _clasping(figure)
    if clasping == 0:
        return far, look.hands if look.hands in _CARRYING else near
    if clasping == figure.near:
        return look.hands if look.hands in _CARRYING else far, "clasp"
    return "clasp", look.hands if look.hands in _CARRYING else near


def gripping(figure: Mannequin) -> Point:
    """Return the place, in pixels, of the hand that carries something, or between both hands."""
    far, _ = arms(figure)
    side = -figure.near if far in _CARRYING else figure.near
    if figure.look.hands == "both":
        return figure.at(figure.facing * 0.10, 2.05)
    _, _, hand = _bend(
        figure, side, figure.look.hands if figure.look.hands in _CARRYING else "down"
    )
    return figure.at(*hand)


def _clasping(figure: Mannequin) -> int:
    """Return on which side a neighbour's hand is held, 0 for none."""
    if figure.clasp is None:
        return 0
    return 1 if figure.clasp[0] >= figure.x else -1


def legs(figure: Mannequin) -> str:
    """Draw both legs, if they can be seen."""
    if not figure.full:
        return ""
    return _seated_legs(figure) if figure.seated else _standing_legs(figure)


def _seated_legs(figure: Mannequin) -> str:
    body, paint = figure.body, figure.paint
    knee = 0.85 * figure.near
    covered = figure.look.outfit in {"robe", "dress"}
    parts = [_stool(figure)]
    for side, shade in ((-1, 0.18), (1, 0)):
        thigh, shin = (side * 0.26, body.hip_y - 0.05), (side * 0.28 + knee * 1.0, body.foot_y)
        bend = (side * 0.28 + knee, body.hip_y + 0.18)
        cloth = figure.limb(darken(paint.coat if covered else paint.trousers, shade), 0.46)
        parts.append(path(figure.outline("M", thigh, "L", bend, "L", shin), extra=cloth))
        toe = figure.at(side * 0.28 + knee + 0.14 * figure.near, body.foot_y + 0.06)
        shoe = figure.ink(darken(figure.lit("#2a2a33"), shade))
        parts.append(ellipse(*toe, figure.px(0.26), figure.px(0.12), shoe))
    return "".join(parts)


def _stool(figure: Mannequin) -> str:
    body, near = figure.body, figure.near
    seat_y, foot_y = body.hip_y + 0.34, body.foot_y + 0.16
    wood = figure.lit("#7a5b43")
    seat = figure.outline("M", (-0.55 * near, seat_y), "L", (0.5 * near, seat_y))
    leg = figure.limb(darken(wood, 0.3), 0.12)
    legs_of_it = "".join(
        path(figure.outline("M", (x * near, seat_y), "L", (x * near * 1.1, foot_y)), extra=leg)
        for x in (-0.42, 0.36)
    )
    return legs_of_it + path(seat, extra=figure.limb(wood, 0.2))


def _standing_legs(figure: Mannequin) -> str:
    body, paint, look = figure.body, figure.paint, figure.look
    stride = STRIDES.get(look.pose)
    bare = look.outfit in {"robe", "dress"}
    width = 0.38 if look.female else 0.44
    parts: list[str] = []
    length, near = body.foot_y - body.hip_y, figure.near
    for rank, (side, shade) in enumerate(((-1, 0.2), (1, 0))):
        foot_x, foot_y = side * 0.24, body.foot_y
        knee = (side * 0.27, (body.hip_y + body.foot_y) / 2 + 0.1)
        hip = (side * 0.24, body.hip_y - 0.1)
        if stride:
            # The legs are as long as the one that is straight: a child's stride is shorter.
            (knee_x, knee_y), (ahead, down) = stride[rank]
            reach = length / 3.55 * near
            hip = (side * 0.16 * near, body.hip_y - 0.1)
            knee = (hip[0] + knee_x * reach, body.hip_y + knee_y * length)
            foot_x, foot_y = hip[0] + ahead * reach, body.hip_y + down * length
        colour = darken(paint.skin if bare else paint.trousers, shade)
        leg = figure.outline("M", hip, "L", knee, "L", (foot_x, foot_y))
        parts.append(path(leg, extra=figure.limb(colour, width)))
        toe = figure.at(foot_x + 0.10 * near, foot_y + 0.14)
        shoe = figure.ink(darken(figure.lit("#26262f"), shade))
        parts.append(ellipse(*toe, figure.px(0.25), figure.px(0.13), shoe))
    return "".join(parts)


def arm(figure: Mannequin, side: int, kind: str, shade: float) -> str:
    """Draw one arm from the shoulder to the hand; ``shade`` darkens the far one."""
    paint = figure.paint
    sleeve = paint.skin if figure.look.outfit == "dress" else paint.coat
    shoulder, elbow, hand = _bend(figure, side, kind)
    width = 0.34 if figure.look.female else 0.40
    sleeve_stroke = figure.limb(darken(sleeve, shade), width)
    shape = path(figure.outline("M", shoulder, "Q", elbow, hand), extra=sleeve_stroke)
    palm = figure.at(hand[0], hand[1] + (0.08 if kind == "down" else 0))
    if kind in {"point", "show"}:
        across, down = (0.30, 0.10) if kind == "show" else (0.25, 0.0)
        tip = (hand[0] + side * across, hand[1] + down)
        finger = figure.limb(darken(paint.skin, shade), 0.10)
        shape += path(figure.outline("M", hand, "L", tip), extra=finger)
    if kind == "wave":
        shape += _fingers(figure, hand, darken(paint.skin, shade))
    return shape + circle(*palm, figure.px(0.155), figure.ink(darken(paint.skin, shade)))


def _fingers(figure: Mannequin, hand: Point, skin: str) -> str:
    """Draw the fingers of an open hand."""
    tips = (-0.20, -0.07, 0.07, 0.20)
    return "".join(
        path(
            figure.outline("M", hand, "L", (hand[0] + across, hand[1] - 0.26 + abs(across) * 0.4)),
            extra=figure.limb(skin, 0.10),
        )
        for across in tips
    )


def inner_edge(figure: Mannequin, side: int, kind: str) -> str:
    """Draw the shadow of an arm on the body it hangs before; nothing on a silhouette."""
    free = {"clasp", "drive", "hang", "point", "raise", "show", "wave"}
    if figure.is_solid or kind in free or figure.look.outfit == "dress":
        return ""
    inwards = -side * 0.05
    shoulder, elbow, hand = _bend(figure, side, kind)
    start, bend, end = (
        (x + inwards, y) for x, y in ((shoulder[0], shoulder[1] + 0.2), elbow, hand)
    )
    width = 0.34 if figure.look.female else 0.40
    shade = figure.limb(darken(figure.paint.coat, 0.32), width)
    return path(figure.outline("M", start, "Q", bend, end), extra=shade)


def _bend(figure: Mannequin, side: int, kind: str) -> tuple[Point, Point, Point]:
    """Return shoulder, elbow and hand."""
    reach, facing, near = figure.body.shoulder - 0.17, figure.facing, figure.near
    shoulder = (side * reach, 1.02 if kind == "chin" else 1.0)
    if kind == "clasp" and figure.clasp is not None:
        hand = figure.on_body(figure.clasp)
        return shoulder, ((shoulder[0] + hand[0]) / 2, (shoulder[1] + hand[1]) / 2 + 0.3), hand
    stretched = side * max(reach + 0.3, min(reach + 1.45, figure.room))
    joints: dict[str, tuple[Point, Point]] = {
        "both": ((side * (reach + 0.30), 1.95), (side * 0.74 + facing * 0.10, 2.05)),
        "carry": ((side * (reach + 0.24), 2.0), (side * (reach - 0.02) + facing * 0.35, 1.85)),
        "drive": ((side * reach - 0.80 * near, 1.75), (side * reach - 0.05 * near, 2.30)),
        "hang": ((side * (reach + 0.30), 1.60), (side * (reach + 0.62), 2.05)),
        "pump": ((side * reach + 0.45 * near, 1.95), (side * reach + 1.30 * near, 1.45)),
        "raise": ((side * (reach + 0.42), 1.45), (side * (reach + 0.36), 0.40)),
        "wave": ((side * (reach + 0.55), 1.25), (side * (reach + 0.50), 0.02)),
        "down": ((side * (reach + 0.17), 1.95), (side * (reach + 0.08), 2.85)),
        "swing": ((side * (reach + 0.25), 1.85), (side * (reach + 0.25) + 0.55 * near, 2.45)),
        "chin": ((side * (reach + 0.08), 2.05), (side * 0.16 + facing * 0.12, 0.86)),
        "point": ((stretched - side * 0.55, 1.25), (stretched - side * 0.2, 0.98)),
        "show": ((side * (reach + 0.28), 1.75), (side * 0.74 + facing * 0.85, 1.28)),
        "table": ((side * (reach + 0.22), 1.95), (side * 0.34 + facing * 0.55, 2.25)),
        "reach": ((side * (reach + 0.20), 1.9), (side * 0.62 + facing * 0.9, 1.95)),
    }
    elbow, hand = joints[kind]
    return shoulder, elbow, hand


def sword(figure: Mannequin, near_arm: str) -> str:
    """Draw a sword in the near hand, if that one hangs free."""
    if figure.look.hold != "sword" or near_arm not in {"down", "swing"}:
        return ""
    near, reach = figure.near, figure.body.shoulder - 0.17
    if near_arm == "down":
        x, y = near * (reach + 0.08), 2.9
    else:
        x, y = near * (reach + 0.25) + 0.55 * near, 2.45
    strokes = (
        ((-0.10, -0.42), (0.55, 2.3), "#dfe6ee", 0.11),
        ((-0.12, -0.45), (0.03, 0.12), "#4a3426", 0.12),
        ((-0.20, 0.22), (0.30, 0.10), "#c9a24a", 0.09),
    )
    return "".join(
        path(
            figure.outline(
                "M",
                (x + near * start[0], y + start[1]),
                "L",
                (x + near * end[0], y + end[1]),
            ),
            extra=figure.pen(figure.ink(figure.lit(colour)), width),
        )
        for start, end, colour, width in strokes
    )
