"""Which paid providers there are, by their word in the settings.

A provider's module is small and its imports are light, so they are all imported here; the registry
itself is first imported when a stage is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from stage3_plugin.domain.money import Prices
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import NegativePrompt
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.providers import openai_images, openrouter
from stage3_plugin.providers.base import Provider

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {profile.name: profile for profile in (openai_images.PROFILE, openrouter.PROFILE)}
)


def provider_named(
    name: str,
    *,
    api: openrouter.Api = "images",
    base_url: str | None,
    model: str,
    prices: Prices | None = None,
    flat_usd: Decimal | None = None,
    negative_prompt: NegativePrompt = "append",
) -> Provider:
    """Make the provider of a name.

    Args:
        name: A key of :data:`PROFILES`.
        api: For ``openrouter``: which of its endpoints.
        base_url: Where it lives, if not at its public address.
        model: Its name of the model.
        prices: The settings' price table, instead of the shipped one.
        flat_usd: The settings' price per picture.
        negative_prompt: What becomes of it where there is no field for it.

    Raises:
        SettingsRefused: There is no such provider.
    """
    if name == "openai":
        return openai_images.OpenAIImages(
            base_url=base_url,
            model=model,
            prices=prices,
            flat_usd=flat_usd,
            negative_prompt=negative_prompt,
        )
    if name == "openrouter":
        return openrouter.OpenRouter(
            api=api,
            base_url=base_url,
            model=model,
            prices=prices,
            flat_usd=flat_usd,
            negative_prompt=negative_prompt,
        )
    raise SettingsRefused(
        "provider", f"there is no provider {name!r}", hint=f"use one of {', '.join(PROFILES)}"
    )
