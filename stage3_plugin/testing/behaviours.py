"""What the fake image API can do with a request, good or bad: one small class each.

A behaviour is a value: a test puts it into the script of an ``ImageApi``, and it is used for one
request. ``billed`` says whether the service took money for it, which is what the client can not
know.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import gzip
import json
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Literal, Protocol, TypeAlias

from stage3_plugin.testing import shapes
from stage3_plugin.testing.wire import Exchange, Framing

Echo: TypeAlias = Literal[
    "status line", "header", "message", "in base64", "percent-encoded", "beside", "address"
]
"""The places where a service may repeat the key that it was sent."""

Hint: TypeAlias = Literal[
    "retry-after",
    "retry-after-date",
    "retry-after-ms",
    "retry-info",
    "text",
    "reset-epoch-ms",
    "reset-duration",
    "availability",
]
"""The places where providers say how long to wait."""


class Behaviour(Protocol):
    """Answer one request."""

    async def answer(self, exchange: Exchange) -> None: ...


class Gate:
    """Hold answers back until the test opens it; usable from any thread."""

    def __init__(self) -> None:
        self._opened = threading.Event()

    def open(self) -> None:
        """Let everything through, now and later."""
        self._opened.set()

    @property
    def is_open(self) -> bool:
        """Return whether it is."""
        return self._opened.is_set()

    async def passed(self) -> None:
        """Wait inside the server until it is open."""
        while not self._opened.is_set():  # noqa: ASYNC110 - it is opened in another thread
            await asyncio.sleep(0.002)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ok:
    """Make the picture.

    Attributes:
        delay_s: Wait so long first.
        gate: Wait for it first.
        framing: What says where the body ends.
        picture: These bytes, instead of a PNG of the size asked for.
        size_px: Another size than the one asked for.
        heavy: A picture of 3 bytes per pixel.
        url: Answer an address: on the API's own host, relative to it, or on a host that is not
            the API's (but leads here, so that the visit would be noticed).
        data_url: Answer base64 as a data URL.
        usage: ``None`` leaves it out; ``{}`` is the endpoint's usual one.
        extra: Further keys of the document.
        visits: What the first visits to its address are answered, one status each, before the
            picture is there: ``(503, 503)`` is down for a while, ``(404,) * 99`` is gone.
    """

    delay_s: float = 0.0
    gate: Gate | None = None
    framing: Framing = "length"
    picture: bytes | None = None
    size_px: tuple[int, int] | None = None
    heavy: bool = False
    url: Literal["own", "relative", "foreign"] | None = None
    data_url: bool = False
    usage: Mapping[str, Any] | None = field(default_factory=dict[str, Any])
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    visits: Sequence[int] = ()

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        await asyncio.sleep(self.delay_s)
        if self.gate is not None:
            await self.gate.passed()
        body, headers = self.body(exchange), self.headers(exchange)
        status = 200 if exchange.begin is None else exchange.begin(None).status
        await exchange.reply(status, body, headers, framing=self.framing)

    def made(self, exchange: Exchange) -> bytes:
        """Return the picture's bytes."""
        if self.picture is not None:
            return self.picture
        return exchange.asked.picture(self.size_px, heavy=self.heavy)

    def headers(self, exchange: Exchange) -> dict[str, str]:
        """Return the headers of a success at this endpoint."""
        if exchange.begin is not None:
            return {"Content-Type": "application/json", **exchange.begin(None).headers}
        return shapes.headers(exchange.asked)

    def body(self, exchange: Exchange) -> bytes:
        """Return the JSON of a success at this endpoint; one with a queue has a job then."""
        if exchange.begin is not None:
            return json.dumps(exchange.begin(None).document).encode()
        if self.url is not None:
            picture: shapes.Picture = shapes.Address(self._address(exchange))
        else:
            text = base64.b64encode(self.made(exchange)).decode()
            picture = shapes.Base64(f"data:image/png;base64,{text}" if self.data_url else text)
        document = shapes.success(exchange.asked, picture, usage=self.usage)
        return json.dumps({**document, **self.extra}).encode()

    def _address(self, exchange: Exchange) -> str:
        path = f"/pictures/{exchange.asked.number}.png"
        if self.url == "relative":
            return path
        host = exchange.base_url.removesuffix("/v1")
        return (host.replace("127.0.0.1", "localhost") if self.url == "foreign" else host) + path


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """Turn the request away: 429, with the hint where ``hint`` says, or with none."""

    hint: Hint | None = None
    wait_s: float = 1.0
    status: int = 429

    async def answer(self, exchange: Exchange) -> None:
        message = "Rate limit reached for images per minute."
        error: dict[str, Any] = {"type": "requests", "code": "rate_limit_exceeded", "param": None}
        headers: dict[str, str] = {}
        match self.hint:
            case "retry-after":
                headers["Retry-After"] = f"{self.wait_s:g}"
            case "retry-after-date":
                now = time.time()
                headers["Date"] = formatdate(now, usegmt=True)
                headers["Retry-After"] = formatdate(now + self.wait_s, usegmt=True)
            case "retry-after-ms":
                headers["Retry-After-Ms"] = f"{self.wait_s * 1000:g}"
            case "retry-info":
                kind = "type.googleapis.com/google.rpc.RetryInfo"
                error["details"] = [{"@type": kind, "retryDelay": f"{self.wait_s}s"}]
            case "text":
                message += f" Please try again in {self.wait_s}s."
            case "reset-epoch-ms":
                now = time.time()
                headers["Date"] = formatdate(now, usegmt=True)
                reset_ms = str(int((now + self.wait_s) * 1000))
                headers["X-RateLimit-Reset"] = reset_ms
                error["metadata"] = {"headers": {"X-RateLimit-Reset": reset_ms}}
            case "reset-duration":
                headers["x-ratelimit-remaining-requests"] = "0"
                headers["x-ratelimit-reset-requests"] = f"{self.wait_s}s"
            case "availability":
                error["availability"] = {"retryable": True, "retry_after": self.wait_s}
            case None:
                pass
        await exchange.reply_json(self.status, {"error": {"message": message, **error}}, headers)


@dataclass(frozen=True, slots=True)
class ServerError:
    """Fail with the provider's own JSON error, in the words by which it says that it did not run.

    They are documented for 500 and 503; under another status they prove nothing.
    """

    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    async def answer(self, exchange: Exchange) -> None:
        message = "The server had an error while processing your request. Sorry about that!"
        error = {"message": message, "type": "server_error", "param": None, "code": None}
        await exchange.reply_json(self.status, {"error": error}, self.headers)


@dataclass(frozen=True, slots=True)
class Page:
    """Answer a proxy's HTML page; with 200 too. The service behind it may have worked on."""

    status: int = 502
    billed: bool = True

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = self.billed
        page = b"<!DOCTYPE html><html><title>Just a moment...</title>" + b"<p>.</p>" * 5000
        await exchange.reply(self.status, page, {"Content-Type": "text/html; charset=utf-8"})


@dataclass(frozen=True, slots=True)
class Json:
    """Answer this document."""

    document: object
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    billed: bool = False

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = self.billed
        await exchange.reply_json(self.status, self.document, self.headers)


@dataclass(frozen=True, slots=True)
class Raw:
    """Answer these bytes, such as a picture without any JSON around it."""

    body: bytes
    media_type: str = "image/png"
    status: int = 200

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        await exchange.reply(self.status, self.body, {"Content-Type": self.media_type})


@dataclass(frozen=True, slots=True)
class EmptyData:
    """Answer a success without a picture, as the endpoint would."""

    billed: bool = True

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = self.billed
        await exchange.reply_json(200, shapes.success(exchange.asked, None))


@dataclass(frozen=True, slots=True)
class TextOnly:
    """Answer words in place of a picture; chat completions do."""

    text: str = "I can describe a lighthouse, but not draw one."

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        await exchange.reply_json(200, shapes.words(exchange.asked, self.text))


@dataclass(frozen=True, slots=True)
class BadBase64:
    """Answer a picture that is not base64."""

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        await exchange.reply_json(200, shapes.success(exchange.asked, shapes.Base64("!!!!")))


@dataclass(frozen=True, slots=True)
class CutPng:
    """Answer a whole reply in which the PNG stops at half of its bytes."""

    heavy: bool = False

    async def answer(self, exchange: Exchange) -> None:
        whole = Ok(heavy=self.heavy).made(exchange)
        await Ok(picture=whole[: len(whole) // 2]).answer(exchange)


@dataclass(frozen=True, slots=True)
class ResetAfterRead:
    """Read the whole request, then reset the connection without a byte of answer."""

    delay_s: float = 0.0
    billed: bool = True

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = self.billed
        await asyncio.sleep(self.delay_s)
        exchange.reset()


@dataclass(frozen=True, slots=True)
class CutBody:
    """Stop at half of a good body: by reset, or by closing in good order."""

    by: Literal["reset", "close"] = "reset"
    framing: Framing = "length"
    heavy: bool = False

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        good = Ok(heavy=self.heavy)
        body = good.body(exchange)
        half = body[: len(body) // 2]
        headers = good.headers(exchange)
        if self.framing == "length":
            headers["Content-Length"] = str(len(body))
        elif self.framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        await exchange.head(200, headers)
        await (exchange.send_chunk(half) if self.framing == "chunked" else exchange.send(half))
        await asyncio.sleep(0.02)  # let the half arrive: RST discards what is still on its way
        if self.by == "reset":
            exchange.reset()
        else:
            exchange.close()


@dataclass(frozen=True, slots=True)
class CutJson:
    """Send a body whose length is right and whose JSON stops in the middle."""

    heavy: bool = False

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        good = Ok(heavy=self.heavy)
        body = good.body(exchange)
        await exchange.reply(200, body[: len(body) // 2], good.headers(exchange))


@dataclass(frozen=True, slots=True)
class Gzip:
    """Compress a good answer although ``identity`` was asked for; ``bomb`` inflates to 300 MB."""

    bomb: bool = False

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        good = Ok()
        body = _bomb() if self.bomb else gzip.compress(good.body(exchange), 1)
        await exchange.reply(200, body, {**good.headers(exchange), "Content-Encoding": "gzip"})


@functools.cache
def _bomb() -> bytes:
    """Make 300 KB that inflate to 300 MB, without ever holding those."""
    squeeze = zlib.compressobj(9, wbits=31)
    pieces = [squeeze.compress(b" " * 1_000_000) for _ in range(300)]
    return b"".join([*pieces, squeeze.flush()])


@dataclass(frozen=True, slots=True)
class Endless:
    """Never stop sending."""

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        await exchange.head(
            200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        )
        await exchange.send_chunk(b'{"data":[{"b64_json":"')
        while True:
            await exchange.send_chunk(b"A" * 0x10000)


@dataclass(frozen=True, slots=True)
class Drip:
    """Send the head at once, then a byte now and then, for ever."""

    every_s: float = 0.2

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        await exchange.head(
            200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        )
        while True:
            await exchange.send_chunk(b" ")
            await asyncio.sleep(self.every_s)


@dataclass(frozen=True, slots=True)
class Hang:
    """Read the request and never answer."""

    billed: bool = True

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = self.billed
        await asyncio.Event().wait()


@dataclass(frozen=True, slots=True)
class Missing:
    """Say that there is nothing at a picture's address."""

    status: int = 404

    async def answer(self, exchange: Exchange) -> None:
        await exchange.reply(self.status, b"<Code>NoSuchKey</Code>", {"Content-Type": "text/xml"})


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the client elsewhere."""

    location: str
    status: int = 307
    billed: bool = False

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = self.billed
        await exchange.reply(self.status, b"", {"Location": self.location})


@dataclass(frozen=True, slots=True)
class EchoedKey:
    """Repeat the key: with an error, or, in the last two places, with a picture.

    Attributes:
        place: Where; in the places without a name of their own, it is in the error's message.
        status: Of the error.
    """

    place: Echo = "message"
    status: int = 401

    async def answer(self, exchange: Exchange) -> None:
        key = exchange.asked.headers.get("authorization", "").removeprefix("Bearer ")
        if self.place == "beside":
            await Ok(extra={"note": f"made for {key}"}).answer(exchange)
        elif self.place == "address":
            host = exchange.base_url.removesuffix("/v1")
            address = f"{host}/pictures/{exchange.asked.number}.png?key={key}"
            document = shapes.success(exchange.asked, shapes.Address(address))
            await Json(document, billed=True).answer(exchange)
        else:
            await self._refuse(exchange, key)

    async def _refuse(self, exchange: Exchange, key: str) -> None:
        said = {
            "message": key,
            "in base64": base64.b64encode(key.encode()).decode(),
            "percent-encoded": "".join(f"%{byte:02X}" for byte in key.encode()),
        }.get(self.place, "your key")
        error = {"message": f"Incorrect API key provided: {said}.", "code": "invalid_api_key"}
        headers = {"Content-Type": "application/json"}
        if self.place == "header":
            headers["X-Your-Key"] = key
        await exchange.reply(
            self.status,
            json.dumps({"error": error}).encode(),
            headers,
            reason=f"No {key}" if self.place == "status line" else None,
        )
