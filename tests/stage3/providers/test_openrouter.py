"""What is sent to OpenRouter's two endpoints, and what cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stage3.providers.replies import openrouter, request


def test_the_chat_endpoint_gets_the_prompt_as_the_one_message() -> None:
    """One message of the user; the picture's form in ``image_config``; no ``max_tokens``."""
    call = openrouter("chat").begin(request(width_px=1536, height_px=1024, negative_prompt="fog"))

    assert call.url == "https://openrouter.ai/api/v1/chat/completions"
    assert call.payload == {
        "model": "google/gemini-3-pro-image",
        "messages": [{"role": "user", "content": "a lighthouse at dusk. Avoid: fog"}],
        "modalities": ["image", "text"],
        "image_config": {"quality": "medium", "aspect_ratio": "3:2", "image_size": "1K"},
    }
    assert call.dropped == ()


def test_a_model_without_words_is_not_asked_for_any() -> None:
    """Image-only models refuse the modality text."""
    call = openrouter("chat", model="black-forest-labs/flux.2-pro").begin(request())

    assert call.payload["modalities"] == ["image"]


@pytest.mark.parametrize(
    "model, side_px, said",
    [
        ("google/gemini-3-pro-image", 1024, {"image_size": "1K"}),
        ("google/gemini-3-pro-image", 2048, {"image_size": "2K"}),
        ("google/gemini-3.1-flash-lite-image", 2048, {"image_size": "1K"}),
        ("google/gemini-2.5-flash-image", 2048, {}),
        ("somebody/painter", 1024, {"image_size": "1K"}),
    ],
)
def test_a_tier_is_never_left_to_a_model_that_has_some(
    model: str, side_px: int, said: dict[str, str]
) -> None:
    """It decides the price; one that has a single one has no field for it."""
    call = openrouter("chat", model=model).begin(request(width_px=side_px, height_px=side_px))
    config: Any = call.payload["image_config"]

    assert {name: value for name, value in config.items() if name == "image_size"} == said


@given(st.integers(1, 16384), st.integers(1, 16384))
def test_a_ratio_that_is_another_is_said(width: int, height: int) -> None:
    """LiteLLM turns an unknown size into a square, silently; this must not."""
    send = openrouter("chat").begin(request(width_px=width, height_px=height))
    config: Any = send.payload["image_config"]
    across, down = map(int, config["aspect_ratio"].split(":"))
    is_near = abs(width * down - height * across) * 100 <= 2 * height * across

    assert ("size" in send.dropped) is not is_near


@pytest.mark.parametrize("api, expected", [("images", True), ("chat", False)])
def test_only_the_image_endpoint_is_all_or_nothing(api: Any, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    """Chat completions charge for words without a picture."""
    assert openrouter(api).profile.empty_is_unbilled == expected
