"""What there is of each scene: its pictures, which of them are current, and why the others are not.

Computed anew each time from keys and facts, and never stored. Apart from ``planning``, which says
what a run would do: a survey says what there is, of scenes that no run would touch as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.made_from import (
    SHOWN,
    WISH,
    basis_of,
    is_draft,
    shown_to,
    what_is_another,
)
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.survey import KnownTake, SceneSurvey
from stage3_plugin.engine.reporter import generation_params
from stage3_plugin.engine.showing.references import Awaits, SceneReferences, Unshown
from stage3_plugin.engine.steps import Steps
from stage3_plugin.policy.plan import Prospect
from stage3_plugin.policy.reuse import Reuse
from stage3_plugin.purchase.takes import Takes

_PENDING: frozenset[Prospect] = frozenset({Reuse.AWAITED, Reuse.BUSY})


class Surveying:
    """Says of scenes what there is.

    Args:
        steps: What is asked for, and where.
        takes: The pictures that there are.
        references: What scenes show the model; ``None`` where none shows anything.
        prospect: Returns what would become of a picture, with its references.
        kept: Returns the picture that a scene keeps where its references cannot be shown.
        why_unsendable: Returns why a picture is not sent, whatever it shows.
        estimate: Returns what one more picture costs.
        lost: Returns how many of what is wanted were paid for, and never came.
    """

    def __init__(
        self,
        steps: Steps,
        takes: Takes,
        *,
        references: SceneReferences | None,
        prospect: Callable[[PictureRequest, Keys], Prospect],
        kept: Callable[[PictureRequest], Purchase | None],
        why_unsendable: Callable[[PictureRequest], str | None],
        estimate: Callable[[PictureRequest], Estimate],
        lost: Callable[[Keys], int],
    ) -> None:
        self._steps = steps
        self._takes = takes
        self._references = references
        self._prospect = prospect
        self._kept = kept
        self._why_unsendable = why_unsendable
        self._estimate = estimate
        self._lost = lost

    def of(self, request: PictureRequest) -> SceneSurvey:
        """Return what there is of a scene or a sheet.

        Args:
            request: With its references as they are named.
        """
        problem = self._why_unsendable(request)
        shown = self._shown(request)
        found = self._takes.of(request.scene_id)
        survey = SceneSurvey(
            scene_id=request.scene_id,
            is_sheet=request.is_sheet,
            size=request.size,
            model=request.model or request.provider,
            problem=problem,
        )
        if isinstance(shown, Unshown):
            return self._without_references(replace(survey, problem=shown.why), request, shown)
        if isinstance(shown, Awaits):
            needs = () if self._references is None else self._references.needs(request)
            return replace(
                survey,
                waits_for=needs,
                takes=self._known(
                    found, (), shown.request, None, self._steps.keys_of(shown.request)
                ),
                high_microusd=self._high(shown.request),
            )
        keys = self._steps.keys_of(shown)
        current = self._takes.current_among(found, keys)
        prospect: Prospect = "unsendable"
        if problem is None:  # what is there already is neither held nor awaited
            prospect = Reuse.REUSE if current else self._prospect(shown, keys)
        is_bought = prospect is Reuse.REUSE and not current  # and is taken in by the next run
        return replace(
            survey,
            basis=keys.present,
            takes=self._known(found, current, shown, keys.present, keys),
            is_held=prospect is Reuse.UNDECIDED,
            is_pending=is_bought or prospect in _PENDING,
            high_microusd=self._high(shown),
            # What would be sent again without being asked for is given up by that.
            lost=self._lost(keys) + (prospect is Reuse.RESEND),
        )

    def _shown(self, request: PictureRequest) -> PictureRequest | Unshown | Awaits:
        references = self._references
        return request if references is None or not request.wishes else references.show(request)

    def _without_references(
        self, survey: SceneSurvey, request: PictureRequest, unshown: Unshown
    ) -> SceneSurvey:
        """Return what there is of a scene that cannot show what it names: its picture may stay."""
        found, bare = self._takes.of(request.scene_id), replace(request, shown=())
        kept = self._kept(request) if unshown.is_refused else None
        basis = None if kept is None else self._steps.basis_of(bare)
        current = () if kept is None else (kept,)
        return replace(
            survey,
            basis=basis,
            waits_for=unshown.waits_for,
            takes=self._known(found, current, bare, basis, self._steps.keys_of(bare)),
            high_microusd=self._high(bare),
        )

    def _high(self, request: PictureRequest) -> int | None:
        return self._estimate(request).high_microusd

    def _known(
        self,
        found: list[Purchase],
        current: list[Purchase] | tuple[Purchase, ...],
        request: PictureRequest,
        basis: str | None,
        keys: Keys,
    ) -> tuple[KnownTake, ...]:
        """Return all pictures of a scene; the first of the current ones is before all others."""
        ids = [one.new.attempt_id for one in current]
        ways = self._steps.ways_of(request)
        others = [one for one in found if one.new.attempt_id not in ids[:1]]
        return tuple(
            _known(one, ways, keys, basis if one.new.attempt_id in ids else None)
            for one in [*current[:1], *others]
            if one.picture is not None
        )


def _known(
    purchase: Purchase,
    ways: tuple[PictureRequest, ...],
    keys: Keys,
    basis: str | None,
) -> KnownTake:
    """Return what is known of a picture.

    Args:
        purchase: Its purchase.
        ways: The picture as it is wanted, in each way.
        keys: Those of the first take of what is wanted.
        basis: What it would be made from, if that is what it was made from.
    """
    if purchase.picture is None:
        raise LookupError("a purchase without a picture is no take")
    new, is_current = purchase.new, basis is not None
    draft = is_draft(purchase)
    return KnownTake(
        picture=purchase.picture,
        purchase=new.attempt_id,
        basis=basis_of(purchase) if basis is None else basis,
        is_current=is_current,
        stale=() if is_current else what_is_another(purchase, ways, keys),
        is_draft=draft,
        made_at=purchase.changed_at,
        cost=purchase.counted_cost,
        provider=new.endpoint.provider,
        model=new.endpoint.model,
        image_url=purchase.image_url,
        request_id=purchase.request_id,
        generation_params=(
            _params(purchase, ways, keys, purchase.picture) if is_current else _as_bought(purchase)
        ),
    )


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
