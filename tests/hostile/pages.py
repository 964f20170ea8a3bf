"""A bare HTTP server for tests: a page is whatever bytes a path is answered with, however wrong.

Every connection gets one answer and is closed. What was asked, and how often somebody connected,
is kept.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TypeAlias

Serve: TypeAlias = Callable[[socket.socket, bytes], None]
"""Answers one request on its connection; the request's head is given, its body is not yet read."""


@dataclass
class Pages:
    """What is served, and what was asked.

    Attributes:
        port: Where.
        pages: The answer of each path.
        otherwise: That of every other path.
        heads: The heads of all requests.
        connections: How many there were.
    """

    port: int
    pages: dict[str, bytes | Serve] = field(default_factory=dict[str, "bytes | Serve"])
    otherwise: bytes | Serve = b"HTTP/1.1 404 Word\r\ncontent-length: 0\r\n\r\n"
    heads: list[bytes] = field(default_factory=list[bytes])
    connections: int = 0

    def asked(self) -> list[str]:
        """Return the targets of all requests, in order."""
        return [head.split(b" ")[1].decode("latin-1") for head in self.heads]

    def answer(self, connection: socket.socket) -> None:
        """Read the head of a request and answer it."""
        head = b""
        while b"\r\n\r\n" not in head and (piece := connection.recv(1)):
            head += piece
        if not head:
            return
        self.heads.append(head)
        page = self.pages.get(self.asked()[-1], self.otherwise)
        if isinstance(page, bytes):
            connection.sendall(page)
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(2)
            while connection.recv(65536):  # to close on what was not read would reset
                pass
        else:
            page(connection, head)


def response(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Make a whole answer."""
    lines = [f"HTTP/1.1 {status} Word", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def reset(connection: socket.socket) -> None:
    """Close with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


@contextlib.contextmanager
def serving(tls: ssl.SSLContext | None = None, *, greets: Serve | None = None) -> Generator[Pages]:
    """Run a server on this machine; one that ``greets`` does so before it is asked anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        pages = Pages(server.getsockname()[1])

        def serve(connection: socket.socket) -> None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError, IndexError), contextlib.ExitStack() as closing:
                closing.callback(connection.close)
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                    closing.callback(connection.close)
                if greets is None:
                    pages.answer(connection)
                else:
                    greets(connection, b"")

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    pages.connections += 1
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield pages
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
