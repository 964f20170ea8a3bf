"""What is said of further routes: held to what the first is held to, and never shown."""

from typing import Any

import pytest
from pydantic import ValidationError

from host_stub.config.plugin_settings import masked
from stage3_plugin.settings import FallbackRoute, PriceTable, Settings

MAIN: dict[str, Any] = {
    "provider": "openai",
    "model": "gpt-image-2",
    "api_key": "sk-of-the-first",
    "base_url": "http://localhost:1/v1",
    "size": "640x480",
    "quality": "high",
    "requests_per_minute": 7,
    "price_usd": "0.05",
    "headers": {"x-team": "quill-74-secret"},
}
OTHER: dict[str, Any] = {"provider": "openrouter", "model": "a/painter"}


def of(*fallback: dict[str, Any], **more: Any) -> Settings:
    """Return settings with further routes, as a config file has them."""
    return Settings.model_validate(MAIN | more | {"fallback": list(fallback)})


@pytest.mark.parametrize(
    "fallback, words",
    [
        ({"model": "m"}, "provider"),
        ({"provider": "openrouter"}, "fallback 1: provider 'openrouter' needs `model`"),
        (OTHER | {"colour": "red"}, "colour"),
        (OTHER | {"base_url": "localhost"}, "https://"),
        (OTHER | {"api_key": "sk one"}, "without spaces"),
        (OTHER | {"budget_usd": "1"}, "budget_usd"),
        (OTHER | {"pacing": "paced"}, "fallback 1: `pacing`"),
        (OTHER | {"size": "9000x9000"}, "fallback 1: size 9000x9000"),
        (
            OTHER | {"background": "transparent", "output_format": "jpeg"},
            "fallback 1: a transparent",
        ),
        ({"provider": "openai", "model": "m", "api": "chat"}, "fallback 1: `api"),
        (MAIN, "fallback 1 asks for the same as a route before it"),
    ],
)
def test_a_route_that_cannot_work_is_refused_with_its_number(
    fallback: dict[str, Any], words: str
) -> None:
    """What holds for the first route holds for every further one."""
    with pytest.raises(ValidationError) as refused:
        of(fallback)

    assert words in str(refused.value)


def test_a_ladder_without_a_first_route_or_a_next_one_is_refused() -> None:
    """Settings that could do nothing are a mistake."""
    with pytest.raises(ValidationError, match="no `provider`"):
        Settings.model_validate({"fallback": [OTHER]})
    with pytest.raises(ValidationError, match="no `fallback`"):
        Settings(**MAIN, after_billed_refusal=True)


def test_a_route_takes_over_how_pictures_are_and_nothing_of_another_place() -> None:
    """A key, an address or a price of one place is never another's."""
    settings = of(OTHER, OTHER | {"size": "64x64"}, capacity=3)
    first, second, third = settings.routes

    assert first is settings
    assert (second.provider, second.model) == ("openrouter", "a/painter")
    assert (second.api_key, second.base_url, second.price_usd) == (None, None, None)
    assert (second.headers, second.requests_per_minute) == ({}, None)
    assert (second.size, second.quality, second.capacity) == ("640x480", "high", 3)
    assert third.size == "64x64"
    assert second.fallback == ()


def test_secrets_of_further_routes_are_known_and_never_shown() -> None:
    """No file and no message may hold a key or a header of any route."""
    key, token = "sk-of-the-second", "Bearer quill-99-token"
    fallback = OTHER | {"api_key": key, "headers": {"x-token": token}}
    settings = of(fallback)

    assert {"sk-of-the-first", "quill-74-secret", key, "quill-99-token"} <= set(settings.secrets())
    shown = f"{settings!r} {masked(settings)} {settings.routes!r}"
    assert key not in shown
    assert "quill" not in shown


def test_every_setting_of_a_route_is_one_of_the_plugin() -> None:
    """A route has no words of its own."""
    assert FallbackRoute.model_fields.keys() <= Settings.model_fields.keys()
    prices = PriceTable.model_validate({"output_image": "40.00"})
    assert of(OTHER | {"prices": prices}).routes[1].prices == prices
