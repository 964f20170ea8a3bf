"""The colours of each time of day, of the cast, and of skin.

Data with names. A picture starts from one of these palettes; weather and mood then change a copy
(``dataclasses.replace``), so the ones here stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """The light of one time of day, every colour "#rrggbb".

    Attributes:
        sky: from the zenith down to the horizon.
        haze: what far things fade into.
        ambient: the light that local colours are multiplied with.
        light: the sun or the moon.
        warm: lamps and lit windows.
        wall: a plain indoor wall in this light.
        label: the word on the slate.
    """

    sky: tuple[str, str, str, str]
    haze: str
    ambient: str
    light: str
    warm: str
    wall: str
    label: str


PALETTES: Final[Mapping[str, Palette]] = MappingProxyType(
    {
        "night": Palette(
            sky=("#060a1c", "#111a42", "#29316c", "#5a4f93"),
            haze="#4a4788",
            ambient="#4a569c",
            light="#c3d0ff",
            warm="#ffcb7d",
            wall="#6f6a86",
            label="NIGHT",
        ),
        "dawn": Palette(
            sky=("#2b3566", "#7a6496", "#e59a8f", "#ffdfae"),
            haze="#f0b79c",
            ambient="#cfa6b4",
            light="#ffe0b0",
            warm="#ffd08a",
            wall="#e6cfc4",
            label="DAWN",
        ),
        "day": Palette(
            sky=("#2c79cc", "#62aeea", "#aedaf6", "#eef8fa"),
            haze="#d3eaf3",
            ambient="#f4f6f2",
            light="#fff6dc",
            warm="#ffe2a0",
            wall="#f1ece1",
            label="DAY",
        ),
        "sunset": Palette(
            sky=("#241a4d", "#7a2f70", "#e4586a", "#ffb765"),
            haze="#f08a70",
            ambient="#c2728a",
            light="#ffc27a",
            warm="#ffb45e",
            wall="#dba98e",
            label="SUNSET",
        ),
        "evening": Palette(
            sky=("#0d1530", "#26305f", "#5a5488", "#b98a8c"),
            haze="#7d6f92",
            ambient="#7f7fa8",
            light="#c9c6e6",
            warm="#ffc678",
            wall="#9a8a86",
            label="EVENING",
        ),
        "overcast": Palette(
            sky=("#5b6a7c", "#8494a3", "#b2bec7", "#d9dfe1"),
            haze="#c4cdd3",
            ambient="#b4bfc8",
            light="#eef2f4",
            warm="#ffe0a8",
            wall="#cfd3d2",
            label="OVERCAST",
        ),
        "neutral": Palette(
            sky=("#37507f", "#6c8fb8", "#b7cbd6", "#f2e4cf"),
            haze="#cfd3d4",
            ambient="#dfdde0",
            light="#fff0d6",
            warm="#ffdc9c",
            wall="#e4ddd2",
            label="DAY",
        ),
    }
)
"""By time of day; ``neutral`` is for a story that names none."""

CAST_COLOURS: Final = (
    "#e4572e",  # ember
    "#2e86c8",  # blue
    "#2ba46f",  # green
    "#a45bd0",  # violet
    "#e6a817",  # amber
    "#d6437a",  # rose
    "#16a3a8",  # teal
    "#8a6a3c",  # umber
    "#5b6ee0",  # indigo
    "#7fae2b",  # lime
    "#c8434a",  # crimson
    "#45788c",  # slate
)
"""One per character, distinct at a glance on every backdrop."""

SKIN: Final = "#e8bd9b"
"""One neutral tone for everybody: a prompt that names none has not chosen one."""
