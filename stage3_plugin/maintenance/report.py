"""What a command says: one report, a model of what was found or done.

Its JSON is the model's, in which money, whole micro-USD inside, is written as a decimal string in
USD, and what is not known is ``null``, and never 0; the schema that is shipped is made from the
model (``docs/schemas.py``). Its text is what it says of itself, in sentences and tables, which one
function lays out. Ids, paths and providers' words are put into them as they are, and stay on their
line; the host that writes it to a terminal escapes what a terminal would obey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, Final, NamedTuple, Self, TypeAlias, TypeVar, cast

from pydantic import (
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    SkipValidation,
    WithJsonSchema,
    model_serializer,
)

from host_stub.text.addresses import without_query
from host_stub.text.columns import in_columns
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.job import Job
from stage3_plugin.domain.money import usd_text
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.home import without_home
from stage3_plugin.maintenance.next_steps import Next
from stage3_plugin.maintenance.state_folder import StateFolder
from stage3_plugin.purchase.lost import name_of

T = TypeVar("T")
SHORT: Final = 8
"""Digits by which people call a purchase or a batch."""


class Table(NamedTuple):
    """Rows that are laid out in columns; those behind so many ``texts`` are of figures."""

    rows: Sequence[Sequence[str]]
    texts: int | None = None


Line: TypeAlias = str | Table


# Programs ----------------------------------------------------------------------------------------


def usd(microusd: int | None) -> str | None:
    """Return an amount as a decimal string of at least two decimals."""
    return None if microusd is None else usd_text(microusd)


Kept: TypeAlias = Annotated[T, SkipValidation, Field(exclude=True)]
"""What only sentences and next steps are made of."""


class Part(BaseModel):
    """A part of a document: an object whose keys are its fields, those of a purchase among them.

    An amount is a field that ends in ``_microusd``, and a key that ends in ``_usd``.
    """

    model_config = ConfigDict(
        frozen=True, from_attributes=True, arbitrary_types_allowed=True, serialize_by_alias=True
    )
    optional: ClassVar[frozenset[str]] = frozenset()
    """Keys that are left out where nothing was said of them."""

    @classmethod
    def of(cls, **what: Any) -> Self:
        """Make it of what its fields are found in, each by its path."""
        return cls.model_validate(SimpleNamespace(**what))

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        for name in self.optional - self.model_fields_set:
            del written[name]
        return {**written.pop("purchase", {}), **written}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    match value:
        case Mapping():
            items = cast("Mapping[object, Any]", value).items()
            return dict(_plain_item(str(name), one) for name, one in items)
        case list() | tuple():
            return [_plain(one) for one in cast("Sequence[Any]", value)]
        case datetime():
            return value.astimezone(UTC).isoformat()
        case None | bool() | int() | float():
            return value
        case StateFolder():
            return value.shown
        case _:
            return str(value)


def _plain_item(name: str, value: Any) -> tuple[str, Any]:
    if name.endswith("_microusd"):
        return f"{name.removesuffix('_microusd')}_usd", usd(value)
    return name, _plain(value)


class Report(Part):
    """What a command found or did.

    Attributes:
        format: How its document is called.
    """

    format: ClassVar[str]

    @property
    def exit_code(self) -> int:
        """Return what a shell is told."""
        return 0

    def sentences(self) -> Iterable[Line]:
        """Return what people are told."""
        raise NotImplementedError

    def next_steps(self) -> Iterable[Next]:
        """Return the commands that may come next, the best first."""
        return ()

    @property
    def text(self) -> str:
        """Return what people are told; no text in a line ends it."""
        return "\n".join(_laid_out(self.sentences()))

    @property
    def data(self) -> Mapping[str, object]:
        """Return what programs are told, as plain JSON values."""
        return {"format": self.format, **_plain(self.model_dump())}


def at(*path: str, default: Any = ...) -> Any:
    """Return a field that is found by its path in what its part is made of."""
    return Field(default, validation_alias=AliasPath(*path))


class JobKeys(Part):
    """What a provider has accepted; its addresses may be as good as a key."""

    job_id: str = at("accepted", "job_id")
    accepted_at: datetime
    expires_at: datetime

    def __str__(self) -> str:
        accepted, until = moment(self.accepted_at), moment(self.expires_at)
        return f"job {self.job_id}, accepted {accepted}, kept there until {until}"


def token_of(purchase: Purchase) -> str | None:
    """Return what the batch is found by that a purchase is a line of; ``None`` if it is none."""
    job = purchase.new.job
    return None if purchase.new.line is None or job is None else job.token


def job_keys(job: Job | None) -> JobKeys | None:
    """Return what programs are told of a job, once its provider has accepted it."""
    if job is None or job.accepted is None or job.expires_at is None or job.accepted_at is None:
        return None
    return JobKeys.model_validate(job)


class PurchaseKeys(Part):
    """What programs are told of a purchase."""

    attempt_id: str = at("new", "attempt_id")
    scene_id: str = at("new", "scene_id")
    state: State
    held_at: datetime
    changed_at: datetime
    day: date
    run_id: str = at("new", "run_id")
    provider: str = at("new", "endpoint", "provider")
    model: str = at("new", "endpoint", "model")
    size: str = at("new", "size")
    quality: str = at("new", "quality")
    hold_microusd: int = at("new", "hold_microusd")
    cost_microusd: int | None
    cost_basis: str | None = at("counted_basis")
    counted_microusd: int
    decided_by: str | None
    why: str | None
    image_url: Annotated[str | None, BeforeValidator(lambda url: url and without_query(url))]
    request_id: str | None
    job: Annotated[JobKeys | None, BeforeValidator(job_keys)]
    batch: str | None = None
    line: int | None = at("new", "line")


def _keys_of(purchase: Purchase) -> dict[str, Any]:
    keys = PurchaseKeys.model_validate(purchase).model_dump()
    return {**keys, "batch": token_of(purchase)}


Bought: TypeAlias = Annotated[
    Purchase,
    SkipValidation,
    PlainSerializer(_keys_of),
    WithJsonSchema({"title": PurchaseKeys.__name__}),
]
"""A purchase; programs are told its keys, beside those of the part that it is in."""


class Foreseen(Part):
    """A purchase, and what it becomes."""

    purchase: Bought
    becomes: State


class Changed(Part):
    """A purchase that was decided or asked about: how it was, and how it is."""

    before: Kept[Purchase]
    purchase: Bought = at("after")
    state_before: State = at("before", "state")
    cost_before_microusd: int | None = at("before", "cost_microusd")
    counted_before_microusd: int = at("before", "counted_microusd")


# People ------------------------------------------------------------------------------------------


def _laid_out(lines: Iterable[Line]) -> Iterator[str]:
    """Lay sentences and tables out, each line as it is to be read."""
    for line in lines:
        if isinstance(line, str):
            yield on_one_line(line)
            continue
        cells = [[on_one_line(cell) for cell in row] for row in line.rows]
        yield from in_columns(cells, texts=line.texts)


def on_one_line(text: str) -> str:
    """Return text of unknown origin that does not end the line it is put in."""
    return text.replace("\n", "\\n")


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


def grouped(many: Iterable[T], key: Callable[[T], object]) -> list[list[T]]:
    """Put together what has the same key, in the order of the first of each."""
    groups: dict[object, list[T]] = {}
    for one in many:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def purchases_in_rows(foreseen: Iterable[Foreseen]) -> Table:
    """Return a row for each purchase, or for the lines of a batch, with what it becomes."""
    rows = [("ID", "SCENE", "SENT", "FROM", "RUN", "HELD", "BECOMES")]
    for group in grouped(foreseen, lambda one: name_of(one.purchase)):
        first, more = group[0].purchase, len(group) - 1
        new, token = first.new, token_of(first)
        rows.append(
            (
                new.attempt_id[:12] if token is None else f"batch {token[:SHORT]}",
                new.scene_id[:40] + (f" and {more:,} more" if more else ""),
                moment(first.held_at),
                route(new.endpoint)[:40],
                without_home(new.run_id)[:12],
                f"${usd(sum(one.purchase.counted_microusd for one in group))}",
                str(group[0].becomes),
            )
        )
    return Table(rows)
