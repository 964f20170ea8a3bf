"""Which paid providers there are, by their word in the settings.

A provider's module is small and its imports are light, so they are all imported here; the registry
itself is first imported when a stage is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.money import Prices
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import NegativePrompt
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.providers import openai_images, openrouter
from stage3_plugin.providers.base import Provider
from stage3_plugin.providers.hosted import Hosted

_PROVIDERS: Mapping[str, type[Hosted]] = MappingProxyType(
    {"openai": openai_images.OpenAIImages, "openrouter": openrouter.OpenRouter}
)

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {name: made.profile_of(Endpoint(provider=name)) for name, made in _PROVIDERS.items()}
)


def provider_at(
    endpoint: Endpoint,
    *,
    prices: Prices | None = None,
    flat_usd: Decimal | None = None,
    negative_prompt: NegativePrompt = "append",
) -> Provider:
    """Make the provider of an endpoint.

    Args:
        endpoint: Its provider is a key of :data:`PROFILES`.
        prices: The settings' price table, instead of the shipped one.
        flat_usd: The settings' price per picture.
        negative_prompt: What becomes of it where there is no field for it.

    Raises:
        SettingsRefused: There is no such provider.
    """
    name = endpoint.provider
    if name not in _PROVIDERS:
        raise SettingsRefused(
            "provider", f"there is no provider {name!r}", hint=f"use one of {', '.join(PROFILES)}"
        )
    return _PROVIDERS[name](
        endpoint, prices=prices, flat_usd=flat_usd, negative_prompt=negative_prompt
    )
