"""The folder an answer is received into, written piece by piece.

::

    spool/<attempt>/
        answer        see the module receipt: the head, what else came, and that it is complete
        part-0 …      the decoded bytes of every long base64 string
        part-0.raw    of a string that was not base64 after all: the text from where that shows
        part-0.loose  of one that begins as a picture all the same: what is left without odd signs
        skeleton      the body with a placeholder for each of those, if it is too long for a line
        encoded       a compressed body as it came

Nothing received is ever removed here, whatever becomes of the answer, and no file is opened to be
written twice; peak memory is some 100 KiB whatever it weighs. What an answer says is kept as it
came, but for secrets, which are covered in all that is no picture: in the receipt as it is written,
and in the other files by :mod:`stage3_plugin.storage.spool.covering` before one of them is read.
Nothing is synced: the files survive a killed process, and a power cut leaves an answer that is not
complete. They are two for a picture, because making one can cost as much as decoding what goes into
it. :mod:`stage3_plugin.storage.spool.reading` reads them back.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stage3_plugin.domain.signature import blanks_before, is_picture, nothing_before
from stage3_plugin.errors import SpoolRefused, StorageFailed
from stage3_plugin.files.new_file import NewFile
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.storage.inspect import is_whole_picture
from stage3_plugin.storage.spool.part import LongString, PartWriter
from stage3_plugin.storage.spool.receipt import (
    SKELETON,
    BodyKind,
    Contents,
    Head,
    Receipt,
    placeholder,
)
from stage3_plugin.storage.spool.splitter import JsonSplitter

_PIECE_BYTES = 256 * 1024
_SKELETON_BUFFER_BYTES = 16 * 1024
_IN_LINE_BYTES = 8 * 1024
"""A skeleton of a picture has some hundred; a longer one would be copied several times."""
_OPENING_BYTES = 12
ENCODED = "encoded"
"""The file of a compressed body."""
_LABOUR_BYTES = 4 * 1024
_SECRET_HEADERS = frozenset({"set-cookie", "authorization", "proxy-authorization"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How much of an answer is taken.

    Attributes:
        total_bytes: Of the body as it comes.
        part_bytes: Of one decoded string.
        parts: How many strings are decoded; those beyond it stay in the skeleton.
    """

    total_bytes: int = 64 << 20
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
        masked: Covers secrets in the receipt.
        receipt: That of this answer, if it was made before; by default one is made.

    Raises:
        StorageFailed: Here and in every method: the disk did not take it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        media_type: str | None = None,
        caps: Caps | None = None,
        masked: Masked = NOTHING,
        receipt: Receipt | None = None,
    ) -> None:
        self._directory = directory
        self._masked = masked
        self._media_type = (media_type or "").partition(";")[0].strip().lower() or None
        self._caps = caps or Caps()
        self._nonce = secrets.token_hex(16)
        self._received_bytes = 0
        self._refusal: str | None = None
        self._body: BodyKind | None = None
        self._opening: bytes = b""
        self._splitter = JsonSplitter(self)
        self._text = bytearray()
        self._text_bytes = 0
        self._labour = 0
        self._skeleton: NewFile | None = None
        self._picture: NewFile | None = None
        self._is_light = False
        self._encoded: NewFile | None = None
        self._part: PartWriter | None = None
        self._strings: list[LongString] = []
        self._has_picture = False
        self._receipt = receipt
        self._is_finished = False
        try:
            with suppress(FileExistsError):
                directory.mkdir(mode=0o700)
        except OSError as error:
            raise StorageFailed(directory, error) from error

    @property
    def received_bytes(self) -> int:
        """Return the bytes of the body taken so far."""
        return self._received_bytes

    @property
    def document_ended(self) -> bool:
        """Return whether a document or a picture came to its end, which completes an unframed body.

        To be asked when the body has stopped: a picture is read through for it.
        """
        self._flush_queue()
        if self._body == "picture" and self._picture is not None:
            return is_whole_picture(self._picture.path)
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
        self._own_receipt().head(Head(status=status, headers=self._masked.words(kept)))

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

    def go_on(self) -> bool:
        """Return, once, whether much of what was taken is no picture: that is far more work."""
        labour, self._labour = self._labour, 0
        return labour >= _LABOUR_BYTES

    def keep(self, raw: bytes) -> None:
        """Keep a piece of a compressed body as it came."""
        if self._encoded is None:
            self._encoded = self._new_file(ENCODED)
        room = self._caps.total_bytes - self._encoded.size_bytes
        self._encoded.write(raw[:room])
        if len(raw) > room:  # what came of it may still count
            raise SpoolRefused(f"the answer is longer than {self._caps.total_bytes} bytes")

    def finish(self, *, complete: bool) -> bool:
        """Write what is still in memory, and make the answer one that counts if it can be read.

        That is so if all of it came, and also if it was cut and its document or a picture in it is
        whole: that can be delivered, and was paid for.

        Args:
            complete: The whole body came: its length was reached, its last chunk was seen, or
                without either ``document_ended`` is true.

        Returns:
            Whether it counts.

        Raises:
            SpoolRefused: It was to be complete, but a cap is or was passed, and there is nothing
                whole in it; or it was finished before.
        """
        if self._is_finished:
            raise SpoolRefused("the answer was finished before")
        self._is_finished = True
        try:
            self._write_rest()
            is_whole = complete and self._refusal is None
            is_readable = self._refusal is None and self.document_ended
            counts = is_whole or self._has_picture or is_readable
        finally:
            self._close()
        self._end(counts=counts, is_cut=not is_whole)
        if complete and not counts:
            self._check()
        return counts

    def _end(self, *, counts: bool, is_cut: bool) -> None:
        """Write the last lines of the answer, now that all other files are as they stay."""
        skeleton: str | None = None
        if self._skeleton is None:
            skeleton = self._masked.covered(bytes(self._text)).decode("latin-1")
        contents = Contents(
            body=self._body or "text",
            media_type=self._media_type and self._masked.text(self._media_type),
            nonce=self._nonce,
            received_bytes=self._received_bytes,
            skeleton=skeleton,
            skeleton_bytes=self._text_bytes,
            picture_bytes=self._picture.size_bytes if self._picture else 0,
            strings=[self._masked.record(one) if one.prefix else one for one in self._strings],
            values=self._splitter.values,
            is_cut=is_cut,
        )
        self._own_receipt().end(contents, complete=counts)

    def _own_receipt(self) -> Receipt:
        if self._receipt is None:
            self._receipt = Receipt(self._directory)
        return self._receipt

    def _new_file(self, name: str) -> NewFile:
        """Open a file of the answer, for which a descriptor was kept."""
        self._own_receipt().make_way()
        return NewFile(self._directory / name)

    def _check(self) -> None:
        if self._refusal is not None:
            raise SpoolRefused(f"the answer {self._refusal}")

    # What kind of body it is ---------------------------------------------------------------------

    def _take(self, piece: bytes) -> None:
        if self._body is None:
            self._opening += piece
            before = nothing_before(self._opening)
            if len(self._opening) - before >= _OPENING_BYTES:
                self._take_opening()
            elif before > _OPENING_BYTES:  # however many more come: nothing is looked at twice
                self.add_text(self._opening[:before])
                self._opening = self._opening[before:]
            return
        if self._body == "json":
            self._splitter.feed(piece)
            if self._part is not None and not self._part.is_light:
                self._splitter.flush()  # joined, it would be a long step
        elif self._body == "text":
            self.add_text(piece)
        else:
            if self._picture is None:
                self._is_light = is_picture(piece)
                self._picture = self._new_file("part-0")
            self._picture.write(piece)
            if not self._is_light:
                self._labour += len(piece)

    def _take_opening(self) -> None:
        """Take what came until it shows what the body is.

        Some servers send a line break before a picture: it is kept, and not as a part of it.
        """
        opening, self._opening = self._opening, b""
        before = nothing_before(opening)
        if is_picture(opening[before:]):
            self.add_text(opening[:before])
            opening = opening[before:]
        self._body = self._kind_of_body(opening[blanks_before(opening) :])
        self._take(opening)

    def _kind_of_body(self, opening: bytes) -> BodyKind:
        """Believe the first bytes, then the media type: some servers send pictures as octets."""
        if is_picture(opening):
            return "picture"
        first = opening[:1]
        if (self._media_type or "").startswith("image/") and first not in {b"{", b"["}:
            return "picture"
        # nothing but blanks so far is a server keeping the connection alive
        return "json" if first in {b"{", b"[", b'"', b""} else "text"

    # The splitter's sink -------------------------------------------------------------------------

    def add_text(self, text: bytes) -> None:
        """Take text of the skeleton."""
        self._text += text
        self._text_bytes += len(text)
        self._labour += len(text)
        if len(self._text) >= _SKELETON_BUFFER_BYTES:
            self._write_text()

    def begin_string(self, head: bytes) -> bool:
        """Begin a part, if the string begins as base64."""
        index = len(self._strings)
        if index >= self._caps.parts:
            return False
        self._own_receipt().make_way()
        self._part = PartWriter.begin(self._directory, index, head)
        if self._part is None:
            return False
        self.add_text(placeholder(self._nonce, index).encode())
        self._check_part(self._part)
        return True

    def add_string(self, source: bytes) -> None:
        """Decode more of the part."""
        assert self._part is not None
        self._part.add(source)
        if not self._part.is_light:
            self._labour += len(source)
        self._check_part(self._part)

    def end_string(self) -> None:
        """Finish the part."""
        assert self._part is not None
        string = self._part.end()
        self._has_picture |= self._part.is_picture
        self._strings.append(string)
        self._part = None

    def _check_part(self, part: PartWriter) -> None:
        if part.size_bytes > self._caps.part_bytes:
            self._refusal = f"has a string of more than {self._caps.part_bytes} bytes"

    # Files ---------------------------------------------------------------------------------------

    def _flush_queue(self) -> None:
        if self._body is None and self._received_bytes:
            self._take_opening()
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
            self._skeleton = self._new_file(SKELETON)
        self._skeleton.write(bytes(self._text))
        self._text = bytearray()  # not before: where memory was lacking, finishing tries again

    def _close(self) -> None:
        try:
            for file in (self._skeleton, self._picture, self._encoded, self._part):
                if file is not None:
                    file.close()
        except StorageFailed:
            if self._receipt is not None:
                self._receipt.close()
            raise
