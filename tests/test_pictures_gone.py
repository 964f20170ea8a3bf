"""Whatever a state folder lacks of a paid picture comes from where it still is, by either door."""

from __future__ import annotations

import itertools
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


CASES = {f"library, {way}": (by_program, way) for way in WAYS} | {
    f"command, {way}": (by_command, way)
    for way in ("no folder of pictures", "no file", "half of it")
}


@pytest.mark.parametrize("make, way", CASES.values(), ids=CASES)
def test_a_picture_that_the_state_folder_lacks_comes_from_its_copy_or_the_bucket(
    make: Make, way: str, image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, into both again, and for nothing; only where neither has it, it is called lost."""
    pytest.importorskip("obstore")
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    image_api.always(bills(0.05))
    for has_copy, has_bucket in itertools.product((True, False), repeat=2):
        folder, bucket = (tmp_path / f"{name} {has_copy} {has_bucket}" for name in ("at", "bucket"))
        folder.mkdir()
        bucket.mkdir()
        monkeypatch.chdir(folder)
        store = f"file://{bucket}".replace(" ", "%20") if has_bucket else None
        before = make(image_api, folder, store)
        (paid,) = (one for one in folder.glob(".stage3/objects/*/*") if one.is_file())
        picture = paid.read_bytes()
        WAYS[way](paid)
        if not has_copy:
            shutil.rmtree(folder / "out")
        asked = image_api.received()
        after = make(image_api, folder, store)

        where = f"copy {has_copy}, bucket {has_bucket}"
        is_there = has_copy or has_bucket
        assert (before, after) == ("made", "reused" if is_there else "storage"), where
        assert image_api.received() == asked, where
        assert states(folder) == [State.PAID]
        verified = stage3("verify", "--state-dir", str(folder / ".stage3"))
        assert (verified.data["problems"] == []) is is_there, json.dumps(verified.data)
        if is_there:
            assert (folder / "out" / "images" / "s01.png").read_bytes() == picture
            assert paid.read_bytes() == picture
