"""Asks the API what costs nothing: one GET, whose short answer is read into memory.

The same connections, proxies, certificates and patience as for a paid request, and its key; apart
from the client because here nothing has to be kept: no answer is worth anything after it was read,
so there is a small bound on it and on its time, and cancelling it loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from stage3_plugin.errors import SpoolRefused
from stage3_plugin.transport.sinks import Ending

ANSWERED_WITHIN_S = 15.0
MOST_BYTES = 1 << 20
"""The longest answer that is known, a list of all models, has half of it."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """What came of asking, and the sink that it flows into.

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

    def opened(self, status: int, headers: Mapping[str, str]) -> Self:
        """Take an answer whatever its status."""
        self.status, self.headers = status, headers
        return self

    def feed(self, chunk: bytes) -> None:
        if len(self.body) + len(chunk) > MOST_BYTES:
            raise SpoolRefused(f"the answer has over {MOST_BYTES:,} bytes")
        self.body += chunk

    def finish(self, how: Ending) -> bool:
        return how != "cut"
