"""What makes the pictures of a route, and what the settings make of one.

A :class:`~stage3_plugin.domain.route.Route` is known on every floor; this is the part of it that
sends, draws and waits, which the run alone has to do with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from stage3_plugin.attempt.batching import Batching
from stage3_plugin.attempt.free_checks import FreeChecks
from stage3_plugin.attempt.maker import Maker
from stage3_plugin.attempt.renewing import RenewableKey
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import Expression, PictureRequest, Wish
from stage3_plugin.domain.route import Route
from stage3_plugin.policy.capacity import (
    AdaptiveLimiter,
    Limiter,
    rate_limit_of,
)
from stage3_plugin.purchase.recovery import ConversationFor
from stage3_plugin.renderers.base import LocalRenderer
from stage3_plugin.runtime import trace
from stage3_plugin.settings import Settings
from stage3_plugin.transport.bodies import Base64Of, no_pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """What makes the pictures of a route.

    Attributes:
        route: The route.
        maker: Makes attempts.
        maker_with: Returns the maker for a run that holds the pictures which requests show; where
            the route is sent none, that is the same one.
        conversation_for: Goes on from answers that a run before left behind.
        renderer: The renderer, if it is one; it wants to see the whole story first.
        free_checks: Asks the paid provider what costs nothing.
        base64_of: Has the pictures that requests show, in a run that holds them.
        key: The key, where another one can be had.
    """

    route: Route
    maker: Maker
    conversation_for: ConversationFor
    maker_with: Callable[[Base64Of], Maker] | None = None
    renderer: LocalRenderer | None = None
    free_checks: FreeChecks | None = None
    base64_of: Base64Of = no_pictures
    key: RenewableKey | None = None

    def batching_of(self, request: PictureRequest) -> Batching | None:
        """Return what takes the steps of batches with a request's model, where there are any."""
        conversation = self.conversation_for(self.route.endpoint_of(request.model))
        return None if conversation is None else conversation.batching

    def showing(self, base64_of: Base64Of) -> Backend:
        """Return it for a run that holds references."""
        if self.maker_with is None:
            return self
        return replace(self, maker=self.maker_with(base64_of), base64_of=base64_of)

    async def study(self, story: Iterable[PictureRequest]) -> None:
        """Let a renderer see the whole story, if it wants to; the story is iterated anew."""
        if self.renderer is not None:
            await self.renderer.study(story)


def limiter_of(
    route: Route,
    settings: Settings,
    capacity: int,
    *,
    draw: Callable[[], float],
    beside: Callable[[], int] = lambda: 0,
) -> Limiter:
    """Return what decides, in one run, how many may be in flight and when the next may leave.

    Args:
        route: Where they are made.
        settings: What the user knows of limits there.
        capacity: The most that may be in flight.
        draw: Returns a number in [0, 1) for jitter.
        beside: Returns how many jobs of other runs are in work at its provider.
    """
    if route.is_uncapped:
        return Limiter(capacity)
    rate_limit = rate_limit_of(settings.requests_per_minute, settings.pacing)
    if not settings.adaptive:
        return Limiter(capacity, rate_limit=rate_limit, on_change=trace.event, beside=beside)
    return AdaptiveLimiter(
        capacity,
        draw=draw,
        longest_hint_s=settings.max_wait_s,
        rate_limit=rate_limit,
        on_change=trace.event,
        beside=beside,
    )


def endpoint_of(settings: Settings) -> Endpoint:
    """Return where the settings say that pictures are bought."""
    return Endpoint(
        provider=settings.provider,
        api=settings.api,
        base_url=settings.base_url,
        model=settings.model or "",
    )


def route_of(settings: Settings, profile: Profile | None, *, is_here: bool = False) -> Route:
    """Return what the settings and the provider's profile say of a route.

    Args:
        settings: Validated settings.
        profile: What is known of the provider; ``None`` for a renderer.
        is_here: Pictures are made on this machine.
    """
    named = settings.endpoint
    sends: set[Wish] = {"seed", "references", "output_format", "background", "quality"}
    expression: Expression = settings.negative_prompt
    if profile is not None:
        sends -= profile.unsaid
        sends -= {"seed"} if not profile.seed else set()
        sends -= {"references"} if not profile.references else set()
        expression = "field" if profile.negative_prompt else expression
    return Route(
        endpoint=endpoint_of(settings),
        public_url="" if profile is None else profile.base_url,
        name=None if named is None else named.name,
        was=() if named is None else named.was,
        negative_prompt=expression,
        style_tags="drop" if profile is None else settings.style_tags,
        sends=frozenset(sends),
        options=settings.options,
        is_here=is_here,
        profile=profile,
    )


def in_ladder(route: Route, settings: Settings, number: int) -> Route:
    """Return a route with what the settings say of it as one of several; 0 is the first."""
    is_after_billed = settings.steps_after_billed(number)
    if not number:
        return replace(route, is_after_billed=is_after_billed)
    said = settings.fallback[number - 1]
    return replace(
        route,
        is_after_billed=is_after_billed,
        size_px=None if said.size is None else settings.routes[number].default_size_px,
        quality=said.quality,
        output_format=said.output_format,
        background=said.background,
    )
