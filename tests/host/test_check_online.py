"""``check --online`` with plugins of every kind: those that can ask, cannot, or answer nonsense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from host_stub.cli import main
from tests.host.conftest import Distribute
from tests.said import Said, Say

ASKING = """
import dataclasses
from contextlib import asynccontextmanager
from host_stub import plain_image
from host_stub.contract import OnlineCheck, StageError
from host_stub.hookspecs import hookimpl

class Asking:
    def __init__(self, stage):
        self.plan, self.run = stage.plan, stage.run

    async def check_online(self):
        {body}

@asynccontextmanager
async def _open(settings, services):
    async with plain_image.host_image_plugin().open(settings, services) as stage:
        yield Asking(stage)

@hookimpl
def host_image_plugin():
    return dataclasses.replace(plain_image.host_image_plugin(), open=_open)
"""
KEY = "OnlineCheck(asked='key', verdict='good', message='accepted')"
MODEL = "OnlineCheck(asked='model', verdict={!r}, message='{}', hint='choose', name='oil')"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


Asked: TypeAlias = Callable[[str], Said]


@pytest.fixture
def asked(distribute: Distribute, capsys: pytest.CaptureFixture[str]) -> Asked:
    """Run the command with a plugin that answers by some line of code."""

    def ask(body: str) -> Said:
        modules = {"asking_hooks": ASKING.format(body=body)}
        distribute("asking", {"asking": "asking_hooks"}, modules)
        return Say(capsys, main)("check", "--online", "--image", "asking")

    return ask


def test_a_warning_is_said_and_ends_nothing(asked: Asked) -> None:
    """Also where no picture would be made; its next step stands below it."""
    warned = MODEL.format("bad", "it is gone").replace("hint=", "is_warning=True, hint=")
    said = asked(f"return ({KEY}, {warned})")

    assert (said.code, said.err) == (0, "warning: the model oil: it is gone [online_check]\n")
    assert "#   model oil: bad, it is gone\n#     next: choose\n" in said.out
    assert said.out.endswith("# ok: the stage opens; no picture was asked for\n")


def test_a_plugin_that_cannot_ask_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It was written before, or has nobody to ask; the command goes on as without the option."""
    codes = [main(["check", "--online", "--image", "plain", *more]) for more in ([], ["--json"])]
    out = capsys.readouterr().out

    assert codes == [0, 0]
    assert "# online: this plugin cannot ask anybody" in out
    assert '"online": null' in out


@pytest.mark.parametrize(
    "body",
    ["return None", "return [1]", f"return [{KEY}]", "return ('key',)", f"return ({KEY}, 7)",
     "return (OnlineCheck(asked='wallet', verdict='good', message=''),)",
     "return (OnlineCheck(asked='key', verdict='fine', message=''),)"],
)  # fmt: skip
def test_nonsense_is_the_plugins_fault(asked: Asked, body: str) -> None:
    """And no good answer."""
    said = asked(body)

    assert said.code == 2
    assert "breaks check.told: check_online() returned something else" in said.err


def test_a_stage_that_cannot_ask_now_could_not_start(asked: Asked) -> None:
    """Whatever it raises."""
    said = asked("raise StageError('the line is dead', hint='wait')")

    assert said.code == 2
    assert "the line is dead" in said.err
    assert "hint: wait" in said.err


def test_no_answer_can_act_on_the_terminal(asked: Asked) -> None:
    """Words of a stranger are shown as they are written."""
    said = asked(
        "return (OnlineCheck(asked='model', verdict='good', message='\\x1b[2J', hint='\\n', "
        "name='\u202e'),)"
    )

    assert said.code == 0
    assert "\x1b" not in said.out
    assert "\u202e" not in said.out
