"""An answer that ends the process which reads it: somebody is asked, and no run is kept from work.

What kills a parser nobody knows beforehand, so here a word in an answer does: a module that Python
loads at its start lets any parser of JSON die of it, in whatever process, before it goes on.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.doors import bills
from tests.fakes.behaviours import Behaviour
from tests.fakes.image_api import ImageApi
from tests.fakes.wire import Asked
from tests.projects import Project

WORD = "nightshade"
DEADLY = f"""
import json, pathlib, signal

parse = json.JSONDecoder.raw_decode

def die_of_it(decoder, text, *at, **where):
    died = pathlib.Path(__file__).with_name("died")
    if {WORD!r} in text and not (NUMBER == {signal.SIGTERM.value} and died.exists()):
        died.touch()
        signal.raise_signal({signal.SIGKILL.value} if NUMBER == {signal.SIGTERM.value} else NUMBER)
    return parse(decoder, text, *at, **where)

json.JSONDecoder.raw_decode = die_of_it
"""


@pytest.fixture
def project(tmp_path: Path, image_api: ImageApi) -> Project:
    """A story of three scenes, the answer to the second of which has the word in it."""

    def answer(asked: Asked) -> Behaviour:
        has_word = asked.prompt.startswith("s02")
        return bills(0.05, heavy=True, extra={"note": WORD if has_word else "a pier"})

    image_api.otherwise = answer
    project = Project(tmp_path / "project")
    project.scenes(3)
    project.config(image_api, capacity=1)
    return project


def let_it_kill(folder: Path, number: int, patch: pytest.MonkeyPatch) -> None:
    """Have every process that is started from now on die of the word by a signal."""
    (folder / "sitecustomize.py").write_text(
        DEADLY.replace("NUMBER", str(int(number))), encoding="utf-8"
    )
    patch.setenv("PYTHONPATH", str(folder))


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL], ids=["crash", "memory"])
def test_an_answer_that_kills_whoever_reads_it_is_unknown_and_stops_nobody(
    project: Project,
    image_api: ImageApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    """It is kept as it came; the other scenes are made, and each is paid for once."""
    let_it_kill(tmp_path, number, monkeypatch)
    first = project.run("run", "scenes.json")
    second, codes = project.run("run", "scenes.json"), project.codes()
    third = project.run("run", "scenes.json")
    [told] = json.loads(project.stage3("attempts", "--json").stdout)["attempts"]
    kept = project.folder / ".stage3" / "spool" / told["attempt_id"] / "answer"

    assert first.returncode == -number
    assert (second.returncode, third.returncode) == (4, 4), second.stderr
    assert codes["s02"] == "unknown"
    assert "ended a process twice" in second.stdout + second.stderr
    assert image_api.received() == 3
    assert WORD in kept.read_text(encoding="utf-8", errors="replace")


def test_an_answer_whose_reader_was_killed_by_somebody_is_taken_in(
    project: Project, image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not the answer's fault: it is tried first, and then read as any other."""
    let_it_kill(tmp_path, signal.SIGTERM, monkeypatch)
    first = project.run("run", "scenes.json")
    second = project.run("run", "scenes.json")

    assert first.returncode == -signal.SIGKILL
    assert second.returncode == 0, second.stderr
    assert image_api.received() == 3
