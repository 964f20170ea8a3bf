"""The page "Getting started", as a newcomer follows it: the free pictures, then the rehearsal."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.rules.repository import blocks, page
from tests.test_keep_a_face import missing

PAGE = "getting-started.md"
PLACE = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="nobody can interrupt a child there"),
]


def typed(wanted: str) -> list[str]:
    """Return the commands of the block that has one."""
    (block,) = (one for one in blocks(page(PAGE), "console") if wanted in one)
    return [line.removeprefix("$ ") for line in block.splitlines()]


def shown(wanted: str) -> str:
    """Return the output that has these words."""
    (block,) = (one for one in blocks(page(PAGE), "text") if wanted in one)
    return block


def run(line: str, folder: Path) -> str:
    """Type a command, which is to succeed; return what it prints."""
    ran = subprocess.run(
        shlex.split(line), cwd=folder, env={**os.environ, "PATH": PLACE},
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_project_of_ones_own_ends_with_three_pictures(tmp_path: Path) -> None:
    """As printed, but for times; and what one command made, another finds."""
    init, go, draw = typed("init my-story")[-3:]
    run(init, tmp_path)
    assert go == "cd my-story"
    folder = tmp_path / "my-story"

    drawn = run(draw, folder)
    again = run(f"{draw} --limit 1", folder)

    assert missing(shown("out/images/scene_003.png"), drawn) == []
    assert missing(shown("1 picture in"), again) == []
    assert len(list((folder / "out" / "images").iterdir())) == 3


def test_the_rehearsal_ends_with_the_books_of_the_page(tmp_path: Path) -> None:
    """Two terminals: the one that serves, and the one that buys."""
    init, go, remove, serve = typed("stage3 rehearse --write")
    run(init, tmp_path)
    assert go == "cd practice"
    folder = tmp_path / "practice"
    run(remove, folder)
    with subprocess.Popen(
        shlex.split(serve), cwd=folder, env={**os.environ, "PATH": PLACE},
        stdout=subprocess.PIPE, encoding="utf-8",
    ) as server:  # fmt: skip
        try:
            deadline = time.monotonic() + 60
            while not (folder / "host.toml").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            for line in typed("plan scenes.json --takes 2"):
                run(line, folder)
            server.send_signal(signal.SIGINT)
            printed, _ = server.communicate(timeout=60)
        finally:
            server.kill()

    lines = printed.splitlines()
    table = [line for line in shown("base_url").splitlines() if not line.startswith("base_url")]
    assert [line for line in table if line not in lines] == []
    assert lines[-1] == shown("requests 6").strip()
    assert (folder / "out" / "review" / "index.html").is_file()
    assert len(list((folder / "out" / "images").iterdir())) == 3
