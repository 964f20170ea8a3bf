"""``scene:ID`` is the picture that the host shows of ID, as long as that is what ID is now."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from host_stub.contract import Scene, ShownPicture
from stage3_plugin.engine.build import open_stage
from tests.doors import settings_for
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.requests import shown_in
from tests.stage3.running import Ran, Story, asking, run_stage
from tests.stage3.test_survey import states, survey

pytestmark = pytest.mark.anyio


def scene(scene_id: str, *references: str) -> Scene:
    return Scene(
        scene_id=scene_id,
        prompt=f"{scene_id}: a pier at dusk",
        references=references,
    )


BROUGHT = make_png("brought by a person", 64, 64)
FIRST, SECOND = scene("first"), scene("second", "scene:first")


def sha256_of(picture: bytes) -> str:
    return hashlib.sha256(picture).hexdigest()


def placed(ran: Ran, scene_id: str) -> str:
    sha256 = ran.outcomes[scene_id].sha256
    assert sha256 is not None
    return sha256


async def basis_of(image_api: ImageApi, folder: Path, one: Scene) -> str:
    found = await survey(settings_for(image_api), [one], folder)
    basis = found[one.scene_id].basis
    assert basis is not None
    return basis


def shows(scene_id: str, picture: ShownPicture) -> Callable[[str], ShownPicture | None]:
    return {scene_id: picture}.get


@pytest.fixture
def brought(tmp_path: Path) -> Path:
    path = tmp_path / "kept" / "own.png"
    path.parent.mkdir()
    path.write_bytes(BROUGHT)
    return path


async def test_a_picture_that_a_person_brought_is_shown_to_the_model(
    image_api: ImageApi, tmp_path: Path, brought: Path
) -> None:
    """Its scene is not made, and those that refer to it are sent its very bytes."""
    basis = await basis_of(image_api, tmp_path, FIRST)
    shown = shows("first", ShownPicture(sha256=sha256_of(BROUGHT), basis=basis, path=brought))
    story, asked = Story([FIRST, SECOND]), Story([SECOND])
    settings = settings_for(image_api)
    async with open_stage(settings, tmp_path) as stage:
        plan = await stage.plan(asking(asked, story=story, shown=shown))
    ran = await run_stage(settings, asked, tmp_path, whole_story=story, shown=shown)
    found = await survey(settings, [FIRST, SECOND], tmp_path, shown=shown)

    assert plan.make == 1
    assert list(ran.outcomes) == ["second"]
    assert ran.code("second") == "made"
    [entry] = image_api.entries
    assert [one.data for one in shown_in(entry.asked)] == [BROUGHT]
    assert states(found) == {"first": [], "second": [True]}


async def test_a_picture_of_an_earlier_basis_is_not_shown(
    image_api: ImageApi, tmp_path: Path, brought: Path
) -> None:
    """A scene that is another now shows what is made of it now."""
    own = ShownPicture(sha256=sha256_of(BROUGHT), basis="of before", path=brought)
    story = Story([FIRST, SECOND])
    ran = await run_stage(settings_for(image_api), story, tmp_path, shown=shows("first", own))

    second = next(one for one in image_api.entries if "second" in one.asked.prompt)
    assert [one.sha256 for one in shown_in(second.asked)] == [placed(ran, "first")]


def _another(path: Path) -> None:
    path.write_bytes(make_png("another one", 64, 64))


def _no_picture(path: Path) -> None:
    path.write_bytes(b"#!/bin/sh\n")


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _a_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere.png"))
    path.symlink_to(path.with_name("elsewhere.png"))


@pytest.mark.parametrize("spoil", [_another, _no_picture, Path.unlink, _a_folder, _a_link])
async def test_what_is_not_the_picture_that_was_brought_is_not_sent(
    image_api: ImageApi, tmp_path: Path, brought: Path, spoil: Callable[[Path], None]
) -> None:
    """Another file, none, a folder, a link: the scene that would show it costs nothing."""
    basis = await basis_of(image_api, tmp_path, FIRST)
    own = ShownPicture(sha256=sha256_of(BROUGHT), basis=basis, path=brought)
    spoil(brought)
    story, asked = Story([FIRST, SECOND]), Story([SECOND])
    shown = shows("first", own)
    ran = await run_stage(settings_for(image_api), asked, tmp_path, whole_story=story, shown=shown)

    assert ran.code("second") == "rejected"
    failure = ran.outcomes["second"].failure
    assert failure is not None
    assert "scene:first" in failure.message
    assert image_api.entries == []
