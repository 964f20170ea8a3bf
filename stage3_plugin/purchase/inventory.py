"""What lies in a state folder, compared with what its ledger knows: is the ledger as new as that?

A ledger that was emptied, cut, deleted or brought back from an old copy knows less than its folder,
and a run that believes it buys everything again. The folder shows it: an answer's folder is made
only once its row is durable, and every picture belongs to a row, or is stored a moment before its
row says so. Apart from the ledger, which knows no files, and from the store, which knows no
purchases.

Only the folder of a batch is made before its rows: its file is handed over for nothing, and what is
in it until the create is begun says nothing of any row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from stage3_plugin.ledger.book import Ledger
from stage3_plugin.storage.spool.folders import SpoolFolders
from stage3_plugin.storage.store import PictureStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What lies in a state folder. To be listed before the ledger is read: rows only come to be.

    Attributes:
        answers: The attempts, and batches, that have a folder for their answer.
        pictures: The stored pictures, by SHA-256.
    """

    answers: frozenset[str]
    pictures: frozenset[str]

    @classmethod
    def of(cls, store: PictureStore, spool: SpoolFolders) -> Self:
        """List them.

        Raises:
            StorageFailed: They cannot be listed.
        """
        pictures = store.pictures()
        return cls(answers=frozenset(spool.begun()), pictures=pictures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unaccounted:
    """What a folder holds beyond what its ledger can account for.

    Attributes:
        answers: Folders of attempts that no row has.
        pictures: Pictures that no row has.
        to_be_expected: How many pictures without a row there may be.
    """

    answers: frozenset[str]
    pictures: frozenset[str]
    to_be_expected: int

    def __str__(self) -> str:
        """Say which, in a few words."""
        named = [
            f"{len(names):,} {what} ({min(names)[:12]}…{', and others' if len(names) > 1 else ''})"
            for names, what in (
                (self.pictures, "in objects/"),
                (self.answers, "in spool/"),
            )
            if names
        ]
        text = " and ".join(named)
        if self.pictures and self.to_be_expected:
            text += f", of which {self.to_be_expected:,} can be accounted for"
        return text


def beyond(listed: Listed, ledger: Ledger | None) -> Unaccounted | None:
    """Return what lies in a folder and cannot be there by its ledger; ``None`` if all of it can.

    Args:
        listed: What lies there; see there for when.
        ledger: The folder's; ``None`` if there is none.

    Raises:
        LedgerFailed: It cannot be read.
    """
    answers, pictures, to_be_expected = listed.answers, listed.pictures, 0
    if ledger is not None and (answers or pictures):
        accepted = ledger.acknowledged()
        answers = ledger.without_a_row(answers) - accepted
        pictures = pictures - ledger.pictures() - accepted
        to_be_expected = ledger.may_have_pictures() if pictures else 0
    if len(pictures) <= to_be_expected:
        pictures = frozenset[str]()
    if not (answers or pictures):
        return None
    return Unaccounted(answers=answers, pictures=pictures, to_be_expected=to_be_expected)
