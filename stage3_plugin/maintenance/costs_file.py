"""What was spent as a CSV file, which is there whole or not at all.

What is not known has its own rows, of no cost, with the most that it can come to beside. It is
written beside its place first, so that a ledger that cannot be read to its end leaves no half of
one, and a reader who takes his time keeps no database waiting.

Cells are read by spreadsheets, which take some texts for formulas; none of a scene, a model or a
folder is left that one would run.
"""

from __future__ import annotations

import csv
import errno
import io
import os
import re
import shutil
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, Final

from stage3_plugin.domain.money import to_usd
from stage3_plugin.errors import Stage3Error, StorageFailed
from stage3_plugin.ledger.calendar import start_of
from stage3_plugin.ledger.spending import Spent, spending, zone_of
from stage3_plugin.maintenance.costs import Amounts, Question, report
from stage3_plugin.maintenance.report import Report
from stage3_plugin.maintenance.state_folder import StateFolder

STDOUT: Final = Path("-")
COLUMNS: Final = (
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ProviderName",
    "BilledCost",
    "ConsumedQuantity",
    "x_Model",
    "x_Story",
    "x_Scene",
    "x_CostStatus",
    "x_CostBasis",
    "x_HeldCost",
    "x_Pictures",
)
_BEGINNING: Final = f"{COLUMNS[0]},{COLUMNS[1]},".encode()
_PIECE_CHARACTERS: Final = 1 << 20
_RUNS: Final = re.compile(r"(^|[,;|\"'])(\s*)(?=[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])")
"""Where a spreadsheet may see the beginning of a formula: at the beginning of a cell, and behind
what separates cells in some country's files."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""What a terminal obeys, or what is not seen and may stand before a formula."""


class NotOurFile(Stage3Error):
    """There is a file of another kind where this one was to go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hint = "name another file, or move that one away; only a file of costs is replaced"
        super().__init__(f"{path} is there, and is no file of costs")


def save(folder: StateFolder, question: Question, path: Path) -> Report:
    """Write the file; one of before is replaced once this one is whole.

    Args:
        folder: Whose ledger.
        question: What is told apart; the provider always is, and the month where the day is not.
        path: Where to; ``-`` is the standard output, whose reader may leave early.

    Raises:
        NotOurFile: Something else is there.
        StorageFailed: It cannot be written.
        LedgerFailed: The ledger cannot be read.
    """
    try:
        if path == STDOUT:
            with TemporaryFile("w+b") as file:
                total = _write(folder, question, file)
                file.seek(0)
                _copy(file)
        else:
            total = _replace(folder, question, path)
    except OSError as error:
        name = Path("the standard output") if path == STDOUT else path
        raise StorageFailed(name, error) from error
    told = report(folder, question, total, before=[f"{path} has it"], csv=path)
    return replace(told, sentences=()) if path == STDOUT else told


def _replace(folder: StateFolder, question: Question, path: Path) -> Amounts:
    with suppress(FileNotFoundError), path.open("rb") as there:
        begins = there.read(len(_BEGINNING))
        if begins and begins != _BEGINNING:
            raise NotOurFile(path)
    with NamedTemporaryFile("wb", dir=path.parent, prefix=".costs-", delete=False) as file:
        written = Path(file.name)
        try:
            total = _write(folder, question, file)
            file.flush()
            os.fsync(file.fileno())
            written.replace(path)
        except BaseException:
            with suppress(OSError):
                written.unlink()
            raise
    return total


def _write(folder: StateFolder, question: Question, file: IO[bytes]) -> Amounts:
    total, text = Amounts(), io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        with folder.reading() as ledger:
            rows, zone = csv.writer(text, lineterminator="\n"), zone_of(ledger)
            rows.writerow(COLUMNS)
            for spent in spending(
                ledger,
                (*question.by, "provider"),
                since=question.since,
                until=question.until,
                by_month="day" not in question.by,
            ):
                rows.writerow(row_of(spent, zone))
                total.add(spent)
        text.flush()
    finally:
        text.detach()
    return total


def row_of(spent: Spent, zone: tzinfo) -> tuple[str, ...]:
    """Return a row of the file; days are of the ledger's zone, and moments in UTC."""
    amount = format(to_usd(spent.microusd), "f")
    cost, held = (amount, "") if spent.status == "known" else ("0", amount)
    return (
        *_period(spent.first_day, spent.last_day, zone),
        harmless(spent.provider),
        cost,
        str(spent.requests),
        harmless(spent.model),
        harmless(spent.story),
        harmless(spent.scene),
        spent.status,
        spent.basis,
        "" if spent.basis == "unknown" else held,  # the most that it can come to is not known
        str(spent.pictures),
    )


@lru_cache(maxsize=1024)
def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula, and no terminal for an order.

    A ``'`` is put before what would begin one; control characters are replaced.
    """
    return _RUNS.sub(r"\1\2'", _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text))


@lru_cache(maxsize=1024)  # many rows are of one day
def _period(first_day: str, last_day: str, zone: tzinfo) -> tuple[str, str]:
    """Return when a charge was made: until the day after the last one begins."""
    after = date.fromisoformat(last_day) + timedelta(days=1)
    return _utc(start_of(date.fromisoformat(first_day), zone)), _utc(start_of(after, zone))


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


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
