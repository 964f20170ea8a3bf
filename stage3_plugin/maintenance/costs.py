"""What was spent, by day, provider, model, story or scene; read from the ledger, and nothing else.

Three amounts stay apart: what is known to have been spent, what is held for requests of which
nobody knows whether, or what, they were billed, and what is held for those in work. Together they
are what the ledger counts, to the micro-USD.

As a CSV file it is there whole or not at all. What is not known has its own rows there, of no cost,
with the most that it can come to beside. It is written beside its place first, so that a ledger
that cannot be read to its end leaves no half of one, and a reader who takes his time keeps no
database waiting. Cells are read by spreadsheets, which take some texts for formulas; none of a
scene, a model or a folder is left that one would run.
"""

from __future__ import annotations

import csv
import errno
import io
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, Final, TypeAlias

from stage3_plugin.domain.money import to_usd
from stage3_plugin.errors import Stage3Error, StorageFailed
from stage3_plugin.ledger.calendar import start_of
from stage3_plugin.ledger.spending import Dimension, Spent, spending, zone_of
from stage3_plugin.maintenance.report import Report, counted, table, usd
from stage3_plugin.maintenance.state_folder import StateFolder

MOST_LINES: Final = 1000
"""Lines for people; programs and spreadsheets get all of them."""
_NOT_KNOWN: Final = "-"

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

Row: TypeAlias = "tuple[tuple[str, ...], Amounts]"
"""What is told apart, and what it comes to."""


@dataclass(slots=True)
class Amounts:
    """What some purchases come to; amounts are in micro-USD.

    Attributes:
        requests: All that may have been billed, or were answered for free.
        pictures: How many of them have a picture.
        spent_microusd: What those cost whose cost is known.
        estimated_microusd: How much of that is what was held, where no bill came with a picture.
        unknown: Of how many nobody knows whether, or what, they were billed.
        unknown_microusd: What is held for these.
        unpriced: For how many of these nothing was held: the most that they can have cost is not
            known either.
        in_work: How many are not settled.
        in_work_microusd: What is held for these.
    """

    requests: int = 0
    pictures: int = 0
    spent_microusd: int = 0
    estimated_microusd: int = 0
    unknown: int = 0
    unknown_microusd: int = 0
    unpriced: int = 0
    in_work: int = 0
    in_work_microusd: int = 0

    @property
    def counted_microusd(self) -> int:
        """Return what all of it counts under the caps."""
        return self.spent_microusd + self.unknown_microusd + self.in_work_microusd

    @property
    def at_most_microusd(self) -> int | None:
        """Return the most that what is unknown can have cost."""
        return None if self.unpriced else self.unknown_microusd

    def add(self, spent: Spent) -> None:
        """Add what the ledger says of some more."""
        self.requests += spent.requests
        self.pictures += spent.pictures
        if spent.status == "unknown":
            self.unknown += spent.requests
            self.unknown_microusd += spent.microusd
            self.unpriced += spent.requests if spent.basis == "unknown" else 0
        elif spent.status == "in_work":
            self.in_work += spent.requests
            self.in_work_microusd += spent.microusd
        else:
            self.spent_microusd += spent.microusd
            self.estimated_microusd += spent.microusd if spent.basis == "held" else 0

    def as_told(self) -> dict[str, object]:
        """Return what programs are told."""
        return {
            "requests": self.requests,
            "pictures": self.pictures,
            "spent_microusd": self.spent_microusd,
            "of_it_held_microusd": self.estimated_microusd,
            "unknown": {
                "requests": self.unknown,
                "at_most_microusd": self.at_most_microusd,
                "unpriced": self.unpriced,
            },
            "in_work": {"requests": self.in_work, "held_microusd": self.in_work_microusd},
            "counted_microusd": self.counted_microusd,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked for.

    Attributes:
        by: What is told apart, in the order of :data:`~.spending.DIMENSIONS`.
        since: The first day of the ledger that counts.
        until: The last one.
    """

    by: tuple[Dimension, ...]
    since: date | None = None
    until: date | None = None


def report(
    folder: StateFolder,
    question: Question,
    total: Amounts,
    *,
    before: Iterable[str] = (),
    **more: object,
) -> Report:
    """Say what was asked, and what it came to.

    Args:
        folder: Whose ledger.
        question: What was asked.
        total: What it came to.
        before: What people are told first.
        more: What programs are told, too.
    """
    days = {"by": question.by, "since": question.since, "until": question.until}
    document = {"format": "stage3-costs/1", "ledger": folder, **days, "total": total.as_told()}
    sentences = [*before, *_in_words(total), f"ledger: {folder.shown}"]
    return Report(document=document | more, sentences=sentences)


def _in_words(total: Amounts) -> Iterator[str]:
    """Yield what it comes to."""
    if not total.requests:
        yield "nothing was spent in that time"
        return
    yield (
        f"${usd(total.spent_microusd)} for {counted(total.pictures, 'picture')}, "
        f"by {counted(total.requests, 'request')}"
    )
    if total.estimated_microusd:
        yield (
            f"  of it ${usd(total.estimated_microusd)} by what was held, since no bill came "
            "with the pictures"
        )
    if doubtful := total.unknown - total.unpriced:
        at_most = f"${usd(total.unknown_microusd)} at most"
        yield (
            f"not in it: {counted(doubtful, 'request')} of which nobody knows whether they "
            f"were billed, {at_most} ('stage3 attempts' lists them)"
        )
    if total.unpriced:
        yield (
            f"not in it: {counted(total.unpriced, 'request')} whose cost nobody knows, with "
            "nothing held, since no price was known ('stage3 attempts --all' shows which; "
            "price_usd in the settings is one for the next)"
        )
    if total.in_work:
        yield f"not in it: {total.in_work:,} in work, with ${usd(total.in_work_microusd)} held"
    if total.counted_microusd != total.spent_microusd:
        yield f"under the caps all of it counts: ${usd(total.counted_microusd)}"


def _cells(by: Sequence[Dimension], total: Amounts, rows: Sequence[Row]) -> Iterator[list[str]]:
    """Yield rows; columns that would be empty everywhere are left out."""
    has_unknown, has_work = total.unknown > 0, total.in_work > 0
    head = [*(one.upper() for one in by), "REQUESTS", "PICTURES", "USD"]
    head += ["UNKNOWN, AT MOST"] if has_unknown else []
    yield head + (["IN WORK, HELD"] if has_work else [])
    for key, one in rows:
        row = [*(part or _NOT_KNOWN for part in key)]
        row += [f"{one.requests:,}", f"{one.pictures:,}", f"{usd(one.spent_microusd)}"]
        row += [_beside(one.unknown, one.at_most_microusd)] if has_unknown else []
        yield row + ([_beside(one.in_work, one.in_work_microusd)] if has_work else [])


def _beside(count: int, microusd: int | None) -> str:
    if not count:
        return _NOT_KNOWN
    return f"{count:,}: {'no limit' if microusd is None else usd(microusd)}"


def look(folder: StateFolder, question: Question, *, most: int | None = None) -> Report:
    """Add up what was spent; nothing is written.

    Args:
        folder: Whose ledger.
        question: What is told apart.
        most: So many lines at most are kept; all of them count in the total.

    Raises:
        LedgerMissing: There is none.
        LedgerFailed: It cannot be read.
    """
    by, total, rows, left_out = question.by, Amounts(), list[Row](), 0
    with folder.reading() as ledger:
        found = spending(ledger, by, since=question.since, until=question.until)
        for key, parts in groupby(found, lambda one: tuple(getattr(one, part) for part in by)):
            amounts = Amounts()
            for part in parts:
                amounts.add(part)
                total.add(part)
            if most is None or len(rows) < most:
                rows.append((key, amounts))
            else:
                left_out += 1
    lines = [
        dict(zip(by, (part or None for part in key), strict=True)) | one.as_told()
        for key, one in rows
    ]
    before = list[str]()
    if by and rows:
        before += [*table(list(_cells(by, total, rows)), texts=len(by)), ""]
    if left_out:
        more = "more lines, in the sum as well; --csv FILE has all of them"
        before += [f"and {left_out:,} {more}", ""]
    return report(folder, question, total, before=before, lines=lines)


# As a file ---------------------------------------------------------------------------------------


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
