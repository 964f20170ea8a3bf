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
from typing import Any, Final, cast

from host_stub.contract import KnownTake, SceneSurvey
from host_stub.events.plain_values import as_json, plain
from host_stub.story.takes import NewTake, Take
from host_stub.text.addresses import in_value, without_query

OWN_WORDS: Final = frozenset({"prompt", "negative_prompt"})
"""Parameters that the scene's author wrote; addresses in all others are the provider's."""
_LONGEST: Final = 1 << 20  # a prompt is kept whole
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
        yield NewTake(
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
            made_at=known.made_at or _BEFORE_ALL,
            row=_row(survey.scene_id, known),
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


def row_of_known(survey: SceneSurvey, known: KnownTake) -> dict[str, Any]:
    """Return a picture's row of the manifest, as a story keeps it."""
    return _row(survey.scene_id, known)


def _row(scene_id: str, known: KnownTake) -> dict[str, Any]:
    """Lay it out as the manifest has it, but for its paths; addresses without what opens them."""
    params = {
        name: plain(value, longest=_LONGEST)
        if name in OWN_WORDS
        else in_value(plain(value, longest=_LONGEST))
        for name, value in known.generation_params.items()
    }
    row: dict[str, Any] = {
        "scene_id": scene_id,
        "image_url": None if known.image_url is None else without_query(known.image_url),
        "width": known.width,
        "height": known.height,
        "generation_params": params,
        "sha256": known.sha256,
        "cost_usd": known.cost.usd,
        "attempts": 0,
        "duration_s": 0.0,
        "reused": True,
        "cost_basis": known.cost.basis,
        "media_type": known.media_type,
        "dropped": [],
        "request_id": known.request_id,
    }
    if known.store_url is not None:
        row["store_url"] = without_query(known.store_url)
    return cast("dict[str, Any]", json.loads(json.dumps(row, default=as_json)))
