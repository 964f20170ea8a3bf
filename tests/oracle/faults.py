"""What goes wrong on the way: everything that the fakes can do, and HTTP as it should not be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

from tests.fakes import behaviours as does
from tests.fakes.behaviours import Behaviour, Ok
from tests.fakes.wire import Exchange
from tests.oracle.cases import AT_VENDORS, ROUTES, Case, Route, meets, thinned
from tests.oracle.jobs import between

IMPATIENT_S = 120
_LONG = "x" * (3 << 20)
"""More of a prompt than the buffers of a socket hold."""


@dataclass(frozen=True, slots=True)
class Wire:
    """Send these bytes, with a good answer's in the places of its parts, and end like that."""

    data: bytes
    end: Literal["close", "reset", "stay"] = "close"

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        body = Ok().body(exchange)
        parts = {
            b"{body}": body, b"{length}": b"%d" % len(body), b"{hex}": b"%x" % len(body),
            b"{good}": b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body),
        }  # fmt: skip
        data = self.data
        for name, part in parts.items():
            data = data.replace(name, part)
        await exchange.send(data)
        if self.end == "stay":
            return
        await asyncio.sleep(0.02)  # let it arrive: RST discards what is still on its way
        if self.end == "reset":
            exchange.reset()
        else:
            exchange.close()


_LENGTH = b"content-length: {length}\r\n"
_CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def _with(headers: bytes, body: bytes = b"{body}") -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n" + body


RAW: dict[str, bytes] = {
    "no byte": b"", "half of a status line": b"HTTP/1.1 2", "a status line": b"HTTP/1.1 200 OK\r\n",
    "half of the head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "100 first": b"HTTP/1.1 100 Continue\r\n\r\n{good}",
    "102 twice first": b"HTTP/1.1 102 Processing\r\n\r\n" * 2 + b"{good}",
    "103 first": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n{good}",
    "199 first": b"HTTP/1.1 199 Odd\r\n\r\n{good}",
    "100 with a length first": b"HTTP/1.1 100 Continue\r\ncontent-length: 2\r\n\r\n{good}",
    "100 a thousand times": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + b"{good}",
    "100 alone": b"HTTP/1.1 100 Continue\r\n\r\n", "103 alone": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n{body}",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n{body}", "HTTP/2": b"HTTP/2 200 OK\r\n\r\n{body}",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n" + _LENGTH + b"\r\n{body}", "ICY": b"ICY 200 OK\r\n\r\n{body}",
    "in lower case": b"http/1.1 200 ok\r\n\r\n{body}", "no reason": b"HTTP/1.1 200\r\n\r\n{body}",
    "status 99": b"HTTP/1.1 99 Odd\r\n\r\n{body}", "status 20O": b"HTTP/1.1 20O OK\r\n\r\n{body}",
    "status 1000": b"HTTP/1.1 1000 Odd\r\n\r\n{body}", "status 0": b"HTTP/1.1 000 Odd\r\n\r\n{body}",
    "body alone": b"{body}", "SSH": b"SSH-2.0-OpenSSH_9.6\r\n", "TLS": b"\x15\x03\x01\0\2\2\50",
    "HTTP/2 settings": b"\0\0\x12\4\0\0\0\0\0" + bytes(18), "zeros": bytes(4096),
    "line feeds alone": b"HTTP/1.1 200 OK\ncontent-length: {length}\n\n{body}",
    "lines before it": b"\r\n\r\n{good}", "junk behind it": b"{good}junk", "twice": b"{good}{good}",
    "folded": _with(b"x: a\r\n b\r\n" + _LENGTH), "no colon": _with(b"odd line\r\n" + _LENGTH),
    "blank before the colon": _with(b"content-length : {length}\r\n"),
    "no name": _with(b": x\r\n" + _LENGTH), "NUL": _with(b"x: a\0b\r\n" + _LENGTH),
    "carriage return": _with(b"x: a\rb\r\n" + _LENGTH), "UTF-8": _with(b"x: \xc3\xa9\r\n" + _LENGTH),
    "a long header": _with(b"x: " + b"y" * 150_000 + b"\r\n" + _LENGTH),
    "many headers": _with(b"x: y\r\n" * 3000 + _LENGTH),
    "a length twice": _with(_LENGTH * 2), "two lengths": _with(b"content-length: 9\r\n" + _LENGTH),
    "a length in a list": _with(b"content-length: {length}, {length}\r\n"),
    "length -1": _with(b"content-length: -1\r\n"), "length +1": _with(b"content-length: +1\r\n"),
    "length of words": _with(b"content-length: many\r\n"), "length 0": _with(b"content-length: 0\r\n"),
    "length 9": _with(b"content-length: 9\r\n"), "no length": _with(b""),
    "a huge length": _with(b"content-length: " + b"9" * 30 + b"\r\n"),
    "a length too long": _with(b"content-length: 1{length}\r\n"),
    "a length and chunks": _with(
        _LENGTH + b"transfer-encoding: chunked\r\n", b"{hex}\r\n{body}\r\n0\r\n\r\n"
    ),
    "identity": _with(b"transfer-encoding: identity\r\n" + _LENGTH),
    "gzip, chunked": _with(b"transfer-encoding: gzip, chunked\r\n", b"{hex}\r\n{body}\r\n0\r\n\r\n"),
    "chunks": _CHUNKED + b"{hex}\r\n{body}\r\n0\r\n\r\n",
    "chunks and trailers": _CHUNKED + b"{hex}\r\n{body}\r\n0\r\nx: y\r\n\r\n",
    "chunks with words": _CHUNKED + b"{hex};a=b\r\n{body}\r\n0\r\n\r\n",
    "chunks without the last": _CHUNKED + b"{hex}\r\n{body}\r\n",
    "chunks without the last line": _CHUNKED + b"{hex}\r\n{body}\r\n0\r\n",
    "a chunk cut": _CHUNKED + b"f{hex}\r\n{body}", "no chunk": _CHUNKED + b"{body}",
    "chunk without its line": _CHUNKED + b"{hex}\r\n{body}0\r\n\r\n",
    "chunk -1": _CHUNKED + b"-1\r\n{body}\r\n0\r\n\r\n",
    "chunk 0x": _CHUNKED + b"0x{hex}\r\n{body}\r\n0\r\n\r\n",
    "a huge chunk": _CHUNKED + b"f" * 30 + b"\r\n{body}", "an empty chunk": _CHUNKED + b"0\r\n\r\n",
    "in two chunks": _CHUNKED + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
}  # fmt: skip
SENT: Mapping[str, Behaviour] = {
    **{f"{name}, {end}": Wire(data, "close" if end == "close" else "reset")
    for (name, data), end in product(RAW.items(), ("close", "reset"))},
    **{f"cut by {cut.by} {cut.framing}{' heavy' * cut.heavy}": cut
    for cut in (does.CutBody(by, framing, heavy) for by in ("reset", "close")
    for framing in ("length", "chunked", "close") for heavy in (False, True))},
    "chunked": Ok(framing="chunked"), "until closed": Ok(framing="close"), "late": Ok(delay_s=0.5),
    "chunked heavy": Ok(framing="chunked", heavy=True), "until closed heavy": Ok(
    framing="close", heavy=True), "cut JSON": does.CutJson(), "cut JSON heavy": does.CutJson(heavy=True),
    "cut PNG": does.CutPng(), "cut PNG heavy": does.CutPng(heavy=True), "gzip": does.Gzip(),
    "bomb": does.Gzip(bomb=True), "endless": does.Endless(), "bad base64": does.BadBase64(),
    "reset": does.ResetAfterRead(), "reset late": does.ResetAfterRead(0.3), "empty": does.EmptyData(),
    "empty and free": does.EmptyData(billed=False), "in words": does.TextOnly(),
    **{f"page {status}": does.Page(status) for status in (200, 403, 429, 500, 502, 503)},
    **{f"failed {status}": does.ServerError(status) for status in (500, 502, 503, 504, 529)},
    **{f"early {status}": does.EarlyAnswer(status) for status in (200, 401, 407, 413, 502)},
    **{f"redirect {status}": does.Redirect("/v1/elsewhere", status)
    for status in (301, 302, 303, 307, 308)},
    "redirect away": does.Redirect("http://127.0.0.1:9/"), "redirect to a file": does.Redirect(
    "file:///etc/hosts"), "a data address": Ok(data_url=True), "no usage": Ok(usage=None),
    "limited": does.Limited(), "limited often": does.Limited(status=503),
    "limited with a wait": does.Limited(hint="retry-after", wait_s=9.0),
    "limited for a moment": does.Limited(hint="retry-after-ms", wait_s=0.05),
    "limited by a field": does.Limited(hint="retry-info", wait_s=7.0),
    "another size": Ok(size_px=(96, 32)), "beside more": Ok(extra={"error": None, "data2": [1]}),
}  # fmt: skip
SILENT: Mapping[str, Behaviour] = {
    "hangs": does.Hang(), "drips": does.Drip(), "drips fast": does.Drip(every_s=0.02),
    **{f"{name}, and stays": Wire(RAW[name], "stay") for name in (
    "no byte", "half of the head", "100 alone", "a length too long", "chunks without the last",
    "length 0", "no length", "a chunk cut", "103 alone", "101")},
}  # fmt: skip
"""What is over only by our own patience."""


def _at(route: Route, name: str, behaviour: Behaviour, *, silent: bool = False) -> Case:
    asked = route.with_(timeout_s=IMPATIENT_S) if silent else route
    return Case(
        name=f"{route.name}/fault/{name}", route=asked, prepare=meets(behaviour), waits=silent or route.has_jobs,
    )  # fmt: skip


def _of_one_request() -> Iterator[Case]:
    for (name, behaviour), route in product(SENT.items(), ROUTES.values()):
        if route in AT_VENDORS or not isinstance(behaviour, does.EmptyData | does.TextOnly):
            yield _at(route, name, behaviour)


def _of_connections(times: int) -> Iterator[Case]:
    for route in ROUTES.values():
        yield Case(
            name=f"{route.name}/fault/{times} connections reset", route=route,
            prepare=lambda api: api.reset_on_connect(times), waits=route.has_jobs,
        )  # fmt: skip


def _of_long_requests() -> Iterator[Case]:
    early = {f"early {status}": does.EarlyAnswer(status) for status in (200, 401, 407, 413, 500)}
    for (name, behaviour), route in product(early.items(), AT_VENDORS):
        yield Case(
            name=f"{route.name}/long request/{name}", route=route, prepare=meets(behaviour),
            words=_LONG,
        )  # fmt: skip


def _in_a_row() -> Iterator[Case]:
    """The same fault each time, and once more where it is sent again by itself."""
    for name, behaviour in (SENT | SILENT).items():
        resent = ROUTES["openai"].with_(on_unknown="resend", timeout_s=IMPATIENT_S)
        always = ROUTES["openrouter"].with_(max_attempts=2, timeout_s=IMPATIENT_S)
        waits = name in SILENT
        yield Case(
            name=f"openai/resent fault/{name}", route=resent, prepare=meets(behaviour), waits=waits
        )
        yield Case(
            name=f"openrouter/lasting fault/{name}", route=always,
            prepare=lambda api, behaviour=behaviour: api.always(behaviour), waits=waits,
        )  # fmt: skip


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from thinned(_of_one_request(), one_of=5)
    for (name, behaviour), route in product(SILENT.items(), ROUTES.values()):
        if route.name in {"openai", "gemini", "fal"}:
            yield _at(route, name, behaviour, silent=True)
    for times in (1, 3, 9):
        yield from _of_connections(times)
    yield from _of_long_requests()
    yield from thinned(_in_a_row(), one_of=3)
    for (name, behaviour), word in product((SENT | SILENT).items(), ("fal", "replicate")):
        yield from between(ROUTES[word].with_(timeout_s=IMPATIENT_S), f"fault/{name}", behaviour)
