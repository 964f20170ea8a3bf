"""What goes in and out, in the contract's words and in Stage3's.

A host and a program that calls the library are handed the same shapes, so each of them is made here
once. Importing it is cheap: no HTTP client, no imaging library.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from host_stub import contract
from stage3_plugin.domain.money import cap_in_microusd, to_usd
from stage3_plugin.domain.outcome import Outcome, SceneStep

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
