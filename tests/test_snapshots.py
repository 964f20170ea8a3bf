"""What snapshots before the first release left is refused by name, and stays as it is.

``snapshots.tar.xz`` has ledgers as three of them wrote them, the last with a run that was killed
and its log, and the book of a story.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from host_stub.cli import main
from stage3_plugin.cli import main as stage3
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.pngs import make_png

SNAPSHOTS = Path(__file__).with_name("snapshots.tar.xz")


@pytest.fixture
def project(
    tmp_path: Path, image_api: ImageApi, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], Path]:
    """Return what lays out a project, with a folder of a snapshot in it under some name."""
    table = {"provider": "openrouter", "model": "a/painter", "price_usd": "0.05"}
    table |= {"base_url": image_api.base_url, "api_key": KEY, "size": "64x64"}
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in table.items())
    (tmp_path / "host.toml").write_text(f"[plugin.stage3]\n{lines}", "utf-8")
    (tmp_path / "scenes.json").write_text('[{"scene_id": "s1", "image_prompt": "a pier"}]', "utf-8")
    monkeypatch.chdir(tmp_path)

    def lay_out(name: str, where: str) -> Path:
        folder = tmp_path / where
        folder.mkdir(parents=True)
        with tarfile.open(SNAPSHOTS) as packed:
            for one in packed.getmembers():
                if one.name.startswith(f"{name}/"):
                    one.name = one.name.partition("/")[2]
                    packed.extract(one, folder, filter="data")
        return folder

    return lay_out


def bytes_in(folder: Path) -> dict[str, bytes]:
    """Return all that lies in a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


DOORS: dict[str, Callable[[], int]] = {
    "run": lambda: main(["run", "scenes.json"]),
    "plan": lambda: main(["plan", "scenes.json"]),
    "status": lambda: main(["status", "--scenes", "scenes.json"]),
    "check": lambda: main(["check"]),
    "attempts": lambda: stage3(["attempts"]),
    "verify": lambda: stage3(["verify"]),
    "resolve": lambda: stage3(["resolve", "ffffff", "--resend"]),
    "attempts --state-dir": lambda: main(["stage3", "attempts", "--state-dir", ".stage3"]),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_ledger_with_a_killed_run_is_refused_with_its_money(
    door: str,
    project: Callable[[str, str], Path],
    image_api: ImageApi,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Also what lies in its log alone; nothing is asked or made, and not a byte is another."""
    project("5", ".stage3")
    before = bytes_in(tmp_path)

    assert DOORS[door]() == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "ledger.db is the ledger of a snapshot before the first release" in told
    assert "open in it: 4, of unknown outcome: 1" in told
    assert "total_usd has counted $0.239, daily_usd $0.05 of fal, $0.189 of openai" in told
    assert "on 2026-11-30; a new ledger begins at 0 and counts none of that" in told
    assert "go on with it by the checkout that wrote it" in told
    assert "set another `state_dir`" in told
    assert "'host-stub import SCENE FILE'" in told
    assert bytes_in(tmp_path) == before
    assert image_api.entries == []


def test_of_an_old_ledger_and_an_old_book_a_run_names_the_ledger(
    project: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """It has the money."""
    project("5", ".stage3")
    project("story", ".story/out")

    assert main(["run", "scenes.json"]) == 2
    assert "ledger.db is the ledger of a snapshot" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name, said",
    [
        ("1", "open in it: 2, of unknown outcome: 1; total_usd has counted $"),
        ("3", "open in it: 2, of unknown outcome: 1; total_usd has counted $"),
    ],
)
def test_older_ones_are_told_by_what_columns_they_have(
    name: str, said: str, project: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever their tables were."""
    state = project(name, ".stage3")
    before = bytes_in(state)

    assert main(["plan", "scenes.json"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"(its schema is {name}, known here is 6)" in told
    assert said in told
    assert bytes_in(state) == before


def test_what_cannot_be_read_of_one_is_not_called_nothing(
    project: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Damage is no zero."""
    path = project("3", ".stage3") / "ledger.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + bytes(len(whole) - 4096))

    assert main(["plan", "scenes.json"]) == 2
    told = capsys.readouterr().err
    assert "is the ledger of a snapshot" in told
    assert "what is open in it cannot be read here" in told
    assert "what its caps have counted cannot be read here" in told


def test_one_begins_anew_with_another_folder_and_the_pictures_that_are_there(
    project: Callable[[str, str], Path], image_api: ImageApi, tmp_path: Path
) -> None:
    """As the refusal says: a picture that was paid for is imported, and is not bought again."""
    state = project("5", ".stage3")
    before = bytes_in(state)
    (tmp_path / "paid.png").write_bytes(make_png("paid", 64, 64))
    config = tmp_path / "host.toml"
    config.write_text(config.read_text("utf-8") + 'state_dir = ".stage3-2"\n', "utf-8")

    assert main(["import", "s1", "paid.png", "--scenes", "scenes.json"]) == 0
    assert main(["run", "scenes.json"]) == 0
    assert image_api.billed() == 0
    assert bytes_in(state) == before


@pytest.mark.parametrize(
    "words", [["run", "scenes.json"], ["plan", "scenes.json"], ["status"], ["takes", "s1"]]
)
def test_a_storys_book_is_refused_with_what_is_in_it(
    words: list[str],
    project: Callable[[str, str], Path],
    image_api: ImageApi,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """What people picked is there, and is not in a new one; nothing at all is made or moved."""
    project("story", ".story/out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "events.jsonl").write_text("{}\n", "utf-8")
    before = bytes_in(tmp_path)

    assert main(words) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "story.db: it is the book of a snapshot before the first release" in told
    assert "(its form is 2, known here is 3)" in told
    assert "what was picked, imported, rejected and noted is in it" in told
    assert "go on with it by the checkout that wrote it" in told
    assert "move the folder out of .story" in told
    assert bytes_in(tmp_path) == before
    assert image_api.entries == []


def test_another_folder_for_the_results_is_another_story(
    project: Callable[[str, str], Path], image_api: ImageApi
) -> None:
    """As the refusal says."""
    project("story", ".story/out")

    assert main(["run", "scenes.json", "--out", "other"]) == 0
    assert image_api.billed() == 1
