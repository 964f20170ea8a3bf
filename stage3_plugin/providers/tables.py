"""The tables that lie beside these modules, as they are shipped."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any


def text_of(name: str) -> str:
    """Return a table's text, by its path in this folder."""
    return files("stage3_plugin.providers").joinpath(name).read_text(encoding="utf-8")


def shipped(name: str) -> dict[str, Any]:
    """Return a table, by its path in this folder."""
    return tomllib.loads(text_of(name))
