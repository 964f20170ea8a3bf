"""What a person reads over a whole story, word for word: one voice, a line a scene, no path twice.

Whoever changes a sentence sees here how it reads among the others. ``REWRITE_TRANSCRIPT=1`` in the
environment writes the transcript anew.
"""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from host_stub.cli import main
from stage3_plugin.cli import main as stage3
from tests.doors import bills
from tests.fakes.behaviours import Json, ResetAfterRead
from tests.fakes.image_api import KEY, ImageApi
from tests.projects import Project

TRANSCRIPT = Path(__file__).with_name("transcript.txt")
REFUSAL = {"error": {"message": "Not allowed.", "code": "moderation_blocked", "type": "user_error"}}

_TIME = r"(?:\d+ h \d\d min|\d+ min \d\d s|\d+(?:\.\d)? m?s)"
SAID_OTHERWISE_EACH_TIME = {
    rf"in {_TIME}(, .*?)?, {_TIME} each(, speed-up [\d.]+ \(\w+\))?": r"in T\1, T each",
    rf"(?<=done in ){_TIME}": "T",
    rf"(?<=with stage3, ){_TIME}": "T",
    r"expected time: .*": "expected time: T",
    r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d UTC)?": "DATE",
    r"\b\d{8}T\d{6}Z-[0-9a-f]{6}\b": "RUN",
    r"\b[0-9a-z]{12}-[0-9a-f]{32}\b": "RUN",
    r"\b[0-9a-f]{12}\b(?=  s\d)": "ATTEMPT-12-H",
    r"(?<=  )[0-9a-f]{12}(?=  )": "RUN-12-DIGIT",
    r"\b[0-9a-f]{8}\b": "ATTEMPT",
    r"(?<=/)[0-9a-f]{12}(?=\.png)": "SHA256",
}
"""What differs from run to run, and what stands for it."""


@pytest.fixture
def project(tmp_path: Path, image_api: ImageApi, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Make a project of three scenes that are billed at 0.05 USD each."""
    image_api.always(bills(0.05))
    project = Project(tmp_path)
    project.scenes(3)
    project.config(image_api, capacity=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "200")
    return project


class Reader:
    """Runs commands and keeps what they say."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = str(folder)
        self._capsys = capsys
        self.pages: list[str] = []

    def __call__(self, line: str) -> None:
        program, *words = shlex.split(line)
        run: Callable[[list[str]], int] = stage3 if program == "stage3" else main
        code = run(words)
        said = self._capsys.readouterr()
        err = "".join(f"  ! {one}\n" for one in said.err.splitlines())
        out = "".join(f"  {one}\n" for one in said.out.splitlines())
        text = f"{err}{out}".replace(f"{self._folder}/", "").replace(self._folder, ".")
        for pattern, word in SAID_OTHERWISE_EACH_TIME.items():
            text = re.sub(pattern, word, text)
        self.pages.append(f"$ {line}\n{text}  = {code}\n")


def test_a_story_is_told_in_one_voice(
    project: Project, image_api: ImageApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands of a first day: a refusal, a lost answer, a cap, a reroll, a slip."""
    read = Reader(project.folder, capsys)
    image_api.script(Json(REFUSAL, status=400), scene="s02")
    image_api.script(ResetAfterRead(), scene="s03")

    read("host-stub plan scenes.json")
    read("host-stub run scenes.json")
    read("host-stub status")
    read("stage3 attempts")
    read("stage3 resolve --all --not-billed")
    read("stage3 resolve --all --not-billed --yes")
    read("host-stub run scenes.json --max-cost 0.05")
    read("host-stub run scenes.json")
    read("host-stub run scenes.json")
    read("host-stub reroll s01")
    read("host-stub run scenes.json --scene s01")
    read("host-stub takes s01")
    read("host-stub show s01 2")
    read("host-stub events out/events.jsonl")
    read("stage3 attempts")
    read("stage3 verify")
    read("host-stub takes s04")
    read("host-stub run scenes.json --sene s01")

    told = "\n".join(read.pages)
    if os.environ.get("REWRITE_TRANSCRIPT"):
        TRANSCRIPT.write_text(told, encoding="utf-8", newline="\n")
    assert told.splitlines() == TRANSCRIPT.read_text(encoding="utf-8").splitlines()
    for page in read.pages:
        paths = Counter(re.findall(r"out/[\w./-]*\w", page.partition("\n")[2]))
        assert [path for path, count in paths.items() if count > 1 and "SHA256" not in path] == []
