"""How a request leaves and its answer comes in: over a connection that nothing else ever uses.

httpx's pool is quadratic with kept connections, loses slots for good when a request is cancelled
while connecting (encode/httpcore#1093), and turns a paid request into an unknown one when the
server closes a reused connection. A connection per request has none of that and costs a picture
nothing. Apart from the client because it knows httpcore, and nothing of what is sent or why.
"""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import AsyncIterable, AsyncIterator, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import cast

import anyio
import httpcore
import httpx

from stage3_plugin.network import READ_BYTES, TAIL_BYTES, Sockets, Stream


class FreshConnection(httpx.AsyncBaseTransport):
    """Every request on a connection of its own: no pool to scan, to poison or to reuse.

    Args:
        tls: What is trusted.
        trust_env: Whether proxies of the environment are used. Over one, answers cost more time
            and memory: httpx's own transport is used there, which knows how to talk to proxies.
    """

    def __init__(self, tls: ssl.SSLContext, *, trust_env: bool) -> None:
        self._tls = tls
        self._trust_env = trust_env
        self._sockets = Sockets()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; its answer's stream closes the connection."""
        proxy = _proxy_for(request.url) if self._trust_env else None
        if proxy is not None:
            return await self._through(proxy, request)
        if request.url.scheme not in {"http", "https"} or not request.url.host:
            raise httpx.UnsupportedProtocol("not an http address", request=request)
        return await self._directly(request)

    async def _directly(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        connection = httpcore.AsyncHTTPConnection(
            origin=url.origin, ssl_context=self._tls, network_backend=self._sockets
        )
        try:
            with _told_by_httpx():
                response = await connection.handle_async_request(
                    httpcore.Request(
                        method=request.method,
                        url=url,
                        headers=request.headers.raw,
                        content=cast("httpx.AsyncByteStream", request.stream),
                        extensions=request.extensions,
                    )
                )
        except BaseException:
            with anyio.CancelScope(shield=True):
                await connection.aclose()
            raise
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response, connection, timeouts.get("read")),
        )

    async def _through(self, proxy: str, request: httpx.Request) -> httpx.Response:
        inner = httpx.AsyncHTTPTransport(
            verify=self._tls,
            proxy=proxy,
            trust_env=False,
            http2=False,  # httpcore sends a POST again after GOAWAY
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=0),
        )
        try:
            return await inner.handle_async_request(request)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await inner.aclose()
            raise


def _proxy_for(url: httpx.URL) -> str | None:
    if urllib.request.proxy_bypass(url.host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(url.scheme) or proxies.get("all")


class _Body(httpx.AsyncByteStream):
    """The body of an answer, and the connection it comes over.

    A body whose length is known is taken from the connection itself as soon as httpcore has given
    out what it read together with the head: it would copy every byte five times only to count it.
    """

    def __init__(
        self,
        response: httpcore.Response,
        connection: httpcore.AsyncHTTPConnection,
        read_timeout_s: float | None,
    ) -> None:
        self._response = response
        self._connection = connection
        self._read_timeout_s = read_timeout_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = aiter(cast("AsyncIterable[bytes]", self._response.stream))
        network = _network_of(self._response)
        left = _announced_bytes(self._response.headers)
        with _told_by_httpx():
            async for piece in pieces:
                yield piece
                left -= len(piece)
                if left > 0 and network.tail.endswith(piece[-TAIL_BYTES:]):
                    break
            else:
                return
            try:
                while left > 0:
                    piece = await network.read(READ_BYTES, self._read_timeout_s)
                    if not piece:
                        raise httpcore.RemoteProtocolError("the body is cut off")
                    left -= len(piece)
                    yield piece if left >= 0 else piece[:left]
                    del piece  # or every connection would keep one while it waits
            finally:
                await self._end(pieces)

    async def _end(self, pieces: AsyncIterator[bytes]) -> None:
        """End httpcore's generators by a read that fails; left as they are, trio would warn."""
        with anyio.CancelScope(shield=True):
            await self._connection.aclose()
            with suppress(httpcore.ReadError):
                await anext(pieces)

    async def aclose(self) -> None:
        await self._response.aclose()
        await self._connection.aclose()


def _network_of(response: httpcore.Response) -> Stream:
    extensions: Mapping[str, object] = response.extensions  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - a bare dict
    return cast("Stream", extensions["network_stream"])


def _announced_bytes(headers: Sequence[tuple[bytes, bytes]]) -> int:
    """Give the length of a body, or 0 if it ends in another way; h11 has seen that it is one."""
    fields = {name.lower(): value for name, value in headers}
    length = fields.get(b"content-length", b"")
    return int(length) if length.isdigit() and b"transfer-encoding" not in fields else 0


_SAME: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.WriteTimeout: httpx.WriteTimeout,
}
"""All that one connection raises; the rest of httpcore's errors are those of pools and proxies."""


@contextmanager
def _told_by_httpx() -> Generator[None]:
    """Translate httpcore's errors, as httpx's own transport does."""
    try:
        yield
    except tuple(_SAME) as error:
        raise _SAME[type(error)](str(error)) from error
