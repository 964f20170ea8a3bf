r"""How a secret may be written by other people's programs, and patterns that find all of that.

Known spellings: as it is, percent-encoded, escaped as in JSON or another language (``\u002d``,
``\/``, ``\055``), as HTML entities, each in any mixture and a few layers deep, with blanks, line
breaks or nothing visible between any two characters; base64 in both alphabets, behind any number of
other bytes, in lines too; base32; hexadecimal. The rarer ones are in :data:`WAYS`; what no program
makes of a text by itself, such as a cipher, is not looked for. So is a spelling that is cut off
behind its beginning, and, of a secret of twelve characters or more, one in other cases and one that
was made safe for addresses.

Apart from masking because nothing here knows where bytes come from, or what becomes of them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

LONG_ENOUGH = 8
"""Characters; a shorter secret turns up in bytes by chance."""
_BEGINNING = 12
"""The first characters that give a longer secret away: what follows them may be cut off."""
_LEVELS = 60
"""How often a rest may be cut off; a longer secret is cut in longer steps."""
_BETWEEN = (
    r"(?:[ \t\r\n\0]|\\{1,8}(?:[rnt]|0(?![0-7])|x00)|%(?:25){0,3}(?:20|0[09aAdD])"
    "|\u200b|\u200c|\u200d|\u2060|\u00ad|\ufeff|"
    r"\\{1,8}[uU](?:00(?:20|0[09aAdD]|[aA][0dD])|20(?:0[b-dB-D]|60)|[fF][eE][fF]{2})){0,2}?"
)
"""What may separate two characters of a secret."""
_SEEN = bytes.maketrans(b"-_" + bytes(range(65, 91)), b"+/" + bytes(range(97, 123)))
_UNSEEN = " \t\r\n\0\u200b\u200c\u200d\u2060\u00ad\ufeff".encode()
_SIGNS = 1024
"""How many characters' spellings are kept: a key has some sixty, each many times over."""
_LINE_BREAK = r"(?:(?:\\{1,8}[rnt]|[ \t\r\n]|%0[aAdD]){0,4})"


def signs_of(secret: str) -> Iterator[bytes]:
    """Return fixed bytes of which one is in every spelling that has no escapes, if made alike."""
    raw = secret.encode("utf-8", "surrogatepass")
    yield raw[:_BEGINNING]
    for form in _base64_of(raw):
        yield form[: _beginning_of(len(form), 20)].encode()
    if "+" in secret[:_BEGINNING]:
        yield raw[:_BEGINNING].replace(b"+", b" ")  # as decoding a form reads it
    hexadecimal = raw.hex()[: _beginning_of(2 * len(raw), 24)]
    yield hexadecimal.encode()
    yield _with_colons(hexadecimal)
    for form in _base32_of(raw):
        yield form[: _beginning_of(len(form), 20)].encode()


def seen(data: bytes) -> bytes:
    """Make alike what stands for the same, so that it can be searched for as it is."""
    return data.translate(_SEEN, _UNSEEN)


def _with_colons(hexadecimal: str) -> bytes:
    return ":".join(re.findall("..", hexadecimal)).encode()


def _beginning_of(length: int, least: int) -> int:
    return least if length > least + 4 else length


def _base64_of(raw: bytes) -> Iterator[str]:
    """Return what base64 makes of bytes behind 0, 1 or 2 others, whatever those and the next are.

    The characters at the ends that hold bits of the neighbours are left out.
    """
    for before in range(3):
        form = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        yield form[(0, 2, 3)[before] : len(form) - (1 if (before + len(raw)) % 3 else 0)]


def _base32_of(raw: bytes) -> Iterator[str]:
    """Return what base32 makes of bytes behind 0 to 4 others; see :func:`_base64_of`."""
    for before in range(5):
        form = base64.b32encode(b"\0" * before + raw).decode().rstrip("=")
        yield form[-(-8 * before // 5) : len(form) - (1 if (before + len(raw)) % 5 else 0)]


def pattern_of(secrets: Sequence[str]) -> str:
    """Match secrets in all but the rarer ways."""
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


@lru_cache(_SIGNS)
def _spelled_loosely(character: str) -> str:
    """Match a character also where its case was changed, or it was made safe for addresses."""
    others = {"+": "+-", "/": "/_"}.get(character, character)
    if character.isascii() and character.isalpha():
        others = character + character.swapcase()
    return f"(?:{'|'.join(map(_spelled, others))})"


@lru_cache(_SIGNS)
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
    if character == "+":  # a blank, where a form is decoded
        ways += [" ", "%(?:25){0,3}20"]
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
"""How far behind a sign of ASCII the same sign in full width is."""
_BETWEEN_NUMBERS = (
    r"(?:[,;][ \t\r\n]{0,16}|[ \t\r\n]{1,16}|"
    "%(?:25){0,3}(?:2[cC]|3[bB]|20)(?:[ +]|%(?:25){0,3}20){0,16})"
)
_SEPARATES = re.compile(rb"%(?:25){0,3}(?:2[cC]|3[bB]|20)")
_BETWEEN_PAIRS = r"[ \t\r\n:.,;_=-]{0,4}(?:0[xX]|\\{1,8}[xX])?"


@dataclass(frozen=True)
class Way:
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


def _backwards(secret: str) -> Way:
    """Find it with its last character first."""
    reverse = secret[::-1]
    units = [_spelled(character) for character in reverse]
    plain = max(re.findall(r"[A-Za-z0-9]+", reverse) or [reverse], key=len)[:_BEGINNING]
    sign = seen(plain.encode("utf-8", "surrogatepass"))
    return Way(seen, (sign,), lambda: _chain(units, _beginning_of(len(units), _BEGINNING)))


def _in_full_width(secret: str) -> Way:
    """Find it as it is set between Chinese or Japanese signs."""
    units = [_spelled(_widened(character)) for character in secret]
    signs = (b"\xef\xbc", b"\xef\xbd", b"uff", b"%ef", b"25ef", b"#65", b"#xff")
    return Way(bytes.lower, signs, lambda: _chain(units, _beginning_of(len(units), _BEGINNING)))


def _widened(character: str) -> str:
    return chr(ord(character) + _WIDER) if "!" <= character <= "~" else character


def _in_numbers(secret: str) -> Way:
    """Find a list of its bytes, as many languages show those: ``[115, 107, 45]``."""
    numbers = [str(byte) for byte in secret.encode("utf-8", "surrogatepass")]
    first = rf"(?<![0-9]){numbers[0]}(?![0-9])"
    units = [first, *(rf"{_BETWEEN_NUMBERS}{number}(?![0-9])" for number in numbers[1:])]
    sign = f",{','.join(numbers[:LONG_ENOUGH])},".encode()
    return Way(_listed, (sign,), lambda: _chain(units, _beginning_of(len(units), LONG_ENOUGH)))


def _listed(data: bytes) -> bytes:
    """Return the numbers in bytes, a comma between two of a list whatever stood there."""
    if b"%" in data:
        data = _SEPARATES.sub(b",", data)
    apart = data.translate(_LISTED, b"[]{}()")
    while b",," in apart:
        apart = apart.replace(b",,", b",")
    return b",%b," % apart


def _in_pairs(secret: str) -> Way:
    r"""Find its bytes in hexadecimal, apart: ``73-6b``, ``0x73, 0x6b``, ``=73=6B``."""
    raw = secret.encode("utf-8", "surrogatepass")
    pairs = ["".join(map(_either_case, f"{byte:02x}")) for byte in raw]
    units = [pairs[0], *(_BETWEEN_PAIRS + pair for pair in pairs[1:])]
    hexadecimal = raw[:LONG_ENOUGH].hex()
    marked = "".join(f"0{byte:02x}" for byte in raw[:LONG_ENOUGH])[1:]
    signs = (hexadecimal.encode(), marked.encode())
    return Way(_paired, signs, lambda: _chain(units, _beginning_of(len(units), _BEGINNING)))


def _paired(data: bytes) -> bytes:
    return data.translate(None, _NOT_HEXADECIMAL).lower()


def _in_base64_twice(secret: str) -> Way:
    """Find the base64 of its base64, as where a header's value was encoded once more."""
    once = base64.b64encode(secret.encode("utf-8", "surrogatepass")).rstrip(b"=")
    whole = {once, once.translate(bytes.maketrans(b"+/", b"-_"))}
    forms = [form for inner in sorted(whole) for form in _base64_of(inner[: len(once) & ~3])]
    signs = tuple(seen(form[:20].encode()) for form in forms)
    return Way(
        seen,
        signs,
        lambda: "|".join(
            _chain([_in_base64(form[0]), *(_LINE_BREAK + _in_base64(c) for c in form[1:])],
                   min(len(form), 20))
            for form in forms
        ),
    )  # fmt: skip


def _in_two_ways(secret: str) -> Way:
    """Find base64 of its hexadecimal or of its UTF-16, and hexadecimal of its base64 or UTF-16."""
    raw = secret.encode("utf-8", "surrogatepass")
    wide = [secret.encode(name, "surrogatepass") for name in ("utf-16-le", "utf-16-be")]
    inners = (raw.hex().encode(), raw.hex().upper().encode(), *wide)
    in_base64 = [form for inner in inners for form in _base64_of(inner)]
    in_hexadecimal = [form.encode().hex() for form in _base64_of(raw)]
    in_hexadecimal += [inner[: len(inner) - 1].hex() for inner in wide]
    signs = {seen(form[:20].encode()) for form in (*in_base64, *in_hexadecimal)}

    def pattern() -> str:
        units = [[_in_base64(character) for character in form] for form in in_base64]
        units += [[_either_case(digit) for digit in form] for form in in_hexadecimal]
        return "|".join(_chain(one, min(len(one), 20)) for one in units)

    return Way(seen, tuple(sorted(signs)), pattern)


def _sign(character: str) -> str:
    """Match a sign that an escape is made of, percent-encoded or not."""
    return f"(?:{re.escape(character)}|%(?:25){{0,3}}{_hexadecimal(ord(character), 2)})"


def _in_escapes_of_escapes(secret: str) -> Way:
    r"""Find escapes that were percent-encoded, ``%5Cx73``, and CSS's and Unicode's own."""
    units = [_escaped_anyhow(byte) for byte in secret.encode("utf-8", "surrogatepass")]
    signs = (b"%5c", b"%255c", b"%26", b"%2526", b"%3d", b"%253d", b"\\00", b"u+00")
    return Way(bytes.lower, signs, lambda: _chain(units, _beginning_of(len(units), _BEGINNING)))


@lru_cache(_SIGNS)
def _escaped_anyhow(byte: int) -> str:
    character, two = chr(byte), _hexadecimal(byte, 2)
    plain = f"{re.escape(character)}|%(?:25){{0,3}}{two}"
    escape = rf"{_sign(chr(92))}{{1,8}}(?:[uU](?:0000)?00{two}|x{two}|{byte:03o}|0{{0,4}}{two}[ ]?"
    escape += f"|u{_sign('{')}0{{0,4}}{two}{_sign('}')})"
    entity = f"{_sign('&')}{_sign('#')}(?:0{{0,6}}{byte}|[xX]0{{0,6}}{two})(?:{_sign(';')})?"
    code_point = rf"[uU](?:\+|%2[bB])00{two}(?:[ ,+]|%20){{0,2}}"
    return f"(?:{entity}|{escape}|{_sign('=')}{two}|{code_point}|{plain})"


WAYS = (
    _backwards,
    _in_full_width,
    _in_numbers,
    _in_pairs,
    _in_base64_twice,
    _in_two_ways,
    _in_escapes_of_escapes,
)
"""Each makes a :class:`Way` of a secret. One more is one more line here."""
