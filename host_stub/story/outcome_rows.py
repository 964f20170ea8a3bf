"""An outcome as it may be published, and as the manifest and a story's book have it: a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from host_stub.contract import SceneOutcome, SceneStep
from host_stub.text.addresses import in_text, in_value, without_query
from host_stub.text.plain_values import plain

_LONGEST: Final = 1 << 20  # a prompt is kept whole
_OWN_WORDS: Final = frozenset({"prompt", "negative_prompt"})
"""Parameters that the scene's author wrote; addresses in all others are the provider's."""


def publishable(outcome: SceneOutcome) -> SceneOutcome:
    """Return an outcome as it may stand in a file that all can read, and on a screen.

    A signed address is as good as a key while it lasts; the plugin keeps the full address.
    """
    changed: dict[str, Any] = {}
    if outcome.image_url is not None:
        changed["image_url"] = without_query(outcome.image_url)
    if outcome.store_url is not None:
        changed["store_url"] = without_query(outcome.store_url)
    if outcome.failure is not None:
        message = in_text(outcome.failure.message)
        changed["failure"] = outcome.failure.model_copy(update={"message": message})
    if outcome.steps:
        changed["steps"] = tuple(map(_publishable_step, outcome.steps))
    if outcome.generation_params:
        changed["generation_params"] = {
            name: value if name in _OWN_WORDS else in_value(plain(value, longest=_LONGEST))
            for name, value in outcome.generation_params.items()
        }
    return outcome.model_copy(update=changed) if changed else outcome


def _publishable_step(step: SceneStep) -> SceneStep:
    if step.failure is None:
        return step
    message = in_text(step.failure.message)
    failure = step.failure.model_copy(update={"message": message})
    return step.model_copy(update={"failure": failure})


def row_of(outcome: SceneOutcome, image_path: str | None) -> Mapping[str, Any]:
    """Lay an outcome out as the manifest has it; keys beyond the agreed ones come last."""
    if outcome.failure is not None:
        row: dict[str, Any] = {
            "scene_id": outcome.scene_id,
            "code": outcome.failure.code,
            "message": outcome.failure.message,
            "retryable": outcome.failure.retryable,
            "attempts": outcome.attempts,
            "cost_usd": outcome.cost.usd,
            "cost_basis": outcome.cost.basis,
            "duration_s": outcome.duration_s,
            "provider_status": outcome.failure.provider_status,
            "dropped": outcome.dropped,
            "request_id": outcome.request_id,
            "cause": outcome.failure.cause,
            "role": outcome.role,
            **_take(outcome),
            **_steps(outcome),
        }
    else:
        row = {
            "scene_id": outcome.scene_id,
            "image_path": image_path,
            "image_url": outcome.image_url,
            "width": outcome.width,
            "height": outcome.height,
            "generation_params": outcome.generation_params,
            "sha256": outcome.sha256,
            "cost_usd": outcome.cost.usd,
            "attempts": outcome.attempts,
            "duration_s": outcome.duration_s,
            "reused": outcome.reused,
            "cost_basis": outcome.cost.basis,
            "media_type": outcome.media_type,
            "dropped": outcome.dropped,
            "request_id": outcome.request_id,
            **_take(outcome),
            **_steps(outcome),
            **({} if outcome.store_url is None else {"store_url": outcome.store_url}),
        }
    return cast("Mapping[str, Any]", plain(row, longest=_LONGEST))


def _steps(outcome: SceneOutcome) -> dict[str, Any]:
    """Lay out which ways a scene went, and what each cost, where there is something to say."""
    if not outcome.steps:
        return {}
    rows = [
        {
            "provider": step.provider,
            "model": step.model,
            "prompt": step.prompt,
            "attempts": step.attempts,
            "cost_usd": step.cost.usd,
            "cost_basis": step.cost.basis,
            "failure": None if step.failure is None else step.failure.model_dump(),
        }
        for step in outcome.steps
    ]
    return {"steps": rows}


def _take(outcome: SceneOutcome) -> dict[str, int]:
    """Name the take where it is not the only one that can be meant."""
    return {"take": outcome.take} if outcome.take > 1 else {}
