"""What is sent to OpenAI's Images API, and what cannot be."""

from __future__ import annotations

from tests.stage3.providers.replies import openai, request


def test_a_compatible_server_lives_where_the_settings_say() -> None:
    """The base address is taken as it is, with or without a slash at its end."""
    for base_url in ("http://localhost:8080/v1", "http://localhost:8080/v1/"):
        call = openai(base_url=base_url).begin(request())

        assert call.url == "http://localhost:8080/v1/images/generations"


def test_prompts_are_not_shown_by_accident() -> None:
    """A call can stand in a log: its payload is not part of its text."""
    assert "lighthouse" not in repr(openai().begin(request()))
