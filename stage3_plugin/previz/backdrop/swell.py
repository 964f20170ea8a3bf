"""The sea in a storm: rows of waves, and one as high as a mast that a boat climbs."""

from __future__ import annotations

import math

from stage3_plugin.previz.backdrop.setting import Berth, Outdoors, Scenery
from stage3_plugin.previz.colour import darken, lighten, mix
from stage3_plugin.previz.svg import (
    Point,
    circle,
    curve,
    ellipse,
    opacity,
    path,
    rect,
    smooth,
    stroke,
)

_ROWS = 4
_STEEPEST = 36.0
"""No boat stands more upright on a wave, in degrees."""


def rough_sea(outdoors: Outdoors) -> Scenery:
    """Draw waves up to the picture's lower edge, the great one to one side."""
    canvas, horizon, chance = outdoors.canvas, outdoors.horizon_px, outdoors.canvas.chance
    width, height = canvas.width_px, canvas.height_px
    deep = mix(canvas.tone("#1d5a78"), canvas.palette.sky[1], 0.15)
    far = mix(deep, canvas.palette.sky[3], 0.4)
    parts = [
        rect(0, horizon, width, height - horizon, canvas.linear([(0, far), (1, darken(deep, 0.5))]))
    ]
    climbs_right = chance.happens(0.5)
    for row in range(_ROWS):
        nearness = (row + 0.6) / _ROWS
        y = horizon + (height - horizon) * (0.06 + 0.80 * nearness**1.25)
        swing = height * (0.018 + 0.045 * nearness)
        if row == 2:
            parts.append(_great_wave(outdoors, deep, climbs_right=climbs_right))
        parts.append(_row(outdoors, y, swing, mix(far, darken(deep, 0.35), nearness)))
    parts.append(_spray(outdoors))
    return Scenery(
        markup="".join(parts),
        ground_px=horizon + (height - horizon) * 0.45,
        berth=_berth(outdoors, climbs_right=climbs_right),
    )


def _row(outdoors: Outdoors, y: float, swing: float, colour: str) -> str:
    """Draw one row of waves with pointed crests and foam on them."""
    canvas, chance = outdoors.canvas, outdoors.canvas.chance
    width, height, short = canvas.width_px, canvas.height_px, canvas.short_px
    length = short * 0.16 + swing * 3.2
    x = -length * chance.random()
    top = [curve("M", (x, y))]
    crests: list[Point] = []
    while x < width + length:
        lift, stretch = swing * chance.between(0.7, 1.5), length * chance.between(0.8, 1.25)
        crest, trough = (x + stretch * 0.55, y - lift), (x + stretch, y)
        # fmt: off
        top.append(curve("C", (x + stretch * 0.25, y), (x + stretch * 0.42, y - lift * 0.85), crest,
                         "C", (x + stretch * 0.60, y - lift * 0.45), (x + stretch * 0.78, y),
                         trough))
        # fmt: on
        crests.append(crest)
        x += stretch
    outline = "".join(top) + curve("L", (x, height + 10), "L", (-length, height + 10), "Z")
    fill = canvas.linear([(0, lighten(colour, 0.12)), (0.3, colour), (1, darken(colour, 0.4))])
    foam = lighten(canvas.tone("#b9d2dc"), 0.15)
    parts = [path(outline, fill)]
    for crest_x, crest_y in crests:
        # fmt: off
        cap = curve("M", (crest_x - swing * 1.3, crest_y + swing * 0.42),
                    "Q", (crest_x - swing * 0.4, crest_y + swing * 0.02), (crest_x, crest_y),
                    "Q", (crest_x + swing * 0.15, crest_y + swing * 0.35),
                    (crest_x + swing * 0.7, crest_y + swing * 0.62))
        # fmt: on
        parts.append(path(cap, extra=stroke(foam, max(swing * 0.11, 1.0), cap=True) + opacity(0.7)))
    return "".join(parts)


def _slope(outdoors: Outdoors, *, climbs_right: bool) -> list[Point]:
    """Return the line of the great wave, from its foot to its crest and down behind it."""
    canvas, horizon = outdoors.canvas, outdoors.horizon_px
    width, height = canvas.width_px, canvas.height_px
    foot = horizon + (height - horizon) * 0.50
    rise = height * 0.36
    shares = ((-0.06, 0.02), (0.14, 0.03), (0.34, 0.13), (0.48, 0.48), (0.57, 0.84), (0.63, 1.0))
    beyond = ((0.73, 0.97), (0.88, 0.78), (1.06, 0.58))
    line = [(width * x, foot - rise * up) for x, up in (*shares, *beyond)]
    return line if climbs_right else [(width - x, y) for x, y in line]


def _great_wave(outdoors: Outdoors, deep: str, *, climbs_right: bool) -> str:
    canvas, chance = outdoors.canvas, outdoors.canvas.chance
    height, short = canvas.height_px, canvas.short_px
    line = _slope(outdoors, climbs_right=climbs_right)
    crest = line[5]
    black = darken(deep, 0.35)
    fill = canvas.linear([(0, lighten(deep, 0.22)), (0.25, deep), (1, darken(black, 0.45))])
    foam = lighten(canvas.tone("#c4dbe4"), 0.2)
    parts = [path(smooth(line, height + 10), fill)]
    # It breaks over the face that a boat climbs, never away from it: that would be its back.
    aside = -1 if climbs_right else 1
    for streak in range(6):
        down = short * (0.045 + 0.05 * streak)
        run = [(x, y + down * (1 + 0.25 * rank)) for rank, (x, y) in enumerate(line[1:5])]
        sheen = stroke(lighten(deep, 0.26), short * 0.0035, cap=True)
        parts.append(path(smooth(run[streak % 2 :]), extra=sheen + opacity(0.42)))
    x, y = crest
    # The crest breaks forward: a curl of foam, torn off by the wind.
    white = stroke(foam, short * 0.010, cap=True, join=True) + opacity(0.9)
    parts.append(path(smooth(line[4:7]), extra=white))
    # fmt: off
    curl = curve("M", (x - aside * short * 0.05, y - short * 0.004),
                 "Q", (x + aside * short * 0.03, y - short * 0.030),
                 (x + aside * short * 0.085, y + short * 0.030),
                 "Q", (x + aside * short * 0.03, y + short * 0.016),
                 (x, y + short * 0.040), "Z")
    # fmt: on
    parts.append(path(curl, foam, opacity(0.85)))
    for _ in range(26):
        # Foam runs back down the face in spots that thin out.
        along, fallen = chance.random(), chance.random() ** 1.6
        spot_x = x - aside * short * (0.16 * along - 0.04)
        spot_y = y + short * (0.055 * along**1.3 + 0.012 + 0.10 * fallen)
        size = short * (0.011 - 0.008 * fallen) * chance.between(0.5, 1.2)
        parts.append(ellipse(spot_x, spot_y, size * 1.8, size, foam, opacity(0.75 - 0.5 * fallen)))
    for _ in range(38):
        flown = chance.random()
        drop_x = x + aside * short * (0.02 + 0.20 * flown) + short * chance.between(-0.05, 0.03)
        drop_y = y - short * 0.05 * chance.random() + short * 0.10 * flown * chance.random()
        radius = short * chance.between(0.0015, 0.006) * (1.2 - flown)
        parts.append(circle(drop_x, drop_y, radius, foam, opacity(chance.between(0.4, 0.9))))
    return "".join(parts)


def _berth(outdoors: Outdoors, *, climbs_right: bool) -> Berth:
    """Put a boat on the slope, its bow towards the crest."""
    line = _slope(outdoors, climbs_right=climbs_right)
    (left, low), (right, high) = line[3], line[4]
    steep = math.degrees(math.atan2(low - high, abs(right - left)))
    tilt = min(steep, _STEEPEST)
    return Berth(
        x=left + (right - left) * 0.10,
        y=low + (high - low) * 0.10 + outdoors.canvas.short_px * 0.012,
        tilt=-tilt if climbs_right else tilt,
    )


def _spray(outdoors: Outdoors) -> str:
    canvas, chance = outdoors.canvas, outdoors.canvas.chance
    foam = lighten(canvas.tone("#c4dbe4"), 0.3)
    parts: list[str] = []
    for _ in range(46):
        x = canvas.width_px * chance.random()
        y = (
            outdoors.horizon_px * 0.75
            + (canvas.height_px - outdoors.horizon_px * 0.75) * chance.random()
        )
        radius = canvas.short_px * (0.001 + 0.004 * chance.random() ** 2)
        parts.append(circle(x, y, radius, foam, opacity(chance.between(0.3, 0.85))))
    return "".join(parts)
