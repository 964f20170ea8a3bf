"""Diffusers for real, on this processor, with a tiny pipeline of random weights made on the spot.

Without the extra, as in the lane that everybody runs, nothing here is even imported; with
``ENGINES=required`` in the environment, as ``.ci/run`` has it, its absence is an error.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from filelock import FileLock

from stage3_plugin.renderers.diffusion import model

HERE = Path(__file__).parent
IS_REQUIRED = os.environ.get("ENGINES") == "required"
if not IS_REQUIRED and any(find_spec(name) is None for name in ("torch", "diffusers")):
    collect_ignore_glob = ["*"]

OFFLINE = {
    **model.QUIET,
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",  # the processes of a test do not wait for one another
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let libraries warn of what they like: their warnings are not ours."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let no library ask the internet, nor find what somebody has fetched; its cache's folder."""
    cache = tmp_path / "hub"
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    return cache


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a pipeline, made once for all; copy it before it is changed."""
    common = tmp_path_factory.getbasetemp().parent
    folder = common / "weights"
    with FileLock(common / "weights.lock"):
        if not folder.exists():
            script = HERE / "tiny_pipeline.py"
            subprocess.run(
                [sys.executable, "-W", "ignore", script, folder],
                env={**os.environ, **OFFLINE},
                check=True,
                timeout=120,
            )
    return folder
