"""What runs have left of batches is brought on: one walk for all lines, from whatever step.

On a real ledger and a real spool, in virtual time; what the provider did stands in its books.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.money import FREE
from stage3_plugin.domain.purchase import Held, Purchase, Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.domain.verdict import VerdictKind
from stage3_plugin.purchase.known import TURN_S
from stage3_plugin.purchase.lost import Brought
from stage3_plugin.storage.spool import batch_files
from tests.laws import tried
from tests.stage3.batch_books import (
    LATER,
    BatchBooks,
    Killed,
    Kind,
    Process,
    ended,
    found,
    made,
    verdict,
    virtually,
    write_answer,
)
from tests.stage3.buying import leave_lock
from tests.stage3.ledger.databases import is_server
from tests.stage3.ledger.samples import NOW, SETTLEMENTS, accepted
from tests.stage3.line_shop import LineShop, close_all, keys_of, request
from tests.stage3.showing import MEMORY

A, S, U, P, B, R = (
    State.ACCEPTED, State.SENDING, State.UNKNOWN, State.PAID, State.PAID_BAD, State.REFUSED,
)  # fmt: skip


class Scene:
    """A batch of some scenes that a run has held, and the books of its provider."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.shop = LineShop(folder)
        self.held: list[Held] = []
        virtually(partial_hold(self, count))
        token = self.held[0].token
        assert token is not None
        self.token = token
        (folder / "spool" / token).mkdir(parents=True)
        self.books = BatchBooks(spool=folder / "spool", token=token)
        self.books.polls = [ended()]
        leave_lock(folder, "run-1")

    def accept(self) -> None:
        with self.shop.ledger.transaction():
            self.shop.ledger.accept(self.token, accepted("the batch"), now=NOW)

    def bring(self, line: int, *settlements: Settlement) -> None:
        with self.shop.ledger.transaction():
            for one in settlements:
                self.shop.ledger.settle(self.held[line].attempt_id, one, now=NOW)

    def create_answered(self) -> None:
        write_answer(self.folder / "spool" / self.token, "create")

    def states(self) -> list[State]:
        assert self.shop.ledger.problems() == []
        return [one.state for one in self.shop.ledger.lines_of(self.token)]

    def process(
        self, run_id: str = "run-2", *, at_once_most: int = 8, now: datetime = NOW
    ) -> Process:
        return Process(self.folder, [self.books], run_id, at_once_most=at_once_most, now=now)

    @property
    def spool(self) -> list[str]:
        """Return whose folders lie in the spool: ``batch``, or the numbers of lines."""
        names = {one.attempt_id: str(number) for number, one in enumerate(self.held)}
        names[self.token] = "batch"
        return sorted(names[one.name] for one in (self.folder / "spool").iterdir())


def partial_hold(scene: Scene, count: int) -> Callable[[], Awaitable[object]]:
    async def hold() -> object:
        scene.held = await scene.shop.hold(*(f"s{number}" for number in range(count)))
        return scene

    return hold


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    """Hold a batch of so many lines by a run that is dead; accepted or not."""

    def make(count: int, *, is_accepted: bool = True) -> Scene:
        scene = Scene(tmp_path, count)
        if is_accepted:
            scene.accept()
        return scene

    yield make
    close_all()


def walk(process: Process, scene: Scene, line: int = 0) -> Brought:
    """Bring one line on, as a scene does that waits for it."""

    async def bring() -> Brought:
        return await process.recovery.bring_on(scene.held[line].attempt_id)

    return virtually(bring)


# A dead run's create -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, billed, state",
    [
        (VerdictKind.REJECTED, False, R),
        (VerdictKind.UNREADABLE, True, U),
        (VerdictKind.NO_PICTURE, True, U),
    ],
)
def test_a_whole_answer_that_was_left_settles_all_lines(
    make: Callable[..., Scene], kind: VerdictKind, state: State, *, billed: bool
) -> None:
    """And calls none of them billed for nothing."""
    scene = make(2, is_accepted=False)
    scene.create_answered()
    scene.books.create = AttemptResult(verdict=verdict(kind, billed=billed), cost=FREE)
    scene.books.has_listing = False
    brought = walk(scene.process(), scene)

    assert scene.states() == [state] * 2
    assert brought.attempted is None  # a line that has never run may be bought at once


@pytest.mark.parametrize("has_listing", [False, True])
def test_a_name_that_another_batch_has_is_believed_of_neither(
    make: Callable[..., Scene], *, has_listing: bool
) -> None:
    """What the provider says cannot be: people look at it, whatever it lists."""
    scene = make(2, is_accepted=False)
    other = virtually(partial_other(scene))
    with scene.shop.ledger.transaction():
        scene.shop.ledger.accept(other, accepted("the batch"), now=NOW)
    scene.create_answered()
    scene.books.has_listing = has_listing
    scene.books.listings = [found(None, at=NOW + LATER)]
    for run_id in ("run-2", "run-3"):
        walk(scene.process(run_id), scene)

    assert scene.states() == [U] * 2
    assert scene.books.asked["find"] == has_listing * 2


def test_an_answer_that_was_not_read_is_not_taken_for_lost(make: Callable[..., Scene]) -> None:
    """There was no turn for it in time: what the listing lacks says nothing while it lies there."""
    scene = make(2, is_accepted=False)
    unsaid = Settlement(state=U, why="its run ended before the whole answer came")
    for line in range(2):
        scene.bring(line, unsaid)
    scene.create_answered()
    scene.books.listings = [found(None, at=NOW + LATER)]
    process = scene.process(at_once_most=1)

    async def bring() -> None:
        turns = process.recovery._turns  # pyright: ignore[reportPrivateUsage] - nobody else hands out
        others = turns.begin(partial(anyio.sleep, 1.5 * TURN_S))
        assert others is not None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(others)
            await process.recovery.bring_on(scene.held[0].attempt_id)

    virtually(bring)
    assert scene.states() == [U] * 2
    assert scene.books.asked["find"] == 0


def partial_other(scene: Scene) -> Callable[[], Awaitable[str]]:
    async def hold() -> str:
        (held,) = await scene.shop.hold("another")
        return held.token or ""

    return hold


# Lost --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "here, there, state",
    [(LATER, LATER, R), (LATER / 2, LATER, U), (LATER, LATER / 2, U), (LATER * 2, LATER, U)],
    ids=["both", "theirs alone", "ours alone", "they disagree"],
)
def test_a_batch_that_two_whole_listings_lack_never_ran_once_it_would_be_there(
    make: Callable[..., Scene], here: timedelta, there: timedelta, state: State
) -> None:
    """All of its lines are free again in one commit, by what both clocks say since another look."""
    scene = make(3, is_accepted=False)
    later = replace(found(None, at=NOW + there), began_at=NOW + here)
    scene.books.listings = [found(None, at=NOW), later]
    walk(scene.process(), scene, 0)
    between = scene.states()
    brought = walk(scene.process("run-3", now=NOW + here), scene, 2)

    assert (between, scene.states()) == ([U] * 3, [state] * 3)
    assert scene.books.asked["find"] == (3 if state is R else 2)
    assert brought.attempted is None
    askings = scene.shop.ledger.askings()
    assert {one.answered for one in askings.values()} == {"absent" if state is R else "cannot_tell"}
    assert len(askings) == 3


def test_all_lines_that_ask_are_one_request_to_the_listing(make: Callable[..., Scene]) -> None:
    """And not one each: a listing has pages, and lags."""
    scene = make(4, is_accepted=False)
    scene.books.listings = [found(None, at=NOW)]
    process = scene.process()

    async def all_ask() -> int:
        async with anyio.create_task_group() as tasks:
            for one in scene.held:
                tasks.start_soon(process.recovery.bring_on, one.attempt_id)
        for one in scene.held:
            await process.recovery.bring_on(one.attempt_id)
        return scene.books.asked["find"]

    assert virtually(all_ask) == 1


# Results -----------------------------------------------------------------------------------------


def test_who_waits_for_a_line_goes_once_it_has_ended(
    make: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not once all lines of its batch have, which may take long."""
    scene = make(2)
    scene.books.has("picture", "picture")
    process, resume = scene.process(at_once_most=1), scene.books.resume_line
    first, second = (one.attempt_id for one in scene.held)

    async def slowly(attempt_id: str) -> AttemptResult:
        await anyio.sleep(1.0 if attempt_id == first else 600.0)
        return await resume(attempt_id)

    monkeypatch.setattr(scene.books, "resume_line", slowly)

    seen = list[tuple[float, Purchase | None, list[State]]]()

    async def both() -> None:
        began_at = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(process.recovery.bring_on, second)
            await anyio.sleep(0.5)
            brought = await process.recovery.bring_on(first)
            seen.append((anyio.current_time() - began_at, brought.purchase, scene.states()))

    virtually(both)
    ((waited_s, line, states),) = seen
    assert waited_s == pytest.approx(1.0)
    assert line is not None
    assert (line.state, states, scene.states()) == (P, [P, A], [P, P])


@tried(20)
@given(
    kinds=st.lists(
        st.sampled_from(["refused", "picture", "never_ran", "unreadable", "billed", None]),
        min_size=1,
        max_size=4,
    ),
    bought=st.sets(st.integers(0, 3)),
    taken_in_by=st.sampled_from(["run-1", "run-2"]),
)
def test_a_refusal_is_said_by_one_run_and_no_more(
    kinds: list[Kind | None], bought: set[int], taken_in_by: str
) -> None:
    """The first whose scene comes, whoever took it in; none where it was bought again since."""
    with TemporaryDirectory() as folder:
        scene = Scene(Path(folder), len(kinds))
        scene.accept()
        scene.books.has(*kinds)
        walk(scene.process(taken_in_by), scene)
        is_own = taken_in_by == "run-1"  # whose scenes wait for it
        word_of_its_own = {n for n, kind in enumerate(kinds) if kind in {"refused", "billed"}}
        for number in bought & word_of_its_own:
            virtually(partial(_hold_again, scene, number))
        said = [_hears(scene.process(f"run-{run}"), len(kinds)) for run in (3, 4)]
        left = scene.shop.ledger.problems()
        close_all()

    assert said == [set() if is_own else word_of_its_own - bought, set()]
    assert left == []


async def _hold_again(scene: Scene, number: int) -> object:
    return await LineShop(scene.folder, "run-9").hold(f"s{number}")


def _hears(process: Process, count: int) -> set[int]:
    """Return of which scenes a run hears that their lines are refused, and have it note that."""

    async def hear() -> set[int]:
        heard = set[int]()
        for number in range(count):
            for _ in range(2):
                line = process.recovery.endings.refused(keys_of(request(f"s{number}")))
                if line is not None:
                    assert number not in heard
                    assert line[1].verdict.kind is VerdictKind.REFUSED
                    assert line[1].verdict.message == line[0].why
                    await process.recovery.endings.tell(line[0])
                    heard.add(number)
        return heard

    return virtually(hear)


@pytest.mark.parametrize("kind", ["refused", None])
def test_a_scene_that_comes_at_the_very_moment_hears_of_its_line(
    make: Callable[..., Scene], kind: Kind | None
) -> None:
    """Before its slot is free: between the two it would be bought again."""
    scene = make(1)
    scene.books.has(kind)
    scene.books.lacking = AttemptResult(verdict=verdict(VerdictKind.REJECTED), cost=FREE)
    process = scene.process()
    heard: list[bool] = []

    def look() -> None:
        if scene.states() == [R]:
            heard.append(process.recovery.endings.refused(keys_of(request("s0"))) is not None)

    process.after_commit = look
    walk(process, scene)

    assert heard == [True]


def test_what_was_not_settled_is_not_heard_of(make: Callable[..., Scene]) -> None:
    """Another run was quicker, or a person has decided meanwhile."""
    scene = make(1)
    scene.books.has("refused")
    process = scene.process()
    scene.books.before_take = lambda: scene.bring(0, SETTLEMENTS[P])
    walk(process, scene)

    assert scene.states() == [P]
    assert process.recovery.endings.refused(keys_of(request("s0"))) is None


def test_what_a_person_has_written_off_keeps_its_late_picture(make: Callable[..., Scene]) -> None:
    """It is noted for them, and changes nothing; what their word is held against stays."""
    scene = make(2, is_accepted=False)
    scene.bring(0, SETTLEMENTS[U], replace(SETTLEMENTS[State.WROTE_OFF], decided_by="user"))
    scene.accept()
    scene.books.has("picture", "picture")
    walk(scene.process(), scene, 1)

    assert scene.states() == [State.WROTE_OFF, P]
    assert scene.process().pictures.spool.late(scene.held[0].attempt_id) is not None
    assert scene.spool == ["0", "batch"]


def test_one_odd_line_keeps_no_other_from_being_taken_in(make: Callable[..., Scene]) -> None:
    """It stays as it is, for somebody to look at."""
    scene = make(3)
    scene.books.has("picture", "odd", "picture")
    walk(scene.process(), scene)

    assert scene.states() == [P, A, P]


# Left behind -------------------------------------------------------------------------------------


def test_what_was_claimed_without_a_picture_is_read_again(make: Callable[..., Scene]) -> None:
    """A power cut may have left half of it: only the results say that there is none."""
    scene = make(1)
    write_answer(scene.folder / "spool" / scene.held[0].attempt_id, "unreadable")
    scene.books.came = [0]
    walk(scene.process(), scene)

    assert scene.states() == [A]


@pytest.mark.parametrize(
    "owner, is_held, left",
    [("run-1", False, []), ("run-3", False, ["batch"]), (None, False, ["batch"])],
    ids=["dead", "living", "nobody's"],
)
def test_the_folder_of_a_batch_that_was_never_held_goes_with_its_run(
    make: Callable[..., Scene], owner: str | None, left: list[str], *, is_held: bool
) -> None:
    """A run may die over the upload, before there is anything in the ledger."""
    scene = make(1)
    folder = scene.folder / "spool" / ("f" * 32)
    folder.mkdir()
    if owner is not None:
        batch_files.note_owner(folder, owner)
    process = scene.process()
    scene.books.polls = [made()]
    with process.owners.claim("run-3"):
        virtually(process.recovery.of_all)

    assert folder.exists() is bool(left)
    assert not is_held


# A law -------------------------------------------------------------------------------------------

LINES: tuple[Kind | None, ...] = ("picture", "refused", "billed", "never_ran", None)
AGAIN: tuple[Kind, ...] = ("picture", "refused")
ENDS: dict[Kind | None, State] = {"picture": P, "refused": R, "billed": B, "never_ran": R, None: R}


@tried(8 if is_server() else 60)
@given(
    lines=st.lists(st.sampled_from(LINES), min_size=1, max_size=6),
    early=st.dictionaries(st.integers(0, 5), st.sampled_from((U, P, R))),
    again=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(AGAIN)), max_size=3),
    kills=st.lists(st.integers(0, 5), max_size=3),
    cuts=st.lists(st.integers(0, 8), max_size=3),
    most=st.integers(1, 3),
)
def test_every_line_ends_as_its_result_says_however_often_its_runs_die(
    *,
    lines: list[Kind | None],
    early: dict[int, State],
    again: list[tuple[int, Kind]],
    kills: list[int],
    cuts: list[int],
    most: int,
) -> None:
    """Whatever comes first and whoever dies: nothing is lost, and nothing is freed early."""
    with TemporaryDirectory(dir=MEMORY) as folder:
        scene = Scene(Path(folder), len(lines))
        scene.accept()
        for line, state in early.items():
            if line < len(lines):
                scene.bring(line, SETTLEMENTS[state])
        expected = [
            _end(lines[n], early.get(n), {kind for line, kind in again if line == n})
            for n in range(len(lines))
        ]
        scene.books.has(*lines)
        for line, kind in again:
            scene.books.lines.append((f"{scene.token}-{line}", kind))
        scene.books.came = [*cuts, None]
        for claims in kills:
            scene.books.dies_after = claims
            process = scene.process(at_once_most=most)
            with suppress(Killed, BaseExceptionGroup):
                walk(process, scene, _unsettled(scene))
            for state, end in zip(scene.states(), expected, strict=True):
                assert state in {A, U, end}
        scene.books.dies_after = None
        for _ in range(2):  # what is left of cut files is had by the second
            process = scene.process(at_once_most=most)
            process.recovery.look()
            virtually(process.recovery.of_all)
        assert scene.states() == expected
        left = [one for one in scene.spool if one == "batch"]
        assert left == []
        close_all()


def _end(kind: Kind | None, early: State | None, repeated: set[Kind]) -> State:
    """Return how a line has to end."""
    if early is not None and early in {P, R}:
        return early
    if "picture" in {kind, *repeated}:
        return P
    return ENDS[kind] if kind is not None or not repeated else R


def _unsettled(scene: Scene) -> int:
    states = scene.states()
    return next((n for n, state in enumerate(states) if state in {A, U}), 0)
