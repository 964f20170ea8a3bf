"""Where a body goes while it arrives: only the sink knows what its pieces are pieces of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, Self, TypeAlias

from stage3_plugin.errors import SpoolRefused

PIECE_BYTES = 64 * 1024
_IGNORED_BYTES = 64 * 1024
ANSWERED_WITHIN_S = 15.0
MOST_BYTES = 1 << 20
"""The longest answer that is known, a list of all models, has half of it."""

Ending: TypeAlias = Literal["whole", "closed", "cut"]
"""How a body ended: as its head said, in good order and without a word of its length, or not so."""


class ReplySink(Protocol):
    """Where a body goes, as it comes; an answer's folder is one."""

    def feed(self, chunk: bytes) -> None:
        """Take the next piece.

        Raises:
            SpoolRefused: A cap is passed.
            StorageFailed: The disk did not take it.
        """
        ...

    def finish(self, how: Ending) -> bool:
        """Take the end of the body, once; in a thread, if it is not whole.

        Returns:
            Whether what came counts as an answer: a cut one does too, if what matters is whole.

        Raises:
            SpoolRefused: A cap is passed.
            StorageFailed: The disk did not take it.
        """
        ...


class Ignored:
    """A page that is not wanted, taken so far that a short one's connection ends in good order.

    Args:
        what: It is in place of.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._left = _IGNORED_BYTES

    def feed(self, chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            raise SpoolRefused(f"a page that is no {self._what}")

    def finish(self, how: Ending) -> bool:
        return how != "cut"


@dataclass(slots=True, kw_only=True)
class Answer:
    """What came of asking what costs nothing, and the sink that it flows into.

    Nothing of it has to be kept, so there is a small bound on it and on its time, and cancelling
    it loses nothing.

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
