"""A street in one-point perspective: houses on both sides, road, pavements, lamps.

Apart from the other towns, because it alone is drawn towards a vanishing point.
"""

from __future__ import annotations

from dataclasses import dataclass

from stage3_plugin.previz.backdrop.buildings import skyline
from stage3_plugin.previz.backdrop.setting import Outdoors, Scenery
from stage3_plugin.previz.colour import darken, mix
from stage3_plugin.previz.svg import Point, circle, line, opacity, polygon


def street(outdoors: Outdoors) -> Scenery:
    """Draw a street that runs away from the viewer."""
    canvas, horizon, palette = outdoors.canvas, outdoors.horizon_px, outdoors.canvas.palette
    width, height = canvas.width_px, canvas.height_px
    vanishing_x = width * canvas.chance.between(0.44, 0.56)
    # fmt: off
    parts = [skyline(canvas, horizon + 2, "#6d7896", 0.55,
                     heights=(0.1, 0.26), lit_share=outdoors.lit_share, widths=(0.04, 0.07))]
    # fmt: on
    fronts = [_front(outdoors, side, row) for side in (-1, 1) for row in range(3)]
    # Drawn near to far on each side, shown far to near, so that near ones cover far ones.
    parts.extend(fronts[side * 3 + row] for row in (2, 1, 0) for side in (0, 1))
    asphalt = canvas.linear(
        [
            (0, mix(canvas.tone(outdoors.powdered("#6a6d7d")), palette.haze, 0.4)),
            (1, canvas.tone(outdoors.powdered("#33364a"))),
        ]
    )
    far_left, far_right = (
        (vanishing_x - width * 0.05, horizon),
        (vanishing_x + width * 0.05, horizon),
    )
    near_left, near_right = (-width * 0.05, height), (width * 1.05, height)
    parts.append(polygon([far_left, far_right, near_right, near_left], asphalt))
    kerb, corner = horizon + (height - horizon) * 0.60, horizon + (height - horizon) * 0.08
    paving = canvas.tone(outdoors.snowed("#8e8a92"), 0.1)
    left = [(0.0, kerb), (width * 0.34, corner), far_left, near_left, (0.0, height)]
    right = [(width, kerb), (width * 0.66, corner), far_right, near_right, (width, height)]
    parts.extend([polygon(left, paving), polygon(right, paving)])
    parts.append(_dashes(outdoors, vanishing_x))
    for side in (-1, 1):
        parts.extend(_lamp(outdoors, vanishing_x, side, nearness) for nearness in (0.04, 0.12, 0.3))
    return Scenery(markup="".join(parts))


@dataclass(frozen=True, slots=True)
class _Front:
    """A house front going into the distance: its near and far edge, each from top to foot."""

    near_x: float
    far_x: float
    near: tuple[float, float]
    far: tuple[float, float]

    def at(self, across: float, up: float) -> Point:
        """Return a point on it, in shares: ``across`` from the near edge, ``up`` from the top."""
        top = self.near[0] + (self.far[0] - self.near[0]) * across
        foot = self.near[1] + (self.far[1] - self.near[1]) * across
        return self.near_x + (self.far_x - self.near_x) * across, top * (1 - up) + foot * up


ROWS = ((0.0, 0.16, 0.66, 0.06), (0.13, 0.26, 0.48, 0.2), (0.24, 0.34, 0.34, 0.36))
"""Near edge and far edge in shares of the width, height, and depth of each row of houses."""


def _front(outdoors: Outdoors, side: int, row: int) -> str:
    """Draw one house front with fifteen windows and an awning; ``side`` is -1 for the left."""
    canvas, horizon, palette = outdoors.canvas, outdoors.horizon_px, outdoors.canvas.palette
    width, height, chance = canvas.width_px, canvas.height_px, canvas.chance
    start, end, share, depth = ROWS[row]
    is_left = side < 0
    colour = canvas.tone(
        chance.pick(["#a6604f", "#6f7f98", "#b79468", "#7c6a86", "#5f8580"]), depth
    )
    front = _Front(
        start * width if is_left else width - start * width,
        end * width if is_left else width - end * width,
        (
            horizon - height * share * 0.9,
            horizon + (height - horizon) * (0.62 - 0.24 * row),
        ),
        (
            horizon - height * share * 0.72,
            horizon + (height - horizon) * (0.40 - 0.16 * row),
        ),
    )
    (near_top, near_foot), (far_top, far_foot) = front.near, front.far
    near_x, far_x = front.near_x, front.far_x
    corners = [(near_x, near_top), (far_x, far_top), (far_x, far_foot), (near_x, near_foot)]
    parts = [polygon(corners, canvas.linear([(0, colour), (1, darken(colour, 0.3))]))]
    glass = mix(colour, palette.sky[1], 0.55)
    for storey in range(5):
        for column in range(3):
            left, right = (column + 0.22) / 3, (column + 0.72) / 3
            top, sill = (storey + 0.2) / 6, (storey + 0.62) / 6
            is_on = chance.happens(outdoors.lit_share)
            pane = [
                front.at(left, top),
                front.at(right, top),
                front.at(right, sill),
                front.at(left, sill),
            ]
            shade, shine = (palette.warm, 0.9) if is_on else (glass, 0.55)
            parts.append(polygon(pane, shade, opacity(shine)))
    near_height, far_height = near_foot - near_top, far_foot - far_top
    awning = [
        (near_x, near_foot - near_height * 0.2),
        (far_x, far_foot - far_height * 0.2),
        (far_x + (width * 0.012 if is_left else -width * 0.012), far_foot - far_height * 0.13),
        (near_x + (width * 0.02 if is_left else -width * 0.02), near_foot - near_height * 0.12),
    ]
    cloth = canvas.tone(chance.pick(["#c8503f", "#d9a441", "#4c8f86", "#a04b73"]), depth)
    parts.append(polygon(awning, cloth))
    return "".join(parts)


def _dashes(outdoors: Outdoors, vanishing_x: float) -> str:
    """Draw the line in the middle of the road."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height = canvas.width_px, canvas.height_px
    parts: list[str] = []
    for dash in range(6):
        edges: list[tuple[float, float, float]] = []
        for share in ((dash / 6) ** 2, ((dash + 0.5) / 6) ** 2):
            x = vanishing_x + (width * 0.5 - vanishing_x) * share
            y = horizon + (height - horizon) * share
            edges.append((x, y, width * 0.002 + width * 0.016 * share))
        (x0, y0, half0), (x1, y1, half1) = edges
        corners = [(x0 - half0, y0), (x0 + half0, y0), (x1 + half1, y1), (x1 - half1, y1)]
        parts.append(polygon(corners, "#f4e7b8", opacity(0.75)))
    return "".join(parts)


def _lamp(outdoors: Outdoors, vanishing_x: float, side: int, nearness: float) -> str:
    canvas, palette = outdoors.canvas, outdoors.canvas.palette
    width, height = canvas.width_px, canvas.height_px
    x = vanishing_x + side * (width * 0.075 + width * 0.40 * nearness**0.75)
    y = outdoors.horizon_px + (height - outdoors.horizon_px) * nearness * 1.2
    length = height * (0.1 + 0.5 * nearness)
    thickness = canvas.short_px * (0.003 + 0.02 * nearness)
    iron = canvas.tone("#2b2d3d")
    head, top = x - side * length * 0.16, y - length
    is_on = outdoors.is_night or outdoors.time == "sunset"
    shine = canvas.glow(head, top, length * 0.5, palette.warm, 0.75) if is_on else ""
    bulb = palette.warm if outdoors.is_night else "#f1ead8"
    return (
        line(x, y, x, top, iron, thickness)
        + line(x, top, head, top, iron, thickness * 0.8)
        + shine
        + circle(head, top + thickness, thickness * 1.5, bulb)
    )
