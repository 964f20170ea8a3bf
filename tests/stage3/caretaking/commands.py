"""Runs the ``stage3`` command, in this process and in one of its own, beside runs that live."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.cli import main
from tests.stage3.caretaking.purchases import Project

STAGE3 = Path(sysconfig.get_path("scripts")) / "stage3"


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
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Said:
        code = main(words)
        out, err = self._capsys.readouterr()
        return Said(code, out, err)


def run_process(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [STAGE3, *words], capture_output=True, check=False, encoding="utf-8", timeout=60, **more
    )


@contextmanager
def living(project: Project, run_id: str = "alive") -> Generator[None]:
    """Be another run that is still going: a process of its own holds its lock."""
    script = (
        "import sys; from pathlib import Path; from stage3_plugin.ledger.owners import Owners\n"
        "with Owners(Path(sys.argv[1])).claim(sys.argv[2]):\n"
        "    print('ready', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(project.state_dir), run_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"ready"
        yield
        assert process.stdin is not None
        process.stdin.close()
