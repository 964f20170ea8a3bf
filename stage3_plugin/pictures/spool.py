"""The folder an answer is received into, written piece by piece and read back from the files alone.

::

    spool/<attempt>/
        answer        see the module receipt: the head, what else came, and that it is complete
        part-0 …      the decoded bytes of every long base64 string
        part-0.raw    of a string that was not base64 after all: the text from where that shows
        skeleton      the body with a placeholder for each of those, if it is too long for a line

Nothing received is ever removed here, whatever becomes of the answer; peak memory is some 100 KiB
whatever it weighs. Both directions are in one module because only it knows this layout. Nothing is
synced: the files survive a killed process, and a power cut leaves an answer that is not complete.
They are two for a picture, because making one can cost as much as decoding what goes into it.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NoReturn, cast

from pydantic import JsonValue

from stage3_plugin.errors import SpoolRefused, StorageFailed
from stage3_plugin.pictures import receipt
from stage3_plugin.pictures.inspect.signature import is_picture
from stage3_plugin.pictures.new_file import NewFile
from stage3_plugin.pictures.part import LongString, PartWriter
from stage3_plugin.pictures.receipt import BodyKind, Contents, Head
from stage3_plugin.pictures.splitter import JsonSplitter
from stage3_plugin.providers.base import Part, Reply

_PIECE_BYTES = 256 * 1024
_SKELETON_BUFFER_BYTES = 64 * 1024
_IN_LINE_BYTES = 8 * 1024
"""A skeleton of a picture has some hundred; a longer one would be copied several times."""
_OPENING_BYTES = 12
_BLANKS = b" \t\r\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SKELETON = "skeleton"
_TEXT_CHARACTERS = 2000
_MOST_TEXT_BYTES = 4 << 20
_SECRET_HEADERS = frozenset({"set-cookie", "authorization", "proxy-authorization"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How much of an answer is taken.

    Attributes:
        total_bytes: Of the body as it comes.
        skeleton_bytes: Of what must be held in memory to be parsed.
        part_bytes: Of one decoded string.
        parts: How many strings are decoded; those beyond it stay in the skeleton.
    """

    total_bytes: int = 64 << 20
    skeleton_bytes: int = 4 << 20
    part_bytes: int = 48 << 20
    parts: int = 64


class Spool:
    """One answer on its way to the disk.

    Every method writes to the page cache in the caller's thread, at most 256 KiB at a time, and
    none of them syncs. Whatever ends the answer, end with :meth:`finish`, once.

    Args:
        directory: Is made if it alone is not there; nothing in it is ever overwritten.
        media_type: The answer's ``Content-Type``, if it has one. A picture as body becomes one
            part; what the body begins with can overrule this.
        caps: See :class:`Caps`.

    Raises:
        StorageFailed: Here and in every method: the disk did not take it.
    """

    def __init__(
        self, directory: Path, *, media_type: str | None = None, caps: Caps | None = None
    ) -> None:
        self._directory = directory
        self._media_type = (media_type or "").partition(";")[0].strip().lower() or None
        self._caps = caps or Caps()
        self._nonce = secrets.token_hex(16)
        self._received_bytes = 0
        self._refusal: str | None = None
        self._body: BodyKind | None = None
        self._opening = b""
        self._splitter = JsonSplitter(self)
        self._text = bytearray()
        self._text_bytes = 0
        self._skeleton: NewFile | None = None
        self._picture: NewFile | None = None
        self._part: PartWriter | None = None
        self._strings: list[LongString] = []
        self._has_head = False
        self._is_finished = False
        try:
            with suppress(FileExistsError):
                directory.mkdir(mode=0o700)
        except OSError as error:
            raise StorageFailed(directory, error) from error

    @property
    def received_bytes(self) -> int:
        """Give the bytes of the body taken so far."""
        return self._received_bytes

    @property
    def document_ended(self) -> bool:
        """Tell whether a JSON document came to its end: what makes an unframed body complete.

        To be asked when the body has stopped. Never true of a picture as body; whether that is
        whole, its own structure tells.
        """
        self._flush_queue()
        return self._body == "json" and self._splitter.document_ended

    def head(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Keep the status and the headers; a repeated header's values are joined with ``", "``.

        Headers that hold credentials or cookies are left out.
        """
        kept: dict[str, str] = {}
        for written, value in headers:
            name = written.lower()
            if name not in _SECRET_HEADERS:
                kept[name] = f"{kept[name]}, {value}" if name in kept else value
        self._has_head = True
        receipt.begin(self._directory, Head(status=status, headers=kept))

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            SpoolRefused: A cap is passed. All that was taken goes to the disk all the same;
                nothing more is taken.
        """
        self._check()
        room = self._caps.total_bytes - self._received_bytes
        for start in range(0, min(len(chunk), room), _PIECE_BYTES):
            piece = chunk[start : min(start + _PIECE_BYTES, room)]
            self._received_bytes += len(piece)
            try:
                self._take(piece)
            except StorageFailed:
                self._refusal = "could not be written"
                raise
            self._check()
        if len(chunk) > room:
            self._refusal = f"is longer than {self._caps.total_bytes} bytes"
            self._check()

    def finish(self, *, complete: bool) -> None:
        """Write what is still in memory; with ``complete``, make the answer one that counts.

        Args:
            complete: The whole body came: its length was reached, its last chunk was seen, or
                without either ``document_ended`` is true.

        Raises:
            SpoolRefused: It was to be complete, but a cap is or was passed; or it was finished
                before.
        """
        if self._is_finished:
            raise SpoolRefused("the answer was finished before")
        self._is_finished = True
        try:
            self._write_rest()
        finally:
            self._close()
        self._end(complete=complete)

    def _end(self, *, complete: bool) -> None:
        """Write the last lines of the answer, now that all other files are as they stay."""
        contents = Contents(
            body=self._body or "text",
            media_type=self._media_type,
            nonce=self._nonce,
            received_bytes=self._received_bytes,
            skeleton=self._text.decode("latin-1") if self._skeleton is None else None,
            skeleton_bytes=self._text_bytes,
            picture_bytes=self._picture.size_bytes if self._picture else 0,
            strings=self._strings,
        )
        if not self._has_head:
            receipt.begin(self._directory, None)
        receipt.end(self._directory, contents, complete=complete and self._refusal is None)
        if complete:
            self._check()

    def _check(self) -> None:
        if self._refusal is not None:
            raise SpoolRefused(f"the answer {self._refusal}")

    # What kind of body it is ---------------------------------------------------------------------

    def _take(self, piece: bytes) -> None:
        if self._body is None:
            piece = self._opening + piece
            self._opening = b""
            if len(piece) < _OPENING_BYTES:
                self._opening = piece
                return
            self._body = self._kind_of_body(piece)
        if self._body == "json":
            self._splitter.feed(piece)
        elif self._body == "text":
            self.add_text(piece)
        else:
            if self._picture is None:
                self._picture = NewFile(self._directory / "part-0")
            self._picture.write(piece)

    def _kind_of_body(self, opening: bytes) -> BodyKind:
        """Believe the first bytes, then the media type: some servers send pictures as octets."""
        if is_picture(opening):
            return "picture"
        first = opening.removeprefix(_BYTE_ORDER_MARK).lstrip(_BLANKS)[:1]
        if (self._media_type or "").startswith("image/") and first not in {b"{", b"["}:
            return "picture"
        # nothing but blanks so far is a server keeping the connection alive
        return "json" if first in {b"{", b"[", b'"', b""} else "text"

    # The splitter's sink -------------------------------------------------------------------------

    def add_text(self, text: bytes) -> None:
        """Take text of the skeleton."""
        self._text += text
        self._text_bytes += len(text)
        if self._text_bytes > self._caps.skeleton_bytes:
            self._refusal = f"has over {self._caps.skeleton_bytes} bytes beside its pictures"
        if len(self._text) >= _SKELETON_BUFFER_BYTES:
            self._write_text()

    def begin_string(self, head: bytes) -> bool:
        """Begin a part, if the string begins as base64."""
        index = len(self._strings)
        if index >= self._caps.parts:
            return False
        self._part = PartWriter.begin(self._directory, index, head)
        if self._part is None:
            return False
        self.add_text(_placeholder(self._nonce, index).encode())
        self._check_part(self._part)
        return True

    def add_string(self, source: bytes) -> None:
        """Decode more of the part."""
        assert self._part is not None
        self._part.add(source)
        self._check_part(self._part)

    def end_string(self) -> None:
        """Finish the part."""
        assert self._part is not None
        self._strings.append(self._part.end())
        self._part = None

    def _check_part(self, part: PartWriter) -> None:
        if part.size_bytes > self._caps.part_bytes:
            self._refusal = f"has a string of more than {self._caps.part_bytes} bytes"

    # Files ---------------------------------------------------------------------------------------

    def _flush_queue(self) -> None:
        if self._opening:
            opening, self._opening = self._opening, b""
            self._body = self._kind_of_body(opening)
            self._take(opening)
        self._splitter.flush()

    def _write_rest(self) -> None:
        self._flush_queue()
        held = self._splitter.close()
        if self._part is not None:
            part, self._part = self._part, None
            self._strings.append(part.cut(held))
        if self._skeleton is not None or len(self._text) > _IN_LINE_BYTES:
            self._write_text()

    def _write_text(self) -> None:
        if self._skeleton is None:
            self._skeleton = NewFile(self._directory / _SKELETON)
        text, self._text = self._text, bytearray()
        self._skeleton.write(bytes(text))

    def _close(self) -> None:
        for file in (self._skeleton, self._picture, self._part):
            if file is not None:
                file.close()


def _placeholder(nonce: str, index: int) -> str:
    """Name a string so that no text of a model can be taken for it."""
    return f"spooled:{nonce}:{index}:"


# Reading back ------------------------------------------------------------------------------------


def load_reply(directory: Path) -> Reply:
    """Build the answer from its files alone, by whatever process they were written.

    A document that is not JSON, holds ``NaN`` or is nested too deeply to be parsed is ``None``.
    Control characters within strings are let pass: a paid picture is not lost to them.

    Raises:
        SpoolRefused: The answer is not complete, or its files are not what was written.
    """
    head, contents = receipt.read(directory)
    if contents.body == "picture":
        part = _part(directory, 0, contents.media_type, contents.picture_bytes)
        return Reply(status=head.status, headers=head.headers, parts={"": part})
    if contents.skeleton is None:
        skeleton = _read_file(directory / _SKELETON, contents.skeleton_bytes)
    else:
        skeleton = contents.skeleton.encode("latin-1")
    document, is_json = _parse(_with_texts(directory, contents, skeleton))
    return Reply(
        status=head.status,
        headers=head.headers,
        document=document,
        text="" if is_json else skeleton.decode("utf-8-sig", "replace")[:_TEXT_CHARACTERS],
        parts={
            _placeholder(contents.nonce, string.index): _part(
                directory, string.index, string.media_type, string.size_bytes
            )
            for string in contents.strings
            if string.kind == "base64" and string.is_whole
        },
    )


def _with_texts(directory: Path, contents: Contents, skeleton: bytes) -> bytes:
    """Put the strings that were not base64 back where they stood.

    A very long one stays a placeholder without a part: it would fill the memory of whoever parses
    it, and no provider says anything in 4 MiB of text.
    """
    texts: dict[bytes, bytes] = {}
    room = _MOST_TEXT_BYTES
    for string in contents.strings:
        if string.kind == "text" and string.text_bytes <= room:
            room -= string.text_bytes
            path = directory / f"part-{string.index}"
            texts[_placeholder(contents.nonce, string.index).encode()] = string.source(
                _read_file(path, string.decoded_bytes, is_beginning=True),
                _read_file(path.with_suffix(".raw"), string.size_bytes),
            )
    if not texts:
        return skeleton
    any_placeholder = re.compile(rb"spooled:%b:[0-9]+:" % contents.nonce.encode())
    return any_placeholder.sub(lambda match: texts.get(match[0], match[0]), skeleton)


def _part(directory: Path, index: int, media_type: str | None, size_bytes: int) -> Part:
    path = directory / f"part-{index}"
    try:
        found_bytes = path.stat().st_size
    except OSError as error:
        raise SpoolRefused(f"{path.name} cannot be read: {error.strerror}") from error
    if found_bytes != size_bytes:
        raise SpoolRefused(f"{path.name} has {found_bytes} bytes instead of {size_bytes}")
    return Part(index=index, path=path, media_type=media_type, size_bytes=size_bytes)


def _read_file(path: Path, size_bytes: int | None, *, is_beginning: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(size_bytes if is_beginning else None)
    except OSError as error:
        raise SpoolRefused(f"{path.name} cannot be read: {error.strerror}") from error
    if size_bytes is not None and len(data) != size_bytes:
        raise SpoolRefused(f"{path.name} has {len(data)} bytes instead of {size_bytes}")
    return data


def _parse(skeleton: bytes) -> tuple[JsonValue | Decimal, bool]:
    try:
        text = skeleton.decode("utf-8-sig", "surrogatepass")
    except UnicodeDecodeError:
        text = skeleton.decode("utf-8-sig", "replace")
    try:
        value = json.loads(
            text, strict=False, parse_float=_decimal, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        return None, False
    return cast("JsonValue | Decimal", value), True


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("an exponent beyond reason") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
