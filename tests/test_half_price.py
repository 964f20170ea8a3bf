"""The page "Half price", as a reader follows it: 200 scenes, from both prices to the pictures."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import stage3_plugin.cli
from host_stub.cli import main
from stage3_plugin.testing.batch_plans import Batched, Line
from tests.fakes.behaviours import Gate
from tests.fakes.bill import by_the_table
from tests.fakes.image_api import KEY, ImageApi
from tests.places import wait
from tests.rules.repository import blocks, page, section

PAGE = page("half-price.md")
WAY = section(PAGE, "200 scenes, from the price to the pictures")
REFUSED = "Shot from above of a storybook: Mira runs in the harbour by lamplight"
OTHERS_EACH_TIME = (
    (re.compile(r"batch_\d{8}"), "batch_#"),
    (re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?"), "<moment>"),
    (re.compile(r"\b\d+(\.\d+)? m?s\b"), "# s"),
    (re.compile(r", speed-up \d+(\.\d+)? \(concurrent\)"), ""),
    (re.compile(r"\(stage3-plugin [\d.]+\)"), "(stage3-plugin #)"),
    (re.compile(r", \d+ of \d+ lines done"), ""),  # a batch that was looked at early says nothing
)


def plainly(text: str) -> list[str]:
    """Return lines without what is another each time."""
    for pattern, instead in OTHERS_EACH_TIME:
        text = pattern.sub(instead, text)
    return text.splitlines()


class Reader:
    """Types what the page says, and hears all that is said but the progress of each scene."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.code: int | None = None

    def __call__(self, command: str) -> str:
        program, *words = shlex.split(command)
        self.code = {"host-stub": main, "stage3": stage3_plugin.cli.main}[program](words)
        said = self._capsys.readouterr()
        warned = [line for line in said.err.splitlines(keepends=True) if line[0] != "["]
        return said.out + "".join(warned)


@pytest.fixture
def gate() -> Gate:
    """Keep the batch from ending."""
    return Gate()


@pytest.fixture
def reader(
    image_api: ImageApi,
    gate: Gate,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Reader:
    """Return one who has the page's config and story, with the loopback's address in it."""
    image_api.bill = by_the_table
    image_api.batches.plan = Batched(until=gate)
    image_api.batches.script_line(Line(ends="refused"), scene=REFUSED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    wait(monkeypatch, "engine.pending", BATCH_LOOKS_S=(0.0, 0.01))
    config = blocks(WAY, "toml")[0] + f'base_url = "{image_api.base_url}"\n'
    Path("host.toml").write_text(config, encoding="utf-8")
    (program,) = blocks(WAY, "python")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "story.py", "exec"), {})  # as it stands
    Path("scenes.json").write_text(printed.getvalue(), encoding="utf-8")
    return Reader(capsys)


def steps() -> Iterator[tuple[str, str]]:
    """Yield each command of the page with what it is to say."""
    shown = blocks(WAY, "text")
    commands = [block.removeprefix("$ ").strip() for block in blocks(WAY, "console")]

    assert len(commands) == len(shown) == 5
    yield from zip(commands, shown, strict=True)


def assert_said(shown: str, said: str) -> None:
    """Compare word for word; dots on the page stand for lines that it leaves out."""
    wanted, lines = plainly(shown), plainly(said)
    if "..." not in wanted:
        assert lines == wanted
        return
    assert [line for line in wanted if line not in lines and line != "..."] == [], said


def test_what_the_page_shows_is_what_is_said(
    reader: Reader, gate: Gate, image_api: ImageApi
) -> None:
    """Word for word, but for moments and names: the plan, both runs, the look, the costs."""
    codes: list[int | None] = []
    for number, (command, shown) in enumerate(steps()):
        if number == 3:
            gate.open()  # it is the next morning
        assert_said(shown, reader(command))
        codes.append(reader.code)

    assert codes == [0, 5, 5, 1, 0]
    assert len(image_api.batches.all) == 1
    assert (image_api.batches.received(), image_api.batches.billed()) == (200, 199)
    assert image_api.billed() == 0
    assert f"{image_api.batches.billed_usd}" in steps_shown("stage3 costs")


def steps_shown(command: str) -> str:
    """Return what the page shows of a command."""
    return dict(steps())[command]


def test_the_page_says_what_half_is(reader: Reader) -> None:
    """Both lanes' prices are those of the plan, one twice the other; a smaller budget shows it."""
    reader("host-stub plan scenes.json --lane batch")
    by_lane = re.findall(r"(ordinary|batch)\b.*?: \$([\d.]+) to \$([\d.]+)", WAY)
    (_, low, high), (_, half_low, half_high) = by_lane

    assert [name for name, _, _ in by_lane] == ["ordinary", "batch"]
    assert float(half_high) == pytest.approx(float(high) / 2, abs=1e-3)
    assert float(half_low) == pytest.approx(float(low) / 2, abs=1e-3)
