"""The open sea, calm or in a storm, from a ship's deck or without one, and the beach."""

from __future__ import annotations

from stage3_plugin.previz.backdrop.setting import Outdoors, Scenery
from stage3_plugin.previz.backdrop.swell import rough_sea
from stage3_plugin.previz.backdrop.towers import lighthouse
from stage3_plugin.previz.backdrop.waters import coast, water
from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.svg import curve, line, opacity, path, smooth


def sea(outdoors: Outdoors) -> Scenery:
    """Draw open water, sometimes with a coast; who is there stands on a ship's deck."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height = canvas.width_px, canvas.height_px
    far = coast(outdoors) if canvas.chance.happens(0.5) else ""
    if "lighthouse" in canvas.features:
        far += lighthouse(outdoors, width * 0.86, horizon + height * 0.01, height * 0.17, depth=0.5)
    is_rough = outdoors.weather == "storm" or "rough" in canvas.features
    scenery = rough_sea(outdoors) if is_rough else Scenery(markup=water(outdoors))
    deck_y = horizon + (height - horizon) * 0.66
    return Scenery(
        markup=far + scenery.markup + (_deck(canvas, deck_y) if canvas.people else ""),
        ground_px=deck_y,
        berth=scenery.berth,
    )


def beach(outdoors: Outdoors) -> Scenery:
    """Draw water, a line of surf, and sand."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height = canvas.width_px, canvas.height_px
    parts = [coast(outdoors), water(outdoors)]
    if "lighthouse" in canvas.features:
        foot = horizon + height * 0.01
        parts.append(lighthouse(outdoors, width * 0.88, foot, height * 0.20, depth=0.45))
    y = horizon + (height - horizon) * 0.42
    across = (-10, width * 0.25, width * 0.5, width * 0.78, width + 10)
    surf = [y + height * drop for drop in (0, 0.02, -0.005, 0.03, -0.01)]
    shore = [y + height * drop for drop in (0.018, 0.035, 0.012, 0.046, 0.01)]
    foam = smooth(list(zip(across, surf, strict=True)), height)
    parts.append(path(foam, "#ffffff", opacity(0.65)))
    sand = canvas.linear(
        [
            (0, canvas.tone(outdoors.powdered("#e6cfa0"))),
            (1, canvas.tone(outdoors.powdered("#b9935f"), 0, 0.1)),
        ]
    )
    parts.append(path(smooth(list(zip(across, shore, strict=True)), height), sand))
    return Scenery(markup="".join(parts), ground_px=y)


def _deck(canvas: Canvas, y: float) -> str:
    """Draw planks towards the viewer and a railing behind them."""
    width, height, short = canvas.width_px, canvas.height_px, canvas.short_px
    planks = canvas.linear([(0, canvas.tone("#8a6244")), (1, canvas.tone("#4a3226"))])
    edge, right = y - height * 0.02, width + 10
    shape = curve("M", (-10, y), "L", (right, edge), "L", (right, height), "L", (-10, height), "Z")
    parts = [path(shape, planks)]
    seam, rail = canvas.tone("#5d4030"), canvas.tone("#6b4a34")
    for board in range(10):
        aside = (board - 4.5) / 4.5
        x = width * board / 9
        ends = (x - width * 0.06 * aside, y, x + width * 0.10 * aside, height)
        parts.append(line(*ends, seam, short * 0.003))
    parts.append(line(0, y - height * 0.10, width, y - height * 0.12, rail, short * 0.014))
    for post in range(7):
        x = width * (post + 0.5) / 7
        parts.append(line(x, y, x, y - height * 0.11, rail, short * 0.010))
    return "".join(parts)
