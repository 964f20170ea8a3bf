"""What is sent to OpenAI's Images API, and what cannot be."""

from __future__ import annotations

from dataclasses import replace

from tests.stage3.providers.replies import openai, request


def test_a_compatible_server_lives_where_the_settings_say() -> None:
    """The base address is taken as it is, with or without a slash at its end."""
    for base_url in ("http://localhost:8080/v1", "http://localhost:8080/v1/"):
        call = openai(base_url=base_url).begin(request())

        assert call.url == "http://localhost:8080/v1/images/generations"


def test_wishes_that_cannot_be_said_are_dropped_by_name() -> None:
    """Seed, references and, on demand, the negative prompt."""
    wishes = request(negative_prompt="people", seed=7, references=("keeper.png",))
    call = openai(negative_prompt="drop").begin(wishes)

    assert call.payload["prompt"] == "a lighthouse at dusk"
    assert sorted(call.dropped) == ["negative_prompt", "references", "seed"]
    assert "seed" not in call.payload


def test_style_tags_stand_behind_the_prompt() -> None:
    """Before what is to be avoided; left out on demand, and then said to be."""
    wishes = request(style_tags=("noir", "Dusk"), negative_prompt="people")
    said, unsaid = openai().begin(wishes), openai(style_tags="drop").begin(wishes)

    assert said.payload["prompt"] == "a lighthouse at dusk. Style: noir. Avoid: people"
    assert said.dropped == ()
    assert unsaid.payload["prompt"] == "a lighthouse at dusk. Avoid: people"
    assert unsaid.dropped == ("style_tags",)


def test_ids_of_characters_and_notes_are_never_sent() -> None:
    """Of a character that the prompt does not name that is said; a note is no wish."""
    plain = request()
    decorated = replace(plain, characters=("Ada",), extra={"x": 1})

    assert openai().begin(decorated).payload == openai().begin(plain).payload
    assert openai().begin(decorated).dropped == ("characters",)


def test_prompts_are_not_shown_by_accident() -> None:
    """A call can stand in a log: its payload is not part of its text."""
    assert "lighthouse" not in repr(openai().begin(request()))
