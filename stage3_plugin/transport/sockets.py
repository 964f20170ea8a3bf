"""How bytes come in from a socket: all that are there, into two buffers for all connections.

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
from functools import cached_property, partial
from typing import Any, TypeVar, cast

import anyio
import anyio.lowlevel
import httpcore

from stage3_plugin.transport.connecting import Carrier, connect_to_any
from stage3_plugin.transport.faults import TurnedAway, says_who_may_not
from stage3_plugin.transport.lookups import Address, AddressForbidden, Lookups, NameServerSilent
from stage3_plugin.transport.patience import Patience

READ_BYTES = 256 * 1024
"""The most that is read, decrypted and handed on in one go: a tenth of a picture."""
TAIL_BYTES = 64
"""Enough that the same bytes of a picture practically never occur in two places."""

_AT_ONCE_BYTES = 64 * 1024
"""The most that OpenSSL is given at once: it keeps that much room for every connection."""
_KEPT_BYTES = 2 << 20
"""A block of this size, made and freed once, is what glibc then keeps to give out again, instead
of asking the system for every piece of an answer and clearing it anew (mallopt(3), on the dynamic
M_MMAP_THRESHOLD); elsewhere it changes nothing."""
_RECORD_BYTES = 16 * 1024
"""The most that one record of TLS holds (RFC 8446, section 5.1)."""

_Result = TypeVar("_Result")
_ReadRecord = Callable[[int, memoryview], int]
"""What SSLObject.read is when it is given a buffer; typeshed knows only what it is without one."""


class Sockets(httpcore.AsyncNetworkBackend):
    """Connects plain non-blocking sockets and waits for them with anyio, so on any event loop.

    Belongs to one event loop: its connections share their buffers.

    Args:
        buffers: What they share.
        lookups: Finds the addresses of names.
        patience: How long its connections wait for their peers; for ever by default.
        may_connect: Whether an address, given as a number, may be connected to.

    Attributes:
        stream: The connection that was made last.
        number: The address it was made to, without a port.
    """

    def __init__(
        self,
        buffers: Buffers | None = None,
        *,
        lookups: Lookups | None = None,
        patience: Patience | None = None,
        may_connect: Callable[[str], bool] | None = None,
    ) -> None:
        self._buffers = buffers or Buffers()
        self._lookups = lookups or Lookups()
        self._patience = patience or Patience()
        self._may_connect = may_connect
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
            self.stream = Stream(
                connected, self._buffers, self._patience
            )  # the failing caller closes it
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.number = str(connected.getpeername()[0])
            return self.stream

        with _translated(httpcore.ConnectTimeout, httpcore.ConnectError):
            try:
                return await self._patience.within(timeout, connect)
            except TimeoutError:
                if not found:
                    raise NameServerSilent from None
                raise

    async def _addresses(self, host: str, port: int) -> Sequence[Address]:
        """Return the addresses of a host that may be connected to.

        Raises:
            AddressForbidden: There is none.
        """
        found = await self._lookups.addresses(host, port)
        if self._may_connect is None:
            return found
        allowed = [address for address in found if self._may_connect(str(address[4][0]))]
        if not allowed:
            raise AddressForbidden(str(found[0][4][0]))
        return allowed


class Buffers:
    """What the connections of one event loop share: none of them holds it over a wait."""

    def __init__(self) -> None:
        bytearray(_KEPT_BYTES)
        self.plain = memoryview(bytearray(READ_BYTES))
        self.encrypted = memoryview(bytearray(READ_BYTES))

    @cached_property
    def carrying(self) -> Buffers:
        """Return those of connections that carry another encrypted one, through a proxy."""
        return Buffers()


class Stream(httpcore.AsyncNetworkStream):
    """One connection, not encrypted.

    Attributes:
        tail: The last of the bytes that were read, up to :data:`TAIL_BYTES`: a second reader sees
            by them that the first has held nothing back.
    """

    def __init__(self, connected: Carrier, buffers: Buffers, patience: Patience) -> None:
        self._socket = connected
        self._buffers = buffers
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
            return await self._patience.within(timeout, partial(self._read, max_bytes))

    async def _read(self, max_bytes: int) -> bytes:
        await anyio.lowlevel.checkpoint()  # a fast sender must not keep the loop to itself
        count = await self._when_ready(partial(self._fill, min(max_bytes, READ_BYTES)))
        piece = bytes(self._buffers.plain[:count])
        self.tail = piece[-TAIL_BYTES:]
        return piece

    def _fill(self, most: int) -> int:
        """Read what is there into the buffer; return the number of bytes."""
        return self._socket.recv_into(self._buffers.plain[:most])

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
            sent = await self._when_ready(partial(self._socket.send, rest), anyio.wait_writable)
            rest = rest[sent:]

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
            encrypted = self._encrypted(ssl_context, server_hostname)
            await self._patience.within(timeout, encrypted.shake_hands)
            failing.pop_all()
        return encrypted

    def _encrypted(self, context: ssl.SSLContext, server_hostname: str | None) -> _EncryptedStream:
        return _EncryptedStream(
            self._socket, self._buffers, self._patience, context, server_hostname
        )

    async def _when_ready(
        self,
        step: Callable[[], _Result],
        readiness: Callable[[Carrier], Awaitable[None]] = anyio.wait_readable,
    ) -> _Result:
        """Take a step that does not wait, as soon as ``readiness`` says that it can be taken.

        Raises:
            _OutOfPatience: The time for waiting is over.
        """
        try:
            self._patience.check()
        except TimeoutError:
            raise _OutOfPatience from None
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
    """One connection with TLS on it.

    What came is taken from the system in one go and decrypted from memory. OpenSSL, left to read
    the socket itself, asks the system twice for every record of 16 KiB, which takes longer than
    decrypting it.
    """

    def __init__(
        self,
        connected: Carrier,
        buffers: Buffers,
        patience: Patience,
        context: ssl.SSLContext,
        server_hostname: str | None,
    ) -> None:
        super().__init__(connected, buffers, patience)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )
        self._read_record = cast("_ReadRecord", self._tls.read)
        self._unsent = memoryview(b"")
        self._received = memoryview(b"")
        self._failure: OSError | None = None
        self._took_all = False

    async def shake_hands(self) -> None:
        """Agree on keys, and check that the peer is the right one."""
        try:
            await self._step(self._tls.do_handshake)
        except ssl.SSLError:
            self._answer()  # so that the peer knows why
            raise

    def _fill(self, most: int) -> int:
        """Decrypt until nothing is there or ``most`` is reached; return the number of bytes."""
        if self._failure is not None:
            raise self._failure
        space = self._buffers.plain[:most]
        filled = 0
        try:
            while filled < len(space):
                count = self._decrypt(space[filled:], is_first=not filled)
                if not count:
                    break
                filled += count
        except BlockingIOError:
            if not filled:
                raise
        except OSError as error:
            self._failure = error  # it is raised once, by the next read
            if not filled and not self.tail and says_who_may_not(error):
                raise TurnedAway from error
            if not filled:
                raise
        finally:
            while self._received:  # others use the buffer next
                self._feed()
        return filled

    def _decrypt(self, space: memoryview, *, is_first: bool) -> int:
        """Decrypt a record; 0 at the end, and where nothing but the first is worth asking for.

        Raises:
            BlockingIOError: Nothing came.
        """
        while True:
            try:
                return self._read_record(len(space), space)
            except ssl.SSLWantReadError:
                if self._received:
                    self._feed()
                elif not is_first and (self._took_all or len(space) < _RECORD_BYTES):
                    return 0
                else:
                    self._receive(len(space))
            except ssl.SSLEOFError:  # an end without a word: what lacks, if any, HTTP knows
                return 0

    def _receive(self, most: int = _AT_ONCE_BYTES) -> None:
        """Take from the system what came, and pass OpenSSL the first of it.

        Raises:
            BlockingIOError: Nothing came.
        """
        self._answer()
        space = self._buffers.encrypted[:most]
        count = self._socket.recv_into(space)
        self._took_all = count < len(space)
        if count:
            self._received = space[:count]
            self._feed()
        else:
            self._incoming.write_eof()

    def _feed(self) -> None:
        """Pass OpenSSL the next of what was received."""
        self._incoming.write(self._received[:_AT_ONCE_BYTES])
        self._received = self._received[_AT_ONCE_BYTES:]

    def _answer(self) -> None:
        """Send what TLS has to say while it reads, as far as the system takes it at once.

        A peer that takes nothing any more may have answered all the same: no error is raised here.
        """
        if self._has_something_to_send():
            with suppress(OSError):
                self._send_once()

    def _has_something_to_send(self) -> bool:
        if not self._unsent and self._outgoing.pending:
            self._unsent = memoryview(self._outgoing.read())
        below = self._socket
        return bool(self._unsent) or (isinstance(below, _Carried) and below.has_something_to_send())

    def _send_once(self) -> None:
        self._unsent = self._unsent[self._socket.send(self._unsent) :]

    async def _write(self, rest: memoryview) -> None:
        while rest:
            rest = rest[await self._step(partial(self._tls.write, rest[:_AT_ONCE_BYTES])) :]

    async def _step(self, step: Callable[[], _Result]) -> _Result:
        """Take a step of TLS: send what it has to say, and wait for what it has to hear."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._when_ready(self._receive)
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        while self._has_something_to_send():
            await self._when_ready(self._send_once, anyio.wait_writable)

    def _encrypted(self, context: ssl.SSLContext, server_hostname: str | None) -> _EncryptedStream:
        """Return a connection inside this one: to a server behind a proxy that speaks TLS."""
        buffers, self._buffers = self._buffers, self._buffers.carrying
        return _EncryptedStream(_Carried(self), buffers, self._patience, context, server_hostname)

    # What a connection inside this one needs: steps that do not wait.

    def take(self, buffer: memoryview) -> int:
        """Decrypt what is there into ``buffer``; 0 at the end."""
        self._answer()
        count = self._fill(min(len(buffer), READ_BYTES))
        buffer[:count] = self._buffers.plain[:count]
        return count

    def put(self, data: memoryview) -> int:
        """Encrypt the beginning of ``data`` and send of it what is taken at once."""
        while self._has_something_to_send():
            self._send_once()
        count = self._tls.write(data[:_AT_ONCE_BYTES]) if data else 0
        with suppress(BlockingIOError):
            while self._has_something_to_send():
                self._send_once()
        return count

    has_something_to_send = _has_something_to_send

    def drop(self) -> None:
        """Close what this connection lies on."""
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    async def aclose(self) -> None:
        """Close as :meth:`Stream.aclose` does; what was not asked for is never returned."""
        self._failure = self._failure or OSError(errno.EBADF, os.strerror(errno.EBADF))
        await super().aclose()

    def get_extra_info(self, info: str) -> Any:
        """Return to httpcore which protocol was agreed on."""
        return self._tls if info == "ssl_object" else None


class _Carried:
    """An encrypted connection as the carrier of another one."""

    def __init__(self, carrying: _EncryptedStream) -> None:
        self.recv_into = carrying.take
        self.send = carrying.put
        self.fileno = carrying.fileno
        self.close = carrying.drop
        self.has_something_to_send = carrying.has_something_to_send


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
