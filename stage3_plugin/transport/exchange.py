"""How one exchange goes: the body into a sink, the trouble into words.

The same for a paid request and for a picture that is fetched. Apart from the client because none of
it knows what was asked for, or what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
import anyio.to_thread
import httpcore
import httpx

from stage3_plugin.errors import SpoolRefused, Stage3Error, StorageFailed
from stage3_plugin.runtime import interrupt
from stage3_plugin.runtime.system_errors import from_lack
from stage3_plugin.transport.connection import (
    Arriving,
    FreshConnection,
    ProxyFailed,
    TlsSpoken,
    refused_by_proxy,
)
from stage3_plugin.transport.faults import TurnedAway, fault_of, links
from stage3_plugin.transport.lookups import AddressForbidden
from stage3_plugin.transport.patience import Patience
from stage3_plugin.transport.proxies import Proxy
from stage3_plugin.transport.sinks import Ending, ReplySink
from stage3_plugin.transport.sockets import Terms
from stage3_plugin.transport.uploading import JSON, SentBody

OpenSink = Callable[[int, Mapping[str, str]], ReplySink]
"""Makes the sink of one body from its status and headers (names in lower case)."""

_BEGINNING_BYTES = 1024
_TLS_WANTED = (b"to HTTPS port", b"to an HTTPS server", b"plain HTTP to an SSL-enabled server")
"""What nginx, servers written in Go and Apache say with a 400 to plain HTTP."""


async def exchange(
    transport: FreshConnection,
    request: httpx.Request,
    open_sink: OpenSink,
    state: Exchange,
    terms: Terms,
) -> None:
    """Run one exchange and note in ``state`` how far it came."""
    response: Arriving | None = None
    try:
        response = await transport.send(request, terms)
        state.head(response, is_plain=request.url.scheme == "http")
        sink = state.begin(open_sink(response.status, dict(response.headers)))
        await _receive(response, sink, state, terms.patience)
        await state.end(_ending_of(response, state.received_bytes))
        if not state.complete:
            state.problem = "the answer was cut off"
    except SpoolRefused as refusal:
        state.over_cap = True
        state.problem = str(refusal)
    except StorageFailed as failure:
        state.note_storage(failure)
    except Exception as error:  # noqa: BLE001 - ssl.SSLError and others escape httpcore's own tree
        state.note(error, request.url.netloc.decode("ascii", "replace"))
    finally:
        with anyio.CancelScope(shield=True):
            try:
                await state.end("cut")
            except StorageFailed as failure:
                state.note_storage(failure)
            if response is not None:
                await response.aclose()


@contextmanager
def freely(state: Exchange) -> Generator[None]:
    """Run an exchange that costs nothing in the block: the interrupt in force ends it at once."""
    with anyio.CancelScope(shield=True) as scope:

        def abandon() -> None:
            state.interrupted = True
            scope.cancel()

        with interrupt.current().calling(abandon):
            yield


@dataclass(slots=True, kw_only=True)
class Exchange:
    """How one exchange went, so far; kept outside it so that a cut leaves what is known.

    Attributes:
        sent: Whether all of the request may have left, so that it may have run; known once it is
            over.
        in_part: Some of the request has left, and not its end; likewise.
        complete: The whole answer was received.
        problem: Why not, in a few words without anything secret.
        permanent: It would be the same at once again, such as an untrusted certificate.
        stops_run: And for every other request to the same place.
        status: The HTTP status, as soon as the head of an answer came.
        interrupted: It was cut short by us.
        over_cap: The answer passed a byte cap.
        storage: The disk did not take the answer.
        number: The address it came from, if not over a proxy.
        location: Where a redirect leads to.
        beginning: Of the body.
        received_bytes: Of the body.
        is_asked_plainly: Without TLS.
        passed_on: The request may have come to where it could run.
        lacks_last_chunk: The body was closed in good order, but for the chunk that ends it.
        forbidden: The address is one that must not be connected to.
        judges: How many bodies that were cut are looked at in threads at once.
    """

    sent: bool = False
    in_part: bool = False
    judges: anyio.CapacityLimiter | None = None
    status: int | None = None
    location: str = ""
    number: str = ""
    beginning: bytes = b""
    received_bytes: int = 0
    complete: bool = False
    problem: str = ""
    permanent: bool = False
    stops_run: bool = False
    passed_on: bool = True
    is_asked_plainly: bool = False
    forbidden: bool = False
    lacks_last_chunk: bool = False
    interrupted: bool = False
    over_cap: bool = False
    storage: StorageFailed | None = None
    _is_chunked: bool = False
    _unended: ReplySink | None = None
    _proxy: Proxy | None = None

    def head(self, response: Arriving, *, is_plain: bool) -> None:
        """Note which address answers, and how."""
        self.status = response.status
        self.is_asked_plainly = is_plain
        self._is_chunked = _is_chunked(response.headers)
        self.number = response.number
        self._proxy = response.proxy

    def begin(self, sink: ReplySink) -> ReplySink:
        """Note where the body goes."""
        self._unended = sink
        return sink

    async def end(self, how: Ending) -> None:
        """Let the sink see the end of the body, if it has not seen one.

        Whether one that was cut is whole all the same is looked for in a thread.
        """
        sink, self._unended = self._unended, None
        if sink is None:
            return
        if how == "whole":
            self.complete = sink.finish(how)
            return
        try:
            self.complete = await anyio.to_thread.run_sync(sink.finish, how, limiter=self.judges)
        except RuntimeError as error:
            if from_lack(error) is None:
                raise
            self.complete = sink.finish(how)

    def note_storage(self, failure: StorageFailed) -> None:
        """Note that the disk did not take the answer."""
        self.storage = failure
        self.problem = "the disk did not take the answer"

    def note(self, error: Exception, host: str) -> None:
        """Put an error into words: its class and that of its cause, never its text.

        The text of some of them holds header values, and so the key.
        """
        chain = links(error)
        is_turned_away = any(isinstance(link, TurnedAway) for link in chain)
        is_connecting = isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout | OSError)
        fault = fault_of(error, host) if is_connecting or is_turned_away else None
        self.lacks_last_chunk = self._is_chunked and isinstance(error, httpcore.RemoteProtocolError)
        self.forbidden = any(isinstance(link, AddressForbidden) for link in chain)
        if isinstance(error, ProxyFailed):
            self.problem = str(error)
            self.permanent = self.stops_run = error.is_for_all
        elif isinstance(error, TlsSpoken):
            self._wants_tls(host)
        elif isinstance(error, Stage3Error):
            self.problem = str(error)
        elif fault is not None:
            self.problem = fault.words
            self.permanent, self.stops_run = fault.is_permanent, fault.is_for_all
            self.passed_on = not is_turned_away
        elif isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout):
            self.problem = f"{_WORDS[type(error)]} to {host}"
        else:
            names = dict.fromkeys(type(link).__name__ for link in chain)
            self.problem = _WORDS.get(type(error), "") or " from ".join(names)

    def _wants_tls(self, host: str) -> None:
        self.problem = f"{host} speaks TLS on this port: its address is one with https://"
        self.permanent = self.stops_run = True
        self.passed_on = False

    def _says_it_wants_tls(self) -> bool:
        return self.status == 400 and any(words in self.beginning for words in _TLS_WANTED)

    def look_who_answered(self, *, has_left: bool) -> None:
        """Find out whether a proxy, or a server in front, answered, so that nothing can have run.

        Args:
            has_left: The whole request was taken by the system.
        """
        if self._proxy is not None and self.status == 407:
            failure = refused_by_proxy(self._proxy, 407)
            self.problem = str(failure)
            self.permanent = self.stops_run = True
            self.passed_on = False
        elif self.is_asked_plainly and self._says_it_wants_tls():
            self._wants_tls("the server")
        elif self.status is not None and self._came_early(has_left=has_left):
            self.problem = f"the server answered {self.status} before it had the whole request"
            self.permanent = self.status < 500  # a gateway may have its server again in a moment
            self.passed_on = False
        elif self.problem and self.status is not None and not self._says_all():
            self.problem += f" after the head of an answer came, with status {self.status}"

    def _says_all(self) -> bool:
        return self.complete or self.over_cap or self.storage is not None

    def _came_early(self, *, has_left: bool) -> bool:
        """Return whether an error came in place of an answer, for half of a request.

        A whole one that is not a gateway's says more by its words.
        """
        least = 500 if self.complete else 400
        return self.status is not None and self.status >= least and not has_left


_WORDS: dict[type[Exception], str] = {
    httpcore.ConnectError: "cannot connect",
    httpcore.ConnectTimeout: "it takes too long to connect",
    httpcore.ReadError: "the connection was lost",
    httpcore.RemoteProtocolError: "the server closed the connection early",
}


async def _receive(
    response: Arriving, sink: ReplySink, state: Exchange, patience: Patience
) -> None:
    """Let the raw body flow into the sink, which sees its end in the moment of its last byte.

    Closing a connection gives way to other tasks, and a process that is killed meanwhile, or an
    exchange that is cut short, would have received an answer and not know it.

    Raises:
        SpoolRefused: The sink takes no more.
        StorageFailed: The disk did not take it.
    """
    async for chunk in response:
        state.received_bytes += len(chunk)
        patience.moved(len(chunk))
        if len(state.beginning) < _BEGINNING_BYTES:
            state.beginning += chunk[:_BEGINNING_BYTES]
        sink.feed(chunk)
        if state.received_bytes == response.body_bytes:
            await state.end("whole")
        del chunk  # or every connection would keep one while it waits


def _is_chunked(headers: httpx.Headers) -> bool:
    return "chunked" in headers.get("transfer-encoding", "").lower()


def _ending_of(response: Arriving, received_bytes: int) -> Ending:
    """Return how a body ended that came without an error.

    One with neither length nor chunks ends when the server closes, and a cut looks the same.
    """
    if _is_chunked(response.headers):
        return "whole"
    if response.body_bytes is None:
        return "closed"
    return "whole" if received_bytes == response.body_bytes else "cut"


def request_of(
    method: str,
    url: str | httpx.URL,
    headers: Mapping[str, str],
    body: httpx.AsyncByteStream | None = None,
    *,
    ours: Mapping[str, str] | None = None,
    connect_s: float,
    accept: str = JSON,
) -> httpx.Request:
    """Return a request as all of ours are, with its body.

    Args:
        method: In capitals.
        url: Where to.
        headers: In lower case, the key perhaps among them.
        body: What is sent; nothing by default.
        ours: What no provider may say otherwise.
        connect_s: Seconds for the connection to be made.
        accept: What an answer may be, unless the headers say so.

    Raises:
        httpx.InvalidURL: The address cannot be asked.
        ValueError: Something in it cannot be sent.
    """
    request = httpx.Request(
        method,
        url,
        headers={"user-agent": "stage3-plugin", "accept": accept}
        | dict(headers)
        | {"accept-encoding": "identity", "connection": "close"}
        | dict(ours or {}),
        extensions={"timeout": httpx.Timeout(None, connect=connect_s, pool=connect_s).as_dict()},
    )
    # httpx would wrap a passed iterator in a generator, as its own empty body is one
    request.stream = body or SentBody(JSON, 0, (), Patience())
    return request
