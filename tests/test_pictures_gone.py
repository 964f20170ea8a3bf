"""Whatever a state folder lacks of a paid picture comes from where it still is, by either door."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from host_stub.cli import main
from stage3_plugin import make_pictures
from stage3_plugin.domain.states import State
from tests.doors import bills, stage3, states
from tests.fakes.image_api import KEY, ImageApi
from tests.library.calling import code, painter, scenes
from tests.projects import Project

Make: TypeAlias = Callable[[ImageApi, Path, str | None], str]


def by_program(api: ImageApi, folder: Path, store: str | None) -> str:
    """Make a picture with the library; return how that ended."""
    settings = painter(api, **({} if store is None else {"store": store}))
    (made,) = make_pictures(
        scenes(1), settings, project_dir=folder, out_dir=folder / "out" / "images", check=False
    )
    return code(made)


def by_command(api: ImageApi, folder: Path, store: str | None) -> str:
    """Make it with the command, in its folder."""
    project = Project(folder)
    project.scenes(1)
    project.config(api, **({} if store is None else {"store": store}))
    main(["run", "scenes.json"])
    manifest = project.manifest()
    failures = [one["code"] for one in manifest["failures"]]
    return failures[0] if failures else "reused" if manifest["images"][0]["reused"] else "made"


def _emptied(picture: Path) -> None:
    picture.write_bytes(b"")


def _halved(picture: Path) -> None:
    picture.write_bytes(picture.read_bytes()[: picture.stat().st_size // 2])


def _replaced(picture: Path) -> None:
    picture.write_bytes(bytes(picture.stat().st_size))


WAYS: dict[str, Callable[[Path], None]] = {
    "no folder of pictures": lambda picture: shutil.rmtree(picture.parent.parent),
    "no folder of this one": lambda picture: shutil.rmtree(picture.parent),
    "no file": Path.unlink,
    "an empty one": _emptied,
    "half of it": _halved,
    "other bytes": _replaced,
}


CASES = {
    f"{door}, {way}, {copy}": (make, way, copy)
    for copy in ("a copy", "no copy")
    for door, make, ways in (
        ("library", by_program, WAYS),
        ("command", by_command, ("no folder of pictures", "no file", "half of it")),
    )
    for way in ways
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image_api: ImageApi) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    image_api.always(bills(0.05))


@pytest.mark.parametrize("make, way, copy", CASES.values(), ids=CASES)
def test_a_picture_that_the_state_folder_lacks_comes_from_its_copy(
    make: Make, way: str, copy: str, image_api: ImageApi
) -> None:
    """Whole, into both again, and for nothing; where there is none, it is called lost."""
    _lose_and_make(make, way, copy, None, image_api)


@pytest.mark.slow
@pytest.mark.parametrize("make, way, copy", CASES.values(), ids=CASES)
def test_a_picture_that_the_state_folder_lacks_comes_from_the_bucket(
    make: Make, way: str, copy: str, image_api: ImageApi, tmp_path: Path
) -> None:
    """Likewise; the copy may be gone, too."""
    pytest.importorskip("obstore")
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    _lose_and_make(make, way, copy, f"file://{bucket}", image_api)


def _lose_and_make(make: Make, way: str, copy: str, store: str | None, image_api: ImageApi) -> None:
    """Make a picture, lose it in the current folder, and make it again."""
    folder = Path.cwd()
    before = make(image_api, folder, store)
    (paid,) = (one for one in folder.glob(".stage3/objects/*/*") if one.is_file())
    picture = paid.read_bytes()
    WAYS[way](paid)
    if copy == "no copy":
        shutil.rmtree(folder / "out")
    asked = image_api.received()
    after = make(image_api, folder, store)

    is_there = copy == "a copy" or store is not None
    assert (before, after) == ("made", "reused" if is_there else "storage")
    assert image_api.received() == asked
    assert states(folder) == [State.PAID]
    verified = stage3("verify", "--state-dir", str(folder / ".stage3"))
    assert (verified.data["problems"] == []) is is_there, json.dumps(verified.data)
    if is_there:
        assert (folder / "out" / "images" / "s01.png").read_bytes() == picture
        assert paid.read_bytes() == picture
