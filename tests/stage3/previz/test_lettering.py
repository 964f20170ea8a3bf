"""Text in a picture: which font, how wide, where a line breaks, and in which direction."""

import re
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.previz.fonts import font_of, fonts
from stage3_plugin.previz.lettering import BOX, drawable, runs_right_to_left, text, width, wrap

# Every script there is a font for, and a little of what there is none for.
ALPHABET = "aZ9 .,()-“”é漢字，。！（）《》カнΩřبلاשلनमस्तेกขี😀한\u0301\u200d"
SIZE_PX = 10.0


@given(st.text(ALPHABET, max_size=120), st.floats(SIZE_PX * 4, SIZE_PX * 60), st.integers(1, 5))
def test_a_line_is_never_wider_than_asked(line: str, width_px: float, most_lines: int) -> None:
    """However a text breaks, each line fits. Four ems take any character with an ellipsis."""
    lines = wrap(drawable(line), SIZE_PX, width_px, most_lines)

    assert len(lines) <= most_lines
    assert all(width(each, SIZE_PX) <= width_px + 1e-6 for each in lines)


@given(st.text(ALPHABET, min_size=1, max_size=120), st.integers(1, 3))
def test_only_an_ellipsis_stands_for_what_is_left_out(line: str, most_lines: int) -> None:
    """A cut text is the beginning of the whole one, and says so at its end."""
    shown = drawable(line)
    lines = wrap(shown, SIZE_PX, SIZE_PX * 6, most_lines)

    letters = "".join("".join(lines).split())
    whole = "".join(shown.split())
    if letters != whole:
        kept = re.sub(r"(?:……|\.\.\.)$", "", letters)
        assert kept != letters
        assert whole.startswith(kept)


def test_a_last_line_is_not_left_with_one_character() -> None:
    """The lines above are set a little tighter instead."""
    lines = wrap("一二三四五六七八九十甲", 10, 100, 3)

    assert len(lines) == 2
    assert len(lines[-1]) > 1


def test_what_no_font_has_becomes_one_box() -> None:
    """A run of Hangul is one box; the joiner and colour of an emoji are dropped."""
    assert drawable("한국어 👋\U0001f3fd ok") == f"{BOX} {BOX} ok"
    assert drawable("😀\ufe0f") == "😀"


@pytest.mark.parametrize(
    "line,expected",
    [("مرحبا", True), ("123 שלום", True), ("hello مرحبا", False), ("123", False), ("", False)],
)
def test_the_first_letter_decides_the_direction(line: str, expected: bool) -> None:  # noqa: FBT001 - a table
    """Digits and punctuation have no say."""
    assert runs_right_to_left(line) is expected


def test_every_script_is_set_in_a_font_that_has_it() -> None:
    """One span for each font; the first font needs none."""
    markup = text(0, 0, "漢 Dvořák สวัสดี", 10, "#fff")

    element = fromstring(markup)
    spans = {span.text: span.get("font-family") for span in element}
    assert spans == {"ř": "Noto Sans Medium", "สวัสดี": "Noto Sans Thai Medium"}


def test_a_line_with_arabic_starts_in_its_font_and_direction() -> None:
    """Resvg shapes a whole line in its first font, and sets it as if it were English."""
    from_right = fromstring(text(0, 0, "مرحبا (hello)", 10, "#fff"))
    from_left = fromstring(text(0, 0, "hello مرحبا", 10, "#fff"))

    assert (from_right[0].get("font-family"), from_right[0].text) == (
        "Noto Sans Arabic Medium",
        "\u2067",
    )
    assert (from_left[0].get("font-family"), from_left[0].text) == (
        "Noto Sans Arabic Medium",
        "\u2066",
    )


@given(st.text(max_size=60))
def test_any_text_is_well_formed(line: str) -> None:
    """Whatever a prompt holds, its line of SVG parses and shows every character."""
    from stage3_plugin.previz.text import clean

    shown = drawable(clean(line))

    element = fromstring(text(0, 0, shown, 10, "#fff"))
    assert "".join(element.itertext()).strip("\u2066\u2067\u2069") == shown


def test_the_tables_name_files_that_are_there() -> None:
    """Each font lies where its table says, and the first covers Chinese and Latin."""
    assert all(font.path.is_file() for font in fonts())
    assert font_of("a") is font_of("漢") is fonts()[0]
    assert font_of("한") is None
