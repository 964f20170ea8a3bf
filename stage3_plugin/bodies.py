"""Where a body goes while it arrives: straight on, inflated on the way, or into a file.

Apart from the client because none of it knows a connection: bytes come in pieces, and what they are
pieces of is somebody else's question.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from stage3_plugin.errors import SpoolRefused, StorageFailed

PIECE_BYTES = 64 * 1024


class ReplySink(Protocol):
    """Where a body goes while it arrives; the spool is one."""

    def feed(self, chunk: bytes) -> None:
        """Take the next piece.

        Raises:
            SpoolRefused: A cap is passed.
            StorageFailed: The disk did not take it.
        """
        ...

    @property
    def document_ended(self) -> bool:
        """Tell whether what came so far is a whole JSON document."""
        ...

    def finish(self, *, complete: bool) -> bool:
        """See the body end, once; with ``complete``, all of it came.

        Returns:
            Whether what came counts as an answer: a cut one does too, if what matters is whole.

        Raises:
            SpoolRefused: It was to be complete, and a cap is passed.
            StorageFailed: The disk did not take it.
        """
        ...


class Inflating:
    """Decodes a body that was compressed although ``identity`` was asked for.

    httpx's own decoding is silent about a cut stream; this one is not.
    """

    def __init__(self, sink: ReplySink) -> None:
        self._sink = sink
        self._inflate = zlib.decompressobj(47)  # gzip or zlib, told by the header

    def feed(self, chunk: bytes) -> None:
        """Inflate and pass on in bounded pieces."""
        try:
            piece = self._inflate.decompress(chunk, PIECE_BYTES)
            self._sink.feed(piece)
            while self._inflate.unconsumed_tail:
                piece = self._inflate.decompress(self._inflate.unconsumed_tail, PIECE_BYTES)
                self._sink.feed(piece)
        except zlib.error as error:
            raise SpoolRefused("the compressed answer is damaged") from error

    @property
    def document_ended(self) -> bool:
        """Tell whether the compressed stream and the document in it have ended."""
        return self._inflate.eof and self._sink.document_ended

    def finish(self, *, complete: bool) -> bool:
        """Pass the end on."""
        return self._sink.finish(complete=complete)


def decoded(sink: ReplySink, headers: Mapping[str, str]) -> ReplySink:
    """Give the sink for a body with these headers: one that inflates, if it is compressed."""
    encoding = headers.get("content-encoding", "identity").lower()
    return Inflating(sink) if encoding in {"gzip", "x-gzip", "deflate"} else sink


class FileSink:
    """A body that goes into a file as it is; a context manager that owns the file."""

    def __init__(self, path: Path, cap: int) -> None:
        self._path = path
        self._left = cap
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def opened(self, _status: int, _headers: Mapping[str, str]) -> Self:
        """Take a body whatever its head says."""
        try:
            self._file = self._path.open("xb", buffering=0)  # nothing received is written over
        except OSError as error:
            raise StorageFailed(self._path, error) from error
        return self

    def feed(self, chunk: bytes) -> None:
        assert self._file is not None
        self._left -= len(chunk)
        if self._left < 0:
            raise SpoolRefused("the picture passes max_reply_bytes")
        try:
            rest = memoryview(chunk)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise StorageFailed(self._path, error) from error

    @property
    def document_ended(self) -> bool:
        return True  # a cut picture is found by its own structure

    def finish(self, *, complete: bool) -> bool:
        return complete  # there is nothing to add to the file, and leaving the block closes it
