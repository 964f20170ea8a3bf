"""The surface of a moon under stars, nebulae and a ringed planet."""

from __future__ import annotations

from stage3_plugin.previz.backdrop.setting import Outdoors, Scenery
from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import darken, lighten
from stage3_plugin.previz.svg import (
    circle,
    curve,
    ellipse,
    group,
    number,
    opacity,
    path,
    rect,
    smooth,
    stroke,
)


def space(outdoors: Outdoors) -> Scenery:
    """Draw outer space above a cratered ground."""
    canvas = outdoors.canvas
    width, height, short, chance = canvas.width_px, canvas.height_px, canvas.short_px, canvas.chance
    void = canvas.linear([(0, "#04050f"), (0.5, "#0c0f2b"), (1, "#1b1440")])
    parts = [rect(0, 0, width, height, void)]
    for _ in range(3):
        x, y = chance.between(0.1, 0.9) * width, chance.between(0.05, 0.8) * height
        reach = short * chance.between(0.3, 0.6)
        colour = chance.pick(["#5b3fa8", "#2566b0", "#a83f7c", "#1f7f8f"])
        parts.append(canvas.glow(x, y, reach, colour, 0.5))
    for _ in range(230):
        x, y = chance.between(0, width), chance.between(0, height)
        radius = short * chance.between(0.0006, 0.0023)
        parts.append(circle(x, y, radius, "#fff", opacity(chance.between(0.3, 1))))
    parts.append(_planet(canvas))
    y = height * 0.72
    horizon = [
        (-10, y),
        (width * 0.2, y - height * 0.02),
        (width * 0.5, y + height * 0.012),
        (width * 0.8, y - height * 0.018),
        (width + 10, y),
    ]
    dust = canvas.linear([(0, "#6a6784"), (1, "#211f38")])
    parts.append(path(smooth(horizon, height), dust))
    parts.extend(_crater(canvas, y) for _ in range(9))
    return Scenery(markup="".join(parts), ground_px=y + height * 0.03, hides_sky=True)


def _planet(canvas: Canvas) -> str:
    chance = canvas.chance
    x, y = canvas.width_px * chance.pick([0.24, 0.74]), canvas.height_px * 0.30
    radius = canvas.short_px * 0.17
    colour = chance.pick(["#d98a5b", "#6aa6c9", "#b7a0d8", "#c7c08a"])
    shine = canvas.glow(x, y, radius * 1.9, colour, 0.35)
    lit = [(0, lighten(colour, 0.25)), (0.5, colour), (1, darken(colour, 0.75))]
    fill = canvas.linear(lit, 0.1, 0.1, 0.95, 0.95)
    ball = f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(radius)}"/>'
    stencil = canvas.clip(ball)
    band = darken(colour, 0.45)
    bands = "".join(
        ellipse(x, y + radius * down, radius * 1.1, radius * chance.between(0.05, 0.12), band)
        for down in (-0.55, -0.2, 0.12, 0.5)
    )
    sweep = f"A{number(radius * 1.7)} {number(radius * 0.34)} 0 0 0 "
    ring = curve("M", (x - radius * 1.7, y), sweep, (x + radius * 1.7, y))
    outline = stroke(lighten(colour, 0.45), radius * 0.055) + opacity(0.75)
    tilt = f' transform="rotate(-18 {number(x)} {number(y)})"'
    return (
        shine
        + circle(x, y, radius, fill)
        + group(bands, f' clip-path="{stencil}"' + opacity(0.3))
        + group(path(ring, extra=outline), tilt)
    )


def _crater(canvas: Canvas, horizon_px: float) -> str:
    chance, depth_px = canvas.chance, canvas.height_px - horizon_px
    x = chance.between(0, canvas.width_px)
    y = horizon_px + depth_px * chance.between(0.12, 0.9)
    nearness = (y - horizon_px) / depth_px
    size = canvas.short_px * chance.between(0.012, 0.05) * (0.5 + nearness)
    rim = ellipse(x, y, size, size * 0.3, "#3c3957")
    return rim + ellipse(x, y + size * 0.06, size * 0.9, size * 0.22, "#2a2743")
