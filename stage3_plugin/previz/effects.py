"""What is laid over and around the people of a frame: a crowd, a shoulder, floating lights.

Each effect answers one decision of the reading and knows nothing of the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from stage3_plugin.previz.backdrop import Backdrop, weather_effects
from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import darken, lighten, mix, multiply
from stage3_plugin.previz.figure import figure
from stage3_plugin.previz.frame import Frame
from stage3_plugin.previz.lettering import text
from stage3_plugin.previz.looks import describe
from stage3_plugin.previz.people import Person
from stage3_plugin.previz.props import Feet
from stage3_plugin.previz.reading import Reading
from stage3_plugin.previz.svg import circle, ellipse, number, opacity

_CROWD = 16


def crowd(frame: Frame, backdrop: Backdrop, canvas: Canvas, light: int) -> str:
    """Draw small grey people in the distance, all across."""
    chance, head_px = canvas.chance, frame.short_px * 0.035
    colour = mix(canvas.palette.haze, "#6b7280", 0.6)
    markup = ""
    for rank in range(_CROWD):
        x = frame.width_px * (rank + chance.between(0.1, 0.9)) / _CROWD
        y = backdrop.ground_px - head_px * 5.6 + frame.height_px * chance.between(0, 0.03)
        look = describe("", f"crowd{rank}")
        facing = chance.between(-1, 1)
        markup += figure(canvas, x, y, head_px, look, colour, facing, light=light)
    return markup


def shoulder(person: Person, frame: Frame, canvas: Canvas) -> str:
    """Draw the dark back of a head and a shoulder at the left edge."""
    # Measured in a square around the height of heads, or long frames would stretch the person.
    across_px = min(frame.width_px, frame.view_px * 1.08)
    down_px = min(frame.view_px, frame.width_px * 0.93)
    heads_y = frame.view_px * 0.33

    def at(across: float, down: float) -> str:
        return f"{number(across_px * across)} {number(heads_y + down_px * (down - 0.33))}"

    def under(across: float) -> str:
        return f"{number(across_px * across)} {number(frame.height_px)}"

    outline = (
        f"M{under(-0.05)}L{at(-0.05, 0.66)}"
        f"C{at(0.04, 0.56)} {at(0.13, 0.58)} {at(0.14, 0.50)}"
        f"C{at(0.02, 0.36)} {at(0.08, 0.16)} {at(0.20, 0.17)}"
        f"C{at(0.34, 0.18)} {at(0.36, 0.40)} {at(0.26, 0.52)}"
        f"C{at(0.27, 0.60)} {at(0.42, 0.62)} {under(0.46)}Z"
    )
    colour = darken(multiply(person.colour, canvas.palette.ambient), 0.62)
    soft = canvas.blur(frame.short_px * 0.006)
    return f'<g filter="{soft}" opacity=".96"><path d="{outline}" fill="{colour}"/></g>'


def numbers(reading: Reading, frame: Frame, canvas: Canvas) -> str:
    """Let rows of digits float in the air."""
    chance = canvas.chance
    is_night = reading.setting.time == "night"
    colour = lighten(canvas.palette.light, 0.3) if is_night else "#ffffff"
    digits = "".join(str(chance.whole(0, 9)) for _ in range(120))
    markup, start = "", 0
    for _ in range(22):
        x = frame.width_px * chance.between(0.05, 0.95)
        y = frame.view_px * chance.between(0.08, 0.72)
        size_px = frame.short_px * chance.between(0.014, 0.034)
        row = digits[start : start + chance.whole(2, 5)]
        opacity = round(chance.between(0.12, 0.5), 2)
        markup += text(x, y, row, size_px, colour, opacity=opacity)
        start = (start + 5) % 110
    return markup


def dust(frame: Frame, canvas: Canvas) -> str:
    """Let lights float in the air."""
    chance, markup = canvas.chance, ""
    for _ in range(34):
        x = frame.width_px * chance.between(0, 1)
        y = frame.view_px * chance.between(0.1, 0.95)
        radius = frame.short_px * chance.between(0.006, 0.018)
        markup += canvas.glow(x, y, radius, canvas.palette.warm, 0.9)
    return markup


def weather(reading: Reading, canvas: Canvas) -> str:
    """Let it rain, snow or be foggy between us and the people; lying snow only drifts."""
    falling = reading.setting.weather
    is_lying = falling == "snow" and not reading.snowing
    return weather_effects(canvas, falling, 0.22 if is_lying else 1.0)


def fog(canvas: Canvas, *, is_behind: bool) -> str:
    """Let fog lie thick behind the people and thin before them, so that both are seen."""
    return weather_effects(canvas, "fog", 1.5 if is_behind else 0.55)


def puddles(feet: Sequence[Feet], frame: Frame, canvas: Canvas, *, splash: bool) -> str:
    """Lay puddles on the ground where people go; under running feet they burst."""
    chance, sky = canvas.chance, canvas.palette.sky
    water, shine = mix(sky[2], sky[3], 0.5), lighten(sky[3], 0.35)
    ground_y = max((each.y for each in feet), default=frame.floor_px)
    wide, markup = frame.short_px * 0.16, ""
    spots = [(each.x, each.y) for each in feet]
    spots += [
        (frame.width_px * (rank + chance.between(0.2, 0.8)) / 5, ground_y) for rank in range(5)
    ]
    for x, foot in spots:
        half = wide * chance.between(0.55, 1.0)
        y = foot + frame.short_px * chance.between(0.0, 0.014)
        markup += ellipse(x, y, half, half * 0.13, water, opacity(0.75))
        markup += ellipse(x - half * 0.2, y - half * 0.03, half * 0.5, half * 0.035, shine,
                          opacity(0.6))  # fmt: skip
    if not splash:
        return markup
    for each in feet:
        for _ in range(22):
            aside, up = chance.between(-1.5, 1.5), chance.random()
            drop = (
                each.x + each.head_px * aside,
                each.y - each.head_px * 1.1 * up * (1.2 - abs(aside) * 0.5),
            )
            markup += circle(*drop, each.head_px * chance.between(0.03, 0.08), shine, opacity(0.85))
    return markup


def tilted(markup: str, frame: Frame) -> str:
    """Turn the picture for a dutch angle, enlarged so that no corner is empty."""
    width_px, view_px = frame.width_px, frame.view_px
    turn = f"rotate(-6 {number(width_px / 2)} {number(view_px / 2)})"
    shift = f"translate({number(-width_px * 0.07)},{number(-view_px * 0.07)})"
    return f'<g transform="{turn} {shift} scale(1.14)">{markup}</g>' if markup else ""
