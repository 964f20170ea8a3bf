"""Which copies are still those that were made, and which answers lie where they are received."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from stage3_plugin.storage.inspect import inspect_file
from tests.fakes.pngs import make_png
from tests.stage3.stored import Stored

Result = TypeVar("Result")

ATTEMPT = "0123456789abcdef0123456789abcdef"
DATA = make_png("rain", 32, 32)


class Counted:
    """Does disk work in place, and counts it."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, work: Callable[[], Result], /) -> Result:
        self.calls += 1
        return work()


@pytest.fixture
def store(tmp_path: Path) -> Stored:
    return Stored(tmp_path / ".stage3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out" / "images"


def kept_in(store: Stored, data: bytes = DATA) -> Path:
    part = store.spool.new_folder("made") / "part-0"
    part.write_bytes(data)
    path = store.save(part, inspect_file(part, max_pixels=10_000))
    store.spool.remove("made")
    return path


# Copies that nobody has touched ------------------------------------------------------------------


def edited(path: Path) -> None:
    path.write_bytes(b"x" * len(DATA))


def made_longer(path: Path) -> None:
    path.write_bytes(DATA + b"x")


def saved_again(path: Path) -> None:
    os.utime(path)


def made_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def made_a_link_to_a_twin(path: Path) -> None:
    twin = path.with_name("twin.png")
    path.rename(twin)
    path.symlink_to(twin)


@pytest.mark.parametrize(
    "touch",
    [Path.unlink, edited, made_longer, saved_again, made_a_folder, made_a_link_to_a_twin],
)
def test_a_copy_that_was_touched_is_made_anew(
    store: Stored, folder: Path, touch: Callable[[Path], object]
) -> None:
    """Also where a link to a twin of the picture took its place: links are not results."""
    kept = kept_in(store)
    touch(store.publish(kept, folder, "rain", "image/png"))

    assert store.published(kept, folder, "rain", "image/png") is None


def test_without_its_object_a_copy_is_no_proof(store: Stored, folder: Path) -> None:
    """Then nothing says what it should be."""
    kept = kept_in(store)
    store.publish(kept, folder, "rain", "image/png")
    kept.unlink()

    assert store.published(kept, folder, "rain", "image/png") is None


# The pictures ------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_picture_in_its_place_costs_no_disk_work(store: Stored, folder: Path) -> None:
    """Ten thousand of them would wait for a thread each."""
    counted = Counted()
    pictures = store.pictures(max_pixels=10_000, blocking=counted)
    part = pictures.new_folder(ATTEMPT) / "part-0"
    part.write_bytes(DATA)
    picture = await pictures.save(part)
    path, root = folder / "rain.png", folder.parent
    await pictures.put(picture, path, root=root)
    after_first = counted.calls
    await pictures.put(picture, path, root=root)

    assert path.read_bytes() == DATA
    assert (picture.width_px, picture.size_bytes) == (32, len(DATA))
    assert counted.calls == after_first
