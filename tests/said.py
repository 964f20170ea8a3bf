"""A program of ours in this process: what one command said, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest


class Said:
    """What one command said and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> dict[str, Any]:
        """Read stdout as the one JSON object it has to be."""
        value: dict[str, Any] = json.loads(self.out)
        return value


class Say:
    """Runs commands of a program."""

    def __init__(
        self, capsys: pytest.CaptureFixture[str], program: Callable[[Sequence[str]], int]
    ) -> None:
        self._capsys = capsys
        self._program = program

    def __call__(self, *words: str) -> Said:
        code = self._program(words)
        out, err = self._capsys.readouterr()
        return Said(code, out, err)
