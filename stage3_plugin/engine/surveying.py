"""What there is of each scene: its pictures, which of them are current, and why the others are not.

Computed anew each time from keys and facts, and never stored. Apart from ``planning``, which says
what a run would do: a survey says what there is, of scenes that no run would touch as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from host_stub.contract import KnownTake, SceneSurvey
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.made_from import (
    SHOWN,
    WISH,
    basis_of,
    generation_params,
    is_draft,
    shown_to,
    what_is_another,
)
from stage3_plugin.domain.money import usd_of
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.planning import Planning
from stage3_plugin.engine.showing.references import Unshown, is_awaiting
from stage3_plugin.policy.plan import Prospect
from stage3_plugin.policy.reuse import Reuse

_PENDING: frozenset[Prospect] = frozenset({Reuse.AWAITED, Reuse.BUSY})


class Surveying:
    """Says of scenes what there is.

    Args:
        planning: Foresees what would become of each, and knows the pictures that there are.
        url_of: Returns the address of a picture in the bucket of ``store``, if there is one.
    """

    def __init__(self, planning: Planning, *, url_of: Callable[[str], str | None]) -> None:
        self._references = planning.asked.references
        self._steps = planning.asked.steps
        self._planning = planning
        self._url_of = url_of

    def of(self, request: PictureRequest) -> SceneSurvey:
        """Return what there is of a scene or a sheet.

        Args:
            request: With its references as they are named.
        """
        problem = self._steps.routes[0].why_not_made(request)
        shown = self._references.show(request)
        found = self._planning.takes.of(request.scene_id)

        def survey(asked: PictureRequest, current: list[Purchase], **more: Any) -> SceneSurvey:
            return SceneSurvey(
                scene_id=request.scene_id,
                role=request.role,
                size=request.size,
                model=request.model or request.provider,
                takes=self._known(found, current, asked),
                cost_usd=usd_of(self._planning.estimate(asked).high_microusd),
                **more,
            )

        if isinstance(shown, Unshown):  # its picture may stay
            bare = replace(request, shown=())
            kept = self._planning.kept(request) if shown.is_refused else None
            stays = [] if kept is None else [kept]
            basis = self._steps.basis_of(bare) if stays else None
            return survey(bare, stays, problem=shown.why, basis=basis, waits_for=shown.waits_for)
        if is_awaiting(shown):
            return survey(shown, [], problem=problem, waits_for=self._references.needs(request))
        keys = self._steps.keys_of(shown)
        current = self._planning.takes.current_among(found, keys)
        prospect: Prospect = "unsendable"
        if problem is None:  # what is there already is neither held nor awaited
            prospects = self._planning.forecast.prospects
            prospect = Reuse.REUSE if current else prospects(shown, keys)[0]
        is_bought = prospect is Reuse.REUSE and not current  # and is taken in by the next run
        return survey(
            shown,
            current,
            problem=problem,
            basis=keys.scene_key,
            held=prospect is Reuse.UNDECIDED,
            pending=is_bought or prospect in _PENDING,
            # What would be sent again without being asked for is given up by that.
            lost=self._planning.forecast.lost(keys) + (prospect is Reuse.RESEND),
        )

    def _known(
        self, found: list[Purchase], current: list[Purchase], request: PictureRequest
    ) -> tuple[KnownTake, ...]:
        """Return all pictures of a scene; the first of the current ones is before all others."""
        ids = [one.new.attempt_id for one in current]
        ways, keys = self._steps.ways_of(request), self._steps.keys_of(request)
        others = [one for one in found if one.new.attempt_id not in ids[:1]]
        known: list[KnownTake] = []
        for purchase in (*current[:1], *others):
            new, picture = purchase.new, purchase.picture
            if picture is None:
                continue
            is_current = new.attempt_id in ids  # made from what is wanted
            known.append(
                KnownTake(
                    sha256=picture.sha256,
                    media_type=picture.media_type,
                    width=picture.width_px,
                    height=picture.height_px,
                    purchase=new.attempt_id,
                    basis=keys.scene_key if is_current else basis_of(purchase),
                    current=is_current,
                    stale=() if is_current else what_is_another(purchase, ways, keys),
                    draft=is_draft(purchase),
                    made_at=purchase.changed_at,
                    cost=purchase.counted_cost.told,
                    provider=new.endpoint.provider,
                    model=new.endpoint.model or None,
                    image_url=purchase.image_url,
                    store_url=self._url_of(picture.sha256),
                    request_id=purchase.request_id,
                    generation_params=(
                        _params(purchase, ways, keys, picture)
                        if is_current
                        else _as_bought(purchase)
                    ),
                )
            )
        return tuple(known)


def _params(
    purchase: Purchase, ways: tuple[PictureRequest, ...], keys: Keys, picture: Picture
) -> dict[str, object]:
    """Return what a current picture was made with, as a run would report it."""
    new, shown = purchase.new, set((shown_to(purchase) or {}).values())
    asked = (new.endpoint.provider, new.endpoint.model)
    way = next((one for one in ways if (one.provider, one.model) == asked), ways[0])
    if not shown:
        way = replace(way, shown=())
    if way.seed is not None:  # each take has its own
        way = replace(way, seed=way.seed + (keys.take_of(new) or 1) - 1)
    return generation_params(way, picture, purchase.details)


def _as_bought(purchase: Purchase) -> dict[str, object]:
    new, shown = purchase.new, shown_to(purchase)
    references = [{"image": image, "sha256": sha256} for image, sha256 in (shown or {}).items()]
    facts = {name: fact for name, fact in purchase.details.items() if name not in {WISH, SHOWN}}
    return {
        **facts,
        **({"references": references} if references else {}),
        "model": new.endpoint.model or new.endpoint.provider,
        "size": new.size,
        "quality": new.quality,
        "provider": new.endpoint.provider,
    }
