"""What was spent, by day, provider, model, story or scene; read from the ledger, and nothing else.

Three amounts stay apart: what is known to have been spent, what is held for requests of which
nobody knows whether, or what, they were billed, and what is held for those in work. Together they
are what the ledger counts, to the micro-USD.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from typing import Final, TypeAlias

from stage3_plugin.ledger.spending import DIMENSIONS, Dimension, Spent, spending
from stage3_plugin.maintenance.report import counted, on_one_line, usd
from stage3_plugin.maintenance.state_folder import StateFolder

FORMAT: Final = "stage3-costs/1"
DEFAULT_BY: Final[tuple[Dimension, ...]] = ("day", "provider", "model")
MOST_LINES: Final = 1000
"""Lines for people; programs and spreadsheets get all of them."""
_NOT_KNOWN: Final = "-"

Key: TypeAlias = tuple[str, ...]


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

    def as_json(self) -> dict[str, object]:
        """Return plain JSON values; money is a decimal string in USD."""
        return {
            "requests": self.requests,
            "pictures": self.pictures,
            "spent_usd": usd(self.spent_microusd),
            "of_it_held_usd": usd(self.estimated_microusd),
            "unknown": {
                "requests": self.unknown,
                "at_most_usd": None if self.unpriced else usd(self.unknown_microusd),
                "unpriced": self.unpriced,
            },
            "in_work": {"requests": self.in_work, "held_usd": usd(self.in_work_microusd)},
            "counted_usd": usd(self.counted_microusd),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked for.

    Attributes:
        by: What is told apart, in the order of :data:`~.spending.DIMENSIONS`.
        since: The first day of the ledger that counts.
        until: The last one.
    """

    by: tuple[Dimension, ...] = DEFAULT_BY
    since: date | None = None
    until: date | None = None

    def key_of(self, spent: Spent) -> Key:
        """Return what a row is told apart by."""
        return tuple(getattr(spent, one) for one in self.by)


@dataclass(slots=True)
class Costs:
    """What was found.

    Attributes:
        question: What was asked.
        lines: A key and its amounts each, sorted; not more of them than were wanted.
        left_out: How many more there are.
        total: Of all of them.
    """

    question: Question
    lines: list[tuple[Key, Amounts]] = field(default_factory=list[tuple[Key, Amounts]])
    left_out: int = 0
    total: Amounts = field(default_factory=Amounts)


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
    costs = Costs(question)
    with folder.reading() as ledger:
        found = spending(ledger, question.by, since=question.since, until=question.until)
        for key, amounts in added_up(found, question, costs.total):
            if most is None or len(costs.lines) < most:
                costs.lines.append((key, amounts))
            else:
                costs.left_out += 1
    return costs


def added_up(
    found: Iterable[Spent], question: Question, total: Amounts
) -> Iterator[tuple[Key, Amounts]]:
    """Yield each key with its amounts; ``total`` takes all of them."""
    for key, parts in groupby(found, question.key_of):
        amounts = Amounts()
        for part in parts:
            amounts.add(part)
            total.add(part)
        yield key, amounts


# In words and data -------------------------------------------------------------------------------


def costs_text(costs: Costs, folder: StateFolder) -> str:
    """Put costs into a table, and what they come to into sentences."""
    if not costs.total.requests:
        return f"nothing was spent in that time\nledger: {on_one_line(folder.shown)}"
    lines = [*_table(costs), ""] if costs.question.by else []
    if costs.left_out:
        more = f"and {costs.left_out:,} more lines, in the sum as well; --csv FILE has all of them"
        lines += [more, ""]
    return "\n".join([*lines, *_in_all(costs.total), f"ledger: {on_one_line(folder.shown)}"])


def _table(costs: Costs) -> Iterator[str]:
    """Lay the lines out in columns; those that would be empty everywhere are left out."""
    total = costs.total
    has_unknown, has_work = total.unknown > 0, total.in_work > 0
    head = [*(one.upper() for one in costs.question.by), "REQUESTS", "PICTURES", "USD"]
    head += ["UNKNOWN, AT MOST"] if has_unknown else []
    head += ["IN WORK, HELD"] if has_work else []
    rows = [head]
    for key, one in costs.lines:
        row = [*(on_one_line(part) or _NOT_KNOWN for part in key)]
        row += [f"{one.requests:,}", f"{one.pictures:,}", str(usd(one.spent_microusd))]
        most = None if one.unpriced else one.unknown_microusd
        row += [_beside(one.unknown, most)] if has_unknown else []
        row += [_beside(one.in_work, one.in_work_microusd)] if has_work else []
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    texts = len(costs.question.by)
    for row in rows:
        cells = [
            cell.ljust(width) if place < texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _beside(count: int, microusd: int | None) -> str:
    if not count:
        return _NOT_KNOWN
    return f"{count:,}: {'no limit' if microusd is None else usd(microusd)}"


def _in_all(total: Amounts) -> Iterator[str]:
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
        yield (
            f"not in it: {counted(doubtful, 'request')} of which nobody knows whether they were "
            f"billed, ${usd(total.unknown_microusd)} at most ('stage3 attempts' lists them)"
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


def costs_json(costs: Costs, folder: StateFolder, *, csv: str | None = None) -> dict[str, object]:
    """Return the same as plain JSON values.

    Args:
        costs: What was found.
        folder: Where.
        csv: The file that has the lines, if one was written; they are not here then.
    """
    question = costs.question
    found: dict[str, object] = {
        "format": FORMAT,
        "ledger": folder.shown,
        "by": list(question.by),
        "since": None if question.since is None else question.since.isoformat(),
        "until": None if question.until is None else question.until.isoformat(),
        "total": costs.total.as_json(),
    }
    if csv is not None:
        return found | {"csv": csv}
    lines = [_named(question.by, key) | one.as_json() for key, one in costs.lines]
    return found | {"lines": lines}


def _named(by: Sequence[Dimension], key: Key) -> dict[str, object]:
    return {name: value or None for name, value in zip(by, key, strict=True)}


def without_lines(costs: Costs) -> Costs:
    """Return what costs come to, told apart by nothing."""
    question = replace(costs.question, by=())
    return Costs(question, total=costs.total)


def dimensions(text: str) -> tuple[Dimension, ...]:
    """Read words such as ``day,provider``; a few of them, each once, in whatever order.

    Raises:
        ValueError: One is not known, or stands twice.
    """
    said = [one.strip() for one in text.split(",")]
    if not set(said) <= set(DIMENSIONS) or len(set(said)) < len(said):
        raise ValueError(f"should be some of {','.join(DIMENSIONS)}, each once")
    return tuple(one for one in DIMENSIONS if one in said)
