"""What a prompt says once it is safe, freed of boilerplate, and searched for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.previz.text import (
    clean,
    name_from,
    names,
    story,
)


@pytest.mark.parametrize(
    "prompt,caption",
    [
        ("", ""),
        ("masterpiece, best quality, 4k", ""),
        ("杰作，最佳质量，高清", ""),
        ("A boat, masterpiece, best quality, at dawn.", "A boat, at dawn"),
        ("a boat at dawn. Avoid: rain, people", "A boat at dawn"),
        ("a boat. Negative prompt: text", "A boat"),
        ("港口，杰作，清晨", "港口，清晨"),
        ("two  lines\nof\ttext", "Two lines of text"),
    ],
)
def test_the_caption_is_the_story_without_boilerplate(prompt: str, caption: str) -> None:
    """What is said about quality and technique, or is to be avoided, is not the story."""
    assert story(prompt) == caption


@given(st.text(max_size=200))
def test_clean_text_is_one_line_that_xml_takes(text: str) -> None:
    """No control character, lone surrogate or line break is left, and cleaning again is idle."""
    cleaned = clean(text)

    cleaned.encode("utf-8")
    assert all(character.isprintable() or character in "\u200c\u200d" for character in cleaned)
    assert clean(cleaned) == cleaned


def test_names_are_two_or_three_capitalised_words() -> None:
    """Framing words with capitals are no names, and each name is told once."""
    prompt = "Medium Shot of Wang Miao with Anna Maria Sol; Wang Miao smiles"

    assert names(prompt) == ["Wang Miao", "Anna Maria Sol"]


@pytest.mark.parametrize(
    "identifier,text,expected",
    [
        ("林晓岚", "清晨，林晓岚走来", "林晓岚"),
        ("Mara Quill", "Mara Quill walks", "Mara Quill"),
        ("mira", "the girl Mira walks", "Mira"),
        ("old_tom", "Old Tom walks", "Old Tom"),
        ("hope", "there is no hope left, said Hopeful", "hope"),
        ("al", "a tall man", None),
        ("a", "a man", None),
        ("char_001", "a man", None),
        ("林晓岚", "清晨", None),
    ],
)
def test_an_identifier_may_be_a_name(identifier: str, text: str, expected: str | None) -> None:
    """A Latin one must stand as a word, as it is or with capitals; Chinese has no spaces."""
    assert name_from(identifier, text) == expected
