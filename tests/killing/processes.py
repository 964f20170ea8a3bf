"""The processes that are killed, seen from the test: started once, used by several threads.

Apart from the driver, which is imported by those processes and imports what they need.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from tests.killing.driver import Ended, Order

ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = (
    f"import sys; sys.path.append({str(ROOT)!r}); from tests.killing.driver import serve; serve()"
)
"""The checkout comes last, so that what is installed is what is killed."""


class Server:
    """One process that forks runs; a context manager that ends it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._is_ready = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def run(self, order: Order) -> Ended:
        """Have one run made, or killed."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        if not self._is_ready:
            assert process.stdout.readline() == "ready\n"
            self._is_ready = True
        process.stdin.write(f"{order.written()}\n")
        process.stdin.flush()
        ended: Ended = json.loads(process.stdout.readline())
        assert ended["error"] is None, ended["error"]
        return ended


class Servers:
    """Several servers, lent to whichever thread asks."""

    def __init__(self, servers: list[Server]) -> None:
        self._idle: SimpleQueue[Server] = SimpleQueue()
        for server in servers:
            self._idle.put(server)

    def run(self, order: Order) -> Ended:
        """Have one run made by a server that is idle, or wait for one.

        Raises:
            AssertionError: The run raised, or never ended.
        """
        server = self._idle.get()
        try:
            return server.run(order)
        finally:
            self._idle.put(server)


@contextmanager
def started(number: int) -> Generator[Servers]:
    """Start so many servers and end them."""
    servers = [Server() for _ in range(number)]
    try:
        yield Servers(servers)
    finally:
        for server in servers:
            with server:
                pass
