"""One pass over a picture that may be anybody's: hashed, looked at, and put into base64.

Nothing here decodes a pixel. What is a whole PNG, JPEG or WebP can be sent as it is; what is
another picture, moves, or is written oddly, may become a copy; what is none is refused. Blocks;
call it in a thread.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

import pybase64

from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.signature import OPENING_BYTES, media_type_of, name_of
from stage3_plugin.errors import PictureRefused, ReferenceRefused
from stage3_plugin.storage.copies import CONVERTIBLE, MOST_BYTES, MOST_PIXELS
from stage3_plugin.storage.inspect import Inspector
from stage3_plugin.storage.references.bodies import Bodies, Body

_PIECE_BYTES = 192 * 1024
"""Three bytes are four signs of base64, so that no piece may end within them."""
SAVE_ANEW = "open it in an image program and save it as a PNG or JPEG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A picture as it was read.

    Attributes:
        sha256: Of all its bytes.
        picture: What is known of it; ``None`` if only a copy of it can be sent.
        body: Its bytes, in base64.
    """

    sha256: str
    picture: Picture | None
    body: Body


def refused(reason: str, hint: str | None = SAVE_ANEW) -> ReferenceRefused:
    """Refuse a picture whose name is known to who asks for it."""
    return ReferenceRefused("", reason, hint=hint)


def read(opening: Callable[[], BinaryIO], bodies: Bodies) -> Original:
    """Read a picture from its beginning to its end.

    Args:
        opening: Opens it, seekable.
        bodies: Will hold it.

    Raises:
        ReferenceRefused: It is none, or cannot be read; the name is left empty.
        StorageFailed: It could not be held.
    """
    with opening() as file:
        size_bytes = _size_of(file)
        before = _stamp(file)
        first = _piece(file)
        is_sound = _may_be_sent(first)
        body = bodies.new(-(-size_bytes // 3) * 4)
        try:
            original = _taken(file, first, size_bytes, bodies, body, is_sound=is_sound)
            _need_equal(_stamp(file), before)
        except BaseException:
            bodies.give_back(body)
            raise
    return original


def _size_of(file: BinaryIO) -> int:
    size_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size_bytes == 0:
        raise refused("is empty", "put a picture there")
    if size_bytes > MOST_BYTES:
        raise refused(
            f"is {size_bytes:,} bytes long, more than {MOST_BYTES:,}", "save a smaller copy of it"
        )
    return size_bytes


def _may_be_sent(first: bytes) -> bool:
    """Return whether it may be sent as it is.

    Raises:
        ReferenceRefused: It begins as no picture.
    """
    opening = first[:OPENING_BYTES]
    if media_type_of(opening) is not None:
        return not _moves(first)
    kind = name_of(opening)
    if kind not in CONVERTIBLE:
        raise refused(f"is no picture that can be sent: it is {kind}")
    return False


def _moves(first: bytes) -> bool:
    """Return whether a PNG is an animation; a WebP that is one is found odd as it is read."""
    return media_type_of(first) == "image/png" and b"acTL" in first.partition(b"IDAT")[0]


def _taken(
    file: BinaryIO, first: bytes, size_bytes: int, bodies: Bodies, body: Body, *, is_sound: bool
) -> Original:
    inspector = Inspector(max_pixels=MOST_PIXELS) if is_sound else None
    digest = hashlib.sha256()
    taken, written, piece = 0, 0, first
    while piece:
        taken += len(piece)
        if taken > size_bytes:
            raise _changed()
        digest.update(piece)
        if inspector is not None:
            try:
                inspector.feed(piece)
            except PictureRefused:  # what is found odd is left to what makes copies
                inspector = None
        encoded = pybase64.b64encode(piece)
        bodies.write(body, written, encoded)
        written += len(encoded)
        piece = _piece(file)
    _need_equal(taken, size_bytes)
    picture = None
    with suppress(PictureRefused):
        picture = None if inspector is None else inspector.finish()
    return Original(sha256=digest.hexdigest(), picture=picture, body=body)


def _need_equal(after: object, before: object) -> None:
    if after != before:
        raise _changed()


def _changed() -> ReferenceRefused:
    hint = "run again when no other program writes to it"
    return refused("was changed while it was read", hint)


def _piece(file: BinaryIO) -> bytes:
    """Read a whole piece; less only at the end."""
    try:
        return file.read(_PIECE_BYTES)
    except OSError as error:
        raise refused(f"cannot be read: {error.strerror or error}", None) from error


def _stamp(file: BinaryIO) -> tuple[int, int] | None:
    """Return what changes when somebody writes to a file; ``None`` where it is no file."""
    try:
        found = os.fstat(file.fileno())
    except OSError:  # a store may have it in memory
        return None
    return found.st_size, found.st_mtime_ns
