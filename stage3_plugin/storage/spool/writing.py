"""The folder an answer is received into, written piece by piece.

::

    spool/<attempt>/
        answer        see the module receipt: the head, what came, and that it is whole
        part-0 …      a long run of plain base64, decoded; or a picture that was the whole body
        part-64 …     a picture that the judge found written in another way
        inflated/     what the judge found a compressed body to stand for
        judging       is there while the answer is judged: see the module trial

Nothing received is ever removed here, whatever becomes of the answer, and no file is opened to be
written twice; peak memory is some 100 KiB whatever it weighs. Nothing is synced: the files survive
a killed process, and a power cut leaves an answer that is not complete. Whoever reads the folder
knows what the answer says (:mod:`stage3_plugin.storage.spool.reading`); here nothing is known of
it but where a picture or a run of base64 begins and ends.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stage3_plugin.domain.signature import is_picture, nothing_before
from stage3_plugin.errors import SpoolRefused
from stage3_plugin.files.new_file import NewFile
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.storage.inflating import codings_of
from stage3_plugin.storage.spool.cutting import Cutter
from stage3_plugin.storage.spool.receipt import End, Head, Receipt, Received

MOST_PARTS = 64
_PIECE_BYTES = 256 * 1024
_OPENING_BYTES = 12
_SECRET_HEADERS = frozenset({"set-cookie", "authorization", "proxy-authorization"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How much of an answer is taken.

    Attributes:
        total_bytes: Of the body as it comes, and of what a compressed one stands for.
        part_bytes: Of one decoded string.
    """

    total_bytes: int = 64 << 20
    part_bytes: int = 48 << 20


class Spool:
    """One answer on its way to the disk.

    Every method writes to the page cache in the caller's thread, at most 256 KiB at a time, and
    none of them syncs. Whatever ends the answer, end with :meth:`end`, once.

    Args:
        directory: Is made if it alone is not there; nothing in it is ever overwritten.
        caps: See :class:`Caps`.
        masked: Covers secrets in the head, which people are shown.
        receipt: That of this answer, if it was made before; by default one is made.

    Attributes:
        received_bytes: Of the body, so far.

    Raises:
        StorageFailed: Here and in every method: the disk did not take it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        caps: Caps | None = None,
        masked: Masked = NOTHING,
        receipt: Receipt | None = None,
    ) -> None:
        self.received_bytes = 0
        self._directory = directory
        self._masked = masked
        self._caps = caps or Caps()
        self._head = Head(status=0, headers={}, nonce=secrets.token_hex(16))
        self._is_compressed = False
        self._calls_itself_picture = False
        self._opening: bytes | None = b""
        self._cutter = Cutter(self._head.nonce, self._new_part)
        self._picture: NewFile | None = None
        self._refusal: str | None = None
        self._is_over = False
        with on_disk(directory), suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        self._receipt = receipt or Receipt(directory)

    def head(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Keep the status and the headers; a repeated header's values are joined with ``", "``.

        Headers that hold credentials or cookies are left out.
        """
        kept: dict[str, str] = {}
        for written, value in headers:
            name = written.lower()
            if name not in _SECRET_HEADERS:
                kept[name] = f"{kept[name]}, {value}" if name in kept else value
        headers_kept = self._masked.words(kept)
        self._head = Head(status=status, headers=headers_kept, nonce=self._head.nonce)
        self._is_compressed = bool(codings_of(kept))
        self._calls_itself_picture = kept.get("content-type", "").lower().startswith("image/")
        self._receipt.head(self._head)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            SpoolRefused: A cap is passed. All that was taken goes to the disk all the same;
                nothing more is taken.
        """
        self._check()
        room = self._caps.total_bytes - self.received_bytes
        self._refusal = "could not be written"
        for start in range(0, min(len(chunk), room), _PIECE_BYTES):
            piece = chunk[start : min(start + _PIECE_BYTES, room)]
            self.received_bytes += len(piece)
            self._take(piece)
        self._refusal = None
        if len(chunk) > room:
            self._refusal = f"is longer than {self._caps.total_bytes} bytes"
        elif self._cutter.largest_bytes > self._caps.part_bytes:
            self._refusal = f"has a string of more than {self._caps.part_bytes} bytes"
        self._check()

    @property
    def is_taken(self) -> bool:
        """Return whether all that came was taken."""
        return self._refusal is None

    def flush(self) -> Received:
        """Write what is still in memory, and return what is there: the body has ended somewhere."""
        if self._is_over:
            raise SpoolRefused("the answer was finished before")
        self._is_over = True
        try:
            self._begin(self._opening or b"")
            self._receipt.write(self._cutter.close())
        finally:
            self._cutter.close()
            if self._picture is not None:
                self._picture.close()
        end = End(
            nonce=self._head.nonce,
            body="text" if self._picture is None else "picture",
            body_bytes=self._receipt.body_bytes,
            parts=self._sizes,
        )
        return Received(self._directory, self._head, end, self._receipt.start)

    def end(self, end: End | None) -> None:
        """Write that the answer counts, and how; ``None`` if it does not."""
        self._receipt.end(end)

    def close(self) -> None:
        """Close what is open, whatever it holds."""
        self._receipt.close()

    @property
    def _sizes(self) -> tuple[int, ...]:
        return tuple(self._cutter.sizes) if self._picture is None else (self._picture.size_bytes,)

    def _check(self) -> None:
        if self._refusal is not None:
            raise SpoolRefused(f"the answer {self._refusal}")

    def _take(self, piece: bytes) -> None:
        if self._opening is not None:
            self._opening += piece
            before = nothing_before(self._opening)
            if len(self._opening) - before >= _OPENING_BYTES:
                self._begin(self._opening)
            elif before > _OPENING_BYTES:  # however many more come: nothing is looked at twice
                self._receipt.write(self._opening[:before])
                self._opening = self._opening[before:]
        elif self._picture is not None:
            self._picture.write(piece)
        else:
            self._receipt.write(self._cutter.feed(piece))

    def _begin(self, opening: bytes) -> None:
        """Find out whether the body is a picture: some servers send one as octets.

        Some send a line break before it: that is kept, and not as a part of it.
        """
        if self._opening is None:
            return
        self._opening = None
        before = nothing_before(opening)
        if self._is_picture(opening[before:]):
            before = before if is_picture(opening[before:]) else 0
            self._receipt.write(opening[:before])
            self._picture = self._new_part(0)
        self._take(opening[before if self._picture is not None else 0 :])

    def _is_picture(self, opening: bytes) -> bool:
        is_json = opening[:1] in {b"{", b"["}
        may_be = self._calls_itself_picture and bool(opening) and not is_json
        return not self._is_compressed and (is_picture(opening) or may_be)

    def _new_part(self, index: int) -> NewFile | None:
        """Open a part's file, for which a descriptor was kept."""
        if index >= MOST_PARTS or self._is_compressed:
            return None
        self._receipt.make_way()
        return NewFile(self._directory / f"part-{index}")
