"""A ledger that is written to in the caller's thread: in virtual time, a thread would outrun it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.commits import Commit
from stage3_plugin.ledger.place import LedgerPlace

T = TypeVar("T")


class InlineCommit:
    """Commits without giving way to other tasks."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def __call__(self, work: Callable[[Ledger], T], /) -> T:
        """Run ``work`` in a transaction of its own."""
        with self._ledger.transaction():
            return work(self._ledger)


@asynccontextmanager
async def in_line(place: LedgerPlace) -> AsyncGenerator[Commit]:
    """Open what writes so to the ledger at a place."""
    with place.open() as ledger:
        yield InlineCommit(ledger)
