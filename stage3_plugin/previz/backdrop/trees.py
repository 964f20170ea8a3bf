"""Trees: conifers, leafy trees, rows of either, and bamboo.

Apart from the land they stand on, because rooms' windows, streets and gardens want them too.
Positions are those of a tree's foot.
"""

from __future__ import annotations

from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import darken, mix
from stage3_plugin.previz.svg import circle, curve, line, path, stroke


def conifer(x: float, y: float, height: float, colour: str) -> str:
    """Draw a fir of four tiers."""
    half = height * 0.025
    fork = y - height * 0.3
    shape = [
        curve("M", (x - half, y), "L", (x - half, fork), "L", (x + half, fork)),
        curve("L", (x + half, y), "Z"),
    ]
    for tier in range(4):
        reach = height * 0.36 * (0.42 + 0.2 * tier)
        top = y - height + height * (0.02 + 0.21 * tier)
        hem = top + height * 0.34
        shape.append(curve("M", (x, top), "L", (x + reach, hem), "L", (x - reach, hem), "Z"))
    return path("".join(shape), colour)


def leafy(canvas: Canvas, x: float, y: float, height: float, *, crown: str, trunk: str) -> str:
    """Draw a tree with a round crown."""
    chance = canvas.chance
    fork = y - height * 0.55
    # fmt: off
    shape = curve("M", (x - height * 0.035, y), "L", (x - height * 0.018, fork),
                  "L", (x + height * 0.018, fork), "L", (x + height * 0.035, y), "Z")
    # fmt: on
    parts = [path(shape, trunk)]
    for _ in range(7):
        leaf_x = x + height * chance.between(-0.2, 0.2)
        leaf_y = y - height * chance.between(0.5, 0.88)
        parts.append(circle(leaf_x, leaf_y, height * chance.between(0.13, 0.21), crown))
    return "".join(parts)


def tree_row(
    canvas: Canvas,
    y: float,
    height: float,
    base: str,
    depth: float,
    *,
    is_leafy: bool = False,
    gap: float = 0.6,
) -> str:
    """Draw trees side by side across the whole picture; ``gap`` is in shares of their height."""
    chance = canvas.chance
    colour = canvas.tone(base, depth)
    x = -height * 0.3
    parts: list[str] = []
    while x < canvas.width_px + height * 0.3:
        tree_height = height * chance.between(0.65, 1.15)
        tinted = mix(colour, canvas.palette.haze, chance.between(0, 0.07))
        foot = y + height * chance.between(-0.02, 0.06)
        if is_leafy:
            trunk = darken(tinted, 0.3)
            parts.append(leafy(canvas, x, foot, tree_height, crown=tinted, trunk=trunk))
        else:
            parts.append(conifer(x, foot, tree_height, tinted))
        x += tree_height * gap * chance.between(0.28, 0.6)
    return "".join(parts)


def bamboo(canvas: Canvas, y: float, base: str, depth: float, *, stems: int, width: float) -> str:
    """Draw a thicket of stems, ``width`` pixels thick, from ``y`` out of the top of the picture."""
    chance = canvas.chance
    parts: list[str] = []
    for _ in range(stems):
        x = chance.between(-0.02, 1.02) * canvas.width_px
        lean = chance.between(-0.03, 0.03) * canvas.width_px
        thickness = width * chance.between(0.7, 1.2)
        colour = canvas.tone(mix(base, "#a8c060", chance.between(0, 0.4)), depth)
        stem = curve("M", (x, y), "L", (x + lean, -20))
        parts.append(path(stem, extra=stroke(colour, thickness)))
        parts.append(_joints(canvas, x, y, lean, thickness=thickness, colour=colour))
        parts.append(_leaves(canvas, x, y, lean, thickness=thickness, colour=colour))
    return "".join(parts)


def _joints(
    canvas: Canvas, x: float, y: float, lean: float, *, thickness: float, colour: str
) -> str:
    parts: list[str] = []
    shade = darken(colour, 0.35)
    half = thickness * 0.55
    joint_y = y
    while joint_y > 0:
        joint_y -= thickness * canvas.chance.between(6, 9)
        joint_x = x + lean * (1 - (joint_y / y))
        parts.append(
            line(joint_x - half, joint_y, joint_x + half, joint_y, shade, thickness * 0.16)
        )
    return "".join(parts)


def _leaves(
    canvas: Canvas, x: float, y: float, lean: float, *, thickness: float, colour: str
) -> str:
    chance = canvas.chance
    parts: list[str] = []
    for _ in range(5):
        up = chance.between(0.35, 1)
        start = (x + lean * up, y * (1 - up))
        side = chance.pick([-1, 1])
        length = side * (thickness * chance.between(4, 7))
        tip, drop = (length, thickness * 1.2), -thickness * 0.8
        back, home = (-length * 0.5, thickness * 0.1), (-length, -thickness * 1.2)
        shape = curve("M", start, "q", (length * 0.5, drop), tip, "q", back, home, "Z")
        parts.append(path(shape, colour))
    return "".join(parts)
