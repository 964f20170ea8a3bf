"""What falls or drifts between the viewer and everything else: rain, snow, fog."""

from __future__ import annotations

from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import lighten
from stage3_plugin.previz.svg import circle, line, opacity, rect

FLAKES_AND_DROPS = 190


def weather_effects(canvas: Canvas, weather: str, strength: float = 1.0) -> str:
    """Draw the weather in front of a finished picture; clear weather is an empty string."""
    count = int(FLAKES_AND_DROPS * strength)
    if weather in {"rain", "storm"}:
        return _rain(canvas, count)
    if weather == "snow":
        return _snow(canvas, count)
    if weather == "fog":
        return _fog(canvas, strength)
    return ""


def _rain(canvas: Canvas, count: int) -> str:
    short, chance = canvas.short_px, canvas.chance
    parts: list[str] = []
    for _ in range(count):
        x = chance.between(-0.05, 1.1) * canvas.width_px
        y = chance.between(-0.05, 1) * canvas.height_px
        size = chance.between(0.4, 1.3)
        ends = (x, y, x - short * 0.016 * size, y + short * 0.062 * size)
        look = opacity(round(chance.between(0.18, 0.55), 2)) + ' stroke-linecap="round"'
        parts.append(line(*ends, "#dbe6f5", short * 0.0017 * size, look))
    return "".join(parts)


def _snow(canvas: Canvas, count: int) -> str:
    chance = canvas.chance
    parts: list[str] = []
    for _ in range(count):
        nearness = chance.random() ** 2
        x, y = chance.between(0, canvas.width_px), chance.between(0, canvas.height_px)
        radius = canvas.short_px * (0.0018 + 0.0075 * nearness)
        parts.append(circle(x, y, radius, "#ffffff", opacity(0.9 - 0.5 * nearness)))
    return "".join(parts)


def _fog(canvas: Canvas, strength: float) -> str:
    """Draw banks that run into each other: one gradient, because each large one costs 0.1 s."""
    width, height, haze = canvas.width_px, canvas.height_px, canvas.palette.haze
    bank = lighten(haze, 0.2)
    banks = (0, 0.34, 0.24, 0.42, 0.26, 0.44, 0.28, 0.40, 0.16)
    solidity = [min(0.9, share * strength) for share in banks]
    last = len(solidity) - 1
    fill = canvas.linear([(index / last, bank, share) for index, share in enumerate(solidity)])
    return rect(-width * 0.1, height * 0.1, width * 1.2, height * 0.95, fill)
