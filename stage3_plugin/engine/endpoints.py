"""From the settings to the endpoint that a stage buys at."""

from __future__ import annotations

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.settings import Settings


def endpoint_of(settings: Settings) -> Endpoint:
    """Return where the settings say that pictures are bought."""
    return Endpoint(
        provider=settings.provider,
        api=settings.api,
        base_url=settings.base_url,
        model=settings.model or "",
    )
