"""The darkroom: blur, colour grade, vignette, scrim and grain, done to pixels by Pillow.

Each of these costs resvg 60 to 300 ms for a whole frame and Pillow a few. Masks depend only on the
picture's size and are kept, a few sizes at a time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from PIL import Image, ImageChops, ImageEnhance, ImageFilter

_GRAIN_SEED, _GRAIN_TILE_PX = 7, 512
_GRAIN = 2
"""The strength of the grain, of 255: unseen, but it keeps gradients from banding."""
_SCRIM_INK = (7, 9, 18)


@dataclass(frozen=True, slots=True)
class Multiply:
    """Tint the lights towards a colour."""

    colour: str


@dataclass(frozen=True, slots=True)
class Screen:
    """Tint the shadows towards a colour."""

    colour: str


@dataclass(frozen=True, slots=True)
class Desaturate:
    """Take colour away: 0 none of it, 1 all."""

    share: float


@dataclass(frozen=True, slots=True)
class Lamp:
    """Light up a circle around (``x``, ``y``)."""

    x: float
    y: float
    radius_px: float
    colour: str


Grade: TypeAlias = Multiply | Screen | Desaturate | Lamp


def soften(picture: Image.Image, blur_px: float, size: tuple[int, int]) -> Image.Image:
    """Blur a background that was drawn at half its size, and bring it to ``size``."""
    blurred = picture.filter(ImageFilter.GaussianBlur(blur_px / 2))
    return _resized(blurred, size)


def graded(picture: Image.Image, grade: Grade) -> Image.Image:
    """Do one step of the colour grade."""
    match grade:
        case Multiply(colour):
            return ImageChops.multiply(picture, Image.new("RGB", picture.size, colour))
        case Screen(colour):
            return ImageChops.screen(picture, Image.new("RGB", picture.size, colour))
        case Desaturate(share):
            return ImageEnhance.Color(picture).enhance(1 - share)
        case Lamp(x, y, radius_px, colour):
            light = Image.new("RGB", picture.size)
            corner = (int(x - radius_px), int(y - radius_px))
            light.paste(colour, corner, _lamp_mask(max(1, int(radius_px * 2))))
            return ImageChops.screen(picture, light)


def finished(picture: Image.Image, scrim: tuple[float, float] | None) -> Image.Image:
    """Darken the corners and the ground of the caption, and add grain."""
    width_px, height_px = picture.size
    picture = ImageChops.multiply(picture, _vignette(width_px, height_px))
    if scrim is not None:
        mask = _scrim_mask(width_px, height_px, int(scrim[0]), int(scrim[1]))
        picture.paste(_SCRIM_INK, (0, 0, width_px, height_px), mask)
    return ImageChops.add(picture, _grain(width_px, height_px), 1, -128)


@lru_cache(maxsize=4)
def _lamp_mask(side_px: int) -> Image.Image:
    # Pillow's gradient is 255 in the corners and 180 in the middle of an edge, where a round lamp
    # must have faded already, or its square shows.
    faded = 255 - 180
    falloff = [int(255 * (max(0, value - faded) / (255 - faded)) ** 1.6) for value in range(256)]
    light = _mapped(ImageChops.invert(Image.radial_gradient("L")), falloff)
    return _resized(light, (side_px, side_px))


@lru_cache(maxsize=4)
def _vignette(width_px: int, height_px: int) -> Image.Image:
    mask = Image.radial_gradient("L")
    diagonal_px = int((width_px * width_px + height_px * height_px) ** 0.5 * 1.02)
    long_px = max(width_px, height_px)
    spread = [int(diagonal_px * side / long_px * 1.12) for side in (width_px, height_px)]
    mask = _resized(mask, (spread[0], spread[1]))
    left = (mask.width - width_px) // 2
    top = (mask.height - int(height_px * 0.94)) // 2  # a little above the middle
    mask = mask.crop((left, top, left + width_px, top + height_px))
    darkening = [round(255 - 118 * max(0, (v - 118) / 137) ** 1.25) for v in range(256)]
    mask = _mapped(mask, darkening)
    return Image.merge("RGB", (mask, mask, mask))


@lru_cache(maxsize=8)
def _scrim_mask(width_px: int, height_px: int, top: int, bottom: int) -> Image.Image:
    values = bytes(_scrim_at(y, top, bottom, height_px) for y in range(height_px))
    return _resized(Image.frombytes("L", (1, height_px), values), (width_px, height_px))


def _scrim_at(y: int, top: int, bottom: int, height_px: int) -> int:
    share = (y - top) / max(1, bottom - top)
    if share <= 0:
        return 0
    if share < 1:
        return int(share**1.3 * 172)
    return int(min(228, 172 + 56 * (y - bottom) / max(1, height_px - bottom)))


@lru_cache(maxsize=4)
def _grain(width_px: int, height_px: int) -> Image.Image:
    side_px = _GRAIN_TILE_PX
    noise = random.Random(_GRAIN_SEED).randbytes(side_px * side_px)  # noqa: S311 - film grain
    strength = [128 + round((value - 127.5) / 127.5 * _GRAIN) for value in range(256)]
    tile = _mapped(Image.frombytes("L", (side_px, side_px), noise), strength)
    grain = Image.new("L", (width_px, height_px))
    for y in range(0, height_px, side_px):
        for x in range(0, width_px, side_px):
            grain.paste(tile, (x, y))
    return Image.merge("RGB", (grain, grain, grain))


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture.resize(  # pyright: ignore[reportUnknownMemberType] - its stub names numpy
        size, Image.Resampling.BICUBIC
    )


def _mapped(picture: Image.Image, table: list[int]) -> Image.Image:
    return picture.point(table)  # pyright: ignore[reportUnknownMemberType] - its stub names numpy
