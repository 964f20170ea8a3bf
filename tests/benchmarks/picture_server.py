"""Answer every POST with a large body; a process of its own, so that it costs no other.

No two pictures are the same, a comment at the end of each has its number: ours would keep one of
them and put every other in its place.

Run by ``pictures.py`` as ``python -m tests.benchmarks.picture_server``; the options come as JSON on
the command line, the port goes to standard output, and the end of standard input is the end.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import sys
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path

PIECE_BYTES = 64 * 1024
_PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\0")
"""What a picture's text begins with; the length of its first chunk begins with a zero."""
_IEND_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to answer.

    Attributes:
        body: The file that holds the body, with one picture or none.
        together: Answer none until so many requests are there, and then all at once.
        delay_s: Seconds between a request and its answer.
    """

    body: str
    together: int = 1
    delay_s: float = 0.0


class Body:
    """A body, and its picture cut off before the last chunk, if it has one."""

    def __init__(self, body: bytes) -> None:
        begins = body.find(_PNG) if _PNG in body else len(body)
        ends = body.find(b'"', begins) if begins < len(body) else len(body)
        cut = max(begins, ends - 64)
        cut -= (cut - begins) % 4
        self._begin = memoryview(body[:cut])
        self._picture = base64.b64decode(body[cut:ends])
        self._rest = body[ends:]

    def numbered(self, number: int) -> tuple[memoryview, bytes]:
        """Return a body in two pieces, its picture with a comment of this number."""
        if not self._picture:
            return self._begin, self._rest
        comment = b"tEXtComment\0%09d" % number
        chunk = (len(comment) - 4).to_bytes(4) + comment + zlib.crc32(comment).to_bytes(4)
        picture = self._picture[:-_IEND_BYTES] + chunk + self._picture[-_IEND_BYTES:]
        return self._begin, base64.b64encode(picture) + self._rest


class Server:
    """Serves until cancelled."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._body = Body(Path(options.body).read_bytes())
        self._numbers = itertools.count()
        self._waiting = 0
        self._gate = asyncio.Event()

    async def serve(self) -> None:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=2048)
        print(server.sockets[0].getsockname()[1], flush=True)
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()

        def watch() -> None:
            sys.stdin.read()
            loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=watch, daemon=True).start()
        await ended.wait()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        while length:  # let go at once: a request with references has 75 MB
            piece = await reader.read(min(length, PIECE_BYTES))
            if not piece:
                raise asyncio.IncompleteReadError(b"", length)
            length -= len(piece)
        await self._wait()
        begin, end = self._body.numbered(next(self._numbers))
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % (len(begin) + len(end))
        )
        for start in range(0, len(begin), PIECE_BYTES):
            writer.write(begin[start : start + PIECE_BYTES])
            await writer.drain()
        writer.write(end)
        return b"connection: close" not in head

    async def _wait(self) -> None:
        if self._options.delay_s:
            await asyncio.sleep(self._options.delay_s)
        self._waiting += 1
        if self._waiting >= self._options.together:
            self._gate.set()
        await self._gate.wait()


if __name__ == "__main__":
    asyncio.run(Server(Options(**json.loads(sys.argv[1]))).serve())
