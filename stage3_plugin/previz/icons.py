"""The icons that props are drawn with: Fluent Emoji Flat, MIT, Copyright Microsoft Corporation.

Their SVG bodies are data (``data/icons.json``); this module places them, dyes them and lights them.
"""

from __future__ import annotations

import colorsys
import json
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from stage3_plugin.previz.colour import darken, lighten, luminance, multiply
from stage3_plugin.previz.svg import ellipse, number, opacity

_BOX_PX = 32
"""The side of an icon's own square."""
_SHADOW = "#05060c"
_FILL = re.compile(r'fill="(#[0-9a-f]{3,6})"')
_PAINTED = re.compile(r'fill="(#[0-9a-f]{3,6})"[^>]*? d="([^"]*)"')
_LEAST_CHROMA = 0.16
_SAME_HUE = 0.13
"""How far apart, of a whole turn, two shades of one thing are."""


@cache
def icons() -> Mapping[str, str]:
    """Load the SVG bodies by name."""
    path = Path(__file__).parent / "data" / "icons.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    bodies: dict[str, str] = document["icons"]
    return bodies


def icon(
    name: str,
    x: float,
    y: float,
    size_px: float,
    *,
    flip: bool = False,
    shadow: bool = True,
    dye: str | None = None,
    light: str | None = None,
) -> str:
    """Draw an icon with the middle of its lower edge at (``x``, ``y``).

    Args:
        name: One of :func:`icons`.
        x: The middle, in pixels.
        y: The ground it stands on.
        size_px: Its width and height.
        flip: Mirror it.
        shadow: Put a soft shadow under it.
        dye: Its main colour, instead of its own.
        light: What it is lit by; without it, it shines as it is.
    """
    scale = size_px / _BOX_PX
    left = x + (size_px / 2 if flip else -size_px / 2)
    place = f"translate({number(left)},{number(y - size_px)})"
    scaled = f"scale({'-' if flip else ''}{scale:.3f},{scale:.3f})"
    body = f'<g transform="{place} {scaled}">{_painted(name, dye, light)}</g>'
    if not shadow:
        return body
    under = ellipse(x, y - size_px * 0.03, size_px * 0.42, size_px * 0.055, _SHADOW, opacity(0.30))
    return under + body


@lru_cache(maxsize=128)
def _painted(name: str, dye: str | None, light: str | None) -> str:
    body = icons()[name]
    paint: Mapping[str, str] = _dyes(body, dye) if dye else {}
    if not paint and light is None:
        return body

    def painted(match: re.Match[str]) -> str:
        colour = paint.get(match.group(1), _long(match.group(1)))
        return f'fill="{multiply(colour, light) if light else colour}"'

    return _FILL.sub(painted, body)


def _dyes(body: str, dye: str) -> Mapping[str, str]:
    """Return the new colours of an icon's main colour and of its shades.

    The main colour is the one with the longest outlines; a thing of white and grey alone is dyed
    where it is neither nearly white nor nearly black.
    """
    outlines = Counter[str]()
    for fill, outline in _PAINTED.findall(body):
        outlines[fill] += len(outline)
    bright = {fill: length for fill, length in outlines.items() if _chroma(fill) > _LEAST_CHROMA}
    if bright:
        main = max(bright, key=lambda fill: bright[fill])
        shades = [fill for fill in bright if _apart(fill, main) <= _SAME_HUE]
    else:
        shades = [fill for fill in outlines if 0.15 < luminance(_long(fill)) < 0.97]
        main = max(shades, key=lambda fill: outlines[fill], default="")
    return {fill: _shaded(dye, luminance(_long(fill)) - luminance(_long(main))) for fill in shades}


def _shaded(dye: str, difference: float) -> str:
    return (
        lighten(dye, min(difference, 0.6)) if difference > 0 else darken(dye, min(-difference, 0.6))
    )


def _long(fill: str) -> str:
    return fill if len(fill) == 7 else "#" + "".join(digit * 2 for digit in fill[1:])


def _hue(fill: str) -> tuple[float, float]:
    red, green, blue = (int(_long(fill)[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return colorsys.rgb_to_hsv(red, green, blue)[0], max(red, green, blue) - min(red, green, blue)


def _chroma(fill: str) -> float:
    return _hue(fill)[1]


def _apart(fill: str, other: str) -> float:
    distance = abs(_hue(fill)[0] - _hue(other)[0])
    return min(distance, 1 - distance)
