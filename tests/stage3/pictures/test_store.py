"""The store: objects that last, copies that are whole, and never a byte outside."""

import errno
import hashlib
import io
import os
import shutil
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stage3_plugin.domain.picture import Picture
from stage3_plugin.errors import StorageFailed
from stage3_plugin.files import folder as folders
from stage3_plugin.storage.inspect import InspectedFile
from stage3_plugin.storage.pictures import free_bytes
from tests.stage3.pictures.samples import PNGS, noise, saved
from tests.stage3.stored import Stored

DATA = PNGS["RGB"]
DAY_S = 24 * 60 * 60

needs_links = pytest.mark.skipif(os.name == "nt", reason="making links needs a privilege there")


def inspected(data: bytes = DATA) -> InspectedFile:
    picture = Picture(
        sha256=hashlib.sha256(data).hexdigest(),
        media_type="image/png",
        width_px=61,
        height_px=47,
        size_bytes=len(data),
    )
    return InspectedFile(picture=picture)


@pytest.fixture
def store(tmp_path: Path) -> Stored:
    return Stored(tmp_path / "project" / ".stage3")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """The folder pictures are published in; it does not exist yet."""
    return tmp_path / "project" / "out" / "images"


def kept(store: Stored, data: bytes = DATA) -> Path:
    part = store.spool.new_folder(hashlib.sha256(data).hexdigest()[:8]) / "part-0"
    part.write_bytes(data)
    return store.save(part, inspected(data))


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@contextmanager
def nothing_changes(folder: Path) -> Generator[None]:
    """Assert that no file, link or folder below ``folder`` is made, changed or removed."""

    def snapshot() -> list[tuple[str, int, int, int, int]]:
        return sorted(
            (str(path), found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)
            for path in (folder, *folder.rglob("*"))
            for found in [path.lstat()]
        )

    before = snapshot()
    yield
    assert snapshot() == before


# Objects ---------------------------------------------------------------------------------------


def test_a_damaged_object_is_healed_by_the_same_picture(store: Stored) -> None:
    """What the disk lost is not kept for its name."""
    path = kept(store)
    path.unlink()
    path.write_bytes(b"rotten")

    kept(store)

    assert path.read_bytes() == DATA


def test_where_there_are_no_links_the_part_is_copied(
    store: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAT and some network file systems know none."""

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)

    assert kept(store).read_bytes() == DATA


def test_an_object_is_synced_before_it_has_its_name(
    store: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the bytes, then the name, then the folder: whatever a power cut leaves is whole."""
    steps: list[str] = []
    sync, rename = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        steps.append("folder" if is_folder else "file")
        sync(descriptor)

    def note_rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_rename)
    kept(store)

    assert steps[:3] == ["file", "rename", "folder"]


def test_the_folders_around_an_object_are_synced_once_by_every_store(
    store: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that no name leads to is lost; whoever made a folder may not have synced it yet."""
    synced: list[int] = []
    sync = os.fsync

    def note_sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            synced.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note_sync)
    path = kept(store)
    kept(store)
    kept(Stored(store.state_dir))

    bucket, *around = (above.stat().st_ino for above in list(path.parents)[:4])
    assert synced == [bucket, *around, bucket, bucket, *around]


@pytest.mark.parametrize("function", ["fsync", "link and write", "replace"])
def test_a_failure_while_keeping_leaves_no_object_and_no_leftover(
    store: Stored, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """A failed sync is never taken for a success."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        if function == "fsync":
            patch.setattr(os, "fsync", fail)
        elif function == "replace":
            patch.setattr(Path, "replace", fail)
        else:
            patch.setattr(os, "link", fail)
            patch.setattr(os, "write", fail)
        with pytest.raises(StorageFailed, match="Input/output error"):
            kept(store)
    path = store.objects.where(inspected().picture.sha256)

    assert not path.exists()
    assert not files_below(path.parents[2] / "tmp")
    assert kept(store) == path


# Spool folders ---------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt_id", ["", "..", ".", "a/b", "/etc", "a.b", "-a", "a" * 65, "a\0"])
def test_a_spool_folder_is_never_outside(store: Stored, attempt_id: str) -> None:
    """An attempt's id is our own; anything else is a mistake of ours."""
    with pytest.raises(ValueError, match="attempt id"):
        store.spool.new_folder(attempt_id)
    with pytest.raises(ValueError, match="attempt id"):
        store.spool.remove(attempt_id)


@needs_links
def test_removing_a_spool_does_not_follow_links(store: Stored, tmp_path: Path) -> None:
    """A planted link goes, what it leads to stays."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"precious")
    folder = store.spool.new_folder("a")
    (folder / "link").symlink_to(outside)
    (folder.parent / "b").symlink_to(outside)

    with nothing_changes(outside):
        store.spool.remove("a")
        with pytest.raises(StorageFailed):
            store.spool.remove("b")


# Publishing ------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="no such modes")
@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o644)])
def test_a_published_file_is_as_readable_as_the_umask_says(
    store: Stored, images: Path, umask: int, mode: int
) -> None:
    """Objects are their owner's alone; results are like any other file of the user's."""
    before = os.umask(umask)
    try:
        path = store.publish(kept(store), images, "s", "image/png")
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == mode


@needs_links
def test_a_link_in_the_place_of_a_picture_is_replaced_not_followed(
    store: Stored, images: Path, tmp_path: Path
) -> None:
    """Whatever stands there, what it leads to is not touched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"precious")
    images.mkdir(parents=True)
    (images / "a.png").symlink_to(outside / "victim")
    (images / "b.png").symlink_to(outside / "new")
    (images / "c.jpg").symlink_to(outside / "victim")
    os.link(outside / "victim", images / "d.png")
    os.mkfifo(images / "e.png")
    os.mkfifo(images / "f.jpg")

    with nothing_changes(outside):
        for stem in "abcdef":
            path = store.publish(kept(store), images, stem, "image/png")

            assert not path.is_symlink()
            assert path.read_bytes() == DATA


@needs_links
def test_a_folder_that_is_a_link_to_elsewhere_is_refused(
    store: Stored, images: Path, tmp_path: Path
) -> None:
    """Results are written inside the output folder only."""
    outside = tmp_path / "outside"
    outside.mkdir()
    images.parent.mkdir(parents=True)
    images.symlink_to(outside)

    with nothing_changes(outside), pytest.raises(StorageFailed, match="leads out of its folder"):
        store.publish(kept(store), images, "s", "image/png")


@needs_links
def test_a_folder_that_is_a_link_within_its_folder_is_followed(store: Stored, images: Path) -> None:
    """Somebody's own arrangement of the output folder is theirs to make."""
    (images.parent / "2024").mkdir(parents=True)
    images.symlink_to("2024")

    path = store.publish(kept(store), images, "s", "image/png")

    assert path == images / "s.png"
    assert (images.parent / "2024" / "s.png").read_bytes() == DATA


@needs_links
def test_a_folder_exchanged_for_a_link_meanwhile_changes_nothing_outside(
    store: Stored, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is held open: what was checked is what is written to."""
    outside = tmp_path / "outside"
    outside.mkdir()
    moved = images.parent / "moved"

    def exchange(_original: io.FileIO, _copy: io.FileIO) -> None:
        images.rename(moved)
        images.symlink_to(outside)

    monkeypatch.setattr(folders, "_copy_in_kernel", exchange)
    with nothing_changes(outside):
        store.publish(kept(store), images, "s", "image/png")

    assert (moved / "s.png").read_bytes() == DATA


@pytest.mark.parametrize("place", ["images", "a picture"])
def test_something_else_in_the_way_is_a_failure_of_storage(
    store: Stored, images: Path, place: str
) -> None:
    """A folder where a file should be, or a file where a folder should be."""
    if place == "images":
        images.parent.mkdir(parents=True)
        images.write_bytes(b"")
    else:
        (images / "s.png").mkdir(parents=True)

    with pytest.raises(StorageFailed):
        store.publish(kept(store), images, "s", "image/png")
    assert not [name for name in files_below(images) if name.startswith(".tmp-")]


def cannot(*_: object) -> int:
    raise OSError(errno.EXDEV, "Invalid cross-device link")


@pytest.mark.skipif(os.name == "nt", reason="no such limit")
def test_a_write_the_system_really_stops_leaves_no_half_file(store: Stored, images: Path) -> None:
    """The same with an error of the kernel's own: files of this process may not pass 64 KiB."""
    resource = pytest.importorskip("resource")
    original = kept(store, saved(noise("RGB", 300, 300), "PNG"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))
    try:
        with pytest.raises(StorageFailed, match="File too large"):
            store.publish(original, images, "s", "image/png")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert original.stat().st_size > 65_536
    assert files_below(images) == []


@pytest.mark.parametrize("most", [0, 1, 1000])
def test_what_the_kernel_does_not_copy_python_does(
    store: Stored, images: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """None of it, or the rest of it: where it gave up, the other way goes on."""
    pieces = [most] if most else []

    def some(source: int, target: int, _count: int) -> int:
        return os.write(target, os.read(source, pieces.pop())) if pieces else cannot()

    monkeypatch.setattr(os, "copy_file_range", some, raising=False)
    path = store.publish(kept(store), images, "s", "image/png")

    assert path.read_bytes() == DATA


# The same scene in another format --------------------------------------------------------------


def test_a_copy_in_another_format_from_an_earlier_run_is_removed(
    store: Stored, images: Path
) -> None:
    """One scene, one picture: the older one is still an object of the store."""
    older = kept(store, PNGS["grey"])
    store.publish(older, images, "s", "image/png")
    store.publish(older, images, "other", "image/png")
    store.publish(kept(store), images, "s", "image/jpeg")

    assert files_below(images) == ["other.png", "s.jpg"]
    assert older.read_bytes() == PNGS["grey"]


# Leftovers and space ---------------------------------------------------------------------------


def test_leftovers_of_a_killed_run_go_after_a_day(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Younger ones may belong to a run that is alive; other files are not ours."""
    state = tmp_path / "project" / ".stage3"
    (state / "tmp").mkdir(parents=True)
    images.mkdir(parents=True)
    old_s = time.time() - DAY_S - 60
    for folder in (state / "tmp", images):
        for name in (".tmp-one", "theirs.png"):
            (folder / name).write_bytes(b"x")
            os.utime(folder / name, (old_s, old_s))  # as a copy that is being made has it
        (folder / ".tmp-folder").mkdir()
    young = Stored(state)
    young.publish(kept(young), images, "s", "image/png")

    assert files_below(state / "tmp") == [".tmp-one", "theirs.png"]
    assert files_below(images) == [".tmp-one", "s.png", "theirs.png"]

    later_s = time.time() + DAY_S + 60
    monkeypatch.setattr(time, "time", lambda: later_s)
    old = Stored(state)
    old.publish(kept(old), images, "s", "image/png")

    assert files_below(state / "tmp") == ["theirs.png"]
    assert files_below(images) == ["s.png", "theirs.png"]
    assert (images / ".tmp-folder").is_dir()


def test_a_store_is_opened_without_making_anything(tmp_path: Path) -> None:
    """Looking at a project leaves no trace."""
    Stored(tmp_path / "a" / "b")

    assert list(tmp_path.iterdir()) == []


def test_a_relative_state_folder_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changing the working folder meanwhile does not move the store."""
    monkeypatch.chdir(tmp_path)
    store = Stored(Path("state"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert kept(store).is_relative_to(tmp_path / "state")


def test_free_space_is_told_of_a_folder_yet_to_be_made(tmp_path: Path) -> None:
    """The answer is that of the disk it will be on."""
    free = free_bytes(tmp_path / "not" / "yet")

    assert 0 < free <= shutil.disk_usage(tmp_path).total


def test_space_that_cannot_be_told_is_a_failure_of_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No money is spent on a guess."""

    def fail(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(shutil, "disk_usage", fail)
    with pytest.raises(StorageFailed, match="Input/output error"):
        free_bytes(tmp_path)
