"""Pictures that are shown to a model: read once, hashed, and held for all who send them."""

import base64
from pathlib import Path

import pytest

from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.reference import Limits
from stage3_plugin.errors import ReferenceRefused
from stage3_plugin.executors.processes import Processes
from stage3_plugin.storage.references.copies import WORK
from tests.fakes.pngs import make_png
from tests.stage3.pictures.in_memory import MemoryStore
from tests.stage3.references.opened import encoded, of_cast, opened, project, sha256, wish

pytestmark = pytest.mark.anyio

ANY = Limits()
PNG = make_png("Mira", 64, 64)


async def test_what_is_sent_is_the_file(tmp_path: Path) -> None:
    """It is known by the hash of its bytes, and sent as base64 of just these."""
    (project(tmp_path) / "story/refs/mira.png").write_bytes(PNG)

    async with opened(tmp_path) as references:
        shown = await references.show(wish("refs/mira.png", name="Mira"), ANY)
        body = bytes(references.body_of(shown.sent))

    assert shown.wish.name == "Mira"
    assert shown.sha256 == shown.sent.sha256 == sha256(PNG)
    assert (shown.sent.media_type, shown.sent.size_bytes) == ("image/png", len(PNG))
    assert not shown.is_copy
    assert base64.b64decode(body, validate=True) == PNG


async def test_a_file_that_changes_while_a_run_goes_on_is_not_read_again(tmp_path: Path) -> None:
    """By whatever name it is asked for: no two scenes of a run are shown different Miras."""
    path = project(tmp_path) / "story/refs/mira.png"
    path.write_bytes(PNG)

    async with opened(tmp_path) as references:
        first = await references.show(wish("refs/mira.png"), ANY)
        path.write_bytes(make_png("someone else", 64, 64))
        again = await references.show(wish("refs/mira.png"), ANY)
        spelled = await references.show(wish("./refs/../refs/mira.png"), ANY)
        cast = await references.show(of_cast(path), ANY)
        body = bytes(references.body_of(first.sent))
    async with opened(tmp_path) as references:
        later = await references.show(wish("refs/mira.png"), ANY)

    assert {one.sha256 for one in (first, again, spelled, cast)} == {sha256(PNG)}
    assert base64.b64decode(body) == PNG
    assert later.sha256 != first.sha256


async def test_a_stored_picture_is_shown_from_the_store(tmp_path: Path) -> None:
    """That of a sheet or another scene: whatever lies beside the story under its name."""
    store = MemoryStore()
    store.kept[sha256(PNG)] = PNG, 0
    picture = Picture(
        sha256=sha256(PNG), media_type="image/png", width_px=64, height_px=64, size_bytes=len(PNG)
    )

    async with opened(project(tmp_path), store=store) as references:
        shown = await references.show_stored(wish("scene:char_001"), picture, ANY)
        body = bytes(references.body_of(shown.sent))

    assert (shown.wish.scene_id, shown.sha256) == ("char_001", sha256(PNG))
    assert base64.b64decode(body) == PNG


@pytest.mark.parametrize("kept", [None, make_png("another", 64, 64)], ids=["gone", "damaged"])
async def test_a_stored_picture_that_is_lost_is_refused(tmp_path: Path, kept: bytes | None) -> None:
    """And what to do about it is said."""
    store = MemoryStore()
    if kept is not None:
        store.kept[sha256(PNG)] = kept, 0
    picture = Picture(
        sha256=sha256(PNG), media_type="image/png", width_px=64, height_px=64, size_bytes=len(PNG)
    )

    async with opened(project(tmp_path), store=store) as references:
        with pytest.raises(ReferenceRefused, match="'scene:a' is gone or damaged") as refused:
            await references.show_stored(wish("scene:a"), picture, ANY)

    assert "stage3 verify" in (refused.value.hint or "")


@pytest.mark.slow
async def test_a_copy_is_made_by_a_process_of_its_own(tmp_path: Path) -> None:
    """The original stays as it is; what it is known by stays its own hash."""
    original = encoded("PNG", (400, 300))
    path = project(tmp_path) / "story/refs/mira.png"
    path.write_bytes(original)
    limits = Limits(most_bytes=20_000)

    async with opened(tmp_path, copying=Processes(WORK, 1)) as references:
        shown = await references.show(wish("refs/mira.png"), limits)
        copy = base64.b64decode(references.body_of(shown.sent))

    assert path.read_bytes() == original
    assert shown.is_copy
    assert shown.sha256 == sha256(original)
    assert shown.sent.sha256 == sha256(copy)
    assert len(copy) == shown.sent.size_bytes <= 20_000
    assert list((tmp_path / "config/.stage3/tmp").iterdir()) == []
