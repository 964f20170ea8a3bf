"""A store with a near and a far side, the far one being memory, a folder, and a real S3 server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import pytest
from obstore.store import LocalStore as ObstoreFolder
from obstore.store import MemoryStore

from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.reference import Limits, ReferenceWish
from stage3_plugin.errors import BucketFailed
from stage3_plugin.files.new_file import NewFile
from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.storage.bucket import Bucket
from stage3_plugin.storage.inspect import inspect_file
from stage3_plugin.storage.store import PictureStore
from tests.fakes.pngs import make_png
from tests.stage3.pictures.test_any_store import DATA, MOST_PIXELS, OTHER, saved
from tests.stage3.references.opened import opened, project

Make: TypeAlias = Callable[[pytest.FixtureRequest, Path], Bucket]


def in_memory(_request: pytest.FixtureRequest, _tmp_path: Path) -> Bucket:
    return Bucket("memory://", MemoryStore())


def in_a_folder(_request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    return in_a_folder_of(tmp_path)


def in_a_folder_of(tmp_path: Path) -> Bucket:
    (tmp_path / "far").mkdir()
    return Bucket.at(f"file://{tmp_path}/far")


def at_a_server(request: pytest.FixtureRequest, _tmp_path: Path) -> Bucket:
    return Bucket.at(request.getfixturevalue("bucket"))


@pytest.fixture(params=[in_memory, in_a_folder, at_a_server])
def far(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    make: Make = request.param
    return make(request, tmp_path)


@pytest.fixture
def near(tmp_path: Path) -> PictureStore:
    return PictureStore(StateDir(tmp_path / ".stage3"))


@pytest.fixture
def store(far: Bucket, tmp_path: Path) -> PictureStore:
    return PictureStore(StateDir(tmp_path / ".stage3"), far=far)


def bytes_in(far: Bucket, sha256: str, tmp_path: Path) -> bytes | None:
    """Return what a bucket has of a picture."""
    path = tmp_path / f"got-{sha256[:6]}"
    with NewFile(path) as file:
        is_there = far.get(sha256, file.write)
    data = path.read_bytes()
    path.unlink()
    return data if is_there else None


def test_what_is_longer_than_any_picture_is_not_read(tmp_path: Path) -> None:
    """Whoever put it there could keep a run at it for as long as they like."""
    far = in_a_folder_of(tmp_path)
    sha256 = hashlib.sha256(OTHER).hexdigest()
    lies = tmp_path / "far" / sha256[:2] / sha256
    lies.parent.mkdir()
    with lies.open("wb") as file:
        file.truncate((1 << 30) + 1)

    assert bytes_in(far, sha256, tmp_path) is None


def test_a_copy_that_is_taken_back_goes_to_a_bucket_that_lacks_it(
    near: PictureStore, store: PictureStore, far: Bucket, tmp_path: Path
) -> None:
    """And once it is there, it is not sent again."""
    sha256 = hashlib.sha256(DATA).hexdigest()
    store.restore(sha256, BytesIO(DATA))

    assert near.holds(sha256)
    assert bytes_in(far, sha256, tmp_path) == DATA


def test_a_long_picture_comes_back(store: PictureStore, far: Bucket, tmp_path: Path) -> None:
    """As it went."""
    part = tmp_path / "long"
    part.write_bytes(make_png("sea", 64, 64) + bytes(1 << 20) * 20)
    sha256 = hashlib.sha256(part.read_bytes()).hexdigest()
    far.put(sha256, part, "image/png")

    assert far.size_of(sha256) == part.stat().st_size
    assert store.recall(sha256)
    assert store.where(sha256).read_bytes() == part.read_bytes()


class Refusing(Bucket):
    """Takes nothing, and says what it saw of the near side meanwhile."""

    near: PictureStore
    saw: tuple[bool, ...] = ()

    def put(self, sha256: str, path: Path, media_type: str | None = None) -> None:  # noqa: ARG002
        self.saw += (path == self.near.where(sha256) and self.near.holds(sha256),)
        raise BucketFailed(f"{self.address}/{sha256}", "it has no room")


def test_the_near_side_has_it_first(near: PictureStore, tmp_path: Path) -> None:
    """So that nothing is lost where the bucket fails; and it is not saved then."""
    far = Refusing("memory://", MemoryStore())
    far.near = near
    store = PictureStore(StateDir(tmp_path / ".stage3"), far=far)
    with pytest.raises(BucketFailed, match="it has no room"):
        saved(store, tmp_path)
    store.restore(hashlib.sha256(OTHER).hexdigest(), BytesIO(OTHER))  # was safe before

    assert far.saw == (True, True)
    assert near.pictures() == {hashlib.sha256(one).hexdigest() for one in (DATA, OTHER)}


def test_a_folder_has_plain_files(tmp_path: Path) -> None:
    """So that whatever else reads a shared disk finds them."""
    (tmp_path / "far with a space").mkdir()
    far = Bucket.at(f"file://{tmp_path}/far%20with%20a%20space")
    part = tmp_path / "part"
    part.write_bytes(DATA)
    picture: Picture = inspect_file(part, max_pixels=MOST_PIXELS).picture
    far.put(picture.sha256, part, picture.media_type)
    lies = tmp_path / "far with a space" / picture.sha256[:2] / picture.sha256

    assert lies.read_bytes() == DATA
    assert far.url_of(picture.sha256) == f"file://{lies}".replace(" ", "%20")
    assert ObstoreFolder(tmp_path / "far with a space").head(
        f"{picture.sha256[:2]}/{picture.sha256}"
    )["size"] == len(DATA)


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["gone", "damaged"])
async def test_a_reference_is_read_from_the_bucket_where_the_near_one_is(
    store: PictureStore, tmp_path: Path, how: str
) -> None:
    """Gone or damaged: a scene that shows another's picture to a model is made all the same."""
    picture = saved(store, tmp_path)
    path = store.where(picture.sha256)
    path.unlink()
    if how == "damaged":
        path.write_bytes(OTHER)
    async with opened(project(tmp_path / "p"), store=store) as references:
        shown = await references.show(
            ReferenceWish(image="scene:s01"), Limits(media_types=("image/png",)), picture
        )

    assert shown.sha256 == picture.sha256
    assert path.read_bytes() == DATA
