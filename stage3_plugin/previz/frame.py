"""How a frame is divided: the caption's band, the view above it, the ground and the horizon.

Arithmetic only. Every later step measures from these few lines, so they are found once.
"""

from __future__ import annotations

from dataclasses import dataclass

from stage3_plugin.previz.lettering import wrap
from stage3_plugin.previz.reading import Angle, Reading, Shot

LINE_SPACING = 1.42
"""From one baseline to the next, as a multiple of the type's size."""

_HORIZONS_OUTDOORS = {Angle.LOW: 0.80, Angle.HIGH: 0.42, Angle.TOP_DOWN: 0.26}
_HORIZONS_INDOORS = {Angle.LOW: 0.74, Angle.HIGH: 0.50, Angle.TOP_DOWN: 0.42}


@dataclass(frozen=True, slots=True)
class Frame:
    """The measures of one picture, in pixels.

    Attributes:
        width_px: The whole picture.
        height_px: The whole picture.
        lines: The caption, broken into lines; empty on a clean plate.
        type_px: The caption's size of type.
        margin_px: To the left and right of the caption.
        caption_px: The height of the band at the bottom that the caption needs.
        view_px: What of the height the scene is composed for.
        floor_px: The y on which people in front stand.
        horizon_px: The y of the horizon, or of the eye in a room.
    """

    width_px: int
    height_px: int
    lines: tuple[str, ...]
    type_px: float
    margin_px: float
    caption_px: float
    view_px: float
    floor_px: float
    horizon_px: float

    @property
    def short_px(self) -> int:
        """Return the shorter side: sizes of things are shares of it."""
        return min(self.width_px, self.height_px)

    @property
    def is_wide(self) -> bool:
        """Return whether it is clearly wider than high."""
        return self.width_px > self.height_px * 1.2

    @property
    def is_tall(self) -> bool:
        """Return whether it is clearly higher than wide."""
        return self.height_px > self.width_px * 1.2


def divide(reading: Reading, size: tuple[int, int], *, caption: bool) -> Frame:
    """Measure the frame of a picture of ``size``, width and height in pixels."""
    width_px, height_px = size
    short_px = min(size)
    type_px = short_px * 0.0250
    margin_px = short_px * 0.052
    lines: list[str] = []
    caption_px = 0.0
    if caption:
        most_lines = 3 if height_px <= width_px else 4
        lines = wrap(reading.caption, type_px, width_px - margin_px * 2, most_lines)
        caption_px = type_px * LINE_SPACING * len(lines) + short_px * 0.085
    view_px = height_px - caption_px * 0.62
    return Frame(
        width_px=width_px,
        height_px=height_px,
        lines=tuple(lines),
        type_px=type_px,
        margin_px=margin_px,
        caption_px=caption_px,
        view_px=view_px,
        floor_px=height_px - caption_px - short_px * 0.045,
        horizon_px=view_px * _horizon_share(reading),
    )


def _horizon_share(reading: Reading) -> float:
    if reading.setting.indoor:
        return _HORIZONS_INDOORS.get(reading.angle, 0.62)
    if reading.angle is Angle.EYE_LEVEL and reading.shot in {Shot.EXTREME_WIDE, Shot.WIDE}:
        return 0.57
    return _HORIZONS_OUTDOORS.get(reading.angle, 0.60)
