"""The icons that props are drawn with: Fluent Emoji Flat, MIT, Copyright Microsoft Corporation.

Their SVG bodies are data (``data/icons.json``); this module places them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from stage3_plugin.providers.previz.svg import ellipse, number, opacity

_BOX_PX = 32
"""The side of an icon's own square."""
_SHADOW = "#05060c"


@cache
def icons() -> Mapping[str, str]:
    """Load the SVG bodies by name."""
    path = Path(__file__).parent / "data" / "icons.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    bodies: dict[str, str] = document["icons"]
    return bodies


def icon(
    name: str, x: float, y: float, size_px: float, *, flip: bool = False, shadow: bool = True
) -> str:
    """Draw an icon with the middle of its lower edge at (``x``, ``y``).

    Args:
        name: One of :func:`icons`.
        x: The middle, in pixels.
        y: The ground it stands on.
        size_px: Its width and height.
        flip: Mirror it.
        shadow: Put a soft shadow under it.
    """
    scale = size_px / _BOX_PX
    left = x + (size_px / 2 if flip else -size_px / 2)
    place = f"translate({number(left)},{number(y - size_px)})"
    scaled = f"scale({'-' if flip else ''}{scale:.3f},{scale:.3f})"
    body = f'<g transform="{place} {scaled}">{icons()[name]}</g>'
    if not shadow:
        return body
    under = ellipse(x, y - size_px * 0.03, size_px * 0.42, size_px * 0.055, _SHADOW, opacity(0.30))
    return under + body
