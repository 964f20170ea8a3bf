"""Where a picture is made: a paid endpoint or a renderer here, with all that follows from which.

A run never asks what its route is called, or whether it is a renderer. It asks one of four
properties, each by what it means: whether pictures cost anything, whether they are made on this
machine, whether anybody limits them, whether work on one may be cut and done again. Today's
renderer is all four and today's providers are none; that is their affair, and not the run's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from pydantic import JsonValue

from host_stub.contract import PlannedRoute
from stage3_plugin.attempt.batching import Batching
from stage3_plugin.attempt.free_checks import FreeChecks
from stage3_plugin.attempt.maker import Maker
from stage3_plugin.attempt.renewing import RenewableKey
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.job import NewJob
from stage3_plugin.domain.keys import Expression, Keys, KeyScope, Wish, scene_keys
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.showing.references import LimitsOf
from stage3_plugin.policy.capacity import (
    AdaptiveLimiter,
    Change,
    FixedLimiter,
    Limiter,
    rate_limit_of,
)
from stage3_plugin.policy.pricing import HighestBill, Pricing
from stage3_plugin.providers.base import BatchLane
from stage3_plugin.purchase.recovery import ConversationFor
from stage3_plugin.renderers.base import LocalRenderer
from stage3_plugin.settings import Settings
from stage3_plugin.transport.bodies import Base64Of, no_pictures


@dataclass(frozen=True, slots=True)
class Shows:
    """What it takes to send references.

    Attributes:
        limits_of: Says what the endpoint takes of them.
        maker_with: Returns the maker for a run that holds them.
    """

    limits_of: LimitsOf
    maker_with: Callable[[Base64Of], Maker]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where pictures are made, what makes them, and what that means for a run.

    Attributes:
        scope: What keys hold of it: its endpoint, and what can be said there.
        maker: Makes attempts.
        list_price: Returns what a picture is expected to cost, in the lane of its request.
        conversation_for: Goes on from answers that a run before left behind.
        profile: What is known of the paid provider, if it is one.
        renderer: The renderer, if it is one; it wants to see the whole story first.
        slots: How many pictures can be in work there at once, if that is bounded.
        has_own_capacity: So many are, unless the settings say less.
        needs_prompt: An empty prompt would be paid for, and so is not sent.
        is_free: Pictures cost nothing, those that came to nothing included; and no answer comes
            that the disk needs room for.
        is_uncapped: No limit is kept, of money, of requests or of a provider.
        may_be_cut: Work may be cut short and simply done again, so no outcome is ever unknown.
        warnings: What the settings alone ask for that is known not to be taken.
        advise: Says what a picture asks for that its maker is known not to take.
        refuse: Says why it is not bought there; ``None`` where it is. What was bought is found.
        dropped: Names the wishes of a request that its maker is not sent.
        prompt_sent: Returns the prompt of a request as it is sent; ``None`` where nothing is.
        free_checks: Asks the paid provider what costs nothing.
        shows: What it takes to send it references; ``None`` where it is sent none.
        base64_of: Has the pictures that requests show, in a run that holds them.
        key: The key, where another one can be had.
        batch: Its batch lane, if it has one.
        options_of: Returns the options that decide a model's pictures, by whose name its rows are
            found among them; ``None`` where those of the scope do.
        new_job: Draws what a request's job is begun with; ``None`` where no job can come of one.
    """

    scope: KeyScope
    maker: Maker
    list_price: Callable[[PictureRequest], Estimate]
    conversation_for: ConversationFor
    profile: Profile | None = None
    renderer: LocalRenderer | None = None
    slots: int | None = None
    has_own_capacity: bool = False
    needs_prompt: bool = True
    is_free: bool = False
    is_uncapped: bool = False
    may_be_cut: bool = False
    warnings: tuple[str, ...] = ()
    advise: Callable[[PictureRequest], tuple[str, ...]] = lambda _request: ()
    refuse: Callable[[PictureRequest], str | None] = lambda _request: None
    dropped: Callable[[PictureRequest], tuple[str, ...]] = lambda _request: ()
    prompt_sent: Callable[[PictureRequest], str | None] = lambda _request: None
    free_checks: FreeChecks | None = None
    shows: Shows | None = None
    base64_of: Base64Of = no_pictures
    key: RenewableKey | None = None
    batch: BatchLane | None = None
    options_of: Callable[[str], Mapping[str, JsonValue]] | None = None
    new_job: Callable[[PictureRequest], NewJob | None] = lambda _request: None

    @property
    def endpoint(self) -> Endpoint:
        """Return provider, API, address and model."""
        return self.scope.endpoint

    @property
    def is_here(self) -> bool:
        """Return whether pictures are made on this machine.

        Then no descriptors are kept for connections, and keys have no address.
        """
        return self.scope.is_here

    @property
    def planned(self) -> PlannedRoute:
        """Return what a plan says of it."""
        asked = self.endpoint
        return PlannedRoute(
            provider=asked.provider, model=asked.model or None, options=dict(self.scope.options)
        )

    def batching_of(self, request: PictureRequest) -> Batching | None:
        """Return what takes the steps of batches with a request's model, where there are any."""
        own = self.endpoint
        named = own if request.model in {"", own.model} else replace(own, model=request.model)
        conversation = self.conversation_for(named)
        return None if conversation is None else conversation.batching

    def showing(self, base64_of: Base64Of) -> Route:
        """Return it for a run that holds references."""
        if self.shows is None:
            return self
        return replace(self, maker=self.shows.maker_with(base64_of), base64_of=base64_of)

    def keys_of(
        self, request: PictureRequest, others: Callable[[], tuple[Keys, ...]] = tuple
    ) -> Keys:
        """Hash what decides a picture.

        Args:
            request: The picture, as this route is asked for it.
            others: Returns the keys of all ways in which it may be tried.
        """
        edition = "" if self.renderer is None else self.renderer.edition(request)
        scope = self.scope
        if self.options_of is not None:
            scope = replace(scope, options=self.options_of(request.model))
        return scene_keys(request, scope, edition=edition, others=others)

    def pricing(self, highest_bill: HighestBill, *, news: Callable[[], int] = lambda: 0) -> Pricing:
        """Return what prices pictures here, given the bills that such pictures had."""
        return Pricing(self.list_price, highest_bill, news=news)

    def limiter(
        self,
        settings: Settings,
        capacity: int,
        *,
        draw: Callable[[], float],
        on_change: Callable[[Change], None],
        beside: Callable[[], int] = lambda: 0,
    ) -> Limiter:
        """Return what decides, in one run, how many may be in flight and when the next may leave.

        Args:
            settings: What the user knows of limits.
            capacity: The most that may be in flight.
            draw: Returns a number in [0, 1) for jitter.
            on_change: Called with every change of capacity.
            beside: Returns how many jobs of other runs are in work at its provider.
        """
        if self.is_uncapped:
            return FixedLimiter(capacity)
        rate_limit = rate_limit_of(settings.requests_per_minute, settings.pacing)
        if not settings.adaptive:
            return FixedLimiter(capacity, rate_limit=rate_limit, on_change=on_change, beside=beside)
        return AdaptiveLimiter(
            capacity,
            draw=draw,
            longest_hint_s=settings.max_wait_s,
            rate_limit=rate_limit,
            on_change=on_change,
            beside=beside,
        )

    async def study(self, story: Iterable[PictureRequest]) -> None:
        """Let a renderer see the whole story, if it wants to; the story is iterated anew."""
        if self.renderer is not None:
            await self.renderer.study(story)


def endpoint_of(settings: Settings) -> Endpoint:
    """Return where the settings say that pictures are bought."""
    return Endpoint(
        provider=settings.provider,
        api=settings.api,
        base_url=settings.base_url,
        model=settings.model or "",
    )


def key_scope_of(settings: Settings, profile: Profile | None, *, is_here: bool = False) -> KeyScope:
    """Return what the settings and the provider's profile put into keys.

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
    return KeyScope(
        endpoint=endpoint_of(settings),
        public_url="" if profile is None else profile.base_url,
        name=None if named is None else named.name,
        was=() if named is None else named.was,
        negative_prompt=expression,
        style_tags="drop" if profile is None else settings.style_tags,
        sends=frozenset(sends),
        options=settings.options,
        is_here=is_here,
    )
