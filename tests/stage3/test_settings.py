"""What the settings refuse, and that they never show a value that could be a secret."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stage3_plugin.settings import LARGEST_SIDE_PX, Settings


@pytest.mark.parametrize(
    "table, words",
    [
        ({"size": "1024"}, "WIDTHxHEIGHT"),
        ({"size": "0x1024"}, "WIDTHxHEIGHT"),
        ({"size": "99999x1"}, "WIDTHxHEIGHT"),
        ({"provider": "openai"}, "model"),
        ({"provider": ""}, "provider"),
        ({"base_url": "localhost:8080"}, "https://"),
        ({"base_url": "https://user:pass@host/v1"}, "api_key"),
        ({"base_url": "https://host/v1?key=abc"}, "api_key"),
        ({"api_key": "  "}, "empty"),
        ({"api_key": "sk-one two"}, "without spaces"),
        ({"api_key": "sk-\u00e9"}, "printable ASCII"),
        ({"background": "transparent", "output_format": "jpeg"}, "png or webp"),
        ({"backoff_base_s": 10, "backoff_max_s": 1}, "backoff_max_s"),
        ({"capacity": 0}, "capacity"),
        ({"price_usd": -1}, "price_usd"),
        ({"price_usd": "NaN"}, "price_usd"),
        ({"timeout_s": float("inf")}, "timeout_s"),
        ({"budget_usd": -1}, "budget_usd"),
        ({"daily_usd": "a lot"}, "daily_usd"),
        ({"on_unknown": "again"}, "on_unknown"),
        ({"model": "gpt-image-2"}, "`provider`"),
        ({"api_key": "sk-key"}, "`provider`"),
        ({"provider": "openai", "model": "m", "api": "chat"}, "openrouter"),
        ({"size": "9000x9000"}, "max_pixels"),
        ({"capacity": "2"}, "capacity"),
        ({"caption": "off"}, "caption"),
        ({"timeout_s": "3"}, "timeout_s"),
    ],
)
def test_what_cannot_work_is_refused_with_words(table: dict[str, Any], words: str) -> None:
    """The message says what was expected."""
    with pytest.raises(ValidationError) as refused:
        Settings(**table)

    assert words in str(refused.value)


def test_a_price_is_the_decimal_that_was_written() -> None:
    """A TOML float is taken as its digits, never as the binary number next to them."""
    table = {"provider": "openai", "model": "m", "price_usd": 0.1}

    assert Settings.model_validate(table).price_usd == Decimal("0.1")


def test_a_key_is_stripped_and_an_address_loses_its_last_slash() -> None:
    """Both come from files and environment variables with a line end, or from copying."""
    table = {"provider": "openai", "model": "m", "base_url": "https://host/v1/"}
    settings = Settings.model_validate(table | {"api_key": " sk-key\n"})

    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "sk-key"
    assert settings.base_url == "https://host/v1"


@given(st.integers(1, LARGEST_SIDE_PX), st.integers(1, LARGEST_SIDE_PX))
def test_every_size_comes_back_as_numbers(width: int, height: int) -> None:
    """Up to the largest side."""
    settings = Settings(size=f"{width}x{height}", max_pixels=LARGEST_SIDE_PX**2)

    assert settings.default_size_px == (width, height)


def test_previz_alone_draws_a_videos_shape_where_no_size_is_set() -> None:
    """A paid provider's default is part of the key of every picture, and stays what it was."""
    paid = Settings(provider="openai", model="m")

    assert Settings().default_size_px == Settings(provider="previz").default_size_px == (1280, 720)
    assert Settings(size="1024x1024").default_size_px == (1024, 1024)
    assert (paid.size, paid.default_size_px) == ("1024x1024", (1024, 1024))
    with pytest.raises(ValidationError, match="size 1280x720 is more than max_pixels, 900,000"):
        Settings(max_pixels=900_000)


def test_every_setting_is_described() -> None:
    """The documentation is made from it."""
    assert all(field.description for field in Settings.model_fields.values())
