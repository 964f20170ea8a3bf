"""httpcore's own sockets in the place of ours: the same promises, kept more slowly.

``stage3_plugin.transport.sockets`` is code of ours in a place where few want to read any. So the
client's tests run over both (the fixture ``network``), and who has to take ours out one day knows
what goes with them: speed and memory where answers are large, and three promises of
``tests/hostile``.

- What lies in the socket when a run is stopped is read before it is given up.
- An answer that comes before the request has left is read, on either event loop.
- A proxy that refuses a long request at once is known to have passed nothing on.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import httpcore

from stage3_plugin.transport.lookups import AddressForbidden
from stage3_plugin.transport.patience import Patience
from stage3_plugin.transport.sockets import Terms


def _anywhere(_number: str) -> bool:
    return True


def _backend() -> httpcore.AsyncNetworkBackend:
    """Make what httpcore itself would use; it has its type only where anyio is installed."""
    return cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())


class PlainNetwork(httpcore.AsyncNetworkBackend):
    """Connects with httpcore's backend for anyio; everything else is as in ``Sockets``."""

    def __init__(self, _buffer: object, terms: Terms) -> None:
        self._lookups = terms.lookups
        self._patience = terms.patience
        self._may_connect = terms.may_connect or _anywhere
        self.stream: PlainStream | None = None
        self.number = ""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        del local_address, socket_options

        async def connect() -> PlainStream:
            found = await self._lookups.addresses(host, port)
            numbers = [str(address[4][0]) for address in found]
            allowed = [number for number in numbers if self._may_connect(number)]
            if not allowed:
                raise AddressForbidden(numbers[0])
            self.number = allowed[0]
            connected = await _backend().connect_tcp(self.number, port)
            self.stream = PlainStream(connected, self._patience)
            return self.stream

        try:
            return await self._patience.within(timeout, connect)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error
        except OSError as error:
            raise httpcore.ConnectError from error


class PlainStream(httpcore.AsyncNetworkStream):
    """A connection of httpcore's that waits for its peer as long as ours do."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, patience: Patience) -> None:
        self._inner = inner
        self._patience = patience
        self.tail = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        pieces: list[bytes] = []

        async def receive(_: object) -> None:
            pieces.append(await self._inner.read(max_bytes))

        async def wait() -> None:  # a cut ends it at once, and may not lose what has come
            while not pieces:
                if not await self._patience.wait(receive, None):
                    raise TimeoutError

        try:
            await self._patience.within(timeout, wait)
        except TimeoutError as error:
            raise httpcore.ReadTimeout from error
        self.tail = pieces[0]
        return self.tail

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        limit_s = math.inf if timeout is None else timeout
        try:
            await self._patience.within(limit_s, partial(self._inner.write, buffer))
        except TimeoutError as error:
            raise httpcore.WriteError from error

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        shake = partial(self._inner.start_tls, ssl_context, server_hostname)
        try:
            return PlainStream(await self._patience.within(timeout, shake), self._patience)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error

    async def aclose(self) -> None:
        await self._inner.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
