"""How a request leaves and its answer comes in: over a connection that nothing else ever uses.

httpx's pool is quadratic with kept connections, loses slots for good when a request is cancelled
while connecting (encode/httpcore#1093), and turns a paid request into an unknown one when the
server closes a reused connection. A connection per request has none of that and costs a picture
nothing. Apart from the client because it knows httpcore, and nothing of what is sent or why.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, AsyncIterator, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from socket import gaierror
from typing import TypeAlias, cast

import anyio
import httpcore
import httpx

from stage3_plugin.runtime.hosts import is_number
from stage3_plugin.transport.faults import NO_SUCH_NAME, fault_of, links
from stage3_plugin.transport.lookups import AddressForbidden
from stage3_plugin.transport.proxies import Proxies, Proxy
from stage3_plugin.transport.sockets import (
    READ_BYTES,
    TAIL_BYTES,
    Sockets,
    Stream,
    Terms,
    new_buffer,
)

_TLS_ALERT = b"\x15\x03"
"""How a record begins that says no (RFC 8446, section 5.1)."""


class ProxyFailed(Exception):
    """A proxy did not pass anything on; nothing reached the server.

    Attributes:
        is_for_all: It would not for any other request either.
    """

    def __init__(self, words: str, *, is_for_all: bool) -> None:
        super().__init__(words)
        self.is_for_all = is_for_all


class TlsSpoken(httpcore.RemoteProtocolError):
    """A server that was spoken to without TLS said no to that, in TLS."""


class FreshConnection:
    """Every request on a connection of its own: no pool to scan, to poison or to reuse.

    Belongs to one event loop.

    Args:
        tls: What is trusted.
        trust_env: Whether proxies of the environment are used.
    """

    def __init__(self, tls: ssl.SSLContext, *, trust_env: bool) -> None:
        self._tls = tls
        self._proxies = Proxies(are_used=trust_env)
        self._buffer = new_buffer()

    def check(self, url: str) -> None:
        """Look whether an address could be asked as the environment wants it.

        Raises:
            EnvironmentRefused: It names a proxy that cannot be used.
        """
        parsed = httpx.URL(url)
        self._proxies.of(parsed.scheme, parsed.host)

    def goes_over_proxy(self, url: httpx.URL) -> bool:
        """Return whether a proxy makes the connection, and so chooses its address."""
        return self._proxies.of(url.scheme, url.host) is not None

    async def send(self, request: httpx.Request, terms: Terms) -> Arriving:
        """Send one request, and return what answers it as soon as its head is here."""
        url = request.url
        if url.scheme not in {"http", "https"} or not url.host:
            raise httpx.UnsupportedProtocol("not an http address", request=request)
        proxy = self._proxies.of(url.scheme, url.host)
        if proxy is not None:
            may_connect = terms.may_connect
            if may_connect and is_number(url.host) and not may_connect(url.host):
                raise AddressForbidden(url.host)
            terms = replace(terms, may_connect=None)
        sockets = Sockets(self._buffer, terms)
        connection, asked = self._prepared(request, proxy, sockets)
        try:
            with _explained(proxy, sockets, is_plain=url.scheme == "http"):
                response = await connection.handle_async_request(asked)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await connection.aclose()
                if sockets.stream is not None:  # httpcore leaves one open to a SOCKS proxy
                    await sockets.stream.aclose()
            raise
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        arriving = Arriving(response, connection, timeouts.get("read"))
        if proxy is None:
            arriving.number = sockets.number
        elif url.scheme == "http" and not proxy.is_socks:
            arriving.proxy = proxy
        return arriving

    def _prepared(
        self, request: httpx.Request, proxy: Proxy | None, sockets: Sockets
    ) -> tuple[_Connection, httpcore.Request]:
        """Return a connection that is not made yet, and the request in httpcore's form."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        headers = request.headers.raw
        connection: _Connection
        if proxy is None:
            connection = self._connection(url.origin, sockets)
        elif proxy.is_socks:
            connection = httpcore.AsyncSOCKSProxy(
                _url(proxy),
                proxy_auth=proxy.login,
                ssl_context=self._tls,
                max_connections=1,
                network_backend=sockets,
            )
        elif request.url.scheme == "https":
            tunnel = _Tunnel(proxy, self._connection(_url(proxy).origin, sockets))
            connection = self._connection(url.origin, tunnel)
        else:
            connection = self._connection(_url(proxy).origin, sockets)
            whole = b"http://" + request.url.netloc + request.url.raw_path
            url = _url(proxy, target=whole)
            headers = [*proxy.headers, *headers]
        asked = httpcore.Request(
            method=request.method,
            url=url,
            headers=headers,
            content=cast("httpx.AsyncByteStream", request.stream),
            extensions=request.extensions,
        )
        return connection, asked

    def _connection(
        self, origin: httpcore.Origin, network: httpcore.AsyncNetworkBackend
    ) -> httpcore.AsyncHTTPConnection:
        return httpcore.AsyncHTTPConnection(
            origin=origin, ssl_context=self._tls, network_backend=network
        )


_Connection: TypeAlias = httpcore.AsyncHTTPConnection | httpcore.AsyncSOCKSProxy


def _url(proxy: Proxy, target: bytes = b"") -> httpcore.URL:
    scheme = "socks5" if proxy.is_socks else proxy.scheme
    host = proxy.host if proxy.host.isascii() else proxy.host.encode("idna").decode()
    return httpcore.URL(scheme=scheme, host=host, port=proxy.port, target=target or b"/")


class _Tunnel(httpcore.AsyncNetworkBackend):
    """Connects to a server by asking a proxy for it; httpcore then speaks TLS through it.

    Args:
        proxy: Which one.
        connection: To the proxy, not made yet.
    """

    def __init__(self, proxy: Proxy, connection: httpcore.AsyncHTTPConnection) -> None:
        self._proxy = proxy
        self._connection = connection

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: object = None,
    ) -> httpcore.AsyncNetworkStream:
        """Have the proxy connect.

        Raises:
            ProxyFailed: It did not.
        """
        del local_address, socket_options
        target = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode("ascii")
        limits = {"connect": timeout, "read": timeout, "write": timeout}
        asked = httpcore.Request(
            "CONNECT",
            _url(self._proxy, target=target),
            headers=[(b"Host", target), *self._proxy.headers],
            extensions={"timeout": limits},
        )
        try:
            response = await self._connection.handle_async_request(asked)
        except httpcore.ReadTimeout as error:  # not yet a request of ours that waits for an answer
            raise httpcore.ConnectTimeout from error
        except (httpcore.ReadError, httpcore.RemoteProtocolError) as error:
            raise _hung_up(self._proxy) from error
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._connection.aclose()
            raise
        if not 200 <= response.status < 300:
            with anyio.CancelScope(shield=True):
                await self._connection.aclose()
            raise refused_by_proxy(self._proxy, response.status)
        return _network_of(response)


def refused_by_proxy(proxy: Proxy, status: int) -> ProxyFailed:
    """Put into words that a proxy did not pass a request on."""
    name = proxy.name
    if status == 407 and proxy.login is not None:
        words = f"the proxy {name} does not accept the login it was given (407)"
    elif status == 407:
        words = f"the proxy {name} wants a login (407)"
    else:
        words = f"the proxy {name} refuses to connect ({status})"
    return ProxyFailed(words, is_for_all=status < 500)


def _hung_up(proxy: Proxy) -> ProxyFailed:
    return ProxyFailed(f"the proxy {proxy.name} closed the connection", is_for_all=False)


class Arriving:
    """An answer whose body comes as this is iterated. Not a generator: it may be left, and closed.

    A body whose length is known is taken from the connection itself as soon as httpcore has handed
    out what it read together with the head: it would copy every byte five times only to count it.
    Over another network than our own sockets httpcore reads it all.

    Attributes:
        status: Its HTTP status.
        headers: Its headers.
        body_bytes: The length of its body; ``None`` if it is not what ends it.
        number: The address it comes from, if not over a proxy.
        proxy: The proxy that could have made it up.
    """

    def __init__(
        self, response: httpcore.Response, connection: _Connection, read_timeout_s: float | None
    ) -> None:
        self.status = response.status
        self.headers = httpx.Headers(response.headers)
        self.body_bytes = _announced_bytes(self.headers)
        self.number = ""
        self.proxy: Proxy | None = None
        self._left = self.body_bytes or 0
        self._response = response
        self._connection = connection
        self._read_timeout_s = read_timeout_s
        self._pieces = aiter(cast("AsyncIterable[bytes]", response.stream))
        self._network = _network_of(response)
        self._is_direct = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._is_direct:
            piece = await anext(self._pieces)
            self._left -= len(piece)
            self._is_direct = self._left > 0 and _gave_all(self._network, piece)
            return piece
        if self._left <= 0:
            raise StopAsyncIteration
        piece = await self._network.read(READ_BYTES, self._read_timeout_s)
        if not piece:
            raise httpcore.RemoteProtocolError("the body is cut off")
        self._left -= len(piece)
        return piece if self._left >= 0 else piece[: self._left]

    async def aclose(self) -> None:
        """Close the connection, and let a read that fails end httpcore's generators.

        Left as they are, trio would warn.
        """
        with anyio.CancelScope(shield=True):
            await self._connection.aclose()
            with suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
                async for _ in self._pieces:
                    pass
            await self._response.aclose()


def _gave_all(network: httpcore.AsyncNetworkStream, piece: bytes) -> bool:
    """Return whether httpcore holds back nothing behind a piece of what one of our sockets read."""
    return isinstance(network, Stream) and network.tail.endswith(piece[-TAIL_BYTES:])


def _network_of(response: httpcore.Response) -> httpcore.AsyncNetworkStream:
    extensions: Mapping[str, object] = response.extensions  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - a bare dict
    return cast("httpcore.AsyncNetworkStream", extensions["network_stream"])


def _announced_bytes(headers: httpx.Headers) -> int | None:
    """Return what a head says of the length of its body, which h11 has checked."""
    length = headers.get("content-length", "")
    return int(length) if length.isdigit() and "transfer-encoding" not in headers else None


@contextmanager
def _explained(proxy: Proxy | None, sockets: Sockets, *, is_plain: bool) -> Generator[None]:
    """Name a proxy that is at fault, and tell a peer that wants TLS from one that hangs up."""
    try:
        yield
    except httpcore.ProxyError as error:  # of SOCKS; the others are not httpcore's
        name = "" if proxy is None else proxy.name
        raise ProxyFailed(f"the proxy {name} refuses to connect", is_for_all=True) from error
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        is_connecting = isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout)
        if proxy is not None and is_connecting and sockets.stream is None:
            raise _unreachable(proxy, error) from error
        if is_plain and _says_no_in_tls(sockets.stream):
            raise TlsSpoken(str(error)) from error
        raise


def _unreachable(proxy: Proxy, error: Exception) -> ProxyFailed:
    name = f"the proxy {proxy.name}"
    if any(isinstance(link, ConnectionRefusedError) for link in links(error)):
        return ProxyFailed(f"{name} is down: nothing listens there", is_for_all=True)
    fault = fault_of(error, name)
    if fault is None:
        return ProxyFailed(f"it takes too long to connect to {name}", is_for_all=False)
    return ProxyFailed(fault.words, is_for_all=fault.is_for_all or _is_unknown(error))


def _is_unknown(error: Exception) -> bool:
    """Return whether a name is known not to exist, and not just not found."""
    return any(isinstance(link, gaierror) and link.errno in NO_SUCH_NAME for link in links(error))


def _says_no_in_tls(stream: Stream | None) -> bool:
    return stream is not None and stream.tail.startswith(_TLS_ALERT)
