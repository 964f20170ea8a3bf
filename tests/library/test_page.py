"""The page's examples, run as they stand; the recipes, tried where they matter."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import runpy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

import stage3_plugin
from stage3_plugin import PictureRun, PictureStage
from stage3_plugin.domain.states import State
from tests.doors import bills, states
from tests.fakes.behaviours import Gate, ResetAfterRead
from tests.fakes.image_api import ImageApi
from tests.library.calling import painter
from tests.projects import wait_until
from tests.rules.repository import DOCS, blocks, page

BLOCKS = blocks(page("library.md"), "python")
RUN = [block for block in BLOCKS if "fastapi" not in block]


def example(words: str) -> str:
    """Return the one example with these words."""
    (found,) = [block for block in BLOCKS if words in block]
    return found


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures and ledger go where the program is."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("block", RUN, ids=lambda block: cast("str", block).split("\n")[0][:40])
def test_an_example_runs_as_it_stands(block: str, tmp_path: Path) -> None:
    """As a program of its own, twice: the second time everything is there."""
    program = tmp_path / "program.py"
    program.write_text(block, encoding="utf-8")
    first = runpy.run_path(str(program), run_name="__main__")
    again = runpy.run_path(str(program), run_name="__main__")
    pictures = again.get("pictures")

    assert first.keys() == again.keys()
    if pictures is not None:
        assert pictures.made
        assert all(outcome.reused for outcome in pictures)


def test_what_examples_call_is_there() -> None:
    """Also in the example that needs a package of its own: each name, and each keyword."""
    callables: dict[str, Callable[..., object]] = {
        name: getattr(stage3_plugin, name) for name in stage3_plugin.__all__
    }
    callables |= {name: getattr(PictureStage, name) for name in ("plan", "run", "make")}
    callables |= {name: getattr(PictureRun, name) for name in ("stop", "ended", "aclose")}
    called: set[str] = set()
    for block in BLOCKS:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "stage3_plugin":
                assert {alias.name for alias in node.names} <= set(stage3_plugin.__all__)
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in callables and name != "run":  # asyncio has one of this name
                    called.add(name)
                    known = inspect.signature(callables[name]).parameters
                    assert {word.arg for word in node.keywords} <= set(known)

    assert {"make_pictures", "open_stage", "make", "plan"} <= called


# A notebook --------------------------------------------------------------------------------------


def test_the_notebook_runs_from_its_first_cell_to_its_last() -> None:
    """As Jupyter runs it: cell by cell, in one running event loop, ``await`` at the top."""
    notebook = json.loads((DOCS / "examples" / "pictures.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    names: dict[str, Any] = {}
    told: list[str] = []

    def note(*words: object) -> None:
        told.append(" ".join(map(str, words)))

    names["print"] = note

    async def kernel() -> None:
        for number, cell in enumerate(cells):
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            compiled = compile(cell, f"cell {number}", "exec", flags=flags)
            running = eval(compiled, names)
            if inspect.iscoroutine(running):
                await running

    asyncio.run(kernel())

    assert (names["plan"].make, names["plan"].reused) == (2, 0)
    assert (names["pictures"].summary.made, len(names["pictures"])) == (2, 2)
    assert sorted(line.split(" /")[0] for line in told) == [
        "gulls is new", "harbour was there", "lamp was there",
    ]  # fmt: skip


def test_the_notebook_holds_no_results() -> None:
    """It is a page to begin with, and says nothing of the machine that wrote it."""
    notebook = json.loads((DOCS / "examples" / "pictures.ipynb").read_text(encoding="utf-8"))

    assert notebook["nbformat"] == 4
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook["cells"])


# A queue -----------------------------------------------------------------------------------------


class Consumer:
    """The page's consumer, which buys from the loopback API."""

    def __init__(self, api: ImageApi) -> None:
        names: dict[str, Any] = {}
        exec(compile(example("def handle("), "consumer", "exec"), names)  # as it stands
        names["SETTINGS"] = painter(api)
        self.handle: Callable[[dict[str, str]], str] = names["handle"]


MESSAGE = {"scene_id": "s01", "prompt": "s01: a harbour at dusk"}


def test_a_message_that_comes_twice_is_paid_once(image_api: ImageApi, tmp_path: Path) -> None:
    """Also by another consumer, later."""
    image_api.always(bills(0.05))

    assert [Consumer(image_api).handle(MESSAGE) for _ in range(3)] == ["done"] * 3
    assert image_api.billed() == 1
    assert (tmp_path / "pictures" / "s01.png").exists()


def test_two_consumers_with_one_message_at_once_pay_once(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """The second comes while the first is at work: it waits, and has the picture, too."""
    gate = Gate()
    image_api.always(bills(0.05, gate=gate))
    consumer = Consumer(image_api)
    with ThreadPoolExecutor(2) as consumers:
        first = consumers.submit(consumer.handle, MESSAGE)
        wait_until(lambda: image_api.received("s01") == 1)
        second = consumers.submit(consumer.handle, MESSAGE)
        gate.open()
        ends = [first.result(60), second.result(60)]

    assert ends[0] == "done"
    assert ends[1] in {"done", "again later"}
    assert consumer.handle(MESSAGE) == "done"
    assert image_api.received() == image_api.billed() == 1
    assert [one for one in states(tmp_path) if one is not State.VOID] == [State.PAID]


def test_a_message_that_cannot_be_made_goes_to_a_person(image_api: ImageApi) -> None:
    """And is not tried for ever."""
    image_api.script(ResetAfterRead(), scene="s01")
    consumer = Consumer(image_api)

    assert consumer.handle(MESSAGE) == "to a person"
    assert consumer.handle(MESSAGE) == "to a person"
    assert image_api.received() == 1
