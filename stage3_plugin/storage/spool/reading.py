"""A received answer, read back from its files alone, by whatever process they were written.

:mod:`stage3_plugin.storage.spool.writing` says what lies in them. Apart from it because reading
happens in a thread, later, perhaps after a crash, and has to make the best of what is there.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TypeVar

from stage3_plugin.domain.exchange import Part, Reply
from stage3_plugin.domain.signature import is_picture_behind, media_type_of, nothing_before
from stage3_plugin.errors import SpoolRefused
from stage3_plugin.files.new_file import NewFile
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.storage.spool import receipt
from stage3_plugin.storage.spool.base64_stream import LooseBase64
from stage3_plugin.storage.spool.covering import cover_answer
from stage3_plugin.storage.spool.documents import (
    MOST_BYTES,
    MOST_VALUES,
    TOO_LONG,
    TOO_MANY,
    Document,
    document_in,
)
from stage3_plugin.storage.spool.part import LongString
from stage3_plugin.storage.spool.receipt import SKELETON, Contents, placeholder

Read = TypeVar("Read")

_PIECE_BYTES = 256 * 1024
_OPENING_BYTES = 12
_TEXT_CHARACTERS = 2000
_BEGINNING_BYTES = 4 * _TEXT_CHARACTERS + 3
_MOST_TEXT_BYTES = MOST_BYTES // 2
_LARGE_BYTES = 256 << 10
_LARGE_ONES = Lock()
"""Held while a large document is read: it is in memory several times over meanwhile."""


def load_reply(directory: Path, masked: Masked = NOTHING) -> Reply:
    """Build the answer from its files alone, by whatever process they were written.

    Secrets are covered first in what is no picture: what is read here may be kept and shown.

    A document that is not JSON is ``None``, and so is one that is too large to parse: then
    ``unread`` says why. Control characters within strings are accepted: a paid picture is not lost
    to them.

    Raises:
        SpoolRefused: The answer is not complete, or its files are not what was written.
    """
    cover_answer(directory, masked)
    head, contents = receipt.read(directory)
    if contents.body == "picture":
        part = _part(directory, 0, contents.media_type, contents.picture_bytes)
        return Reply(
            status=head.status,
            headers=head.headers,
            parts={"": part},
            unread=_CUT if contents.is_cut else "",
        )
    parts = {
        placeholder(contents.nonce, string.index): _part(
            directory, string.index, string.media_type, string.size_bytes
        )
        for string in contents.strings
        if string.kind == "base64" and string.is_whole
    } | _loose_parts(directory, contents)
    if contents.skeleton_bytes <= _LARGE_BYTES:
        document, text = _document(directory, contents, masked)
    else:
        document, text = _alone(partial(_document, directory, contents, masked))
    return Reply(
        status=head.status,
        headers=head.headers,
        document=document.value,
        text=text,
        parts=parts,
        unread=_CUT if contents.is_cut else document.unread,
    )


_CUT = "the answer was cut off"


def _document(directory: Path, contents: Contents, masked: Masked) -> tuple[Document, str]:
    """Read what stands beside the pictures; if it is no document, return its beginning as well."""
    unread = _why_unread(contents)
    if contents.skeleton is None:
        is_read = contents.body == "json" and not unread
        most = None if is_read else _BEGINNING_BYTES
        path, size = directory / SKELETON, contents.skeleton_bytes
        skeleton = _read_file(path, size, most_bytes=most)
    else:
        skeleton = contents.skeleton.encode("latin-1")
    if unread:
        document = Document(unread=unread)
    else:
        document = document_in(_with_texts(directory, contents, skeleton, masked))
    if document.is_json:
        return document, ""
    beginning = skeleton[:_BEGINNING_BYTES].decode("utf-8-sig", "replace")
    return document, beginning[:_TEXT_CHARACTERS]


def _alone(read: Callable[[], Read]) -> Read:
    """Read a large document, one at a time, in a thread of its own.

    The allocator keeps for each thread some of what that has freed; with eight threads that have
    read one, that would be more than all other memory.
    """
    with _LARGE_ONES, ThreadPoolExecutor(max_workers=1) as one:
        return one.submit(read).result()


def _why_unread(contents: Contents) -> str:
    """Return why a document is not even looked at; ``documents`` asks once more before parsing."""
    if contents.body != "json":
        return ""
    if contents.skeleton_bytes > MOST_BYTES:
        return TOO_LONG
    return TOO_MANY if contents.values > MOST_VALUES else ""


def _loose_parts(directory: Path, contents: Contents) -> dict[str, Part]:
    """Return the strings that begin as a picture and have odd characters, without those.

    Its structure shows whether one is whole. The file is made once, by the first reader.
    """
    parts: dict[str, Part] = {}
    for string in contents.strings:
        path = directory / f"part-{string.index}"
        if string.kind == "text" and string.is_whole and is_picture_behind(_opening_of(path)):
            loose = path.with_suffix(".loose")
            if not loose.exists():
                _write_loosely(path, string, loose)
            size_bytes = loose.stat().st_size
            parts[placeholder(contents.nonce, string.index)] = Part(
                index=string.index, path=loose, media_type=string.media_type, size_bytes=size_bytes
            )
    return parts


def _opening_of(path: Path) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(_OPENING_BYTES)
    except OSError as error:
        raise SpoolRefused(f"{path.name} cannot be read: {error.strerror}") from error


def _write_loosely(path: Path, string: LongString, loose: Path) -> None:
    aside = loose.with_name(f"{loose.name}-{secrets.token_hex(8)}")
    stream = LooseBase64()
    try:
        with (
            path.open("rb", buffering=0) as decoded,
            path.with_suffix(".raw").open("rb", buffering=0) as raw,
            NewFile(aside) as file,
        ):
            file.write_from(decoded, string.decoded_bytes)
            while piece := raw.read(_PIECE_BYTES):
                file.write(stream.take(piece))
            file.write(stream.end())
        aside.replace(loose)
    except OSError as error:
        raise SpoolRefused(f"{path.name} cannot be read: {error.strerror}") from error


def _with_texts(directory: Path, contents: Contents, skeleton: bytes, masked: Masked) -> bytes:
    """Put the strings that were not base64 back where they stood.

    A very long one stays a placeholder without a part: parsing it would fill the memory, and no
    provider says anything in half a megabyte of text. A secret may lie in both files of one.
    """
    texts: dict[bytes, bytes] = {}
    room = _MOST_TEXT_BYTES
    for string in contents.strings:
        path = directory / f"part-{string.index}"
        if path.with_suffix(".loose").exists():
            continue  # its placeholder stands for a picture
        if string.kind == "text" and string.text_bytes <= room:
            room -= string.text_bytes
            texts[placeholder(contents.nonce, string.index).encode()] = string.source(
                _beginning_of(path, string.decoded_bytes),
                _read_file(path.with_suffix(".raw"), string.size_bytes),
            )
    if not texts:
        return skeleton
    any_placeholder = re.compile(rb"spooled:%b:[0-9]+:" % contents.nonce.encode())
    return masked.covered(
        any_placeholder.sub(lambda match: texts.get(match[0], match[0]), skeleton)
    )


def _part(directory: Path, index: int, media_type: str | None, size_bytes: int) -> Part:
    path = directory / f"part-{index}"
    try:
        found_bytes = path.stat().st_size
    except OSError as error:
        raise SpoolRefused(f"{path.name} cannot be read: {error.strerror}") from error
    if found_bytes != size_bytes:
        raise SpoolRefused(f"{path.name} has {found_bytes} bytes instead of {size_bytes}")
    opening = _opening_of(path)
    media_type = media_type or media_type_of(opening[nothing_before(opening) :])
    return Part(index=index, path=path, media_type=media_type, size_bytes=size_bytes)


def _read_file(path: Path, size_bytes: int, *, most_bytes: int | None = None) -> bytes:
    """Read a file of so many bytes, or its beginning."""
    most_bytes = size_bytes if most_bytes is None else min(most_bytes, size_bytes)
    try:
        with path.open("rb", buffering=0) as file:
            found_bytes = os.fstat(file.fileno()).st_size
            data = file.read(most_bytes)
    except OSError as error:
        raise SpoolRefused(f"{path.name} cannot be read: {error.strerror}") from error
    if found_bytes != size_bytes or len(data) != most_bytes:
        raise SpoolRefused(f"{path.name} has {found_bytes} bytes instead of {size_bytes}")
    return data


def _beginning_of(path: Path, size_bytes: int) -> bytes:
    """Read the first bytes of a file that may have more."""
    try:
        with path.open("rb", buffering=0) as file:
            data = file.read(size_bytes)
    except OSError as error:
        raise SpoolRefused(f"{path.name} cannot be read: {error.strerror}") from error
    if len(data) != size_bytes:
        raise SpoolRefused(f"{path.name} has {len(data)} bytes instead of {size_bytes}")
    return data
