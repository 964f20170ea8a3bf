"""The side of a build that is compared: a process for each order, which buys by the public names.

Run by its path in the environment of either build, so it knows the standard library, what a program
may import of Stage3, and no other file of the tests. Orders come as lines of JSON on standard input.
For each a process is forked, so that one that hangs or dies is itself a result; a line of JSON says
how it ended, and what it found lies in a file.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import io
import json
import os
import select
import signal
import sys
import traceback
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import stage3_plugin
from stage3_plugin import make_pictures

LOOKS_EVERY_S = 0.01
[SCRIPT] = entry_points(group="console_scripts", name="stage3")


def main() -> None:
    """Start what is ordered, and tell how each order ended, until there are no more."""
    print(json.dumps(str(Path(str(stage3_plugin.__file__)).resolve())), flush=True)
    going: dict[int, int] = {}
    is_open, rest = True, b""
    while is_open or going:
        if select.select([0] if is_open else [], [], [], LOOKS_EVERY_S)[0]:
            piece = os.read(0, 1 << 16)
            is_open = bool(piece)
            *lines, rest = (rest + piece).split(b"\n")
            for order in map(json.loads, lines):
                if "load" in order:
                    load(Path(order["load"]))
                else:
                    going[started(order)] = order["number"]
        while going:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            print(json.dumps([going.pop(pid), status]), flush=True)


def load(path: Path) -> None:
    """Import what an earlier order has imported, once for all that follow."""
    for name in json.loads(path.read_text(encoding="utf-8")):
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def started(order: dict[str, Any]) -> int:
    """Fork the process of an order."""
    if pid := os.fork():
        return pid
    signal.alarm(order["limit_s"])  # ends it, whatever it is about
    folder = Path(order["folder"])
    try:
        os.dup2(os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT), 1)
        os.dup2(1, 2)
        found = json.dumps(tried(order, folder))
        (folder / "found.json").write_text(found, encoding="utf-8")
        (folder / "modules.json").write_text(json.dumps([*sys.modules]), encoding="utf-8")
        os._exit(0)
    except BaseException:  # noqa: BLE001 - this process ends here
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def tried(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the picture of an order so many times, and read what the ledger has of it."""
    os.chdir(folder)
    found: dict[str, Any] = {"runs": [bought(order, folder) for _ in range(order["runs"])]}
    for command in ("attempts --all", "costs", "verify"):
        found[command.split()[0]] = told(*command.split(), "--json")
    key = str(order["settings"]["api_key"]).encode()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found["key_in"] = [path.suffix for path in files if key in path.read_bytes()]
    return found


def bought(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run once, and return how the scene and the run ended."""
    scene = {"scene_id": "s01", "image_prompt": order["prompt"]}
    try:
        pictures = make_pictures(
            [scene],
            order["settings"],
            out_dir=folder / "pictures",
            project_dir=folder,
            deadline_s=order["deadline_s"],
            check=False,
        )
    except Exception as error:  # noqa: BLE001 - which one is a result
        return {"raised": type(error).__name__, "message": str(error)}
    (outcome,) = pictures.outcomes
    told_of_it: dict[str, Any] = json.loads(outcome.model_dump_json())
    if outcome.image is not None:
        told_of_it["on_disk"] = hashlib.sha256(outcome.image.read_bytes()).hexdigest()
    return told_of_it | {"stopped": pictures.summary.stopped}


def told(*words: str) -> dict[str, Any]:
    """Run a command that looks after the ledger, and return its JSON and its exit code."""
    sys.argv = ["stage3", *words]
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            code = SCRIPT.load()()
        except SystemExit as end:
            code = end.code
    text = output.getvalue()
    return {"code": code, **(json.loads(text) if text else {})}


if __name__ == "__main__":
    main()
