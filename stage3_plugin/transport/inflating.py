"""How a compressed body is read while it arrives, also one that is damaged or is none.

``identity`` is asked for, and some servers and proxies compress all the same, and some of those say
so of what they did not compress. What can be decoded is passed on, and what came is kept as it
came. Apart from the other ways of a body because none of them can fail.
"""

from __future__ import annotations

import zlib
from typing import Protocol

from stage3_plugin.domain.signature import is_picture
from stage3_plugin.errors import SpoolRefused

PIECE_BYTES = 8 * 1024
_SLICE_BYTES = 16 * 1024
"""Bytes inflated at a time: what is left over is copied every time."""
_OPENING_BYTES = 12
_GZIP = b"\x1f\x8b"
_AS_GZIP, _AS_ZLIB, _AS_DEFLATE = 31, 15, -15
_MOST_MEMBERS = 1000
_MOST_WITHOUT_A_BYTE = 64 * 1024
_MOST_EASILY = 8 << 20
_MOST_TIMES = 200
"""A picture in base64 inflates to 1.3 times its length, words to ten times, one of a single colour
that was not compressed to some hundred."""
_STEPS = 1
"""Pieces that come out before other tasks take their turn."""
_PLAIN = frozenset(b"\t\n\r") | frozenset(range(0x20, 0x7F))
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Inflate(Protocol):
    """What ``zlib.decompressobj()`` returns, and the copy of it."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes: ...
    def copy(self) -> _Inflate: ...


class Taker(Protocol):
    """Takes what comes out; see :class:`~stage3_plugin.transport.sinks.ReplySink`."""

    def feed(self, chunk: bytes, /) -> None: ...
    def go_on(self) -> bool: ...
    def keep(self, raw: bytes, /) -> None: ...
    @property
    def document_ended(self) -> bool: ...
    def finish(self, *, complete: bool) -> bool: ...


class Inflating:
    """Decodes a body that was compressed although ``identity`` was asked for.

    httpx's own decoding is silent about a cut stream, and loses a damaged one. The first bytes of a
    body say what it is, and not its name: plain JSON that is called gzip is plain JSON, and
    ``deflate`` is written with zlib's frame and without.

    Args:
        sink: Takes what comes out.
        name: What the body is called, in lower case.
    """

    def __init__(self, sink: Taker, name: str) -> None:
        self._sink = sink
        self._name = name
        self._opening = b""
        self._is_open = False
        self._ways: list[int] = []
        """In which it may be compressed; none if it is not."""
        self._inflate: _Inflate = zlib.decompressobj(_AS_GZIP)
        self._taken = b""
        """What came until something came out: another way may be tried with it."""
        self._slices: list[bytes] = []
        self._undone = b""
        self._steps_left = 0
        self._is_over = False
        self._is_between = False
        """Between two members, or behind the last one."""
        self._is_damaged = False
        self._members = 0
        self._received_bytes = 0
        self._inflated_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next piece and inflate the beginning of it; :meth:`go_on` does the rest."""
        while self.go_on():  # a caller that does not ask for it gets it all the same
            pass
        self._slices = [
            chunk[start : start + _SLICE_BYTES] for start in range(0, len(chunk), _SLICE_BYTES)
        ]
        self._slices.reverse()
        self.go_on()

    def go_on(self) -> bool:
        """Inflate a step's worth of what is left; return whether that was not all."""
        self._steps_left = _STEPS
        while self._steps_left > 0:
            if self._sink.go_on():
                self._steps_left -= 1
            elif self._undone:
                undone, self._undone = self._undone, b""
                self._decode(undone)
            elif self._slices:
                self._take(self._slices.pop())
            else:
                return False
        return True

    def keep(self, raw: bytes) -> None:
        """Keep nothing: what is around this one does, with what really came."""

    @property
    def document_ended(self) -> bool:
        """Return whether the document or picture in it has ended, though bytes behind may lack."""
        self._end()
        return self._sink.document_ended

    def finish(self, *, complete: bool) -> bool:
        """Pass the end on; a stream that lacks its end is not complete."""
        self._end()
        is_whole = not self._ways or (self._is_between and not self._is_damaged)
        return self._sink.finish(complete=complete and is_whole)

    def _end(self) -> None:
        """Take what is left: no more comes."""
        try:
            self._open()
            while self.go_on():
                pass
        except SpoolRefused:  # what came before that may still be all that matters
            self._is_over = self._is_damaged = True
            self._slices, self._undone = [], b""

    # What it is ----------------------------------------------------------------------------------

    def _take(self, piece: bytes) -> None:
        if self._is_open:
            self._go_on(piece)
            return
        self._opening += piece
        if len(self._opening) >= _OPENING_BYTES:
            self._open()

    def _open(self) -> None:
        """Find out what the body is, by what has come of it."""
        if self._is_open:
            return
        self._is_open = True
        opening, self._opening = self._opening, b""
        self._ways = _ways_of(opening, self._name)
        if self._ways:
            self._inflate = zlib.decompressobj(self._ways[0])
        if opening:
            self._go_on(opening)

    def _go_on(self, piece: bytes) -> None:
        if not self._ways:
            self._sink.feed(piece)
            return
        self._received_bytes += len(piece)
        self._sink.keep(piece)
        self._steps_left -= 1  # it is looked through for secrets
        if not self._inflated_bytes and not self._is_over:
            self._taken += piece
        self._decode(piece)

    # Decoding ------------------------------------------------------------------------------------

    def _decode(self, data: bytes) -> None:
        while not self._is_over and (data := self._next_member(data)):
            if self._steps_left <= 0:
                self._undone = data
                return
            self._steps_left -= 1
            before = self._inflate.copy()
            try:
                piece = self._inflate.decompress(data, PIECE_BYTES)
                self._look_at_the_first(piece)
            except zlib.error:
                self._recover(before, data)
                return
            self._pass_on(piece)
            data = self._inflate.unconsumed_tail
            if self._inflate.eof:
                data, self._is_between = self._inflate.unused_data, True

    def _look_at_the_first(self, piece: bytes) -> None:
        """Check that what comes out makes sense where its kind is only a guess.

        Raises:
            zlib.error: It does not, or nothing has come out for long.
        """
        if self._inflated_bytes:
            return
        if not piece and len(self._taken) > _MOST_WITHOUT_A_BYTE:
            raise zlib.error("a header without an end")
        if piece and self._ways[0] == _AS_DEFLATE and not _is_sensible(piece):
            raise zlib.error("no deflated text or picture")

    def _pass_on(self, piece: bytes) -> None:
        if not piece:
            return
        self._taken = b""
        self._inflated_bytes += len(piece)
        if self._inflated_bytes > _MOST_EASILY + _MOST_TIMES * self._received_bytes:
            self._is_over = self._is_damaged = True
            raise SpoolRefused(f"the answer inflates more than {_MOST_TIMES} times")
        self._sink.feed(piece)

    def _next_member(self, data: bytes) -> bytes:
        """Behind the end of a gzip member, begin the next one, if that follows.

        Anything else that follows is kept as it came, and looked at no more.
        """
        if not self._is_between:
            return data
        data = data.lstrip(b"\0")  # filling, as tar leaves it
        if not data:
            return b""
        self._members += 1
        is_next = self._ways[0] == _AS_GZIP and data.startswith(_GZIP[: len(data)])
        if not is_next or self._members > _MOST_MEMBERS:
            self._is_over = True
            return b""
        self._inflate, self._is_between = zlib.decompressobj(_AS_GZIP), False
        return data

    def _recover(self, inflate: _Inflate, data: bytes) -> None:
        """Take what can be had of a piece that is damaged somewhere, or go another way."""
        if not self._inflated_bytes and len(self._ways) > 1:
            self._ways.pop(0)
            self._inflate = zlib.decompressobj(self._ways[0])
            self._decode(self._taken)
            return
        self._is_over = self._is_damaged = True
        self._take_what_is_sound(inflate, data)
        if not self._inflated_bytes:  # it is not compressed at all
            self._ways = []
            self._sink.feed(self._taken)

    def _take_what_is_sound(self, inflate: _Inflate, data: bytes) -> None:
        """Go up to the damaged byte, in smaller and smaller steps."""
        position = 0
        for step in (1024, 32, 1):
            while position < len(data):
                trial = inflate.copy()
                try:
                    piece = trial.decompress(data[position : position + step])
                    self._look_at_the_first(piece)
                except zlib.error:
                    break
                inflate, position = trial, position + step
                self._pass_on(piece)


def _ways_of(opening: bytes, name: str) -> list[int]:
    """Return the ways in which a body may be compressed, the likeliest first."""
    if opening.startswith(_GZIP):
        return [_AS_GZIP]
    if _is_sensible(opening):
        return []
    is_zlib = opening[0] & 0x0F == 8 and int.from_bytes(opening[:2]) % 31 == 0
    if is_zlib:
        return [_AS_ZLIB, _AS_DEFLATE]
    return [_AS_DEFLATE] if name == "deflate" else [_AS_GZIP, _AS_DEFLATE]


def _is_sensible(opening: bytes) -> bool:
    """Return whether bytes begin as an answer would: a picture, or signs that can be typed."""
    text = opening.removeprefix(_BYTE_ORDER_MARK)[:_OPENING_BYTES]
    return is_picture(opening) or _PLAIN.issuperset(text)
