"""Answers that are paid for and odd in how they come, for the tests of what is received."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.fakes.behaviours import Ok
from tests.fakes.wire import Exchange, Framing

Make = Callable[[bytes, bytes], bytes]
"""Makes a body from the picture and the endpoint's usual answer with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """Answer what a function makes of a good answer.

    Attributes:
        make: See :data:`Make`.
        headers: Beside the endpoint's own, or instead of them.
        framing: What says where the body ends; ``cut`` announces a byte more than comes,
            ``unended`` sends chunks without the last one.
        heavy: A picture that is long enough to be decoded while it arrives.
    """

    make: Make
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    framing: Framing | str = "length"
    heavy: bool = True

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        good = Ok(heavy=self.heavy, size_px=(160, 120))
        body = self.make(good.made(exchange), good.body(exchange))
        headers = {**good.headers(exchange), **self.headers}
        if self.framing == "cut":
            await exchange.head(200, {**headers, "Content-Length": str(len(body) + 1)})
            await exchange.send(body)
            exchange.close()
        elif self.framing == "unended":
            await exchange.head(200, {**headers, "Transfer-Encoding": "chunked"})
            await exchange.send_chunk(body)
            exchange.close()
        else:
            await exchange.reply(200, body, headers, framing=self.framing)  # type: ignore[arg-type]  # one of its own by now


def text_of(picture: bytes) -> str:
    """Return a picture in base64."""
    return base64.b64encode(picture).decode()


def images(*texts: str, **more: object) -> bytes:
    """Return an answer of the Images API with these texts as pictures."""
    return json.dumps({"data": [{"b64_json": text} for text in texts], **more}).encode()


def deflated(data: bytes) -> bytes:
    """Compress without any frame."""
    squeeze = zlib.compressobj(wbits=-15)
    return squeeze.compress(data) + squeeze.flush()


def _lines_of(text: str) -> str:
    return "\n".join(text[start : start + 76] for start in range(0, len(text), 76))


_PNG = {"Content-Type": "image/png"}
_GZIP = {"Content-Encoding": "gzip"}
_DEFLATE = {"Content-Encoding": "deflate"}
_MIDDLE = 20_000
_LONG_TEXT = text_of(bytes(range(256)) * 99)

COMPRESSED: dict[str, Odd] = {
    "gzip": Odd(make=lambda _, body: gzip.compress(body), headers=_GZIP),
    "gzip without its end": Odd(make=lambda _, body: gzip.compress(body)[:-8], headers=_GZIP),
    "gzip with a wrong checksum": Odd(
        make=lambda _, body: gzip.compress(body)[:-8] + b"12345678", headers=_GZIP
    ),
    "gzip in two members": Odd(
        make=lambda _, body: gzip.compress(body[:_MIDDLE]) + gzip.compress(body[_MIDDLE:]),
        headers=_GZIP,
    ),
    "gzip and a megabyte behind it": Odd(
        make=lambda _, body: gzip.compress(body) + b"junk" * 250_000, headers=_GZIP
    ),
    "gzip damaged behind the picture": Odd(
        make=lambda _, body: (
            gzip.compress(body[:-1] + b', "log": "%b"}' % bytes(range(97, 123)) * 9, 0)[:-60]
            + b"\xff" * 60
        ),
        headers=_GZIP,
    ),
    "zlib": Odd(make=lambda _, body: zlib.compress(body), headers=_DEFLATE),
    "raw deflate": Odd(make=lambda _, body: deflated(body), headers=_DEFLATE),
    "plain JSON that says gzip": Odd(make=lambda _, body: body, headers=_GZIP),
    "plain JSON that says deflate": Odd(make=lambda _, body: body, headers=_DEFLATE),
    "gzip twice": Odd(
        make=lambda _, body: gzip.compress(gzip.compress(body)),
        headers={"Content-Encoding": "gzip, gzip"},
    ),
    "gzip once that says twice": Odd(
        make=lambda _, body: gzip.compress(body), headers={"Content-Encoding": "gzip, gzip"}
    ),
    "identity and gzip": Odd(
        make=lambda _, body: gzip.compress(body), headers={"Content-Encoding": "identity, X-GZIP"}
    ),
    "a raw picture in gzip": Odd(
        make=lambda picture, _: gzip.compress(picture), headers={**_PNG, **_GZIP}
    ),
}

FRAMED: dict[str, Odd] = {
    "a raw picture without a length": Odd(
        make=lambda picture, _: picture, headers=_PNG, framing="close"
    ),
    "a raw picture and its length too long": Odd(
        make=lambda picture, _: picture, headers=_PNG, framing="cut"
    ),
    "chunks without the last one": Odd(make=lambda _, body: body, framing="unended"),
    "chunks without the last one, small": Odd(
        make=lambda _, body: body, framing="unended", heavy=False
    ),
    "a length too long": Odd(make=lambda _, body: body, framing="cut"),
    "a document that stops behind its picture": Odd(
        make=lambda picture, _: images(text_of(picture))[:-3], framing="cut"
    ),
    "a document that stops behind its picture and another long text": Odd(
        make=lambda picture, _: images(text_of(picture), signature=_LONG_TEXT)[:-1], framing="cut"
    ),
}

TRAILING: dict[str, Odd] = {
    "a line break": Odd(make=lambda picture, _: images(text_of(picture + b"\n"))),
    "zeros": Odd(make=lambda picture, _: images(text_of(picture + bytes(100)))),
    "a ZIP": Odd(make=lambda picture, _: images(text_of(picture + b"PK\x03\x04" + b"x" * 5000))),
    "a line break, raw": Odd(make=lambda picture, _: picture + b"\r\n", headers=_PNG),
    "a line break, raw and without a length": Odd(
        make=lambda picture, _: picture + b"\r\n", headers=_PNG, framing="close"
    ),
}

WRITTEN: dict[str, Odd] = {
    "in upper case": Odd(
        make=lambda picture, _: images("DATA:IMAGE/PNG;BASE64," + text_of(picture))
    ),
    "with a quoted parameter": Odd(
        make=lambda picture, _: images(
            'data:image/png;name="a, b; c.png";base64,' + text_of(picture)
        )
    ),
    "percent-encoded": Odd(
        make=lambda picture, _: images(
            "data:image/png;base64,"
            + text_of(picture).replace("+", "%2B").replace("/", "%2f").replace("=", "%3D")
        )
    ),
    "percent-encoded, small": Odd(
        make=lambda picture, _: images(
            "data:image/png;base64," + text_of(picture).replace("+", "%2B").replace("=", "%3D")
        ),
        heavy=False,
    ),
    "in quotes": Odd(make=lambda picture, _: images(f'"{text_of(picture)}"')),
    "as Python writes bytes": Odd(make=lambda picture, _: images(f"b'{text_of(picture)}'")),
    "as Python writes bytes, small": Odd(
        make=lambda picture, _: images(f"b'{text_of(picture)}'"), heavy=False
    ),
    "with an odd character": Odd(
        make=lambda picture, _: images(
            text_of(picture)[:_MIDDLE] + "\u200b" + text_of(picture)[_MIDDLE:]
        )
    ),
    "with an odd character soon": Odd(
        make=lambda picture, _: images(text_of(picture)[:100] + "\x00" + text_of(picture)[100:])
    ),
    "in lines with an odd end": Odd(
        make=lambda picture, _: images(_lines_of(text_of(picture)) + "\x0b")
    ),
}

_BLANKS = b" \r\n" * 9000
_MARK = b"\xef\xbb\xbf"

BEHIND_BLANKS: dict[str, Odd] = {
    "a line break before it, raw": Odd(make=lambda picture, _: b"\r\n" + picture, headers=_PNG),
    "a byte order mark before it, raw": Odd(
        make=lambda picture, _: _MARK + b"\n" + picture,
        headers={"Content-Type": "application/octet-stream"},
    ),
    "many blanks before it, raw": Odd(
        make=lambda picture, _: _BLANKS + picture, headers=_PNG, framing="close"
    ),
    "a line break before it, raw in gzip": Odd(
        make=lambda picture, _: gzip.compress(b"\n" + picture), headers={**_PNG, **_GZIP}
    ),
    "many blanks before the document": Odd(make=lambda _, body: _BLANKS + body, headers=_PNG),
    "a byte order mark behind blanks": Odd(make=lambda _, body: b"\n \n" + _MARK + body),
    "blanks before the text": Odd(make=lambda picture, _: images("\n " * 90 + text_of(picture))),
}

_SIGNS = {
    "a line break": b"\n",
    "three lines": b"\r\n \r\n\t",
    "many blanks": b" " * 5000,
    "very many line breaks": b"\n" * 70_000,
    "three million line breaks": b"\n" * 3_000_000,
    "a byte order mark": _MARK,
    "byte order marks among many blanks": (b" " * 4095 + _MARK) * 30,
    "a NUL and a form feed": b"\0\f",
    "a blank that does not break": b"\xc2\xa0\n",
}


def _before(signs: bytes) -> Make:
    return lambda picture, _: signs + picture


def _before_in_base64(signs: bytes) -> Make:
    return lambda picture, _: images(text_of(signs + picture))


BEFORE: dict[str, Odd] = {
    f"{name}, {place}": odd
    for name, signs in _SIGNS.items()
    for place, odd in {
        "raw": Odd(make=_before(signs), headers=_PNG),
        "raw, until the connection ends": Odd(make=_before(signs), headers=_PNG, framing="close"),
        "raw, called octets": Odd(
            make=_before(signs), headers={"Content-Type": "application/octet-stream"}
        ),
        "in base64": Odd(make=_before_in_base64(signs)),
        "in base64, short": Odd(make=_before_in_base64(signs), heavy=False),
    }.items()
}
"""What means nothing, before the picture itself."""

BEFORE_AT_ADDRESS: dict[str, Odd] = {
    f"{name}, {framing}": Odd(make=_before(signs), headers=_PNG, framing=framing)
    for name, signs in _SIGNS.items()
    for framing in ("length", "close")
}

_BESIDE = '{"data": [{"b64_json": "%s"}], "usage": {"cost": %s}, "more": [NaN, -Infinity, %s]}'

BESIDE: dict[str, Odd] = {
    "figures that are none": Odd(
        make=lambda picture, _: (_BESIDE % (text_of(picture), "NaN", "1e999999")).encode(),
        heavy=False,
    ),
    "figures of 5,000 digits": Odd(
        make=lambda picture, _: (
            _BESIDE % (text_of(picture), "9" * 5000, "0." + "1" * 5000)
        ).encode(),
        heavy=False,
    ),
    "five megabytes of words": Odd(
        make=lambda picture, _: images(text_of(picture), log=["a word " * 1000] * 750)
    ),
    "a million values": Odd(
        make=lambda picture, _: (
            images(text_of(picture))[:-1] + b', "log": [%b1]}' % (b"[]," * 10**6)
        )
    ),
    "a hundred thousand brackets": Odd(
        make=lambda picture, _: images(text_of(picture))[:-1] + b', "log": %b1' % (b"[" * 10**5)
    ),
}
