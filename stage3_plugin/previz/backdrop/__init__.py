"""Draw the place of a scene: land and sky, or a room, in any light and weather.

What is behind the figures. Everything here only turns words into shapes; which words a prompt
means is decided elsewhere.
"""

from __future__ import annotations

from stage3_plugin.previz.backdrop.exterior import EXTERIORS, exterior
from stage3_plugin.previz.backdrop.harbours import pier_posts
from stage3_plugin.previz.backdrop.interior import INTERIORS, interior
from stage3_plugin.previz.backdrop.setting import Backdrop
from stage3_plugin.previz.backdrop.weather import weather_effects

__all__ = [
    "EXTERIORS",
    "INTERIORS",
    "Backdrop",
    "exterior",
    "interior",
    "pier_posts",
    "weather_effects",
]
