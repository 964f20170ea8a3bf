"""Where land and boats meet: a harbour with its pier, and the lighthouse that stands far off."""

from __future__ import annotations

from stage3_plugin.previz.backdrop.setting import Outdoors, Scenery
from stage3_plugin.previz.backdrop.towers import lighthouse
from stage3_plugin.previz.backdrop.waters import coast, water
from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import darken, lighten
from stage3_plugin.previz.svg import Point, ellipse, line, opacity, path, polygon, rect, straight

_WALLS = ("#c9a288", "#b8b0a2", "#a9766a", "#d8c49a", "#8fa0a8")
_POSTS = 5
_ROOFS = ("#7a4a40", "#5b5560", "#8a5a44")


def harbour(outdoors: Outdoors) -> Scenery:
    """Draw houses at the far side, still water with masts, and a wooden pier towards the viewer."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height = canvas.width_px, canvas.height_px
    quay_right = canvas.chance.happens(0.5)
    parts = [coast(outdoors), water(outdoors), _village(outdoors, is_right=quay_right)]
    if "lighthouse" in canvas.features:
        far = width * (0.12 if quay_right else 0.88)
        parts.append(lighthouse(outdoors, far, horizon + height * 0.012, height * 0.20, depth=0.5))
    edge = horizon + (height - horizon) * 0.46
    parts.append(_pier(outdoors, edge))
    return Scenery(
        markup="".join(parts),
        ground_px=edge + height * 0.03,
        waterline_px=horizon + (height - horizon) * 0.34,
    )


def _village(outdoors: Outdoors, *, is_right: bool) -> str:
    """Draw a row of small houses on a quay, and the masts in front of them."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height, short, chance = canvas.width_px, canvas.height_px, canvas.short_px, canvas.chance
    reach, foot = width * 0.40, horizon + height * 0.012
    start = width - reach if is_right else 0.0
    stone = canvas.tone(outdoors.powdered("#8d8478"), 0.42)
    parts: list[str] = []
    x = start
    while x < start + reach:
        wide, high = short * chance.between(0.06, 0.10), short * chance.between(0.05, 0.10)
        wall = canvas.tone(chance.pick(_WALLS), 0.45)
        roof = canvas.tone(outdoors.powdered(chance.pick(_ROOFS)), 0.42)
        parts.append(rect(x, foot - high, wide, high, wall))
        gable = [(x - wide * 0.06, foot - high), (x + wide * 0.5, foot - high - wide * 0.42)]
        parts.append(polygon([*gable, (x + wide * 1.06, foot - high)], roof))
        for pane in (0.22, 0.60):
            is_lit = chance.happens(outdoors.lit_share)
            glass = canvas.palette.warm if is_lit else darken(wall, 0.35)
            size = (wide * 0.18, high * 0.26)
            parts.append(rect(x + wide * pane, foot - high * 0.72, *size, glass))
        x += wide * chance.between(0.98, 1.25)
    parts.append(rect(start - short * 0.02, foot, reach + short * 0.04, height * 0.022, stone))
    spar = canvas.tone("#4d4640", 0.35)
    for _ in range(5):
        x = start + reach * chance.between(0.05, 0.95)
        top = foot - short * chance.between(0.12, 0.19)
        parts.append(line(x, foot + height * 0.02, x, top, spar, short * 0.004))
        beam = short * 0.035
        parts.append(line(x, top + beam, x - beam, top + beam * 2.4, spar, short * 0.0025))
        parts.append(ellipse(x, foot + height * 0.026, short * 0.035, short * 0.008, spar))
    return "".join(parts)


def pier_posts(canvas: Canvas) -> list[float]:
    """Return the x of each post along the pier's edge; boats are tied to them."""
    left, right = _edge(canvas)
    return [left + (right - left) * (rank + 0.5) / _POSTS for rank in range(_POSTS)]


def _edge(canvas: Canvas) -> tuple[float, float]:
    """Return both ends of the pier's edge, which leaves out where a boat with people lies."""
    width = canvas.width_px
    left = width * 0.56 if "afloat left" in canvas.features else -10.0
    right = width * 0.44 if "afloat right" in canvas.features else width + 10.0
    return left, right


def _pier(outdoors: Outdoors, edge: float) -> str:
    """Draw planks towards the viewer, where no people float, and posts along the edge."""
    canvas = outdoors.canvas
    width, height, short = canvas.width_px, canvas.height_px, canvas.short_px
    if "afloat" in canvas.features:
        return ""
    left, right = _edge(canvas)
    foot_left, foot_right = left, right
    if "afloat left" in canvas.features:
        foot_left -= width * 0.10
    if "afloat right" in canvas.features:
        foot_right += width * 0.10
    wood = canvas.tone(outdoors.powdered("#8f7259"))
    planks = canvas.linear([(0, lighten(wood, 0.06)), (1, darken(wood, 0.42))])
    deck: list[Point] = [(left, edge), (right, edge), (foot_right, height), (foot_left, height)]
    beam = rect(left, edge, right - left, height * 0.020, darken(wood, 0.5))
    parts = [beam, path(straight(deck) + "Z", planks)]
    seam = darken(wood, 0.38)
    for row in range(1, 9):
        share = (row / 9) ** 1.7
        y = edge + (height - edge) * share
        start = left + (foot_left - left) * share
        end = right + (foot_right - right) * share
        parts.append(line(start, y, end, y, seam, short * 0.0022 * (1 + share), opacity(0.75)))
    post, shade = canvas.tone(outdoors.powdered("#5a4636")), canvas.tone("#3b2e24")
    for x in pier_posts(canvas):
        thick, tall = short * 0.026, short * 0.085
        parts.append(rect(x - thick / 2, edge - tall * 0.7, thick, tall, post, thick * 0.2))
        parts.append(rect(x - thick / 2, edge - tall * 0.42, thick, tall * 0.16, shade))
        parts.append(ellipse(x, edge - tall * 0.7, thick / 2, thick * 0.18, lighten(post, 0.2)))
    return "".join(parts)
