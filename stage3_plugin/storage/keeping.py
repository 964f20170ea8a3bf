"""How a picture that is not ours is kept before ours takes its name.

Beside the story lie copies of stored pictures. What lies there under the same name and is no such
copy was edited by hand, or made by another plugin. It gets a name in a folder for such files, where
no pattern like ``images/*.png`` finds it: one that says which scene it was of and which bytes it
has. It has that name, durably, before it loses the first; nothing that is there is ever replaced.
``host_stub.plain_image``, which has no store, does the same.
"""

from __future__ import annotations

import hashlib
import secrets
from itertools import count
from pathlib import Path, PurePath

from stage3_plugin.files.folder import Folder, is_regular
from stage3_plugin.files.on_disk import on_disk

KEPT = "kept"
"""The folder's name, within that of the pictures."""

_DIGITS = 16


def digest_of(folder: Folder, name: str) -> str:
    """Hash a file, 64 hex digits."""
    with folder.open(name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_at(path: Path) -> str:
    """Hash a file of our own, 64 hex digits.

    Raises:
        StorageFailed: It cannot be read.
    """
    with on_disk(path, reading=True), path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep_beside(folder: Folder, name: str, digest: str | None) -> str:
    """Link a file of ``folder`` into the folder for what is kept, and return its name there.

    The same bytes are kept once. Where a file cannot have two names, it loses the first.

    Args:
        folder: Where it lies.
        name: Its name.
        digest: Of its bytes; ``None`` where they cannot be read.

    Raises:
        OSError: The disk did not let us; the file has its name as before.
    """
    path = PurePath(name)
    label = secrets.token_hex(_DIGITS // 2) if digest is None else digest[:_DIGITS]
    with folder.within(KEPT) as kept:
        for number in count(1):
            again = "" if number == 1 else f"-{number}"
            second = f"{path.stem}-{label}{again}{path.suffix}"
            if kept.details(second) is None:
                if not folder.link(name, kept, second):
                    folder.move(name, kept, second)
                kept.sync()
                folder.sync()  # the folder for what is kept may be new
                return second
            if _has(kept, second, digest):
                return second
    raise AssertionError("there are more names than files")


def _has(folder: Folder, name: str, digest: str | None) -> bool:
    is_known = digest is not None and is_regular(folder.details(name))
    return is_known and digest_of(folder, name) == digest
