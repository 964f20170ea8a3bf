"""Checks what a ledger promises: that it agrees with itself, and that every picture is there.

Checking writes nothing, and reads every picture from end to end. Apart from the ledger, which knows
no files, and from the store, which knows no purchases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from errno import EIO
from pathlib import Path
from typing import Literal, TypeAlias

from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.states import State
from stage3_plugin.errors import LedgerFailed, PictureRefused, StorageFailed
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.copies import copies_of, fault_of
from stage3_plugin.maintenance.state_folder import LedgerMissing, StateFolder
from stage3_plugin.purchase.inventory import Listed, Unaccounted, beyond
from stage3_plugin.runtime.system_errors import says_not_there
from stage3_plugin.storage.base import PictureStore
from stage3_plugin.storage.inspect import inspect_open

ProblemKind: TypeAlias = Literal[
    "ledger", "missing", "damaged", "unreadable", "different", "copy", "outdated"
]
"""What is wrong: the ledger itself, a picture that is gone, broken, not to be read now (and may be
whole), or is not as it is recorded, a copy that was kept of an older version of the ledger, or a
ledger older than its folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: See :data:`ProblemKind`.
        message: In one line.
        path: The file.
        scene_ids: Whose picture it is; none if it is the ledger's own.
        attempt_ids: Their purchases.
    """

    kind: ProblemKind
    message: str
    path: Path
    scene_ids: tuple[str, ...] = ()
    attempt_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What :func:`verify` found.

    Attributes:
        purchases: How many of the ledger's purchases have a picture.
        pictures: How many different pictures those are.
        problems: What is wrong.
        corrected: How many costs a person has put right.
        copies: What was kept of the ledger as older versions left it.
    """

    purchases: int
    pictures: int
    problems: tuple[Problem, ...]
    corrected: int = 0
    copies: tuple[Path, ...] = ()


@dataclass(slots=True)
class _Wanted:
    """A picture that has to be there, and the purchases it belongs to."""

    picture: Picture
    attempt_ids: list[str] = field(default_factory=list[str])
    scene_ids: list[str] = field(default_factory=list[str])


def verify(
    folder: StateFolder, *, progress: Callable[[int, int], None] = lambda _done, _of: None
) -> Verified:
    """Check that the ledger agrees with itself, and that every picture it speaks of is there.

    Reads every picture from end to end: its hash and its structure have to be right.

    Args:
        folder: What to check.
        progress: Called with how many pictures are checked, and of how many.

    Raises:
        LedgerMissing: There is no ledger.
        LedgerFailed: It cannot be opened at all, or cannot be read now: that is no damage.
    """
    listed = _listed(folder)
    with folder.reading() as ledger:
        problems = list(_of_ledger(ledger))
        wanted: dict[Picture, _Wanted] = {}
        corrected = 0
        try:
            wanted = _pictures(ledger)
            corrected = len(ledger.corrections())
            if isinstance(listed, Listed):
                problems += _of_folder(listed, ledger)
            else:
                problems.append(listed)
        except LedgerFailed as failed:
            if not _is_damage(failed):
                raise
            # What is wrong was found before it failed, or is this failure.
            problems = problems or [_ledger_problem(ledger, failed.problem)]
    for done, one in enumerate(wanted.values()):
        progress(done, len(wanted))
        problems.extend(_check(one, folder.store))
    progress(len(wanted), len(wanted))
    copies = copies_of(folder.ledger_path)
    problems.extend(_of_copies(copies))
    purchases = sum(len(one.attempt_ids) for one in wanted.values())
    return Verified(
        purchases=purchases,
        pictures=len(wanted),
        problems=tuple(problems),
        corrected=corrected,
        copies=tuple(copies),
    )


def _listed(folder: StateFolder) -> Listed | Problem:
    """Name what lies in the folder, or say that this cannot be done now."""
    try:
        return Listed.of(folder.store, folder.spool)
    except StorageFailed as failed:
        message = f"what lies there cannot be told now ({failed.cause.strerror})"
        return Problem(kind="unreadable", message=message, path=failed.path)


def _of_folder(listed: Listed, ledger: Ledger) -> Iterator[Problem]:
    """Return what the folder holds beyond what the ledger can account for."""
    more = beyond(listed, ledger)
    if more is not None:
        message = f"this ledger is older than its folder: no purchase is known for {more}"
        yield Problem(kind="outdated", message=message, path=ledger.path)


def accept(folder: StateFolder, *, now: datetime) -> Unaccounted | None:
    """Record that a person knows what the folder holds beyond the ledger.

    Runs start again then, and buy it again. A ledger that is not there is begun.

    Returns:
        What was accepted; ``None`` if there was nothing.

    Raises:
        LedgerMissing: There is no ledger, and nothing in the folder.
        LedgerFailed: It cannot be changed.
    """
    listed = Listed.of(folder.store, folder.spool)
    if not (listed.answers or listed.pictures) and not folder.place.exists():
        raise LedgerMissing(folder.ledger_path)
    with folder.place.open() as ledger, ledger.transaction():
        more = beyond(listed, ledger)
        if more is not None:
            ledger.acknowledge(more.answers | more.pictures, now=now)
    return more


def _of_copies(copies: list[Path]) -> Iterator[Problem]:
    """Return the copies of older versions that cannot be restored."""
    for copy in copies:
        fault = fault_of(copy)
        if fault is not None:
            yield Problem(kind="copy", message=f"the copy is damaged: {fault}", path=copy)


def _of_ledger(ledger: Ledger) -> Iterator[Problem]:
    """Return what is wrong with the ledger itself."""
    try:
        for problem in ledger.problems():
            yield _ledger_problem(ledger, problem)
    except LedgerFailed as failed:
        if not _is_damage(failed):
            raise
        # So damaged that it cannot check itself.
        yield _ledger_problem(ledger, failed.problem)


def _is_damage(failed: LedgerFailed) -> bool:
    """Return whether something is wrong with the ledger, and not with its disk being full, say."""
    return failed.cause.errno == EIO


def _ledger_problem(ledger: Ledger, message: str) -> Problem:
    return Problem(kind="ledger", message=message, path=ledger.path)


def _pictures(ledger: Ledger) -> dict[Picture, _Wanted]:
    """Return the pictures of all purchases, so that each is read once."""
    wanted: dict[Picture, _Wanted] = {}
    for purchase in ledger.purchases(states={State.PAID}):
        if purchase.picture is None:  # the ledger itself refuses such a row
            continue
        one = wanted.setdefault(purchase.picture, _Wanted(purchase.picture))
        one.attempt_ids.append(purchase.new.attempt_id)
        one.scene_ids.append(purchase.new.scene_id)
    return wanted


def _check(wanted: _Wanted, store: PictureStore) -> Iterator[Problem]:
    """Return what is wrong with one picture."""
    found = _what_is_wrong(wanted.picture, store)
    if found is not None:
        kind, message = found
        yield Problem(
            kind=kind,
            message=message,
            path=store.where(wanted.picture.sha256),
            scene_ids=tuple(wanted.scene_ids),
            attempt_ids=tuple(wanted.attempt_ids),
        )


def _what_is_wrong(recorded: Picture, store: PictureStore) -> tuple[ProblemKind, str] | None:
    try:
        with store.read(recorded.sha256) as file:
            seen = inspect_open(file, max_pixels=recorded.width_px * recorded.height_px).picture
    except IsADirectoryError:
        return "missing", "the picture is not there: that is no file"
    except PictureRefused as refused:
        return "damaged", f"the picture is damaged: {refused}"
    except (StorageFailed, OSError) as failed:
        cause = failed.cause if isinstance(failed, StorageFailed) else failed
        if says_not_there(cause):
            return "missing", "the picture is not there"
        return "unreadable", (
            f"the picture cannot be read now ({cause.strerror or type(cause).__name__}), so nobody "
            "can say whether it is whole"
        )
    if seen.sha256 != recorded.sha256:
        return "damaged", f"the picture is another one: its SHA-256 is {seen.sha256}"
    if seen != recorded:
        return "different", "the picture is whole, but the ledger describes it differently"
    return None
