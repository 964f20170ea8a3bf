"""What is sent and what came back: one POST, no retries, no redirects, the body into a sink.

:mod:`stage3_plugin.transport.connection` knows how bytes travel; this module knows what may be
sent, by when it must be over, and how it went. Requests go to the transport as they are: httpx's
own client would add cookies, redirects and a way of logging in, none of which a paid request wants,
and hold on to a piece of every answer that is under way.

Its body, and not the exception, says whether a request was sent: the body notes when its last piece
is asked for, and until then nothing has left that could run, since JSON without its end is none. A
request with references is on its way for minutes, so that matters. Exception classes only explain
why, since on some transports and behind proxies they mislead.

Nothing is cancelled once a request may have left: when its time is over, or the run has to end,
what lies in the socket is read before it is given up (:mod:`stage3_plugin.transport.patience`).
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial

import anyio
import httpx
from pydantic import SecretStr

from stage3_plugin.domain.addressing import canonical_address
from stage3_plugin.domain.batch import Upload
from stage3_plugin.domain.exchange import Send
from stage3_plugin.domain.job import account_of
from stage3_plugin.runtime import interrupt
from stage3_plugin.transport.bodies import Body, Content, body_of
from stage3_plugin.transport.connection import FreshConnection
from stage3_plugin.transport.exchange import Exchange, OpenSink, exchange, freely, request_of
from stage3_plugin.transport.fetching import LAST_PORT, Fetcher, place_of
from stage3_plugin.transport.job_hosts import JobHosts
from stage3_plugin.transport.lookups import Lookups
from stage3_plugin.transport.patience import Patience
from stage3_plugin.transport.picture_hosts import PictureHosts, Place
from stage3_plugin.transport.sinks import ANSWERED_WITHIN_S, Answer
from stage3_plugin.transport.sockets import Terms
from stage3_plugin.transport.trust import named_trust
from stage3_plugin.transport.uploading import JSON, SentBody, upload_body

CONNECT_TIMEOUT_S = 10.0
"""Room for a burst of 512 name lookups at one instant; well below any exchange's own deadline."""
ABANDON_CONNECT_S = 0.5
"""How long a connection attempt may go on after an interrupt, so that it can be closed cleanly."""
JSON_OR_PICTURE = "application/json, image/*;q=0.9, */*;q=0.5"
"""What an answer of a job's may be."""
ANY_FILE = "*/*"


class _Revoked(Exception):
    """Raised inside a body that must not be sent any more."""


class _OneShotBody(SentBody):
    """The body of one POST. ``asked`` stays false until a transport asks for its first byte.

    Its end does not leave when the time is over: its answer would be paid, and not awaited.
    """

    def __init__(
        self,
        body: Body,
        patience: Patience,
        is_late: Callable[[], bool],
        leave: Callable[[], None],
    ) -> None:
        super().__init__(JSON, body.length, body, patience)
        self._is_late = is_late
        self._leave = leave
        self.was_late = False
        self.asked = False
        self.may_run = False  # its last piece may have left
        self.revoked = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self.asked:
            raise RuntimeError("a paid request is never sent twice")
        return self

    async def __anext__(self) -> bytes:
        if not self.may_run and (self.revoked or not self._patience.has_time()):
            raise _Revoked
        if not self.asked and self._is_late():
            self.was_late = True
            raise _Revoked
        self.asked = True
        piece = await super().__anext__()
        if self._left == 0:
            self._leave()
            self.may_run = True
        return piece


class Client:
    """Sends paid requests and fetches pictures. Belongs to one event loop.

    Args:
        key_header: The header the key goes into.
        key_prefix: What stands before the key there.
        key: The key, or ``None`` for a server that wants none.
        own_urls: Where the API lives, its own address first. The key goes to the hosts of these
            addresses and nowhere else, whatever address a provider asks for.
        headers: Further headers of every paid request; they go where the key goes.
        timeout_s: Seconds for one whole exchange, in which this process runs.
        trust_env: Whether proxies of the environment are used.
        tls: The trust to use; by default the certificates that the environment names, else those
            that httpx trusts.

    Raises:
        EnvironmentRefused: The environment names certificates that cannot be read.
    """

    def __init__(
        self,
        *,
        key_header: str,
        key_prefix: str,
        key: SecretStr | None,
        own_urls: Iterable[str],
        headers: Mapping[str, SecretStr] | None = None,
        timeout_s: float,
        trust_env: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._key_header = key_header
        self._key_prefix = key_prefix
        self._key = key
        own_urls = tuple(own_urls)
        self._own = frozenset(_places(own_urls))
        self._address = canonical_address(own_urls[0]) if own_urls else ""
        self._headers = dict(headers or {})
        self._timeout_s = timeout_s
        self._connect_s = connect_s = min(CONNECT_TIMEOUT_S, timeout_s * 0.8)
        self._transport = FreshConnection(
            tls or named_trust() or httpx.create_ssl_context(trust_env=False), trust_env=trust_env
        )
        self._lookups = Lookups()
        self._judges = anyio.CapacityLimiter(1)
        self._fetcher = Fetcher(self._transport, timeout_s=timeout_s, connect_s=connect_s)

    def check(self, url: str) -> None:
        """Look whether the API could be asked at ``url`` as the environment wants it.

        Raises:
            EnvironmentRefused: It names a proxy that cannot be used.
        """
        self._transport.check(url)

    @property
    def account(self) -> str:
        """Return what stands for the account of key, headers and address, and says none of them."""
        return account_of(
            None if self._key is None else self._key.get_secret_value(),
            headers={name: value.get_secret_value() for name, value in self._headers.items()},
            address=self._address,
        )

    def use_key(self, key: SecretStr) -> None:
        """Send another key from now on."""
        self._key = key

    async def post(
        self,
        send: Send,
        open_sink: OpenSink,
        *,
        is_late: Callable[[], bool] = lambda: False,
        leave: Callable[[], None] = lambda: None,
    ) -> Exchange:
        """Send one request once and let its answer flow into a sink.

        Never raises for trouble on the way; what happened is in the result. Shielded from outside
        cancellation and bounded by ``timeout_s``; only the interrupt in force cuts it short.

        Args:
            send: What is sent, and where.
            open_sink: Opens what the answer flows into.
            is_late: Asked before the first byte of the body; if it says so, nothing is sent.
            leave: Called right before the last piece of the body leaves, without which nothing
                runs; if it raises ``StorageFailed``, that stays here.
        """
        patience = Patience(self._timeout_s)
        try:
            body = _OneShotBody(body_of(send.payload), patience, is_late, leave)
            secret = self._own_headers(place_of(httpx.URL(send.url)))
            request = self._posting(send, secret, body)
        except (ValueError, TypeError, LookupError, RecursionError, httpx.InvalidURL) as error:
            return _not_asked(_unsendable(error, send.url))
        state = Exchange(judges=self._judges)
        with anyio.CancelScope(shield=True) as scope:

            def abandon() -> None:
                state.interrupted = True
                body.revoked = True
                patience.cut()
                if not body.asked:  # a handshake cut short would leave its socket to the garbage
                    scope.deadline = anyio.current_time() + ABANDON_CONNECT_S

            with interrupt.current().calling(abandon):
                terms = Terms(self._lookups, patience)
                await exchange(self._transport, request, open_sink, state, terms)
        if state.number:
            self._fetcher.note(place_of(request.url), state.number)
        if patience.is_over and not state.interrupted:
            lacking = "no complete answer" if body.may_run else "the request could not leave"
            state.problem = f"{lacking} within {self._timeout_s:g} s"
        if state.storage is not None and not body.may_run:
            state.problem = str(state.storage)
        if body.was_late:
            state.problem = "this machine slept between the hold and the request: nothing was sent"
        return _ended(state, asked=body.asked, may_run=body.may_run, has_left=body.has_left)

    async def fetch(self, url: str, open_sink: OpenSink, *, hosts: PictureHosts) -> None:
        """Fetch a picture's address; see :meth:`stage3_plugin.transport.fetching.Fetcher.fetch`."""
        await self._fetcher.fetch(url, open_sink, hosts=hosts)

    async def read(self, url: str, open_sink: OpenSink, *, hosts: JobHosts) -> Exchange:
        """Get an address of a job's once and let its answer flow into a sink; the key goes along.

        It costs nothing, and may be done again. A redirect is an answer, and not followed. Never
        raises for trouble on the way; the interrupt in force cuts it short.

        Args:
            url: Absolute.
            open_sink: Opens what the answer flows into.
            hosts: Where the key may go.
        """
        patience = Patience(self._timeout_s)
        return await self._read(url, open_sink, hosts, patience, accept=JSON_OR_PICTURE)

    async def download(self, url: str, open_sink: OpenSink, *, hosts: JobHosts) -> Exchange:
        """Get a file of any size once, as :meth:`read` gets an answer.

        It may take as long as it likes while it moves: ``timeout_s`` is the time for each MiB.
        """
        patience = Patience(self._timeout_s, is_renewed=True)
        return await self._read(url, open_sink, hosts, patience, accept=ANY_FILE)

    async def upload(
        self, step: Upload, content: Content, open_sink: OpenSink, *, hosts: JobHosts
    ) -> Exchange:
        """Take one step of handing a file over, and let its answer flow into a sink.

        The key goes along. It costs nothing, and may be done again. Never raises for trouble on the
        way; the interrupt in force cuts it short. It may take as long as it likes while the file
        moves: ``timeout_s`` is the time for each MiB, and for the answer.

        Args:
            step: What is sent, and where.
            content: The file.
            open_sink: Opens what the answer flows into.
            hosts: Where the key may go.
        """
        patience = Patience(self._timeout_s, is_renewed=True)

        def request() -> httpx.Request:
            return self._posting(step, self._secret_headers(), upload_body(step, content, patience))

        return await self._freely(step.url, open_sink, hosts, patience, request)

    async def _read(
        self, url: str, open_sink: OpenSink, hosts: JobHosts, patience: Patience, *, accept: str
    ) -> Exchange:
        secret, connect_s = self._secret_headers(), self._connect_s
        request = partial(request_of, "GET", url, secret, connect_s=connect_s, accept=accept)
        return await self._freely(url, open_sink, hosts, patience, request)

    async def _freely(
        self,
        url: str,
        open_sink: OpenSink,
        hosts: JobHosts,
        patience: Patience,
        request: Callable[[], httpx.Request],
    ) -> Exchange:
        """Run an exchange that costs nothing, so that the interrupt in force ends it at once."""
        problem = _objection(url, hosts)
        if problem:
            return _not_asked(problem)
        try:
            asked = request()
        except (ValueError, TypeError, RecursionError, httpx.InvalidURL) as error:
            return _not_asked(_unsendable(error, url))
        state, sent = Exchange(judges=self._judges), asked.stream
        with freely(state):
            terms = Terms(self._lookups, patience)
            await exchange(self._transport, asked, open_sink, state, terms)
        if patience.is_over and not state.interrupted:
            state.problem = f"no complete answer within {self._timeout_s:g} s"
        has_left = isinstance(sent, SentBody) and sent.has_left
        return _ended(state, has_left=has_left, may_run=True)

    async def ask(self, url: str) -> Answer:
        """Ask the API what costs nothing, and read its short answer into memory.

        Nothing is sent to any other place than the API's own. Cancelling it loses nothing.
        """
        place = next(_places([url]), None)
        if place is None or place not in self._own:
            return Answer(problem="the address to ask is not the API's own")
        within_s = min(ANSWERED_WITHIN_S, self._timeout_s)
        patience, state, answer = Patience(within_s), Exchange(), Answer()
        headers, connect_s = self._own_headers(place), self._connect_s
        request = request_of("GET", url, headers, connect_s=connect_s)
        terms = Terms(self._lookups, patience)
        await exchange(self._transport, request, answer.opened, state, terms)
        state.look_who_answered(has_left=True)
        if state.complete and state.passed_on:
            return answer
        if patience.is_over:
            return Answer(problem=f"no complete answer within {within_s:g} s")
        return Answer(problem=state.problem)

    def _own_headers(self, place: Place) -> dict[str, str]:
        """Return the headers that only the API is to see: none for any other place."""
        return self._secret_headers() if place in self._own else {}

    def _secret_headers(self) -> dict[str, str]:
        headers = {name.lower(): value.get_secret_value() for name, value in self._headers.items()}
        if self._key is not None:
            headers[self._key_header] = self._key_prefix + self._key.get_secret_value()
        return headers

    def _posting(
        self,
        step: Send | Upload,
        secret: Mapping[str, str],
        body: SentBody,
    ) -> httpx.Request:
        """Return the request of a POST.

        Raises:
            httpx.InvalidURL: The address cannot be asked.
            ValueError: Something in it cannot be sent.
        """
        url = httpx.URL(step.url)
        if (url.port or 1) > LAST_PORT:  # another port would be asked
            raise httpx.InvalidURL("a port beyond the last")
        headers = {name.lower(): value for name, value in step.headers.items()} | dict(secret)
        ours = {"content-type": body.content_type, "content-length": str(body.length)}
        return request_of("POST", url, headers, body, ours=ours, connect_s=self._connect_s)


def _places(urls: Iterable[str]) -> Iterator[Place]:
    """Yield where addresses lead; one that is none leads nowhere, as who asks for it learns."""
    for url in urls:
        with suppress(ValueError, httpx.InvalidURL):
            yield place_of(httpx.URL(url))


def _objection(url: str, hosts: JobHosts) -> str:
    """Return why an address is not asked, and no key sent there; empty if it may be."""
    place = next(_places([url]), None)
    objection = "it is no address" if place is None else hosts.objection(place)
    return "" if objection is None else f"its address cannot be asked: {objection}"


def _not_asked(problem: str) -> Exchange:
    return Exchange(problem=problem, permanent=True)


def _ended(state: Exchange, *, asked: bool = True, may_run: bool, has_left: bool) -> Exchange:
    """Return how it went; what went wrong after a whole answer is no part of it.

    Args:
        state: How far it came.
        asked: A byte may have left.
        may_run: All that it takes to run may have left.
        has_left: The system took all of it.
    """
    state.look_who_answered(has_left=has_left)
    if state.complete and state.passed_on:
        return Exchange(sent=True, complete=True)
    if state.interrupted:
        state.problem = "interrupted"
    is_answered = asked and state.status is not None
    state.sent = (may_run or is_answered) and state.passed_on
    state.in_part = asked and not state.sent and not has_left
    state.complete = False
    return state


def _unsendable(error: Exception, url: str) -> str:
    """Return why a request cannot be made, without a word of what is in it."""
    if isinstance(error, UnicodeEncodeError) and error.encoding == "utf-8":
        return "the request holds a character that no text can have (half of a surrogate pair)"
    if isinstance(error, httpx.InvalidURL):
        return f"the address {url[:80]!a} cannot be asked"
    return f"the request cannot be put together ({type(error).__name__})"
