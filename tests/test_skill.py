"""The instructions for agents: short, in the distribution, and true word for word."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest

from host_stub.cli import main
from host_stub.cli.commands import SKILL_NAME, instructions
from host_stub.contract import FailureCode
from host_stub.stage import preflight
from stage3_plugin.cli import main as stage3
from tests.doors import bills
from tests.fakes.behaviours import ResetAfterRead
from tests.fakes.image_api import KEY, ImageApi
from tests.projects import Project

STORY = "# Sea\n## s01\ns01: A boat.\n## s02\ns02: A whale.\n## s03\ns03: A gull.\n"


def commands() -> list[list[str]]:
    """Return every command of the instructions, in their order, as words."""
    blocks = re.findall(r"^```sh\n(.*?)^```", instructions(), re.DOTALL | re.MULTILINE)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line]


class Agent:
    """Does what the instructions say, with the figures that it read before."""

    def __init__(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._folder = project.folder
        self.known = {"SCENE": "s01", "TAKE": "2", "FILE": "own.png"}
        self.codes: dict[str, int] = {}

    def does(self, words: list[str]) -> dict[str, Any]:
        program, *rest = [self.known.get(word, word) for word in words]
        run: Callable[[list[str]], int] = {"host-stub": main, "stage3": stage3}[program]
        code = run(rest)
        answer: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        self.codes[" ".join(words)] = code
        if "confirm" in answer:
            self.known |= {"HASH": answer["confirm"] or "", "USD": answer["cost_high_usd"]}
        if answer.get("format") == "stage3-attempts/1" and answer["attempts"]:
            self.known["ID"] = answer["attempts"][0]["attempt_id"]
        return answer


@pytest.fixture
def project(tmp_path: Path, image_api: ImageApi, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Make a project with a config and a story, and nothing else."""
    image_api.always(bills(0.03))
    project = Project(tmp_path)
    project.config(image_api, capacity=1, provider="openai", model="gpt-image-2")
    (tmp_path / "story.md").write_text(STORY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    return project


def test_it_is_short_and_has_a_head() -> None:
    """An agent reads all of it each time."""
    text = instructions()
    head = re.match(r"---\nname: ([a-z0-9-]+)\ndescription: ([^\n]+)\n---\n", text)

    assert head is not None
    assert head[1] == SKILL_NAME
    assert len(head[2]) <= 1024
    assert len(text.splitlines()) < 200
    assert not re.search(r"sk-|Bearer", text)


def test_every_exit_code_is_in_it() -> None:
    """And no other."""
    rows = re.findall(r"^\| ([0-9, ]+) \|", instructions(), re.MULTILINE)
    said = {int(code) for row in rows for code in row.split(",")}
    theirs = {value for name, value in vars(preflight).items() if name.startswith("EXIT_")}

    assert said >= {0, 1, 2, 3, 4, 5, 129, 130, 143}
    assert said >= theirs


def test_every_failure_code_is_in_it() -> None:
    """An agent finds what to do for whatever a manifest says."""
    told = instructions().partition("Codes of failures:")[2].partition("\n\n")[0]

    assert set(get_args(FailureCode)) <= set(re.findall(r"`([a-z_]+)`", told))


def test_each_command_of_it_does_what_it_says(
    project: Project, image_api: ImageApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """In their order, in one project, where an answer is lost on the way; a yes costs its price."""
    agent = Agent(project, capsys)
    image_api.script(ResetAfterRead(), scene="s02")
    spent: list[tuple[Decimal, int]] = []

    for words in commands():
        if "import" in words:
            shutil.copy(project.folder / "out/images/s01.png", project.folder / "own.png")
        if "show" in words and "--undo" not in words:  # after the take that was wanted was made
            agent.does(["host-stub", "plan", "scenes.json", "--scene", "SCENE", "--json"])
            only = ["--scene", "SCENE", "--confirm", "HASH", "--max-cost", "USD", "--json"]
            agent.does(["host-stub", "run", "scenes.json", *only])
        before = image_api.received()
        agent.does(words)
        if "--confirm" in words:
            spent.append((Decimal(agent.known["USD"]), image_api.received() - before))
        else:
            assert image_api.received() == before, words

    run = "host-stub run scenes.json --confirm HASH --max-cost USD --json"
    ((cost_usd, sent),) = spent
    assert (cost_usd > 0, sent) == (True, 3)
    assert agent.codes.pop(run) == 4
    assert [words for words, code in agent.codes.items() if code] == []
    assert {words.split()[1] for words in agent.codes} >= {
        "check",
        "init",
        "plan",
        "sheet",
        "ask",
        "wait",
    }


def test_the_skill_is_printed_and_installed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is another one, it stays; where there is this one, that is good."""
    monkeypatch.chdir(tmp_path)
    assert main(["skill"]) == 0
    assert capsys.readouterr().out == instructions()

    assert main(["skill", "--install", "skills"]) == 0
    assert "wrote skills/stage3/SKILL.md" in capsys.readouterr().out
    assert main(["skill", "--install", "skills", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    Path("skills/stage3/SKILL.md").write_text("theirs", encoding="utf-8")
    assert main(["skill", "--install", "skills"]) == 2

    assert (told["path"], told["text"]) == ("skills/stage3/SKILL.md", instructions())
    assert "hint: remove it, and install it anew" in capsys.readouterr().err
    assert Path("skills/stage3/SKILL.md").read_text(encoding="utf-8") == "theirs"
