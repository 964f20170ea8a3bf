"""What the ledger needs of a database, whichever keeps it: SQLite's file, or a server.

Apart from both, so that what is written (the book) and that it is written wholly or not at all
(:mod:`stage3_plugin.ledger.database`) know neither of them. Statements are written once, in words
that every engine takes, with ``?`` for their values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from stage3_plugin.errors import LedgerFailed


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


class Engine(Protocol):
    """One connection to a database, used by one thread at a time."""

    @property
    def shown(self) -> str:
        """Return where it is, for people: a path, or an address without what is secret."""
        ...

    @property
    def path(self) -> Path:
        """Return its file; of a server the address, as far as a path can hold one."""
        ...

    @property
    def begin(self) -> tuple[str, ...]:
        """Return the statements that begin a transaction which alone may write until its end."""
        ...

    @property
    def execute(self) -> Execute:
        """Return what runs a statement. It raises what the database raises."""
        ...

    def rows(self, statement: str, values: Sequence[object], /) -> Iterator[Any]:
        """Yield what a statement finds at one moment, and keep none of it, however much it is."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Return whether a transaction goes on, or has failed and was not undone yet."""
        ...

    def run(self, statement: str) -> None:
        """Run a statement that begins, ends or divides a transaction.

        Raises what the database raises, or :class:`LedgerFailed`.
        """
        ...

    def one_moment(self) -> AbstractContextManager[None]:
        """Read one state of the database in the block, also while others write."""
        ...

    def why_not_here(self) -> LedgerFailed | None:
        """Return why what is written now would not be found by the next run; ``None`` if it is."""
        ...

    def damage(self) -> list[str]:
        """Return what the database itself finds damaged, one in a line."""
        ...

    def dangling(self) -> Iterable[str]:
        """Return the rows that speak of others which are not there, one in a line."""
        ...

    def show_home(self, home: str) -> None:
        """Show to others that a home is connected, while this connection lasts."""
        ...

    def home_is_connected(self, home: str) -> bool:
        """Return whether any connection shows a home; for a file, none does."""
        ...

    def translated(self, error: Exception) -> LedgerFailed | None:
        """Say in our words what an error of the database means; ``None`` if it is none of its."""
        ...

    def close(self) -> None:
        """Close the connection; a transaction that is not committed is undone."""
        ...
