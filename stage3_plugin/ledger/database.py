"""The ledger's database: written to in transactions, and read.

What a transaction promises is shown here alone: all of it or nothing, and true only once its end
has returned. Apart from the book, which knows what is written, and from the engines, which know
where.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import wraps
from inspect import isfunction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeAlias, TypeVar

from stage3_plugin.errors import LedgerFailed
from stage3_plugin.ledger import identity, sqlite
from stage3_plugin.ledger.engine import Execute, RuleBroken

if TYPE_CHECKING:
    from stage3_plugin.ledger.postgres.engine import PostgresEngine

D = TypeVar("D", bound="Database")
P = ParamSpec("P")
T = TypeVar("T")
Engine: TypeAlias = "sqlite.SqliteEngine | PostgresEngine"
"""One connection to a database, used by one thread at a time."""


def translated(
    method: Callable[Concatenate[D, P], T],
) -> Callable[Concatenate[D, P], T]:
    """Let a method raise the database's errors as ours."""

    @wraps(method)
    def translating(self: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            ours = self.translation(error)
            if ours is None:
                raise
            raise ours from error

    return translating


class Database:
    """An opened database; made by :meth:`open` and :meth:`open_to_read`, or by a place.

    Attributes:
        engine: The connection to it.
        path: Its file; of a server the address, as far as a path can hold one.
        shown: Where it is, for people.

    Raises:
        LedgerFailed: Here and in every method: the database did not do what it was asked.
    """

    def __init_subclass__(cls) -> None:
        """Have everything that is asked of a ledger raise the database's errors as ours."""
        for name, member in list(vars(cls).items()):
            if isfunction(member) and not name.startswith("_"):
                setattr(cls, name, translated(member))

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.path = engine.path
        self.shown = engine.shown
        self._moved: LedgerFailed | None = None
        self._execute: Execute = engine.execute

    # Opening -------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a ledger's file to write; it is made if there is none.

        Raises:
            SettingsRefused: The file is a ledger of another version, or something else.
            StorageFailed: It cannot be made or opened.
        """
        return cls(sqlite.open_to_write(path))

    @classmethod
    def open_to_read(cls, path: Path) -> Self | None:
        """Open a ledger's file so that nothing can be written; ``None`` if there is none.

        Raises:
            SettingsRefused: The file is a ledger of another version, or something else.
            LedgerFailed: It cannot be opened.
        """
        engine = sqlite.open_to_read(path)
        return None if engine is None else cls(engine)

    @classmethod
    def empty(cls, path: Path) -> Self:
        """Return one that has nothing in it and lies nowhere, where there is none.

        Args:
            path: Where one would be, for messages.
        """
        return cls(sqlite.in_memory(path, identity.opening(path)))

    def close(self) -> None:
        """Close the connection; a transaction that is not committed is undone."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Transactions --------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Make what is written in the block durable at its end, or undo it if the block fails.

        No other connection writes meanwhile. Only once the block has ended without an error is
        anything of it durable.

        Raises:
            LedgerMoved: The ledger is not any more where it was opened. What settles a purchase
                was written all the same, to wherever it is now; nothing new is begun in it.
        """
        self._moved = self.engine.why_not_here()
        try:
            for statement in self.engine.begin:
                self.run(statement)
            yield
            # A full disk has undone all of it already; then this says that there is none.
            self.run("COMMIT")
        except BaseException:
            self.undo("ROLLBACK")
            raise
        moved = self.engine.why_not_here()
        if moved is not None:
            raise moved

    def is_where_it_was(self) -> None:
        """Check that the next run would find what is begun in this transaction.

        Raises:
            LedgerMoved: It would not.
        """
        if self._moved is not None:
            raise self._moved

    @contextmanager
    def savepoint(self) -> Generator[None]:
        """Undo what is written in the block if it fails, and nothing else of the transaction."""
        self._inside()
        self.run("SAVEPOINT piece")
        try:
            yield
        except BaseException:
            self.undo("ROLLBACK TO piece", "RELEASE piece")
            raise
        self.run("RELEASE piece")

    def translation(self, error: Exception) -> LedgerFailed | None:
        """Say in our words what an error means; ``None`` if it is none of the database's."""
        if isinstance(error, RuleBroken):
            hint = "this is a mistake in the program; please report it"
            return LedgerFailed(self.shown, str(error), hint=hint)
        return self.engine.translated(error)

    @translated
    def run(self, statement: str) -> None:
        """Run a statement that returns nothing."""
        self.engine.run(statement)

    @translated
    def undo(self, *statements: str) -> None:
        """Take back what was written, unless the database has done so already."""
        if self.engine.in_transaction:
            for statement in statements:
                self.engine.run(statement)

    def _inside(self) -> None:
        """Make sure that a transaction goes on: outside of one, each write would be its own."""
        if not self.engine.in_transaction:
            raise LedgerFailed(
                self.shown,
                "there is no transaction, or it was undone",
                hint="look for an earlier error, such as a full disk",
            )
