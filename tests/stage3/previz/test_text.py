"""What a prompt says once it is safe, freed of boilerplate, and searched for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.previz.text import (
    clean,
    last_digits,
    name_from,
    names,
    passage_about,
    sentence_from,
    story,
    wish,
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


def test_cleaning_drops_nul_and_lone_surrogates() -> None:
    """What no XML document may hold becomes a space."""
    assert clean("a\0b\ud800c\u2028d") == "a b c d"


def test_what_is_to_be_avoided_is_no_wish() -> None:
    """A negative prompt written into the prompt decides nothing."""
    assert wish("A meadow. Avoid: rain") == "A meadow"


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


def test_a_passage_ends_where_the_next_person_begins() -> None:
    """The longest passage about somebody is theirs alone."""
    text = "Ann is old. Bob is young and Ann wears a red coat."

    assert passage_about("Ann", text, ["Ann", "Bob"]) == "Ann wears a red coat."
    assert passage_about("Bob", text, ["Ann", "Bob"]) == "Bob is young and "
    assert passage_about("Cid", text, ["Ann"]) == ""


def test_a_sentence_goes_on_after_an_and() -> None:
    """What two people do together is said after the second name."""
    text = "Ann in blue and Bob in green run home. It rains."

    assert sentence_from("Ann in blue and ", text) == "Ann in blue and Bob in green run home"
    assert sentence_from("Bob in green run home. ", text) == "Bob in green run home. "


@pytest.mark.parametrize(
    "identifier,digits",
    [("scene_012", "012"), ("act 2 scene 7b", "7"), ("finale", ""), ("9" * 5000, "9" * 200)],
)
def test_the_last_number_of_an_identifier(identifier: str, digits: str) -> None:
    """An endless identifier is looked at from its end only."""
    assert last_digits(identifier) == digits
