"""Water itself, and places in and beside it: a lake, and under water."""

from __future__ import annotations

from stage3_plugin.previz.backdrop.land import grass, ridge
from stage3_plugin.previz.backdrop.setting import Outdoors, Scenery
from stage3_plugin.previz.backdrop.trees import tree_row
from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import darken, lighten, mix
from stage3_plugin.previz.svg import circle, curve, opacity, path, polygon, rect, smooth, stroke


def lake(outdoors: Outdoors) -> Scenery:
    """Draw a lake between mountains and a grassy bank."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height = canvas.width_px, canvas.height_px
    # fmt: off
    parts = [
        ridge(canvas, horizon - height * 0.02, height * 0.2, "#6f84a0",
              rough=0.12, depth=0.58, floor_px=height, steps=22, peaks=True, snowcaps=True),
        tree_row(canvas, horizon + height * 0.008, height * 0.11,
                 outdoors.powdered("#3f6a58"), 0.34),
        water(outdoors),
    ]
    # fmt: on
    y = horizon + (height - horizon) * 0.55
    bank = [
        (-10, y),
        (width * 0.3, y + height * 0.03),
        (width * 0.6, y + height * 0.02),
        (width + 10, y + height * 0.06),
    ]
    near = canvas.tone(outdoors.snowed("#5f8a4e"), 0.1)
    far = canvas.tone(outdoors.snowed("#3c5c36"), 0, 0.3)
    parts.append(path(smooth(bank, height), canvas.linear([(0, near), (1, far)])))
    green = canvas.tone(outdoors.powdered("#4a7a40"))
    parts.append(grass(canvas, y + height * 0.05, height, green, blades=60, height=height * 0.06))
    return Scenery(markup="".join(parts), ground_px=y)


def coast(outdoors: Outdoors) -> str:
    """Draw low land at the other side of the water."""
    horizon, height = outdoors.horizon_px, outdoors.canvas.height_px
    # fmt: off
    return ridge(outdoors.canvas, horizon + height * 0.005, height * 0.055, "#6f86a0",
                 rough=0.05, depth=0.6, floor_px=horizon + 4, steps=16)
    # fmt: on


def water(outdoors: Outdoors) -> str:
    """Draw water down to the picture's edge: a path of light under the sun, and ripples."""
    canvas, horizon, palette = outdoors.canvas, outdoors.horizon_px, outdoors.canvas.palette
    width, height, short, chance = canvas.width_px, canvas.height_px, canvas.short_px, canvas.chance
    colour = canvas.tone("#2f86a8")
    far = mix(colour, palette.sky[3], 0.55)
    fill = canvas.linear([(0, far), (0.4, colour), (1, darken(colour, 0.55))])
    parts = [rect(0, horizon, width, height - horizon, fill)]
    glint, ripple = lighten(palette.light, 0.2), lighten(colour, 0.35)
    for index in range(46):
        in_sun = index < 26
        nearness = chance.random() ** 1.4
        y = horizon + (height - horizon) * nearness
        length = short * (0.02 + 0.14 * nearness) * chance.between(0.5, 1.4)
        if in_sun:
            spread = short * (0.05 + 0.14 * nearness)
            x = outdoors.sun_px[0] + chance.between(-1, 1) * spread
        else:
            x = chance.between(0, width)
        thickness = short * (0.0022 + 0.006 * nearness)
        shine = opacity((0.75 if in_sun else 0.35) * (1 - 0.3 * nearness))
        shade = glint if in_sun else ripple
        parts.append(rect(x - length / 2, y, length, thickness, shade, short * 0.003, shine))
    return "".join(parts)


def underwater(outdoors: Outdoors) -> Scenery:
    """Draw shafts of light, rocks, weeds and bubbles."""
    canvas = outdoors.canvas
    width, height, short, chance = canvas.width_px, canvas.height_px, canvas.short_px, canvas.chance
    deep = canvas.linear([(0, "#59c7d6"), (0.35, "#1f86ad"), (1, "#062347")])
    parts = [rect(0, 0, width, height, deep), _shafts(outdoors)]
    for index in range(2):
        y = height * (0.72 + 0.1 * index)
        # fmt: off
        parts.append(ridge(canvas, y, height * 0.07, "#1b5a7a",
                           rough=0.1, depth=0, floor_px=height, fade="#0e4a70"))
    floor = [
        (-10, height * 0.88),
        (width * 0.3, height * 0.85),
        (width * 0.7, height * 0.89),
        (width + 10, height * 0.86),
    ]
    # fmt: on
    parts.append(path(smooth(floor, height), "#0b2d4d"))
    parts.extend(_weed(canvas) for _ in range(26))
    for _ in range(40):
        x, y = chance.between(0, width), chance.between(0, height * 0.9)
        radius = short * chance.between(0.002, 0.008)
        shine = opacity(round(chance.between(0.3, 0.8), 2))
        parts.append(circle(x, y, radius, "none", stroke("#d8f6ff", short * 0.0015) + shine))
    return Scenery(markup="".join(parts), ground_px=height * 0.84, hides_sky=True)


def _shafts(outdoors: Outdoors) -> str:
    canvas, shine = outdoors.canvas, 0.12 if outdoors.is_night else 0.32
    width, height, chance = canvas.width_px, canvas.height_px, canvas.chance
    parts: list[str] = []
    for index in range(7):
        x = width * (index + chance.between(0, 0.8)) / 7
        beam = width * chance.between(0.03, 0.09)
        foot = height * 0.95
        corners = [
            (x, -10),
            (x + beam, -10),
            (x + beam * 2.6 + width * 0.1, foot),
            (x + width * 0.1 - beam, foot),
        ]
        parts.append(polygon(corners, canvas.linear([(0, "#ffffff", shine), (1, "#ffffff", 0)])))
    return "".join(parts)


def _weed(canvas: Canvas) -> str:
    chance, short = canvas.chance, canvas.short_px
    x = chance.between(0, canvas.width_px)
    length = short * chance.between(0.06, 0.2)
    sway = chance.between(-0.4, 0.4) * length
    colour = chance.pick(["#1d7a63", "#2a9274", "#c2566e", "#d98b52", "#14604f"])
    lower = ((sway, -length * 0.4), (0.0, -length * 0.6))
    upper = ((-sway, -length * 0.3), (sway * 0.3, -length * 0.45))
    shape = curve("M", (x, canvas.height_px * 0.93), "q", *lower, "q", *upper)
    outline = stroke(colour, short * chance.between(0.008, 0.02), cap=True)
    return path(shape, extra=outline + opacity(0.85))
