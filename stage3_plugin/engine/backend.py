"""What makes the pictures of a route, and what the settings make of one.

A :class:`~stage3_plugin.domain.route.Route` is known on every floor; this is the part of it that
sends, draws and waits, which the run alone has to do with. It is loaded by who asks for a sender: a
plan needs neither a client nor what reads an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import Expression, PictureRequest, Wish
from stage3_plugin.domain.route import Route
from stage3_plugin.settings import Settings, who_makes

if TYPE_CHECKING:  # the sending half, which a plan does not load
    from stage3_plugin.purchase.asking import RenewableKey
    from stage3_plugin.purchase.conversation import Batching
    from stage3_plugin.purchase.free_checks import FreeChecks
    from stage3_plugin.purchase.maker import Attempt
    from stage3_plugin.purchase.recovery import ConversationFor
    from stage3_plugin.renderers.base import LocalRenderer


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """What sends, or draws.

    Attributes:
        attempt: Makes one attempt at a picture.
        conversation_for: Goes on from answers that a run before left behind; where pictures are
            drawn, these are left to a run that has a provider.
        free_checks: Asks the paid provider what costs nothing.
        key: The key, where another one can be had.
    """

    attempt: Attempt
    conversation_for: ConversationFor = lambda _endpoint: None
    free_checks: FreeChecks | None = None
    key: RenewableKey | None = None

    def batching_at(self, endpoint: Endpoint) -> Batching | None:
        """Return what takes the steps of batches with an endpoint, where there are any."""
        conversation = self.conversation_for(endpoint)
        return None if conversation is None else conversation.batching


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """What makes the pictures of a route.

    Attributes:
        route: The route.
        sender: Returns what sends or draws, always the same.
        renderer: The renderer, if it is one; it wants to see the whole story first.
    """

    route: Route
    sender: Callable[[], Sender]
    renderer: LocalRenderer | None = None


def runs_model_class(settings: Settings) -> bool:
    """Return whether pictures are rendered by a class of the user's."""
    maker = who_makes(settings.provider)
    return maker is not None and maker.runs_model_class


def with_model_named(settings: Settings) -> Settings:
    """Return settings in which a model class without a name for people has its own."""
    if settings.model or not runs_model_class(settings):
        return settings
    if settings.model_class is None:
        name = str(settings.model_args.get("weights", ""))
    else:
        name = settings.model_class.rpartition(":")[2].rpartition(".")[2]
    return settings.model_copy(update={"model": name})


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
    found = Route(
        endpoint=endpoint_of(settings),
        public_url="" if profile is None else profile.base_url,
        name=None if named is None else named.name,
        was=() if named is None else named.was,
        negative_prompt=expression,
        style_tags="drop" if profile is None else settings.style_tags,
        sends=frozenset(sends),
        options=settings.options,
        is_here=is_here,
        max_pixels=settings.max_pixels,
        profile=profile,
    )
    return replace(found, list_price=_free) if is_here else found


def _free(_request: PictureRequest) -> Estimate:
    return Estimate(low_microusd=0, high_microusd=0)
