"""How bytes come in from a socket: all that are there, into one buffer for all connections.

httpcore's own backends hand out one TLS record of 16 KiB at a time, and asyncio's transports hold
up to 256 KiB for every connection that is not read at once. For answers of 4 MB the first costs
more than decoding them, the second more memory than everything else. Here a socket is read only on
request, until it is empty or the buffer is full, and what was not asked for waits in the kernel.
Apart from the connection because it knows sockets and TLS, but no HTTP. The client's tests run over
httpcore's own sockets as well: ``tests/fakes/plain_network.py``, which says what would be lost.

An address is chosen once: names are looked up here, what may not be connected to is left out, and
one of the rest is connected to by its number, so that no second answer of a name server counts.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import httpcore

from stage3_plugin.transport.faults import TurnedAway, says_who_may_not
from stage3_plugin.transport.lookups import (
    Address,
    AddressForbidden,
    Lookups,
    NameServerSilent,
    connect_to_any,
)
from stage3_plugin.transport.patience import Patience

READ_BYTES = 256 * 1024
"""The most that is read, decrypted and handed on in one go: a tenth of a picture."""
TAIL_BYTES = 64
"""Enough that the same bytes of a picture practically never occur in two places."""

_AT_ONCE_BYTES = 64 * 1024
"""The most that OpenSSL is given at once: it keeps that much room for every connection."""
_RECORD_BYTES = 16 * 1024
"""The most that one record of TLS holds (RFC 8446, section 5.1)."""

_Result = TypeVar("_Result")


def new_buffer() -> memoryview:
    """Return what the connections of one event loop share."""
    return memoryview(bytearray(READ_BYTES))


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a connection is made and used. Belongs to one event loop.

    Attributes:
        lookups: Finds the addresses of names.
        patience: How long to wait for the peer; for ever by default.
        may_connect: Whether an address, given as a number, may be connected to. Behind a proxy it
            is the proxy that connects, and only an address that is a number itself can be asked
            about.
    """

    lookups: Lookups = field(default_factory=Lookups)
    patience: Patience = field(default_factory=Patience)
    may_connect: Callable[[str], bool] | None = None


class Sockets(httpcore.AsyncNetworkBackend):
    """Connects plain non-blocking sockets and waits for them with anyio, so on any event loop.

    Belongs to one event loop: its connections share their buffers.

    Args:
        buffer: What they share, and none of them holds over a wait.
        terms: On which they are made.

    Attributes:
        stream: The connection that was made last.
        number: The address it was made to, without a port.
    """

    def __init__(self, buffer: memoryview, terms: Terms) -> None:
        self._buffer = buffer
        self._terms = terms
        self.stream: Stream | None = None
        self.number = ""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the address of a host that answers first.

        Raises:
            httpcore.ConnectError: None does, none may be connected to, or the name is unknown.
            httpcore.ConnectTimeout: That took longer than ``timeout`` seconds.
        """
        del local_address, socket_options  # for whom it may concern; we never set them
        found: Sequence[Address] = ()

        async def connect() -> Stream:
            nonlocal found
            found = await self._addresses(host, port)
            connected = await connect_to_any(found)
            # the failing caller closes it
            self.stream = Stream(connected, self._buffer, self._terms.patience)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.number = str(connected.getpeername()[0])
            return self.stream

        with _translated(httpcore.ConnectTimeout, httpcore.ConnectError):
            try:
                return await self._terms.patience.within(timeout, connect)
            except TimeoutError:
                if not found:
                    raise NameServerSilent from None
                raise

    async def _addresses(self, host: str, port: int) -> Sequence[Address]:
        """Return the addresses of a host that may be connected to.

        Raises:
            AddressForbidden: There is none.
        """
        found = await self._terms.lookups.addresses(host, port)
        may_connect = self._terms.may_connect
        if may_connect is None:
            return found
        allowed = [address for address in found if may_connect(str(address[4][0]))]
        if not allowed:
            raise AddressForbidden(str(found[0][4][0]))
        return allowed


class Stream(httpcore.AsyncNetworkStream):
    """One connection, not encrypted.

    Attributes:
        tail: The last of the bytes that were read, up to :data:`TAIL_BYTES`: a second reader sees
            by them that the first has held nothing back.
    """

    def __init__(self, connected: socket.socket, buffer: memoryview, patience: Patience) -> None:
        self._socket = connected
        self._buffer = buffer
        self._patience = patience
        self.tail = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has come, up to ``max_bytes`` or :data:`READ_BYTES`; nothing at the end.

        Raises:
            httpcore.ReadError: The connection broke; what came before was returned first.
            httpcore.ReadTimeout: Nothing came for ``timeout`` seconds, or patience is over and
                nothing more lies there.
        """
        with _translated(httpcore.ReadTimeout, httpcore.ReadError):
            await anyio.lowlevel.checkpoint()  # a fast sender must not keep the loop to itself
            self._check()
            take = partial(self.take, min(max_bytes, READ_BYTES))
            piece = await self._patience.within(timeout, partial(self._when_ready, take))
        self.tail = piece[-TAIL_BYTES:]
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of ``buffer``.

        Raises:
            httpcore.WriteError: The connection broke, or patience is over: a peer that takes
                nothing any more may have said why, and httpcore then looks.
            httpcore.WriteTimeout: The peer did not take it within ``timeout`` seconds.
        """
        with _translated(httpcore.WriteTimeout, httpcore.WriteError):
            await anyio.lowlevel.checkpoint()
            try:
                await self._patience.within(timeout, partial(self._write, memoryview(buffer)))
            except _OutOfPatience as error:
                raise httpcore.WriteError from error

    async def _write(self, rest: memoryview) -> None:
        while rest:
            self._check()
            rest = rest[await self._when_ready(partial(self.put, rest), anyio.wait_writable) :]
        # what has left as a whole did so, however late it is: that decides about money
        await self._when_ready(self.push, anyio.wait_writable)

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
        with ExitStack() as failing, _translated(httpcore.ConnectTimeout, httpcore.ConnectError):
            failing.callback(self._socket.close)
            encrypted = _EncryptedStream(self, ssl_context, server_hostname)
            shake_hands = partial(encrypted._when_ready, encrypted.shake_hands)  # noqa: SLF001 - of the same kind
            await self._patience.within(timeout, shake_hands)
            failing.pop_all()
        return encrypted

    # Steps that do not wait: each raises BlockingIOError where one would have to ----------------

    def take(self, most: int) -> bytes:
        """Return what is there, nothing at the end."""
        return bytes(self._buffer[: self._socket.recv_into(self._buffer[:most])])

    def put(self, data: memoryview) -> int:
        """Send the beginning of ``data``; return how much."""
        return self._socket.send(data)

    def push(self) -> None:
        """Send what is left of what was put before."""

    def _check(self) -> None:
        """Look whether there is time for what flows without a pause.

        Raises:
            _OutOfPatience: There is not.
        """
        try:
            self._patience.check()
        except TimeoutError:
            raise _OutOfPatience from None

    async def _when_ready(
        self,
        step: Callable[[], _Result],
        readiness: Callable[[socket.socket], Awaitable[None]] = anyio.wait_readable,
    ) -> _Result:
        """Take a step that does not wait, as soon as ``readiness`` says that it can be taken.

        Raises:
            _OutOfPatience: The time for waiting is over.
        """
        while True:
            try:
                return step()
            except BlockingIOError:
                if not await self._patience.wait(readiness, self._socket):
                    raise _OutOfPatience from None

    async def aclose(self) -> None:
        """Close at once, without waiting for the peer; a second time does nothing."""
        if self._socket.fileno() >= 0:
            anyio.notify_closing(self._socket)
            self._socket.close()

    def get_extra_info(self, info: str) -> Any:  # noqa: ARG002
        """Return nothing: httpcore wants to know something of an encrypted connection only."""
        return None


class _EncryptedStream(Stream):
    """One connection with TLS on it, which lies on another one; that may be encrypted, too.

    What came is taken from the system in one go and decrypted from memory. OpenSSL, left to read
    the socket itself, asks the system twice for every record of 16 KiB, which takes longer than
    decrypting it.
    """

    def __init__(self, below: Stream, context: ssl.SSLContext, server_hostname: str | None) -> None:
        super().__init__(below._socket, below._buffer, below._patience)  # noqa: SLF001 - of the same kind
        self._below = below
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )
        self._unsent = memoryview(b"")
        self._failure: OSError | None = None
        self._took_all = False

    def shake_hands(self) -> None:
        """Agree on keys, and check that the peer is the right one."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._hear()
            except ssl.SSLError:
                self._answer()  # so that the peer knows why
                raise
            else:
                return self.push()

    def take(self, most: int) -> bytes:
        """Decrypt what is there."""
        if self._failure is not None:
            raise self._failure
        pieces: list[bytes] = []
        left = most
        try:
            while left and (piece := self._record(left, is_first=not pieces)):
                pieces.append(piece)
                left -= len(piece)
        except BlockingIOError:
            if not pieces:
                raise
        except OSError as error:
            self._failure = error  # it is raised once, by the next read
            if not pieces and not self.tail and says_who_may_not(error):
                raise TurnedAway from error
            if not pieces:
                raise
        return b"".join(pieces)

    def _record(self, most: int, *, is_first: bool) -> bytes:
        """Decrypt a record; nothing at the end, and where only the first is worth asking for."""
        while True:
            try:
                return self._tls.read(most)
            except ssl.SSLWantReadError:
                if not is_first and (self._took_all or most < _RECORD_BYTES):
                    return b""
                self._hear()
            except ssl.SSLEOFError:  # an end without a word: what lacks, if any, HTTP knows
                return b""

    def _hear(self) -> None:
        """Pass OpenSSL what came."""
        self._answer()
        data = self._below.take(_AT_ONCE_BYTES)
        self._took_all = len(data) < _AT_ONCE_BYTES
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _answer(self) -> None:
        """Send what TLS has to say while it reads, as far as the system takes it at once.

        A peer that takes nothing any more may have answered all the same: no error is raised here.
        """
        with suppress(OSError):
            self.push()

    def put(self, data: memoryview) -> int:
        """Encrypt the beginning of ``data``, and send of it what is taken at once."""
        self.push()
        count = self._tls.write(data[:_AT_ONCE_BYTES])
        with suppress(BlockingIOError):
            self.push()
        return count

    def push(self) -> None:
        """Send what TLS has to say."""
        while self._unsent or self._outgoing.pending:
            self._unsent = self._unsent or memoryview(self._outgoing.read())
            self._unsent = self._unsent[self._below.put(self._unsent) :]
        self._below.push()

    async def aclose(self) -> None:
        """Close as :meth:`Stream.aclose` does; what was not asked for is never returned."""
        self._failure = self._failure or OSError(errno.EBADF, os.strerror(errno.EBADF))
        await super().aclose()

    def get_extra_info(self, info: str) -> Any:
        """Return to httpcore which protocol was agreed on."""
        return self._tls if info == "ssl_object" else None


class _OutOfPatience(TimeoutError):
    """The time for waiting is over, and nothing lies there."""


@contextmanager
def _translated(late: type[Exception], broken: type[Exception]) -> Generator[None]:
    """Translate what sockets, TLS and waiting raise into what httpcore's own backends raise."""
    try:
        yield
    except TimeoutError as error:
        raise late from error
    except (OSError, anyio.ClosedResourceError) as error:
        raise broken from error
