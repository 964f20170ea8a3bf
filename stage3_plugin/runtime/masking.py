r"""How a key that comes back is covered: by one search, prepared once for each set of secrets.

Services quote keys: in a status line, a header, an error, an address. Four spellings are looked
for: as it is, percent-encoded, escaped as in JSON, and base64 in both alphabets, behind any number
of other bytes; each also where it is cut off behind its beginning. In words for people a secret
becomes ``[key]``. In bytes it is covered by as many characters as it had, all of them legal
wherever it may have stood: no length, no placeholder and no JSON breaks.

A secret of fewer than eight characters is covered in words alone, where it stands by itself: such a
pattern would turn up in bytes by chance. The bytes of a picture are left alone, raw or written as
base64 or percent-encoded: its metadata may well hold what is also a secret, such as a program's
name in a header, and a picture with one letter covered is none.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast
from urllib.parse import quote

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

MASK = "[key]"
TOO_SHORT = 4
LONG_ENOUGH = 8
"""Characters; a shorter secret turns up in bytes by chance."""
_BEGINNING, _BEGINNING_IN_BASE64 = 12, 20
"""The first characters that give a longer secret away: what follows them may be cut off."""
_FEW = 4
"""As few characters behind a beginning stand there with it, or it is not looked for."""
_CUTS = 60
"""How often a rest may be cut off; a longer secret is cut in longer steps."""
_LONGEST_ESCAPE = 12
"""Bytes that JSON makes of one character: two halves of six."""
_PIECE_BYTES, _READ_BYTES = 16 * 1024, 1 << 20
"""Looked through at once: other threads get on between two of them."""
_AS_IT_IS = re.compile(rb"[\w.~-]+")
"""What neither an address nor JSON escapes."""
_SIGN = {b"sign": rb"[A-Za-z0-9+/=_%.~\\-]"}
_REST_OF_PICTURE = re.compile(rb'%(sign)b*+(?:(?!%(sign)b)[^"]{1,4}?%(sign)b{256,}+)*+' % _SIGN)
"""How far a picture that is written as text goes on, an odd sign within it included."""
_PICTURE = (
    rb"(?P<text>iVBORw0KGg|UklGR[^\"]{6,36}XRUJQ|R0lGOD[dl]h|%%89PNG|(?i:%%ff%%d8%%ff)"
    rb"|RIFF[^\",]{5,12}WEBP|(?:\\?[/_]|%%2[fF])9j(?:\\?[/_]|%%2[fF])(?=%(sign)b{32}))"
    rb"|(?P<raw>\x89PNG\r\n|\xff\xd8\xff[\xc0-\xfe]|RIFF(?s:...)\0WEBP|GIF8[79]a)"
) % _SIGN
"""Three bytes begin a JPEG, too few to tell one from a path: in a text, more signs must follow."""


class Masked:
    """Takes secrets out of words and bytes.

    Args:
        secrets: The texts to take out.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: frozenset[str] = frozenset()
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Take out these texts as well, before anything that may hold them comes in."""
        self._known |= {secret for secret in secrets if len(secret) >= TOO_SHORT}
        known = sorted(self._known, key=lambda secret: (-len(secret), secret))
        self._long = [secret for secret in known if len(secret) >= LONG_ENOUGH]
        self._short = [secret for secret in known if len(secret) < LONG_ENOUGH]
        self._longest = _LONGEST_ESCAPE * max(map(len, self._long), default=0)
        ways = [way for secret in self._long for way in _ways(secret)]
        self._patterns = [_PICTURE, *(pattern for _, pattern in ways)]
        # Looking for fixed bytes first is far quicker than the search, which is seldom needed.
        runs = (max(_AS_IT_IS.findall(begins), key=len, default=b"") for begins, _ in ways)
        self._signs = {*runs, *map(_raw, self._short)}
        self.__dict__.pop("_search", None)  # made of those that were known before

    @cached_property
    def _search(self) -> re.Pattern[bytes]:
        return re.compile(b"|".join(self._patterns))

    def _may_be_in(self, data: bytes) -> bool:
        for sign in self._signs:  # noqa: SIM110 - any() takes twice the time
            if sign in data:
                return True
        return False

    def text(self, text: str) -> str:
        """Take secrets out of words for people."""
        data = text.encode("utf-8", "surrogatepass")
        if not self._may_be_in(data):
            return text
        data = self._search.sub(lambda it: it[0] if it.lastgroup else MASK.encode(), data)
        text = data.decode("utf-8", "surrogatepass")
        for secret in self._short:
            text = re.sub(rf"(?<![\w./-]){re.escape(secret)}(?![\w./-])", MASK, text)
        return text

    def words(self, named: Mapping[str, str]) -> dict[str, str]:
        """Take secrets out of names and of what they stand for."""
        if not self._may_be_in(_raw("\n".join([*named, *named.values()]))):
            return dict(named)
        return {self.text(name): self.text(value) for name, value in named.items()}

    def record(self, record: T) -> T:
        """Take secrets out of the words that a dataclass holds, by themselves or by name."""
        found: dict[str, object] = {}
        for field in fields(record):
            value: object = getattr(record, field.name)
            if type(value) is str:
                found[field.name] = self.text(value)
            elif isinstance(value, Mapping):
                found[field.name] = self.words(cast("Mapping[str, str]", value))
        return replace(record, **found)

    def restored(self, address: str) -> str:
        """Put a secret back into an address of a server that knows it already."""
        for secret in self._long:
            cover = re.escape("*" * len(secret))
            address = re.sub(rf"(?<!\*){cover}(?!\*)", quote(secret, safe="-._~"), address)
        return address

    def covered(self, data: bytes) -> bytes:
        """Cover secrets in bytes."""
        if not self._may_be_in(data):
            return data
        out = bytearray(data)
        for start, cover in self._covers(data, 0):
            out[start : start + len(cover)] = cover
        return bytes(out)

    def cover_file(self, path: Path, *, start: int = 0, within_picture: bool = False) -> None:
        """Cover secrets in a file that is as it stays; it is read once, and seldom written to.

        Args:
            path: The file.
            start: Where to begin; what stands before it is left alone.
            within_picture: There a picture goes on that is written as text.
        """
        with path.open("rb", buffering=0) as original:
            if not self._may_be_behind(original, start):
                return
        with path.open("r+b") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            start = _end_of_picture(data, start) if within_picture else start
            for at, cover in self._covers(data, start):
                file.seek(at)
                file.write(cover)

    def _may_be_behind(self, file: BinaryIO, start: int) -> bool:
        file.seek(start)
        before = b""
        while piece := file.read(_READ_BYTES):
            if self._may_be_in(before + piece):
                return True
            before = piece[-self._longest :]
        return False

    def _covers(self, data: bytes | mmap, at: int) -> Iterator[tuple[int, bytes]]:
        """Yield where each secret begins, and what is to be written over it."""
        while at < len(data):
            end = at + _PIECE_BYTES
            match = self._search.search(data, at, end + self._longest)
            if match is None or match.start() >= end:
                at = end
            elif match.lastgroup == "text":
                at = _end_of_picture(data, match.end())
            elif match.lastgroup == "raw":
                return  # where it ends is not known here
            else:
                at = match.end()
                sign = b"1" if match[0].isdigit() else b"*"  # a number stays one
                yield match.start(), sign * len(match[0])


def _end_of_picture(data: bytes | mmap, start: int) -> int:
    match = _REST_OF_PICTURE.match(data, start)
    return start if match is None else match.end()


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _ways(secret: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield how a secret begins in each spelling, and what matches it there."""
    raw = _raw(secret)
    yield raw[:_BEGINNING], _matched([_written(sign) for sign in secret], _BEGINNING)
    for before in range(3):
        # Behind 0, 1 or 2 other bytes the letters differ; those at both ends mix with the
        # neighbours' bits and are left.
        form = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        form = form[(0, 2, 3)[before] : len(form) - (1 if (before + len(raw)) % 3 else 0)]
        signs = [{"+": b"[+-]", "/": b"[/_]"}.get(sign, sign.encode()) for sign in form]
        yield _raw(form)[:_BEGINNING_IN_BASE64], _matched(signs, _BEGINNING_IN_BASE64)


def _written(sign: str) -> bytes:
    """Match a character as it is, percent-encoded, or escaped as in JSON."""
    raw = _raw(sign)
    if _AS_IT_IS.fullmatch(raw):
        return re.escape(raw)
    percent = b"".join(b"%%%02x" % byte for byte in raw)
    escaped = re.escape(json.dumps(sign)[1:-1].encode())
    ways = b"(?i:%b|%b)|\\\\?%b" % (percent, escaped, re.escape(raw))  # some write \/ for /
    return b"(?:%b)" % (ways + rb"|\+" if sign == " " else ways)


def _matched(units: Sequence[bytes], least: int) -> bytes:
    """Match all of a spelling, else its beginning and as much more of it as stands there."""
    whole, rest = b"".join(units), units[least:]
    if len(rest) <= _FEW:
        return whole
    step = -(-len(rest) // _CUTS)
    more = b""
    for start in reversed(range(0, len(rest), step)):
        more = b"(?:%b%b)?" % (b"".join(rest[start : start + step]), more)
    return b"%b|%b%b" % (whole, b"".join(units[:least]), more)


NOTHING = Masked()
"""Where there is no secret."""
