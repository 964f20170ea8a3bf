"""A process that was forked while a ledger was open in it opens none, and loses no rows."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from tests.doors import states
from tests.fakes.image_api import KEY, ImageApi
from tests.hostile.test_stopped import ROOT

FROM_HERE = f"""
import sys
sys.path.append({str(ROOT)!r})  # last, so that what is installed is what runs
"""
PARENT = """
import json, multiprocessing, sys
from pathlib import Path
import anyio
from host_stub.contract import StageError
from stage3_plugin.settings import Settings
from tests.doors import run_stage, story

order = json.loads(sys.argv[1])
folder = Path(order["folder"])
go = multiprocessing.get_context("fork").Event()
told = multiprocessing.get_context("fork").Queue()

def buy(*scenes):
    async def run():
        return await run_stage(Settings(**order["settings"]), story(*scenes), folder)
    return anyio.run(run, backend=order["backend"])

def child():
    try:
        go.wait(30)
        ran = buy("c1", "c2", "c3")
        told.put({name: ran.code(name) for name in ran.outcomes})
    except StageError as refusal:
        told.put([str(refusal), refusal.hint])

def forked():
    process = multiprocessing.get_context(order["method"]).Process(target=child)
    process.start()
    return process
"""

WHILE_IT_IS_OPEN = """
import threading
from stage3_plugin.ledger.owners import Owners
is_open, is_forked = threading.Event(), threading.Event()
whole = Owners.claim
def claim(*arguments):
    is_open.set()
    is_forked.wait(30)
    return whole(*arguments)
Owners.claim = claim
found = []
running = threading.Thread(target=lambda: found.append(buy("p1", "p2")))
running.start()
is_open.wait(30)
Owners.claim = whole  # the child runs as any other
process = forked()
is_forked.set()
running.join()
(ran,) = found
"""

BEFORE = """
process = forked()
ran = buy("p1", "p2")
"""

END = """
go.set()
result = told.get(timeout=30)
process.join()
print(json.dumps({"parent": {n: ran.code(n) for n in ran.outcomes}, "child": result}))
"""


def run_in_a_program(program: str, api: ImageApi, folder: Path, backend: str) -> dict[str, Any]:
    """Run a program that forks, in a process of its own, and return what it printed."""
    order = {
        "backend": backend,
        "folder": str(folder),
        "method": "fork",
        "settings": {
            "provider": "openai",
            "model": "gpt-image-2",
            "base_url": api.base_url,
            "api_key": KEY,
            "size": "64x64",
        },
    }
    done = subprocess.run(
        [sys.executable, "-c", FROM_HERE + textwrap.dedent(program), json.dumps(order)],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_process_forked_while_a_ledger_is_open_sends_nothing(
    tmp_path: Path, anyio_backend: str
) -> None:
    """It would write to a log that its parent removes; it says how to start one instead."""
    with ImageApi() as api:
        told = run_in_a_program(PARENT + WHILE_IT_IS_OPEN + END, api, tmp_path, anyio_backend)

        assert told["parent"] == {"p1": "made", "p2": "made"}
        assert api.received() == 2
        message, hint = told["child"]
        assert "forked while a ledger was open" in message
        assert "spawn" in hint
    assert states(tmp_path) == ["PAID", "PAID"]


def test_a_process_forked_before_a_ledger_is_opened_buys_as_any_other(
    tmp_path: Path, anyio_backend: str
) -> None:
    """Neither loses a row to the other."""
    with ImageApi() as api:
        told = run_in_a_program(PARENT + BEFORE + END, api, tmp_path, anyio_backend)

        assert told["child"] == {"c1": "made", "c2": "made", "c3": "made"}
        assert api.received() == 5
    assert states(tmp_path) == ["PAID"] * 5
