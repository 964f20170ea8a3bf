"""Fetches a picture that an answer gave only the address of: once, into a sink, without the key.

Where it may go is decided by :mod:`stage3_plugin.transport.picture_hosts`, for every redirect anew:
by the name before anything is looked up, and by the number that is connected to.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import httpx

from stage3_plugin.errors import FetchReason, FetchRefused, Stage3Error
from stage3_plugin.runtime.hosts import is_number
from stage3_plugin.transport.connection import FreshConnection
from stage3_plugin.transport.exchange import Exchange, OpenSink, exchange, freely, request_of
from stage3_plugin.transport.lookups import Lookups
from stage3_plugin.transport.patience import Patience
from stage3_plugin.transport.picture_hosts import PictureHosts, Place, may_connect
from stage3_plugin.transport.sinks import Ignored, ReplySink
from stage3_plugin.transport.sockets import Terms

GONE = frozenset({404, 410})
"""Statuses by which a picture's address says that there is no such picture."""
WITH_A_PICTURE = frozenset({200, 206})
"""A part of one that was not asked for is all of it at some stores; whether it is, is looked at."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 5
LAST_PORT = 65535

_PICTURES = "image/*, */*;q=0.5"


class Fetcher:
    """Fetches pictures.

    Args:
        transport: Asks for them.
        timeout_s: Seconds for one fetch, redirects included, in which this process runs.
        connect_s: Seconds for one connection to be made.
    """

    def __init__(self, transport: FreshConnection, *, timeout_s: float, connect_s: float) -> None:
        self._transport = transport
        self._timeout_s = timeout_s
        self._connect_s = connect_s
        self._lookups = Lookups()  # its own: strange names that hang hold up nothing else
        self._numbers: dict[str, str] = {}

    def note(self, api: Place, number: str) -> None:
        """Note the address that a paid request found the API at; the first one counts."""
        self._numbers.setdefault(api.host, number)

    async def fetch(self, url: str, open_sink: OpenSink, *, hosts: PictureHosts) -> None:
        """Fetch a picture's address once and let it flow into a sink; the key never goes there.

        Trying again is free, and left to the caller, as is what the bytes are worth. Redirects are
        followed, to where the address itself might have led. The interrupt in force cuts it short.

        Args:
            url: Absolute.
            open_sink: Makes the sink, once a picture begins to come; it may have had a part of
                one where this fails.
            hosts: Where pictures may be fetched from.

        Raises:
            FetchRefused: The host is not allowed, or the picture did not come in whole.
            StorageFailed: The disk did not take it.
        """
        patience = Patience(self._timeout_s)
        state = await self._follow(url, open_sink, hosts, patience)
        # Some servers never send the last chunk: a picture has an end of its own.
        if state.status not in WITH_A_PICTURE or not (state.complete or state.lacks_last_chunk):
            raise state.storage or self._not_fetched(state, patience)

    async def _follow(
        self, url: str, open_sink: OpenSink, hosts: PictureHosts, patience: Patience
    ) -> Exchange:
        """Get an address, or where it leads to, and return what came of the last one.

        Raises:
            FetchRefused: It leads where it must not, or to no end.
        """
        has_tls = False
        for _ in range(MOST_REDIRECTS + 1):
            address = _parsed(url)
            if has_tls and address.scheme != "https":
                raise FetchRefused("the picture's address leads out of TLS", reason="host")
            has_tls = address.scheme == "https"
            objection = hosts.objection(place_of(address))
            if objection is not None:
                raise FetchRefused(f"the picture is not fetched: {objection}", reason="host")
            state = await self._visit(url, open_sink, hosts.api, patience)
            if state.status not in REDIRECTS or not state.location or state.interrupted:
                return state
            url = _led_to(address, state.location)
        raise FetchRefused("the picture's address leads from one to the next", reason="trouble")

    async def _visit(
        self, url: str, open_sink: OpenSink, api: Place, patience: Patience
    ) -> Exchange:
        """Get an address; a picture goes into the sink, anything else nowhere."""
        state = Exchange()

        def opened(status: int, headers: Mapping[str, str]) -> ReplySink:
            state.location = headers.get("location", "")
            return open_sink(status, headers) if status in WITH_A_PICTURE else Ignored("picture")

        with freely(state):
            try:
                near = await self._near(api, patience)
                connect_s = self._connect_s
                request = request_of("GET", url, {}, connect_s=connect_s, accept=_PICTURES)
            except (OSError, ValueError, httpx.InvalidURL, Stage3Error) as error:
                state.note(error, api.host)
            else:
                terms = Terms(self._lookups, patience, partial(may_connect, api=near))
                await exchange(self._transport, request, opened, state, terms)
        return state

    async def _near(self, api: Place, patience: Patience) -> str:
        """Return the address, as a number, that the API was first found at: it bounds what is near.

        Empty where a proxy connects, and where it is not known any more.
        """
        if api.host not in self._numbers:
            url = httpx.URL(scheme=api.scheme, host=api.host, port=api.port)
            if self._transport.goes_over_proxy(url):
                return api.host if is_number(api.host) else ""
            find = partial(self._lookups.addresses, api.host, api.port)
            try:
                found = await patience.within(self._connect_s, find)
            except TimeoutError:
                return ""
            self._numbers.setdefault(api.host, str(found[0][4][0]))
        return self._numbers.get(api.host, "")

    def _not_fetched(self, state: Exchange, patience: Patience) -> FetchRefused:
        """Put into words why a picture did not come."""
        problem = state.problem or f"status {state.status}"
        if state.interrupted:
            problem = "interrupted"
        elif state.status is not None and state.status not in WITH_A_PICTURE:
            problem = f"status {state.status}"
        elif patience.is_over:
            problem = f"no complete picture within {self._timeout_s:g} s"
        reason: FetchReason = "missing" if state.status in GONE else "trouble"
        if state.forbidden:
            reason = "host"
        return FetchRefused(
            f"the picture's address did not give it: {problem}", reason=reason, status=state.status
        )


def place_of(address: httpx.URL) -> Place:
    """Return where an address connects to."""
    return Place.of(address.scheme, address.raw_host.decode("ascii"), address.port)


def _parsed(url: str) -> httpx.URL:
    """Read a picture's address.

    Raises:
        FetchRefused: It is none.
    """
    try:
        address = httpx.URL(url)
    except (ValueError, httpx.InvalidURL):  # a line break, a lone surrogate, a bad port, 70 KB
        raise FetchRefused("the picture's address is none", reason="address") from None
    if (address.port or 1) > LAST_PORT:
        raise FetchRefused("the picture's address is none", reason="address")
    if address.scheme not in {"http", "https"} or not address.host:
        raise FetchRefused("the picture's address is not an http address", reason="address")
    return address


def _led_to(address: httpx.URL, location: str) -> str:
    """Follow a redirect; one that leads nowhere is trouble at its store, which may pass.

    Raises:
        FetchRefused: It leads nowhere.
    """
    try:
        return str(_parsed(str(address.join(location))))
    except (ValueError, httpx.InvalidURL, FetchRefused):
        raise FetchRefused("the picture's address leads nowhere", reason="trouble") from None
