"""What was spent as a file for accountants: CSV in the columns of FOCUS 1.2.

FOCUS (the FinOps Open Cost and Usage Specification) says which columns a bill of any provider has.
A row here is what one provider was asked for in one day, or month, told apart as was asked for.
What is not known has its own rows, of no cost, with the most that it can come to beside.

Cells are read by spreadsheets, which take some texts for formulas; none of a scene, a model or a
folder is left that one would run.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final, Protocol

from stage3_plugin.domain.money import to_usd
from stage3_plugin.ledger.calendar import start_of
from stage3_plugin.ledger.spending import Spent

MANDATORY: Final = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
)
"""What every FOCUS file has, in the order of the specification."""
FURTHER: Final = ("ChargeFrequency", "ConsumedQuantity", "ConsumedUnit", "ServiceSubcategory")
OURS: Final = (
    "x_Model",
    "x_Story",
    "x_Scene",
    "x_CostStatus",
    "x_CostBasis",
    "x_HeldCost",
    "x_Pictures",
)
"""What FOCUS has no name for; such columns begin with ``x_``."""
COLUMNS: Final = (*MANDATORY, *FURTHER, *OURS)

_RUNS: Final = re.compile(r"(^|[,;|\"'])(\s*)(?=[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])")
"""Where a spreadsheet may see the beginning of a formula: at the beginning of a cell, and behind
what separates cells in some country's files."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""What a terminal obeys, or what is not seen and may stand before a formula."""
_DESCRIPTION: Final = {
    "known": "Pictures and requests for them",
    "unknown": "Requests of which nobody knows whether, or what, they were billed",
    "in_work": "Requests in work",
}


class Writable(Protocol):
    """What takes text."""

    def write(self, text: str, /) -> object: ...


@lru_cache(maxsize=1024)
def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula, and no terminal for an order.

    A ``'`` is put before what would begin one; control characters are replaced.
    """
    return _RUNS.sub(r"\1\2'", _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text))


def write_csv(
    found: Iterable[Spent], file: Writable, *, account: str, zone: tzinfo
) -> Iterator[Spent]:
    """Write a file row by row, and yield what was written.

    Args:
        found: What was spent, by month or by day.
        file: Takes the text; lines end with a line feed.
        account: What the bills are called by: whose ledger it is.
        zone: Of the ledger's days; the file has moments in UTC.
    """
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(COLUMNS)
    for spent in found:
        row = row_of(spent, account=account, zone=zone)
        rows.writerow([row[name] for name in COLUMNS])
        yield spent


def row_of(spent: Spent, *, account: str, zone: tzinfo) -> dict[str, str]:
    """Return a row of the file."""
    is_known = spent.status == "known"
    amount = format(to_usd(spent.microusd), "f")
    cost, held = (amount, "") if is_known else ("0", amount)
    if spent.basis == "unknown":
        held = ""  # nothing was held, and the most that it can come to is not known
    provider, named = harmless(spent.provider), harmless(account)
    return dict.fromkeys(COLUMNS, "") | {
        **_periods(spent.first_day, spent.last_day, zone),
        "BilledCost": cost,
        "BillingAccountId": named,
        "BillingAccountName": named,
        "BillingCurrency": "USD",
        "ChargeCategory": "Usage",
        "ChargeDescription": _DESCRIPTION[spent.status],
        "ChargeFrequency": "Usage-Based",
        "ConsumedQuantity": str(spent.requests),
        "ConsumedUnit": "Requests",
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "InvoiceIssuerName": provider,
        "ListCost": cost,
        "ProviderName": provider,
        "PublisherName": provider,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "Image generation",
        "ServiceSubcategory": "Generative AI",
        "x_Model": harmless(spent.model),
        "x_Story": harmless(spent.story),
        "x_Scene": harmless(spent.scene),
        "x_CostStatus": spent.status,
        "x_CostBasis": spent.basis,
        "x_HeldCost": held,
        "x_Pictures": str(spent.pictures),
    }


@lru_cache(maxsize=1024)  # many rows are of one day
def _periods(first_day: str, last_day: str, zone: tzinfo) -> dict[str, str]:
    """Return when a charge was made, and the months of the bills that it is on."""
    first, last = date.fromisoformat(first_day), date.fromisoformat(last_day)
    return {
        "BillingPeriodEnd": _utc(start_of(_next_month(last), zone)),
        "BillingPeriodStart": _utc(start_of(first.replace(day=1), zone)),
        "ChargePeriodEnd": _utc(start_of(last + timedelta(days=1), zone)),
        "ChargePeriodStart": _utc(start_of(first, zone)),
    }


def _next_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
