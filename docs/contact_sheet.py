"""Lay a run's pictures side by side: ``python docs/contact_sheet.py out/images docs/images/x.jpg``.

Makes the picture of the README from what the demo left in ``out/images``, in the order of the file
names. Every cell has the shape of the first picture.
"""
# ruff: noqa: INP001  - a script beside the pages, not a module of a package

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

COLUMNS = 2
CELL_WIDTH_PX = 640
GAP_PX = 8
PAPER = "#14161c"
QUALITY = 80


def contact_sheet(paths: list[Path]) -> Image.Image:
    """Lay pictures out in rows; each is fitted into a cell ``CELL_WIDTH_PX`` wide."""
    with Image.open(paths[0]) as first:
        cell_height_px = round(CELL_WIDTH_PX * first.height / first.width)
    rows = -(-len(paths) // COLUMNS)
    across_px, down_px = CELL_WIDTH_PX + GAP_PX, cell_height_px + GAP_PX
    size = (min(COLUMNS, len(paths)) * across_px + GAP_PX, rows * down_px + GAP_PX)
    sheet = Image.new("RGB", size, PAPER)
    for place, path in enumerate(paths):
        with Image.open(path) as picture:
            picture.thumbnail((CELL_WIDTH_PX, cell_height_px), Image.Resampling.LANCZOS)
            across, down = place % COLUMNS, place // COLUMNS
            left = GAP_PX + across * across_px + (CELL_WIDTH_PX - picture.width) // 2
            top = GAP_PX + down * down_px + (cell_height_px - picture.height) // 2
            sheet.paste(picture.convert("RGB"), (left, top))
    return sheet


def main() -> None:
    """Read a folder of pictures and write one JPEG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the pictures of a run")
    parser.add_argument("sheet", type=Path, help="the JPEG to write")
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.iterdir() if path.suffix in {".png", ".jpg"})
    if not paths:
        parser.error(f"there are no pictures in {options.folder}")
    options.sheet.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(paths).save(options.sheet, quality=QUALITY, optimize=True, progressive=True)


if __name__ == "__main__":
    main()
