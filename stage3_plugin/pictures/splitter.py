"""How JSON text that arrives in pieces is taken apart into short text and long strings.

It knows just enough JSON for that: where strings begin and end, and where brackets close. It never
builds a value and never keeps more than the beginning of one string. Apart from the spool because
it is an automaton without files, to be tried with every way of cutting a document into pieces.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Protocol

LONG_STRING_BYTES = 16 * 1024
"""Strings beyond this are offered to the sink while they arrive."""

_JOINED_BYTES = 48 * 1024
"""TLS hands out records of 16 KiB; joining a few inside a long string saves a third of the time."""

_BRACKET = re.compile(rb"[{}\[\]]")
_NOT_BRACKETS = bytes(code for code in range(256) if code not in b"{}[]")
_QUOTE, _BACKSLASH = b'"', 0x5C
_BLANKS = b" \t\r\n"


class Sink(Protocol):
    """Where the pieces go."""

    def add_text(self, text: bytes) -> None:
        """Take document text that is to stay as it is, quotes included."""
        ...

    def begin_string(self, head: bytes) -> bool:
        """Take the beginning of a long string, or say no: then it comes as text.

        Here and in :meth:`add_string` no escape is ever cut in two.
        """
        ...

    def add_string(self, source: bytes) -> None:
        """Take more of the string that was begun."""
        ...

    def end_string(self) -> None:
        """See the string that was begun come to its closing quote."""
        ...


class _At(Enum):
    OUTSIDE = "between strings"
    SHORT = "in a string that may still be short"
    TAKEN = "in a long string the sink has taken"
    TEXT = "in a long string that stays text"


class JsonSplitter:
    """Feed it a document in any pieces; it feeds the sink.

    Attributes:
        document_ended: Whether one whole value has been seen and nothing but blanks behind it.
            Brackets are counted, not matched: this tells a cut document, not a wrong one.
    """

    __slots__ = (
        "_at",
        "_depth",
        "_ended",
        "_head",
        "_held",
        "_queue",
        "_queued",
        "_sink",
        "_trails",
    )

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._at = _At.OUTSIDE
        self._head = bytearray()
        self._held = b""
        self._queue: list[bytes] = []
        self._queued = 0
        self._depth = 0
        self._ended = False
        self._trails = False

    @property
    def document_ended(self) -> bool:
        return self._ended and not self._trails and not self._held

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the document."""
        if self._at is not _At.TAKEN:
            self._scan(piece)
            return
        self._queue.append(piece)
        self._queued += len(piece)
        if self._queued >= _JOINED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Work through what was put aside to be joined."""
        queue, self._queue, self._queued = self._queue, [], 0
        if queue:
            self._scan(b"".join(queue) if len(queue) > 1 else queue[0])

    def close(self) -> bytes:
        """Hand over everything, however the document stops.

        Returns:
            What is left of a string the sink had taken: the beginning of a cut escape.
        """
        self.flush()
        held, self._held = self._held, b""
        if self._at is _At.TAKEN:
            return held
        self._sink.add_text(bytes(self._head) + held)
        self._head.clear()
        return b""

    def _scan(self, piece: bytes) -> None:
        data = self._held + piece if self._held else piece
        self._held = b""
        position = 0
        while position < len(data):
            if self._at is _At.OUTSIDE:
                position = self._between(data, position)
            else:
                position = self._within(data, position)

    def _between(self, data: bytes, start: int) -> int:
        quote = data.find(_QUOTE, start)
        text = data[start:] if quote < 0 else data[start : quote + 1]
        self._count_brackets(text)
        self._sink.add_text(text)
        if quote >= 0:
            self._at = _At.SHORT
        return start + len(text)

    def _count_brackets(self, text: bytes) -> None:
        if self._ended:
            self._trails = self._trails or bool(text.strip(_BLANKS))
            return
        brackets = text.translate(None, _NOT_BRACKETS)
        if not brackets:
            return
        closing = brackets.count(b"}") + brackets.count(b"]")
        if closing < self._depth:
            self._depth += len(brackets) - 2 * closing
            return
        for match in _BRACKET.finditer(text):
            self._depth += 1 if match[0] in b"{[" else -1
            if self._depth <= 0:
                self._ended = True
                self._trails = bool(text[match.end() :].strip(_BLANKS))
                return

    def _within(self, data: bytes, start: int) -> int:
        quote = _closing_quote(data, start)
        end = quote if quote >= 0 else _end_of_whole_escapes(data, start)
        if end > start:
            self._pass_on(data[start:end] if start or end < len(data) else data)
        if quote < 0:
            self._held = data[end:]
            return len(data)
        self._end_string()
        return quote + 1

    def _pass_on(self, source: bytes) -> None:
        if self._at is _At.TAKEN:
            self._sink.add_string(source)
        elif self._at is _At.TEXT:
            self._sink.add_text(source)
        else:
            self._head += source
            if len(self._head) > LONG_STRING_BYTES:
                head = bytes(self._head)
                self._head.clear()
                self._at = _At.TAKEN if self._sink.begin_string(head) else _At.TEXT
                if self._at is _At.TEXT:
                    self._sink.add_text(head)

    def _end_string(self) -> None:
        if self._at is _At.TAKEN:
            self._sink.end_string()
        elif self._head:
            self._sink.add_text(bytes(self._head))
            self._head.clear()
        self._sink.add_text(_QUOTE)
        self._at = _At.OUTSIDE
        if self._depth == 0:  # the document is a string, or none at all
            self._ended = True


def _closing_quote(data: bytes, start: int) -> int:
    """Find the first quote that no backslash escapes, or -1; no escape is cut at ``start``."""
    position = start
    while True:
        quote = data.find(_QUOTE, position)
        if quote < 0 or not _is_escaped(data, start, quote):
            return quote
        position = quote + 1


def _is_escaped(data: bytes, start: int, position: int) -> bool:
    """Tell whether an odd number of backslashes stands before ``position``."""
    first = position
    while first > start and data[first - 1] == _BACKSLASH:
        first -= 1
    return (position - first) % 2 == 1


def _end_of_whole_escapes(data: bytes, start: int) -> int:
    r"""Find where to stop so that no ``\n`` and no ``\u0041`` is cut: at most 5 bytes early."""
    last = data.rfind(b"\\", max(start, len(data) - 6))
    if last < 0 or _is_escaped(data, start, last):
        return len(data)
    length = 6 if data[last + 1 : last + 2] == b"u" else 2
    return last if last + length > len(data) else len(data)
