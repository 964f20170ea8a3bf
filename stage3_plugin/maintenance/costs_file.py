"""Where the file of what was spent goes: to its place at once when it is whole, or to the output.

It is written beside its place first, or into a file without a name, so that a ledger that cannot be
read to its end leaves no half of one, and a reader who takes his time keeps no database waiting.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, Final

from stage3_plugin.errors import Stage3Error, StorageFailed
from stage3_plugin.ledger.spending import spending, zone_of
from stage3_plugin.maintenance.costs import Costs, Question
from stage3_plugin.maintenance.focus import COLUMNS, write_csv
from stage3_plugin.maintenance.state_folder import StateFolder

_BEGINNING: Final = f"{COLUMNS[0]},{COLUMNS[1]},".encode()
_PIECE_CHARACTERS: Final = 1 << 20


class NotOurFile(Stage3Error):
    """There is a file of another kind where this one was to go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hint = "name another file, or move that one away; only a file of costs is replaced"
        super().__init__(f"{path} is there, and is no file of costs")


def save(folder: StateFolder, question: Question, path: Path, *, account: str) -> Costs:
    """Write the file; one of before is replaced once this one is whole.

    Args:
        folder: Whose ledger.
        question: What is told apart; the provider always is, and the month where the day is not.
        path: Where to.
        account: What the bills are called by.

    Returns:
        What it comes to, without its lines.

    Raises:
        NotOurFile: Something else is there.
        StorageFailed: It cannot be written.
        LedgerFailed: The ledger cannot be read.
    """
    try:
        _check(path)
        with NamedTemporaryFile("wb", dir=path.parent, prefix=".costs-", delete=False) as file:
            written = Path(file.name)
            try:
                costs = _write(folder, question, file, account=account)
                file.flush()
                os.fsync(file.fileno())
                written.replace(path)
            except BaseException:
                with suppress(OSError):
                    written.unlink()
                raise
    except OSError as error:
        raise StorageFailed(path, error) from error
    return costs


def send(folder: StateFolder, question: Question, *, account: str) -> Costs:
    """Write the file to the standard output; a reader who leaves early gets no more.

    Args:
        folder: Whose ledger.
        question: As for :func:`save`.
        account: Likewise.

    Raises:
        StorageFailed: There is no room for it, or the output does not take it.
        LedgerFailed: The ledger cannot be read.
    """
    try:
        with TemporaryFile("w+b") as file:
            costs = _write(folder, question, file, account=account)
            file.seek(0)
            _copy(file)
    except OSError as error:
        raise StorageFailed(Path("the standard output"), error) from error
    return costs


def _check(path: Path) -> None:
    try:
        with path.open("rb") as file:
            begins = file.read(len(_BEGINNING))
    except FileNotFoundError:
        return
    if begins and begins != _BEGINNING:
        raise NotOurFile(path)


def _write(folder: StateFolder, question: Question, file: IO[bytes], *, account: str) -> Costs:
    costs = Costs(question)
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    try:
        with folder.reading() as ledger:
            found = spending(
                ledger,
                (*question.by, "provider"),
                since=question.since,
                until=question.until,
                by_month="day" not in question.by,
            )
            for spent in write_csv(found, text, account=account, zone=zone_of(ledger)):
                costs.total.add(spent)
        text.flush()
    finally:
        text.detach()
    return costs


def _copy(file: IO[bytes]) -> None:
    """Copy to the standard output, as bytes where it takes them."""
    out = sys.stdout
    if out is None:  # pyright: ignore[reportUnnecessaryComparison]  # closed by the parent process
        raise OSError(errno.EBADF, "it is closed")
    try:
        binary = getattr(out, "buffer", None)
        if binary is not None:
            out.flush()
            shutil.copyfileobj(file, binary)
            binary.flush()
        else:
            shutil.copyfileobj(io.TextIOWrapper(file, "utf-8", newline=""), out, _PIECE_CHARACTERS)
            out.flush()
    except BrokenPipeError:
        with suppress(OSError):  # so that nothing is said when Python closes it
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
