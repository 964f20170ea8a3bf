"""What a board may have beside its picture: no colours, and lines to compose by.

It is laid over the finished frame, so that nothing else in the drawing depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw

from stage3_plugin.previz.edition import Guides, Tone

_LINE: Final = (255, 255, 255, 150)
_SAFE: Final = (0.05, 0.10)
"""How far in from each edge action and titles are safe, as a part of the frame."""


@dataclass(frozen=True, slots=True)
class Board:
    """How the frame is shown.

    Attributes:
        tone: ``grey`` is read by light alone, and prints well.
        guides: Thirds, or the safe areas of a screen.
    """

    tone: Tone = "colour"
    guides: Guides = "none"


def shown(picture: Image.Image, board: Board) -> Image.Image:
    """Return a frame as a board shows it."""
    if board.tone == "grey":
        picture = picture.convert("L").convert("RGB")
    if board.guides != "none":
        lines = Image.new("RGBA", picture.size)
        _draw(ImageDraw.Draw(lines), picture.size, board.guides)
        picture.paste(lines, (0, 0), lines)
    return picture


def _draw(pen: ImageDraw.ImageDraw, size: tuple[int, int], guides: Guides) -> None:
    width_px, height_px = size
    thick_px = max(1, round(min(size) * 0.002))
    if guides == "thirds":
        for third in (1, 2):
            x, y = width_px * third // 3, height_px * third // 3
            pen.line((x, 0, x, height_px), fill=_LINE, width=thick_px)
            pen.line((0, y, width_px, y), fill=_LINE, width=thick_px)
        return
    for part in _SAFE:
        x, y = round(width_px * part), round(height_px * part)
        if width_px > 2 * x and height_px > 2 * y:
            corners = (x, y, width_px - 1 - x, height_px - 1 - y)
            pen.rectangle(corners, outline=_LINE, width=thick_px)
