"""What is known of vendors and shipped as rows: a wrong one is refused where it stands."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from stage3_plugin.providers.models import Table
from stage3_plugin.providers.replies.taxonomy import Meanings
from stage3_plugin.providers.replies.unbilled import Failures

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
