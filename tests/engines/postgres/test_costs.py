"""``stage3 costs`` reads a server as it reads a file: the same rows, a page at a time."""

from __future__ import annotations

import json
from itertools import chain, combinations
from pathlib import Path

import pytest

from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.postgres import engine
from stage3_plugin.ledger.spending import DIMENSIONS, Spent, spending
from tests.engines.postgres.test_move import Story
from tests.engines.postgres_server import PostgresServer


@pytest.fixture
def story(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    made = Story(tmp_path, postgres)
    monkeypatch.setenv("LEDGER", made.url)
    monkeypatch.chdir(tmp_path)
    made.fill()
    with made.project.open() as ledger, ledger.transaction():
        ledger.name_story("dead", "out/lighthouse")
    return made


def all_of(ledger: Ledger) -> list[list[Spent]]:
    """Return what was spent, told apart in every way."""
    every = chain.from_iterable(combinations(DIMENSIONS, n) for n in range(len(DIMENSIONS) + 1))
    return [
        sorted(spending(ledger, by, by_month=by_month))
        for by in every
        for by_month in (True, False)
    ]


def test_a_server_is_read_as_a_file_is(
    story: Story, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row by row, over several pages; and by its config, in the current folder."""
    monkeypatch.setattr(engine, "_FETCH", "FETCH 2 FROM found")
    with story.project.open() as ledger:
        in_file = all_of(ledger)
    assert story.stage3("move-ledger") == 0
    with story.place.open() as ledger:
        on_server = all_of(ledger)
        assert ledger.problems() == []
    capsys.readouterr()
    assert story.stage3("costs", "--by", "story,scene") == 0
    said = json.loads(capsys.readouterr().out)
    assert story.stage3("costs", "--csv", "costs.csv") == 0

    assert on_server == in_file
    assert {one.story for one in chain.from_iterable(on_server)} == {"", "out/lighthouse"}
    assert said["total"]["requests"] == 11
    assert {one["story"] for one in said["lines"]} == {"out/lighthouse"}
    assert (story.folder / "costs.csv").read_text(encoding="utf-8").count("\n") > 1
