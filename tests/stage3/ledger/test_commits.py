"""Group commit on both event loops: one commit for all that waits, and nobody left waiting."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import ClassVar

import anyio
import anyio.lowlevel
import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.purchase import Limits, NewPurchase
from stage3_plugin.errors import LedgerFailed
from stage3_plugin.ledger import place
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.commits import GroupCommit
from stage3_plugin.ledger.place import LEDGER_NAME, LedgerPlace
from tests.stage3.ledger.databases import is_server, of_sqlite, place_in

pytestmark = pytest.mark.anyio
ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""For what trio does not have: native cancellation, and waits that are cancelled by trying."""

DAY = date(2026, 6, 1)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def holding(number: int) -> Callable[[Ledger], object]:
    """Make the work of holding money for one scene."""
    new = NewPurchase(
        attempt_id=f"{number:032x}",
        scene_key=f"{number:064x}",
        scene_id=f"scene_{number}",
        run_id="run",
        endpoint=Endpoint(provider="openai", model="m"),
        size="64x64",
        quality="low",
        is_local=False,
        hold_microusd=10,
        content_key="c" * 64,
        subject_key=f"{number:064x}",
    )
    return lambda ledger: ledger.hold(new, Limits(), day=DAY, now=NOW)


def held_in(at: LedgerPlace) -> set[int]:
    """Read, with another connection, whose money is durably held."""
    ledger = at.open_to_read()
    assert ledger is not None
    with ledger:
        return {int(purchase.new.attempt_id, 16) for purchase in ledger.purchases()}


def writers() -> int:
    """Count the threads that write to a ledger."""
    return [thread.name for thread in threading.enumerate()].count("stage3 ledger")


class Counted(Ledger):
    """A ledger that counts its commits and fails those it is told to."""

    commits: ClassVar[int] = 0
    failure: ClassVar[BaseException | None] = None

    @contextmanager
    def transaction(self) -> Generator[None]:
        with super().transaction():
            yield
            if Counted.failure is not None:
                raise Counted.failure
        Counted.commits += 1


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> type[Counted]:
    """Have the writer open a counted ledger."""
    monkeypatch.setattr(Counted, "commits", 0)
    monkeypatch.setattr(Counted, "failure", None)
    monkeypatch.setattr(place, "Ledger", Counted)
    if is_server():
        monkeypatch.setattr("stage3_plugin.ledger.postgres.place.Ledger", Counted)
    return Counted


@pytest.fixture
def at(tmp_path: Path) -> LedgerPlace:
    return place_in(tmp_path)


class Gate:
    """Work that keeps the writer busy until it is let go."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_go = threading.Event()

    def __call__(self, _: Ledger) -> None:
        self.began.set()
        assert self.may_go.wait(30)


async def until(event: threading.Event) -> None:
    """Wait for another thread, which is about to do it."""
    while not event.is_set():
        await anyio.sleep(0.001)


async def test_what_waits_is_committed_at_once(at: LedgerPlace, counted: type[Counted]) -> None:
    """While one commit is under way the next group gathers: 1 + 40 pieces are two commits."""
    gate = Gate()
    async with GroupCommit(at) as commit, anyio.create_task_group() as group:
        group.start_soon(commit, gate)
        await until(gate.began)
        for number in range(40):
            group.start_soon(commit, holding(number))
        await anyio.wait_all_tasks_blocked()
        gate.may_go.set()

    assert counted.commits == 2
    assert held_in(at) == set(range(40))


async def test_work_that_raises_loses_only_its_own_changes(
    at: LedgerPlace, counted: type[Counted]
) -> None:
    """Its caller gets the error; the others of the group are committed."""
    gate = Gate()
    errors: list[BaseException] = []

    def half_done(ledger: Ledger) -> None:
        holding(2)(ledger)
        raise ZeroDivisionError("after a change")

    async def fail() -> None:
        try:
            await commit(half_done)
        except ZeroDivisionError as error:
            errors.append(error)

    async with GroupCommit(at) as commit, anyio.create_task_group() as group:
        group.start_soon(commit, gate)
        await until(gate.began)
        group.start_soon(commit, holding(1))
        group.start_soon(fail)
        group.start_soon(commit, holding(3))
        await anyio.wait_all_tasks_blocked()
        gate.may_go.set()

    assert [str(error) for error in errors] == ["after a change"]
    assert counted.commits == 2
    assert held_in(at) == {1, 3}


async def test_a_commit_that_fails_is_told_to_everybody_in_it(
    at: LedgerPlace, counted: type[Counted]
) -> None:
    """Each caller gets an error of its own, nothing is durable, and the writer goes on.

    Whose work had raised already is told of that.
    """
    errors: list[BaseException] = []
    gate = Gate()

    async def fail(work: Callable[[Ledger], object]) -> None:
        with pytest.raises(LedgerFailed) as caught:
            await commit(work)
        errors.append(caught.value)

    async def divide() -> None:
        with pytest.raises(ZeroDivisionError):
            await commit(lambda _: 1 // 0)

    async with GroupCommit(at) as commit:
        async with anyio.create_task_group() as group:
            group.start_soon(fail, gate)
            await until(gate.began)
            for number in range(3):
                group.start_soon(fail, holding(number))
            group.start_soon(divide)
            await anyio.wait_all_tasks_blocked()
            counted.failure = LedgerFailed(at.shown, "the disk is full", hint="free some")
            gate.may_go.set()
        counted.failure = None
        await commit(holding(9))

    assert held_in(at) == {9}
    assert len({id(error) for error in errors}) == 4
    assert {str(error) for error in errors} == {f"the ledger {at.shown}: the disk is full"}


async def test_a_transaction_undone_by_one_piece_is_told_to_all(at: LedgerPlace) -> None:
    """SQLite does so on a full disk: what came before is lost, what comes after is not written."""
    gate = Gate()
    errors: dict[int, LedgerFailed] = {}

    def undoing(ledger: Ledger) -> None:
        vars(ledger)["_execute"]("ROLLBACK")
        raise LedgerFailed(at.shown, "the disk is full", hint="free some")

    async def fail(number: int, work: Callable[[Ledger], object]) -> None:
        try:
            await commit(work)
        except LedgerFailed as error:
            errors[number] = error

    async with GroupCommit(at) as commit:
        async with anyio.create_task_group() as group:
            group.start_soon(commit, gate)
            await until(gate.began)
            group.start_soon(fail, 1, holding(1))
            group.start_soon(fail, 2, undoing)
            group.start_soon(fail, 3, holding(3))
            await anyio.wait_all_tasks_blocked()
            gate.may_go.set()
        await commit(holding(4))

    assert sorted(errors) == [1, 2, 3]
    assert {error.problem for error in errors.values()} == {"the disk is full"}
    assert held_in(at) == {4}


async def test_cancelling_neither_interrupts_a_commit_nor_loses_its_result(at: LedgerPlace) -> None:
    """The await ends with the result, and the next checkpoint with the cancellation."""
    gate = Gate()
    told: list[object] = []
    waited: list[object] = ["unknown"]

    async def purchase() -> None:
        told.append(await commit(holding(1)))
        told.append("went on")
        await anyio.lowlevel.checkpoint()
        told.append("was not cancelled")

    async with GroupCommit(at) as commit, anyio.create_task_group() as group:
        group.start_soon(commit, gate)
        await until(gate.began)
        group.start_soon(purchase)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.01)
        waited[:] = told
        gate.may_go.set()

    assert waited == []
    assert told[1:] == ["went on"]
    assert held_in(at) == {1}


@ON_ASYNCIO
@pytest.mark.parametrize("times", [1, 2])
async def test_a_native_cancellation_is_delivered_after_the_result(
    at: LedgerPlace, times: int
) -> None:
    """``asyncio.wait_for`` around a purchase, say: counted as often as it was asked for."""
    gate = Gate()
    told: list[object] = []

    async def purchase() -> None:
        told.append(await commit(gate))
        task = asyncio.current_task()
        assert task is not None
        told.append(task.cancelling())
        await asyncio.sleep(0)
        told.append("was not cancelled")

    async with GroupCommit(at) as commit:
        task = asyncio.create_task(purchase())
        await until(gate.began)
        for _ in range(times):
            task.cancel("by hand")
            await asyncio.sleep(0.005)
        gate.may_go.set()
        with pytest.raises(asyncio.CancelledError, match="by hand"):
            await task

    assert told == [None, times]


async def test_closing_is_not_interrupted_by_cancelling(at: LedgerPlace) -> None:
    """The pieces end, and so does the thread, before the cancellation goes on."""
    gate = Gate()
    with anyio.CancelScope() as scope:
        async with GroupCommit(at) as commit, anyio.create_task_group() as group:
            group.start_soon(commit, gate)
            await until(gate.began)
            group.start_soon(commit, holding(1))
            await anyio.wait_all_tasks_blocked()
            threading.Timer(0.02, gate.may_go.set).start()
            scope.cancel()
            await anyio.lowlevel.checkpoint()

    assert scope.cancelled_caught
    assert held_in(at) == {1}
    assert writers() == 0


async def test_nothing_is_taken_after_closing(at: LedgerPlace) -> None:
    """It would never be committed."""
    async with GroupCommit(at) as commit:
        pass

    with pytest.raises(RuntimeError, match="the ledger is closed"):
        await commit(holding(1))


def test_a_writer_that_dies_leaves_nobody_waiting(
    at: LedgerPlace, counted: type[Counted], anyio_backend_name: str
) -> None:
    """Its group, what waited behind it, what comes later, and who closes: all are told.

    In a thread of its own: somebody who waits for ever cannot be cancelled, and would keep the
    tests waiting too.
    """
    told: list[str] = []
    thread = threading.Thread(
        target=lambda: anyio.run(a_writer_dies, at, counted, told, backend=anyio_backend_name),
        daemon=True,
    )
    thread.start()
    thread.join(30)

    assert not thread.is_alive(), f"somebody still waits; told so far: {told}"
    assert Counter(told) == {
        f"the ledger {at.shown}: its writer met SystemExit": 1,
        f"the ledger {at.shown}: its writer has ended": 4,
    }
    assert held_in(at) == set()


async def a_writer_dies(at: LedgerPlace, counted: type[Counted], told: list[str]) -> None:
    """Let a writer die over one piece while three wait, ask it for another, and close it."""
    gate = Gate()

    async def fail(work: Callable[[Ledger], object]) -> None:
        with pytest.raises(LedgerFailed) as caught:
            await commit(work)
        told.append(str(caught.value))

    async with GroupCommit(at) as commit:
        async with anyio.create_task_group() as group:
            group.start_soon(fail, gate)
            await until(gate.began)
            for number in range(3):
                group.start_soon(fail, holding(number))
            await anyio.wait_all_tasks_blocked()
            counted.failure = SystemExit()
            gate.may_go.set()
        await fail(holding(3))
        while writers():
            await anyio.sleep(0.001)


@of_sqlite("its file")
async def test_a_ledger_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """By the error of opening, and without a thread left behind."""
    (tmp_path / LEDGER_NAME).write_bytes(
        b"this is no database, it only looks like a file of that name" * 20
    )

    with pytest.raises(LedgerFailed):
        async with GroupCommit(tmp_path / LEDGER_NAME):
            pytest.fail("was opened")

    assert writers() == 0
