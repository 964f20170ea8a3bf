"""The README's transcript, typed word for word: a killed run, eight pictures, each billed once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.repository import ROOT, blocks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="it is typed into a shell"),
]


def transcript() -> tuple[list[str], list[str]]:
    """Return what is typed, and what is printed."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = (one for one in blocks(text, "console") if "kill -9" in one)
    lines = block.splitlines()
    typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return typed, [line for line in lines if not line.startswith("$ ") and line != "..."]


def without_times(line: str) -> str:
    """Return a line with another machine's seconds taken out."""
    return re.sub(r"[0-9.]+ s\b", "N s", line)


def test_the_killed_run_of_the_readme_is_paid_for_once(tmp_path: Path) -> None:
    """Each line that is shown is printed, and every picture is there and billed once."""
    typed, shown = transcript()
    place = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    ended = "trap 'kill $(jobs -p) 2> /dev/null' EXIT"  # whatever fails before its line
    ran = subprocess.run(
        [str(shutil.which("bash")), "-c", "\n".join([ended, *typed])],
        cwd=tmp_path, env={**os.environ, "PATH": place},
        capture_output=True, encoding="utf-8", timeout=240, check=False,
    )  # fmt: skip

    printed = [without_times(line) for line in ran.stdout.splitlines()]
    assert [line for line in map(without_times, shown) if line not in printed] == [], ran.stderr
    assert shown[-1].startswith("requests 8, pictures 8,")
    assert len(list((tmp_path / "rehearsal" / "out" / "images").iterdir())) == 8
