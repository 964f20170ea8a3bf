"""What is sent to OpenAI's Images API, and what cannot be."""

from __future__ import annotations

from dataclasses import replace

from stage3_plugin.providers.base import Provider
from tests.stage3.providers.replies import openai, openrouter, request


def test_the_call_is_one_picture_with_everything_said() -> None:
    """One picture, verbatim prompt, size, quality and format; nothing the model would refuse."""
    call = openai().begin(request())

    assert call.url == "https://api.openai.com/v1/images/generations"
    assert call.payload == {
        "model": "gpt-image-2",
        "prompt": "a lighthouse at dusk",
        "n": 1,
        "size": "1024x1024",
        "quality": "medium",
        "output_format": "png",
    }
    assert call.dropped == ()


def test_a_compatible_server_lives_where_the_settings_say() -> None:
    """The base address is taken as it is, with or without a slash at its end."""
    for base_url in ("http://localhost:8080/v1", "http://localhost:8080/v1/"):
        call = openai(base_url=base_url).begin(request())

        assert call.url == "http://localhost:8080/v1/images/generations"


def test_a_request_may_name_its_own_model_and_background() -> None:
    """What the request says comes before what the settings say."""
    call = openai().begin(request(model="gpt-image-2.5-flare", background="transparent"))

    assert call.payload["model"] == "gpt-image-2.5-flare"
    assert call.payload["background"] == "transparent"


def test_a_negative_prompt_is_put_behind_the_prompt() -> None:
    """There is no field for it, so it is said as the original said it."""
    call = openai().begin(request(negative_prompt="people"))

    assert call.payload["prompt"] == "a lighthouse at dusk. Avoid: people"
    assert call.dropped == ()


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


def test_both_are_providers() -> None:
    """The seam is met, as the type checkers see too."""
    providers: list[Provider] = [openai(), openrouter()]

    assert [provider.profile.name for provider in providers] == ["openai", "openrouter"]
