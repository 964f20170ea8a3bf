"""The contact sheet: what every scene shows, in one picture, whatever lies in the folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from host_stub.review.contact_sheet import (
    CELLS,
    COLUMNS,
    PICTURE_PX,
    Cell,
    draw_page,
    write_pages,
)


def picture(folder: Path, colour: str = "red", size: tuple[int, int] = (320, 180)) -> Path:
    path = folder / f"{colour}.png"
    Image.new("RGB", size, colour).save(path)
    return path


def cells(count: int, shown: Path | None = None) -> list[Cell]:
    return [Cell(name=f"s{number}", state="current", picture=shown) for number in range(count)]


def colours(page: Image.Image) -> set[tuple[int, ...]]:
    found = page.getcolors(maxcolors=1 << 24)
    assert found is not None
    return {colour for _, colour in found if isinstance(colour, tuple)}


def test_a_long_story_has_several_pages(tmp_path: Path) -> None:
    """Each with as many scenes as stay readable; those of a longer sheet before are gone."""
    other = tmp_path / "sheet-x.png"
    other.write_bytes(b"somebody's")
    first = list(write_pages(tmp_path, "a story", cells(2 * CELLS + 1)))
    second = list(write_pages(tmp_path, "a story", cells(CELLS)))

    assert [path.name for path in first] == ["sheet.png", "sheet-2.png", "sheet-3.png"]
    assert [path.name for path in second] == ["sheet.png"]
    assert {path.name for path in tmp_path.iterdir()} == {"sheet.png", "sheet-x.png"}
    with Image.open(tmp_path / "sheet.png") as page:
        assert page.format == "PNG"
        assert page.width > COLUMNS * PICTURE_PX[0]


def test_a_cell_shows_its_picture_whole(tmp_path: Path) -> None:
    """Smaller, in its own shape, above a line in its state's colour."""
    wide = picture(tmp_path, "red", (640, 360))
    tall = picture(tmp_path, "blue", (360, 640))
    page = draw_page("", [*cells(1, wide), *cells(1, tall)])

    found = page.getcolors(maxcolors=1 << 24)
    assert found is not None
    areas = {colour: number for number, colour in found}
    assert areas[255, 0, 0] == PICTURE_PX[0] * PICTURE_PX[1]
    assert areas[0, 0, 255] == 81 * PICTURE_PX[1]


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_cannot_be_read_leaves_its_cell_empty(tmp_path: Path, content: bytes) -> None:
    """And all others as they are."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(content)
    page = draw_page("", [*cells(1, broken), *cells(1, tmp_path / "gone.png"), *cells(1, tmp_path)])
    with_one = draw_page("", [*cells(1, broken), *cells(1, picture(tmp_path))])

    assert (255, 0, 0) not in colours(page)
    assert (255, 0, 0) in colours(with_one)


def test_a_picture_that_unpacks_to_a_whole_memory_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow's own limit holds; what is below it is drawn."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    beyond = draw_page("", cells(1, picture(tmp_path)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40_000)
    below = draw_page("", cells(1, picture(tmp_path)))

    assert (255, 0, 0) not in colours(beyond)
    assert (255, 0, 0) in colours(below)


def test_no_text_is_too_long_or_too_strange() -> None:
    """It is cut to its cell; what says something to a terminal stands there as an escape."""
    strange = "\x1b[2J\u202e" + "日本語 " * 50_000 + "\n\x00"
    long = Cell(name=strange, state=strange, about=strange, words=strange)

    assert draw_page(strange, [long]).size == draw_page("", cells(1)).size
