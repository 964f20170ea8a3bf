"""Every extra that is not installed is named in one line before anything is done, by ``check``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from host_stub.text.format import how_to_install
from stage3_plugin.runtime.extras import EXTRAS

WITHOUT = """
import sys
for package in sys.argv.pop(1).split(","):
    sys.modules[package] = None  # its import fails as if it were not installed
from host_stub.cli import main
{before}
sys.exit(main())
"""
ON_TRIO = """
import functools
from host_stub.stage import preflight
preflight.run_preflight = functools.partial(preflight.run_preflight, backend="trio")
"""
PAID = 'provider = "openai"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\nprice_usd = 0\n'
MODEL_CLASS = "class Model:\n    def render(self, request):\n        return b''\n"
LOCAL = 'provider = "local"\nmodel_class = "a_model:Model"\n'
ASKING = {
    "cloud": f'{PAID}store = "file:///tmp/never-made"\n',
    "diffusers": 'provider = "local"\nmodel = "weights"\n',
    "otel": f'{PAID}[pipeline]\nobservers = ["otel"]\n',
    "postgres": f'{PAID}ledger = {{ env = "LEDGER" }}\n',
    "ray": f'{LOCAL}executor = {{ kind = "ray" }}\n',
    "socks": f"{PAID}trust_env = true\n",
    "trio": PAID,
}
"""Settings that each need one; of ``trio``, a caller of the host's does."""


def check(folder: Path, extra: str, *, installed: bool = False) -> subprocess.CompletedProcess[str]:
    """Run ``check`` with settings that want an extra, without its packages."""
    (folder / "host.toml").write_text(f"[plugin.stage3]\n{ASKING[extra]}", encoding="utf-8")
    (folder / "a_model.py").write_text(MODEL_CLASS, encoding="utf-8")
    (folder / "weights").mkdir()
    missing = "not_a_package" if installed else ",".join(EXTRAS[extra])
    code = WITHOUT.format(before=ON_TRIO if extra == "trio" else "")
    environ = {**os.environ, "LEDGER": "postgresql://nobody@127.0.0.1:9/none", "COLUMNS": "200"}
    environ |= {"PYTHONPATH": str(folder)}
    environ |= {"HTTP_PROXY": "socks5://127.0.0.1:9"} if extra == "socks" else {}
    return subprocess.run(
        [sys.executable, "-c", code, missing, "check", "--json"],
        cwd=folder, env=environ, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip


def test_there_are_settings_for_every_extra() -> None:
    """So that the next one is tried, too."""
    assert ASKING.keys() == EXTRAS.keys()


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_that_is_not_installed_is_named(tmp_path: Path, extra: str) -> None:
    """One error, with what to type; no traceback, and nothing is made."""
    checked = check(tmp_path, extra)

    assert checked.returncode == 2, checked.stderr
    error = json.loads(checked.stdout)["error"]
    assert error["hint"] == how_to_install(extra)
    assert "\n" not in error["message"]
    assert "Traceback" not in checked.stderr
    assert not (tmp_path / ".stage3").exists()


@pytest.mark.parametrize("extra", ["socks", "trio"])
def test_with_it_nothing_is_said(tmp_path: Path, extra: str) -> None:
    """What the tests have themselves: the same settings pass."""
    checked = check(tmp_path, extra, installed=True)

    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["opens"] is True
