r"""How a long JSON string is recognised as base64, decoded in pieces, and restored if it is none.

Servers differ: PHP writes ``\/``, .NET ``\u002B``, some wrap lines, some use the URL-safe alphabet
or leave the padding out. Decoding is strict all the same: the standard lenient decoder drops junk
silently and would turn a damaged picture into a shorter one. Apart from the spool because it is
pure: no file, no JSON, and laws that can be tested with bytes alone.
"""

from __future__ import annotations

import binascii
import re
from enum import Enum

import pybase64

_BLANKS = b" \t\r\n"
_URL_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_STANDARD_TO_URL = bytes.maketrans(b"+/", b"-_")
_DATA_URL = re.compile(
    rb"""[ \t\r\n"'`<(]{0,8}(?:b["'])?
    (?:data:[ ]?([\w.+-]{1,64}/[\w.+-]{1,64})?
    (?:;[ ]?[\w.+-]{1,64}=(?:"[^"]{0,256}"|[\w.+%-]{0,256})){0,8};[ ]?base64,)?""",
    re.IGNORECASE | re.VERBOSE,
)
"""What may stand before base64; quotes too: some put one string into another."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]*+")
_NOT_BASE64 = bytes(
    code for code in range(256) if not chr(code).isascii() or not re.match(r"[\w+/-]", chr(code))
)
_OTHER_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{4}|.)", re.DOTALL)
_PERCENT = re.compile(rb"%([0-7][0-9a-fA-F])")
_CUT_PERCENT = re.compile(rb"%[0-9a-fA-F]?\Z")
_TAIL = re.compile(rb"[A-Za-z0-9+/]{0,3}={0,2}")
_ASCII_ESCAPE = re.compile(rb"\\u00([0-7][0-9a-fA-F])")
_ESCAPES = (
    (rb"\/", b"/"),
    (rb"\u002B", b"+"),
    (rb"\u002b", b"+"),
    (rb"\u002F", b"/"),
    (rb"\u002f", b"/"),
    (rb"\n", b"\n"),
    (rb"\r", b"\r"),
    (rb"\t", b"\t"),
    (rb"\"", b'"'),
)

_BLANK_SHARE = 16
"""One character in so many may be a blank: lines of base64 are 64 or 76 long, words are shorter."""


class NotBase64(ValueError):
    """The string is not base64 after all."""


class _Alphabet(Enum):
    EITHER = "no sign seen yet that tells them apart"
    STANDARD = "+ and /"
    URL_SAFE = "- and _"


def decoded_groups(text: bytes | memoryview) -> bytes:
    """Decode whole groups of four without padding.

    pybase64 takes a tenth of binascii's time; without ``validate`` it would skip what is no base64.

    Raises:
        binascii.Error: There is a character outside of the standard alphabet.
    """
    return pybase64.b64decode(text, validate=True)


class Base64Stream:
    """Decode one string as its pieces arrive, strictly.

    A piece that raises :class:`NotBase64` leaves the stream as it was, so that what was taken
    before can be restored exactly: :func:`encoded` for the decoded bytes, then ``rest``. That does
    not restore blanks; a caller that needs the exact text keeps it from the piece on that sets
    ``has_blanks``: it is set for percent-encoded signs as well.
    """

    __slots__ = ("_alphabet", "_cut", "_rest", "has_blanks")

    def __init__(self) -> None:
        self._alphabet = _Alphabet.EITHER
        self._rest = b""
        self._cut = b""
        self.has_blanks = False

    @property
    def rest(self) -> bytes:
        """Return the characters that were taken but do not fill a group of four yet."""
        return (_url_safe(self._rest) if self.is_url_safe else self._rest) + self._cut

    @property
    def is_url_safe(self) -> bool:
        """Return whether a sign of the URL-safe alphabet was seen."""
        return self._alphabet is _Alphabet.URL_SAFE

    def take(self, source: bytes) -> bytes:
        """Decode as much as can be, a multiple of three bytes.

        Args:
            source: What stands between the quotes in JSON, escapes included, none of them cut.

        Raises:
            NotBase64: The string cannot be base64; nothing of ``source`` was taken.
        """
        text = unescaped(source) if b"\\" in source else source
        if self._cut or b"%" in text:
            return self._take_percent_encoded(self._cut + text)
        if self._alphabet is not _Alphabet.URL_SAFE:
            try:
                decoded, rest = _split(self._rest + text)
            except NotBase64:
                pass  # another alphabet or blanks, perhaps: look closer below
            else:
                if self._alphabet is _Alphabet.EITHER and (b"/" in text or b"+" in text):
                    self._alphabet = _Alphabet.STANDARD
                self._rest = rest
                return decoded
        return self._take_closely(text)

    def _take_percent_encoded(self, text: bytes) -> bytes:
        """Decode what was meant for an address; like blanks, that is not restored by encoding."""
        cut = _CUT_PERCENT.search(text)
        end = cut.start() if cut else len(text)
        plain = _PERCENT.sub(lambda match: bytes([int(match[1], 16)]), text[:end])
        decoded = self._take_closely(plain)
        self._cut = text[end:]
        self.has_blanks = True
        return decoded

    def _take_closely(self, text: bytes) -> bytes:
        compact = text.translate(None, _BLANKS)
        alphabet = self._alphabet_with(compact)
        if alphabet is _Alphabet.URL_SAFE:
            compact = compact.translate(_URL_TO_STANDARD)
        decoded, rest = _split(self._rest + compact)
        self._alphabet = alphabet
        self._rest = rest
        self.has_blanks = self.has_blanks or len(compact) < len(text)
        return decoded

    def _alphabet_with(self, text: bytes) -> _Alphabet:
        is_standard = self._alphabet is _Alphabet.STANDARD or b"+" in text or b"/" in text
        is_url_safe = self._alphabet is _Alphabet.URL_SAFE or b"-" in text or b"_" in text
        if is_standard and is_url_safe:
            raise NotBase64
        if is_url_safe:
            return _Alphabet.URL_SAFE
        return _Alphabet.STANDARD if is_standard else _Alphabet.EITHER

    def end(self) -> bytes:
        """Decode what is left; padding may be missing, but not be wrong.

        Raises:
            NotBase64: The string stops where base64 cannot stop.
        """
        if self._cut:
            raise NotBase64
        body = self._rest.rstrip(b"=")
        lacking = -len(body) % 4
        if lacking > 2 or len(self._rest) - len(body) > lacking:
            raise NotBase64
        return binascii.a2b_base64(body + b"=" * lacking, strict_mode=True)


def encoded(decoded: bytes, is_url_safe: bool) -> bytes:  # noqa: FBT001 - an alphabet or the other
    """Return the text of ``decoded``, a multiple of three bytes from a stream."""
    text = binascii.b2a_base64(decoded, newline=False)
    return _url_safe(text) if is_url_safe else text


def _url_safe(text: bytes) -> bytes:
    return text.translate(_STANDARD_TO_URL)


def _split(text: bytes) -> tuple[bytes, bytes]:
    """Decode the whole groups of four; return the bytes and the characters left over."""
    padding = text.find(b"=")
    whole = (len(text) if padding < 0 else padding) & ~3
    rest = text[whole:]
    if not _TAIL.fullmatch(rest):
        raise NotBase64
    try:
        return decoded_groups(memoryview(text)[:whole]), rest
    except binascii.Error:
        raise NotBase64 from None


def unescaped(source: bytes) -> bytes:
    r"""Resolve the escapes that can stand for a character of base64.

    Raises:
        NotBase64: There is another one. ``\\`` always is, which makes plain replacing safe: every
            backslash then begins an escape.
    """
    if rb"\\" in source:
        raise NotBase64
    for escape, character in _ESCAPES:
        if escape in source:
            source = source.replace(escape, character)
    if b"\\" in source:
        for code in set(_ASCII_ESCAPE.findall(source)):  # few, however many escapes there are
            if code.lower() == b"5c":  # a backslash, with which another escape would begin
                raise NotBase64
            source = source.replace(rb"\u00" + code, bytes([int(code, 16)]))
    if b"\\" in source:
        raise NotBase64
    return source


def split_data_url(text: bytes) -> tuple[bytes, str | None]:
    """Return the ``data:…;base64,`` prefix of a string, or nothing, and the media type it names."""
    match = _DATA_URL.match(text)
    if match is None:
        return b"", None
    named = match[1]
    return match[0], named.decode("ascii", "replace").lower() if named else None


def has_words(text: bytes) -> bool:
    """Return whether lines are prose and no base64: letters and blanks alone are valid as both."""
    blanks = len(text) - len(text.translate(None, _BLANKS))
    return blanks * _BLANK_SHARE > len(text)


def beginning_of(source: bytes) -> tuple[bytes, bytes]:
    """Decode the base64 that a string begins with; return the bytes and all that is behind them."""
    match = _BASE64.match(source)
    assert match is not None  # nothing is some, too
    whole = len(match[0]) & ~3
    return binascii.a2b_base64(match[0][:whole].translate(_URL_TO_STANDARD)), source[whole:]


class LooseBase64:
    """Decodes what is left of a string without all that is no base64.

    Only for one that begins as a picture: the structure of the bytes shows whether they are a whole
    one, and otherwise it would be lost.
    """

    def __init__(self) -> None:
        self._source = b""
        self._compact = b""

    def take(self, source: bytes) -> bytes:
        """Decode more of the JSON source of the string."""
        source = self._source + source
        start = max(source.rfind(b"\\", -6), source.rfind(b"%", -3)) if source else -1
        end = start if start >= 0 else len(source)
        self._source = source[end:]
        return self._decoded(source[:end])

    def end(self) -> bytes:
        """Decode the rest; too few signs for another byte are left out."""
        decoded = self._decoded(self._source)
        rest = self._compact if len(self._compact) > 1 else b""
        return decoded + binascii.a2b_base64(rest + b"=" * (-len(rest) % 4))

    def _decoded(self, source: bytes) -> bytes:
        text = source.replace(rb"\\", b"")
        for escape, character in _ESCAPES:
            text = text.replace(escape, character)
        text = _ASCII_ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), text)
        text = _OTHER_ESCAPE.sub(b"", text)
        text = _PERCENT.sub(lambda match: bytes([int(match[1], 16)]), text)
        compact = self._compact + text.translate(_URL_TO_STANDARD, _NOT_BASE64)
        whole = len(compact) & ~3
        self._compact = compact[whole:]
        return binascii.a2b_base64(compact[:whole])
