"""How a picture gets to its place among the takes, whole, wherever its plugin put it.

A place is named by its picture's bytes, so that a file that is there is the one that is meant.
"""

from __future__ import annotations

import errno
from pathlib import Path

from host_stub.story.files import Folder, digest_of

_MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".avif": "image/avif",
}


def put_at(place: Path, picture: Path, *, out_dir: Path, sha256: str, durable: bool = True) -> None:
    """Copy a picture to its place; nothing happens if it is there.

    Args:
        place: Where it goes, below the folder for results.
        picture: Where it is.
        out_dir: The folder for results; no link leads out of it.
        sha256: Of its bytes.
        durable: No power cut takes it away again.

    Raises:
        OSError: The disk did not let us, the bytes are others by now, or another file lies at the
            place; that is as it was.
    """
    *folders, name = place.relative_to(out_dir).parts
    with (
        picture.open("rb", buffering=0) as source,
        Folder.opened(out_dir, *folders, make=True) as folder,
    ):
        if folder.details(name) is not None:
            with folder.reading(name) as lying:
                if digest_of(lying) == sha256:
                    return
            raise FileExistsError(errno.EEXIST, "another file lies in a take's place", str(place))
        if not folder.put(name, source, sha256=sha256, durable=durable):
            raise OSError(f"{picture} was changed while it was copied")
        if durable:
            folder.sync()


def media_type_of(picture: Path) -> str:
    """Return what a picture is by its name, where its plugin does not say."""
    return _MEDIA_TYPES.get(picture.suffix.lower(), "application/octet-stream")
