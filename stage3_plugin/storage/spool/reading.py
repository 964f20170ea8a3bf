"""The judge: makes values of a received answer, from its files alone, whoever has written them.

What stands in it is found in the file: one search for strings that are long, or that were cut out
while they arrived. Pictures become parts, in whatever way they are written; all other text stands
where it stood, as far as memory allows; then it is parsed. Apart from the spool because this
happens in a thread, later, perhaps after a crash, and has to make the best of what is there.
"""

from __future__ import annotations

import heapq
import mmap
import re
import secrets
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pybase64

from stage3_plugin.domain.exchange import Part, Reply
from stage3_plugin.domain.signature import (
    OPENING_BYTES,
    blanks_before,
    is_picture,
    is_picture_behind,
    media_type_of,
    nothing_before,
)
from stage3_plugin.errors import SpoolRefused, StorageFailed
from stage3_plugin.files.new_file import NewFile, remove, replacing
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.storage.inflating import codings_of, inflate_into, pieces_of
from stage3_plugin.storage.inspect import is_whole_picture
from stage3_plugin.storage.spool import receipt
from stage3_plugin.storage.spool.covering import cover_answer
from stage3_plugin.storage.spool.cutting import PLACEHOLDER, RUN_BYTES, placeholder, tail_bytes
from stage3_plugin.storage.spool.documents import MOST_BYTES, TOO_LONG, Document, document_in
from stage3_plugin.storage.spool.loose_base64 import (
    behind_prefix,
    loosely_decoded,
    media_type_in,
)
from stage3_plugin.storage.spool.receipt import MOST_BODY_BYTES, MOST_PARTS, Received, readable

_PIECE_BYTES = 256 * 1024
_MOST_OPENING = 512
_MOST_PREFIX = 1024
_QUOTE = b'"'
_ENDS = re.compile(rb"(?:\\[nrt\"]|[\s'`>)])*+")
"""What may stand behind base64 in its string."""
_TEXT_CHARACTERS = 2000
_BEGINNING_BYTES = 4 * _TEXT_CHARACTERS + 3
_MOST_TEXT_BYTES = MOST_BYTES // 2
_CUT = "the answer was cut off"


def load_reply(directory: Path, masked: Masked = NOTHING) -> Reply:
    """Build the answer from its files alone.

    Secrets are covered first in what is no picture: what is read here may be kept and shown.

    A document that is not JSON is ``None``, and so is one that is too large to parse: then
    ``unread`` says why. Control characters within strings are accepted: a paid picture is not lost
    to them.

    Raises:
        SpoolRefused: The answer is not complete, or its files are not what was written.
    """
    cover_answer(directory, masked)
    return _judged(receipt.read(directory), masked)


def found_in(received: Received) -> tuple[bool, bool]:
    """Return whether the body of an answer is whole by its own structure, and whether a picture is.

    Its document has ended, or it is a picture; what stands behind either is left out.
    """
    try:
        reply = _judged(received, NOTHING)
    except StorageFailed:
        raise
    except Exception:  # noqa: BLE001 - strangers' bytes may raise anything, and it was cut anyway
        return False, False
    if "" in reply.parts:
        is_whole = is_whole_picture(reply.parts[""].path)
        return is_whole, is_whole
    is_whole = isinstance(reply.document, dict | list | str)
    return is_whole, any(is_picture_behind(_opening_of(part.path)) for part in reply.parts.values())


def _judged(received: Received, masked: Masked) -> Reply:
    head, headers = received.head, received.head.headers
    if codings := codings_of(headers):
        data, is_whole = _inflated(received, codings)
        strings = _Strings(received, data, 0, len(data))
    else:
        data, is_whole = _read(received.path), True
        strings = _Strings(received, data, received.start, received.stop)
    cut = _CUT if received.end.is_cut or not is_whole else ""
    named = headers.get("content-type", "").partition(";")[0].strip().lower()
    if (picture := strings.picture(named)) is not None:
        return Reply(status=head.status, headers=headers, parts={"": picture}, unread=cut)
    document, text = _document(strings, masked)
    return Reply(
        status=head.status,
        headers=headers,
        document=document.value,
        text=text,
        parts=strings.parts,
        unread=cut or document.unread,
    )


def _document(strings: _Strings, masked: Masked) -> tuple[Document, str]:
    """Read what stands beside the pictures; if it is no document, return its beginning as well."""
    source = strings.document()
    beginning = b"" if source is not None else strings.beginning(_BEGINNING_BYTES)
    if source is not None:
        document = document_in(masked.covered(source))
    else:
        is_json = beginning[blanks_before(beginning) :][:1] in {b"{", b"[", b'"'}
        document = Document(unread=TOO_LONG if is_json else "")
    if document.is_json:
        return document, ""
    beginning = beginning or strings.beginning(_BEGINNING_BYTES)
    return document, masked.covered(beginning).decode("utf-8-sig", "replace")[:_TEXT_CHARACTERS]


def _inflated(received: Received, codings: tuple[str, ...]) -> tuple[mmap.mmap | bytes, bool]:
    """Inflate a body by way of a file; return also whether all of it is there."""
    pieces = partial(pieces_of, received.path, received.start, received.stop)
    aside = received.directory / f"inflated-{secrets.token_hex(8)}"
    try:
        with NewFile(aside) as file:
            is_whole = inflate_into(file.write, pieces, codings, most_bytes=2 * MOST_BODY_BYTES)
        return _read(aside), is_whole
    finally:
        remove(aside)


class _Strings:
    """The strings of a body that are long, or were cut out of it while it arrived.

    Args:
        received: The answer.
        data: Has its body, from one place to another.

    Attributes:
        parts: The pictures, and other base64 that was cut out, by what stands for them.

    Raises:
        SpoolRefused: Here and in every method: a file is not what was written.
    """

    def __init__(self, received: Received, data: mmap.mmap | bytes, start: int, stop: int) -> None:
        self.parts: dict[str, Part] = {}
        self._received = received
        self._nonce = received.end.nonce
        self._start, self._stop = start, stop
        self._room = _MOST_TEXT_BYTES
        self._loose = 0
        self._data = data

    def beginning(self, most_bytes: int) -> bytes:
        """Return the first bytes of the body as it came."""
        beginning = b""
        for piece in self._restored(self._start, self._stop):
            beginning += piece[:most_bytes]
            if len(beginning) >= most_bytes:
                break
        return beginning[:most_bytes]

    def picture(self, named: str) -> Part | None:
        """Return the whole body as a picture, if it is one: some servers send one as octets.

        Args:
            named: Its media type, as the head has it.
        """
        begin = self._start + nothing_before(cast("bytes", self._data), self._start)
        opening = self._data[begin : min(begin + OPENING_BYTES, self._stop)]
        may_be = named.startswith("image/") and opening and opening[:1] not in {b"{", b"["}
        if may_be or is_picture(opening):
            return self._made(self._restored(self._start, self._stop), named or None)
        return None

    def document(self) -> bytes | None:
        """Return the body with what stands for its parts; ``None`` if it is too long to parse.

        A text that is not base64 stands where it stood. A very long one is left out, though it lies
        on the disk: parsing it would fill the memory, and no provider says anything in half a
        megabyte of text.
        """
        pieces: list[bytes] = []
        at, left = self._start, MOST_BYTES
        for begin, end in self._found():
            instead = self._instead_of(begin, end)
            left -= begin - at + len(instead)
            if left >= 0:
                pieces += (self._data[at:begin], instead)
            at = end
        left -= self._stop - at
        return None if left < 0 else b"".join((*pieces, self._data[at : self._stop]))

    def _found(self) -> Iterator[tuple[int, int]]:
        """Yield where such strings stand, without their quotes."""
        marks = (mark.start() for mark in self._marks(self._start, self._stop))
        at = self._start
        for position in heapq.merge(marks, self._within_long_ones()):
            if position < at:
                continue
            begin, end = self._quote_before(position, at), self._quote_behind(position)
            if begin >= 0:
                yield begin + 1, end
            at = end

    def _marks(self, begin: int, end: int) -> Iterator[re.Match[bytes]]:
        """Yield what stands for a part of this answer."""
        return filter(self._is_ours, PLACEHOLDER.finditer(self._data, begin, end))

    def _is_ours(self, mark: re.Match[bytes]) -> bool:
        return mark["nonce"] == self._nonce.encode()

    def _within_long_ones(self) -> Iterator[int]:
        step = RUN_BYTES // 2
        for position in range(self._start, self._stop, step):
            if self._data.find(_QUOTE, position, min(position + step, self._stop)) < 0:
                yield position

    def _quote_before(self, position: int, least: int) -> int:
        while (position := self._data.rfind(_QUOTE, least, position)) >= 0:
            if not self._is_escaped(position):
                break
        return position

    def _quote_behind(self, position: int) -> int:
        while (position := self._data.find(_QUOTE, position, self._stop)) >= 0:
            if not self._is_escaped(position):
                return position
            position += 1
        return self._stop

    def _is_escaped(self, position: int) -> bool:
        escapes = 0
        while window := self._data[max(self._start, position - escapes - 256) : position - escapes]:
            found = len(window) - len(window.rstrip(b"\\"))
            escapes += found
            if found < len(window):
                break
        return escapes % 2 == 1

    def _instead_of(self, begin: int, end: int) -> bytes:
        """Return what stands for a string in the document."""
        head = self._data[begin : min(end, begin + _MOST_PREFIX)]
        data_at = begin + behind_prefix(head)
        media_type = media_type_in(head)
        is_whole = end < self._stop
        mark = PLACEHOLDER.match(self._data, data_at, end)
        is_alone = mark is not None and _ENDS.fullmatch(self._data, mark.end(), end) is not None
        if is_whole and mark is not None and is_alone and self._is_ours(mark):
            return self._known(mark, media_type)
        if is_whole and is_picture_behind(self._opening_of(data_at, end)):
            return self._written_loosely(data_at, end, media_type)
        cut_out = list(self._marks(begin, end))
        text_bytes = end - begin + sum(self._text_bytes(mark) for mark in cut_out)
        if text_bytes <= RUN_BYTES or text_bytes <= self._room:
            self._room -= text_bytes
            return b"".join(self._restored(begin, end))
        for mark in cut_out:  # a picture that is named in the middle of a text
            part = self._part_of(mark, None)
            if is_whole and is_picture_behind(_opening_of(part.path)):
                self._known(mark, None)
        return f"spooled:{self._nonce}:text:".encode()

    def _known(self, mark: re.Match[bytes], media_type: str | None) -> bytes:
        self.parts[mark[0].decode()] = self._part_of(mark, media_type)
        return mark[0]

    def _part_of(self, mark: re.Match[bytes], media_type: str | None) -> Part:
        return _part(self._received, int(mark["index"]), media_type)

    def _text_bytes(self, mark: re.Match[bytes]) -> int:
        return self._part_of(mark, None).size_bytes // 3 * 4

    def _opening_of(self, begin: int, end: int) -> bytes:
        """Decode the first bytes of a string, if they are base64."""
        source = next(iter(self._restored(begin, min(end, begin + _MOST_OPENING))), b"")
        return next(loosely_decoded([source[:_MOST_OPENING]]), b"")

    def _written_loosely(self, begin: int, end: int, media_type: str | None) -> bytes:
        """Decode a picture that is base64 in an odd way."""
        if self._loose == MOST_PARTS:
            return f"spooled:{self._nonce}:text:".encode()
        part = self._made(loosely_decoded(self._restored(begin, end)), media_type)
        name = placeholder(self._nonce, part.index)
        self.parts[name] = part
        return name.encode()

    def _made(self, picture: Iterable[bytes], media_type: str | None) -> Part:
        """Put a picture that was found into a file, anew each time: half of it may be there."""
        index = MOST_PARTS + self._loose
        self._loose += 1
        path = self._received.directory / f"part-{index}"
        with replacing(path) as file:
            for piece in picture:
                file.write(piece)
        return _part_at(path, index, media_type, file.size_bytes)

    def _restored(self, begin: int, end: int) -> Iterator[bytes]:
        """Yield what came, what was cut out of it written as it was."""
        for mark in self._marks(begin, end):
            yield from self._pieces(begin, mark.start())
            begin = mark.end()
            yield from self._encoded(mark)
        yield from self._pieces(begin, end)

    def _pieces(self, begin: int, end: int) -> Iterator[bytes]:
        for start in range(begin, end, _PIECE_BYTES):
            yield self._data[start : min(start + _PIECE_BYTES, end)]

    def _encoded(self, mark: re.Match[bytes]) -> Iterator[bytes]:
        part, tail = self._part_of(mark, None), mark["tail"]
        left = part.size_bytes - len(tail_bytes(tail))
        with part.path.open("rb", buffering=0) as file:
            while left > 0 and (piece := file.read(min(left, _PIECE_BYTES // 3 * 3))):
                left -= len(piece)
                yield pybase64.b64encode(piece)
        yield tail


def _read(path: Path) -> mmap.mmap | bytes:
    with readable(path), path.open("rb") as file:
        if path.stat().st_size <= MOST_BYTES:
            return file.read()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _part(received: Received, index: int, media_type: str | None) -> Part:
    path = received.directory / f"part-{index}"
    sizes = received.end.parts
    size_bytes = sizes[index] if index < len(sizes) else -1
    with readable(path):
        found_bytes = path.stat().st_size
    if found_bytes != size_bytes:
        raise SpoolRefused(f"{path.name} has {found_bytes} bytes instead of {size_bytes}")
    return _part_at(path, index, media_type, size_bytes)


def _part_at(path: Path, index: int, media_type: str | None, size_bytes: int) -> Part:
    opening = _opening_of(path)
    media_type = media_type or media_type_of(opening[nothing_before(opening) :])
    return Part(index=index, path=path, media_type=media_type, size_bytes=size_bytes)


def _opening_of(path: Path) -> bytes:
    with readable(path), path.open("rb", buffering=0) as file:
        return file.read(OPENING_BYTES)
