"""From the settings to the endpoint that a stage buys at, and to what keys hold of that."""

from __future__ import annotations

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.keys import Expression, KeyScope, Wish
from stage3_plugin.domain.profile import Profile
from stage3_plugin.settings import Settings


def endpoint_of(settings: Settings) -> Endpoint:
    """Return where the settings say that pictures are bought."""
    return Endpoint(
        provider=settings.provider,
        api=settings.api,
        base_url=settings.base_url,
        model=settings.model or "",
    )


def key_scope_of(
    settings: Settings, profile: Profile | None, *, is_local: bool = False
) -> KeyScope:
    """Return what the settings and the provider's profile put into keys.

    Args:
        settings: Validated settings.
        profile: What is known of the provider; ``None`` for a renderer of our own.
        is_local: Pictures are made on this machine.
    """
    named = settings.endpoint
    sends: set[Wish] = {"seed", "references", "output_format", "background"}
    expression: Expression = settings.negative_prompt
    if profile is not None:
        sends -= profile.unsaid
        sends -= {"seed"} if not profile.seed else set()
        sends -= {"references"} if not profile.references else set()
        expression = "field" if profile.negative_prompt else expression
    return KeyScope(
        endpoint=endpoint_of(settings),
        public_url="" if profile is None else profile.base_url,
        name=None if named is None else named.name,
        was=() if named is None else named.was,
        negative_prompt=expression,
        sends=frozenset(sends),
        is_local=is_local,
    )
