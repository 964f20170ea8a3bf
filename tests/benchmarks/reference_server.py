"""Take requests of any length without keeping them, and answer all at once with a small picture.

Run by ``references.py`` as ``python -m tests.benchmarks.reference_server``, in a process of its own
so that it costs no other. How many requests are awaited is on the command line; the port goes to
standard output, the end of standard input is the end, and then how many bytes came in all.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import threading

from tests.fakes.pngs import make_png

_BUFFER_BYTES = 1 << 20


def _answer(path: bytes, number: int) -> bytes:
    """Return an answer in the shape of who is asked."""
    picture = base64.b64encode(make_png(str(number), 64, 64)).decode()
    inline = {"inlineData": {"mimeType": "image/png", "data": picture}}
    gemini = {"candidates": [{"content": {"parts": [inline]}, "finishReason": "STOP"}]}
    body = json.dumps(gemini if b"generateContent" in path else {"data": [{"b64_json": picture}]})
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}"
    return head.format(len(body), body).encode()


class Gate:
    """Opens when all are there."""

    def __init__(self, awaited: int) -> None:
        self.awaited = awaited
        self.there: list[Taking] = []
        self.came_bytes = 0

    def enter(self, one: Taking) -> None:
        """Answer all, once the last is there; whoever comes later is answered at once."""
        self.there.append(one)
        if len(self.there) >= self.awaited:
            for number, waiting in enumerate(self.there):
                waiting.answer(number)
            self.there.clear()
            self.awaited = 1


class Taking(asyncio.BufferedProtocol):
    """One connection: a head, then bytes that are counted and let go."""

    _buffer = memoryview(bytearray(_BUFFER_BYTES))  # all write over the same, and none is read

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._head = b""
        self._left = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the protocol has it
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        count = nbytes
        if self._left < 0:
            self._head += self._buffer[:count]
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            self._head, count, self._left = head, len(body), int(length)
            self._gate.came_bytes += self._left
        self._left -= count
        if self._left == 0:
            self._gate.enter(self)

    def answer(self, number: int) -> None:
        """Send an answer, and close."""
        self._transport.write(_answer(self._head.split(b"\r\n")[0], number))
        self._transport.close()


async def serve(awaited: int) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    gate = Gate(awaited)
    server = await loop.create_server(lambda: Taking(gate), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()

    def watch() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, daemon=True).start()
    await ended.wait()
    print(gate.came_bytes, flush=True)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
