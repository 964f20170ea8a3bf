"""Runs the ``stage3`` command in a process of its own, beside runs that live."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.testing.image_api import KEY, ImageApi
from tests.stage3.caretaking.purchases import Project

STAGE3 = Path(sysconfig.get_path("scripts")) / "stage3"


def enter(folder: Path, api: ImageApi, monkeypatch: pytest.MonkeyPatch, *settings: str) -> None:
    """Go to a project whose config has the provider ``plain``, and further settings."""
    lines = [
        '[pipeline]\nimage = "stage3"\n[plugin.stage3]\nprovider = "plain"\nmodel = "m"',
        f'base_url = "{api.base_url}"\napi_key = {{ env = "PLAIN_KEY" }}\nprice_usd = "0.05"',
        *settings,
    ]
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PLAIN_KEY", KEY)
    (folder / "host.toml").write_text("\n".join(lines), encoding="utf-8")


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
