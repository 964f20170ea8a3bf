"""The sky: its gradient, stars, sun or moon, clouds and lightning.

The sun's place is decided here, because reflections on water and the rim light of figures follow
it, even when clouds hide it.
"""

from __future__ import annotations

from dataclasses import dataclass

from stage3_plugin.previz.backdrop.setting import SUNLESS, VEILED
from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import lighten, mix
from stage3_plugin.previz.svg import (
    Point,
    circle,
    curve,
    group,
    opacity,
    path,
    polyline,
    rect,
    stroke,
)

SLATE_SHARE = 0.115
"""Down to this share of the shorter side the slate stands over the sky."""
MOON = "#f4f1e2"
MOON_SHADE = "#dcd8c9"


@dataclass(frozen=True, slots=True)
class Sky:
    """A drawn sky and the place of its sun or moon, in pixels."""

    markup: str
    sun_px: Point


def sky(canvas: Canvas, horizon_px: float, time: str, weather: str) -> Sky:
    """Draw the sky down to the horizon, and plain colour below it."""
    width, height, chance = canvas.width_px, canvas.height_px, canvas.chance
    zenith, upper, lower, low = canvas.palette.sky
    fill = canvas.linear([(0, zenith), (0.42, upper), (0.78, lower), (1, low)])
    parts = [
        rect(0, 0, width, max(horizon_px + height * 0.05, height * 0.2), fill),
        rect(0, horizon_px, width, height - horizon_px, low),
    ]
    left = chance.happens(0.5)
    sun_x = width * (chance.between(0.16, 0.34) if left else chance.between(0.66, 0.84))
    is_low = time in {"sunset", "dawn", "evening"}
    sun_y = horizon_px * (0.80 if is_low else chance.between(0.24, 0.34))
    if time == "night":
        parts.append(_stars(canvas, horizon_px, is_clear=weather not in VEILED))
        if weather not in SUNLESS:
            parts.append(_moon(canvas, sun_x, sun_y))
    elif time == "evening":
        parts.append(_stars(canvas, horizon_px * 0.6, is_clear=False))
    elif weather not in SUNLESS:
        radius = canvas.short_px * (0.085 if is_low else 0.055)
        light = canvas.palette.light
        parts.append(canvas.glow(sun_x, sun_y, radius * 6.5, light, 0.6 if time == "day" else 0.75))
        disc = lighten(mix(light, canvas.palette.warm, 0.55), 0.25)
        if weather != "fog":  # through fog comes light without an edge
            parts.append(circle(sun_x, sun_y, radius, disc))
    parts.append(_clouds(canvas, horizon_px, time, weather))
    if weather == "storm":
        parts.append(_lightning(canvas, horizon_px))
    return Sky("".join(parts), (sun_x, sun_y))


def _stars(canvas: Canvas, horizon_px: float, *, is_clear: bool) -> str:
    width, short, chance = canvas.width_px, canvas.short_px, canvas.chance
    parts: list[str] = []
    for _ in range(150 if is_clear else 30):
        x, y = chance.between(0, width), horizon_px * chance.random() ** 1.25
        radius = short * chance.between(0.0006, 0.0021)
        fading = 1 - 0.55 * y / max(horizon_px, 1)
        parts.append(circle(x, y, radius, "#fff", opacity(chance.between(0.25, 0.95) * fading)))
    for _ in range(6 if is_clear else 0):
        x = chance.between(width * 0.04, width * 0.96)
        y = chance.between(horizon_px * 0.05, horizon_px * 0.5)
        parts.append(_sparkle(x, y, short * chance.between(0.006, 0.011)))
    return "".join(parts)


def _sparkle(x: float, y: float, reach: float) -> str:
    middle = (x, y)
    top, right, bottom, left = (x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)
    # fmt: off
    rays = curve("M", top, "Q", middle, right, "Q", middle, bottom,
                 "Q", middle, left, "Q", middle, top, "Z")
    # fmt: on
    return path(rays, "#fff", opacity(0.9))


def _moon(canvas: Canvas, x: float, y: float) -> str:
    radius = canvas.short_px * 0.062
    return "".join(
        [
            canvas.glow(x, y, radius * 5.2, canvas.palette.light, 0.42),
            circle(x, y, radius, MOON),
            circle(x - radius * 0.3, y - radius * 0.2, radius * 0.17, MOON_SHADE),
            circle(x + radius * 0.28, y + radius * 0.3, radius * 0.24, MOON_SHADE),
            circle(x + radius * 0.18, y - radius * 0.42, radius * 0.11, MOON_SHADE),
        ]
    )


def _clouds(canvas: Canvas, horizon_px: float, time: str, weather: str) -> str:
    """Draw flat-bottomed banks of rounded bars, more of them the worse the weather."""
    chance, (_, upper, lower, low) = canvas.chance, canvas.palette.sky
    usual = 2 if time in {"night", "evening"} else 4
    banks = {"rain": 7, "storm": 8, "overcast": 8, "snow": 6, "fog": 3}.get(weather, usual)
    by_time = {
        "night": mix(upper, lower, 0.6),
        "evening": mix(upper, lower, 0.7),
        "day": "#ffffff",
        "neutral": "#fff7ea",
    }
    is_heavy = weather in SUNLESS
    solidity = 0.38 if time == "night" else 0.62 if is_heavy else 0.72
    parts: list[str] = []
    for bank in range(banks):
        y = horizon_px * (0.10 + 0.66 * (bank + chance.between(0, 0.8)) / banks)
        x = chance.between(-0.1, 0.9) * canvas.width_px
        length = canvas.short_px * chance.between(0.22, 0.5)
        thickness = length * chance.between(0.07, 0.10)
        # A bank grows upwards: its top stays under the slate, which a cloud would shine through.
        y = max(y, canvas.short_px * SLATE_SHARE + thickness * 2.6)
        colour = by_time.get(time, lighten(low, 0.25))
        if is_heavy:
            colour = mix(upper, lower, chance.between(0.2, 0.9))
        bars: list[str] = []
        for bar in range(chance.whole(3, 5)):
            bar_length = length * chance.between(0.38, 0.8)
            bar_x = x + chance.between(0, length - bar_length * 0.6)
            bar_y = y - bar * thickness * 0.62
            shrunk = bar_length * (1 - bar * 0.16)
            bars.append(rect(bar_x, bar_y, shrunk, thickness, colour, thickness / 2))
        parts.append(group("".join(bars), opacity(solidity)))
    return "".join(parts)


def _lightning(canvas: Canvas, horizon_px: float) -> str:
    short, chance = canvas.short_px, canvas.chance
    x, y = canvas.width_px * chance.between(0.2, 0.8), 0.0
    bolt = [(x, y)]
    while y < horizon_px * 0.92:
        y += horizon_px * chance.between(0.08, 0.16)
        x += short * chance.between(-0.06, 0.06)
        bolt.append((x, y))
    return (
        canvas.glow(x, horizon_px * 0.4, short * 0.5, "#cfd8ff", 0.5)
        + polyline(bolt, stroke("#eef1ff", short * 0.005, join=True))
        + polyline(bolt, stroke("#aab6ff", short * 0.014) + opacity(0.35))
    )
