"""Where a body goes while it arrives: straight on, or through an inflater.

Apart from the client because none of it knows a connection: bytes come in pieces, and only the sink
knows what they are pieces of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from stage3_plugin.transport.inflating import Inflating

PIECE_BYTES = 64 * 1024
_COMPRESSED = frozenset({"gzip", "x-gzip", "deflate"})
_MOST_LAYERS = 4


class ReplySink(Protocol):
    """Where a body goes while it arrives; the spool is one."""

    def feed(self, chunk: bytes) -> None:
        """Take the next piece.

        Raises:
            SpoolRefused: A cap is passed.
            StorageFailed: The disk did not take it.
        """
        ...

    def go_on(self) -> bool:
        """Do a step of what the last piece left to be done, if it did.

        Returns:
            Whether that was much work, and others are to take their turn before more is done.

        Raises:
            SpoolRefused: A cap is passed.
            StorageFailed: The disk did not take it.
        """
        ...

    def keep(self, raw: bytes) -> None:
        """Take a piece of a compressed body as it came, beside what :meth:`feed` takes of it.

        Raises:
            StorageFailed: The disk did not take it.
        """
        ...

    @property
    def document_ended(self) -> bool:
        """Return whether what came so far is a whole document, or a picture by itself."""
        ...

    def finish(self, *, complete: bool) -> bool:
        """Take the end of the body, once; with ``complete``, all of it came.

        Returns:
            Whether what came counts as an answer: a cut one does too, if what matters is whole.

        Raises:
            SpoolRefused: It was to be complete, and a cap is passed.
            StorageFailed: The disk did not take it.
        """
        ...


class Moving:
    """Passes a body on, and says how much of it came.

    Args:
        sink: Takes it.
        moved: Called with the bytes of each piece.
    """

    def __init__(self, sink: ReplySink, moved: Callable[[int], None]) -> None:
        self._sink = sink
        self._moved = moved

    def feed(self, chunk: bytes) -> None:
        self._moved(len(chunk))
        self._sink.feed(chunk)

    def go_on(self) -> bool:
        return self._sink.go_on()

    def keep(self, raw: bytes) -> None:
        self._sink.keep(raw)

    @property
    def document_ended(self) -> bool:
        return self._sink.document_ended

    def finish(self, *, complete: bool) -> bool:
        return self._sink.finish(complete=complete)


def decoded(sink: ReplySink, headers: Mapping[str, str]) -> ReplySink:
    """Return the sink for a body with these headers: one that inflates, if it is compressed.

    What is compressed in a way that is not known here goes on as it is.
    """
    named = headers.get("content-encoding", "").lower().split(",")
    ways = [way for name in named if (way := name.strip()) not in {"", "identity"}]
    if len(ways) > _MOST_LAYERS or not all(way in _COMPRESSED for way in ways):
        return sink
    for way in ways:  # the last one named was done last
        sink = Inflating(sink, way)
    return sink
