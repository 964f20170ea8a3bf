"""What was spent, by day, provider, model, story or scene; read from the ledger, and nothing else.

Three amounts stay apart: what is known to have been spent, what is held for requests of which
nobody knows whether, or what, they were billed, and what is held for those in work. Together they
are what the ledger counts, to the micro-USD.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Final, TypeAlias

from stage3_plugin.ledger.spending import Dimension, Spent, spending
from stage3_plugin.maintenance.report import Report, counted, table, usd
from stage3_plugin.maintenance.state_folder import StateFolder

MOST_LINES: Final = 1000
"""Lines for people; programs and spreadsheets get all of them."""
_NOT_KNOWN: Final = "-"

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
