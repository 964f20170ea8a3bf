"""One frame from prompt to picture.

Only worker processes import this module: it brings Pillow and resvg with it. resvg holds the GIL
while it draws, so more threads would not draw faster; more processes do.
"""

from __future__ import annotations

import io

import resvg_py
from PIL import Image

from stage3_plugin.previz.board import Board, shown
from stage3_plugin.previz.cast import Cast
from stage3_plugin.previz.compose import Sheets, compose
from stage3_plugin.previz.fonts import files_in
from stage3_plugin.previz.grade import finished, graded, soften
from stage3_plugin.previz.plate import Plate
from stage3_plugin.previz.png import png_of
from stage3_plugin.previz.reading import read

_AS_DRAWN = Board()


def render(
    plate: Plate,
    size: tuple[int, int],
    cast: Cast,
    *,
    seed: int,
    caption: bool,
    board: Board = _AS_DRAWN,
    output_format: str = "png",
) -> bytes:
    """Draw a frame: the same bytes for the same arguments, on one platform and version.

    Args:
        plate: The scene.
        size: Width and height in pixels.
        cast: The story's cast, or as much of it as is in the scene.
        seed: Another one moves what the prompt leaves open.
        caption: Whether to write the slate over it.
        board: How the frame is shown.
        output_format: ``png``, ``jpeg`` or ``webp``.

    Returns:
        A picture of that format, RGB.
    """
    sheets = compose(read(plate, cast), size, seed=seed, caption=caption)
    picture = _background(sheets, size)
    if sheets.foreground is not None:
        _lay(picture, sheets.foreground)
    for step in sheets.grade:
        picture = graded(picture, step)
    picture = finished(picture, sheets.scrim)
    if sheets.overlay is not None:
        _lay(picture, sheets.overlay)
    picture = shown(picture, board)
    if output_format == "png":
        return png_of(picture)
    file = io.BytesIO()
    picture.save(file, output_format)
    return file.getvalue()


def _background(sheets: Sheets, size: tuple[int, int]) -> Image.Image:
    if not sheets.blur_px:
        return _raster(sheets.background).convert("RGB")
    half = (max(1, size[0] // 2), max(1, size[1] // 2))
    return soften(_raster(sheets.background, half).convert("RGB"), sheets.blur_px, size)


def _lay(picture: Image.Image, sheet: str) -> None:
    """Put a transparent sheet over the picture."""
    layer = _raster(sheet).convert("RGBA")
    picture.paste(layer, (0, 0), layer)


def _raster(svg: str, size: tuple[int, int] | None = None) -> Image.Image:
    width_px, height_px = size or (None, None)
    png = resvg_py.svg_to_bytes(
        svg_string=svg,
        skip_system_fonts=True,
        width=width_px,
        height=height_px,
        font_files=files_in(svg),
    )
    return Image.open(io.BytesIO(bytes(png)))
