"""Arithmetic on colours written "#rrggbb", the only form in which the drawing side keeps them.

Mixing happens channel by channel in sRGB, which is what a painter of flat shapes expects: no
gamma, no colour spaces. Apart, because palettes, canvas and every shape need it and it needs
nothing.
"""

from __future__ import annotations

from typing import Final

INK: Final = "#05070f"
"""What darkening moves towards: a night blue, so that shade never turns to dead black."""
WHITE: Final = "#ffffff"
BLACK: Final = "#000000"


def _channels(colour: str) -> tuple[int, int, int]:
    digits = colour.lstrip("#")
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def _colour(red: float, green: float, blue: float) -> str:
    channels = (max(0, min(255, round(value))) for value in (red, green, blue))
    return "#{:02x}{:02x}{:02x}".format(*channels)


def mix(a: str, b: str, share: float) -> str:
    """Move from ``a`` towards ``b`` by ``share``: 0 is ``a``, 1 is ``b``."""
    red, green, blue = (
        x + (y - x) * share for x, y in zip(_channels(a), _channels(b), strict=True)
    )
    return _colour(red, green, blue)


def multiply(a: str, b: str) -> str:
    """Let ``a`` be lit by ``b``, as a filter would: never lighter than either."""
    red, green, blue = (x * y / 255 for x, y in zip(_channels(a), _channels(b), strict=True))
    return _colour(red, green, blue)


def screen(a: str, b: str) -> str:
    """Add the light of ``b`` to ``a``: never darker than either."""
    red, green, blue = (
        255 - (255 - x) * (255 - y) / 255 for x, y in zip(_channels(a), _channels(b), strict=True)
    )
    return _colour(red, green, blue)


def luminance(a: str) -> float:
    """Return how light a colour looks, from 0 to 1, with the weights of ITU-R BT.601."""
    red, green, blue = _channels(a)
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def darken(a: str, share: float) -> str:
    """Move towards the ink of the shadows by ``share``."""
    return mix(a, INK, share)


def lighten(a: str, share: float) -> str:
    """Move towards white by ``share``."""
    return mix(a, WHITE, share)
