"""Pictures brought out: what is there is left alone, what is gone is brought back."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from stage3_plugin.domain.picture import Picture
from stage3_plugin.errors import PictureLost
from stage3_plugin.storage.pictures import Pictures
from tests.fakes.pngs import make_png
from tests.stage3.stored import Stored

pytestmark = pytest.mark.anyio

T = TypeVar("T")


class Counting:
    """Works at once, and counts what it had to do."""

    def __init__(self) -> None:
        self.works = 0

    async def __call__(self, work: Callable[[], T], /) -> T:
        self.works += 1
        return work()


async def kept(tmp_path: Path) -> tuple[Pictures, Counting, Picture, Path]:
    """Return the pictures with one in them, and the folder of results."""
    blocking = Counting()
    pictures = Stored(tmp_path / "state").pictures(max_pixels=1 << 20, blocking=blocking)
    part = pictures.new_folder("0" * 32) / "part-0"
    part.write_bytes(make_png("a pier", 16, 16))
    picture = await pictures.save(part)
    await pictures.remove_answer("0" * 32)
    blocking.works = 0
    return pictures, blocking, picture, tmp_path / "images"


async def test_a_copy_that_nobody_touched_is_not_made_again(tmp_path: Path) -> None:
    """Told without reading it, so that a finished run costs next to nothing."""
    pictures, blocking, picture, images = await kept(tmp_path)
    first = await pictures.publish(picture, images, "s")
    again = await pictures.publish(picture, images, "s")

    assert first == again
    assert blocking.works == 1


@pytest.mark.parametrize("change", ["gone", "edited", "same length", "a link"])
async def test_a_copy_that_was_changed_is_made_again(change: str, tmp_path: Path) -> None:
    """Whatever was done to it, the picture that was paid for is there afterwards."""
    pictures, _, picture, images = await kept(tmp_path)
    path = (await pictures.publish(picture, images, "s")).path
    original = path.read_bytes()
    if change == "edited":
        path.write_bytes(b"something else")
    elif change == "same length":
        path.write_bytes(bytes(len(original)))
        os.utime(path, (1, 1))
    else:
        path.unlink()
        if change == "a link":
            path.symlink_to(pictures.store.where(picture.sha256))
    await pictures.publish(picture, images, "s")

    assert path.read_bytes() == original
    assert not path.is_symlink()
    assert path.stat().st_nlink == 1


@pytest.mark.parametrize("damage", ["gone", "a bit", "cut"])
async def test_an_object_that_is_lost_is_made_anew_from_its_copy(
    damage: str, tmp_path: Path
) -> None:
    """And never the other way round; the copy becomes no second name of the object."""
    pictures, _, picture, images = await kept(tmp_path)
    path = (await pictures.publish(picture, images, "s")).path
    kept_at = pictures.store.where(picture.sha256)
    if damage == "gone":
        kept_at.unlink()
    else:
        whole = kept_at.read_bytes()
        kept_at.write_bytes(whole[:-9] + (b"" if damage == "cut" else bytes(9)))
    await pictures.publish(picture, images, "s")

    assert kept_at.read_bytes() == path.read_bytes() == make_png("a pier", 16, 16)
    assert kept_at.stat().st_nlink == path.stat().st_nlink == 1
    assert [one.name for one in (tmp_path / "state" / "tmp").iterdir()] == []


@pytest.mark.parametrize("copy", [None, b"something else"])
@pytest.mark.parametrize("is_gone", [True, False])
async def test_a_picture_that_is_lost_is_told(
    copy: bytes | None, *, is_gone: bool, tmp_path: Path
) -> None:
    """An edited copy is no picture of ours, and stays as it is; what is damaged goes nowhere."""
    pictures, _, picture, images = await kept(tmp_path)
    path = (await pictures.publish(picture, images, "s")).path
    kept_at = pictures.store.where(picture.sha256)
    kept_at.unlink() if is_gone else kept_at.write_bytes(b"damaged")
    path.unlink() if copy is None else path.write_bytes(copy)
    with pytest.raises(PictureLost, match="stage3 verify"):
        await pictures.publish(picture, images, "s")

    assert (path.read_bytes() if path.exists() else None) == copy
