"""What is known of vendors and shipped as rows: a wrong one is refused where it stands."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from stage3_plugin.domain.verdict import VerdictKind
from stage3_plugin.providers.models import Table
from stage3_plugin.providers.replies.taxonomy import Meanings, meaning_named, meanings
from stage3_plugin.providers.replies.unbilled import Failures, free
from tests.stage3.providers.replies import openai, reply, verdict_on

TABLES: dict[str, tuple[str, type[BaseModel], str]] = {
    "models.toml": ("stage3_plugin.providers", Table, "ends"),
    "meanings.toml": ("stage3_plugin.providers.replies", Meanings, "rule"),
    "unbilled.toml": ("stage3_plugin.providers.replies", Failures, "row"),
}
WRONG: dict[str, dict[str, Any]] = {
    "stauses": {"stauses": [503]},
    "case": {"case": "anything"},
    "says": {"says": ["nobody"]},
    "word": {"word": "("},
    "on": {"on": "soon"},
}
"""A field that is none, or what it cannot hold, by its name."""


@pytest.mark.parametrize(
    "file, field",
    [
        *((file, "stauses") for file in TABLES),
        ("models.toml", "on"), ("meanings.toml", "case"), ("unbilled.toml", "says"),
        ("unbilled.toml", "word"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_refused_by_file_row_and_field(file: str, field: str) -> None:
    """Whoever adds one is told which it is."""
    package, table, rows = TABLES[file]
    read = tomllib.loads(files(package).joinpath(file).read_text(encoding="utf-8"))
    table.model_validate(read, context=read.get("sentences"))
    read[rows][1] |= WRONG[field]

    with pytest.raises(ValidationError) as refused:
        table.model_validate(read, context=read.get("sentences"))
    assert f"for {file}\n{rows}.1.{field}" in str(refused.value)


def test_what_answers_are_judged_by_is_read_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An answer that was paid for must not wait for a disk, or for a free descriptor."""
    for one in (meanings, meaning_named, free):
        one.cache_clear()
    provider = openai()
    monkeypatch.setattr("importlib.resources.files", None)
    monkeypatch.setattr(tomllib, "loads", None)

    for status, kind in ((429, VerdictKind.RATE_LIMITED), (503, VerdictKind.BUSY)):
        error = {"error": {"message": "slow down", "type": "requests"}}
        assert verdict_on(provider, reply(error, status)).kind is kind
