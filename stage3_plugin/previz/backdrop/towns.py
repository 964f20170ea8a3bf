"""Places that people have built: city, street, house, castle, pagoda, battlefield."""

from __future__ import annotations

from stage3_plugin.previz.backdrop.buildings import castle as draw_castle
from stage3_plugin.previz.backdrop.buildings import pagoda as draw_pagoda
from stage3_plugin.previz.backdrop.buildings import skyline
from stage3_plugin.previz.backdrop.house import house as draw_house
from stage3_plugin.previz.backdrop.land import grass, ground, ridge
from stage3_plugin.previz.backdrop.setting import Outdoors, Scenery
from stage3_plugin.previz.backdrop.trees import leafy, tree_row
from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import darken, mix
from stage3_plugin.previz.svg import (
    circle,
    curve,
    group,
    line,
    opacity,
    path,
    polygon,
    rect,
    stroke,
)


def city(outdoors: Outdoors) -> Scenery:
    """Draw three rows of towers seen from a roof with a railing."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height, short = canvas.width_px, canvas.height_px, canvas.short_px
    lit, haze = outdoors.lit_share, canvas.palette.haze
    # fmt: off
    parts = [
        skyline(canvas, horizon + 2, "#7b88a8", 0.62,
                heights=(0.18, 0.46), lit_share=lit * 0.5, widths=(0.03, 0.06)),
        skyline(canvas, horizon + 3, "#55607f", 0.34,
                heights=(0.12, 0.34), lit_share=lit, widths=(0.045, 0.09)),
        rect(0, horizon - height * 0.18, width, height * 0.2,
             canvas.linear([(0, haze, 0), (1, haze, 0.5)])),
        skyline(canvas, horizon + height * 0.03, "#3d4663", 0.12,
                heights=(0.05, 0.16), lit_share=lit, widths=(0.06, 0.12)),
    ]
    # fmt: on
    edge = horizon + height * 0.03
    parts.append(ground(canvas, edge, outdoors.snowed("#565c70"), 0.25))
    parts.append(_paving(outdoors, edge, canvas.tone(outdoors.powdered("#3f4458"))))
    parts.append(rect(0, edge, width, height * 0.012, canvas.tone("#8a90a3")))
    rail = canvas.tone("#3b4156")
    for post in range(14):
        x = width * post / 13
        parts.append(line(x, edge, x, horizon - height * 0.005, rail, short * 0.004))
    top = horizon - height * 0.004
    parts.append(line(0, top, width, top, rail, short * 0.006))
    return Scenery(markup="".join(parts))


def house(outdoors: Outdoors) -> Scenery:
    """Draw a house in a garden, with a path from its door to the viewer."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height, chance = canvas.width_px, canvas.height_px, canvas.chance
    lawn = "#dfe8f0" if outdoors.is_snowy else "#7d9a58"
    # fmt: off
    parts = [
        ridge(canvas, horizon - height * 0.03, height * 0.07, "#6f8f86",
              rough=0.06, depth=0.55, floor_px=height),
        tree_row(canvas, horizon + height * 0.015, height * 0.13,
                 outdoors.powdered("#4b7a5b"), 0.36, is_leafy=True, gap=0.9),
        ground(canvas, horizon, lawn, 0.3),
    ]
    # fmt: on
    x = width * (0.64 if canvas.people > 1 else 0.60)
    size = min(width * 0.62, height * 0.56)
    foot = horizon + height * 0.075
    roof = outdoors.powdered("#5b4a48")
    home = draw_house(canvas, x, foot, size, base="#b9a68c", roof=roof, is_night=outdoors.is_night)
    parts.append(_garden_path(outdoors, home.door, size))
    parts.append(home.markup)
    hedge = canvas.tone(outdoors.powdered("#4d7d46"))
    for side in (-1, 1):
        for _ in range(5):
            bush_x = x + side * size * chance.between(0.46, 0.62)
            bush_y = horizon + height * 0.07 - size * chance.between(0, 0.07)
            radius = size * chance.between(0.05, 0.09)
            leaves = mix(hedge, canvas.palette.haze, chance.between(0, 0.2))
            parts.append(circle(bush_x, bush_y, radius, leaves))
    crown, trunk = canvas.tone(outdoors.powdered("#3f6e47"), 0.04), canvas.tone("#4a3a30")
    tree = (width * 0.10, horizon + height * 0.10, height * 0.46)
    parts.append(leafy(canvas, *tree, crown=crown, trunk=trunk))
    if not outdoors.is_snowy:
        top, green = horizon + height * 0.1, canvas.tone("#56803f")
        parts.append(grass(canvas, top, height, green, blades=80, height=height * 0.04))
    return Scenery(markup="".join(parts), door=home.door, door_height_px=home.door_height_px)


def _garden_path(outdoors: Outdoors, door: tuple[float, float], size: float) -> str:
    canvas = outdoors.canvas
    width, height, (x, y) = canvas.width_px, canvas.height_px, door
    bend = outdoors.horizon_px + height * 0.2
    # fmt: off
    shape = curve("M", (x - size * 0.05, y),
                  "C", (x - size * 0.1, bend), (width * 0.3, height * 0.8), (width * 0.22, height),
                  "L", (width * 0.56, height),
                  "C", (width * 0.52, height * 0.82), (x + size * 0.12, bend),
                  (x + size * 0.06, y), "Z")
    # fmt: on
    return path(shape, canvas.tone(outdoors.powdered("#c4ae86"), 0.1))


def castle(outdoors: Outdoors) -> Scenery:
    """Draw a castle before mountains, beside a lone figure."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height = canvas.width_px, canvas.height_px
    x, size = width * (0.66 if canvas.people == 1 else 0.5), min(width * 0.5, height * 0.44)
    # fmt: off
    parts = [
        ridge(canvas, horizon - height * 0.02, height * 0.17, "#7384a8",
              rough=0.12, depth=0.6, floor_px=height, steps=22, peaks=True, snowcaps=True),
        ridge(canvas, horizon + height * 0.02, height * 0.07, outdoors.snowed("#5f7d67"),
              rough=0.04, depth=0.4, floor_px=height),
        draw_castle(canvas, x, horizon + height * 0.02, size,
                    base="#a39db0", depth=0.22, is_lit=outdoors.lit_share > 0),
        ridge(canvas, horizon + height * 0.08, height * 0.04, outdoors.snowed("#4f7552"),
              rough=0.03, depth=0.16, floor_px=height),
        ground(canvas, horizon + height * 0.08, outdoors.snowed("#5a7f52"), 0.2),
    ]
    # fmt: on
    if not outdoors.is_snowy:
        top, green = horizon + height * 0.12, canvas.tone("#3f6a3c")
        parts.append(grass(canvas, top, height, green, blades=70, height=height * 0.05))
    return Scenery(markup="".join(parts))


def pagoda(outdoors: Outdoors) -> Scenery:
    """Draw a pagoda on a paved court under a blossoming branch."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height = canvas.width_px, canvas.height_px
    x, size = width * (0.66 if canvas.people == 1 else 0.5), min(width * 0.5, height * 0.42)
    court = horizon + height * 0.05
    # fmt: off
    parts = [
        ridge(canvas, horizon - height * 0.03, height * 0.16, "#7d90a6",
              rough=0.1, depth=0.62, floor_px=height, steps=20),
        tree_row(canvas, horizon + height * 0.01, height * 0.1,
                 outdoors.powdered("#4f7b62"), 0.45, is_leafy=True, gap=0.8),
        draw_pagoda(canvas, x, horizon + height * 0.055, size,
                    tiers=3, base="#b2493f", roof=outdoors.powdered("#2f3a4a"), depth=0.12),
        ground(canvas, court, outdoors.snowed("#a59c8c"), 0.3),
    ]
    # fmt: on
    parts.append(_paving(outdoors, court, canvas.tone(outdoors.powdered("#6f675c"))))
    parts.append(_blossoms(canvas))
    return Scenery(markup="".join(parts))


def _paving(outdoors: Outdoors, top: float, seam: str) -> str:
    """Draw the joints of slabs that run towards the viewer, from ``top`` down."""
    canvas = outdoors.canvas
    width, height, thin = canvas.width_px, canvas.height_px, canvas.short_px * 0.003
    parts: list[str] = []
    for row in range(1, 7):
        y = top + (height - outdoors.horizon_px) * (row / 7) ** 1.6
        parts.append(line(0, y, width, y, seam, thin, opacity(0.5)))
    for column in range(-6, 7):
        ends = (width * 0.5 + column * width * 0.05, top, width * 0.5 + column * width * 0.22)
        parts.append(line(*ends, height, seam, thin, opacity(0.4)))
    return "".join(parts)


def _blossoms(canvas: Canvas) -> str:
    width, height, chance = canvas.width_px, canvas.height_px, canvas.chance
    bow, tip = (width * 0.16, height * 0.06), (width * 0.34, height * 0.2)
    branch = curve("M", (-10, height * 0.02), "Q", bow, tip)
    bark = stroke(canvas.tone("#3a2a26"), canvas.short_px * 0.012)
    parts = [path(branch, extra=bark)]
    for _ in range(46):
        x, y = chance.between(-0.02, 0.34) * width, chance.between(0, 0.2) * height
        radius = canvas.short_px * chance.between(0.008, 0.022)
        petals = canvas.tone(chance.pick(["#f3b6c4", "#eb90a8", "#f7d3da"]))
        parts.append(circle(x, y, radius, petals))
    return "".join(parts)


def battlefield(outdoors: Outdoors) -> Scenery:
    """Draw ruins, fires, smoke, rubble and torn flags."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height, chance = canvas.width_px, canvas.height_px, canvas.chance
    # fmt: off
    parts = [
        ridge(canvas, horizon - height * 0.02, height * 0.08, "#77707f",
              rough=0.1, depth=0.55, floor_px=height, steps=24),
        skyline(canvas, horizon + height * 0.02, "#5b5361", 0.4,
                heights=(0.03, 0.14), lit_share=0.04, widths=(0.03, 0.09)),
    ]
    # fmt: on
    parts.extend(_fire(outdoors) for _ in range(4))
    parts.append(ground(canvas, horizon + height * 0.015, outdoors.snowed("#6a5c50"), 0.35))
    rubble = canvas.tone("#3c3335", 0.1)
    for _ in range(16):
        x, nearness = chance.between(0, width), chance.random()
        y = horizon + height * 0.05 + (height - horizon) * 0.8 * nearness
        size = canvas.short_px * (0.01 + 0.05 * nearness)
        peak = y - size * chance.between(0.6, 1.5)
        block = [(x - size, y), (x - size * 0.3, peak), (x + size * 0.5, y - size * 0.5)]
        parts.append(polygon([*block, (x + size, y)], rubble))
    parts.extend(_torn_flag(outdoors) for _ in range(3))
    return Scenery(markup="".join(parts))


def _fire(outdoors: Outdoors) -> str:
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    height, short, chance = canvas.height_px, canvas.short_px, canvas.chance
    x = canvas.width_px * chance.between(0.05, 0.95)
    parts = [canvas.glow(x, horizon - height * 0.04, short * 0.14, "#ff8a3c", 0.7)]
    smoke = darken(canvas.palette.haze, 0.45)
    puffs: list[str] = []
    for puff in range(8):
        drift = short * chance.between(-0.02, 0.02) * (puff + 1)
        puff_x = x + drift + puff * short * 0.02
        puff_y = horizon - height * 0.03 - puff * height * 0.055
        radius = short * (0.02 + 0.013 * puff)
        puffs.append(circle(puff_x, puff_y, radius, smoke))
    # One see-through plume: see-through puffs would show each other's edges.
    parts.append(group("".join(puffs), opacity(0.4)))
    return "".join(parts)


def _torn_flag(outdoors: Outdoors) -> str:
    canvas = outdoors.canvas
    height, short = canvas.height_px, canvas.short_px
    x = canvas.chance.between(0.05, 0.95) * canvas.width_px
    y = outdoors.horizon_px + height * 0.08
    top = (x + short * 0.02, y - height * 0.2)
    # fmt: off
    cloth = curve("M", top,
                  "q", (short * 0.05, -height * 0.01), (short * 0.08, height * 0.02),
                  "q", (-short * 0.02, height * 0.02), (-short * 0.004, height * 0.06),
                  "q", (-short * 0.04, -height * 0.02), (-short * 0.07, height * 0.005), "Z")
    # fmt: on
    pole = line(x, y, *top, canvas.tone("#2d2527"), short * 0.006)
    return pole + path(cloth, canvas.tone("#a8352f"))
