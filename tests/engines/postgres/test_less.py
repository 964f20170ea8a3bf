"""A server that came back with less: what knows of more is named, with the step for a server."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from tests.engines.postgres.test_move import Story
from tests.engines.postgres_server import PostgresServer


@pytest.fixture
def story(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    made = Story(tmp_path, postgres)
    monkeypatch.setenv("LEDGER", made.url)
    monkeypatch.chdir(tmp_path)
    made.fill()
    return made


def test_a_server_that_knows_less_than_the_folder_is_told_as_one(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    """By ``verify``: a backup of the database is to be brought back, and no file."""
    assert story.stage3("move-ledger") == 0
    for number in range(100):  # more than purchases in doubt could account for
        name = sha256(str(number).encode()).hexdigest()
        path = story.folder / ".stage3" / "objects" / name[:2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"a picture")
    capsys.readouterr()
    assert story.stage3("verify") == 1
    told = json.loads(capsys.readouterr().out)
    outdated = [one for one in told["problems"] if one["kind"] == "outdated"]

    assert len(outdated) == 1
    assert "bring back the newest backup of the server's database" in outdated[0]["hint"]
    assert "--accept-folder" in outdated[0]["hint"]
    assert "ledger.db" not in outdated[0]["hint"]
