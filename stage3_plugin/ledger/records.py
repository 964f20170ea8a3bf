"""How a purchase is written as a row, and read back.

The facts about an answer that are never searched for share one column of JSON. What is read is
checked like anything that comes from a disk, so that a damaged row is reported and not believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias, cast, get_args

from host_stub.contract import CostBasis
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.job import Accepted, Job, Lane, NewJob
from stage3_plugin.domain.money import to_usd
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.purchase import DecidedBy, NewPurchase, Purchase, Settlement
from stage3_plugin.domain.states import COUNTED, State

Row: TypeAlias = tuple[Any, ...]
"""What SQLite returns for :data:`COLUMNS`; it has checked the types of all but the JSON."""


class PurchaseRow(NamedTuple):
    """A purchase as SQLite takes and returns it; its fields are the columns, in this order.

    What has a default is not known of a purchase when it begins.
    """

    attempt_id: str
    scene_key: str
    scene_id: str
    run_id: str
    provider: str
    api: str
    base_url: str | None
    model: str
    size: str
    quality: str
    is_local: int
    hold_microusd: int
    content_key: str
    base_key: str | None
    subject_key: str
    take: int
    job: int | None
    line: int | None
    day: str
    held_at: str
    state: str
    changed_at: str
    seq: int | None = None
    cost_microusd: int | None = None
    basis: str | None = None
    why: str = ""
    sha256: str | None = None
    facts: str | None = None
    took_s: float | None = None
    decided_by: str | None = None
    request_id: str | None = None


COLUMNS: Final = ", ".join(PurchaseRow._fields)
"""In the order in which :func:`read` takes them."""
BEGUN: Final = len(PurchaseRow._fields) - len(PurchaseRow._field_defaults)
"""So many of them, the first, are known of a purchase when it begins."""

_OF_NEW: Final = (
    "attempt_id", "scene_key", "scene_id", "run_id", "size", "quality", "hold_microusd",
    "content_key", "base_key", "subject_key", "line",
)  # fmt: skip
_OF_A_JOB: Final = ("token", "account", "endpoint", "input_file")
_OF_ENDED: Final = ("cost_microusd", "why", "took_s", "request_id")
_OF_A_SETTLEMENT: Final = (
    "state", "picture", "image_url", "details", "dropped", "took_s", "decided_by",
)  # fmt: skip
"""What is called the same in a row and in what it is read as, and needs no other form there."""

_UNBILLED: Final = frozenset(State) - COUNTED
_STATES: Final[Mapping[str, State]] = {state.value: state for state in State}
_BASES: Final[Mapping[str | None, CostBasis | None]] = {
    None: None,
    **{basis: basis for basis in get_args(CostBasis)},
}
_LANES: Final[Mapping[str, Lane]] = {lane: lane for lane in get_args(Lane)}
_DECIDERS: Final[Mapping[str | None, DecidedBy | None]] = {
    None: None,
    **{who: who for who in get_args(DecidedBy)},
}


_encode = json.JSONEncoder(separators=(",", ":")).encode  # ``json.dumps`` would make one per call
_decode = json.JSONDecoder().decode


class Facts(NamedTuple):
    """What shares the column of JSON, beside the picture's hash in a column of its own."""

    picture: Picture | None
    image_url: str | None
    details: Mapping[str, str]
    dropped: tuple[str, ...]


def moment(value: datetime) -> str:
    """Write a moment so that later ones sort later.

    Raises:
        ValueError: It has no time zone.
    """
    if value.tzinfo is not UTC:
        if value.tzinfo is None:
            raise ValueError("a moment in the ledger needs a time zone")
        value = value.astimezone(UTC)
    return value.isoformat(timespec="microseconds")


def storable(text: str) -> str:
    """Replace what JSON may hold and a database does not take: halves of surrogate pairs, and NUL.

    SQLite does not take the first, PostgreSQL neither. A paid picture must not be lost because of
    an odd character in a message.
    """
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class JobRow(NamedTuple):
    """A job as SQLite returns it; its fields are the columns, in this order."""

    seq: int
    token: str | None
    provider: str
    account: str
    endpoint: str
    lane: str
    input_file: str | None
    opened_at: str
    job_id: str | None
    poll_url: str | None
    result_url: str | None
    cancel_url: str | None
    accepted_at: str | None
    expires_at: str | None
    cost_microusd: int | None


JOB_COLUMNS: Final = ", ".join(JobRow._fields)
"""In the order in which :func:`read_job` takes them."""


def _shared(one: object, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(one, name) for name in names}


def begun(new: NewPurchase, *, day: str, at: str, job: int | None = None) -> PurchaseRow:
    """Return the row with which a purchase begins: a byte may leave once it is durable.

    Args:
        new: What it begins as.
        day: The day its money counts for.
        at: Now.
        job: The number of its job's row.
    """
    return PurchaseRow(
        **_shared(new, _OF_NEW),
        provider=new.endpoint.provider,
        api=new.endpoint.api,
        base_url=new.endpoint.base_url,
        model=new.endpoint.model,
        is_local=int(new.is_local),  # for anything but an int itself SQLite looks for an adapter
        take=new.slot,
        job=job,
        day=day,
        held_at=at,
        state=State.SENDING,
        changed_at=at,
    )


def settled(before: Purchase, settlement: Settlement, now: datetime) -> Purchase:
    """Return what becomes of a purchase.

    Where nothing counts, it cost nothing; of an unknown outcome, so is the cost.

    Raises:
        ValueError: The settlement lacks what its state needs.
    """
    state = settlement.state
    if (state is State.PAID) is (settlement.picture is None):
        raise ValueError("PAID, and only PAID, comes with a picture")
    if state is State.WROTE_OFF and settlement.decided_by is None:
        raise ValueError("WROTE_OFF needs decided_by")
    if before.state is State.PAID and settlement.decided_by != "user":
        raise ValueError("only a person gives up a picture that was paid for")
    cost, basis = settlement.cost_microusd, settlement.basis
    if state in _UNBILLED:
        cost, basis = 0, "free"
    is_unknown = state is State.UNKNOWN
    request_id = settlement.request_id
    return replace(
        before,
        **_shared(settlement, _OF_A_SETTLEMENT),
        changed_at=now,
        cost_microusd=None if is_unknown else cost,
        basis=None if is_unknown else basis,
        why=storable(settlement.why),
        request_id=before.request_id if request_id is None else storable(request_id),
    )


def write_facts(settlement: Settlement) -> str | None:
    """Write what shares the column of JSON; ``None`` if there is nothing to write."""
    facts: dict[str, object] = {}
    if (picture := settlement.picture) is not None:
        facts["media_type"] = picture.media_type
        facts["width_px"] = picture.width_px
        facts["height_px"] = picture.height_px
        facts["size_bytes"] = picture.size_bytes
    if settlement.image_url is not None:
        facts["image_url"] = settlement.image_url
    if settlement.details:
        facts["details"] = dict(settlement.details)
    if settlement.dropped:
        facts["dropped"] = settlement.dropped
    return _encode(facts) if facts else None


@lru_cache(maxsize=256)
def _endpoint(provider: str, api: str, base_url: str | None, model: str) -> Endpoint:
    """Return an endpoint; most rows have that of the row before."""
    return Endpoint(provider=provider, api=api, base_url=base_url, model=model)


def read_job(row: Row) -> Job:
    """Read a row of the table of jobs.

    Raises:
        ValueError: The ledger cannot have written it; the message names the job.
    """
    columns = JobRow._make(row)
    try:
        new = NewJob(**_shared(columns, _OF_A_JOB), lane=_LANES[columns.lane])
        opened_at = datetime.fromisoformat(columns.opened_at)
        job = Job(new=new, provider=columns.provider, opened_at=opened_at)
        if columns.job_id is None:
            return job
        accepted_at = datetime.fromisoformat(_text(columns.accepted_at))
        expires_at = datetime.fromisoformat(_text(columns.expires_at))
        accepted = Accepted(
            **_shared(columns, ("job_id", "result_url", "cancel_url")),
            poll_url=_text(columns.poll_url),
            keeps_s=(expires_at - accepted_at).total_seconds(),
            cost_usd=None if columns.cost_microusd is None else to_usd(columns.cost_microusd),
        )
        return replace(job, accepted=accepted, accepted_at=accepted_at, expires_at=expires_at)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the job {columns.seq} cannot be read: {error}") from error


def read(columns: PurchaseRow, job: Job | None = None) -> Purchase:
    """Read a row.

    Args:
        columns: Of the table of purchases.
        job: Its job, where it has one.

    Raises:
        ValueError: It cannot have been written by :func:`write_facts` and the ledger; the message
            names the column.
    """
    try:
        known = read_facts(columns.sha256, columns.facts)
        new = NewPurchase(
            **_shared(columns, _OF_NEW),
            endpoint=_endpoint(columns.provider, columns.api, columns.base_url, columns.model),
            is_local=columns.is_local == 1,
            slot=columns.take,
            job=None if job is None else job.new,
        )
        return Purchase(
            **_shared(columns, _OF_ENDED),
            **known._asdict(),
            new=new,
            state=_STATES[columns.state],
            day=date.fromisoformat(columns.day),
            held_at=datetime.fromisoformat(columns.held_at),
            changed_at=datetime.fromisoformat(columns.changed_at),
            basis=_BASES[columns.basis],
            decided_by=_DECIDERS[columns.decided_by],
            job=job,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"purchase {columns.attempt_id} cannot be read: {error}") from error


def read_facts(sha256: str | None, text: str | None) -> Facts:
    """Read the column of JSON, and the hash beside it.

    Raises:
        ValueError: Something is missing, unknown, or of another type.
    """
    if text is None:
        if sha256 is not None:
            raise ValueError("facts: the picture's are missing")
        return Facts(None, None, {}, ())
    loaded: Any = _decode(text)
    if type(loaded) is not dict:
        raise ValueError("facts: not a JSON object")
    facts = cast("dict[str, Any]", loaded)
    picture = None
    if sha256 is not None:
        picture = Picture(
            sha256=sha256,
            media_type=_text(facts.pop("media_type", None)),
            width_px=_count(facts.pop("width_px", None)),
            height_px=_count(facts.pop("height_px", None)),
            size_bytes=_count(facts.pop("size_bytes", None)),
        )
    if not facts:
        return Facts(picture, None, {}, ())
    image_url: Any = facts.pop("image_url", None)
    details: Any = facts.pop("details", {})
    dropped: Any = facts.pop("dropped", [])
    if facts or type(details) is not dict or type(dropped) is not list:
        raise ValueError("facts: not in the known shape")
    texts = cast("dict[str, Any]", details)
    names = cast("Sequence[Any]", dropped)
    return Facts(
        picture,
        None if image_url is None else _text(image_url),
        {key: _text(value) for key, value in texts.items()},
        tuple(_text(value) for value in names),
    )


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("facts: text is missing or of another type")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("facts: a number is missing or of another type")
    return value
