"""Providers by their word in the settings."""

from __future__ import annotations

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.providers.openai_images import OpenAIImages
from stage3_plugin.providers.openrouter import OpenRouter
from stage3_plugin.providers.registry import PROFILES, provider_at


def test_profiles_are_named_by_themselves() -> None:
    """The word in the settings is the profile's own; each says where its key usually sits."""
    assert {name: profile.name for name, profile in PROFILES.items()} == {
        "openai": "openai",
        "openrouter": "openrouter",
    }
    assert PROFILES["openai"].key_variable == "OPENAI_API_KEY"
    assert PROFILES["openrouter"].key_variable == "OPENROUTER_API_KEY"
    assert PROFILES["openrouter"].reports_cost


def test_a_provider_is_made_by_its_name() -> None:
    """The settings' words choose the class, the endpoint and the address."""
    openai = provider_at(Endpoint(provider="openai", base_url="http://localhost:1/v1", model="m"))
    chat = provider_at(Endpoint(provider="openrouter", api="chat", model="m"))

    assert isinstance(openai, OpenAIImages)
    assert isinstance(chat, OpenRouter)
    assert openai.profile is PROFILES["openai"]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    """The hint lists what there is."""
    with pytest.raises(SettingsRefused, match="no provider 'oepnai'") as caught:
        provider_at(Endpoint(provider="oepnai", model="m"))

    assert caught.value.hint == "use one of openai, openrouter"
