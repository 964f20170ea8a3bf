"""How the ledger asks a database, whichever keeps it: SQLite's file, or a server.

Apart from both, so that what asks knows neither of them. Statements are written once, in words that
both take, with ``?`` for their values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias


class Cursor(Protocol):
    """What a statement found, or changed."""

    @property
    def rowcount(self) -> int:
        """Return how many rows it changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row as a tuple; ``None`` after the last."""
        ...

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


Execute: TypeAlias = Callable[..., Cursor]
"""Runs a statement with its values, ``(statement, values)``, on the ledger's connection."""


class RuleBroken(Exception):
    """Something of ours cannot be, whatever the database says: nothing of it may stay."""
