"""How a long run of plain base64 is cut out of a body while it arrives, and put into a file.

A picture is a third longer in base64, and most of what an answer weighs: so it is written once, as
the bytes that it is. Nothing of JSON is known here. A run is nothing but signs of the standard
alphabet, whole groups of them are the same as the bytes they stand for, and so what came can be had
again to the byte; whatever is written in another way stays in the body. Apart from the spool
because it is an automaton, to be tried with every way of cutting a body into pieces.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable

import pybase64

from stage3_plugin.files.new_file import NewFile

RUN_BYTES = 16 * 1024
"""Shorter ones stay where they are."""

PLACEHOLDER = re.compile(
    rb"spooled:(?P<nonce>[0-9a-f]{32}):(?P<index>[0-9]+):(?P<tail>[A-Za-z0-9+/=]{0,5}):"
)
"""Finds any of them, whatever answer it is of."""

_SIGNS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_RUN = re.compile(rb"[A-Za-z0-9+/]*+")
_END_OF_RUN = re.compile(rb"[A-Za-z0-9+/]{0,3}={0,2}")
_MOST_TAIL = 5


def placeholder(nonce: str, index: int, tail: str = "") -> str:
    """Name a file so that no text of a model can be taken for it.

    Args:
        nonce: Made anew for every answer.
        index: The file's number.
        tail: The last signs of the run, where they are no whole group.
    """
    return f"spooled:{nonce}:{index}:{tail}:"


def tail_bytes(tail: bytes) -> bytes:
    """Decode the last signs of a run; padding may be missing, but not be wrong.

    Raises:
        binascii.Error: A run cannot end so.
    """
    signs = tail.rstrip(b"=")
    lacking = -len(signs) % 4
    if lacking > 2 or len(tail) - len(signs) not in {0, lacking}:
        raise binascii.Error("no end of base64")
    return binascii.a2b_base64(signs + b"=" * lacking, strict_mode=True)


class Cutter:
    """Feed it a body in any pieces; it returns what stays in the body.

    Args:
        nonce: For the placeholders.
        new_part: Opens the file of a run, by its number; ``None`` where no more may be cut out.

    Attributes:
        sizes: Of the files so far.
    """

    def __init__(self, nonce: str, new_part: Callable[[int], NewFile | None]) -> None:
        self._nonce = nonce
        self._new_part = new_part
        self._part: NewFile | None = None
        self._held = b""
        self.sizes: list[int] = []

    def feed(self, piece: bytes) -> bytes:
        """Take the next piece."""
        data, self._held = self._held + piece if self._held else piece, b""
        stays: list[bytes] = []
        while data:
            data = self._outside(data, stays) if self._part is None else self._inside(data, stays)
        return b"".join(stays)

    def close(self) -> bytes:
        """Take the end of the body, wherever it comes."""
        held, self._held = self._held, b""
        if self._part is None:
            return held
        return self._ended(b"") + held

    def _outside(self, data: bytes, stays: list[bytes]) -> bytes:
        start, is_long = _first_run(data)
        if not is_long or (part := self._new_part(len(self.sizes))) is None:
            end = start if not is_long else len(data)
            stays.append(data[:end])
            self._held = data[end:]
            return b""
        self._part = part
        stays += (data[:start], f"spooled:{self._nonce}:{len(self.sizes)}:".encode())
        return data[start:]

    def _inside(self, data: bytes, stays: list[bytes]) -> bytes:
        assert self._part is not None
        quote = data.find(b'"')
        end = len(data) if quote < 0 else quote
        padding = data.find(b"=", 0, end)
        whole = (end if padding < 0 else padding) & ~3
        try:
            decoded = pybase64.b64decode(memoryview(data)[:whole], validate=True)
        except binascii.Error:
            whole = _end_of_run(data, 0, len(data)) & ~3
            decoded = pybase64.b64decode(memoryview(data)[:whole], validate=True)
        self._part.write(decoded)
        rest = data[whole:]
        tail = _END_OF_RUN.match(rest)
        assert tail is not None  # it may be empty
        if tail.end() == len(rest) < _MOST_TAIL:  # more of it may come
            self._held = rest
            return b""
        try:
            self._part.write(tail_bytes(tail[0]))
        except binascii.Error:
            stays.append(self._ended(b""))
            return rest
        stays.append(self._ended(tail[0]))
        return rest[tail.end() :]

    def _ended(self, tail: bytes) -> bytes:
        assert self._part is not None
        part, self._part = self._part, None
        self.sizes.append(part.size_bytes)
        part.close()
        return tail + b":"


def _first_run(data: bytes) -> tuple[int, bool]:
    """Return where a run begins that is long, or may become so at the end of the data."""
    step = max(RUN_BYTES // 2, 1)
    at = done = 0
    while at < len(data):
        end = _end_of_run(data, at, at + RUN_BYTES)  # no further: it may be a whole picture
        if end - at >= step or end == len(data):
            before = data[done:at]
            start = done + len(before.rstrip(_SIGNS))
            if end - start >= RUN_BYTES:
                return start, True
            if end == len(data):
                return start, False
        done = at = max(end, at)
        at += step
    return done + len(data[done:].rstrip(_SIGNS)), False


def _end_of_run(data: bytes, start: int, stop: int) -> int:
    run = _RUN.match(data, start, stop)
    return start if run is None else run.end()
