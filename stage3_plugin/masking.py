r"""How secrets are taken out of what a provider says, in whatever spelling it says them.

Services quote keys: in a status line, a header, an error, an address. What comes in passes through
here before it is written anywhere, so that nothing behind can hold a key. In bytes a secret is
covered by as many characters as it had, all of them legal wherever it may have stood: no length
that somebody announced, no placeholder and no JSON breaks. In words for people it is ``[key]``.

Known spellings: as it is, percent-encoded, escaped as in JSON or another language (``\u002d``,
``\/``, ``\055``), as HTML entities, each in any mixture and a few layers deep, with blanks, line
breaks or nothing visible between any two characters; base64 in both alphabets, behind any number
of other bytes, in lines too; base32; hexadecimal. The rarer ones are in :data:`_WAYS`; what no
program makes of a text by itself, such as a cipher, is not looked for. So is a spelling that is cut
off behind its beginning, and, of a secret of twelve characters or more, one in other cases and one
that was made safe for addresses. A secret of fewer than eight characters is covered in words alone,
where it stands by itself: such a pattern would turn up in bytes by chance. The bytes of a picture
are left alone, however they are written: see :mod:`stage3_plugin.sparing`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import quote

from stage3_plugin.sparing import (
    BEGINNING_BYTES,
    REST,
    Extent,
    may_hold_picture,
    next_picture,
)

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
_BETWEEN = (
    r"(?:[ \t\r\n\0]|\\{1,8}(?:[rnt]|0(?![0-7])|x00)|%(?:25){0,3}(?:20|0[09aAdD])"
    "|\u200b|\u200c|\u200d|\u2060|\u00ad|\ufeff|"
    r"\\{1,8}[uU](?:00(?:20|0[09aAdD]|[aA][0dD])|20(?:0[b-dB-D]|60)|[fF][eE][fF]{2})){0,2}?"
)
"""What may separate two characters of a secret."""
_SEEN = bytes.maketrans(b"-_" + bytes(range(65, 91)), b"+/" + bytes(range(97, 123)))
_UNSEEN = " \t\r\n\0\u200b\u200c\u200d\u2060\u00ad\ufeff".encode()
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
        self._signs = tuple({_seen(sign) for secret in self._long for sign in _signs(secret)})
        longest = max(map(len, self._long), default=0)
        self.longest_bytes = max(longest * _LONGEST_SPELLING, BEGINNING_BYTES) if longest else 0
        """More than any spelling takes, and more than what tells a picture."""
        self.is_prepared = not self._long
        self._preparing = Lock()
        self._others = [way(secret) for secret in self._long for way in _WAYS]

    def prepare(self) -> None:
        """Compile the pattern, if that is not done: for a key of 160 characters some 150 ms."""
        with self._preparing:
            if self._long:
                _ = (self._in_bytes, *(way.in_bytes for way in self._others))
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
        """Put a secret back into an address that is asked of whoever knows it already."""
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
        """Give every secret from ``start`` to ``end``, in their order."""
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
            if any(sign in view for sign in way.signs):
                yield way.in_bytes

    def found_as_it_is(self, data: bytes, start: int, end: int) -> Iterator[re.Match[bytes]]:
        """Give every secret that is neither encoded nor cut off."""
        for secret in self._long:
            raw = re.escape(secret.encode("utf-8", "surrogatepass"))
            yield from re.compile(raw).finditer(data, start, end)

    def _may_be_in(self, data: bytes) -> bool:
        """Look for fixed bytes first, which is far quicker than a pattern."""
        if any(sign in data for sign in _ESCAPING):
            return True
        seen = _seen(data)
        return any(sign in seen for sign in self._signs)

    @cached_property
    def _in_bytes(self) -> re.Pattern[bytes]:
        return re.compile(_pattern(self._long).encode())


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
        """Give the few bytes before a position."""
        if position >= _CONTEXT:
            return self._data[position - _CONTEXT : position]
        return (self._behind + self._data[:position])[-_CONTEXT:]


NOTHING = Masked()
"""Where there is no secret."""


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


# Spellings -----------------------------------------------------------------------------------


def _signs(secret: str) -> Iterator[bytes]:
    """Give fixed bytes of which one is in every spelling that has no escapes, if made alike."""
    raw = secret.encode("utf-8", "surrogatepass")
    yield raw[:_BEGINNING]
    for form in _base64_of(raw):
        yield form[: _beginning_of(len(form), 20)].encode()
    hexadecimal = raw.hex()[: _beginning_of(2 * len(raw), 24)]
    yield hexadecimal.encode()
    yield _with_colons(hexadecimal)
    for form in _base32_of(raw):
        yield form[: _beginning_of(len(form), 20)].encode()


def _seen(data: bytes) -> bytes:
    """Make alike what stands for the same, so that it can be searched for as it is."""
    return data.translate(_SEEN, _UNSEEN)


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


def _base32_of(raw: bytes) -> Iterator[str]:
    """Give what base32 makes of bytes behind 0 to 4 others; see :func:`_base64_of`."""
    for before in range(5):
        form = base64.b32encode(b"\0" * before + raw).decode().rstrip("=")
        yield form[-(-8 * before // 5) : len(form) - (1 if (before + len(raw)) % 5 else 0)]


def _pattern(secrets: Sequence[str]) -> str:
    forms: list[str] = []
    for secret in sorted(secrets, key=len, reverse=True):
        raw = secret.encode("utf-8", "surrogatepass")
        spelled = _spelled if len(secret) < _BEGINNING else _spelled_loosely
        units = [spelled(secret[0]), *(_BETWEEN + spelled(c) for c in secret[1:])]
        forms.append(_chain(units, _beginning_of(len(secret), _BEGINNING)))
        for form in _base64_of(raw):
            units = [_in_base64(c) + _LINE_BREAK for c in form[:-1]] + [_in_base64(form[-1])]
            forms.append(_chain(units, _beginning_of(len(form), 20)))
        for form in _base32_of(raw):
            units = [_either_case(character) for character in form]
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
    return f"[{digit.lower()}{digit.upper()}]" if digit.isalpha() else digit


def _hexadecimal(number: int, digits: int) -> str:
    return "".join(map(_either_case, f"{number:0{digits}x}"))


def _spelled_loosely(character: str) -> str:
    """Match a character also where somebody changed its case, or made it safe for addresses."""
    others = {"+": "+-", "/": "/_"}.get(character, character)
    if character.isascii() and character.isalpha():
        others = character + character.swapcase()
    return f"(?:{'|'.join(map(_spelled, others))})"


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
    if code > 0x7F:  # of each byte
        raw_bytes = character.encode("utf-8", "surrogatepass")
        percent += "|" + "".join(
            rf"(?:=|\\{{1,8}}x){_hexadecimal(byte, 2)}|\\{{1,8}}{byte:03o}".join(("(?:", ")"))
            for byte in raw_bytes
        )
    if code > 0xFFFF:  # JSON writes it as two halves
        high, low = divmod(code - 0x10000, 0x400)
        halves = (0xD800 + high, 0xDC00 + low)
        json = "".join(rf"\\{{1,8}}[uU]{_hexadecimal(half, 4)}" for half in halves)
    else:
        json = rf"\\{{1,8}}(?:[uU](?:0000)?{_hexadecimal(code, 4)}"
        json += rf"|u\{{0{{0,4}}{_hexadecimal(code, 1)}\}}"
        if code < 0x100:
            json += rf"|x{_hexadecimal(code, 2)}|{code:03o}"
        json += ")"
    html = rf"#0{{0,6}}{code}(?:;|(?![0-9]))"
    html += rf"|#[xX]0{{0,6}}{_hexadecimal(code, len(f'{code:x}'))}(?:;|(?![0-9a-fA-F]))"
    if not character.isalnum():
        html += "".join(f"|{re.escape(name)}" for name in _entities(character))
    ways = [raw, percent, json, f"&(?:amp;|#38;){{0,2}}(?:{html})"]
    if character in "&%\\":  # else it would be found within its own escape
        ways.append(ways.pop(0))
    return f"(?:{'|'.join(ways)})"


def _entities(character: str) -> Iterator[str]:
    from html.entities import html5  # noqa: PLC0415 - a large table, only where there is a secret

    return (name for name, text in html5.items() if text == character and name.endswith(";"))


# Rarer ways, each looked for by itself ---------------------------------------------------------

_HEXADECIMAL = b"0123456789abcdefABCDEF"
_NOT_HEXADECIMAL = bytes(code for code in range(256) if code not in _HEXADECIMAL)
_LISTED = bytes(code if code in b"0123456789" else ord(",") for code in range(256))
_WIDER = 0xFEE0
"""So far behind a sign of ASCII is the same sign in its full width."""
_BETWEEN_NUMBERS = r"(?:[,;][ \t\r\n]{0,16}|[ \t\r\n]{1,16})"
_BETWEEN_PAIRS = r"[ \t\r\n:.,;_=-]{0,4}(?:0[xX]|\\{1,8}[xX])?"


@dataclass(frozen=True)
class _Way:
    """One way of writing a whole secret.

    Attributes:
        view: Makes of bytes what a sign is looked for in; far quicker than a pattern.
        signs: One of them is in the view of whatever the pattern finds.
        pattern: What it looks like.
    """

    view: Callable[[bytes], bytes]
    signs: tuple[bytes, ...]
    pattern: Callable[[], str]

    @cached_property
    def in_bytes(self) -> re.Pattern[bytes]:
        return re.compile(self.pattern().encode())


def _backwards(secret: str) -> _Way:
    """Find it with its last character first."""
    reverse = secret[::-1]
    units = [_spelled(character) for character in reverse]
    plain = max(re.findall(r"[A-Za-z0-9]+", reverse) or [reverse], key=len)[:_BEGINNING]
    sign = _seen(plain.encode("utf-8", "surrogatepass"))
    return _Way(_seen, (sign,), lambda: _chain(units, _beginning_of(len(units), _BEGINNING)))


def _in_full_width(secret: str) -> _Way:
    """Find it as it is set between Chinese or Japanese signs."""
    units = [_spelled(_widened(character)) for character in secret]
    signs = (b"\xef\xbc", b"\xef\xbd", b"uff", b"%ef", b"25ef", b"#65", b"#xff")
    return _Way(bytes.lower, signs, lambda: _chain(units, _beginning_of(len(units), _BEGINNING)))


def _widened(character: str) -> str:
    return chr(ord(character) + _WIDER) if "!" <= character <= "~" else character


def _in_numbers(secret: str) -> _Way:
    """Find a list of its bytes, as many languages show those: ``[115, 107, 45]``."""
    numbers = [str(byte) for byte in secret.encode("utf-8", "surrogatepass")]
    first = rf"(?<![0-9]){numbers[0]}(?![0-9])"
    units = [first, *(rf"{_BETWEEN_NUMBERS}{number}(?![0-9])" for number in numbers[1:])]
    sign = f",{','.join(numbers[:LONG_ENOUGH])},".encode()
    return _Way(_listed, (sign,), lambda: _chain(units, _beginning_of(len(units), LONG_ENOUGH)))


def _listed(data: bytes) -> bytes:
    """Give the numbers in bytes, a comma between two of a list whatever stood there."""
    apart = data.translate(_LISTED, b"[]{}()")
    while b",," in apart:
        apart = apart.replace(b",,", b",")
    return b",%b," % apart


def _in_pairs(secret: str) -> _Way:
    r"""Find its bytes in hexadecimal, apart: ``73-6b``, ``0x73, 0x6b``, ``=73=6B``."""
    raw = secret.encode("utf-8", "surrogatepass")
    pairs = ["".join(map(_either_case, f"{byte:02x}")) for byte in raw]
    units = [pairs[0], *(_BETWEEN_PAIRS + pair for pair in pairs[1:])]
    hexadecimal = raw[:LONG_ENOUGH].hex()
    marked = "".join(f"0{byte:02x}" for byte in raw[:LONG_ENOUGH])[1:]
    signs = (hexadecimal.encode(), marked.encode())
    return _Way(_paired, signs, lambda: _chain(units, _beginning_of(len(units), _BEGINNING)))


def _paired(data: bytes) -> bytes:
    return data.translate(None, _NOT_HEXADECIMAL).lower()


def _in_base64_twice(secret: str) -> _Way:
    """Find the base64 of its base64, as where a header's value was encoded once more."""
    once = base64.b64encode(secret.encode("utf-8", "surrogatepass")).rstrip(b"=")
    whole = {once, once.translate(bytes.maketrans(b"+/", b"-_"))}
    forms = [form for inner in sorted(whole) for form in _base64_of(inner[: len(once) & ~3])]
    signs = tuple(_seen(form[:20].encode()) for form in forms)
    return _Way(
        _seen,
        signs,
        lambda: "|".join(
            _chain([_in_base64(form[0]), *(_LINE_BREAK + _in_base64(c) for c in form[1:])],
                   min(len(form), 20))
            for form in forms
        ),
    )  # fmt: skip


_WAYS = (_backwards, _in_full_width, _in_numbers, _in_pairs, _in_base64_twice)
"""Each makes a :class:`_Way` of a secret. One more is one more line here."""
