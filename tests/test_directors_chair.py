"""The page "The director's chair", as a reader follows it: its config, its commands, its sums."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from host_stub.cli import main
from tests.fakes.behaviours import Ok
from tests.fakes.bill import by_the_table
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.pngs import make_png
from tests.rules.repository import blocks, page
from tests.test_keep_a_face import plainly

PAGE = "directors-chair.md"
DECISIONS = "decisions-lena.json"
PROMPT = (
    "Medium-wide shot, night in the harbour. Lanterns on the pier under a red moon; Mira waves "
    "from the blue boat, laughing."
)


def missing(shown: str, said: str) -> list[str]:
    """Return what the page shows and the command does not say; dots stand for lines left out.

    Which scene ends first, and how a picture's bytes are packed, may differ.
    """
    there, said_lines = (
        [re.sub(r"^\[\d+/\d+\] |[0-9a-f]{12}(?=\.png)", "", line) for line in plainly(text)]
        for text in (shown, said)
    )
    return [line for line in there if line not in said_lines and line != "..."]


class Reader:
    """Somebody who does what the page says, and decides on the page that it writes."""

    def __init__(self, folder: Path, api: ImageApi, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.type("init .")
        (config,) = blocks(page(PAGE), "toml")
        own = f'base_url = "{api.base_url}"\nsize ='
        (folder / "host.toml").write_text(config.replace("size =", own, 1), encoding="utf-8")

    def type(self, line: str) -> str:
        """Type a command, which is to succeed; return all that it says."""
        assert main(shlex.split(line)) == 0
        said = self._capsys.readouterr()
        return said.err + said.out

    def takes(self, scene_id: str) -> list[dict[str, Any]]:
        """Return a scene's takes."""
        listed: list[dict[str, Any]] = json.loads(self.type(f"takes {scene_id} --json"))["takes"]
        return listed

    def decide(self) -> None:
        """Save what Lena decided, as the page saves it."""

        def about(scene_id: str, **wanted: object) -> dict[str, object]:
            seen = [f"sha256:{take['sha256']}" for take in self.takes(scene_id)]
            return {"scene": scene_id, "seen": seen, "at": "2026-11-26T14:38:12Z", **wanted}

        other = f"sha256:{self.takes('scene_001')[-1]['sha256']}"
        decisions = [
            about("scene_001", show=other),
            about("scene_002", takes=3, note="the whale is too far away"),
            about("scene_003", prompt=PROMPT),
        ]
        told = {"format": "stage3-decisions/1", "reviewer": "Lena", "decisions": decisions}
        (self.folder / DECISIONS).write_text(json.dumps(told), encoding="utf-8")


@pytest.fixture
def reader(
    image_api: ImageApi,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Reader:
    image_api.bill = by_the_table
    numbers = itertools.count()
    image_api.otherwise = lambda asked: Ok(picture=make_png(f"{next(numbers)}", *asked.size_px))
    folder = tmp_path / "my-story"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return Reader(folder, image_api, capsys)


@pytest.mark.slow
def test_the_page_can_be_followed_word_for_word(reader: Reader, image_api: ImageApi) -> None:
    """Each command runs as printed, and says what stands under it, sums and all but times."""
    commands = [
        [line.removeprefix("$ host-stub ") for line in block.splitlines()]
        for block in blocks(page(PAGE), "console")
    ]
    draft, plan, first, review, priced, second, show, cost = commands
    shown = iter(blocks(page(PAGE), "text"))
    for group in (draft, plan, first, review, priced, second, show, cost):
        if group is priced:
            reader.decide()
        said = "".join(reader.type(line) for line in group)
        if group not in (review, show):
            assert missing(next(shown), said) == []
    bought = image_api.billed()
    (again,) = second

    assert next(shown, None) is None
    assert bought == 8 + 2
    assert PROMPT in " ".join(page(PAGE).split())
    assert "all of them reused" in reader.type(again)
    assert image_api.billed() == bought
    assert reader.takes("scene_003")[0]["state"] == "draft"
    assert (reader.folder / "out" / "review" / "index.html").is_file()
    told = (reader.folder / "out" / "review" / "data.js").read_text(encoding="utf-8")
    assert "my-story" in told
