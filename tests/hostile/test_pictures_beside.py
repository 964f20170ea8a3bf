"""Pictures beside the story: what is there is named, kept, and never lost without a word.

Whoever edits a picture by hand, or tries another plugin or other settings in the same folder, hears
before anything is spent or replaced what will be, and has everything afterwards.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from host_stub import plain_image
from host_stub.text.file_names import file_stem
from stage3_plugin.storage.store import PictureStore
from tests.doors import Ran, painter, run_stage, scenes
from tests.fakes.image_api import ImageApi
from tests.heavy import further

RUNS = pytest.mark.anyio
EDITED = b"edited by hand: no picture that any of us has made"


def images(folder: Path) -> Path:
    return folder / "out" / "images"


def kept(folder: Path) -> dict[str, bytes]:
    """Return what is kept, by name."""
    where = images(folder) / "kept"
    return {path.name: path.read_bytes() for path in where.iterdir()} if where.exists() else {}


def warned(ran: Ran) -> list[str]:
    return [event["message"] for event in ran.named("stage.warned")]


def order(ran: Ran) -> list[str]:
    return [event["event"] for event in ran.events]


@RUNS
async def test_an_edited_picture_is_kept_and_named_before_it_is_replaced(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """By a run that finds what was bought, with nothing sent."""
    await run_stage(painter(image_api), scenes(2), tmp_path)
    edited = images(tmp_path) / "s01.png"
    bought = edited.read_bytes()
    edited.write_bytes(EDITED)
    ran = await run_stage(painter(image_api), scenes(2), tmp_path)

    assert edited.read_bytes() == bought
    assert list(kept(tmp_path).values()) == [EDITED]
    [name] = kept(tmp_path)
    foretold, told = warned(ran)
    assert foretold.startswith("1 picture in ")
    assert "s01.png" in foretold
    assert "nothing is paid again" in foretold
    assert name in told
    assert order(ran).index("stage.warned") < order(ran).index("scene.reused")
    assert image_api.billed() == 2


@RUNS
async def test_the_same_edit_is_kept_once_and_another_beside_it(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """What is kept is never replaced."""
    for content in (None, EDITED, EDITED, EDITED + b"!", EDITED):
        if content is not None:
            (images(tmp_path) / "s01.png").write_bytes(content)
        await run_stage(painter(image_api), scenes(1), tmp_path)

    assert sorted(kept(tmp_path).values()) == [EDITED, EDITED + b"!"]

    [first, _] = sorted((images(tmp_path) / "kept").iterdir(), key=lambda path: path.stat().st_size)
    first.write_bytes(b"and somebody worked on that, too")
    (images(tmp_path) / "s01.png").write_bytes(EDITED)
    await run_stage(painter(image_api), scenes(1), tmp_path)

    assert len(kept(tmp_path)) == 3


@RUNS
async def test_other_settings_say_what_they_replace_and_both_can_be_had_again(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Paid copies lie in the store; so they are not kept twice."""
    await run_stage(painter(image_api), scenes(3), tmp_path)
    first = {path.name: path.read_bytes() for path in images(tmp_path).iterdir()}
    other = await run_stage(painter(image_api, size="96x64"), scenes(4), tmp_path)
    back = await run_stage(painter(image_api), scenes(3), tmp_path)

    [told] = warned(other)
    assert told.startswith(f"3 pictures in {images(tmp_path)} will be replaced")
    assert order(other).index("stage.warned") < order(other).index("scene.started")
    assert warned(back)[0].startswith("3 pictures")
    assert all(outcome.reused for outcome in back.outcomes.values())
    assert image_api.billed() == 7
    assert {
        path.name: path.read_bytes() for path in images(tmp_path).iterdir() if path.name in first
    } == first
    assert kept(tmp_path) == {}


@RUNS
async def test_a_copy_whose_object_is_damaged_is_the_only_one_and_is_kept(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """The store says that it has the bytes, and has not."""
    await run_stage(painter(image_api), scenes(1), tmp_path)
    bought = (images(tmp_path) / "s01.png").read_bytes()
    [stored] = (tmp_path / ".stage3" / "objects").glob("??/*")
    stored.write_bytes(b"damaged")
    await run_stage(painter(image_api, size="96x64"), scenes(1), tmp_path)

    assert list(kept(tmp_path).values()) == [bought]


@RUNS
async def test_what_is_no_picture_file_is_not_kept(image_api: ImageApi, tmp_path: Path) -> None:
    """A link loses nothing but itself, and nothing is written through it."""
    elsewhere = tmp_path / "elsewhere.png"
    elsewhere.write_bytes(EDITED)
    images(tmp_path).mkdir(parents=True)
    (images(tmp_path) / "s01.png").symlink_to(elsewhere)
    (images(tmp_path) / "s02.png").touch()
    await run_stage(painter(image_api), scenes(2), tmp_path)

    assert kept(tmp_path) == {}
    assert elsewhere.read_bytes() == EDITED
    assert not (images(tmp_path) / "s01.png").is_symlink()


@RUNS
async def test_what_cannot_be_kept_is_not_replaced(image_api: ImageApi, tmp_path: Path) -> None:
    """A file where the folder would be: the scene fails, and nothing is lost or bought again."""
    await run_stage(painter(image_api), scenes(1), tmp_path)
    (images(tmp_path) / "s01.png").write_bytes(EDITED)
    (images(tmp_path) / "kept").touch()
    ran = await run_stage(painter(image_api), scenes(1), tmp_path)

    assert ran.code("s01") == "storage"
    assert (images(tmp_path) / "s01.png").read_bytes() == EDITED
    assert image_api.billed() == 1


@RUNS
@pytest.mark.parametrize("has_links", [True, False])
async def test_an_edited_picture_outlives_a_full_disk(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_links: bool
) -> None:
    """It is kept before the picture takes its name, which it has until then where it can have two.

    Some file systems have no hard links, and some refuse one to a file of somebody else's.
    """
    await run_stage(painter(image_api), scenes(1), tmp_path)
    edited = images(tmp_path) / "s01.png"
    bought = edited.read_bytes()
    edited.write_bytes(EDITED)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC if has_links else errno.EPERM, "refused")

    with monkeypatch.context() as refusing:
        if has_links:
            refusing.setattr(PictureStore, "place", refuse)
        else:
            refusing.setattr(os, "link", refuse)
        ran = await run_stage(painter(image_api), scenes(1), tmp_path)

    assert list(kept(tmp_path).values()) == [EDITED]
    assert edited.read_bytes() == (EDITED if has_links else bought)
    assert (ran.code("s01") == "storage") is has_links
    if has_links:
        ran = await run_stage(painter(image_api), scenes(1), tmp_path)
    assert any("is kept as" in line for line in warned(ran))
    assert (edited.read_bytes(), list(kept(tmp_path).values())) == (bought, [EDITED])
    assert image_api.billed() == 1


@RUNS
@pytest.mark.parametrize("what", ["a file", "a link to nothing", "a link to itself"])
async def test_what_has_the_name_of_the_folder_for_what_is_kept_is_named(
    image_api: ImageApi, tmp_path: Path, what: str
) -> None:
    """The edited picture is not at fault, and stays."""
    await run_stage(painter(image_api), scenes(1), tmp_path)
    (images(tmp_path) / "s01.png").write_bytes(EDITED)
    where = images(tmp_path) / "kept"
    if what == "a file":
        where.write_bytes(b"notes")
    else:
        where.symlink_to("kept" if what.endswith("itself") else "/nowhere/at/all")
    ran = await run_stage(painter(image_api), scenes(1), tmp_path)

    assert ran.code("s01") == "storage"
    failure = ran.outcomes["s01"].failure
    assert failure is not None
    assert f"{where}: " in failure.message
    assert (images(tmp_path) / "s01.png").read_bytes() == EDITED
    assert image_api.billed() == 1


@given(
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40
    )
)
@example("日本")
@example("a-0123456789abcdef")
@example("\u202e\u3164\ufe0f")
def test_every_plugin_of_ours_gives_a_scene_the_same_file(scene_id: str) -> None:
    """Or swapping one for another would leave two pictures of each scene."""
    stem = file_stem(scene_id)

    assert plain_image.file_stem(scene_id) == stem
    assert len(f"{stem}-{'0' * 16}-99.webp".encode()) <= 143
    assert unicodedata.normalize("NFC", stem) == stem
    assert not any(unicodedata.category(one)[0] in "CZ" for one in stem)


# Through the host --------------------------------------------------------------------------------


def asked(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "host_stub", *words],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


def write_story(folder: Path, *scene_ids: str, **fields: Any) -> None:
    told = [{"scene_id": one, "prompt": "a pier", "width": 64, "height": 36} for one in scene_ids]
    (folder / "story.json").write_text(json.dumps([one | fields for one in told]), encoding="utf-8")


def test_another_plugin_replaces_nothing(tmp_path: Path) -> None:
    """With one word, as the README has it: its pictures are takes, and the story shows its own."""
    write_story(tmp_path, "a", "日本")
    assert asked(tmp_path, "run", "story.json").returncode == 0
    drawn = {path.name: path.read_bytes() for path in images(tmp_path).iterdir()}
    planned = asked(tmp_path, "plan", "story.json", "--image", "plain")
    plain = asked(tmp_path, "run", "story.json", "--image", "plain")
    back = asked(tmp_path, "run", "story.json")

    after = {path.name: path.read_bytes() for path in images(tmp_path).iterdir()}
    for done in (planned, plain):
        assert "plain is not the plugin of the config" in done.stdout + done.stderr
    first = next(line for line in plain.stderr.splitlines() if line.startswith("[1/2]"))
    assert plain.stderr.index("not the plugin of the config") < plain.stderr.index(first)
    assert after == drawn
    assert "warning" not in back.stderr
    takes = [list(folder.iterdir()) for folder in (tmp_path / "out" / "takes").iterdir()]
    assert [len(one) for one in takes] == [2, 2]


@pytest.mark.parametrize("plugin", ["stage3", *further(["plain"])])
def test_every_plugin_keeps_what_was_edited(tmp_path: Path, plugin: str) -> None:
    write_story(tmp_path, "a")
    assert asked(tmp_path, "run", "story.json", "--image", plugin).returncode == 0
    (images(tmp_path) / "a.png").write_bytes(EDITED)
    done = asked(tmp_path, "run", "story.json", "--image", plugin)

    assert done.returncode == 0
    [(name, content)] = kept(tmp_path).items()
    assert content == EDITED
    assert f"kept/{name}" in done.stderr


def test_the_same_picture_is_one_take(tmp_path: Path) -> None:
    """A plugin that draws the same again and again fills no folder."""
    write_story(tmp_path, "日本")
    for _ in range(2):
        assert asked(tmp_path, "run", "story.json", "--image", "plain").returncode == 0

    assert [path.name for path in images(tmp_path).iterdir()] == ["日本-cf2abf0c5be326cb.png"]
    assert len(list((tmp_path / "out" / "takes").glob("*/*"))) == 1
