"""Pictures that are kept twice: in the state folder, and in a bucket that other machines reach.

A picture is safe once both have it, in this order: near, synced, then far. Until then its purchase
stays open, and its answer in the spool, so the next run takes it in again. A picture that the near
side lacks comes from the far side, by its name, and has to have the bytes it is named by.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from stage3_plugin.errors import BucketFailed
from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.storage.bucket import Bucket
from stage3_plugin.storage.inspect import InspectedFile
from stage3_plugin.storage.local import LocalStore


class Mirrored(LocalStore):
    """Pictures in a state folder and far from it.

    Args:
        state_dir: Has them on this machine.
        far: Has them all.
        masked: Covers secrets in what is kept beside a picture.

    Raises:
        StorageFailed: In every method; a :class:`~stage3_plugin.errors.BucketFailed` is of the
            far side.
    """

    def __init__(self, state_dir: StateDir, far: Bucket, masked: Masked = NOTHING) -> None:
        super().__init__(state_dir, masked)
        self.far = far
        self.address = far.address

    def check(self) -> None:
        """See that the far side takes pictures, before any is paid for."""
        self.far.probe()

    def save(self, part: Path, inspected: InspectedFile) -> None:
        """Take a picture in; once this returns, both have it."""
        picture = inspected.picture
        super().save(part, inspected)
        self.far.put(picture.sha256, self.where(picture.sha256), picture.media_type)

    def restore(self, sha256: str, copy: BinaryIO) -> None:
        """Take a picture in again from its copy, and put it where the bucket lacks it.

        It was paid for and safe before: a bucket that fails now keeps nobody from having it, and
        ``stage3 verify`` names what it lacks.
        """
        super().restore(sha256, copy)
        with suppress(BucketFailed):
            path = self.where(sha256)
            if self.far.size_of(sha256) != path.stat().st_size:
                self.far.put(sha256, path)

    def recall(self, sha256: str) -> bool:
        """Bring a picture back that the near side lacks, or has damaged."""
        return self.receive(sha256, lambda file: self.far.get(sha256, file.write))

    def read(self, sha256: str) -> BinaryIO:
        """Open a picture to read it, brought back first where the near side lacks it."""
        try:
            return super().read(sha256)
        except FileNotFoundError:
            if not self.recall(sha256):
                raise
            return super().read(sha256)

    def url_of(self, sha256: str) -> str:
        """Return the address of the far one."""
        return self.far.url_of(sha256)
