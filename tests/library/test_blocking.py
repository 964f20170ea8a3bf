"""``make_pictures``: from a script, a thread, or a program whose event loop is running."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from stage3_plugin import (
    Pictures,
    Progress,
    Stop,
    make_pictures,
    plan_pictures,
)
from tests.doors import bills
from tests.fakes.behaviours import Gate
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.library.calling import code, painter, scenes
from tests.projects import wait_until


class Caller:
    """Calls the library in a folder of the test's own."""

    def __init__(self, api: ImageApi, folder: Path) -> None:
        self.api = api
        self.folder = folder
        api.always(bills(0.05))

    def make(self, count: int, *, check: bool = False, **more: object) -> Pictures:
        """Make so many scenes."""
        return make_pictures(
            scenes(count),
            painter(self.api, **more),
            project_dir=self.folder,
            out_dir=self.folder / "pictures",
            check=check,
        )


@pytest.fixture
def caller(image_api: ImageApi, tmp_path: Path) -> Caller:
    """A program."""
    return Caller(image_api, tmp_path)


def test_a_script_makes_pictures_and_finds_them_again(caller: Caller) -> None:
    """In input order, with what they cost."""
    planned = plan_pictures(scenes(3), painter(caller.api), project_dir=caller.folder)
    first, second = caller.make(3), caller.make(4, check=True)

    assert (planned.make, planned.cost_high_usd) == (3, Decimal("0.15"))
    assert [one.scene_id for one in first] == ["s01", "s02", "s03"]
    assert first.summary.cost_usd == Decimal("0.15")
    assert [code(one) for one in second] == ["reused"] * 3 + ["made"]
    assert caller.api.billed() == 4


def test_progress_is_reported_in_the_calling_thread(caller: Caller) -> None:
    """Where a program may touch what belongs to that thread, such as a window or a database."""
    told: list[tuple[int, Progress]] = []
    pictures = make_pictures(
        scenes(3),
        painter(caller.api, capacity=1),
        project_dir=caller.folder,
        out_dir=caller.folder / "pictures",
        on_progress=lambda progress: told.append((threading.get_ident(), progress)),
    )

    assert {thread for thread, _ in told} == {threading.get_ident()}
    assert [progress.summary.ended for _, progress in told] == [1, 2, 3]
    assert len(pictures.made) == 3


def test_scenes_are_read_in_the_calling_thread(caller: Caller) -> None:
    """As a database's cursor wants it."""
    threads: set[int] = set()

    def cursor() -> list[dict[str, str]]:
        threads.add(threading.get_ident())
        return scenes(1)

    make_pictures(
        (scene for _ in range(1) for scene in cursor()),
        painter(caller.api),
        project_dir=caller.folder,
        out_dir=caller.folder / "pictures",
    )

    assert threads == {threading.get_ident()}


def test_files_that_scenes_show_lie_beside_their_scene_file(caller: Caller) -> None:
    """Wherever the program was started: for what makes pictures as for its plan."""
    beside = caller.folder / "story"
    beside.mkdir()
    (beside / "mira.png").write_bytes(make_png("Mira", 64, 64))
    told, [scene] = beside / "scenes.json", scenes(1)
    told.write_text(json.dumps([scene | {"references": ["mira.png"]}]), encoding="utf-8")
    planned = plan_pictures(told, painter(caller.api), project_dir=caller.folder)
    pictures = make_pictures(
        told,
        painter(caller.api),
        project_dir=caller.folder,
        out_dir=caller.folder / "pictures",
        check=False,
    )

    assert planned.make == 1
    assert [code(one) for one in pictures] == ["made"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_can_be_called_while_a_loop_is_running(caller: Caller, backend: str) -> None:
    """As in a notebook, whose loop waits meanwhile."""

    async def cell() -> Pictures:
        return caller.make(2)

    assert [code(one) for one in anyio.run(cell, backend=backend)] == ["made", "made"]
    assert caller.api.billed() == 2


def test_a_switch_stops_it_from_another_thread(caller: Caller) -> None:
    """What is in flight is paid for and handed over."""
    gate, stop = Gate(), Stop()
    caller.api.script(bills(0.05, gate=gate), scene="s01")

    def turn() -> None:
        wait_until(lambda: caller.api.received("s01") == 1)
        stop.set()
        gate.open()

    with ThreadPoolExecutor(1) as threads:
        threads.submit(turn)
        pictures = make_pictures(
            scenes(3),
            painter(caller.api, capacity=1),
            project_dir=caller.folder,
            out_dir=caller.folder / "pictures",
            stop=stop,
            check=False,
        )

    assert [code(one) for one in pictures] == ["made", "not_tried", "not_tried"]
    assert pictures.summary.stopped == "cancelled"
    assert caller.api.received() == 1


def test_a_task_of_a_running_loop_can_have_it_done_in_a_thread(caller: Caller) -> None:
    """So that the loop has its turn meanwhile; cancelling the task gives up nothing."""

    async def main() -> Pictures:
        return await asyncio.to_thread(caller.make, 2)

    assert len(asyncio.run(main()).made) == 2


def test_two_calls_with_one_folder_take_no_copy_of_the_other_for_left(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that is being made may have its original's time of change, which is long ago."""
    caller.make(1)
    for path in caller.folder.rglob("*"):
        os.utime(path, (1, 1))
    (caller.folder / "pictures" / "s01.png").unlink()
    beside = caller.folder / "pictures" / ".tmp-of-another-run"
    is_first = True

    def slowly(put: Callable[..., None], *names: Any, **more: Any) -> None:
        nonlocal is_first
        if is_first and Path(os.fsdecode(names[1])).name == "s01.png":
            is_first = False
            beside.write_bytes(b"half of a picture")
            os.utime(beside, (1, 1))
            settings = painter(caller.api, state_dir=".other")
            other = {"scene_id": "other", "prompt": "another"}
            make_pictures(
                other, settings, project_dir=caller.folder, out_dir=caller.folder / "pictures"
            )
        put(*names, **more)

    for name in ("replace", "rename", "link"):
        monkeypatch.setattr(os, name, partial(slowly, getattr(os, name)))
    (again,) = caller.make(1)

    assert not is_first
    assert code(again) == "reused"
    pictures = {path.name for path in (caller.folder / "pictures").iterdir()}
    assert pictures == {"s01.png", "other.png", beside.name}
    tomorrow = time.time() + 2 * 86_400
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    caller.make(2)
    assert not beside.exists()
