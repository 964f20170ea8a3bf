"""What is sent and what came back: one POST, no retries, no redirects, the body into a sink.

How bytes travel is the business of :mod:`stage3_plugin.transports`; here is what may be sent, by
when it must be over, and what can be said about how it went. Requests go to the transport as they
are: httpx's own client would add cookies, redirects and a way of logging in, none of which a paid
request wants, and hold on to a piece of every answer that is under way.

Whether a request was sent is told by its body, not by the exception: the body notes when its first
byte is asked for, and until then nothing has left that could run. Exception classes only explain
why, since on some transports and behind proxies they mislead.
"""

from __future__ import annotations

import json
import secrets
import socket
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import anyio
import httpx
from pydantic import SecretStr

from stage3_plugin.bodies import PIECE_BYTES, FileSink, ReplySink, decoded
from stage3_plugin.errors import FetchRefused, SpoolRefused, StorageFailed
from stage3_plugin.interrupt import Interrupt
from stage3_plugin.providers.base import Call
from stage3_plugin.transports import FreshConnection

CONNECT_TIMEOUT_S = 10.0
"""Room for a burst of 512 name lookups at one instant; well below any exchange's own deadline."""
ABANDON_CONNECT_S = 0.5
"""How long a connection attempt may go on after an interrupt, so that it can be closed cleanly."""
GONE = frozenset({404, 410})
"""Statuses by which a picture's address says that there is no such picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """How one POST went, as far as transport can tell.

    Attributes:
        sent: Whether a byte of the request may have left.
        complete: Whether the whole answer was received.
        problem: Why not, in a few words without anything secret.
        permanent: The problem would be the same at once again, such as an untrusted certificate.
        interrupted: It was cut short by us.
        over_cap: The answer passed a byte cap.
        storage: The disk did not take the answer.
    """

    sent: bool
    complete: bool
    problem: str = ""
    permanent: bool = False
    interrupted: bool = False
    over_cap: bool = False
    storage: StorageFailed | None = None


OpenSink = Callable[[int, Mapping[str, str]], ReplySink]
"""Makes the sink of one body from its status and headers (names in lower case)."""


class _Revoked(Exception):
    """Raised inside a body that must not be sent any more."""


class _OneShotBody(httpx.AsyncByteStream):
    """The body of one POST. ``asked`` stays false until a transport asks for its first byte.

    Not a generator: trio would warn about one that is left early.
    """

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)
        self.length = len(data)
        self.asked = False
        self.revoked = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self.asked:
            raise RuntimeError("a paid request is never sent twice")
        return self

    async def __anext__(self) -> bytes:
        if self.revoked and not self.asked:
            raise _Revoked
        self.asked = True
        if not self._rest:
            raise StopAsyncIteration
        piece, self._rest = bytes(self._rest[:PIECE_BYTES]), self._rest[PIECE_BYTES:]
        return piece


class Client:
    """Sends paid requests and fetches pictures.

    Args:
        key_header: The header the key goes into.
        key_prefix: What stands before the key there.
        key: The key, or ``None`` for a server that wants none.
        timeout_s: Seconds for one whole exchange.
        trust_env: Whether proxies of the environment are used.
        tls: The trust to use; by default the certificates httpx trusts.
    """

    def __init__(
        self,
        *,
        key_header: str,
        key_prefix: str,
        key: SecretStr | None,
        timeout_s: float,
        trust_env: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._key_header = key_header
        self._key_prefix = key_prefix
        self._key = key
        self._timeout_s = timeout_s
        connect_s = min(CONNECT_TIMEOUT_S, timeout_s * 0.8)
        self._timeout = httpx.Timeout(None, connect=connect_s, pool=connect_s)
        self._transport = FreshConnection(
            tls or httpx.create_ssl_context(trust_env=trust_env), trust_env=trust_env
        )

    async def aclose(self) -> None:
        """Close the client; nothing is pooled, so there is nothing to wait for."""
        await self._transport.aclose()

    async def post(self, call: Call, open_sink: OpenSink, interrupt: Interrupt) -> Exchange:
        """Send one call once and let its answer flow into a sink.

        Never raises for trouble on the way; what happened is in the result. Shielded from outside
        cancellation and bounded by ``timeout_s``; only ``interrupt`` cuts it short.
        """
        body = _OneShotBody(json.dumps(call.payload, ensure_ascii=False).encode())
        request = self._request("POST", call.url, {**call.headers, **self._authorization()}, body)
        state = _Receiving()
        deadline = anyio.current_time() + self._timeout_s
        with anyio.CancelScope(shield=True, deadline=deadline) as scope:

            def abandon() -> None:
                state.interrupted = True
                body.revoked = True
                if body.asked:
                    scope.cancel()
                else:  # a handshake cut short would leave its socket to the garbage collector
                    scope.deadline = min(scope.deadline, anyio.current_time() + ABANDON_CONNECT_S)

            with interrupt.calling(abandon):
                await self._exchange(request, open_sink, state)
        if scope.cancelled_caught and not state.interrupted:
            state.problem = f"no complete answer within {self._timeout_s:g} s"
        return state.result(sent=body.asked)

    async def fetch(
        self, url: str, folder: Path, *, hosts: tuple[str, ...], cap: int, interrupt: Interrupt
    ) -> Path:
        """Fetch a picture's address once, into a new file; the key never goes there.

        Trying again is free, and the caller's affair, as is what the bytes are worth.

        Args:
            url: Absolute.
            folder: Where the new file is made; a fetch that fails leaves none behind.
            hosts: The hosts that are allowed; a leading dot stands for every host below.
            cap: Bytes at most.
            interrupt: Cuts it short.

        Returns:
            The new file, under a name that nothing had before.

        Raises:
            FetchRefused: The host is not allowed, or the picture did not come in whole.
            StorageFailed: The disk did not take it.
        """
        _check_address(url, hosts)
        path = folder / f"fetched-{secrets.token_hex(8)}"
        state = await self._fetch_once(url, path, cap, interrupt)
        if state.storage is None and state.complete and state.status == 200:
            return path
        path.unlink(missing_ok=True)
        if state.storage is not None:
            raise state.storage
        problem = "interrupted" if state.interrupted else state.problem or f"status {state.status}"
        raise FetchRefused(
            f"the picture's address did not give it: {problem}",
            reason="missing" if state.complete and state.status in GONE else "trouble",
            status=state.status,
        )

    async def _fetch_once(self, url: str, path: Path, cap: int, interrupt: Interrupt) -> _Receiving:
        state = _Receiving()
        deadline = anyio.current_time() + self._timeout_s
        with anyio.CancelScope(shield=True, deadline=deadline) as scope:

            def abandon() -> None:
                state.interrupted = True
                scope.cancel()

            with interrupt.calling(abandon), FileSink(path, cap) as sink:
                await self._exchange(self._request("GET", url, {}, None), sink.opened, state)
        if scope.cancelled_caught and not state.interrupted:
            state.problem = f"no complete picture within {self._timeout_s:g} s"
        return state

    def _authorization(self) -> dict[str, str]:
        if self._key is None:
            return {}
        return {self._key_header: self._key_prefix + self._key.get_secret_value()}

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: _OneShotBody | None
    ) -> httpx.Request:
        own = {"accept-encoding": "identity", "connection": "close", "user-agent": "stage3-plugin"}
        if body is not None:
            own |= {"content-type": "application/json", "content-length": str(body.length)}
        request = httpx.Request(
            method,
            url,
            headers={"accept": "*/*", **headers, **own},
            extensions={"timeout": self._timeout.as_dict()},
        )
        if body is not None:
            request.stream = body  # httpx would wrap a passed iterator in a generator
        return request

    async def _exchange(
        self, request: httpx.Request, open_sink: OpenSink, state: _Receiving
    ) -> None:
        """Run one exchange and note in ``state`` how far it came."""
        response: httpx.Response | None = None
        try:
            response = await self._transport.handle_async_request(request)
            state.status = response.status_code
            headers = _plain_headers(response.headers)
            state.sink = decoded(open_sink(response.status_code, headers), headers)
            await _receive(response, state.sink, state)
            if not state.complete:
                if _is_whole(response.headers, state.sink, state.received_bytes):
                    state.end(state.sink, complete=True)
                else:
                    state.problem = "the answer was cut off"
        except SpoolRefused as refusal:
            state.over_cap = True
            state.problem = str(refusal)
        except StorageFailed as failure:
            state.note_storage(failure)
        except Exception as error:  # noqa: BLE001 - ssl.SSLError and others escape httpx's own tree
            state.note(error, request.url.netloc.decode("ascii", "replace"))
        finally:
            state.give_up()
            if response is not None:
                with anyio.CancelScope(shield=True):
                    await response.aclose()


class _Receiving:
    """How far an exchange came; kept outside it so that a cut leaves what is known."""

    def __init__(self) -> None:
        self.sink: ReplySink | None = None
        self.status: int | None = None
        self.received_bytes = 0
        self.complete = False
        self.problem = ""
        self.permanent = False
        self.interrupted = False
        self.over_cap = False
        self.storage: StorageFailed | None = None
        self._has_ended = False

    def end(self, sink: ReplySink, *, complete: bool) -> None:
        """Let the sink see the end of the body."""
        self._has_ended = True
        self.complete = sink.finish(complete=complete)

    def give_up(self) -> None:
        """Let the sink see that no more comes, unless it has seen the end."""
        if self.sink is not None and not self._has_ended:
            try:
                self.end(self.sink, complete=False)
            except StorageFailed as failure:
                self.note_storage(failure)

    def note_storage(self, failure: StorageFailed) -> None:
        """Note that the disk did not take the answer."""
        self.storage = failure
        self.problem = "the disk did not take the answer"

    def note(self, error: Exception, host: str) -> None:
        """Put an error into words: its class and that of its cause, never its text.

        The text of some of them holds header values, and so the key.
        """
        chain: list[BaseException] = []
        cause: BaseException | None = error
        while cause is not None and cause not in chain:
            chain.append(cause)
            cause = cause.__cause__ or cause.__context__
        self.permanent = any(isinstance(link, ssl.SSLCertVerificationError) for link in chain)
        if self.permanent:
            self.problem = f"the certificate of {host} is not trusted"
        elif any(isinstance(link, socket.gaierror) for link in chain):
            self.problem = f"cannot connect to {host}: nobody knows this name"
        elif any(isinstance(link, ConnectionRefusedError) for link in chain):
            self.problem = f"cannot connect to {host}: nothing listens there"
        elif isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            self.problem = f"{_WORDS[type(error)]} to {host}"
        else:
            names = dict.fromkeys(type(link).__name__ for link in chain)
            self.problem = _WORDS.get(type(error), "") or " from ".join(names)

    def result(self, *, sent: bool) -> Exchange:
        """Give the result of a POST; what went wrong after a whole answer is none of it."""
        if self.complete:
            return Exchange(sent=sent, complete=True)
        return Exchange(
            sent=sent,
            complete=False,
            problem="interrupted" if self.interrupted else self.problem,
            permanent=self.permanent,
            interrupted=self.interrupted,
            over_cap=self.over_cap,
            storage=self.storage,
        )


_WORDS: dict[type[Exception], str] = {
    httpx.ConnectError: "cannot connect",
    httpx.ConnectTimeout: "it takes too long to connect",
    httpx.ReadError: "the connection was lost",
    httpx.RemoteProtocolError: "the server closed the connection early",
}


async def _receive(response: httpx.Response, sink: ReplySink, state: _Receiving) -> None:
    """Let the raw body flow into the sink, which sees its end in the moment of its last byte.

    Closing a connection gives way to other tasks, and a process that is killed meanwhile, or an
    exchange that is cut short, would have received an answer and not know it.

    Leaving the loop early would make trio warn about httpx's generators; closing the response and
    iterating on lets the next read fail inside them and unwinds them.

    Raises:
        SpoolRefused: The sink takes no more.
        StorageFailed: The disk did not take it.
    """
    refused: Exception | None = None
    whole_bytes = _announced_bytes(response.headers)
    try:
        async for chunk in cast("AsyncIterable[bytes]", response.stream):
            if refused is not None:
                continue
            state.received_bytes += len(chunk)
            try:
                sink.feed(chunk)
                if state.received_bytes == whole_bytes:
                    state.end(sink, complete=True)
            except (SpoolRefused, StorageFailed) as error:
                refused = error
                await response.aclose()
            del chunk  # or every connection would keep one while it waits
    except Exception:
        if refused is None:
            raise
    if refused is not None:
        raise refused


def _announced_bytes(headers: httpx.Headers) -> int | None:
    """Give the length of a body; ``None`` if it is not what ends it."""
    length = headers.get("content-length", "")
    return int(length) if length.isdigit() and not _is_chunked(headers) else None


def _is_chunked(headers: httpx.Headers) -> bool:
    return "chunked" in headers.get("transfer-encoding", "").lower()


def _is_whole(headers: httpx.Headers, sink: ReplySink, received_bytes: int) -> bool:
    """Tell whether a body that ended without an error is whole.

    A body with neither length nor chunks ends when the server closes, and a cut looks the same:
    there only the document itself can tell.
    """
    if _is_chunked(headers):
        return True
    whole_bytes = _announced_bytes(headers)
    return sink.document_ended if whole_bytes is None else received_bytes == whole_bytes


def _plain_headers(headers: httpx.Headers) -> dict[str, str]:
    """Give names in lower case; httpx joins a repeated header's values with ``", "``."""
    return {name.lower(): value for name, value in headers.items()}


def _check_address(url: str, hosts: tuple[str, ...]) -> None:
    """Refuse an address that the answer should not have sent us to.

    Raises:
        FetchRefused: Not http(s), or a host that is not in the list.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):  # such as a line break, a lone surrogate, a bad port
        raise FetchRefused("the picture's address is none", reason="address") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise FetchRefused("the picture's address is not an http address", reason="address")
    for allowed in hosts:
        if host == allowed or (allowed.startswith(".") and host.endswith(allowed)):
            return
    kind = "address" if _is_ip(host) else "host"
    raise FetchRefused(
        f"the picture's {kind} {host[:80]!a} is not one the provider uses", reason="host"
    )


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
