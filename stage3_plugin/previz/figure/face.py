"""The head's shape and the face on it.

How much is drawn depends on how big the head is: a face of a few pixels has none, a small one
dots for eyes, a close-up has irises. Feelings are brows and mouth, and wide or closed eyes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from stage3_plugin.previz.colour import darken, mix
from stage3_plugin.previz.figure.mannequin import Mannequin
from stage3_plugin.previz.svg import circle, curve, ellipse, line, opacity, path, rect, stroke

SMALL: Final = 0.035
"""Below this share of the picture's shorter side a head has no face."""
MEDIUM: Final = 0.08
"""From here on sweat and the lines of age are drawn."""
LARGE: Final = 0.12
"""From here on eyes have whites and irises."""

BROWS: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "anxious": (-0.155, -0.115),
        "sad": (-0.150, -0.105),
        "angry": (-0.085, -0.150),
        "serious": (-0.105, -0.130),
        "shock": (-0.20, -0.19),
        "delight": (-0.195, -0.175),
    }
)
"""The height of a brow's two ends."""
BROW_AT_REST: Final = (-0.135, -0.135)


def head(figure: Mannequin) -> str:
    """Draw ears and head, and the face unless it is a silhouette."""
    facing, skin = figure.facing, figure.paint.skin
    ear = figure.ink(darken(skin, 0.1))
    parts = [
        ellipse(
            *figure.at(side * 0.40 + facing * 0.05, 0.05), figure.px(0.085), figure.px(0.12), ear
        )
        for side in (-1, 1)
    ]
    # fmt: off
    shape = figure.outline(
        "M", (-0.40, -0.12), "C", (-0.41, 0.18), (-0.33, 0.36), (-0.16 + facing * 0.05, 0.47),
        "Q", (facing * 0.07, 0.535), (0.16 + facing * 0.05, 0.47),
        "C", (0.33, 0.36), (0.41, 0.18), (0.40, -0.12),
        "C", (0.40, -0.45), (0.22, -0.56), (0, -0.56),
        "C", (-0.22, -0.56), (-0.40, -0.45), (-0.40, -0.12), "Z")
    # fmt: on
    parts.append(path(shape, figure.ink(skin)))
    if not figure.is_solid:
        parts.append(_shaded_cheek(figure))
        if figure.unit > figure.canvas.short_px * SMALL:
            parts.append(_face(figure))
    return "".join(parts)


def beard(figure: Mannequin) -> str:
    """Draw hair on the face, with the mouth on it."""
    look, facing = figure.look, figure.facing
    if look.beard not in {"full", "moustache"} or look.outfit == "spacesuit":
        return ""
    middle, colour = facing * 0.14, figure.paint.beard
    # fmt: off
    lip = figure.outline(
        "M", (middle - 0.19, 0.335), "C", (middle - 0.15, 0.20), (middle - 0.04, 0.19),
        (middle, 0.225),
        "C", (middle + 0.04, 0.19), (middle + 0.15, 0.20), (middle + 0.19, 0.335),
        "C", (middle + 0.10, 0.30), (middle + 0.04, 0.275), (middle, 0.27),
        "C", (middle - 0.04, 0.275), (middle - 0.10, 0.30), (middle - 0.19, 0.335), "Z")
    # fmt: on
    if look.beard == "moustache":
        return "" if figure.is_solid else path(lip, darken(colour, 0.12))
    # fmt: off
    shape = figure.outline(
        "M", (-0.415, -0.04), "C", (-0.45, 0.30), (-0.40, 0.58), (-0.22 + facing * 0.05, 0.72),
        "Q", (facing * 0.08, 0.86), (0.22 + facing * 0.05, 0.72),
        "C", (0.40, 0.58), (0.45, 0.30), (0.415, -0.04),
        "C", (0.36, 0.10), (0.34, 0.20), (middle * 0.5 + 0.22, 0.225),
        "Q", (middle, 0.20), (middle * 0.5 - 0.22, 0.225),
        "C", (-0.34, 0.20), (-0.36, 0.10), (-0.415, -0.04), "Z")
    # fmt: on
    parts = [path(shape, figure.ink(colour))]
    if not figure.is_solid:
        strands = figure.pen(darken(colour, 0.16), 0.02)
        for across in (-0.18, 0.0, 0.18):
            start, end = (middle * 0.6 + across, 0.50), (middle * 0.6 + across * 0.75, 0.66)
            parts.append(path(figure.outline("M", start, "L", end), extra=strands))
        if figure.unit > figure.canvas.short_px * SMALL:
            features = _Features(middle, 1.0, 0.155, colour)
            parts.append(_mouth(figure, features))
        parts.append(path(lip, darken(colour, 0.10)))
    return "".join(parts)


def _shaded_cheek(figure: Mannequin) -> str:
    facing, away = figure.facing, -figure.near
    # fmt: off
    shape = figure.outline(
        "M", (away * 0.40, -0.12), "C", (away * 0.41, 0.18), (away * 0.33, 0.36),
        (away * 0.16 + facing * 0.05, 0.47),
        "Q", (facing * 0.07, 0.53), (facing * 0.07, 0.5),
        "C", (away * 0.12, 0.3), (away * 0.20, 0.1), (away * 0.14, -0.547),
        "C", (away * 0.30, -0.50), (away * 0.40, -0.38), (away * 0.40, -0.12), "Z")
    # fmt: on
    return path(shape, darken(figure.paint.skin, 0.45), opacity(0.22))


@dataclass(frozen=True, slots=True)
class _Features:
    """Where a face's features are, and the colour of its lines.

    Attributes:
        middle: the face's middle line, which moves when the head turns.
        squeeze: how much narrower a turned face is.
        apart: half the distance between the eyes.
        ink: the colour of lashes.
    """

    middle: float
    squeeze: float
    apart: float
    ink: str


def _face(figure: Mannequin) -> str:
    squeeze = 1 - 0.12 * abs(figure.facing)
    ink = darken(figure.lit("#2a1f22"), 0.2)
    features = _Features(figure.facing * 0.14, squeeze, 0.155 * squeeze, ink)
    is_medium = figure.unit > figure.canvas.short_px * MEDIUM
    parts: list[str] = []
    for side in (-1, 1):
        x = features.middle + side * features.apart
        parts.append(_eye(figure, features, x))
        parts.append(_brow(figure, features, x, side))
    parts.append(_nose(figure, features))
    parts.append(_mouth(figure, features))
    if figure.look.sweat and is_medium:
        parts.append(_sweat(figure, features))
    if figure.look.age == "old" and is_medium:
        parts.append(_lines_of_age(figure, features))
    if figure.look.glasses:
        parts.append(_glasses(figure, features))
    return "".join(parts)


def _eye(figure: Mannequin, features: _Features, x: float) -> str:
    emotion = figure.look.emotion
    wide = {"shock": 1.25, "delight": 1.15}.get(emotion, 1)
    if emotion == "happy":
        smile = figure.outline("M", (x - 0.07, 0.05), "Q", (x, -0.04), (x + 0.07, 0.05))
        return path(smile, extra=figure.pen(features.ink, 0.030))
    if figure.unit <= figure.canvas.short_px * LARGE:
        size = (figure.px(0.038), figure.px(0.055) * wide)
        return ellipse(*figure.at(x, 0.03), *size, features.ink)
    gaze = x + figure.facing * 0.022
    white = (figure.px(0.070) * features.squeeze, figure.px(0.062) * wide)
    iris = darken(figure.lit(mix(figure.look.hair_colour, "#4a5568", 0.5)), 0.2)
    lid = figure.outline("M", (x - 0.078, 0.015), "Q", (x, -0.055 * wide), (x + 0.078, 0.015))
    return "".join(
        [
            ellipse(*figure.at(x, 0.03), *white, figure.lit("#ffffff")),
            circle(*figure.at(gaze, 0.035), figure.px(0.043), iris),
            circle(*figure.at(gaze, 0.035), figure.px(0.022), "#0c0a10"),
            circle(*figure.at(gaze - 0.014, 0.018), figure.px(0.011), "#ffffff"),
            path(lid, extra=figure.pen(features.ink, 0.026)),
        ]
    )


def _brow(figure: Mannequin, features: _Features, x: float, side: int) -> str:
    inner, outer = BROWS.get(figure.look.emotion, BROW_AT_REST)
    bow = min(inner, outer) - 0.025
    ends = (x - side * 0.085, inner), (x + side * 0.085, outer)
    shape = figure.outline("M", ends[0], "Q", (x, bow), ends[1])
    return path(shape, extra=figure.pen(mix(figure.paint.hair, features.ink, 0.35), 0.036))


def _nose(figure: Mannequin, features: _Features) -> str:
    middle, facing, near = features.middle, figure.facing, figure.near
    tip = (middle + 0.05 * near + facing * 0.03, 0.17)
    foot = (middle + facing * 0.02 - 0.01 * near, 0.185)
    shape = figure.outline("M", (middle + facing * 0.03, 0.06), "Q", tip, foot)
    return path(shape, extra=figure.pen(darken(figure.paint.skin, 0.32), 0.022))


def _mouth(figure: Mannequin, features: _Features) -> str:
    x, emotion = features.middle, figure.look.emotion
    if emotion == "shock":
        opened = (*figure.at(x, 0.32), figure.px(0.055), figure.px(0.075))
        return ellipse(*opened, darken(figure.lit("#7a3030"), 0.2))
    if emotion == "delight":
        # fmt: off
        laugh = figure.outline("M", (x - 0.14, 0.265), "Q", (x, 0.295), (x + 0.14, 0.265),
                               "Q", (x + 0.10, 0.415), (x, 0.415),
                               "Q", (x - 0.10, 0.415), (x - 0.14, 0.265), "Z")
        teeth = figure.outline("M", (x - 0.115, 0.277), "Q", (x, 0.300), (x + 0.115, 0.277),
                               "Q", (x, 0.345), (x - 0.115, 0.277), "Z")
        # fmt: on
        return path(laugh, darken(figure.lit("#7a3030"), 0.2)) + path(teeth, figure.lit("#ffffff"))
    # fmt: off
    shapes = {
        "happy": ("M", (x - 0.11, 0.28), "Q", (x, 0.38), (x + 0.11, 0.28)),
        "sad": ("M", (x - 0.08, 0.33), "Q", (x, 0.27), (x + 0.08, 0.33)),
        "angry": ("M", (x - 0.09, 0.315), "Q", (x, 0.285), (x + 0.09, 0.315)),
        "anxious": ("M", (x - 0.07, 0.315), "Q", (x - 0.02, 0.285), (x + 0.02, 0.305),
                    "T", (x + 0.08, 0.30)),
    }
    # fmt: on
    shape = shapes.get(emotion, ("M", (x - 0.075, 0.30), "L", (x + 0.075, 0.30)))
    lips = figure.pen(darken(figure.lit("#8a4038"), 0.1), 0.030)
    return path(figure.outline(*shape), extra=lips)


def _sweat(figure: Mannequin, features: _Features) -> str:
    middle, near = features.middle, figure.near
    wide, tall = figure.px(0.035), figure.px(0.085)
    drop = curve(
        "q", (wide, figure.px(0.06)), (0, tall), "q", (-wide, -figure.px(0.025)), (0, -tall)
    )
    return "".join(
        path(figure.outline("M", place) + drop + "Z", "#d7f1ff", opacity(0.9))
        for place in (
            (middle - near * 0.30, -0.12),
            (middle + near * 0.27, 0.14),
            (middle - near * 0.26, 0.26),
        )
    )


def _lines_of_age(figure: Mannequin, features: _Features) -> str:
    middle, skin = features.middle, figure.paint.skin
    parts: list[str] = []
    for side in (-1, 1):
        # fmt: off
        cheek = figure.outline("M", (middle + side * 0.20, 0.20),
                               "Q", (middle + side * 0.22, 0.27), (middle + side * 0.17, 0.33))
        # fmt: on
        corner = figure.outline("M", (middle + side * (features.apart + 0.10), 0.02))
        crow = corner + curve("l", (figure.px(side * 0.05), figure.px(0.03)))
        parts.append(path(cheek, extra=figure.pen(darken(skin, 0.28), 0.016)))
        parts.append(path(crow, extra=stroke(darken(skin, 0.26), figure.px(0.013))))
    return "".join(parts)


def _glasses(figure: Mannequin, features: _Features) -> str:
    middle, apart = features.middle, features.apart
    frame = darken(figure.lit("#33343f"), 0.3)
    look = ' fill-opacity="0.16"' + stroke(frame, figure.px(0.026))
    parts: list[str] = []
    for side in (-1, 1):
        x, y = figure.at(middle + side * apart, 0.03)
        glass = (x - figure.px(0.115), y - figure.px(0.085), figure.px(0.23), figure.px(0.17))
        parts.append(rect(*glass, "#ffffff", figure.px(0.05), look))
    bridge = (*figure.at(middle - apart + 0.115, 0.01), *figure.at(middle + apart - 0.115, 0.01))
    parts.append(line(*bridge, frame, figure.px(0.024)))
    for side in (-1, 1):
        hinge = figure.at(middle + side * (apart + 0.115), 0)
        ear = figure.at(side * 0.40 + figure.facing * 0.04, -0.02)
        parts.append(line(*hinge, *ear, frame, figure.px(0.02)))
    return "".join(parts)
