"""What a store of pictures is: each picture once, named by its bytes, and safe once it is saved.

The spool is not one: what a request receives lies on a disk of this machine, see
``spool/folders.py``. Nor is the folder beside the story, where ``placing.py`` has copies placed.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

from stage3_plugin.files.folder import Folder
from stage3_plugin.storage.inspect import InspectedFile


class PictureStore(Protocol):
    """Pictures by the SHA-256 of their bytes. Everything blocks; call it in a thread.

    Raises:
        StorageFailed: In every method: the store did not let us, or cannot be read now.
    """

    @property
    def address(self) -> str | None:
        """Where pictures are that other machines reach too, if anywhere; without credentials."""
        ...

    def check(self) -> None:
        """See that pictures can be taken in, as far as that can be known before any is paid for."""
        ...

    def save(self, part: Path, inspected: InspectedFile) -> None:
        """Take a picture in: once this returns, nothing that happens to this machine can lose it.

        The file stays as it is, and is never opened to write. One that was there is replaced by
        the same bytes, which heals one that was damaged.

        Args:
            part: The file that has it.
            inspected: What was found in it. Of a picture with something behind its end, the picture
                alone is what is named by its bytes.
        """
        ...

    def restore(self, sha256: str, copy: BinaryIO) -> None:
        """Take a picture in again from a copy that was placed: its bytes, and never the file.

        Args:
            sha256: The picture; the copy has its bytes.
            copy: A copy, open at its beginning.
        """
        ...

    def holds(self, sha256: str) -> bool:
        """Return whether a picture is there and has the bytes it is named by; reads all of them."""
        ...

    def recall(self, sha256: str) -> bool:
        """Bring back a picture that is not there, or is damaged, from wherever else it is kept.

        Returns:
            Whether it is there now, whole; ``False`` if it is kept nowhere else.
        """
        ...

    def read(self, sha256: str) -> BinaryIO:
        """Open a picture to read it.

        Raises:
            FileNotFoundError: It is not there.
            IsADirectoryError: Something has its name that is no file.
            OSError: It cannot be read now.
        """
        ...

    def stamp(self, sha256: str) -> tuple[int, int] | None:
        """Return a picture's length and its time in nanoseconds, which its copies have too.

        Costs no reading; ``None`` if it is not there, or does not say so.
        """
        ...

    def place(self, sha256: str, folder: Folder, name: str) -> None:
        """Put a copy into an open folder, whole or not at all, with the stamp of the picture.

        Whatever has the name is replaced.

        Raises:
            OSError: The folder did not take it.
        """
        ...

    def pictures(self) -> frozenset[str]:
        """Name all there are."""
        ...

    def where(self, sha256: str) -> Path:
        """Return where a picture lies, or would lie, to be said to a person."""
        ...

    def url_of(self, sha256: str) -> str | None:
        """Return a picture's address that other machines reach too, if it is to have one."""
        ...
