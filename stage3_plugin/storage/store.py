"""The store of pictures: each once, named by its bytes, and safe once it is saved.

::

    state_dir/
        objects/<aa>/<sha256> every picture once, named by its bytes, synced
        originals/<attempt>-… pictures as they came, of which the object is only the beginning
        store                 the address of the bucket, if the last run had one
        tmp/                  files being written; older than a day, they are leftovers

An object is the durable copy. It may share its inode with the part it was received as, because
every file here is made new and written once, and nothing may open one to write. What is placed
beside the story is a copy of it, and never a hard link: editing the picture would change the store.
All of it is its owner's alone, whatever the state folder is.

Pictures may be kept in a bucket, too, which other machines reach. One is safe once both have it, in
this order: near, synced, then far. Until then its purchase stays open, and its answer in the spool,
so the next run takes it in again. A picture that the near side lacks comes from the far side, by
its name, and has to have the bytes it is named by.

The spool is no store: what a request receives lies on a disk of this machine, see
``spool/folders.py``. Nor is the folder beside the story, where ``placing.py`` has copies placed.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from stage3_plugin.errors import BucketFailed, StorageFailed
from stage3_plugin.files.folder import (
    TEMPORARY_PREFIX,
    Folder,
    copy_aside,
    is_regular,
    remove_leftovers,
)
from stage3_plugin.files.new_file import NewFile, replacing
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.files.private_folders import sync_file, sync_folder
from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.runtime.system_errors import says_not_there
from stage3_plugin.storage.inspect import InspectedFile

if TYPE_CHECKING:
    from stage3_plugin.storage.bucket import Bucket

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NOTE = "store"
_LONGEST_NOTE_BYTES = 16_384


class PictureStore:
    """Pictures by the SHA-256 of their bytes. Everything blocks; call it in a thread.

    Args:
        state_dir: Has them on this machine.
        masked: Covers secrets in what stands behind a picture.
        far: Has them all, too, if they are kept in a bucket.

    Attributes:
        address: Where pictures are that other machines reach too, if anywhere; without credentials.

    Raises:
        StorageFailed: Here and in every method: the store did not let us, or cannot be read now; a
            :class:`~stage3_plugin.errors.BucketFailed` is of the far side.
    """

    def __init__(
        self, state_dir: StateDir, masked: Masked = NOTHING, *, far: Bucket | None = None
    ) -> None:
        self._state_dir = state_dir
        self._masked = masked
        self._far = far
        self.address = None if far is None else far.address
        self._objects = state_dir.path / "objects"
        self._originals = state_dir.path / "originals"
        self._temporary = state_dir.path / "tmp"
        remove_leftovers(self._temporary)

    def check(self) -> None:
        """See that pictures can be taken in, as far as that can be known before any is paid for.

        On this machine the ledger does, which makes its files in the same folder.
        """
        if self._far is not None:
            self._far.probe()

    def note_address(self) -> None:
        """Note which bucket there is, or that there is none any more; see :func:`noted_bucket`."""
        path = self._state_dir.path / _NOTE
        if noted_bucket(self._state_dir.path) == self.address:
            return
        with on_disk(path):
            if self.address is None:
                path.unlink(missing_ok=True)
                return
            with replacing(path) as file:
                file.write(f"{self.address}\n".encode())

    def pictures(self) -> frozenset[str]:
        """Name all there are."""
        found: list[str] = []
        with (
            on_disk(self._objects, reading=True),
            suppress(FileNotFoundError),
            os.scandir(self._objects) as buckets,
        ):
            for bucket in buckets:
                if len(bucket.name) == 2 and bucket.is_dir():
                    found += filter(_SHA256.fullmatch, os.listdir(bucket.path))  # noqa: PTH208 - names are all it needs
        return frozenset(found)

    def where(self, sha256: str) -> Path:
        """Return where a picture lies, or would lie, to be said to a person."""
        return Path(self._named(sha256))

    def _named(self, sha256: str) -> str:
        return f"{self._objects}/{sha256[:2]}/{sha256}"  # asked for every scene: no parsing

    def url_of(self, sha256: str) -> str | None:
        """Return a picture's address that other machines reach too, if it is to have one."""
        return None if self._far is None else self._far.url_of(sha256)

    def stamp(self, sha256: str) -> tuple[int, int] | None:
        """Return a picture's length and its time in nanoseconds, which its copies have too.

        Costs no reading; ``None`` if it is not there, or does not say so.
        """
        try:
            found = os.stat(self._named(sha256))  # noqa: PTH116 - see _named
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns

    def holds(self, sha256: str) -> bool:
        """Return whether a picture is there and has the bytes it is named by; reads all of them.

        Raises:
            StorageFailed: It cannot be read now, which does not mean that it is lost.
        """
        path = self.where(sha256)
        try:
            with Folder(path.parent) as folder:
                return is_regular(folder.details(sha256)) and folder.digest(sha256) == sha256
        except OSError as error:
            if says_not_there(error):
                return False
            raise StorageFailed(path, error, reading=True) from error

    def read(self, sha256: str) -> BinaryIO:
        """Open a picture to read it, brought back first where the near side lacks it.

        Raises:
            FileNotFoundError: It is not there.
            OSError: It cannot be read now.
        """
        path = self.where(sha256)
        try:
            return path.open("rb")
        except FileNotFoundError:
            if not self.recall(sha256):
                raise
            return path.open("rb")

    def place(self, sha256: str, folder: Folder, name: str) -> None:
        """Put a copy into an open folder, whole or not at all, with the stamp of the picture.

        Whatever has the name is replaced. The copy is not synced: a power cut may damage it, and
        the next run makes it again.

        Raises:
            OSError: The folder did not take it.
        """
        copy_aside(self.where(sha256), folder, name)

    def save(self, part: Path, inspected: InspectedFile) -> None:
        """Take a picture in: once this returns, nothing that happens to this machine can lose it.

        ``part`` stays where it is, and is never opened to write: if the process dies before the
        purchase is settled, its answer is still whole and can be taken in again, to the same end. A
        picture that was there is replaced by the same bytes, which heals one that was damaged.

        Of a picture with something behind its end, the picture alone becomes the object, and the
        whole of it is kept among the originals. What means nothing before it is left out.
        """
        extent, picture = None, inspected.picture
        if inspected.trailing_bytes:
            self._keep_original(part, inspected)
        if inspected.trailing_bytes or inspected.leading_bytes:
            extent = (inspected.leading_bytes, picture.size_bytes)
        self._save(part, picture.sha256, extent)
        if self._far is not None:
            self._far.put(picture.sha256, self.where(picture.sha256), picture.media_type)

    def restore(self, sha256: str, copy: BinaryIO) -> None:
        """Take a picture in again from a copy that was placed: its bytes, and never the file.

        It was paid for and safe before: a bucket that lacks it and fails now keeps nobody from
        having it, and ``stage3 verify`` names what it lacks.

        Args:
            sha256: The picture; the copy has its bytes.
            copy: A copy, open at its beginning.
        """
        with self._aside() as aside:
            with NewFile(aside) as file:
                file.write_from(copy)
            self._save(aside, sha256)
        if self._far is not None:
            with suppress(BucketFailed):
                path = self.where(sha256)
                if self._far.size_of(sha256) != path.stat().st_size:
                    self._far.put(sha256, path)

    def recall(self, sha256: str) -> bool:
        """Bring back a picture that is not there, or is damaged, from wherever else it is kept.

        Returns:
            Whether it is there now, whole; ``False`` if it is kept nowhere else.
        """
        if self._far is None:
            return False
        with self._aside() as aside:
            with NewFile(aside) as file:
                if not self._far.get(sha256, file.write):
                    return False
            with on_disk(aside, reading=True), aside.open("rb", buffering=0) as found:
                if hashlib.file_digest(found, "sha256").hexdigest() != sha256:
                    return False
            self._save(aside, sha256)
        return True

    def _keep_original(self, part: Path, inspected: InspectedFile) -> None:
        """Keep a picture as it came, but for secrets behind its end."""
        path = self._originals / f"{part.parent.name}-{part.name}"
        with on_disk(path), self._aside() as aside:
            self._state_dir.make(self._originals, below=self._originals)
            with part.open("rb", buffering=0) as source, NewFile(aside) as file:
                file.write_from(source)
                picture_ends = inspected.leading_bytes + inspected.picture.size_bytes
                self._masked.cover_file(aside, start=picture_ends)
                file.sync()
            aside.replace(path)
            sync_folder(self._originals)
            self._state_dir.anchor(self._originals)

    @contextmanager
    def _aside(self) -> Generator[Path]:
        """Name a new file that is to be renamed when it is whole; one that is not is removed."""
        self._state_dir.make(self._temporary, below=self._temporary)
        aside = self._temporary / f"{TEMPORARY_PREFIX}{secrets.token_hex(16)}"
        try:
            yield aside
        finally:
            with suppress(OSError):  # renaming a file onto itself, linked twice, leaves both names
                aside.unlink(missing_ok=True)

    def _save(self, part: Path, sha256: str, extent: tuple[int, int] | None = None) -> None:
        path = self.where(sha256)
        with on_disk(path), self._aside() as aside:
            self._state_dir.make(path.parent, below=self._objects)
            _link_or_copy(part, aside, extent)
            aside.replace(path)
            sync_folder(path.parent)
            self._state_dir.anchor(path.parent, self._objects)


def _link_or_copy(source: Path, target: Path, extent: tuple[int, int] | None = None) -> None:
    """Link ``source`` under a second name, and make sure that its bytes are on the disk.

    Where a file system has no links, or only a part is wanted (from where, how much), it is copied.
    """
    if extent is None and os.name != "nt":  # Windows syncs only what was opened to write
        try:
            os.link(source, target)
        except OSError:
            pass  # it has none
        else:
            sync_file(target)
            return
    with source.open("rb", buffering=0) as original, NewFile(target) as copy:
        start, most_bytes = extent or (0, None)
        original.seek(start)
        copy.write_from(original, most_bytes)
        copy.sync()


def noted_bucket(state_dir: Path) -> str | None:
    """Return the address of the bucket that the last run had; ``None`` if it had none.

    It is noted for commands that read no config, and no more than an address: credentials are the
    environment's, wherever it is used.

    Raises:
        StorageFailed: The note cannot be read.
    """
    path = state_dir / _NOTE
    is_missing = suppress(FileNotFoundError, NotADirectoryError)
    with on_disk(path, reading=True), is_missing, path.open("rb") as file:
        return file.read(_LONGEST_NOTE_BYTES).decode(errors="replace").strip() or None
    return None
