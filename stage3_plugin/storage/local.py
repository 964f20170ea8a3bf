"""The store of pictures in the state folder, and how a picture gets there whole or not at all.

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
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from errno import EISDIR
from pathlib import Path
from typing import BinaryIO

from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.copying import copy_aside
from stage3_plugin.files.folder import TEMPORARY_PREFIX, Folder, is_regular, remove_leftovers
from stage3_plugin.files.new_file import NewFile
from stage3_plugin.files.private_folders import sync_file, sync_folder
from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.runtime.system_errors import says_not_there
from stage3_plugin.storage.inspect import InspectedFile
from stage3_plugin.storage.keeping import digest_at, digest_of

_SHA256 = re.compile(r"[0-9a-f]{64}")


class LocalStore:
    """The pictures in a state folder; a :class:`~stage3_plugin.storage.base.PictureStore`.

    Args:
        state_dir: The state folder.
        masked: Covers secrets in what stands behind a picture.

    Raises:
        StorageFailed: Here and in every method: the disk or the system did not let us.
    """

    def __init__(self, state_dir: StateDir, masked: Masked = NOTHING) -> None:
        self._state_dir = state_dir
        self._masked = masked
        self._objects = state_dir.path / "objects"
        self._originals = state_dir.path / "originals"
        self._temporary = state_dir.path / "tmp"
        remove_leftovers(self._temporary)

    def pictures(self) -> frozenset[str]:
        """Name all there are."""
        found: list[str] = []
        try:
            with suppress(FileNotFoundError), os.scandir(self._objects) as buckets:
                for bucket in buckets:
                    if len(bucket.name) == 2 and bucket.is_dir():
                        found += (
                            name
                            for name in os.listdir(bucket.path)  # noqa: PTH208 - names are all it needs
                            if _SHA256.fullmatch(name)
                        )
        except OSError as error:
            raise StorageFailed(self._objects, error, reading=True) from error
        return frozenset(found)

    def where(self, sha256: str) -> Path:
        """Return where the picture with this hash lies, or would lie."""
        return Path(self._named(sha256))

    def _named(self, sha256: str) -> str:
        return f"{self._objects}/{sha256[:2]}/{sha256}"  # asked for every scene: no parsing

    def stamp(self, sha256: str) -> tuple[int, int] | None:
        """Return a picture's length and its time of change, which its copies have too."""
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
                return is_regular(folder.details(sha256)) and digest_of(folder, sha256) == sha256
        except OSError as error:
            if says_not_there(error):
                return False
            raise StorageFailed(path, error, reading=True) from error

    address: str | None = None
    """What lies here is of this machine alone."""

    def check(self) -> None:
        """Leave it to the ledger, which makes its files in the same folder."""

    def recall(self, sha256: str) -> bool:  # noqa: ARG002 - it is kept nowhere else
        """Bring nothing back; see :class:`~stage3_plugin.storage.base.PictureStore`."""
        return False

    def url_of(self, sha256: str) -> str | None:  # noqa: ARG002 - none has one
        """Return no address: what lies here is of this machine alone."""
        return None

    def read(self, sha256: str) -> BinaryIO:
        """Open a picture to read it; see :class:`~stage3_plugin.storage.base.PictureStore`."""
        path = self.where(sha256)
        if not stat.S_ISREG(path.stat().st_mode):
            raise IsADirectoryError(EISDIR, "that is no file")
        return path.open("rb", buffering=0)

    def place(self, sha256: str, folder: Folder, name: str) -> None:
        """Put a copy into an open folder, whole or not at all.

        The copy is not synced: a power cut may damage it, and the next run makes it again.
        """
        copy_aside(self.where(sha256), folder, name)

    def save(self, part: Path, inspected: InspectedFile) -> None:
        """Make an inspected file an object: once this returns, no power cut can lose it.

        ``part`` stays where it is: if the process dies before the purchase is settled, its answer
        is still whole and can be taken in again, to the same end. An object that was there is
        replaced by the same bytes, which heals one that was damaged.

        Of a picture with something behind its end, the picture alone becomes the object, and the
        whole of it is kept among the originals. What means nothing before it is left out.
        """
        extent = None
        if inspected.trailing_bytes:
            self._keep_original(part, inspected)
        if inspected.trailing_bytes or inspected.leading_bytes:
            extent = (inspected.leading_bytes, inspected.picture.size_bytes)
        self._save(part, inspected.picture.sha256, extent)

    def restore(self, sha256: str, copy: BinaryIO) -> None:
        """Make an object that is gone or damaged anew from a copy of it."""
        aside = self._aside()
        try:
            with NewFile(aside) as file:
                file.write_from(copy)
            self._save(aside, sha256)
        finally:
            aside.unlink(missing_ok=True)

    def receive(self, sha256: str, write: Callable[[NewFile], bool]) -> bool:
        """Make an object from what somebody writes, if that has the bytes it is named by.

        Args:
            sha256: The picture.
            write: Writes it; returns whether it had it.

        Returns:
            Whether it is there now, whole.
        """
        aside = self._aside()
        try:
            with NewFile(aside) as file:
                if not write(file):
                    return False
            if digest_at(aside) != sha256:
                return False
            self._save(aside, sha256)
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
        return True

    def _keep_original(self, part: Path, inspected: InspectedFile) -> None:
        """Keep a picture as it came, but for secrets behind its end."""
        path = self._originals / f"{part.parent.name}-{part.name}"
        aside = self._aside()
        try:
            self._state_dir.make(self._originals, below=self._originals)
            with part.open("rb", buffering=0) as source, NewFile(aside) as file:
                file.write_from(source)
                picture_ends = inspected.leading_bytes + inspected.picture.size_bytes
                self._masked.cover_file(aside, start=picture_ends)
                file.sync()
            aside.replace(path)
            sync_folder(self._originals)
            self._state_dir.anchor(self._originals)
        except OSError as error:
            raise StorageFailed(path, error) from error
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)

    def _aside(self) -> Path:
        """Name a new file that is to be renamed when it is whole."""
        self._state_dir.make(self._temporary, below=self._temporary)
        return self._temporary / f"{TEMPORARY_PREFIX}{secrets.token_hex(16)}"

    def _save(self, part: Path, sha256: str, extent: tuple[int, int] | None = None) -> None:
        path = self.where(sha256)
        aside = self._aside()
        try:
            self._state_dir.make(path.parent, below=self._objects)
            _link_or_copy(part, aside, extent)
            aside.replace(path)
            sync_folder(path.parent)
            self._state_dir.anchor(path.parent, self._objects)
        except OSError as error:
            raise StorageFailed(path, error) from error
        finally:
            with suppress(OSError):  # renaming a file onto itself, linked twice, leaves both names
                aside.unlink(missing_ok=True)


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
