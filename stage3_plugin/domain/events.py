"""The events of a run: what each is called, at which level it is logged, what it says.

Events are flat, in the past tense, with numbers ready to add up; money is a decimal, unknown money
is ``None``. A beginning has exactly one end: every ``scene.started`` is followed by one of
``scene.retried``, ``scene.finished`` or ``scene.failed`` with the same ``attempt``, and every
``stage.started`` by a ``stage.finished``. A scene that waits for a picture it has bought is retried
for the cause ``pending`` and then ends without starting again: nothing more is sent for it. So does
one whose run stops while it waits. ``scene.reused``, ``scene.skipped``, ``scene.awaited`` and
``scene.recovered`` stand alone, and so do all of a batch: its scenes start as their lines are held.

Each is made where it happens and sent as it is, by ``runtime/trace.event``. Fields are written
down in the order in which they stand here; one that has its default is left out.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NewType

from host_stub.contract import CostBasis, FailureCode
from stage3_plugin.runtime import trace
from stage3_plugin.runtime.trace import Event


class StageStarted(Event, name="stage.started"):
    """A run begins to work; ``sheets`` are the pictures that it makes beside the scenes."""

    scenes: int
    provider: str
    model: str
    capacity: int
    """The most that may be in flight."""
    sheets: tuple[str, ...] = ()


class StageWarned(Event, name="stage.warned", level="warning"):
    """A person should know this although the run goes on."""

    message: str


class StageFinished(Event, name="stage.finished"):
    """A run has ended its work: how many events of each of these there were."""

    made: int
    reused: int
    failed: int
    skipped: int
    retries: int


class _OfAScene(Event):
    """The picture that an event is of; the take is named where it is not the first."""

    scene_id: str
    take: int = 1


class SceneStarted(_OfAScene, name="scene.started"):
    """A request starts; capacity has been granted, and its money is held."""

    attempt: int
    """Which try it is, from 1."""
    queued_s: float
    purchase: str
    held_usd: Decimal
    provider: str
    model: str
    size: str
    base_url: str | None
    """Where it is sent, if that is not the provider's own address."""


class SceneRetried(_OfAScene, name="scene.retried", level="warning", counts_as="retries"):
    """A request failed and the scene waits to go again, as long as was asked."""

    attempt: int
    cause: FailureCode
    wait_s: float
    asked_for: bool = False
    cost_usd: Decimal | None
    cost_basis: CostBasis
    message: str
    request_id: str | None = None


class SceneAwaited(_OfAScene, name="scene.awaited"):
    """What a scene waits for is not here yet, and is looked for again in ``wait_s``."""

    attempt: int
    cause: FailureCode
    waited_s: float
    wait_s: float
    left_s: float
    message: str


class SceneWaiting(_OfAScene, name="scene.waiting"):
    """A scene waits, without capacity, for those it refers to."""

    waits_for: tuple[str, ...]


class SceneRecovered(_OfAScene, name="scene.recovered"):
    """A request that an earlier run had sent has come to its end."""

    outcome: str
    cost_usd: Decimal | None
    cost_basis: CostBasis
    purchase: str
    provider: str
    model: str
    sent_at: datetime
    request_id: str | None = None


class SceneReused(_OfAScene, name="scene.reused", counts_as="reused"):
    """A scene's picture was there, and nothing was bought."""

    sha256: str | None


class _SceneEnded(_OfAScene):
    """How a scene ended that was started; ``last_cost`` is that of its last request."""

    attempt: int
    attempts: int
    duration_s: float
    cost_usd: Decimal | None
    cost_basis: CostBasis
    last_cost_usd: Decimal | None
    last_cost_basis: CostBasis
    request_id: str | None = None


class SceneFinished(_SceneEnded, name="scene.finished", counts_as="made"):
    """A scene has its picture."""

    sha256: str | None


class SceneFailed(_SceneEnded, name="scene.failed", level="error", counts_as="failed"):
    """A scene that was started ends without a picture."""

    code: FailureCode
    message: str


class SceneSkipped(_OfAScene, name="scene.skipped", level="warning", counts_as="skipped"):
    """A scene was never started; ``waits_for`` are those whose pictures it lacks, if any."""

    code: FailureCode
    message: str
    waits_for: tuple[str, ...] = ()


class BatchUploaded(Event, name="batch.uploaded"):
    """The file of a batch is at its provider; nothing is bought yet."""

    batch: str
    lines: int
    size_bytes: int


class BatchCreated(Event, name="batch.created"):
    """A batch is being made; ``batch`` is what we call it, ``job`` what its provider does."""

    batch: str
    job: str
    lines: int
    held_usd: Decimal
    """What is held for all of its lines."""
    provider: str
    model: str


class BatchProgress(Event, name="batch.progress"):
    """How far a batch is, as its provider says."""

    batch: str | None
    job: str | None
    lines: int
    done: int
    failed: int
    expired: int


class BatchEnded(Event, name="batch.ended"):
    """A batch has ended."""

    batch: str
    job: str
    how: str
    lines: int | None
    done: int | None
    failed: int | None
    expired: int | None
    message: str


class BatchStrangeLines(Event, name="batch.strange_lines", level="warning"):
    """Results of a batch have lines that are none of its own: they change nothing."""

    batch: str
    count: int
    keys: tuple[str, ...]


class CapacityChanged(Event, name="capacity.changed"):
    """More or fewer may be in flight, or all pause for ``pause_s`` from now, and why."""

    reason: str
    limit: int
    """At most so many may be in flight from now on."""
    previous: int
    """How many could when it was last reported."""
    pause_s: float
    in_flight: int
    """Requests at the provider now."""


class BudgetReached(Event, name="budget.reached", level="warning"):
    """A cap is in the way, and no further scene is started."""

    scope: str
    limit_usd: Decimal
    committed_usd: Decimal
    needed_usd: Decimal
    resets_at: datetime | None


class LedgerRecovered(Event, name="ledger.recovered"):
    """What became of the requests that earlier runs died over."""

    adopted: int
    """Answers that were taken in."""
    unknown: int
    """Requests that may have been billed."""
    void: int
    """Requests that were never sent."""


class LedgerLeftOpen(Event, name="ledger.left_open", level="warning"):
    """A purchase could not be looked after, and is left as it is."""

    attempt_id: str
    problem: str


class LedgerNotTidied(Event, name="ledger.not_tidied", level="warning"):
    """What earlier runs left behind could not be tidied away."""

    problem: str


Warned = NewType("Warned", str)
"""What a person should know, with its code at its end."""


def coded(code: str, line: str) -> Warned:
    """Return a warning that ends with its code, which ``host-stub explain`` explains."""
    return Warned(f"{line} [{code}]")


def warn_of(message: Warned) -> None:
    """Report what a person should know although the run goes on."""
    trace.event(StageWarned(message=message))
