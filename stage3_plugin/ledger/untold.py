"""What came of lines of batches that no scene has been told of, by the subject of their wish.

Whoever takes in a line of a run that has ended may be no run, or one of another story. What the
provider said of it is noted in the transaction that settles it, until a scene has ended by it, or
its wish is bought again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stage3_plugin.domain.purchase import NewPurchase
from stage3_plugin.ledger import statements as sql
from stage3_plugin.ledger.engine import Execute

UNTOLD: Final = "untold:"
"""What ``meta`` calls these lines, before their subject."""


def of(execute: Execute, subject_key: str) -> dict[str, str]:
    """Return the words noted for a subject, by purchase."""
    row = execute(sql.META, (UNTOLD + subject_key,)).fetchone()
    noted = (one.partition("=") for one in str(row[0]).split()) if row is not None else ()
    return {attempt_id: word for attempt_id, _, word in noted}


def note(execute: Execute, line: NewPurchase, word: str) -> None:
    """Note what came of a line, in one word without spaces."""
    noted = of(execute, line.subject_key)
    _write(execute, line.subject_key, {**noted, line.attempt_id: word})


def tell(execute: Execute, line: NewPurchase) -> None:
    """Note that a scene was told of a line."""
    noted = of(execute, line.subject_key)
    if noted.pop(line.attempt_id, None) is not None:
        _write(execute, line.subject_key, noted)


def overtake(execute: Execute, new: NewPurchase) -> None:
    """Forget what was noted for the subject of what is bought now."""
    if of(execute, new.subject_key):
        _write(execute, new.subject_key, {})


def _write(execute: Execute, subject_key: str, noted: Mapping[str, str]) -> None:
    words = " ".join(f"{attempt_id}={word}" for attempt_id, word in noted.items())
    execute(sql.NOTE, (UNTOLD + subject_key, words))
