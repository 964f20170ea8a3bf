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
import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Final, NamedTuple

from pydantic import Field

from stage3_plugin.domain.money import to_usd
from stage3_plugin.errors import Stage3Error, StorageFailed
from stage3_plugin.ledger.calendar import start_of
from stage3_plugin.ledger.spending import Dimension, Spent, spending, zone_of
from stage3_plugin.maintenance.report import (
    Kept,
    Line,
    Part,
    Report,
    Table,
    counted,
    usd,
)
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
_RUNS: Final = re.compile(r"(^|[,;|\"'])(\s*)(?=[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])")
"""Where a spreadsheet may see the beginning of a formula: at the beginning of a cell, and behind
what separates cells in some country's files."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""What a terminal obeys, or what is not seen and may stand before a formula."""


class Unknown(Part, frozen=False):
    """Of how many nobody knows whether, or what, they were billed.

    Attributes:
        at_most_microusd: The most that they can have cost.
        held_microusd: What is held for these.
        unpriced: For how many of these nothing was held: the most that they can have cost is not
            known either.
    """

    requests: int = 0
    held_microusd: Kept[int] = 0
    unpriced: int = 0
    at_most_microusd: int | None = 0


class InWork(Part, frozen=False):
    """What is not settled, and what is held for it."""

    requests: int = 0
    held_microusd: int = 0


class Amounts(Part, frozen=False):
    """What some purchases come to.

    Attributes:
        requests: All that may have been billed, or were answered for free.
        pictures: How many of them have a picture.
        spent_microusd: What those cost whose cost is known.
        of_it_held_microusd: How much of that is what was held, where no bill came with a picture.
        counted_microusd: What all of it counts under the caps.
    """

    requests: int = 0
    pictures: int = 0
    spent_microusd: int = 0
    of_it_held_microusd: int = 0
    unknown: Unknown = Field(default_factory=Unknown)
    in_work: InWork = Field(default_factory=InWork)
    counted_microusd: int = 0

    def add(self, spent: Spent) -> None:
        """Add what the ledger says of some more."""
        self.requests += spent.requests
        self.pictures += spent.pictures
        self.counted_microusd += spent.microusd
        if spent.status == "unknown":
            one = self.unknown
            one.requests += spent.requests
            one.held_microusd += spent.microusd
            one.unpriced += spent.requests if spent.basis == "unknown" else 0
            one.at_most_microusd = None if one.unpriced else one.held_microusd
        elif spent.status == "in_work":
            self.in_work.requests += spent.requests
            self.in_work.held_microusd += spent.microusd
        else:
            self.spent_microusd += spent.microusd
            self.of_it_held_microusd += spent.microusd if spent.basis == "held" else 0

    def in_words(self) -> Iterator[str]:
        """Yield what it comes to."""
        if not self.requests:
            yield "nothing was spent in that time"
            return
        unknown, in_work = self.unknown, self.in_work
        yield (
            f"${usd(self.spent_microusd)} for {counted(self.pictures, 'picture')}, "
            f"by {counted(self.requests, 'request')}"
        )
        if self.of_it_held_microusd:
            yield f"  of it ${usd(self.of_it_held_microusd)} by what was held, where no bill came"
        if doubtful := unknown.requests - unknown.unpriced:
            at_most = f"${usd(unknown.held_microusd)} at most"
            yield (
                f"not in it: {counted(doubtful, 'request')} that may have been billed, "
                f"{at_most} ('stage3 attempts' lists them)"
            )
        if unknown.unpriced:
            yield (
                f"not in it: {counted(unknown.unpriced, 'request')} whose cost nobody knows, with "
                "nothing held, since no price was known ('stage3 attempts --all' shows which; "
                "price_usd in the settings is one for the next)"
            )
        if in_work.requests:
            held = f"${usd(in_work.held_microusd)} held"
            yield f"not in it: {in_work.requests:,} in work, with {held}"
        if self.counted_microusd != self.spent_microusd:
            yield f"under the caps all of it counts: ${usd(self.counted_microusd)}"


class CostLine(Amounts):
    """What is told apart, where it is, and what it comes to."""

    optional = frozenset({"day", "provider", "model", "story", "scene"})
    day: str | None = None
    provider: str | None = None
    model: str | None = None
    story: str | None = None
    scene: str | None = None


class Question(NamedTuple):
    """What is asked for.

    Attributes:
        by: What is told apart, in the order of :data:`~.spending.DIMENSIONS`.
        since: The first day of the ledger that counts.
        until: The last one.
    """

    by: tuple[Dimension, ...]
    since: date | None = None
    until: date | None = None


class Costs(Report):
    """What was spent.

    Attributes:
        by: What is told apart.
        lines: Each with what it is told apart by; programs have all of them.
        csv: The file that has them instead.
        written: What is written where there is no file.
        left_out: How many lines more there are than people read.
    """

    format = "stage3-costs/1"
    optional = frozenset({"lines", "csv"})
    ledger: StateFolder
    by: tuple[Dimension, ...]
    since: date | None
    until: date | None
    total: Amounts
    lines: list[CostLine] | None = None
    csv: Path | None = None
    written: Kept[Sequence[str]] = ()
    left_out: Kept[int] = 0

    def sentences(self) -> Iterator[Line]:
        """Yield a table, and what all of it comes to."""
        if self.csv == STDOUT:
            yield from self.written
            return
        if self.csv is not None:
            yield f"{self.csv} has it"
        if self.by and self.lines:
            yield Table(list(self._cells(self.lines)), texts=len(self.by))
            yield ""
        if self.left_out:
            more = "more lines, in the sum as well; --csv FILE has all of them"
            yield f"and {self.left_out:,} {more}"
            yield ""
        yield from self.total.in_words()
        yield f"ledger: {self.ledger.shown}"

    def _cells(self, lines: Sequence[CostLine]) -> Iterator[list[str]]:
        """Yield rows; columns that would be empty everywhere are left out."""
        has_unknown, has_work = self.total.unknown.requests > 0, self.total.in_work.requests > 0
        head = [*(one.upper() for one in self.by), "REQUESTS", "PICTURES", "USD"]
        head += ["UNKNOWN, AT MOST"] if has_unknown else []
        yield head + (["IN WORK, HELD"] if has_work else [])
        for one in lines:
            row = [getattr(one, part) or _NOT_KNOWN for part in self.by]
            row += [f"{one.requests:,}", f"{one.pictures:,}", f"{usd(one.spent_microusd)}"]
            unknown, work = one.unknown, one.in_work
            row += [_beside(unknown.requests, unknown.at_most_microusd)] if has_unknown else []
            yield row + ([_beside(work.requests, work.held_microusd)] if has_work else [])


def _beside(count: int, microusd: int | None) -> str:
    if not count:
        return _NOT_KNOWN
    return f"{count:,}: {'no limit' if microusd is None else usd(microusd)}"


def look(folder: StateFolder, question: Question, *, most: int | None = None) -> Costs:
    """Add up what was spent; nothing is written.

    Args:
        folder: Whose ledger.
        question: What is told apart.
        most: So many lines at most are kept; all of them count in the total.

    Raises:
        LedgerMissing: There is none.
        LedgerFailed: It cannot be read.
    """
    by, total, lines, left_out = question.by, Amounts(), list[CostLine](), 0
    with folder.reading() as ledger:
        found = spending(ledger, by, since=question.since, until=question.until)
        for key, parts in groupby(found, lambda one: tuple(getattr(one, part) for part in by)):
            line = CostLine.model_validate(
                dict(zip(by, (part or None for part in key), strict=True))
            )
            for part in parts:
                line.add(part)
                total.add(part)
            if most is None or len(lines) < most:
                lines.append(line)
            else:
                left_out += 1
    return Costs(ledger=folder, **question._asdict(), total=total, lines=lines, left_out=left_out)


# As a file ---------------------------------------------------------------------------------------


class NotOurFile(Stage3Error):
    """There is a file of another kind where this one was to go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hint = "name another file, or move that one away; only a file of costs is replaced"
        super().__init__(f"{path} is there, and is no file of costs")


def save(folder: StateFolder, question: Question, path: Path) -> Costs:
    """Write the file; one of before is replaced once this one is whole.

    Args:
        folder: Whose ledger.
        question: What is told apart; the provider always is, and the month where the day is not.
        path: Where to; for ``-`` the report has it.

    Raises:
        NotOurFile: Something else is there.
        StorageFailed: It cannot be written.
        LedgerFailed: The ledger cannot be read.
    """
    if path == STDOUT:
        text = io.StringIO(newline="")
        total = _write(folder, question, text)
        written = text.getvalue().splitlines()
    else:
        written = []
        try:
            total = _replace(folder, question, path)
        except OSError as error:
            raise StorageFailed(path, error) from error
    return Costs(ledger=folder, **question._asdict(), total=total, csv=path, written=written)


def _replace(folder: StateFolder, question: Question, path: Path) -> Amounts:
    with suppress(FileNotFoundError), path.open("rb") as there:
        begins = there.read(len(_BEGINNING))
        if begins and begins != _BEGINNING:
            raise NotOurFile(path)
    with NamedTemporaryFile(
        "w", encoding="utf-8", newline="", dir=path.parent, prefix=".costs-", delete=False
    ) as file:
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


def _write(folder: StateFolder, question: Question, file: IO[str]) -> Amounts:
    total, rows = Amounts(), csv.writer(file, lineterminator="\n")
    with folder.reading() as ledger:
        zone = zone_of(ledger)
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
