"""How bytes come in from a socket: all that are there, into one buffer for all connections.

httpcore's own backends hand out one TLS record of 16 KiB at a time, and asyncio's transports hold
up to 256 KiB for every connection that is not read at once. For answers of 4 MB the first costs
more than decoding them, the second more memory than everything else. Here a socket is read only
when somebody asks, until it is empty or the buffer is full, and what nobody asked for waits in the
kernel. Apart from the transports because it knows sockets and TLS, but no HTTP.
"""

from __future__ import annotations

import itertools
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import httpcore

READ_BYTES = 64 * 1024
"""The most that is read, decrypted and handed on in one go.

With 128 KiB a picture costs half a millisecond less, and 256 at a time take 40 MB more.
"""

_HEAD_START_S = 0.25
"""How long an address may take before the next one is tried beside it (RFC 8305, section 5)."""

_Result = TypeVar("_Result")
_Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


class Sockets(httpcore.AsyncNetworkBackend):
    """Connects plain non-blocking sockets and waits for them with anyio, so on any event loop.

    Belongs to one event loop: its connections share a buffer.
    """

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(READ_BYTES))

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to whichever address of a host answers first.

        Raises:
            httpcore.ConnectError: None does, or the name is unknown.
            httpcore.ConnectTimeout: That took longer than ``timeout`` seconds.
        """
        del local_address, socket_options  # for whom it may concern; we never set them
        with _told_as(httpcore.ConnectTimeout, httpcore.ConnectError), anyio.fail_after(timeout):
            connected = await _connect_to_any(await addresses(host, port))
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _Stream(connected, self._buffer)


class _Stream(httpcore.AsyncNetworkStream):
    """One connection, encrypted or not."""

    def __init__(self, connected: socket.socket, buffer: memoryview) -> None:
        self._socket = connected
        self._buffer = buffer
        self._failure: Exception | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Give what has come, up to the size of the buffer; nothing at the end.

        More than ``max_bytes`` is given on purpose: httpcore asks for 64 KiB whatever is there,
        takes any number, and costs as much for a small piece as for a large one.

        Raises:
            httpcore.ReadError: The connection broke; what came before was given first.
            httpcore.ReadTimeout: Nothing came for ``timeout`` seconds.
        """
        with _told_as(httpcore.ReadTimeout, httpcore.ReadError), _at_most(timeout):
            await anyio.lowlevel.checkpoint()  # a fast sender must not keep the loop to itself
            return bytes(self._buffer[: await _when_ready(self._socket, self._fill)])

    def _fill(self) -> int:
        """Read until nothing is there or the buffer is full; give the number of bytes."""
        if self._failure is not None:
            raise self._failure
        if not isinstance(self._socket, ssl.SSLSocket):
            return self._socket.recv_into(self._buffer)
        filled = 0
        while filled < READ_BYTES:
            try:
                count = self._socket.recv_into(self._buffer[filled:])
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if filled:
                    break
                raise
            except OSError as error:
                if not filled:
                    raise
                self._failure = error  # the system tells it once; the next read has to
                break
            if not count:
                break
            filled += count
        return filled

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of ``buffer``.

        Raises:
            httpcore.WriteError: The connection broke.
            httpcore.WriteTimeout: The peer did not take it within ``timeout`` seconds.
        """
        rest = memoryview(buffer)
        with _told_as(httpcore.WriteTimeout, httpcore.WriteError), anyio.fail_after(timeout):
            await anyio.lowlevel.checkpoint()
            while rest:
                rest = rest[
                    await _when_ready(
                        self._socket, partial(self._socket.send, rest), anyio.wait_writable
                    ) :
                ]

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Encrypt the connection; this object must not be used any more.

        Raises:
            httpcore.ConnectError: The handshake failed, or the certificate is not trusted.
            httpcore.ConnectTimeout: It took longer than ``timeout`` seconds.
        """
        with ExitStack() as failing, _told_as(httpcore.ConnectTimeout, httpcore.ConnectError):
            failing.callback(self._socket.close)
            encrypted = ssl_context.wrap_socket(
                self._socket, server_hostname=server_hostname, do_handshake_on_connect=False
            )
            failing.callback(encrypted.close)
            with anyio.fail_after(timeout):
                await _when_ready(encrypted, encrypted.do_handshake)
            failing.pop_all()
        return _Stream(encrypted, self._buffer)

    async def aclose(self) -> None:
        """Close at once, without waiting for the peer; a second time does nothing."""
        if self._socket.fileno() >= 0:
            anyio.notify_closing(self._socket)
            self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """Tell httpcore which protocol was agreed on."""
        if info == "ssl_object" and isinstance(self._socket, ssl.SSLSocket):
            return self._socket
        return None


async def _when_ready(
    connection: socket.socket,
    step: Callable[[], _Result],
    readiness: Callable[[socket.socket], Awaitable[None]] = anyio.wait_readable,
) -> _Result:
    """Take a step of a non-blocking socket as soon as ``readiness`` or TLS says it can be taken."""
    while True:
        try:
            return step()
        except BlockingIOError:
            wait = readiness
        except ssl.SSLWantReadError:
            wait = anyio.wait_readable
        except ssl.SSLWantWriteError:
            wait = anyio.wait_writable
        await wait(connection)


def _at_most(timeout: float | None) -> AbstractContextManager[object]:
    """Limit a wait; what has no limit, as most reads, needs no scope to be made for it."""
    return nullcontext() if timeout is None else anyio.fail_after(timeout)


@contextmanager
def _told_as(late: type[Exception], broken: type[Exception]) -> Generator[None]:
    """Translate what sockets, TLS and waiting raise into what httpcore's own backends raise."""
    try:
        yield
    except TimeoutError as error:
        raise late from error
    except (OSError, anyio.ClosedResourceError) as error:
        raise broken from error


# Connecting --------------------------------------------------------------------------------------


async def addresses(host: str, port: int) -> Sequence[_Address]:
    """Look a name up, in a thread; the families take turns, so that a dead one costs one wait."""
    try:  # no name to look up, so no thread to wait for
        found: Sequence[_Address] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except socket.gaierror:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    first = [address for address in found if address[0] == found[0][0]]
    others = [address for address in found if address[0] != found[0][0]]
    turns = itertools.zip_longest(first, others)
    return [address for turn in turns for address in turn if address is not None]


async def _connect_to_any(addresses: Sequence[_Address]) -> socket.socket:
    """Connect to the first address that answers, each a little later than the one before."""
    winners: list[socket.socket] = []
    failures: list[OSError] = []

    async def attempt(address: _Address, ended: anyio.Event) -> None:
        try:
            connected = await _connect(address)
        except OSError as error:
            failures.append(error)
            ended.set()
            return
        if winners:
            connected.close()
            return
        winners.append(connected)
        tasks.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            for address in addresses:
                ended = anyio.Event()
                tasks.start_soon(attempt, address, ended)
                with anyio.move_on_after(_HEAD_START_S):
                    await ended.wait()
    except BaseException:
        for winner in winners:  # connected in the moment the time was up
            winner.close()
        raise
    if not winners:
        raise failures[0]
    return winners[0]


async def _connect(address: _Address) -> socket.socket:
    family, kind, protocol, _, place = address
    with ExitStack() as failing:
        connecting = failing.enter_context(socket.socket(family, kind, protocol))
        connecting.setblocking(False)
        try:
            connecting.connect(place)
        except (BlockingIOError, InterruptedError):
            await anyio.wait_writable(connecting)
            problem = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if problem:
                raise OSError(problem, os.strerror(problem)) from None
        failing.pop_all()
    return connecting
