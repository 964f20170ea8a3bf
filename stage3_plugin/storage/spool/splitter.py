"""How JSON text that arrives in pieces is taken apart into short text and long strings.

It knows just enough JSON for that: where strings begin and end, and where brackets close. It never
builds a value and never keeps more than the beginning of one string. Apart from the spool because
it is an automaton without files, to be tried with every way of cutting a document into pieces.
"""

from __future__ import annotations

import re
from array import array
from enum import Enum
from functools import cache
from itertools import accumulate
from typing import Protocol

from stage3_plugin.storage.spool.documents import count_of_values

LONG_STRING_BYTES = 16 * 1024
"""Strings beyond this are offered to the sink while they arrive."""

_JOINED_BYTES = 48 * 1024
"""TLS hands out records of 16 KiB; joining a few inside a long string saves a third of the time."""

_NOT_BRACKETS = bytes(code for code in range(256) if code not in b"{}[]")
_DIRECTIONS = bytes.maketrans(b"{[}]", b"\x01\x01\xff\xff")
"""Brackets as signed bytes: one down, one up."""
_QUOTE = b'"'
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STRING_OR_BRACKET = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]', re.DOTALL)
_WHOLE_ESCAPES = re.compile(
    rb'[^"\\]*+(?:\\(?:u(?:[^"\\]{4}|(?=[^"\\]{0,3}["\\]))|[^u])[^"\\]*+)*+', re.DOTALL
)
"""What is in a string, up to its closing quote or to an escape that is not all there yet."""
_BLANKS = b" \t\r\n"


class Sink(Protocol):
    """Where the pieces go."""

    def add_text(self, text: bytes) -> None:
        """Take document text that is to stay as it is, quotes included."""
        ...

    def begin_string(self, head: bytes) -> bool:
        """Take the beginning of a long string, or return ``False``: then it comes as text.

        Here and in :meth:`add_string` no escape is ever cut in two.
        """
        ...

    def add_string(self, source: bytes) -> None:
        """Take more of the string that was begun."""
        ...

    def end_string(self) -> None:
        """Take the closing quote of the string that was begun."""
        ...


class _At(Enum):
    OUTSIDE = "between strings"
    SHORT = "in a string that may still be short"
    TAKEN = "in a long string the sink has taken"
    TEXT = "in a long string that stays text"


class JsonSplitter:
    """Feed it a document in any pieces; it feeds the sink.

    Attributes:
        values: How many values there are, by what stands before and between them.
        document_ended: Whether one whole value has been seen and nothing but blanks behind it.
            Brackets are counted, not matched: this finds a cut document, not a wrong one.
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
        "values",
    )

    def __init__(self, sink: Sink) -> None:
        self.values = 0
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
        end = self._end_of_text(data, start)
        text = data[start : end + 1]  # with the quote that begins a string, if there is one
        self._count(text)
        self._sink.add_text(text)
        if end < len(data):
            self._at = _At.SHORT
        return start + len(text)

    def _end_of_text(self, data: bytes, start: int) -> int:
        """Find where a string begins that may be a long one, or is not all there.

        The shorter ones are passed over by a pattern: a million of them, each gone through by
        itself, would hold up the event loop for seconds. Not outside of all brackets, where a
        string is the whole document.
        """
        if not self._depth and not self._ended:
            quote = data.find(_QUOTE, start)
            return quote if quote >= 0 else len(data)
        match = _up_to_a_longer_string(LONG_STRING_BYTES).match(data, start)
        assert match is not None  # an empty text is one, too
        return match.end()

    def _count(self, text: bytes) -> None:
        outside = _STRING.sub(b"", text) if text.count(_QUOTE) > 1 else text
        self.values += count_of_values(outside)
        if self._ended:
            self._trails = self._trails or bool(text.strip(_BLANKS))
            return
        brackets = outside.translate(None, _NOT_BRACKETS)
        if not brackets:
            return
        closing = brackets.count(b"}") + brackets.count(b"]")
        if closing < self._depth or self._stays_open(brackets):
            self._depth += len(brackets) - 2 * closing
            return
        for match in _STRING_OR_BRACKET.finditer(text):
            if match[0][:1] != _QUOTE:
                self._depth += 1 if match[0] in b"{[" else -1
                if self._depth <= 0:
                    self._ended = True
                    self._trails = bool(text[match.end() :].strip(_BLANKS))
                    return

    def _stays_open(self, brackets: bytes) -> bool:
        """Return whether not even the outermost bracket is closed on the way."""
        if not self._depth:
            return False
        for pair in (b"[]", b"{}", b"[]"):  # what is closed at once closes nothing else
            brackets = brackets.replace(pair, b"")
        if brackets.count(b"}") + brackets.count(b"]") < self._depth:
            return True
        return self._depth + min(accumulate(array("b", brackets.translate(_DIRECTIONS)))) > 0

    def _within(self, data: bytes, start: int) -> int:
        end = _end_of_source(data, start)
        if end > start:
            self._pass_on(data[start:end] if start or end < len(data) else data)
        if data[end : end + 1] != _QUOTE:
            self._held = data[end:]
            return len(data)
        self._end_string()
        return end + 1

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


def _end_of_source(data: bytes, start: int) -> int:
    """Find the closing quote of a string, or else where the last whole escape in it ends."""
    quote = data.find(_QUOTE, start)
    end = quote if quote >= 0 else len(data)
    if data.find(b"\\", start, end) < 0:  # most have no escape, and this is quicker
        return end
    match = _WHOLE_ESCAPES.match(data, start)
    assert match is not None  # it may be empty
    return match.end()


@cache
def _up_to_a_longer_string(most_bytes: int) -> re.Pattern[bytes]:
    """Match text with the whole strings in it that are certainly no longer than ``most_bytes``."""
    escapes = max(1, most_bytes >> 4) if most_bytes < 1024 else 64
    gap = b"%d" % ((most_bytes - 2 * escapes) // (escapes + 1))
    string = rb'"[^"\\]{0,%b}+(?:\\.[^"\\]{0,%b}+){0,%d}+"' % (gap, gap, escapes)
    return re.compile(rb'[^"]*+(?:%b[^"]*+)*+' % string, re.DOTALL)
