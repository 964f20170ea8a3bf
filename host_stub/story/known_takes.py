"""What a plugin still has of a scene, as takes of the host's.

A plugin keeps what it bought for longer than the host keeps its notes: what a survey tells and no
note has is a take all the same, numbered behind the others as they are told. But one plugin may
serve two stories whose scenes have the same ids: once a story has notes, a picture that it has not
noted is taken for its own only if it is current. Pure: nothing is written down here.

Here, too, is a picture's row, as it may be published: what the manifest and a story's book have.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from host_stub.contract import KnownTake, SceneOutcome, SceneStep, SceneSurvey
from host_stub.story.takes import NewTake, Take
from host_stub.text.addresses import in_text, in_value, without_query
from host_stub.text.plain_values import as_json, plain

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


_BEFORE_ALL: Final = datetime.fromtimestamp(0, UTC)
"""Stands for a time that the plugin does not know."""


def new_takes_of(
    survey: SceneSurvey, plugin: str, *, is_new: bool = True, there: Container[str | None] = ()
) -> Iterator[NewTake]:
    """Return what a plugin has of one scene as takes, in the order in which it tells of them.

    That is its own: of several current ones it tells first of the one that others were made from.

    Args:
        survey: What it told.
        plugin: Its name in the config.
        is_new: The story has no notes yet, or none any more; else only current ones are its own.
        there: The plugin's own names of those that are noted, which are left out.
    """
    for known in survey.takes:
        if known.purchase in there or not (known.current or is_new):
            continue
        yield take_of(known, survey, plugin)


def take_of(
    known: KnownTake, survey: SceneSurvey, plugin: str, *, otherwise_at: datetime = _BEFORE_ALL
) -> NewTake:
    """Return a picture that a plugin has as a take.

    Args:
        known: The picture.
        survey: What the plugin told of its scene.
        plugin: The plugin's name in the config.
        otherwise_at: Stands for the time it was made, where the plugin does not know that.
    """
    return NewTake(
        scene_id=survey.scene_id,
        role=survey.role,
        sha256=known.sha256,
        media_type=known.media_type,
        width=known.width,
        height=known.height,
        plugin=plugin,
        purchase=known.purchase,
        basis=basis_of(known, survey),
        provider=known.provider,
        model=known.model,
        cost=known.cost,
        is_draft=known.draft,
        made_at=known.made_at or otherwise_at,
        row=_row(survey, known),
    )


def basis_of(known: KnownTake, survey: SceneSurvey) -> str | None:
    """Return what a picture was made from, as far as the plugin says; never more than that."""
    return survey.basis if known.current else known.basis


def together(
    takes: Sequence[Take], survey: SceneSurvey | None, plugin: str, *, is_new: bool = False
) -> tuple[Take, ...]:
    """Return the takes of a scene: those that are noted, and those that only the plugin knows of.

    What the plugin says of a take's basis counts before what was noted: a ladder that has changed
    since, say, makes another wish of the same scene file.
    """
    if survey is None or not survey.takes:
        return tuple(takes)
    known = {one.purchase: one for one in survey.takes}
    noted = [
        _as_told(take, known[take.purchase], survey)
        if take.plugin == plugin and take.purchase in known
        else take
        for take in takes
    ]
    there = {take.purchase for take in noted if take.plugin == plugin}
    number = max((take.number for take in noted), default=0)
    for new in new_takes_of(survey, plugin, is_new=is_new, there=there):
        number += 1
        noted.append(_numbered(new, number))
    return tuple(noted)


def _as_told(take: Take, known: KnownTake, survey: SceneSurvey) -> Take:
    basis = basis_of(known, survey)
    if basis is None and take.basis != survey.basis:
        basis = take.basis  # the plugin does not know, and nothing speaks against the note
    return take if basis == take.basis else replace(take, basis=basis)


def _numbered(new: NewTake, number: int) -> Take:
    parts: dict[str, Any] = {one.name: getattr(new, one.name) for one in fields(NewTake)}
    return Take(number=number, **parts)


def _row(survey: SceneSurvey, known: KnownTake) -> dict[str, Any]:
    """Lay it out as the manifest has a picture that was found again, but for its path."""
    outcome = SceneOutcome(
        scene_id=survey.scene_id,
        image=Path(),
        image_url=known.image_url,
        sha256=known.sha256,
        media_type=known.media_type,
        width=known.width,
        height=known.height,
        generation_params=known.generation_params,
        cost=known.cost,
        reused=True,
        request_id=known.request_id,
        store_url=known.store_url,
    )
    row = row_of(publishable(outcome), None)
    read: dict[str, Any] = json.loads(json.dumps(row, default=as_json))
    return {name: part for name, part in read.items() if name != "image_path"}
