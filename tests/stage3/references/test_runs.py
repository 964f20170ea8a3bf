"""References in whole runs before the loopback API: what changes, is lacking or stops meanwhile."""

from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from host_stub.contract import Scene
from stage3_plugin.domain.reference import ReferenceWish
from stage3_plugin.errors import StorageFailed
from stage3_plugin.storage.references import bodies
from stage3_plugin.storage.references.locating import Places
from tests.doors import settings_for
from tests.fakes.behaviours import Ok
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.requests import shown_in
from tests.fakes.wire import Exchange
from tests.stage3.references.opened import encoded, sha256
from tests.stage3.running import Ran, Story, run_stage

pytestmark = pytest.mark.anyio

MIRA = make_png("Mira", 64, 64)


def story(count: int, image: str = "mira.png") -> Story:
    """Make scenes that all show one file."""
    names = [f"s{number}" for number in range(count)]
    return Story(
        [Scene(scene_id=name, prompt=f"{name}: a pier", references=(image,)) for name in names]
    )


async def run(api: ImageApi, folder: Path, scenes: Story, **more: Any) -> Ran:
    """Run a story whose files lie in the folder."""
    settings = settings_for(api, size="1024x1024", capacity=1)
    return await run_stage(settings, scenes, folder, scenes_dir=folder, **more)


def codes(ran: Ran) -> set[str]:
    """Return how the scenes ended."""
    return {ran.code(scene_id) for scene_id in ran.outcomes}


async def test_no_two_scenes_of_a_run_are_shown_different_files_of_a_name(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Though it is replaced while the first of them is bought; the next run shows the new one."""
    path = tmp_path / "mira.png"
    path.write_bytes(MIRA)

    class Replacing:
        async def answer(self, exchange: Exchange) -> None:
            path.write_bytes(make_png("someone else", 64, 64))
            await Ok().answer(exchange)

    image_api.always(Replacing())
    first = await run(image_api, tmp_path, story(3))
    shown = [one.sha256 for entry in image_api.entries for one in shown_in(entry.asked)]
    second = await run(image_api, tmp_path, story(3))

    assert codes(first) == codes(second) == {"made"}
    assert shown == [sha256(MIRA)] * 3
    assert len(image_api.entries) == 6


async def test_a_full_disk_stops_a_run_before_money(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No scene is rejected for it: the disk is at fault, and once there is room all are made."""
    (tmp_path / "mira.png").write_bytes(MIRA)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(bodies, "write_whole", full)
        with pytest.raises(StorageFailed, match="No space left on device"):
            await run(image_api, tmp_path, story(2))
    asked = len(image_api.entries)
    ran = await run(image_api, tmp_path, story(2))

    assert asked == 0
    assert codes(ran) == {"made"}


async def test_a_run_that_is_told_to_stop_opens_no_more_files(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A story may have thousands that copies are made of first; nothing of it is sent."""
    stopping, opened = anyio.Event(), list[str]()
    opening = Places.open

    def stops(wish: ReferenceWish, place: Any) -> object:
        opened.append(wish.image)
        stopping.set()
        return opening(wish, place)

    monkeypatch.setattr(Places, "open", staticmethod(stops))
    names = [f"{number}.png" for number in range(20)]
    for name in names:
        (tmp_path / name).write_bytes(make_png(name, 64, 64))
    scenes = [
        Scene(scene_id=f"s{name[:-4]}", prompt="a pier", references=(name,)) for name in names
    ]
    ran = await run(image_api, tmp_path, Story(scenes), stopping=stopping)

    assert opened == ["0.png"]
    assert codes(ran) == {"not_tried"}
    assert image_api.entries == []


@pytest.mark.slow
async def test_two_runs_at_once_pay_once_for_what_they_copy(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Each makes copies of its own, and neither removes what the other is at."""
    (tmp_path / "mira.gif").write_bytes(encoded("GIF", (300, 300)))
    ran = [Ran(), Ran()]

    async with anyio.create_task_group() as runs:
        for one in ran:
            mira = partial(run, image_api, tmp_path, story(4, "mira.gif"), into=one)
            runs.start_soon(mira)

    assert [codes(one) for one in ran] == [{"made"}, {"made"}]
    assert len(image_api.entries) == 4
    assert list((tmp_path / ".stage3/tmp").iterdir()) == []
