"""Where pictures are made: one value for each route, from its settings to what is bought by it.

Pure: facts, and functions of a request. What makes the pictures there is the engine's ``Backend``,
and what a run has at it is the run's own.

A run never asks what its route is called, or whether it is a renderer. It asks one of four
properties, each by what it means: whether pictures cost anything, whether they are made on this
machine, whether anybody limits them, whether work on one may be cut and done again. Today's
renderer is all four and today's providers are none; that is their affair, and not the run's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

from pydantic import JsonValue

from host_stub.contract import PlannedRoute
from stage3_plugin.domain.addressing import canonical_address
from stage3_plugin.domain.batch import BatchTerms
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.events import Warned
from stage3_plugin.domain.job import NewJob
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.purchase import NewPurchase, Purchase
from stage3_plugin.domain.reference import Limits
from stage3_plugin.domain.request import (
    BehindPrompt,
    Expression,
    PictureRequest,
    Wish,
    check_scene_id,
    is_broken,
)
from stage3_plugin.errors import SceneIdRefused

LimitsOf: TypeAlias = Callable[[PictureRequest], Limits]
"""Returns what the endpoint takes of a request's references."""


def _unknown(_request: PictureRequest) -> Estimate:
    return Estimate(low_microusd=None, high_microusd=None)


def _nothing(_request: PictureRequest) -> None:
    return None


def _none(_request: PictureRequest) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Route:
    """One of the places where pictures are made, and what that means for keys, money and a run.

    Attributes:
        endpoint: Where requests are sent; one may name another model.
        public_url: The provider's public address, which an endpoint without one is at.
        name: What the user calls the endpoint; its address is then not in keys.
        was: Further addresses whose purchases count as this endpoint's own.
        negative_prompt: How a negative prompt is expressed.
        style_tags: Whether style tags are put behind the prompt.
        sends: The wishes that reach the provider.
        options: What is asked for that only this provider has.
        options_of: Returns the options that decide a model's pictures, by whose name its rows are
            found among them; ``None`` where ``options`` do.
        edition_of: Returns what else decides a picture, where a renderer here makes it.
        is_here: Made on this machine, whatever the address: pictures cost nothing, those that came
            to nothing included, no limit is kept, and work that is cut short is simply done again,
            so that no outcome is ever unknown.
        max_pixels: A larger picture would be paid for and then not accepted.
        is_after_billed: It is tried also where another route was billed for refusing a picture.
        new_job: Draws what a request's job is begun with; ``None`` where no job can come of one.
        list_price: Returns what a picture is expected to cost, in the lane of its request.
        refuse: Says why a picture is not bought there; ``None`` where it is. What was bought is
            found.
        profile: What is known of the paid provider, if it is one.
        slots: How many pictures can be in work there at once, if that is bounded.
        has_own_capacity: So many are, unless the settings say less.
        warnings: What the settings alone ask for that is known not to be taken.
        advise: Says what a picture asks for that its maker is known not to take.
        dropped: Names the wishes of a request that its maker is not sent.
        prompt_sent: Returns the prompt of a request as it is sent; ``None`` where nothing is.
        limits_of: Says what it takes of references; ``None`` where it is sent none.
        batch: What its batch lane takes and promises, if it has one.
    """

    endpoint: Endpoint
    public_url: str = ""
    name: str | None = None
    was: tuple[str, ...] = ()
    negative_prompt: Expression = "append"
    style_tags: BehindPrompt = "append"
    sends: frozenset[Wish] = frozenset()
    options: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue], hash=False)
    options_of: Callable[[str], Mapping[str, JsonValue]] | None = None
    edition_of: Callable[[PictureRequest], str] = lambda _request: ""
    is_here: bool = False
    max_pixels: int = sys.maxsize
    is_after_billed: bool = False
    new_job: Callable[[PictureRequest], NewJob | None] = _nothing
    list_price: Callable[[PictureRequest], Estimate] = _unknown
    refuse: Callable[[PictureRequest], str | None] = _nothing
    profile: Profile | None = None
    slots: int | None = None
    has_own_capacity: bool = False
    warnings: tuple[Warned, ...] = ()
    advise: Callable[[PictureRequest], tuple[str, ...]] = _none
    dropped: Callable[[PictureRequest], tuple[str, ...]] = _none
    prompt_sent: Callable[[PictureRequest], str | None] = _nothing
    limits_of: LimitsOf | None = None
    batch: BatchTerms | None = None
    _options: dict[str, Mapping[str, JsonValue]] = field(
        init=False, repr=False, compare=False, default_factory=dict[str, Mapping[str, JsonValue]]
    )

    # What keys hold ------------------------------------------------------------------------------

    def said_tags(self, request: PictureRequest) -> tuple[str, ...]:
        """Return the style tags that are put behind a prompt."""
        return request.unsaid_tags if self.style_tags == "append" else ()

    def options_for(self, request: PictureRequest) -> Mapping[str, JsonValue]:
        """Return what is asked for with a request that only this provider has."""
        if self.options_of is None:
            return self.options
        known = self._options.get(request.model)
        if known is None:
            known = self._options[request.model] = self.options_of(request.model)
        return known

    @property
    def address(self) -> str:
        """Return the endpoint's address in the one form that all spellings of it share."""
        return self.addresses[0]

    @cached_property
    def addresses(self) -> tuple[str, ...]:
        """Return the addresses of its purchases, the present one first."""
        asked = (self.endpoint.base_url or self.public_url, *self.was)
        return tuple(dict.fromkeys(map(canonical_address, asked)))

    @cached_property
    def places(self) -> list[dict[str, object]]:
        """Return what keys say of where a picture is bought: now, then where it may have been.

        A name that was given later finds what was bought at the address that it stands for.
        """
        if self.is_here:
            return [{}]
        places: list[dict[str, object]] = [{"address": address} for address in self.addresses]
        return places if self.name is None else [{"endpoint": self.name}, *places]

    def is_at(self, asked: Endpoint) -> bool:
        """Return whether an endpoint, as a purchase has it, is this one, whatever the model."""
        mine = self.endpoint
        if replace(asked, base_url=mine.base_url, model=mine.model) != mine:
            return False
        address = canonical_address(asked.base_url or self.public_url)
        return self.is_here or address in self.addresses

    # What is bought ------------------------------------------------------------------------------

    def endpoint_of(self, model: str) -> Endpoint:
        """Return where a request goes: the endpoint, with the request's own model."""
        own = self.endpoint
        return own if model in {"", own.model} else replace(own, model=model)

    def why_not_made(self, request: PictureRequest) -> str | None:
        """Return why no picture is made of a request, whatever it shows; one may be there."""
        return why_unsendable(self, request) or self.refuse(request)

    def may_follow(self, bad: Purchase, new: NewPurchase) -> bool:
        """Return whether a request may be sent after one that was billed for nothing, in one run.

        Only after a whole answer that was a refusal, and never at the same route.
        """
        is_elsewhere = _place(bad.new) != _place(new)
        return self.is_after_billed and bad.is_billed_refusal and is_elsewhere

    @property
    def planned(self) -> PlannedRoute:
        """Return what a plan says of it."""
        asked = self.endpoint
        return PlannedRoute(
            provider=asked.provider, model=asked.model or None, options=dict(self.options)
        )


def why_unsendable(route: Route, request: PictureRequest) -> str | None:
    """Return why a request cannot be made, whatever it shows; ``None`` where it can.

    What is not sent costs nothing.
    """
    try:
        check_scene_id(request.scene_id)
    except SceneIdRefused as refusal:
        return f"{refusal}, so no file could hold its picture; nothing was sent"
    texts = {"prompt": request.prompt, "negative prompt": request.negative_prompt}
    for name, text in (*texts.items(), ("list of style tags", " ".join(request.style_tags))):
        if is_broken(text):
            return f"the {name} holds half of a surrogate pair; nothing was sent"
    if request.width_px * request.height_px > route.max_pixels:
        return f"{request.size} is more than max_pixels, {route.max_pixels:,}; nothing was sent"
    if not route.is_here and not request.prompt.strip():
        return "the prompt is empty; nothing was sent"
    return None


def _place(new: NewPurchase) -> tuple[Endpoint, str, str]:
    """Return what tells routes apart; two that differ in less are one here."""
    return new.endpoint, new.size, new.quality
