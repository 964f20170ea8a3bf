"""What a process does to a story until it is killed; forked from one that is started once.

Every step that the system sees (a file opened, written, synced, renamed, removed; a statement of
SQLite's) is counted, and the process kills itself before the one it was told. What it has done is
in its log, which like all that was handed to the system outlives it.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from host_stub.story.database import Database
from host_stub.story.keeper import Story
from tests.host.story.pictures import deliver, picture

COUNTED = ("open", "write", "fsync", "replace", "unlink", "utime", "mkdir")
BEGUN = ["take s1 1 A PNG", "edit s1 40 PNG"]
"""What there is before: a take of scene s1, edited by hand."""
ORDERS = [
    "take s1 2 A PNG",
    "take s1 3 B JPEG",
    "take s2 4 A PNG",
    "show s1 1",
    "edit s1 41 PNG",
    "import s1 50 PNG",
    "undo s1",
    "show s2 1",
    "leave s2",
    "take s2 5 B WEBP",
    "want s1 2",
    "take s1 6 B PNG",
]
"""Each changes something; numbers are pictures, or takes to show."""


def project_dir(root: Path) -> Path:
    return root / "project"


def out_dir(root: Path) -> Path:
    return root / "project" / "out"


def do(story: Story, root: Path, order: str) -> None:
    """Do what an order says."""
    verb, scene_id, *said = order.split()
    if verb == "take":
        number, basis, kind = said
        deliver(story, scene_id, int(number), basis=basis, kind=kind)
    elif verb == "show":
        story.show(scene_id, int(said[0]))
    elif verb == "undo":
        story.undo(scene_id)
    elif verb == "edit":
        ends = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}
        (out_dir(root) / "images" / f"{scene_id}.{ends[said[1]]}").write_bytes(
            picture(int(said[0]), said[1])
        )
    elif verb == "import":
        mine = root / "mine"
        mine.write_bytes(picture(int(said[0]), said[1]))
        story.import_file(scene_id, mine, basis="B")
    elif verb == "leave":
        story.leave(lambda one: one != scene_id)
    elif verb == "want":
        story.book.want(scene_id, basis="B", takes=int(said[0]), shows_newest=True)
    else:
        raise LookupError(order)


def do_until(root: Path, step: int) -> None:
    """Do all orders, or die before a step; the log says which were begun and which were done."""
    log = os.open(root / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    write = os.write

    def note(word: str, order: str) -> None:
        write(log, f"{word} {order}\n".encode())

    with Story.opened(project_dir(root), out_dir(root), write=True) as story:
        for order in BEGUN:
            do(story, root, order)
    count_steps(step)
    with Story.opened(project_dir(root), out_dir(root), write=True) as story:
        for order in ORDERS:
            note("begun", order)
            do(story, root, order)
            note("done", order)


def count_steps(last: int) -> None:
    """Die before this step of all that follow."""
    left = [last]

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **more: Any) -> Any:
            step()
            return real(*args, **more)

        return counting

    for name in COUNTED:
        setattr(os, name, counted(getattr(os, name)))
    os.supports_fd.add(os.utime)
    written = Database.write

    def writing(self: Database, *args: Any) -> Any:
        step()
        return written(self, *args)

    setattr(Database, "write", writing)  # noqa: B010 - in a process that is about to die
    connect = sqlite3.connect

    def connecting(*args: Any, **more: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **more)
        connection.set_trace_callback(
            lambda said: (
                step() if said.startswith(("COMMIT", "BEGIN IMMEDIATE", "PRAGMA j")) else None
            )
        )
        return connection

    setattr(sqlite3, "connect", connecting)  # noqa: B010 - likewise


def kill_at_every_step(top: Path, steps: range) -> None:
    """Kill a process before each step, in a folder of its own, until one comes to its end."""
    for step in steps:
        root = top / f"{step:04}"
        project_dir(root).mkdir(parents=True)
        child = os.fork()
        if not child:
            try:
                do_until(root, step)
            except BaseException as error:  # noqa: BLE001 - the process ends here
                os.write(2, f"{step}: {error!r}\n".encode())
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            (top / "end").write_text(f"{step} {os.WEXITSTATUS(status)}", encoding="utf-8")
            return


def hammer(root: Path, seed: int, seconds: float) -> None:
    """Change one story together with other processes, until killed."""
    chance = random.Random(seed)
    ends = time.monotonic() + seconds
    number = seed * 1_000
    with Story.opened(project_dir(root), out_dir(root), write=True) as story:
        while time.monotonic() < ends:
            scene_id = chance.choice(["s1", "s2"])
            number += 1
            take = deliver(
                story,
                scene_id,
                number,
                basis=chance.choice("AB"),
                kind=chance.choice(["PNG", "JPEG"]),
            )
            with (root / f"log{seed}").open("a", encoding="utf-8") as log:
                log.write(f"{scene_id} {take.number} {take.sha256}\n")
            if chance.random() < 0.5:
                story.show(scene_id, chance.randint(1, take.number))
            if chance.random() < 0.2:
                story.undo(scene_id)


if __name__ == "__main__":
    what, folder, *numbers = sys.argv[1:]
    if what == "kill":
        kill_at_every_step(Path(folder), range(int(numbers[0]), int(numbers[1])))
    else:
        hammer(Path(folder), int(numbers[0]), float(numbers[1]))
