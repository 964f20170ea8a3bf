r"""How secrets are taken out of what a provider says, in whatever spelling it says them.

Services quote keys: in a status line, a header, an error, an address. What comes in passes through
here before it is written anywhere, so that nothing behind can hold a key. In bytes a secret is
covered by as many characters as it had, all of them legal wherever it may have stood: no length
that somebody announced, no placeholder and no JSON breaks. In words for people it is ``[key]``.

Known spellings: as it is, percent-encoded, escaped as in JSON (``\u002d``, ``\/``), as HTML
entities, each in any mixture and a few layers deep; base64 in both alphabets, behind any number of
other bytes, in lines too; hexadecimal. So is a spelling that is cut off behind its beginning. A
secret of fewer than eight characters is covered in words alone, where it stands by itself: such a
pattern would turn up in bytes by chance. The bytes of a picture are never looked at.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import quote

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

MASK = "[key]"
LONG_ENOUGH = 8
"""Characters; see the module."""
TOO_SHORT = 4
_BEGINNING = 12
"""So many first characters give a longer secret away: what follows them may be cut off."""
_LEVELS = 60
"""How often a rest may be cut off; a longer secret is cut in longer steps."""
_LONGEST_SPELLING = 24
"""Characters of the longest known spelling of one, some layers deep."""
_ESCAPING = (b"\\", b"%", b"&", b"\n", b"\r")
"""Without one of these there is no spelling but the plain ones."""
_IN_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_PIECE_BYTES = 64 * 1024
_LINE_BREAK = r"(?:(?:\\{1,8}[rnt]|[ \t\r\n]|%0[aAdD]){0,4})"


class Masked:
    """Takes secrets out of words and bytes; takes linear time and bounded memory.

    Args:
        secrets: The texts to take out.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= TOO_SHORT})
        self._long = [secret for secret in known if len(secret) >= LONG_ENOUGH]
        self._short = [secret for secret in known if len(secret) < LONG_ENOUGH]
        self._signs = tuple({sign for secret in self._long for sign in _signs(secret)})
        longest = max(map(len, self._long), default=0)
        self.longest_bytes = longest * _LONGEST_SPELLING
        """More than any spelling takes."""

    def text(self, text: str) -> str:
        """Take secrets out of words for people."""
        if self._long and self._may_be_in(text.encode("utf-8", "replace")):
            text = self._in_text.sub(MASK, text)
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
        """Put a secret back into an address that is asked of whoever knows it already."""
        for secret in self._long:
            cover = re.escape("*" * len(secret))
            address = re.sub(rf"(?<!\*){cover}(?!\*)", quote(secret, safe="-._~"), address)
        return address

    def stream(self, behind: bytes = b"") -> MaskingStream:
        """Begin to cover secrets in bytes that come in pieces.

        Args:
            behind: What stood before them and went elsewhere: a secret may have begun there.
        """
        return MaskingStream(self, behind[-self.longest_bytes :] if self._long else b"")

    def found_in(self, data: bytes, start: int) -> Iterator[re.Match[bytes]]:
        """Give every secret from ``start`` on."""
        if self._long and self._may_be_in(data):
            yield from self._in_bytes.finditer(data, start)

    def _may_be_in(self, data: bytes) -> bool:
        """Look for fixed bytes first, which is far quicker than a pattern."""
        return any(sign in data for sign in _ESCAPING) or any(sign in data for sign in self._signs)

    @cached_property
    def _in_text(self) -> re.Pattern[str]:
        return re.compile(_pattern(self._long))

    @cached_property
    def _in_bytes(self) -> re.Pattern[bytes]:
        return re.compile(_pattern(self._long).encode())


class MaskingStream:
    """Bytes on their way; what comes out is as long as what went in."""

    __slots__ = ("_behind", "_data", "_masked", "_skipped")

    def __init__(self, masked: Masked, behind: bytes) -> None:
        self._masked = masked
        self._data = behind
        self._skipped = len(behind)
        self._behind = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next piece, and return what no later piece can change."""
        if not self._masked.longest_bytes:
            return data
        self._data += data
        return self._settled(len(self._data) - self._masked.longest_bytes)

    def close(self) -> bytes:
        """Return the rest."""
        return self._settled(len(self._data))

    def _settled(self, length: int) -> bytes:
        """Take out the beginning, and whatever secret begins in it."""
        if length <= 0:
            return b""
        data, pieces, done = self._data, list[bytes](), 0
        for match in self._masked.found_in(data, 0):
            if match.start() >= length:
                break
            before = data[done : match.start()]
            pieces += (before, _cover(match[0], (self._behind + data[: match.start()])[-6:]))
            done = match.end()
        end = max(done, length)
        pieces.append(data[done:end])
        self._behind = data[max(0, end - 6) : end]
        self._data = data[end:]
        out = b"".join(pieces)
        skipped, self._skipped = self._skipped, max(0, self._skipped - len(out))
        return out[skipped:] if skipped else out


NOTHING = Masked()
"""Where there is no secret."""


def _cover(found: bytes, before: bytes) -> bytes:
    r"""Make what stands in the place of a secret: as long, and legal wherever that may be.

    A number stays one. Where the secret's first letters are also the end of an escape (``\n``,
    ``\u007``), the letter ``b`` ends it as well.
    """
    if found.isdigit():
        return b"1" * len(found)
    escape = _IN_ESCAPE.search(before)
    ends = 0 if escape is None else max(1, 6 - len(escape[0]) if len(escape[0]) > 1 else 1)
    return (b"b" * ends + b"*" * len(found))[: len(found)]


# Spellings -----------------------------------------------------------------------------------


def _signs(secret: str) -> Iterator[bytes]:
    """Give fixed bytes of which one is in every spelling that has no escapes."""
    raw = secret.encode("utf-8", "surrogatepass")
    yield raw[:_BEGINNING]
    for form in _base64_of(raw):
        beginning = form[: _beginning_of(len(form), 20)]
        yield beginning.encode()
        yield beginning.translate(_URL_SAFE).encode()
    hexadecimal = raw.hex()[: _beginning_of(2 * len(raw), 24)]
    yield hexadecimal.encode()
    yield hexadecimal.upper().encode()
    yield _with_colons(hexadecimal)
    yield _with_colons(hexadecimal.upper())


_URL_SAFE = str.maketrans("+/", "-_")


def _with_colons(hexadecimal: str) -> bytes:
    return ":".join(re.findall("..", hexadecimal)).encode()


def _beginning_of(length: int, least: int) -> int:
    return least if length > least + 4 else length


def _base64_of(raw: bytes) -> Iterator[str]:
    """Give what base64 makes of bytes behind 0, 1 or 2 others, whatever those and the next are.

    The characters at the ends that hold bits of the neighbours are left out.
    """
    for before in range(3):
        form = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        yield form[(0, 2, 3)[before] : len(form) - (1 if (before + len(raw)) % 3 else 0)]


def _pattern(secrets: Sequence[str]) -> str:
    forms: list[str] = []
    for secret in sorted(secrets, key=len, reverse=True):
        raw = secret.encode("utf-8", "surrogatepass")
        forms.append(_chain([_spelled(c) for c in secret], _beginning_of(len(secret), _BEGINNING)))
        for form in _base64_of(raw):
            units = [_in_base64(c) + _LINE_BREAK for c in form[:-1]] + [_in_base64(form[-1])]
            forms.append(_chain(units, _beginning_of(len(form), 20)))
        digits = [_either_case(digit) for digit in raw.hex()]
        units = [digits[0], *(f"[: ]?{d}" if i % 2 == 0 else d for i, d in enumerate(digits))][1:]
        units[0] = digits[0]
        forms.append(_chain(units, _beginning_of(len(digits), 24)))
    return "|".join(forms)


def _chain(units: Sequence[str], least: int) -> str:
    """Match the first units, and as many more as stand there."""
    rest = units[least:]
    step = max(1, -(-len(rest) // _LEVELS))
    pattern = ""
    for start in reversed(range(0, len(rest), step)):
        pattern = f"(?:{''.join(rest[start : start + step])}{pattern})?"
    return "".join(units[:least]) + pattern


def _in_base64(character: str) -> str:
    """Match one character of base64, in either alphabet."""
    if character.isalnum():
        return character
    return (
        f"(?:{_spelled('+')}|{_spelled('-')})"
        if character == "+"
        else (f"(?:{_spelled('/')}|{_spelled('_')})")
    )


def _either_case(digit: str) -> str:
    return f"[{digit}{digit.upper()}]" if digit.isalpha() else digit


def _hexadecimal(number: int, digits: int) -> str:
    return "".join(map(_either_case, f"{number:0{digits}x}"))


def _spelled(character: str) -> str:
    """Match one character of a secret, however it is escaped."""
    code = ord(character)
    raw = re.escape(character)
    if character == "\\":
        raw = r"\\{1,16}"
    elif not character.isalnum():
        raw = rf"\\{{0,8}}{raw}"
    percent = "".join(
        f"%(?:25){{0,3}}{_hexadecimal(byte, 2)}"
        for byte in character.encode("utf-8", "surrogatepass")
    )
    if code > 0xFFFF:  # JSON writes it as two halves
        high, low = divmod(code - 0x10000, 0x400)
        halves = (0xD800 + high, 0xDC00 + low)
        json = "".join(rf"\\{{1,8}}[uU]{_hexadecimal(half, 4)}" for half in halves)
    else:
        json = rf"\\{{1,8}}[uU]{_hexadecimal(code, 4)}"
        if code < 0x100:
            json += rf"|\\{{1,8}}x{_hexadecimal(code, 2)}"
    html = rf"#0{{0,6}}{code}(?:;|(?![0-9]))"
    html += rf"|#[xX]0{{0,6}}{_hexadecimal(code, len(f'{code:x}'))}(?:;|(?![0-9a-fA-F]))"
    if not character.isalnum():
        html += "".join(f"|{re.escape(name)}" for name in _entities(character))
    return f"(?:{raw}|{percent}|{json}|&(?:amp;|#38;){{0,2}}(?:{html}))"


def _entities(character: str) -> Iterator[str]:
    from html.entities import html5  # noqa: PLC0415 - a large table, only where there is a secret

    return (name for name, text in html5.items() if text == character and name.endswith(";"))
