"""What a plugin still has of a scene, as takes of the host's.

A plugin keeps what it bought for longer than the host keeps its notes: what a survey tells and no
note has is a take all the same, numbered behind the others as they are told. But one plugin may
serve two stories whose scenes have the same ids: once a story has notes, a picture that it has not
noted is taken for its own only if it is current. Pure: nothing is written down here.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from host_stub.contract import KnownTake, SceneOutcome, SceneSurvey
from host_stub.story.outcome_rows import publishable, row_of
from host_stub.story.takes import NewTake, Take
from host_stub.text.plain_values import as_json

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
