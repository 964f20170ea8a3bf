"""The serving end of HTTP/1.1, by hand, because it must be able to do it wrong.

No library is asked to write a response: lengths that lie, bodies that stop, sockets that are reset
are the purpose. An :class:`Exchange` is one request and the means to answer it.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from stage3_plugin.testing.bill import Bill
from stage3_plugin.testing.pngs import make_png
from stage3_plugin.testing.result_files import ResultFile

Framing: TypeAlias = Literal["length", "chunked", "close"]

CHAT_PREFIX = "Generate an image: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it was received.

    Attributes:
        number: From 1, in the order of arrival.
        method: ``GET`` or ``POST``.
        path: Without the query.
        headers: Names in lower case.
        document: The JSON body.
        prompt: What is to be drawn, out of whichever field the endpoint has for it.
        in_flight: Requests being answered at that moment, this one included.
        bill: What a picture costs; ``None`` for the endpoint's usual usage.
        query: What stands behind the path.
        canvas_px: The size asked for, where a dialect knows where it stands.
        drawn: Returns its picture, where that is more than a pattern; waits until it is drawn.
    """

    number: int
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    document: Mapping[str, Any]
    prompt: str
    in_flight: int
    bill: Bill | None = None
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    canvas_px: tuple[int, int] | None = None
    drawn: Callable[[], bytes] | None = field(default=None, repr=False)

    def picture(self, size_px: tuple[int, int] | None = None, *, heavy: bool = False) -> bytes:
        """Return its picture: a pattern, of the size asked for or another, where none is drawn."""
        if self.drawn is not None:
            return self.drawn()
        return make_png(self.prompt, *(size_px or self.size_px), heavy=heavy)

    @property
    def size_px(self) -> tuple[int, int]:
        """Return the size asked for; 64 x 64 where none was."""
        if self.canvas_px is not None:
            return self.canvas_px
        size = self.document.get("size")
        if "contents" in self.document:
            return _of_ratio(self.document)
        width, cross, height = str(size).partition("x")
        if cross and width.isdigit() and height.isdigit():
            return int(width), int(height)
        return 64, 64


@dataclass(frozen=True, slots=True)
class Said:
    """One whole JSON answer of a vendor's."""

    status: int
    document: object
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def prompt_of(document: Mapping[str, Any]) -> str:
    """Find the prompt of a request to any of the endpoints."""
    prompt = document.get("prompt")
    if isinstance(prompt, str) and prompt:
        return prompt
    for message in document.get("messages", ()):
        if message.get("role") == "user":
            content = message.get("content", "")
            if not isinstance(content, str):
                content = " ".join(part.get("text", "") for part in content)
            return str(content).removeprefix(CHAT_PREFIX)
    for content in document.get("contents", ()):
        return " ".join(part.get("text", "") for part in content.get("parts", ()))
    return ""


def _of_ratio(document: Mapping[str, Any]) -> tuple[int, int]:
    """Return a small size of the ratio that Gemini is asked for."""
    config = document.get("generationConfig", {}).get("imageConfig", {})
    across, _, down = str(config.get("aspectRatio", "1:1")).partition(":")
    if not (across.isdigit() and down.isdigit()):
        return 64, 64
    return 16 * int(across), 16 * int(down)


class Reader(asyncio.StreamReader):
    """A stream that notices when the peer has left, without reading ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.left = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.left.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.left.set()


class Exchange:
    """One request, and the means to answer it well or badly.

    Attributes:
        begin: Begins a job, where the vendor has a queue, by a plan or as usual, and returns the
            answer to its submit; the same one if it is asked again.
        usd: What was billed for it, where that is known here.
        content: The file of results that is asked for, where it is one.
    """

    def __init__(self, asked: Asked, writer: asyncio.StreamWriter, *, base_url: str) -> None:
        self.asked = asked
        self.base_url = base_url
        self.is_billed = False
        self.begin: Callable[[object], Said] | None = None
        self.usd: Decimal | None = None
        self.content: ResultFile | None = None
        self.status: int | None = None
        self.ends_connection = False
        self._writer = writer

    async def head(
        self, status: int, headers: Mapping[str, str], *, reason: str | None = None
    ) -> None:
        """Send a status line and headers; what they promise is the caller's affair."""
        self.status = status
        lines = [f"HTTP/1.1 {status} {reason or http.client.responses.get(status, 'Odd')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        await self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def send(self, data: bytes) -> None:
        """Send bytes and wait until the peer keeps up."""
        self._writer.write(data)
        await self._writer.drain()

    async def send_chunk(self, data: bytes) -> None:
        """Send bytes framed as one chunk."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def reply(
        self,
        status: int,
        body: bytes,
        headers: Mapping[str, str],
        *,
        framing: Framing = "length",
        piece_bytes: int = 1 << 16,
        reason: str | None = None,
    ) -> None:
        """Send a whole and truthful response."""
        framed = dict(headers)
        if framing == "length":
            framed["Content-Length"] = str(len(body))
        elif framing == "chunked":
            framed["Transfer-Encoding"] = "chunked"
        else:
            framed["Connection"] = "close"
        await self.head(status, framed, reason=reason)
        for start in range(0, len(body), piece_bytes):
            piece = body[start : start + piece_bytes]
            await (self.send_chunk(piece) if framing == "chunked" else self.send(piece))
        if framing == "chunked":
            await self.send(b"0\r\n\r\n")
        elif framing == "close":
            self.close()

    async def reply_json(
        self,
        status: int,
        document: object,
        headers: Mapping[str, str] | None = None,
        *,
        framing: Framing = "length",
    ) -> None:
        """Send a whole JSON response."""
        body = json.dumps(document).encode()
        await self.reply(
            status, body, {"Content-Type": "application/json", **(headers or {})}, framing=framing
        )

    async def stream(
        self, status: int, content: ResultFile, headers: Mapping[str, str], *, framing: Framing
    ) -> None:
        """Send a whole and truthful response whose body is made while it is sent."""
        framed = dict(headers)
        if framing == "length":
            framed["Content-Length"] = str(content.size_bytes)
        elif framing == "chunked":
            framed["Transfer-Encoding"] = "chunked"
        else:
            framed["Connection"] = "close"
        await self.head(status, framed)
        for piece in content.pieces():
            if piece:
                await (self.send_chunk(piece) if framing == "chunked" else self.send(piece))
        if framing == "chunked":
            await self.send(b"0\r\n\r\n")
        elif framing == "close":
            self.close()

    def reset(self) -> None:
        """Close with RST: what the peer has not read yet is lost."""
        reset(self._writer)
        self.ends_connection = True

    def close(self) -> None:
        """Close with FIN, whatever was promised."""
        close(self._writer)
        self.ends_connection = True


def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection with FIN, once.

    Closing a TLS transport a second time cuts it off from its connection: nothing can abort that
    any more, and up to Python 3.11.2 ``abort`` itself breaks.
    """
    if not writer.is_closing():
        writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with RST."""
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


Cut: TypeAlias = Callable[[str, str], int | None]
"""Says for a method and a path after how many bytes of a body its connection breaks, if it does."""


async def read_request(
    reader: asyncio.StreamReader, cut: Cut = lambda _, __: None
) -> tuple[str, str, dict[str, str], bytes] | None:
    """Read method, target, headers and body; ``None`` when the peer has no more to ask.

    Raises:
        ConnectionResetError: The connection is to break here.
    """
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    try:
        if (most := cut(method, target.partition("?")[0])) is not None:
            await reader.read(most)
        else:
            body = await _read_body(reader, headers)
            return method, target, headers, body
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    raise ConnectionResetError


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    pieces: list[bytes] = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)
