"""A run whose pictures are kept by another store: nothing but the spool needs a disk of its own."""

from functools import partial
from pathlib import Path

import anyio
import pytest

from stage3_plugin.engine import build
from stage3_plugin.errors import StorageFailed
from stage3_plugin.storage.inspect import InspectedFile
from stage3_plugin.testing.wire import Asked
from tests import doors
from tests.doors import settings_for
from tests.fakes.behaviours import Ok
from tests.fakes.image_api import ImageApi
from tests.stage3.pictures.in_memory import MemoryStore
from tests.stage3.running import run_stage, story

pytestmark = pytest.mark.anyio


class Refusing(MemoryStore):
    """Takes nothing for now."""

    is_full = True

    def save(self, part: Path, inspected: InspectedFile) -> None:
        if self.is_full:
            raise StorageFailed(Path("memory"), OSError(28, "No space left on device"))
        super().save(part, inspected)


def use(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stages be opened with it."""
    monkeypatch.setattr(build, "PictureStore", partial(_it, store))


def _it(store: MemoryStore, *_: object, **_named: object) -> MemoryStore:
    return store


async def test_a_story_is_made_and_reused(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pictures are placed, found again, placed anew where they are gone, and bought once."""
    store = MemoryStore()
    use(store, monkeypatch)
    settings, scenes = settings_for(image_api), story("s01", "s02", "s03")
    images = tmp_path / "out" / "images"

    first = await run_stage(settings, scenes, tmp_path)
    shown = {path.name: path.read_bytes() for path in images.iterdir()}
    (images / "s02.png").unlink()
    second = await run_stage(settings, scenes, tmp_path)

    assert [first.code(one) for one in first.outcomes] == ["made"] * 3
    assert all(outcome.reused for outcome in second.outcomes.values())
    assert image_api.received() == image_api.billed() == 3
    assert {path.name: path.read_bytes() for path in images.iterdir()} == shown
    assert sorted(data for data, _ in store.kept.values()) == sorted(shown.values())
    assert not (tmp_path / ".stage3" / "objects").exists()


async def test_a_picture_that_is_lost_comes_back_from_its_copy(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is bought again for what can be seen in the folder of results."""
    use(MemoryStore(), monkeypatch)
    settings, scenes = settings_for(image_api), story("s01")
    await run_stage(settings, scenes, tmp_path)
    emptied = MemoryStore()
    use(emptied, monkeypatch)
    ran = await run_stage(settings, scenes, tmp_path)

    assert ran.outcomes["s01"].reused
    assert image_api.received() == 1
    assert len(emptied.kept) == 1


async def test_a_store_that_takes_nothing_costs_nothing_again(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer stays in the spool, and the next run takes it in from there."""
    store = Refusing()
    use(store, monkeypatch)
    settings, scenes = settings_for(image_api), story("s01")
    first = await run_stage(settings, scenes, tmp_path)
    left = await anyio.to_thread.run_sync(lambda: list((tmp_path / ".stage3" / "spool").iterdir()))
    store.is_full = False
    second = await run_stage(settings, scenes, tmp_path)

    assert first.code("s01") == "storage"
    assert len(left) == 1
    assert second.code("s01") == "made"
    assert image_api.received() == image_api.billed() == 1
    assert len(store.kept) == 1


async def test_a_store_beside_that_goes_away_stops_the_run_and_loses_nothing(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """No picture counts as paid until both have it; its answer is kept, and taken in later."""
    pytest.importorskip("obstore")
    store, disk = tmp_path / "store", tmp_path / "disk"
    store.mkdir()

    def answer(asked: Asked) -> Ok:
        if asked.prompt.startswith("s02"):
            store.rename(disk)
        return Ok()

    image_api.otherwise = answer
    settings = doors.painter(image_api, store=f"file://{store}", capacity=1)
    first = await doors.run_stage(settings, doors.scenes(3), tmp_path)
    disk.rename(store)
    second = await doors.run_stage(settings, doors.scenes(3), tmp_path)

    assert [first.code(one) for one in ("s01", "s02", "s03")] == ["made", "storage", "not_tried"]
    assert {second.code(one) for one in second.outcomes} == {"made"}
    assert image_api.received() == image_api.billed() == 3
    assert {one.sha256 for one in second.outcomes.values()} <= {
        path.stem for path in store.rglob("*")
    }
