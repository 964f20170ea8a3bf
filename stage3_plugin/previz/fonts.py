"""The fonts that travel with the renderer: which characters each has and how wide they are.

The tables are data (``data/fonts.json``, made from the fonts themselves), so no font library is
needed and text is measured the same everywhere. Order is rank: a character belongs to the first
font that has it. Licences lie beside the fonts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Font:
    """One font file.

    Attributes:
        family: The name it answers to in SVG.
        path: Where it lies.
        advances: Width in 1/1000 em of every character it has, by code point.
    """

    family: str
    path: Path
    advances: Mapping[int, int]


@cache
def fonts() -> tuple[Font, ...]:
    """Load the tables of all fonts, first in rank first."""
    document = json.loads((_DATA / "fonts.json").read_text(encoding="utf-8"))
    return tuple(
        Font(entry["family"], _DATA / "fonts" / entry["file"], _advances(entry["runs"]))
        for entry in document["fonts"]
    )


@cache
def font_of(character: str) -> Font | None:
    """Return the font that draws ``character``, or ``None`` if no font has it."""
    code_point = ord(character)
    return next((font for font in fonts() if code_point in font.advances), None)


def files_in(markup: str) -> list[str]:
    """List the font files that a piece of SVG asks for, as resvg wants them."""
    return [str(font.path) for font in fonts() if f'font-family="{font.family}"' in markup]


def _advances(runs: list[int]) -> Mapping[int, int]:
    """Unfold (gap to the last code point, how many in a row, their advance) three by three."""
    advances: dict[int, int] = {}
    last = 0
    for gap, count, advance in zip(runs[::3], runs[1::3], runs[2::3], strict=True):
        first = last + gap
        last = first + count - 1
        advances.update(dict.fromkeys(range(first, last + 1), advance))
    return advances
