"""The side of a build that is compared: a process for each order, which buys by the public names.

Run by its path in the environment of either build, so it knows the standard library, what a program
may import of Stage3, and no other file of the tests. Orders come as lines of JSON on the input.
The first is carried out here, so that what is imported and read once need not be for each that
follows. For each of those a process is forked: one that hangs or dies is a result like others. A
line of JSON says how it ended, and what it found lies in a file.

Clocks that waits are measured by run fast here, so that patience of minutes ends in seconds.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import select
import selectors
import signal
import sys
import time
import traceback
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

LOOKS_EVERY_S = 0.01
_monotonic = time.monotonic


class Hastened(selectors.DefaultSelector):
    """Waits for the part of a time that clocks make of it that run fast.

    Attributes:
        times: So many seconds of waits and deadlines pass in one.
    """

    times = 1

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / self.times)


def main() -> None:
    """Start what is ordered, and tell how each order ended, until there are no more."""
    time.monotonic = lambda: _monotonic() * Hastened.times
    selectors.DefaultSelector = Hastened  # type: ignore[misc]  # an event loop makes one for itself
    import stage3_plugin  # only now, as whatever it imports may keep a clock

    print(json.dumps(str(Path(str(stage3_plugin.__file__)).resolve())), flush=True)
    going: dict[int, int] = {}
    is_open, rest = True, b""
    while is_open or going:
        if select.select([0] if is_open else [], [], [], LOOKS_EVERY_S)[0]:
            piece = os.read(0, 1 << 16)
            is_open = bool(piece)
            *lines, rest = (rest + piece).split(b"\n")
            for order in map(json.loads, lines):
                if order["is_first"]:
                    with contextlib.redirect_stdout(sys.stderr):
                        tried(order, Path(order["folder"]))
                    gc.collect()
                    gc.freeze()
                else:
                    going[started(order)] = order["number"]
        while going:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            print(json.dumps([going.pop(pid), status]), flush=True)


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
        os._exit(0)
    except BaseException:  # noqa: BLE001 - this process ends here
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def tried(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the picture of an order so many times, and read what the ledger has of it."""
    os.chdir(folder)
    Hastened.times = order["haste"]
    found: dict[str, Any] = {"runs": [bought(order, folder) for _ in range(order["runs"])]}
    found |= {name: told(name) for name in ("costs", "verify")}
    found["attempts"] = told("attempts", "--all")
    key = str(order["settings"]["api_key"]).encode()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found["key_in"] = [path.suffix for path in files if key in path.read_bytes()]
    return found


def bought(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run once, and return how the scene and the run ended."""
    from stage3_plugin import make_pictures

    scene = {"scene_id": "s01", "image_prompt": order["prompt"]}
    try:
        pictures = make_pictures(
            [scene],
            order["settings"],
            out_dir=folder / "pictures",
            project_dir=folder,
            check=False,
        )
    except Exception as error:  # noqa: BLE001 - which one is a result
        return {"raised": type(error).__name__, "message": str(error)}
    (outcome,) = pictures.outcomes
    told_of_it: dict[str, Any] = json.loads(outcome.model_dump_json())
    if outcome.image is not None:
        told_of_it["on_disk"] = hashlib.sha256(outcome.image.read_bytes()).hexdigest()
    return told_of_it | {"stopped": pictures.summary.stopped}


def told(name: str, *words: str) -> dict[str, Any]:
    """Run a command that looks after the ledger, and return its data and its exit code."""
    from host_stub.commands import CommandError
    from stage3_plugin.hooks import host_commands

    [command] = [one for one in host_commands() if one.name == name]
    parser = ArgumentParser()
    command.add_arguments(parser)
    try:
        said = command.run(parser.parse_args(words, Namespace(json=True)), lambda _line: None)
    except CommandError as error:
        return {"code": error.code}
    return {"code": said.exit_code, **said.data}


if __name__ == "__main__":
    main()
