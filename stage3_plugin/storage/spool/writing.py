"""The folder an answer is received into, written piece by piece.

::

    spool/<attempt>/
        answer        see the module receipt: the head, what came, and that it is whole
        part-0 …      a long run of plain base64, decoded
        part-64 …     a picture that the judge found: the whole body, or written in another way
        judging       is there while the answer is judged: see the module trial

Nothing received is ever removed here, whatever becomes of the answer, and no file is opened to be
written twice; peak memory is some 100 KiB whatever it weighs. Nothing is synced: the files survive
a killed process, and a power cut leaves an answer that is not complete. Whoever reads the folder
knows what the answer says (:mod:`stage3_plugin.storage.spool.reading`); here nothing is known of
it but where a run of base64 begins and ends.
"""

from __future__ import annotations

import mmap
import secrets
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from stage3_plugin.errors import SpoolRefused, StorageFailed
from stage3_plugin.files.descriptors import release
from stage3_plugin.files.new_file import NewFile
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.storage.inflating import codings_of
from stage3_plugin.storage.spool.cutting import Cutter
from stage3_plugin.storage.spool.reading import found_in
from stage3_plugin.storage.spool.receipt import (
    MOST_BODY_BYTES,
    MOST_PARTS,
    RECEIPT,
    End,
    Head,
    Received,
    as_end,
    as_head,
)

_ROOM_BYTES = 16 << 20
"""Memory that there is room for before a request leaves: several answers, and a thread's stack."""
_PIECE_BYTES = 256 * 1024
_SECRET_HEADERS = frozenset({"set-cookie", "authorization", "proxy-authorization"})


class SpooledAnswer:
    """One answer on its way to the disk, or still to come.

    Made before a paid request leaves, it has what the answer will need: its own file, and a
    descriptor that is kept for the file of a picture. Every method writes to the page cache in the
    caller's thread, at most 256 KiB at a time, and none of them syncs. Whatever ends the answer,
    end with :meth:`finish`, once, or :meth:`close` it.

    Args:
        directory: Is made if it alone is not there; nothing in it is ever overwritten.
        most_bytes: How much of a body is taken, as it comes.
        masked: Covers secrets in the head, which people are shown.

    Attributes:
        received_bytes: Of the body, so far.

    Raises:
        StorageFailed: Here and in every method: the disk did not take it, or there is an answer
            already, or the system has no more descriptors for it.
    """

    def __init__(
        self, directory: Path, *, most_bytes: int = MOST_BODY_BYTES, masked: Masked = NOTHING
    ) -> None:
        self.received_bytes = 0
        self._directory = directory
        self._masked = masked
        self._most_bytes = most_bytes
        self._head = Head(status=0, headers={}, nonce=secrets.token_hex(16))
        self._is_compressed = False
        self._cutter = Cutter(self._head.nonce, self._new_part)
        self._refusal: str | None = None
        self._start = 0
        with on_disk(directory), suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        with on_disk(directory / RECEIPT):  # let go untouched, which costs some microseconds
            mmap.mmap(-1, _ROOM_BYTES).close()
        self._file = NewFile(directory / RECEIPT)
        try:
            self._file.keep_aside()
        except StorageFailed:
            self._file.close()
            raise
        self._has_kept = True

    def opened(self, status: int, headers: Mapping[str, str]) -> Self:
        """Keep the status and the headers, but those that hold credentials; the body follows.

        Args:
            status: Of HTTP.
            headers: Names in lower case.
        """
        kept = {name: value for name, value in headers.items() if name not in _SECRET_HEADERS}
        headers_kept = self._masked.words(kept)
        self._head = Head(status=status, headers=headers_kept, nonce=self._head.nonce)
        self._is_compressed = bool(codings_of(kept))
        self._write(as_head(self._head))
        self._start = self._file.size_bytes
        return self

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            SpoolRefused: There is too much of it. All that was taken goes to the disk all the
                same; nothing more is taken.
        """
        self._check()
        room = self._most_bytes - self.received_bytes
        self._refusal = "could not be written"
        for start in range(0, min(len(chunk), room), _PIECE_BYTES):
            piece = chunk[start : min(start + _PIECE_BYTES, room)]
            self.received_bytes += len(piece)
            self._write(self._cutter.feed(piece))
        self._refusal = None
        if len(chunk) > room:
            self._refusal = f"is longer than {self._most_bytes} bytes"
        self._check()

    def finish(self, how: str) -> bool:
        """Write what is still in memory, and make the answer one that counts if it can be read.

        That is so if all of it came, and also if it was cut and its document or a picture in it is
        whole: that can be delivered, and was paid for. But for a whole one, the file is read for
        it: then it is to be called in a thread.

        Args:
            how: How the body ended: ``whole``, ``closed`` without a word of its length, or ``cut``.

        Returns:
            Whether it counts.

        Raises:
            StorageFailed: The disk did not take it.
        """
        with closing(self):
            self._write(self._cutter.close())
            end = End(
                nonce=self._head.nonce,
                body_bytes=self._file.size_bytes - self._start,
                parts=tuple(self._cutter.sizes),
            )
            counts = is_taken = self._refusal is None
            if how != "whole" or not is_taken:
                received = Received(self._directory, self._head, end, self._start)
                is_whole, has_picture = found_in(received)
                counts = has_picture or (is_whole and is_taken)
                end = replace(end, is_cut=how != "closed" or not is_whole)
            if counts:
                self._file.write(as_end(end))
        return counts

    def close(self) -> None:
        """Close the file, whatever it holds; a second time does nothing."""
        self._release()
        self._file.close()

    def _release(self) -> None:
        """Release the descriptor that was kept for a part, if that is still so."""
        if self._has_kept:
            self._has_kept = False
            release()

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except StorageFailed:
            self.close()
            raise

    def _check(self) -> None:
        if self._refusal is not None:
            raise SpoolRefused(f"the answer {self._refusal}")

    def _new_part(self, index: int) -> NewFile | None:
        """Open a part's file, for which a descriptor was kept."""
        if index >= MOST_PARTS or self._is_compressed:
            return None
        self._release()
        return NewFile(self._directory / f"part-{index}")
