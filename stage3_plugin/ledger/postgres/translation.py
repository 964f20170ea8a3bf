"""What PostgreSQL's errors mean to a person who need not know PostgreSQL.

By SQLSTATE, which is the same in every version and language. What its driver says beside that is
shown only where the sentence is the server's own, and never with a password in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from errno import EACCES, EAGAIN, ECONNRESET, EINVAL, EIO, ENOSPC, EROFS, ETIMEDOUT
from typing import Final

from psycopg import Error, OperationalError

from stage3_plugin.errors import LedgerFailed
from stage3_plugin.ledger.translation import Meaning
from stage3_plugin.runtime.database_url import DatabaseUrl

RUN_AGAIN: Final = "see that the server can be reached, and run again: nothing is paid twice"
_LOST: Final = Meaning("the connection to the database was lost", ECONNRESET, RUN_AGAIN)
_LOCKED: Final = Meaning(
    "it took too long: another driver keeps it locked, or the server is overloaded",
    EAGAIN,
    "see whether a driver hangs, and run again: nothing is paid twice",
)
_OTHER_TABLES: Final = Meaning(
    "its tables are not those of the version that it is marked with",
    EINVAL,
    "somebody has changed it: bring back a backup; the pictures are still there",
)
_DAMAGED: Final = Meaning(
    "it is damaged", EIO, "stop all drivers and bring back a backup; the pictures are still there"
)
NOT_ALLOWED: Final = Meaning(
    "the role that asks has not all the rights that it needs",
    EACCES,
    "let the owner grant them: docs/postgres.md has the statements under Roles",
)

MEANINGS: Final[Mapping[str, Meaning]] = {
    "08": _LOST,
    "25P03": _LOST,
    "25P04": _LOST,
    "57P01": _LOST,
    "57P02": _LOST,
    "57P03": Meaning("the database is just starting or stopping", ECONNRESET, RUN_AGAIN),
    "57P05": _LOST,
    "57014": _LOCKED,
    "55P03": _LOCKED,
    "40": _LOCKED,
    "25006": Meaning(
        "it may not be written to",
        EROFS,
        "name the server that is written to: this one is a standby, or was set to be read only",
    ),
    "53100": Meaning(
        "the disk of the database is full",
        ENOSPC,
        "free space on the server, and run again: nothing is paid twice",
    ),
    "53200": Meaning("the server has no memory left for it", EAGAIN, "run again later"),
    "53300": Meaning(
        "the server has no connection left",
        EAGAIN,
        "a driver needs two: raise max_connections, or end what is idle",
    ),
    "42501": NOT_ALLOWED,
    "3F000": _OTHER_TABLES,
    "42703": _OTHER_TABLES,
    "42883": _OTHER_TABLES,
    "42P01": _OTHER_TABLES,
    "58": Meaning("the server failed to read or write its files", EIO, "look into its log"),
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}
"""By SQLSTATE, or by the class that it begins with."""


def ledger_failed(
    url: DatabaseUrl, shown: str, error: Error, *, waited_s: float | None = None
) -> LedgerFailed:
    """Say in our words what a database error means.

    Args:
        url: Whose password is shown nowhere.
        shown: What is shown in its place.
        error: What the driver raised.
        waited_s: Seconds after which the connection was cut, if it was.
    """
    if waited_s is not None:
        problem = f"the database has not answered for {waited_s:g} s"
        return LedgerFailed(shown, problem, number=ETIMEDOUT, hint=RUN_AGAIN)
    state = error.sqlstate
    if state is None:
        if isinstance(error, OperationalError):
            return _LOST.of(shown)
        return LedgerFailed(
            shown,
            f"the driver met {type(error).__name__}",
            number=EINVAL,
            hint="this is a mistake in the program; please report it",
        )
    meaning = MEANINGS.get(state) or MEANINGS.get(state[:2])
    if meaning is not None:
        return meaning.of(shown)
    # A rule of the schema, named by the schema, or a mistake of ours. The first line has no values.
    said = url.without_password(error.diag.message_primary or type(error).__name__)
    hint = "this is a mistake in the program; please report it"
    return LedgerFailed(shown, f"{said} ({state})", number=EINVAL, hint=hint)
