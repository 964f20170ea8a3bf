"""Places without people's hand in them: field, mountain, forest, desert, cave.

One function per place, each from the conditions to the scenery. The order of draws inside is
part of the picture.
"""

from __future__ import annotations

import math

from stage3_plugin.previz.backdrop.land import grass, ground, ridge
from stage3_plugin.previz.backdrop.setting import Outdoors, Scenery
from stage3_plugin.previz.backdrop.trees import bamboo, tree_row
from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import darken, lighten, mix
from stage3_plugin.previz.svg import (
    Point,
    circle,
    curve,
    opacity,
    path,
    polygon,
    rect,
    smooth,
    straight,
    stroke,
)


def stage(outdoors: Outdoors) -> Scenery:
    """Draw a bare floor before a plain wall; the place for stories that name none."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height = canvas.width_px, canvas.height_px
    wall, floor = canvas.tone("#a9adb5"), canvas.tone("#7d818a")
    behind = canvas.linear([(0, darken(wall, 0.35)), (1, wall)])
    below = canvas.linear([(0, floor), (1, darken(floor, 0.4))])
    light_x = width * canvas.chance.between(0.25, 0.75)
    return Scenery(
        markup=rect(0, 0, width, height, behind)
        + rect(0, horizon, width, height - horizon, below)
        + canvas.glow(light_x, horizon, height * 0.6, lighten(wall, 0.4), 0.5)
    )


def field(outdoors: Outdoors) -> Scenery:
    """Draw meadows with a path, flowers, and hills behind; the place under an open sky."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height, chance = canvas.width_px, canvas.height_px, canvas.chance
    near, meadow = ("#e3ecf4", "#dde8f2") if outdoors.is_snowy else ("#7aa254", "#6d9648")
    far_y, hill_y, near_y = (
        horizon - height * 0.03,
        horizon + height * 0.01,
        horizon + height * 0.07,
    )
    # fmt: off
    parts = [
        ridge(canvas, far_y, height * 0.10, "#7d94ae",
              rough=0.05, depth=0.62, floor_px=height, steps=16)
        if "mountains" not in canvas.features else
        ridge(canvas, far_y - height * 0.03, height * 0.24, "#6d7fa3",
              rough=0.16, depth=0.58, floor_px=height, steps=22, peaks=True, snowcaps=True),
        ridge(canvas, hill_y, height * 0.06, outdoors.powdered("#6f9a6a"),
              rough=0.03, depth=0.4, floor_px=height, steps=14),
        tree_row(canvas, horizon + height * 0.035, height * 0.055,
                 outdoors.powdered("#4c7f55"), 0.36, is_leafy=True, gap=2.2),
        ridge(canvas, near_y, height * 0.045, near,
              rough=0.02, depth=0.15, floor_px=height, steps=12),
        ground(canvas, horizon + height * 0.11, meadow, 0.1),
    ]
    start, bend, spread = horizon + height * 0.06, horizon + height * 0.12, horizon + height * 0.2
    trail = curve("M", (width * 0.47, start),
                  "C", (width * 0.62, bend), (width * 0.3, spread), (width * 0.34, height),
                  "L", (width * 0.66, height),
                  "C", (width * 0.5, horizon + height * 0.22), (width * 0.66, bend),
                  (width * 0.485, start), "Z")
    # fmt: on
    parts.append(path(trail, canvas.tone(outdoors.powdered("#d9c193"), 0.15), opacity(0.75)))
    if outdoors.is_snowy:
        return Scenery(markup="".join(parts))
    green = canvas.tone("#5f8a3c")
    parts.append(
        grass(canvas, horizon + height * 0.12, height, green, blades=110, height=height * 0.045)
    )
    for _ in range(46):
        x = chance.between(0, width)
        y = horizon + height * 0.14 + (height - horizon) * 0.8 * chance.random()
        radius = canvas.short_px * chance.between(0.003, 0.007)
        petals = chance.pick(["#ffd166", "#ef6f6c", "#f7f3e8", "#b48ee0"])
        parts.append(circle(x, y, radius, petals))
    return Scenery(markup="".join(parts))


def mountain(outdoors: Outdoors) -> Scenery:
    """Draw two ranges, the farther one with snow on top, and a meadow."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    height = canvas.height_px
    hill, meadow = ("#dfe8f2", "#dbe6f1") if outdoors.is_snowy else ("#4c7a55", "#5a8552")
    # fmt: off
    parts = [
        ridge(canvas, horizon - height * 0.06, height * 0.26, "#6d7fa3",
              rough=0.16, depth=0.62, floor_px=height, steps=22, peaks=True, snowcaps=True),
        ridge(canvas, horizon - height * 0.01, height * 0.17, "#5a6d8c",
              rough=0.14, depth=0.36, floor_px=height, peaks=True),
        tree_row(canvas, horizon + height * 0.035, height * 0.06,
                 outdoors.powdered("#35604f"), 0.42),
        ridge(canvas, horizon + height * 0.03, height * 0.03, hill,
              rough=0.05, depth=0.18, floor_px=height),
        ground(canvas, horizon + height * 0.05, meadow),
    ]
    # fmt: on
    if not outdoors.is_snowy:
        top, green = horizon + height * 0.09, canvas.tone("#446f42")
        parts.append(grass(canvas, top, height, green, blades=90, height=height * 0.04))
    return Scenery(markup="".join(parts))


def forest(outdoors: Outdoors) -> Scenery:
    """Draw rows of firs between two near trunks, or a bamboo thicket, and a path into it."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height = canvas.width_px, canvas.height_px
    parts = [_thicket(outdoors) if canvas.bamboo else _firs(outdoors)]
    middle = width * 0.5
    start, bend = horizon + height * 0.05, horizon + height * 0.12
    # fmt: off
    trail = curve("M", (middle - width * 0.02, start),
                  "C", (middle + width * 0.05, bend),
                  (middle - width * 0.16, horizon + height * 0.2), (middle - width * 0.2, height),
                  "L", (middle + width * 0.22, height),
                  "C", (middle + width * 0.1, horizon + height * 0.22),
                  (middle + width * 0.1, bend), (middle + width * 0.02, start), "Z")
    # fmt: on
    earth = "#eef3f8" if outdoors.is_snowy else "#b59a6c"
    parts.append(path(trail, canvas.tone(earth, 0.2), opacity(0.6)))
    if not outdoors.is_snowy:
        green = canvas.tone("#3f7040", 0, 0.1)
        parts.append(
            grass(canvas, horizon + height * 0.1, height, green, blades=70, height=height * 0.05)
        )
    return Scenery(markup="".join(parts))


def _thicket(outdoors: Outdoors) -> str:
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height, short = canvas.width_px, canvas.height_px, canvas.short_px
    far, near = horizon + height * 0.03, horizon + height * 0.07
    return "".join(
        [
            rect(0, 0, width, height, canvas.palette.haze, extra=opacity(0.45)),
            bamboo(canvas, far, "#6f9a4e", 0.55, stems=26, width=short * 0.011),
            bamboo(canvas, near, "#5d8a3f", 0.28, stems=16, width=short * 0.018),
            ground(canvas, horizon + height * 0.04, "#5c7d45", 0.3),
            bamboo(canvas, height * 0.9, "#4a7434", 0.05, stems=7, width=short * 0.03),
        ]
    )


def _firs(outdoors: Outdoors) -> str:
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height = canvas.width_px, canvas.height_px
    floor = "#d7e3ee" if outdoors.is_snowy else "#4f7a46"
    haze = canvas.palette.haze
    parts = [
        tree_row(
            canvas, horizon + height * 0.01, height * 0.28, outdoors.powdered("#5d8f74"), 0.66
        ),
        tree_row(
            canvas, horizon + height * 0.03, height * 0.36, outdoors.powdered("#3f7758"), 0.42
        ),
    ]
    mist = canvas.linear([(0, haze, 0), (1, haze, 0.55)])
    parts.append(rect(0, horizon - height * 0.2, width, height * 0.3, mist))
    parts.append(
        tree_row(
            canvas,
            horizon + height * 0.05,
            height * 0.34,
            outdoors.powdered("#2f6248"),
            0.2,
            gap=0.9,
        )
    )
    parts.append(ground(canvas, horizon + height * 0.04, floor, 0.42))
    parts.extend(
        _near_trunk(canvas, width * (0.5 + side * 0.47), is_left=side < 0) for side in (-1, 1)
    )
    return "".join(parts)


def _near_trunk(canvas: Canvas, x: float, *, is_left: bool) -> str:
    """Draw a trunk that leaves the picture at both ends, lit from the picture's middle."""
    width, height = canvas.width_px, canvas.height_px
    low, high = height * 0.6, height * 0.3
    # fmt: off
    shape = curve("M", (x - width * 0.045, height),
                  "C", (x - width * 0.03, low), (x - width * 0.02, high), (x - width * 0.035, -10),
                  "L", (x + width * 0.03, -10),
                  "C", (x + width * 0.02, high), (x + width * 0.03, low),
                  (x + width * 0.055, height), "Z")
    # fmt: on
    lit, dark = canvas.tone("#3b2f2c", 0.12), canvas.tone("#241c1f")
    fill = canvas.linear([(0, lit), (1, dark)], 0 if is_left else 1, 0, 1 if is_left else 0, 0)
    return path(shape, fill)


def desert(outdoors: Outdoors) -> Scenery:
    """Draw three waves of dunes, each with its shadow side."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height, chance = canvas.width_px, canvas.height_px, canvas.chance
    parts: list[str] = []
    for y, swing, depth, sand in (
        (horizon - height * 0.01, height * 0.06, 0.5, "#d7a468"),
        (horizon + height * 0.05, height * 0.07, 0.25, "#cf9152"),
        (horizon + height * 0.13, height * 0.06, 0.06, "#b9763f"),
    ):
        # fmt: off
        parts.append(ridge(canvas, y, swing, outdoors.snowed(sand),
                           rough=0.02, depth=depth, floor_px=height, steps=14))
        x = width * chance.between(0.1, 0.7)
        crest, foot = (x, y - swing * 0.2), y + swing * 1.6
        slope = curve("M", crest,
                      "C", (x + width * 0.1, y + swing * 0.2), (x + width * 0.05, y + swing * 0.8),
                      (x + width * 0.24, foot),
                      "L", (x + width * 0.5, foot),
                      "C", (x + width * 0.3, y + swing * 0.9), (x + width * 0.2, y), crest, "Z")
        # fmt: on
        parts.append(
            path(slope, darken(canvas.tone(outdoors.snowed(sand), depth), 0.35), opacity(0.35))
        )
    parts.append(_near_sand(outdoors))
    return Scenery(markup="".join(parts))


def _near_sand(outdoors: Outdoors) -> str:
    """Draw the sand at the viewer's feet: darker than the dunes, with ripples of the wind."""
    canvas, horizon, chance = outdoors.canvas, outdoors.horizon_px, outdoors.canvas.chance
    width, height = canvas.width_px, canvas.height_px
    sand = canvas.tone(outdoors.snowed("#b9763f"))
    top = horizon + height * 0.16
    fill = canvas.linear([(0, sand, 0), (0.4, sand), (1, darken(sand, 0.42))])
    parts = [rect(0, top, width, height - top, fill)]
    shade = darken(sand, 0.3)
    for row in range(1, 8):
        y = top + (height - top) * (0.25 + 0.75 * (row / 8) ** 1.5)
        swing = height * 0.006 * row * 0.5
        ripple = [
            (width * (step / 8 * 1.1 - 0.05), y + swing * chance.between(-1, 1))
            for step in range(9)
        ]
        crest = stroke(shade, canvas.short_px * 0.0012 * (1 + row * 0.3))
        parts.append(path(smooth(ripple), extra=crest + opacity(0.5)))
    return "".join(parts)


def cave(outdoors: Outdoors) -> Scenery:
    """Look out of a cave: daylight inside three rings of rock, and stalactites."""
    canvas, horizon, palette = outdoors.canvas, outdoors.horizon_px, outdoors.canvas.palette
    width, height, chance = canvas.width_px, canvas.height_px, canvas.chance
    daylight = canvas.linear([(0, palette.sky[2]), (1, palette.sky[3])])
    reach = canvas.short_px * 0.6
    # fmt: off
    parts = [
        rect(0, 0, width, height, daylight),
        canvas.glow(width * 0.5, horizon * 0.85, reach, palette.light, 0.8),
        ridge(canvas, horizon, height * 0.08, "#5f7f8a",
              rough=0.08, depth=0.5, floor_px=height),
        ground(canvas, horizon + height * 0.02, "#6a6470", 0.4),
    ]
    # fmt: on
    for size, rock in ((0.40, "#4d4656"), (0.47, "#2b2636"), (0.54, "#15121f")):
        frame = f"M-20 -20H{width + 20}V{height + 20}H-20Z "
        hole = straight(_ring(outdoors, size)) + "Z"
        rim = mix(rock, palette.sky[0], 0.25)
        parts.append(path(frame + hole, rim, ' fill-rule="evenodd"'))
    for _ in range(9):
        x = chance.between(0.1, 0.9) * width
        length = height * chance.between(0.05, 0.2)
        root = length * 0.2
        parts.append(polygon([(x - root, -5), (x + root, -5), (x, length)], "#120f1b"))
    return Scenery(markup="".join(parts), ground_px=horizon + height * 0.1, hides_sky=True)


def _ring(outdoors: Outdoors, size: float) -> list[Point]:
    canvas = outdoors.canvas
    ring: list[Point] = []
    for step in range(30):
        angle = 6.2832 * step / 30
        reach = size * (1 + canvas.chance.between(-0.10, 0.10))
        x = canvas.width_px * 0.5 + math.cos(angle) * canvas.width_px * reach * 1.02
        y = outdoors.horizon_px * 0.82 + math.sin(angle) * canvas.height_px * reach * 0.95
        ring.append((x, y))
    return ring
