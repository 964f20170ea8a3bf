"""A way to a server that is cut over a chosen commit: made there or not, and nobody is told.

It passes on bytes between a loopback port and the server's socket, and knows of PostgreSQL's words
only what a commit looks like. Where the commit is to be made, it goes through, and the server's
answer is what ends the connection.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from tests.engines.postgres_server import PostgresServer

Cut: TypeAlias = Literal["made", "not made"]


@dataclass(slots=True)
class _Way:
    """One connection: what goes there, and what comes back."""

    client: socket.socket
    server: socket.socket
    has_written: bool = False
    """What the cut waits for has gone there, and its commit has not."""
    is_cut: bool = False

    def end(self) -> None:
        """Close both ends, for whoever waits at them too."""
        for one in (self.client, self.server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@dataclass
class Cutter:
    """Listens on a loopback port.

    Attributes:
        server: Where it leads.
        after: Text of the statement whose commit is cut.
        how: Whether that commit is made.
        is_open: New connections are let through.
        stays_shut: None are, from the cut on.
        cuts: How many more are cut.
    """

    server: PostgresServer
    after: bytes
    how: Cut = "made"
    is_open: bool = True
    stays_shut: bool = False
    cuts: int = 1
    has_cut: threading.Event = field(default_factory=threading.Event)
    _ways: list[_Way] = field(default_factory=list[_Way])
    _threads: list[threading.Thread] = field(default_factory=list[threading.Thread])

    def url(self) -> str:
        """Return the address of the server by this way; it asks for no password."""
        host, port = self._listening.getsockname()
        return f"postgresql://owner@{host}:{port}/postgres?connect_timeout=2"

    @contextmanager
    def listening(self) -> Generator[None]:
        """Pass on what comes, in the block."""
        with socket.create_server(("127.0.0.1", 0)) as self._listening:
            accepting = threading.Thread(target=self._accept)
            accepting.start()
            try:
                yield
            finally:
                with suppress(OSError):
                    self._listening.shutdown(socket.SHUT_RDWR)
                accepting.join()
                for way in self._ways:
                    way.end()
                for thread in self._threads:
                    thread.join()
                for way in self._ways:
                    way.client.close()
                    way.server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if not self.is_open:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(Path(self.server.folder) / f".s.PGSQL.{self.server.port}"))
                way = _Way(client, server)
                self._ways.append(way)
                for carry in (self._there, self._back):
                    self._threads.append(threading.Thread(target=carry, args=(way,)))
                    self._threads[-1].start()

    def _there(self, way: _Way) -> None:
        with suppress(OSError):
            while said := way.client.recv(65536):
                way.has_written = way.has_written or self.after in said
                if way.has_written and b"COMMIT\0" in said and self.cuts:
                    way.has_written = False
                    self.cuts -= 1
                    self.is_open = not self.stays_shut
                    if self.how == "not made":
                        self.has_cut.set()
                        break
                    way.is_cut = True
                way.server.sendall(said)
        way.end()

    def _back(self, way: _Way) -> None:
        with suppress(OSError):
            while said := way.server.recv(65536):
                if way.is_cut:
                    self.has_cut.set()
                    break
                way.client.sendall(said)
        way.end()
