"""A contact sheet: what every scene shows, in one picture, or a few where a story is long.

For people who want to see a story at a glance, and for programs that should not look at hundreds of
files. A picture that cannot be read leaves its cell empty, and says so there.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from host_stub.events.journal import write_whole
from host_stub.text.escape import escaped

NAME: Final = "sheet.png"
COLUMNS: Final = 6
CELLS: Final = 48
"""On one page: a program that shrinks a picture to 1,568 pixels can still read its words."""
PICTURE_PX: Final = (256, 144)
MARGIN_PX: Final = 12
TITLE_PX: Final = 34
_LINE_PX: Final = 16
_LINES: Final = 3
_CELL_PX: Final = (PICTURE_PX[0] + MARGIN_PX, PICTURE_PX[1] + _LINES * _LINE_PX + MARGIN_PX)
_MOST_WORDS: Final = 400
_FURTHER: Final = re.compile(r"sheet-[1-9][0-9]{0,5}\.png")

_PAPER: Final = "#f6f5f2"
_INK: Final = "#22211f"
_FAINT: Final = "#6b6862"
_EMPTY: Final = "#dedbd4"
STATE_COLOURS: Final = {
    "current": "#2c6e49",
    "stale": "#a45a00",
    "missing": "#9b2c2c",
    "held": "#5b3a8c",
    "pending": "#1f5f8b",
}
"""Each beside its word: a colour alone says nothing to many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One scene on the sheet.

    Attributes:
        name: The scene's id.
        state: How it stands.
        about: What is said beside its state, such as which of its takes it shows.
        words: What it is to show.
        picture: The file of the take that it shows.
    """

    name: str
    state: str
    about: str = ""
    words: str = ""
    picture: Path | None = None


def write_pages(out_dir: Path, title: str, cells: Sequence[Cell]) -> Iterator[Path]:
    """Draw the sheet, and yield each page once it is written; each is there whole or not at all.

    Pages of an earlier and longer sheet are removed.

    Args:
        out_dir: Where they go: ``sheet.png``, then ``sheet-2.png`` and so on.
        title: The line at the top.
        cells: What is on it.

    Raises:
        OSError: The disk did not take them.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    pages = [cells[first : first + CELLS] for first in range(0, max(1, len(cells)), CELLS)]
    written: list[Path] = []
    for number, page in enumerate(pages, start=1):
        path = out_dir / (NAME if number == 1 else f"sheet-{number}.png")
        which = f" · page {number} of {len(pages)}" if len(pages) > 1 else ""
        content = io.BytesIO()
        draw_page(f"{title}{which}", page).save(content, format="PNG", compress_level=4)
        write_whole(path, [content.getvalue()])
        written.append(path)
        yield path
    _remove_others(out_dir, written)


def draw_page(title: str, cells: Sequence[Cell]) -> Image.Image:
    """Draw one page of at most :data:`CELLS` cells."""
    rows = max(1, -(-len(cells) // COLUMNS))
    columns = min(COLUMNS, max(3, len(cells)))
    size = (columns * _CELL_PX[0] + MARGIN_PX, TITLE_PX + rows * _CELL_PX[1] + MARGIN_PX)
    page = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(page)
    room = size[0] - 2 * MARGIN_PX
    pen.text((MARGIN_PX, 9), _fitting(title, _font(15), room), fill=_INK, font=_font(15))
    for place, cell in enumerate(cells):
        row, column = divmod(place, columns)
        at = (MARGIN_PX + column * _CELL_PX[0], TITLE_PX + row * _CELL_PX[1])
        _draw_cell(page, pen, at, cell)
    return page


def _draw_cell(
    page: Image.Image, pen: ImageDraw.ImageDraw, at: tuple[int, int], cell: Cell
) -> None:
    left, top = at
    width, height = PICTURE_PX
    colour = STATE_COLOURS.get(cell.state, _INK)
    pen.rectangle((left, top, left + width - 1, top + height - 1), fill=_EMPTY)
    picture, problem = _small(cell.picture)
    if picture is not None:
        corner = (left + (width - picture.width) // 2, top + (height - picture.height) // 2)
        page.paste(picture, corner)
    else:
        pen.text((left + 8, top + height // 2 - 8), problem, fill=_FAINT, font=_font(13))
    pen.rectangle((left, top + height, left + width - 1, top + height + 1), fill=colour)
    below = top + height + 4
    bold, plain = _font(13), _font(12)
    state = f"{cell.state}{f' · {cell.about}' if cell.about else ''}"
    pen.text((left, below), _fitting(cell.name, bold, width), fill=_INK, font=bold)
    pen.text((left, below + _LINE_PX), _fitting(state, plain, width), fill=colour, font=plain)
    words = _fitting(cell.words, plain, width)
    pen.text((left, below + 2 * _LINE_PX), words, fill=_FAINT, font=plain)


def _small(path: Path | None) -> tuple[Image.Image | None, str]:
    """Return a picture in the size of a cell, or what to say in its place."""
    if path is None:
        return None, "no picture"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # as large as we allow
            with Image.open(path) as found:
                found.draft("RGB", PICTURE_PX)
                picture = found.convert("RGBA")
    except FileNotFoundError:
        return None, "its file is not here"
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError):
        return None, "cannot be read"
    picture.thumbnail(PICTURE_PX)
    flat = Image.new("RGB", picture.size, _EMPTY)
    flat.paste(picture, mask=picture.getchannel("A"))
    return flat, ""


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room_px: int) -> str:
    """Cut a text, in one line, to what fits."""
    line = escaped(" ".join(text[:_MOST_WORDS].split()))
    if font.getlength(line) <= room_px:
        return line
    low, high = 0, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(f"{line[:middle].rstrip()}…") <= room_px:
            low = middle
        else:
            high = middle - 1
    return f"{line[:low].rstrip()}…"


_FONTS: Final[dict[int, ImageFont.FreeTypeFont | ImageFont.ImageFont]] = {}


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if size_px not in _FONTS:
        _FONTS[size_px] = ImageFont.load_default(size_px)
    return _FONTS[size_px]


def _remove_others(out_dir: Path, written: Iterable[Path]) -> None:
    names = {path.name for path in written}
    for path in out_dir.iterdir():
        if _FURTHER.fullmatch(path.name) and path.name not in names:
            with suppress(OSError):
                path.unlink()
