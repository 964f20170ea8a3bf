"""The page "Keep a face through forty scenes", as a reader follows it: its config, its commands."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from host_stub.cli import main
from tests.fakes.bill import by_the_table
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.pngs import make_png
from tests.rules.repository import blocks, code, page, section, table_rows

PAGE = "keep-a-face.md"
OFFLINE = ("--set", "plugin.stage3.provider=previz", "--out", "boards")
_FIGURES = (
    (re.compile(r"\d+(\.\d+)? m?s\b"), "# s"),
    (re.compile(r", speed-up \d+(\.\d+)? \(concurrent\)"), ""),  # where it is worth a word
    (re.compile(r"\(stage3-plugin [\d.]+\)"), "(stage3-plugin #)"),
    (re.compile(r"^\[\d+/4\] "), "[#/4] "),
)


def plainly(text: str) -> list[str]:
    """Return lines without the times, which are others each time; what it costs is not."""
    lines = text.splitlines()
    for pattern, instead in _FIGURES:
        lines = [pattern.sub(instead, line) for line in lines]
    return lines


@dataclass(frozen=True)
class Said:
    """What a command said."""

    stdout: str
    stderr: str


class Reader:
    """Somebody who does what the page says."""

    def __init__(self, folder: Path, api: ImageApi, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.api, self._capsys = folder, api, capsys
        self("init", ".")
        (config,) = blocks(page(PAGE), "toml")
        own = f'base_url = "{api.base_url}"\n\n[plugin.stage3.cast.mira]'
        config = config.replace("[plugin.stage3.cast.mira]", own, 1)
        (folder / "host.toml").write_text(config, encoding="utf-8")
        (folder / "refs").mkdir()
        self.draw("a girl in a yellow raincoat")

    def draw(self, words: str) -> None:
        """Put a picture of Mira where the page has it."""
        (self.folder / "refs" / "mira.png").write_bytes(make_png(words, 640, 640))

    def change(self, before: str, after: str) -> None:
        """Change the config."""
        path = self.folder / "host.toml"
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")

    def __call__(self, *words: str) -> Said:
        """Type a command, which is to succeed."""
        assert main(words) == 0
        said = self._capsys.readouterr()
        return Said(said.out, said.err)


@pytest.fixture
def reader(
    image_api: ImageApi,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Reader:
    image_api.bill = by_the_table
    folder = tmp_path / "my-story"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return Reader(folder, image_api, capsys)


def missing(shown: str, said: str) -> list[str]:
    """Return what the page shows and the command does not say; dots stand for lines left out."""
    lines = plainly(said)
    return [line for line in plainly(shown) if line not in lines and line != "..."]


def test_what_the_page_shows_is_what_is_said(reader: Reader) -> None:
    """Word for word, but for times: the plan, the run, and the plan of a changed sheet."""
    first, ran, changed = blocks(page(PAGE), "text")
    planned = reader("plan", "scenes.json")
    done = reader("run", "scenes.json")
    reader.change("in a blue jersey", "in a red jersey")
    stale = reader("plan", "scenes.json")

    assert missing(first, planned.stdout) == []
    assert sorted(plainly(done.stderr + done.stdout)) == sorted(plainly(ran))
    assert missing(changed, stale.stdout) == []
    assert reader.api.billed() == 4


def test_a_changed_sheet_costs_what_the_page_says(reader: Reader) -> None:
    """The sheet and its scenes, and no others; and the old words bring the old pictures back."""
    reader("run", "scenes.json")
    reader.change("in a blue jersey", "in a red jersey")
    reader("run", "scenes.json")
    anew = reader.api.billed()
    reader.change("in a red jersey", "in a blue jersey")
    back = reader("run", "scenes.json")
    (reader.folder / "refs" / "mira.png").rename(reader.folder / "refs" / "girl.png")
    reader.change("refs/mira.png", "refs/girl.png")
    renamed = reader("run", "scenes.json")

    assert anew == 4 + 3
    assert "all of them reused" in back.stdout
    assert "all of them reused" in renamed.stdout
    assert reader.api.billed() == anew


def test_storyboards_need_no_cast(reader: Reader) -> None:
    """They are drawn from words, no sheet is made, and nothing is sent."""
    drawn = reader("run", "scenes.json", *OFFLINE)

    assert "3 pictures" in drawn.stdout
    assert "references of 3 scenes" in drawn.stderr
    assert reader.api.entries == []


WRONG: dict[str, list[object]] = {
    "refs/nowhere.png": ["refs/nowhere.png"],
    "../outside.png": ["../outside.png"],
    "https://example.com/a.png": ["https://example.com/a.png"],
    "refs/words.png": ["refs/words.png"],
    "scene:nobody": ["scene:nobody"],
    "itself": ["scene:itself"],
    "seventeen": [f"refs/{number}.png" for number in range(16)],
}


def test_what_is_refused_is_said_as_the_page_has_it(reader: Reader) -> None:
    """Each way to be refused, by the plan and before anything is sent."""
    refs = reader.folder / "refs"
    refs.joinpath("words.png").write_text("a note\n" * 40, encoding="utf-8")
    reader.folder.parent.joinpath("outside.png").write_bytes(make_png("outside", 64, 64))
    for number in range(16):
        refs.joinpath(f"{number}.png").write_bytes(make_png(f"number {number}", 64, 64))
    seen = {"prompt": "the sea", "characters_in_scene": ["mira", "who"]}
    scenes = [{"scene_id": one, "references": wrong, **seen} for one, wrong in WRONG.items()]
    (reader.folder / "wrong.json").write_text(json.dumps(scenes), encoding="utf-8")
    said = reader("plan", "wrong.json").stdout
    refs.joinpath("mira.png").unlink()
    without = reader("plan", "scenes.json").stdout

    rows = table_rows(section(page("references.md"), "When a reference is refused"))
    phrases = [code(row[0]) for row in rows]
    assert len(phrases) == 8
    assert [phrase for phrase in phrases if phrase not in said + without] == []
    assert reader.api.entries == []
