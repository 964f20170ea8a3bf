"""A paid run on a terminal: its bar is drawn from the run's own events."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fakes.behaviours import Ok
from tests.fakes.image_api import KEY, ImageApi
from tests.projects import Project

pty = pytest.importorskip("pty", reason="there are no terminals of this kind")


def test_a_paid_run_on_a_terminal_shows_what_is_held(image_api: ImageApi, tmp_path: Path) -> None:
    """Each event's amounts are text; nothing else is printed than lines and the bar."""
    project = Project(tmp_path)
    project.config(image_api)
    project.scenes(3)
    image_api.otherwise = lambda _: Ok(delay_s=1.0)
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "host_stub", "run", "scenes.json"],
        cwd=tmp_path, env={**os.environ, "LOOPBACK_KEY": KEY, "TERM": "xterm"},
        stdin=slave, stdout=slave, stderr=slave,
    ) as run:  # fmt: skip
        os.close(slave)
        said = bytearray()
        with suppress(OSError):  # how Linux says that nobody writes any more
            while some := os.read(master, 65536):
                said += some
        code = run.wait(timeout=60)
    os.close(master)

    assert code == 0, said
    assert b"Traceback" not in said
    assert b" held" in said
