"""Pictures that are kept twice: in the state folder, and in a bucket that other machines reach.

A picture is safe once both have it, in this order: near, synced, then far. Until then its purchase
stays open, and its answer in the spool, so the next run takes it in again. A picture that the near
side lacks comes from the far side, by its name, and has to have the bytes it is named by.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from stage3_plugin.errors import BucketFailed
from stage3_plugin.files.folder import Folder
from stage3_plugin.storage.inspect import InspectedFile
from stage3_plugin.storage.local import LocalStore


class Far(Protocol):
    """A second place for pictures; see :class:`~stage3_plugin.storage.bucket.Bucket`."""

    address: str

    def url_of(self, sha256: str) -> str: ...
    def probe(self) -> None: ...
    def put(self, sha256: str, path: Path, media_type: str | None = None) -> None: ...
    def get(self, sha256: str, write: Callable[[bytes], object]) -> bool: ...
    def size_of(self, sha256: str) -> int | None: ...


class Mirrored:
    """Pictures near and far; a :class:`~stage3_plugin.storage.base.PictureStore`.

    Args:
        near: Has them on this machine.
        far: Has them all.

    Raises:
        StorageFailed: In every method; a :class:`~stage3_plugin.errors.BucketFailed` is of the
            far side.
    """

    def __init__(self, near: LocalStore, far: Far) -> None:
        self.near = near
        self.far = far

    @property
    def address(self) -> str:
        """Where the far side is."""
        return self.far.address

    def check(self) -> None:
        """See that both take pictures, before any is paid for."""
        self.near.check()
        self.far.probe()

    def save(self, part: Path, inspected: InspectedFile) -> None:
        """Take a picture in; once this returns, both have it."""
        picture = inspected.picture
        self.near.save(part, inspected)
        self.far.put(picture.sha256, self.near.where(picture.sha256), picture.media_type)

    def restore(self, sha256: str, copy: BinaryIO) -> None:
        """Take a picture in again from its copy, and put it where the bucket lacks it.

        It was paid for and safe before: a bucket that fails now keeps nobody from having it, and
        ``stage3 verify`` names what it lacks.
        """
        self.near.restore(sha256, copy)
        with suppress(BucketFailed):
            path = self.near.where(sha256)
            if self.far.size_of(sha256) != path.stat().st_size:
                self.far.put(sha256, path)

    def recall(self, sha256: str) -> bool:
        """Bring a picture back that the near side lacks, or has damaged."""
        return self.near.receive(sha256, lambda file: self.far.get(sha256, file.write))

    def holds(self, sha256: str) -> bool:
        """Return whether the near side has a picture, whole."""
        return self.near.holds(sha256)

    def read(self, sha256: str) -> BinaryIO:
        """Open a picture to read it, brought back first where the near side lacks it."""
        try:
            return self.near.read(sha256)
        except FileNotFoundError:
            if not self.recall(sha256):
                raise
            return self.near.read(sha256)

    def stamp(self, sha256: str) -> tuple[int, int] | None:
        """Return the length and the time of the near one."""
        return self.near.stamp(sha256)

    def place(self, sha256: str, folder: Folder, name: str) -> None:
        """Put a copy of the near one into an open folder."""
        self.near.place(sha256, folder, name)

    def pictures(self) -> frozenset[str]:
        """Name those that are near."""
        return self.near.pictures()

    def where(self, sha256: str) -> Path:
        """Return where the near one lies, or would lie."""
        return self.near.where(sha256)

    def url_of(self, sha256: str) -> str:
        """Return the address of the far one."""
        return self.far.url_of(sha256)
