"""What a scene is asked for at each step of its ladder, and what that is known by.

A step is a prompt at a route (:mod:`~stage3_plugin.policy.ladder`). The request of a step says what
it is a step of; so whoever has a request can find what stands for the picture in any way.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from stage3_plugin.domain.keys import Keys, scene_keys
from stage3_plugin.domain.made_from import SHOWN, WISH, made_from
from stage3_plugin.domain.purchase import NewPurchase
from stage3_plugin.domain.reference import Limits
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.policy.ladder import FIRST, Ladder, Step
from stage3_plugin.settings import Settings

if TYPE_CHECKING:  # a plan has no scene in work
    from stage3_plugin.engine.scene_state import SceneState


DRAWN = "seed_drawn"
"""The fact that says which seed was drawn for it, after others were refused."""


class Steps:
    """The steps of all scenes.

    Args:
        routes: Where pictures are made, in the order in which they are tried.
        settings: What the user wants of each.

    Attributes:
        routes: The same.
        after_billed: For each, whether it may be tried after a refusal that was billed.
    """

    def __init__(self, routes: Sequence[Route], settings: Settings) -> None:
        self._fallback = settings.fallback
        self._sizes_px = [one.default_size_px for one in settings.routes]
        self.routes = routes
        self._last: tuple[PictureRequest | None, int, Keys | None] = (None, 0, None)
        self.after_billed = tuple(one.is_after_billed for one in routes)

    def ladder_of(self, wanted: PictureRequest, *, spent: frozenset[int] = frozenset()) -> Ladder:
        """Return the steps that there are for a picture.

        Args:
            wanted: The picture as the first route is asked for it.
            spent: Routes where a run before was billed for its refusal.
        """
        prompts = 1 + len(wanted.if_refused)
        return Ladder(prompts=prompts, after_billed=self.after_billed, spent=spent)

    def request_at(self, wanted: PictureRequest, step: Step) -> PictureRequest:
        """Return what is asked for at a step."""
        if step == FIRST:
            return wanted
        request = wanted
        if step.route:
            request = self._at_route(wanted, step.route)
        if step.prompt:
            request = replace(request, prompt=wanted.if_refused[step.prompt - 1])
        return replace(request, wanted=wanted)

    def _at_route(self, wanted: PictureRequest, number: int) -> PictureRequest:
        """Return a picture as a further route is asked for it."""
        route, said = self.routes[number], self._fallback[number - 1]
        width_px, height_px = wanted.width_px, wanted.height_px
        if said.size is not None and (width_px, height_px) == self._sizes_px[0]:
            width_px, height_px = self._sizes_px[number]
        return replace(
            wanted,
            width_px=width_px,
            height_px=height_px,
            quality=said.quality or wanted.quality,
            output_format=said.output_format or wanted.output_format,
            background=said.background or wanted.background,
            model=route.endpoint.model,
            provider=route.endpoint.provider,
            lane="ordinary",
            shown=wanted.shown if route.limits_of is not None else (),
        )

    def limits_of(self, request: PictureRequest) -> Limits:
        """Return what the route of a request takes of its references."""
        asked = (request.provider, request.model)
        routes = self.routes if request.wanted is not None else self.routes[:1]
        known = [one for one in routes if (one.endpoint.provider, one.endpoint.model) == asked]
        for route in (*known, self.routes[0]):
            if route.limits_of is not None:
                return route.limits_of(request)
        raise LookupError("nothing is sent references here")

    def basis_of(self, request: PictureRequest) -> str:
        """Return a digest of what a picture is made from, whichever step it comes by.

        It is the key that its first take has at the first route, with the scene's own words.
        """
        return self.keys_of(request.wanted or request).scene_key

    def keys_of(self, request: PictureRequest, *, route: int = 0, take: int = 1) -> Keys:
        """Return what a request is known by at a route, with all other steps of its picture."""
        known, at, keys = self._last
        if known is not request or at != route:  # whoever asks once, asks again at once
            wanted = request.wanted or request
            keys = scene_keys(request, self.routes[route], others=partial(self._all_of, wanted))
            self._last = request, route, keys
        assert keys is not None, "it was made just now"
        return keys.of_take(take)

    def facts_of(self, scene: SceneState, sent: PictureRequest) -> dict[str, str]:
        """Return what the ledger is to keep of the picture that comes of what a scene is sent.

        It says how that came about, and why it may be stale one day.
        """
        wanted = scene.request
        keys, basis = self.keys_of(wanted, route=scene.at.route), self.basis_of(wanted)
        own_key = keys.of_take(scene.number).scene_key
        wish = made_from(wanted, key=keys.scene_key, basis=basis, own_key=own_key)
        facts = {WISH: wish.written()}
        if sent.shown:
            facts[SHOWN] = json.dumps([[one.wish.image, one.sha256] for one in sent.shown])
        if scene.refused > 0 and sent.seed != scene.seed:  # it is ours
            facts[DRAWN] = str(sent.seed)
        return facts

    def ways_of(self, request: PictureRequest) -> tuple[PictureRequest, ...]:
        """Return a picture as it may be asked for, the first way first."""
        wanted = request.wanted or request
        return tuple(self.request_at(wanted, step) for step in self.ladder_of(wanted).all)

    def _all_of(self, wanted: PictureRequest) -> tuple[Keys, ...]:
        if len(self.routes) == 1 and not wanted.if_refused:
            return ()
        return tuple(self._keys_at(wanted, step) for step in self.ladder_of(wanted).all)

    def _keys_at(self, wanted: PictureRequest, step: Step) -> Keys:
        return scene_keys(self.request_at(wanted, step), self.routes[step.route])

    def step_of(self, wanted: PictureRequest, new: NewPurchase) -> Step | None:
        """Return the step by which a purchase was made; ``None`` if it was none of these."""
        take = self.keys_of(wanted).take_of(new)
        if take is None:
            return None
        for step in self.ladder_of(wanted).all:
            if self._keys_at(wanted, step).of_take(take).has(new):
                return step
        return None
