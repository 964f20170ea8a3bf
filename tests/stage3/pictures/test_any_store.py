"""What every store of pictures does, wherever it keeps them; the local one and one in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import pytest

from stage3_plugin.domain.picture import Picture
from stage3_plugin.files.folder import Folder
from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.storage.inspect import inspect_file, inspect_open
from stage3_plugin.storage.placing import PlacedPictures
from stage3_plugin.storage.store import PictureStore
from tests.fakes.pngs import make_png
from tests.stage3.pictures.in_memory import MemoryStore

Make: TypeAlias = Callable[[Path], PictureStore]
DATA = make_png("rain", 32, 32)
OTHER = make_png("snow", 48, 48)
MOST_PIXELS = 10_000


def in_a_state_folder(tmp_path: Path) -> PictureStore:
    return PictureStore(StateDir(tmp_path / ".stage3"))


def in_memory(_tmp_path: Path) -> PictureStore:
    return MemoryStore()


@pytest.fixture(params=[in_a_state_folder, in_memory])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PictureStore:
    make: Make = request.param
    return make(tmp_path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tmp_path / "images"


def saved(store: PictureStore, tmp_path: Path, data: bytes = DATA) -> Picture:
    """Save a picture from a file that is gone afterwards."""
    part = tmp_path / "part"
    part.write_bytes(data)
    inspected = inspect_file(part, max_pixels=MOST_PIXELS, may_go_on=True)
    store.save(part, inspected)
    part.unlink()
    return inspected.picture


def test_a_saved_picture_is_there_by_its_bytes(store: PictureStore, tmp_path: Path) -> None:
    """Whole, however often it is saved, and read as it was inspected."""
    picture = saved(store, tmp_path)
    saved(store, tmp_path)

    assert picture.sha256 == hashlib.sha256(DATA).hexdigest()
    assert store.holds(picture.sha256)
    assert store.pictures() == {picture.sha256}
    with store.read(picture.sha256) as file:
        assert file.read() == DATA
    with store.read(picture.sha256) as file:
        assert inspect_open(file, max_pixels=MOST_PIXELS).picture == picture


def test_what_was_never_saved_is_not_there(store: PictureStore, tmp_path: Path) -> None:
    """And that is no failure of the store: it is asked before anything is bought."""
    sha256 = hashlib.sha256(OTHER).hexdigest()
    before = store.pictures()
    saved(store, tmp_path)

    assert before == frozenset()
    assert not store.holds(sha256)
    assert store.stamp(sha256) is None
    with pytest.raises(FileNotFoundError):
        store.read(sha256)


def test_saving_leaves_the_file_as_it_is(store: PictureStore, tmp_path: Path) -> None:
    """It is the proof of what was paid for until the ledger says so."""
    part = tmp_path / "part"
    part.write_bytes(DATA)
    part.chmod(0o400)
    store.save(part, inspect_file(part, max_pixels=MOST_PIXELS))

    assert part.read_bytes() == DATA


def test_what_does_not_belong_to_a_picture_is_not_its_bytes(
    store: PictureStore, tmp_path: Path
) -> None:
    """Blanks before it and words behind it are left out of what is named by its hash."""
    picture = saved(store, tmp_path, b"\r\n" + DATA + b"<!-- and then -->")

    assert picture.sha256 == hashlib.sha256(DATA).hexdigest()
    assert store.holds(picture.sha256)
    with store.read(picture.sha256) as file:
        assert file.read() == DATA


def test_a_copy_has_the_stamp_of_its_picture(
    store: PictureStore, tmp_path: Path, images: Path
) -> None:
    """So it is known again without being read, and what was there is replaced."""
    picture = saved(store, tmp_path)
    images.mkdir()
    (images / "a.png").write_bytes(b"before")
    with Folder(images) as folder:
        store.place(picture.sha256, folder, "a.png")
    copy = (images / "a.png").stat()

    assert (images / "a.png").read_bytes() == DATA
    assert store.stamp(picture.sha256) == (copy.st_size, copy.st_mtime_ns)
    assert [path.name for path in images.iterdir()] == ["a.png"]


def test_changing_a_copy_changes_no_picture(
    store: PictureStore, tmp_path: Path, images: Path
) -> None:
    """Neither one that was placed nor one that a picture was restored from."""
    placed = PlacedPictures(store)
    picture = saved(store, tmp_path)
    path = images / "rain.png"
    placed.place(picture.sha256, path, images.parent)
    with path.open("rb") as copy:
        store.restore(picture.sha256, copy)
    with path.open("r+b") as file:
        file.write(b"edited")

    assert store.holds(picture.sha256)
    with store.read(picture.sha256) as file:
        assert file.read() == DATA


def test_a_picture_comes_back_from_its_copy(tmp_path: Path, images: Path) -> None:
    """Into a store that has lost it, or never had it: by its bytes alone."""
    old, new = in_a_state_folder(tmp_path / "a"), in_memory(tmp_path)
    for one, other in ((old, new), (new, in_a_state_folder(tmp_path / "b"))):
        picture = saved(one, tmp_path)
        path = images / "rain.png"
        PlacedPictures(one).place(picture.sha256, path, images.parent)

        assert PlacedPictures(other).take_back(picture.sha256, path, images.parent)
        assert other.holds(picture.sha256)


def test_restoring_takes_the_bytes_of_a_copy(store: PictureStore) -> None:
    """From wherever they are read."""
    sha256 = hashlib.sha256(OTHER).hexdigest()
    store.restore(sha256, BytesIO(OTHER))

    assert store.holds(sha256)


def test_a_picture_beside_the_story_that_is_not_ours_is_kept(
    store: PictureStore, tmp_path: Path, images: Path
) -> None:
    """Before ours takes its name; a copy of another of ours simply goes."""
    placed = PlacedPictures(store)
    rain, snow = saved(store, tmp_path), saved(store, tmp_path, OTHER)
    images.mkdir()
    (images / "s.png").write_bytes(b"somebody's own")
    for one in (rain, snow):
        placed.place(one.sha256, images / "s.png", images.parent)

    assert (images / "s.png").read_bytes() == OTHER
    assert [path.read_bytes() for path in (images / "kept").iterdir()] == [b"somebody's own"]


def test_where_a_picture_is_can_be_said(store: PictureStore) -> None:
    """Of one that is not there, too."""
    assert "ab12" in str(store.where("ab12"))
