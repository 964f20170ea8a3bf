"""Runs the fake as a person does, in a process of its own, for the tests."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

TOP = Path(__file__).parents[2]

Server = subprocess.Popen[str]


@contextmanager
def by_hand(*words: str, python: tuple[str, ...] = ()) -> Generator[tuple[Server, dict[str, str]]]:
    """Start it, and return it with the config table that it printed; ends it at last.

    Args:
        words: For the command line.
        python: Options of the interpreter.
    """
    with subprocess.Popen(
        [sys.executable, *python, "-m", "tests.fakes", *words],
        cwd=TOP,
        env={"PYTHONPATH": str(TOP)},
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as server:
        assert server.stdout is not None
        try:
            printed = "".join(takewhile(str.strip, server.stdout))
            yield server, tomllib.loads(printed)["plugin"]["stage3"]
        finally:
            server.kill()
