"""Cuts a connection whose server does not answer: it was frozen, or its machine is.

A server that is stopped, or a session of it, keeps its connection open and the system goes on to
take what is sent; no setting of a socket notices that. A call into the driver then never returns,
and with it the event loop or the writer. So a thread of its own looks at when the call began. What
it shuts down is a second handle of the same socket, which no other file can have taken over.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from threading import Event, Thread
from types import TracebackType

from stage3_plugin.errors import out_of
from stage3_plugin.runtime.system_errors import from_lack

_LOOKS = 8
"""So many in the time that is allowed."""


class Patience:
    """Watches one connection; used around each call as a context manager.

    Args:
        fileno: The connection's socket.
        limit_s: Seconds that a call may take.
        shown: The server, for an error.

    Attributes:
        is_over: It has cut the connection.

    Raises:
        ResourceLacking: The system has no thread for it.
    """

    __slots__ = ("_ended", "_limit_s", "_since_s", "_socket", "is_over")

    def __init__(self, fileno: int, limit_s: float, shown: str) -> None:
        self.is_over = False
        self._limit_s = limit_s
        self._since_s: float | None = None
        self._ended = Event()
        self._socket = socket.socket(fileno=os.dup(fileno))
        watching = Thread(target=self._watch, name="stage3 ledger's watch", daemon=True)
        try:
            watching.start()
        except RuntimeError as error:
            self._socket.close()
            lack = from_lack(error)
            if lack is None:
                raise
            raise out_of(shown, lack) from error

    def __enter__(self) -> None:
        self._since_s = time.monotonic()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._since_s = None

    def close(self) -> None:
        """Stop watching."""
        self._ended.set()

    def _watch(self) -> None:
        with self._socket:
            while not self._ended.wait(self._limit_s / _LOOKS):
                since_s = self._since_s
                if since_s is not None and time.monotonic() - since_s > self._limit_s:
                    self.is_over = True
                    with suppress(OSError):  # it was closed meanwhile
                        self._socket.shutdown(socket.SHUT_RDWR)
                    return
