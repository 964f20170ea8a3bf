"""Asks the API what costs nothing: one GET, whose short answer is read into memory.

The same connections, proxies, certificates and patience as for a paid request, and its key; apart
from the client because here nothing has to be kept: no answer is worth anything after it was read,
so there is a small bound on it and on its time, and cancelling it loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stage3_plugin.errors import SpoolRefused
from stage3_plugin.transport.connection import FreshConnection, Terms
from stage3_plugin.transport.exchange import Receiving, exchange, reading
from stage3_plugin.transport.lookups import Lookups
from stage3_plugin.transport.patience import Patience
from stage3_plugin.transport.sinks import Ending

ANSWERED_WITHIN_S = 15.0
MOST_BYTES = 1 << 20
"""The longest answer that is known, a list of all models, has half of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of asking.

    Attributes:
        problem: Why there is no whole answer; empty if there is one.
        status: Its HTTP status.
        headers: Names in lower case.
        body: As it came.
    """

    problem: str = ""
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes = field(default=b"", repr=False)


async def ask(
    transport: FreshConnection,
    url: str,
    headers: Mapping[str, str],
    *,
    lookups: Lookups,
    timeout_s: float,
    connect_s: float,
) -> Answer:
    """Get an address of the API once, and return its answer; never raises for trouble.

    A redirect is an answer, and not followed. May be cancelled.

    Args:
        transport: Asks.
        url: At a place of the API's own, which the caller has seen to.
        headers: With the key.
        lookups: Finds the addresses of names.
        timeout_s: Seconds for one whole exchange; a quarter of a minute is enough here.
        connect_s: Seconds for the connection to be made.
    """
    within_s = min(ANSWERED_WITHIN_S, timeout_s)
    patience, state, sink = Patience(within_s), Receiving(), _Memory()
    request = reading(url, headers, connect_s=connect_s)
    await exchange(transport, request, sink.opened, state, Terms(lookups, patience))
    state.look_who_answered(has_left=True)
    if state.complete and state.passed_on:
        return Answer(status=sink.status, headers=sink.headers, body=bytes(sink.body))
    if patience.is_over:
        return Answer(problem=f"no complete answer within {within_s:g} s")
    return Answer(problem=state.problem)


class _Memory:
    """A body that is kept in memory, up to a bound."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.body = bytearray()

    def opened(self, status: int, headers: Mapping[str, str]) -> _Memory:
        self.status, self.headers = status, headers
        return self

    def feed(self, chunk: bytes) -> None:
        if len(self.body) + len(chunk) > MOST_BYTES:
            raise SpoolRefused(f"the answer has over {MOST_BYTES:,} bytes")
        self.body += chunk

    def finish(self, how: Ending) -> bool:
        """Take one without a length as it came: JSON shows a cut by itself."""
        return how != "cut"
