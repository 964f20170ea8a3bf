"""Things that stand or hang in more than one room: lamps, bottles on a shelf, rows of books."""

from __future__ import annotations

from stage3_plugin.previz.backdrop.setting import Room
from stage3_plugin.previz.colour import lighten, mix
from stage3_plugin.previz.svg import curve, ellipse, line, opacity, path, rect


def pendant(room: Room, x: float, y: float, size: float, *, is_on: bool = True) -> str:
    """Draw a lamp that hangs from the ceiling, its shade around ``x``, ``y``."""
    canvas, warm = room.canvas, room.canvas.palette.warm
    rim = y + size * 0.3
    shine = canvas.glow(x, rim, size * 4.2, warm, 0.55) if is_on else ""
    cord = line(x, 0, x, y, "#1c1a22", size * 0.05)
    left, top, right = (x - size * 0.5, rim), (x, y - size * 0.24), (x + size * 0.5, rim)
    shoulder = y - size * 0.2
    # fmt: off
    shade = curve("M", left, "Q", (x - size * 0.42, shoulder), top,
                  "Q", (x + size * 0.42, shoulder), right, "Z")
    # fmt: on
    bulb = ellipse(x, rim, size * 0.42, size * 0.1, warm if is_on else "#d9d4c6")
    return shine + cord + path(shade, canvas.tone("#3b3f4f", 0)) + bulb


def bottles(room: Room, x: float, y: float, width: float, *, count: int, height: float) -> str:
    """Draw bottles standing on ``y`` from ``x`` on, each at most ``height`` pixels high."""
    chance = room.canvas.chance
    parts: list[str] = []
    for index in range(count):
        middle = x + width * (index + 0.5) / count
        tall = height * chance.between(0.5, 0.95)
        wide = width / count * chance.between(0.45, 0.7)
        glass = chance.pick(["#5fb3c9", "#d88c5a", "#86b86b", "#b07fc4", "#e0c46a", "#dfe7ea"])
        colour = mix(room.canvas.tone(glass), room.wall, 0.28)
        body = (middle - wide / 2, y - tall * 0.72, wide, tall * 0.72)
        neck = (middle - wide * 0.2, y - tall, wide * 0.4, tall * 0.34)
        parts.append(rect(*body, colour, wide * 0.18, opacity(0.92)))
        parts.append(rect(*neck, colour, wide * 0.1, opacity(0.92)))
    return "".join(parts)


SPINES = ("#8c3f3a", "#35607a", "#4f7350", "#b48a4a", "#5d4a72", "#c9bfa8", "#7a5640")


def books(room: Room, x: float, y: float, width: float, height: float) -> str:
    """Draw books standing on ``y`` from ``x`` on until ``width`` is full."""
    chance = room.canvas.chance
    parts: list[str] = []
    left = x
    while left < x + width - width * 0.02:
        thick = width * chance.between(0.025, 0.06)
        tall = height * chance.between(0.62, 0.96)
        colour = mix(room.canvas.tone(chance.pick(SPINES)), room.wall, 0.15)
        if left + thick > x + width:
            break
        label = (left, y - tall * 0.82, thick * 0.9, tall * 0.06)
        parts.append(rect(left, y - tall, thick * 0.9, tall, colour))
        parts.append(rect(*label, lighten(colour, 0.35)))
        left += thick
    return "".join(parts)
