"""The events of the contract: what each is called, at which level it is logged, what it carries.

Names are dotted and in the past tense, fields flat, numbers ready to add up: seconds are floats,
money is a decimal (a plugin may log it as a decimal string) and ``None`` where it is not known.
A plugin may add fields of its own to any event. Anything it logs under a name without one of the
prefixes in :data:`PREFIXES` is an ordinary log line, which the journal keeps unchecked.

``scene.started`` is logged after capacity was granted, so that started and ended overlap exactly as
scenes did; a scene that was started ends with ``scene.finished`` or ``scene.failed``, or waits to
start again after ``scene.retried``. ``scene.skipped`` is for a scene that was never started.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from host_stub.contract import CostBasis, FailureCode, Takes

PREFIXES = ("stage.", "scene.", "capacity.", "budget.", "host.")
"""Names that begin so are the contract's; ``host.`` is kept for the host itself."""


def _not_a_float(value: object) -> object:
    if isinstance(value, float | bool):
        raise ValueError("money is a decimal or a decimal string, never a float")  # noqa: TRY004 - pydantic reads ValueError
    return value


def _a_moment(text: str) -> str:
    try:
        aware = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise ValueError("expected a time in ISO 8601 with its zone")
    return text


Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count: TypeAlias = Annotated[int, Field(ge=0)]
Money: TypeAlias = Annotated[
    Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] | None, BeforeValidator(_not_a_float)
]
Amount: TypeAlias = Annotated[
    Decimal, Field(ge=0, allow_inf_nan=False), BeforeValidator(_not_a_float)
]
"""Money that is known."""
Moment: TypeAlias = Annotated[str, AfterValidator(_a_moment)]
Ids: TypeAlias = tuple[Annotated[str, Field(min_length=1)], ...]


class _Logged(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    timestamp: str
    run_id: str
    plugin: str


class _OfScene(_Logged):
    """``take`` says which of the wanted pictures of a scene it is about."""

    scene_id: Annotated[str, Field(min_length=1)]
    take: Takes = 1
    attempt: Count = 0


class StageStarted(_Logged):
    """The stage begins to work.

    ``sheets`` are the ids of the pictures that it makes beside those that were asked for, and for
    each of which it delivers an outcome too.
    """

    event: Literal["stage.started"]
    sheets: Ids = ()


class StageWarned(_Logged):
    """Something a person should know that keeps nothing from working."""

    event: Literal["stage.warned"]
    level: Literal["warning"]
    message: str


class SceneStarted(_OfScene):
    """A scene is in work; it waited ``queued_s`` for capacity."""

    event: Literal["scene.started"]
    level: Literal["info"]
    queued_s: Seconds


class SceneRetried(_OfScene):
    """An attempt failed for ``cause``, and the scene waits ``wait_s`` to start again.

    ``asked_for`` says that the provider named the wait.
    """

    event: Literal["scene.retried"]
    level: Literal["warning"]
    cause: FailureCode
    wait_s: Seconds
    asked_for: bool = False
    cost_usd: Money
    cost_basis: CostBasis = "unknown"
    request_id: str | None = None


class SceneAwaited(_OfScene):
    """What a scene waits for is not here yet, and is looked for again.

    For a picture that is bought (``pending``), or what another run has in work (``busy``). It may
    come often, stands for nothing that was sent, and costs nothing. A scene that was never started
    may have it, too.
    """

    event: Literal["scene.awaited"]
    level: Literal["info"]
    cause: FailureCode
    waited_s: Seconds
    wait_s: Seconds
    left_s: Seconds | None = None
    message: str = ""


class SceneWaiting(_OfScene):
    """A scene waits for the pictures of others, which it shows the model.

    It holds no capacity meanwhile. It waits no more once they have ended, or it is started itself.
    """

    event: Literal["scene.waiting"]
    level: Literal["info"]
    waits_for: Annotated[Ids, Field(min_length=1)]


class SceneRecovered(_OfScene):
    """A request that an earlier run had sent has come to its end, or is given up.

    Its scene need not be one of this run's; one that is has its own events beside. ``outcome`` says
    what came of the request, ``cost_usd`` what it cost.
    """

    event: Literal["scene.recovered"]
    level: Literal["info"]
    outcome: Literal["made", "failed", "unknown"]
    cost_usd: Money
    cost_basis: CostBasis
    request_id: str | None = None


class SceneReused(_OfScene):
    """A picture of an earlier run was found, and nothing was bought."""

    event: Literal["scene.reused"]
    level: Literal["info"]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


class SceneFinished(_OfScene):
    """A scene has its picture."""

    event: Literal["scene.finished"]
    level: Literal["info"]
    duration_s: Seconds
    attempts: Count
    cost_usd: Money
    cost_basis: CostBasis
    request_id: str | None = None


class SceneFailed(_OfScene):
    """A scene that was started ends without a picture."""

    event: Literal["scene.failed"]
    level: Literal["error"]
    code: FailureCode
    message: str = ""
    duration_s: Seconds = 0.0
    attempts: Count = 0
    cost_usd: Money = None
    cost_basis: CostBasis = "unknown"
    request_id: str | None = None


class SceneSkipped(_OfScene):
    """A scene was never started, because of ``code``.

    ``waits_for`` are the scenes and sheets whose pictures it needed and that have none.
    """

    event: Literal["scene.skipped"]
    code: FailureCode
    waits_for: Ids = ()


class CapacityChanged(_Logged):
    """More or fewer scenes may be in flight than before, or all pause, because of ``reason``."""

    event: Literal["capacity.changed"]
    limit: Count | None = None
    previous: Count | None = None
    pause_s: Seconds = 0.0
    reason: str = ""
    in_flight: Count | None = None


class BudgetReached(_Logged):
    """A cap on spending is reached, and no further scene is started.

    ``committed_usd`` is what counts against the cap: spent, and held for what is not settled.
    """

    event: Literal["budget.reached"]
    level: Literal["warning"]
    scope: Literal["run", "day", "total"]
    limit_usd: Amount
    committed_usd: Amount
    resets_at: Moment | None = None


class StageFinished(_Logged):
    """The stage has ended its work."""

    event: Literal["stage.finished"]


StageEvent: TypeAlias = Annotated[
    StageStarted
    | StageWarned
    | SceneStarted
    | SceneRetried
    | SceneAwaited
    | SceneWaiting
    | SceneRecovered
    | SceneReused
    | SceneFinished
    | SceneFailed
    | SceneSkipped
    | CapacityChanged
    | BudgetReached
    | StageFinished,
    Field(discriminator="event"),
]

NAMES: tuple[str, ...] = tuple(
    get_args(shape.model_fields["event"].annotation)[0]
    for shape in get_args(get_args(StageEvent)[0])
)
"""Every event there is, in the order of a run."""

_KNOWN = frozenset(NAMES)
_ADAPTER: TypeAdapter[StageEvent] = TypeAdapter(StageEvent)


class EventRefused(Exception):
    """An event that is not as the contract has it.

    Attributes:
        problems: Field and what was expected, never what was there.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def checked(record: dict[str, Any]) -> dict[str, Any]:
    """Return an event as observers get it: its own fields, with money as ``Decimal``.

    Raises:
        EventRefused: Its name is unknown, or a field is missing or wrong.
    """
    if record["event"] not in _KNOWN:
        raise EventRefused((f"event: expected one of {', '.join(NAMES)}",))
    try:
        event = _ADAPTER.validate_python(record)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        problems = tuple(_problem_at(fault["loc"], fault["msg"]) for fault in faults)
        raise EventRefused(problems) from None
    known, own = event.__dict__, event.model_extra or {}
    return {name: known[name] if name in known else own[name] for name in record}  # as logged


def _problem_at(location: tuple[int | str, ...], message: str) -> str:
    field = ".".join(str(part) for part in location[1:])  # the first part is the event's name
    words = message.removeprefix("Value error, ").replace("Input should be", "expected")
    return f"{field}: {words[:1].lower()}{words[1:]}"
