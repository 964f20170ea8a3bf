"""What a ledger can account for among the things that lie in its folder, and what was accepted.

Apart from the book, which goes by scenes and money, and never by what lies on the disk.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from stage3_plugin.ledger import statements as sql
from stage3_plugin.ledger.database import Database, translated
from stage3_plugin.ledger.records import moment

_ACCEPTED: Final = "accepted:"


class Accountable(Database):
    """A database that knows which answers and pictures belong to its purchases."""

    @translated
    def acknowledge(self, names: Collection[str], *, now: datetime) -> None:
        """Record that a person knows of answers and pictures that no purchase accounts for."""
        self._inside()
        for name in names:
            self._execute(sql.ACKNOWLEDGE, (f"{_ACCEPTED}{name}", moment(now)))

    @translated
    def acknowledged(self) -> frozenset[str]:
        """Return the answers and pictures that :meth:`acknowledge` has recorded."""
        names = self._execute(sql.ACKNOWLEDGED).fetchall()
        return frozenset(name.removeprefix(_ACCEPTED) for (name,) in names)

    @translated
    def show_home(self, home: str) -> None:
        """Show to other drivers that a home is connected, for as long as this connection lasts.

        Only a brake for a person who gives a home up; it proves nothing about its purchases.
        """
        self.engine.show_home(home)

    @translated
    def home_is_connected(self, home: str) -> bool:
        """Return whether a driver of a home is connected right now; for a file, ``False``."""
        return self.engine.home_is_connected(home)

    @translated
    def pictures(self) -> frozenset[str]:
        """Return the SHA-256 of every picture that is recorded as there."""
        return frozenset(sha256 for (sha256,) in self._execute(sql.PICTURES))

    @translated
    def drawn_pictures(self) -> frozenset[str]:
        """Return the SHA-256 of those that were only ever made on this machine, for nothing."""
        return frozenset(sha256 for (sha256,) in self._execute(sql.DRAWN_PICTURES))

    @translated
    def may_have_pictures(self) -> int:
        """Count the purchases that may have a picture, though none is recorded."""
        (count,) = self._execute(sql.MAY_HAVE_PICTURES).fetchone()
        return int(count)

    @translated
    def without_a_row(self, attempt_ids: Collection[str]) -> frozenset[str]:
        """Return those attempts, or tokens of batches, that no row has."""
        return frozenset(
            one for one in attempt_ids if self._execute(sql.IS_THERE, (one,)).fetchone() is None
        )
