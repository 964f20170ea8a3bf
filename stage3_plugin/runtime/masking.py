r"""How secrets are taken out of what a provider says, in whatever spelling it says them.

Services quote keys: in a status line, a header, an error, an address. What comes in passes through
here before it is written anywhere, so that nothing behind can hold a key. In bytes a secret is
covered by as many characters as it had, all of them legal wherever it may have stood: no length
that was announced, no placeholder and no JSON breaks. In words for people it is ``[key]``.

:mod:`stage3_plugin.runtime.spellings` lists the known spellings. A secret of fewer than
eight characters is covered in words alone, where it stands by itself: such a pattern would turn up
in bytes by chance. The bytes of a picture are left alone, however they are written: see
:mod:`stage3_plugin.runtime.picture_bytes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import quote

from stage3_plugin.runtime.picture_bytes import (
    BEGINNING_BYTES,
    REST,
    Extent,
    beginnings,
    may_hold_picture,
    next_picture,
)
from stage3_plugin.runtime.spellings import LONG_ENOUGH, WAYS, pattern_of, seen, signs_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

MASK = "[key]"
TOO_SHORT = 4
_LONGEST_SPELLING = 40
"""Characters of the longest known spelling of one, some layers deep, and of what separates two."""
_ESCAPING = (b"\\", b"%", b"&", b"\n", b"\r")
"""Without one of these there is no spelling but the plain ones."""
_ONES = bytes.maketrans(b"0123456789", b"1111111111")
_IN_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_PIECE_BYTES = 16 * 1024
_CONTEXT = 6
"""Bytes of the longest escape in JSON."""
_IN_BASE64 = frozenset(
    b"%c" % code for code in range(128) if chr(code).isalnum() or code in b"+/=_-"
)


class Masked:
    """Takes secrets out of words and bytes; takes linear time and bounded memory.

    Args:
        secrets: The texts to take out.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._preparing = Lock()
        self._known: frozenset[str] = frozenset()
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Take out these texts as well, before anything that may hold them comes in."""
        self._known |= {secret for secret in secrets if len(secret) >= TOO_SHORT}
        known = sorted(self._known)
        self._long = [secret for secret in known if len(secret) >= LONG_ENOUGH]
        self._short = [secret for secret in known if len(secret) < LONG_ENOUGH]
        self._signs = tuple({seen(sign) for secret in self._long for sign in signs_of(secret)})
        longest = max(map(len, self._long), default=0)
        self.longest_bytes = max(longest * _LONGEST_SPELLING, BEGINNING_BYTES) if longest else 0
        """More than any spelling takes, and more than what shows a picture."""
        self.is_prepared = not self._long
        self.__dict__.pop("_in_bytes", None)  # made of those that were known before
        self._others = [way(secret) for secret in self._long for way in WAYS]

    def prepare(self) -> None:
        """Compile the patterns, if that is not done: for a key of 160 characters some 150 ms."""
        with self._preparing:
            if self._long:
                _ = (beginnings(), self._in_bytes, *(way.in_bytes for way in self._others))
            self.is_prepared = True

    def text(self, text: str) -> str:
        """Take secrets out of words for people."""
        if self._long:
            data = text.encode("utf-8", "surrogatepass")
            for pattern in self._patterns_for(data):
                data = pattern.sub(MASK.encode(), data)
            text = data.decode("utf-8", "surrogatepass")
        for secret in self._short:
            if secret in text:
                text = re.sub(rf"(?<![\w./-]){re.escape(secret)}(?![\w./-])", MASK, text)
        return text

    def covered(self, data: bytes) -> bytes:
        """Cover secrets in bytes that are all there."""
        if not self._long:
            return data
        stream = self.stream()
        starts = range(0, len(data), _PIECE_BYTES)  # other threads get on between two of them
        pieces = [stream.feed(data[start : start + _PIECE_BYTES]) for start in starts]
        return b"".join([*pieces, stream.close()])

    def record(self, record: T) -> T:
        """Take secrets out of the words that a dataclass holds, by themselves or by name."""
        found: dict[str, object] = {}
        for field in fields(record):
            value: object = getattr(record, field.name)
            if type(value) is str:
                found[field.name] = self.text(value)
            elif isinstance(value, Mapping):
                found[field.name] = self._words(cast("Mapping[object, object]", value))
        return replace(record, **found)

    def _words(self, named: Mapping[object, object]) -> dict[object, object]:
        return {
            name: self.text(value) if isinstance(value, str) else value
            for name, value in named.items()
        }

    def restored(self, address: str) -> str:
        """Put a secret back into an address of a server that knows it already."""
        for secret in self._long:
            cover = re.escape("*" * len(secret))
            address = re.sub(rf"(?<!\*){cover}(?!\*)", quote(secret, safe="-._~"), address)
        return address

    def stream(self, behind: bytes = b"", *, within_picture: bool = False) -> MaskingStream:
        """Begin to cover secrets in bytes that come in pieces.

        Args:
            behind: What stood before them and went elsewhere: a secret may have begun there.
            within_picture: They go on with a string that begins as a picture.
        """
        behind = behind[-self.longest_bytes :] if self._long else b""
        return MaskingStream(self, behind, REST if within_picture else None)

    def found_in(self, data: bytes, start: int, end: int) -> Iterable[re.Match[bytes]]:
        """Return every secret from ``start`` to ``end``, in their order."""
        patterns = list(self._patterns_for(data))
        if len(patterns) == 1:
            return patterns[0].finditer(data, start, end)
        found = (match for one in patterns for match in one.finditer(data, start, end))
        return sorted(found, key=re.Match[bytes].start)

    def _patterns_for(self, data: bytes) -> Iterator[re.Pattern[bytes]]:
        if self._long and self._may_be_in(data):
            yield self._in_bytes
        views: dict[Callable[[bytes], bytes], bytes] = {}
        for way in self._others:
            view = views.get(way.view)
            if view is None:
                view = views[way.view] = way.view(data)
            if _has_one(view, way.signs):
                yield way.in_bytes

    def found_as_it_is(self, data: bytes, start: int, end: int) -> Iterator[re.Match[bytes]]:
        """Return every secret that is neither encoded nor cut off."""
        for secret in self._long:
            raw = re.escape(secret.encode("utf-8", "surrogatepass"))
            yield from re.compile(raw).finditer(data, start, end)

    def _may_be_in(self, data: bytes) -> bool:
        """Look for fixed bytes first, which is far quicker than a pattern."""
        return _has_one(data, _ESCAPING) or _has_one(seen(data), self._signs)

    @cached_property
    def _in_bytes(self) -> re.Pattern[bytes]:
        return re.compile(pattern_of(self._long).encode())


class MaskingStream:
    """Bytes on their way; what comes out is as long as what went in."""

    __slots__ = ("_behind", "_data", "_extent", "_masked", "_skipped")

    def __init__(self, masked: Masked, behind: bytes, extent: Extent | None = None) -> None:
        self._masked = masked
        self._data = behind
        self._skipped = len(behind)
        self._behind = b""
        self._extent = extent

    def feed(self, data: bytes) -> bytes:
        """Take the next piece, and return what no later piece can change."""
        most = self._masked.longest_bytes
        if not most:
            return data
        self._data += data
        length = len(self._data) - most
        return self._settled(length) if length >= most else b""  # not all again for every byte

    def close(self) -> bytes:
        """Return the rest."""
        return self._settled(len(self._data))

    def _settled(self, length: int) -> bytes:
        """Take out the beginning, and whatever secret, or sign of a picture, begins in it."""
        data, pieces, done = self._data, list[bytes](), 0
        may_hold_picture_ = may_hold_picture(data)
        while done < length:
            if self._extent is not None:
                done = self._within_picture(self._extent, pieces, done, length)
                continue
            picture = next_picture(data, done) if may_hold_picture_ else None
            if picture is not None and picture[0] < length:
                _, end, self._extent = picture
                done = self._between(pieces, done, end, end)
            else:
                end = len(data) if picture is None else picture[1]
                done = self._between(pieces, done, length, end)
        self._behind = (self._behind + data[:done])[-_CONTEXT:]
        self._data = data[done:]
        out = b"".join(pieces)
        skipped, self._skipped = self._skipped, max(0, self._skipped - len(out))
        return out[skipped:] if skipped else out

    def _between(self, pieces: list[bytes], start: int, length: int, end: int) -> int:
        """Cover what begins before ``length`` and ends before ``end``; return how far that is."""
        return self._cover_all(self._masked.found_in(self._data, start, end), pieces, start, length)

    def _within_picture(self, extent: Extent, pieces: list[bytes], start: int, length: int) -> int:
        """Leave a picture as it is, but for a secret in plain words behind what is no base64."""
        inside = extent.inside.match(self._data, start)
        end = start if inside is None else inside.end()
        until = min(end, length)
        if end < len(self._data) and end <= length:
            self._extent = None
        found: Iterable[re.Match[bytes]] = ()
        if extent.takes_odd_signs:
            plain = self._masked.found_as_it_is(self._data, start, end)
            found = [match for match in plain if self._before(match.start())[-1:] not in _IN_BASE64]
            found.sort(key=re.Match[bytes].start)
        return self._cover_all(found, pieces, start, until)

    def _cover_all(
        self, found: Iterable[re.Match[bytes]], pieces: list[bytes], start: int, length: int
    ) -> int:
        done = start
        for match in found:
            if match.start() >= length:
                break
            if match.start() < done:
                continue
            cover = _cover(match[0], self._before(match.start()))
            pieces += (self._data[done : match.start()], cover)
            done = match.end()
        end = max(done, length)
        pieces.append(self._data[done:end])
        return end

    def _before(self, position: int) -> bytes:
        """Return the few bytes before a position."""
        if position >= _CONTEXT:
            return self._data[position - _CONTEXT : position]
        return (self._behind + self._data[:position])[-_CONTEXT:]


NOTHING = Masked()
"""Where there is no secret."""


def _has_one(data: bytes, signs: Iterable[bytes]) -> bool:
    for sign in signs:  # noqa: SIM110 - any() takes twice the time
        if sign in data:
            return True
    return False


def _cover(found: bytes, before: bytes) -> bytes:
    r"""Make what stands in the place of a secret: as long, and legal wherever that may be.

    A number stays one, and a list of numbers one of as many. Where the secret's first letters are
    also the end of an escape (``\n``, ``\u007``), the letter ``b`` ends it as well.
    """
    if not found.translate(None, b"0123456789,; \t\r\n"):
        return found.translate(_ONES)
    escape = _IN_ESCAPE.search(before)
    ends = 0 if escape is None else max(1, 6 - len(escape[0]) if len(escape[0]) > 1 else 1)
    return (b"b" * ends + b"*" * len(found))[: len(found)]
