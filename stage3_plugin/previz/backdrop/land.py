"""What land is made of: hills and mountains in the distance, ground, grass.

Every outdoor place is built from these. Only haze shows depth: the same shape further off
is only paler.
"""

from __future__ import annotations

import math

from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import darken, mix
from stage3_plugin.previz.svg import Point, curve, opacity, path, polygon, rect, smooth, straight


def ridge(
    canvas: Canvas,
    y: float,
    height_px: float,
    base: str,
    *,
    rough: float,
    depth: float,
    floor_px: float,
    steps: int = 26,
    peaks: bool = False,
    snowcaps: bool = False,
    fade: str | None = None,
) -> str:
    """Draw a line of hills across the whole picture.

    Args:
        canvas: where to.
        y: the middle height of the line.
        height_px: how far it swings up and down.
        base: its own colour.
        rough: how jagged, as a share of the height.
        depth: how far away, from 0 to 1.
        floor_px: how far down it is filled.
        steps: from how many pieces the line is made.
        peaks: whether it has pointed mountains and not soft hills.
        snowcaps: whether the mountains' tops are white.
        fade: what its foot fades into, if not the haze.
    """
    haze = fade or canvas.palette.haze
    outline = _outline(canvas, y, height_px, rough, steps, peaks=peaks)
    colour = canvas.tone(base, depth)
    fill = canvas.linear(
        [(0, colour), (1, mix(colour, haze, 0.45 + 0.3 * depth))],
        0,
        y - height_px,
        0,
        y + height_px * 1.1 + canvas.height_px * 0.06,
        user_space=True,
    )
    shape = straight(outline, floor_px) if peaks else smooth(outline, floor_px)
    parts = [path(shape, fill)]
    if snowcaps:
        white = mix(canvas.tone("#ffffff", depth * 0.5), haze, 0.1)
        for before, top, after in zip(outline, outline[1:], outline[2:], strict=False):
            is_peak = top[1] < before[1] and top[1] < after[1]
            if is_peak and top[1] < y - height_px * 0.25:
                parts.append(_snowcap(before, top, after, white))
    return "".join(parts)


def _outline(
    canvas: Canvas, y: float, height_px: float, rough: float, steps: int, *, peaks: bool
) -> list[Point]:
    """Add up four waves of falling height and random phase, and some noise."""
    chance = canvas.chance
    waves = [(chance.between(0, 6.28), chance.between(0.6, 1.4)) for _ in range(4)]
    outline: list[Point] = []
    for step in range(steps + 1):
        t = step / steps
        swing = 0.0
        for index, (phase, pace) in enumerate(waves):
            swing += math.sin(phase + t * pace * (2.2 * (index + 1)) * 2.2) / (1 + index * 1.1)
        swing = swing / 2.2 + chance.between(-rough, rough)
        if peaks:
            swing = abs(swing) * 1.3 + chance.between(-rough, rough) * 0.6 - 0.2
        outline.append((-10 + (canvas.width_px + 20) * t, y - height_px * swing))
    return outline


def _snowcap(before: Point, top: Point, after: Point, white: str) -> str:
    x, y = top
    left_x, left_y = x + (before[0] - x) * 0.55, y + (before[1] - y) * 0.55
    right_x, right_y = x + (after[0] - x) * 0.55, y + (after[1] - y) * 0.55
    cap = [
        (x, y),
        (right_x, right_y),
        (x + (right_x - x) * 0.3, y + (right_y - y) * 0.75),
        (x, y + (right_y - y) * 1.05),
        (x + (left_x - x) * 0.35, y + (left_y - y) * 0.7),
        (left_x, left_y),
    ]
    return polygon(cap, white, opacity(0.85))


def ground(canvas: Canvas, y: float, base: str, far: float = 0.35) -> str:
    """Fill everything below ``y``; ``far`` is how hazy its far edge is."""
    colour = canvas.tone(base)
    edge = mix(colour, canvas.palette.haze, far)
    fill = canvas.linear([(0, edge), (0.35, colour), (1, darken(colour, 0.42))])
    return rect(0, y, canvas.width_px, canvas.height_px - y, fill)


def grass(
    canvas: Canvas, top: float, bottom: float, base: str, *, blades: int, height: float
) -> str:
    """Scatter blades between two heights, growing towards the viewer up to ``height`` pixels."""
    chance = canvas.chance
    parts: list[str] = []
    for _ in range(blades):
        nearness = chance.random()
        y = top + (bottom - top) * nearness
        x = chance.between(0, canvas.width_px)
        blade = height * (0.35 + nearness) * chance.between(0.6, 1.3)
        lean = chance.between(-0.4, 0.4) * blade
        left, tip, right = (x - blade * 0.09, y), (x + lean, y - blade), (x + blade * 0.09, y)
        shape = curve(
            "M",
            left,
            "Q",
            (x, y - blade * 0.5),
            tip,
            "Q",
            (x + blade * 0.1, y - blade * 0.4),
            right,
        )
        colour = mix(base, canvas.palette.light, chance.between(0, 0.22))
        parts.append(path(shape + "Z", colour, opacity(0.85)))
    return "".join(parts)
