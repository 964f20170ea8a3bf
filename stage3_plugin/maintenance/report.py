"""What a command says: one report, as a JSON object for programs and in lines for people.

A report is what was found or done. Its JSON is made of its values, by one function for all of them:
money, which is whole micro-USD inside, is written as a decimal string in USD, and what is not known
is ``null``, and never 0. Its lines are its own. Ids, paths and providers' words are put into them
as they are, and stay on their line; the host that writes it to a terminal escapes what a terminal
would obey.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, TypeVar, cast

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.job import Job
from stage3_plugin.domain.money import usd_text
from stage3_plugin.domain.purchase import Asking, Purchase
from stage3_plugin.maintenance.next_steps import Next
from stage3_plugin.maintenance.state_folder import StateFolder

T = TypeVar("T")
SHORT: Final = 8
"""Digits by which people call a purchase or a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a command found or did.

    Attributes:
        document: What programs are told, its values as they are; how it is called is among it.
        sentences: What people are told, line by line.
        next_steps: The commands that may come next, the best first.
        exit_code: What a shell is told.
    """

    document: Mapping[str, object]
    sentences: Sequence[str]
    next_steps: Sequence[Next] = ()
    exit_code: int = 0

    @property
    def text(self) -> str:
        """Return what people are told; no text in a line ends it."""
        return "\n".join(map(on_one_line, self.sentences))

    @property
    def data(self) -> Mapping[str, object]:
        """Return what programs are told, as plain JSON values."""
        return dict(_written(iter(self.document.items())))


# Programs ----------------------------------------------------------------------------------------


def _written(items: Iterator[tuple[str, object]]) -> Iterator[tuple[str, object]]:
    for name, value in items:
        if name == "purchase" and isinstance(value, Purchase):  # its keys stand among the others
            yield from _written(iter(of_purchase(value).items()))
        elif name.endswith("_microusd"):
            yield f"{name.removesuffix('_microusd')}_usd", usd(cast("int | None", value))
        else:
            yield str(name), _plain(value)


def _plain(value: object) -> object:
    """Return a value as JSON has it."""
    for kinds, written in _WAYS:
        if isinstance(value, kinds):
            return written(value)
    if not is_dataclass(value):
        return str(value)
    return dict(_written((one.name, getattr(value, one.name)) for one in fields(value)))


def of_purchase(purchase: Purchase) -> dict[str, object]:
    """Return what programs are told of a purchase."""
    new = purchase.new
    return {
        "attempt_id": new.attempt_id,
        "scene_id": new.scene_id,
        "state": purchase.state,
        "held_at": purchase.held_at,
        "changed_at": purchase.changed_at,
        "day": purchase.day,
        "run_id": new.run_id,
        "provider": new.endpoint.provider,
        "model": new.endpoint.model,
        "size": new.size,
        "quality": new.quality,
        "hold_microusd": new.hold_microusd,
        "cost_microusd": purchase.cost_microusd,
        "cost_basis": purchase.counted_basis,
        "counted_microusd": purchase.counted_microusd,
        "decided_by": purchase.decided_by,
        "why": purchase.why,
        "image_url": None if purchase.image_url is None else shown(purchase.image_url),
        "request_id": purchase.request_id,
        "job": purchase.job,
        "batch": token_of(purchase),
        "line": new.line,
    }


def _of_job(job: Job) -> object:
    """Return what a provider has accepted; its addresses may be as good as a key."""
    if job.accepted is None or job.expires_at is None or job.accepted_at is None:
        return None
    return {
        "job_id": job.accepted.job_id,
        "accepted_at": _plain(job.accepted_at),
        "expires_at": _plain(job.expires_at),
    }


_WAYS: Final[Sequence[tuple[type | tuple[type, ...], Callable[[Any], object]]]] = (
    ((type(None), bool, int, float), lambda value: value),
    (str, str),
    (datetime, lambda value: value.astimezone(UTC).isoformat()),
    (date, date.isoformat),
    (StateFolder, lambda value: value.shown),
    (Purchase, lambda value: _plain(of_purchase(value))),
    (Job, _of_job),
    (Asking, lambda value: {"answered": value.answered, "at": _plain(value.at), "why": value.why}),
    (Mapping, lambda value: dict(_written(iter(value.items())))),
    ((set, frozenset), sorted),
    ((Sequence, Iterator), lambda value: [_plain(one) for one in value]),
)
"""How values are written, by their kind: the first that fits."""


# People ------------------------------------------------------------------------------------------


def on_one_line(text: str) -> str:
    """Return text of unknown origin that does not end the line it is put in."""
    return text.replace("\n", "\\n")


def table(rows: Sequence[Sequence[str]], *, texts: int | None = None) -> Iterator[str]:
    """Lay rows out in columns; those behind so many ``texts`` are of figures, to the right."""
    cells = [[on_one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(
            cell.ljust(width) if texts is None or place < texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()


def usd(microusd: int | None) -> str | None:
    """Return an amount as a decimal string of at least two decimals."""
    return None if microusd is None else usd_text(microusd)


def moment(when: datetime) -> str:
    """Write a moment for people."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def counted(count: int, what: str) -> str:
    """Write a count with its noun."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def named(names: Sequence[str], most: int) -> str:
    """Name the first of many, and say how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def route(endpoint: Endpoint) -> str:
    """Name a provider and its model."""
    return f"{endpoint.provider}/{endpoint.model}"


def shown(address: str) -> str:
    """Return an address as everybody may read it: without query, fragment and login.

    A signed one is as good as a key while it lasts; the ledger alone has the full address.
    """
    whole = re.split(r"[?#]", address, maxsplit=1)[0]
    scheme, found, behind = whole.partition("://")
    if not found:
        return whole
    host, slash, path = behind.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def together(purchase: Purchase) -> str:
    """Return what a purchase is told by: its batch, as all of its lines are, or itself."""
    return token_of(purchase) or purchase.new.attempt_id


def grouped(many: Iterable[T], key: Callable[[T], object]) -> list[list[T]]:
    """Put together what has the same key, in the order of the first of each."""
    groups: dict[object, list[T]] = {}
    for one in many:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def token_of(purchase: Purchase) -> str | None:
    """Return what the batch is found by that a purchase is a line of; ``None`` if it is none."""
    job = purchase.new.job
    return None if purchase.new.line is None or job is None else job.token


def job_in_words(job: Job) -> str | None:
    """Say by what name a provider has a job, and until when it has promised to know it."""
    if job.accepted is None or job.accepted_at is None or job.expires_at is None:
        return None
    return (
        f"job {job.accepted.job_id}, accepted {moment(job.accepted_at)}, kept there until "
        f"{moment(job.expires_at)}"
    )
