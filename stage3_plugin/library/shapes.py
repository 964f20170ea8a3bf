"""What goes in and out, in the contract's words and in Stage3's.

A host and a program that calls the library are handed the same shapes, so each of them is made here
once. Importing it is cheap: no HTTP client, no imaging library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from host_stub import contract
from stage3_plugin.domain.money import cap_in_microusd, to_usd
from stage3_plugin.domain.outcome import Outcome, SceneStep
from stage3_plugin.domain.reference import ReferenceWish
from stage3_plugin.domain.request import Scene

if TYPE_CHECKING:
    pass

UrlOf: TypeAlias = Callable[[str], str | None]
"""Returns the address of a picture in the bucket of ``store``, if there is one."""


def usd(microusd: int | None) -> Decimal | None:
    """Return micro-USD in dollars; what is not known stays ``None``."""
    return None if microusd is None else to_usd(microusd)


def microusd(cap_usd: Decimal | None) -> int | None:
    """Return a cap in micro-USD, if there is one."""
    return None if cap_usd is None else cap_in_microusd(cap_usd)


class StoryOf:
    """Scenes of the contract in Stage3's words, read anew at every pass."""

    def __init__(self, scenes: contract.SceneSource) -> None:
        self._scenes = scenes

    def __len__(self) -> int:
        return len(self._scenes)

    def __iter__(self) -> Iterator[Scene]:
        return map(scene_of, self._scenes)


def scene_of(scene: contract.Scene) -> Scene:
    """Return a scene of the contract in Stage3's words."""
    return Scene(
        scene_id=scene.scene_id,
        prompt=scene.prompt,
        negative_prompt=scene.negative_prompt,
        width_px=scene.width,
        height_px=scene.height,
        seed=scene.seed,
        model=scene.model,
        quality=scene.quality,
        if_refused=scene.if_refused,
        takes=scene.takes,
        lane=scene.lane,
        references=scene.references,
        wishes=_wishes(scene),
        characters=scene.characters,
        style_tags=scene.style_tags,
        extra=scene.extra,
    )


def _wishes(scene: contract.Scene) -> tuple[ReferenceWish, ...]:
    details = scene.reference_details
    if not details:
        return tuple(ReferenceWish(image=image) for image in scene.references)
    return tuple(ReferenceWish(image=one.image, name=one.name, role=one.role) for one in details)


def outcome_of(outcome: Outcome, url_of: UrlOf) -> contract.SceneOutcome:
    """Return how a scene ended, as the contract has it."""
    placed, paid = outcome.placed, outcome.bought_for
    picture = None if placed is None else placed.picture
    return contract.SceneOutcome(
        scene_id=outcome.scene_id,
        image=None if placed is None else placed.path,
        image_url=outcome.image_url,
        store_url=None if picture is None else url_of(picture.sha256),
        sha256=None if picture is None else picture.sha256,
        media_type=None if picture is None else picture.media_type,
        width=None if picture is None else picture.width_px,
        height=None if picture is None else picture.height_px,
        generation_params=dict(outcome.generation_params),
        failure=outcome.failure,
        attempts=outcome.attempts,
        duration_s=outcome.duration_s,
        cost=contract.Cost(usd=outcome.cost.usd, basis=outcome.cost.basis),
        dropped=outcome.dropped,
        reused=outcome.reused,
        bought_for=None if paid is None else contract.Cost(usd=paid.usd, basis=paid.basis),
        request_id=outcome.request_id,
        role="sheet" if outcome.is_sheet else "scene",
        steps=tuple(map(_step, outcome.steps)),
        take=outcome.take,
        purchase=outcome.purchase,
        basis=outcome.basis,
        made_at=outcome.made_at,
    )


def _step(step: SceneStep) -> contract.SceneStep:
    return contract.SceneStep(
        provider=step.provider,
        model=step.model or None,
        prompt=step.prompt,
        attempts=step.attempts,
        cost=contract.Cost(usd=step.cost.usd, basis=step.cost.basis),
        failure=step.failure,
    )
