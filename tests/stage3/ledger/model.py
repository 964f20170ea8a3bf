"""A model of processes that buy, crash and recover, small enough to try everything.

It is built from the table of states that the database's triggers are built from, and follows the
order of one purchase step by step; between any two steps another process may go on, somebody may
decide about an unknown outcome, or the process may be killed. The provider's truth is kept beside,
so that what we believe is checked against what was billed. A rule can be broken on purpose, to see
that an invariant notices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from stage3_plugin.domain.states import COUNTED, LEGAL, LIVE, State

HOLD: Final = 2
COST: Final = 1
"""A bill is lower than its hold, so that a counter which is not corrected is noticed."""

DEAD: Final = -1
"""Owns a row whose process was killed."""
NOBODY: Final = -2
"""Owns a row that is settled."""
_NOWHERE: Final = frozenset({"idle", "dead"})
"""Steps of a process that is at no scene."""

Mutation: TypeAlias = Literal[
    "journal_after_send",
    "paid_before_durable",
    "unknown_releases_hold",
    "no_unique_index",
    "check_outside_transaction",
]
CorrectingMutation: TypeAlias = Literal["correction_forgets_counter"]
"""A rule that matters only where a person corrects a cost."""


class Row(NamedTuple):
    """A purchase, with what lies on the disk for it and what the provider has done."""

    state: State
    owner: int
    is_billed: bool = False
    """The provider's truth."""
    answer: str = ""
    """Received to its end: ``good``, ``bad`` or ``refusal``."""
    is_stored: bool = False
    decided_by: str = ""
    is_misread: bool = False
    """Its bill was reported as its hold, which is more than it was."""
    is_written: bool = True
    """Its row is durable; in the broken order the provider is first to know."""


class World(NamedTuple):
    """Everything that outlasts a step."""

    scenes: tuple[tuple[Row, ...], ...]
    steps: tuple[str, ...]
    """What each process does next."""
    at: tuple[int, ...]
    """Which scene each process is at."""
    committed: int = 0
    crashes_left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is tried, and by which rules.

    Attributes:
        processes: How many run.
        scenes: How many there are to make.
        crashes: How often a process may be killed.
        rows_per_scene: At most so many purchases of a scene, so that there is an end.
        cap: On what is held and spent.
        on_unknown: The setting.
        broken: A rule that does not hold.
        corrects: Bills may be reported wrong, and a person may correct them.
    """

    processes: int = 2
    scenes: int = 2
    crashes: int = 2
    rows_per_scene: int = 2
    cap: int = 3
    on_unknown: Literal["hold", "resend"] = "hold"
    broken: Mutation | CorrectingMutation | None = None
    corrects: bool = False


Moves: TypeAlias = Iterator[tuple[str, World]]
"""What can happen next: a word for it, and what the world is then."""


class Model:
    """The protocol as moves from world to world.

    Attributes:
        taken: The ways between states that were gone so far.
        counted: The states that count.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.taken: set[tuple[State, State]] = set()
        broken = rules.broken
        self.counted = COUNTED - {State.UNKNOWN} if broken == "unknown_releases_hold" else COUNTED
        self._steps: Mapping[str, Callable[[World, int], Moves]] = {
            "idle": self._idle,
            "hold": self._hold,
            "held": self._send,
            "requested": self._request,
            "billed": self._receive,
            "refused": self._receive_refusal,
            "received": self._settle_paid if broken == "paid_before_durable" else self._store,
            "stored": self._settle_paid,
            "settle VOID": self._settle,
            "settle UNKNOWN": self._settle,
            "settle REFUSED": self._settle,
            "settle PAID_BAD": self._settle,
            "dead": self._restart,
        }

    def start(self) -> World:
        """Return the world before anything was bought."""
        rules = self.rules
        return World(
            scenes=((),) * rules.scenes,
            steps=("idle",) * rules.processes,
            at=(0,) * rules.processes,
            crashes_left=rules.crashes,
        )

    def moves(self, world: World) -> Moves:
        """Return all that can happen next."""
        for process, step in enumerate(world.steps):
            yield from self._steps[step](world, process)
            if world.crashes_left and step != "dead":
                yield f"{process} is killed", self._killed(world, process)
        yield from self._decisions(world)

    # What a process does ---------------------------------------------------------------------

    def _idle(self, world: World, me: int) -> Moves:
        """Look for a scene to make, or take over what a dead process has left."""
        for scene, rows in enumerate(world.scenes):
            live = next((row for row in rows if row.state in LIVE), None)
            if live is None and len(rows) < self.rules.rows_per_scene:
                if self.rules.broken != "check_outside_transaction" or self._fits(world):
                    yield f"{me} finds scene {scene} to make", _at(world, me, "hold", scene)
            elif live is not None and self._may_resend(rows, live):
                yield from self._resend(world, me, scene, live)
            for row in rows:
                if row.owner == DEAD:
                    yield (
                        f"{me} takes over in scene {scene}",
                        self._taken_over(world, me, scene, row),
                    )

    def _hold(self, world: World, me: int) -> Moves:
        """Hold the money in one transaction: the cap, and the index of live purchases."""
        scene = world.at[me]
        is_blocked = any(row.state in LIVE for row in world.scenes[scene])
        if self.rules.broken == "no_unique_index":
            is_blocked = False
        fits = self.rules.broken == "check_outside_transaction" or self._fits(world)
        if is_blocked or not fits or len(world.scenes[scene]) == self.rules.rows_per_scene:
            yield f"{me} cannot hold", _at(world, me, "idle", scene)
        else:
            yield f"{me} holds", self._with_new(world, me, scene)

    def _resend(self, world: World, me: int, scene: int, unknown: Row) -> Moves:
        """Write off and hold anew in one transaction, if both fit."""
        written_off = self._changed(world, scene, unknown, State.WROTE_OFF, decided_by="policy")
        if self._fits(written_off):
            yield f"{me} sends again", self._with_new(written_off, me, scene)

    def _may_resend(self, rows: tuple[Row, ...], live: Row) -> bool:
        return (
            self.rules.on_unknown == "resend"
            and live.state is State.UNKNOWN
            and len(rows) < self.rules.rows_per_scene
            and all(row.decided_by != "policy" for row in rows)
        )

    def _send(self, world: World, me: int) -> Moves:
        """Let bytes leave, or prove that none did."""
        scene, _ = _mine(world, me)
        yield f"{me} sends", _at(world, me, "requested", scene)
        yield f"{me} cannot connect", _at(world, me, "settle VOID", scene)

    def _request(self, world: World, me: int) -> Moves:
        """Let the provider do what it does: bill, refuse, or never hear of it."""
        scene, row = _mine(world, me)
        billed = _replaced(world, scene, row, row._replace(is_billed=True))
        yield "the provider bills", _at(billed, me, "billed", scene)
        if not row.is_billed:
            yield "the provider refuses", _at(world, me, "refused", scene)
            yield "the request is lost", _at(world, me, "settle UNKNOWN", scene)

    def _receive(self, world: World, me: int) -> Moves:
        """Receive the whole answer into the spool, or lose it on the way."""
        scene, row = _mine(world, me)
        for answer, step in (("good", "received"), ("bad", "settle PAID_BAD")):
            received = _replaced(world, scene, row, row._replace(answer=answer))
            yield f"a {answer} answer", _at(received, me, step, scene)
        yield "the answer is lost", _at(world, me, "settle UNKNOWN", scene)

    def _receive_refusal(self, world: World, me: int) -> Moves:
        scene, row = _mine(world, me)
        received = _replaced(world, scene, row, row._replace(answer="refusal"))
        yield "a refusal", _at(received, me, "settle REFUSED", scene)
        yield "the refusal is lost", _at(world, me, "settle UNKNOWN", scene)

    def _store(self, world: World, me: int) -> Moves:
        """Bring the picture among the objects, durably."""
        scene, row = _mine(world, me)
        stored = _replaced(world, scene, row, row._replace(is_stored=True))
        yield f"{me} stores", _at(stored, me, "stored", scene)

    def _settle_paid(self, world: World, me: int) -> Moves:
        scene, row = _mine(world, me)
        settled = self._changed(world, scene, row, State.PAID)
        yield f"{me} settles PAID", _at(settled, me, "idle", scene)
        if self.rules.corrects:
            misread = row._replace(is_misread=True)
            told = _replaced(world, scene, row, misread)
            settled = self._changed(told, scene, misread, State.PAID)
            yield f"{me} settles PAID, misread", _at(settled, me, "idle", scene)

    def _settle(self, world: World, me: int) -> Moves:
        scene, row = _mine(world, me)
        state = State(world.steps[me].removeprefix("settle "))
        settled = self._changed(world, scene, row, state)
        yield f"{me} settles {state}", _at(settled, me, "idle", scene)

    def _taken_over(self, world: World, me: int, scene: int, row: Row) -> World:
        """Hold a dead owner's lock; then its row is brought to an end like one of our own."""
        step = {
            "good": "stored" if row.is_stored else "received",
            "bad": "settle PAID_BAD",
            "refusal": "settle REFUSED",
            "": "settle UNKNOWN",
        }[row.answer]
        return _at(_replaced(world, scene, row, row._replace(owner=me)), me, step, scene)

    def _killed(self, world: World, me: int) -> World:
        """Lose all but what is durable; the lock falls with the process."""
        scenes = tuple(
            tuple(row._replace(owner=DEAD) if row.owner == me else row for row in rows)
            for rows in world.scenes
        )
        killed = world._replace(scenes=scenes, crashes_left=world.crashes_left - 1)
        return _at(killed, me, "dead", 0)

    def _restart(self, world: World, me: int) -> Moves:
        yield f"{me} starts again", _at(world, me, "idle", 0)

    # What a person decides -------------------------------------------------------------------

    def _decisions(self, world: World) -> Moves:
        """Let a person decide about what is unknown, by what the provider's bill says."""
        for scene, rows in enumerate(world.scenes):
            for row in rows:
                if row.is_misread and row.state is State.PAID:
                    yield "somebody corrects its cost", self._corrected(world, scene, row)
                if row.state is not State.UNKNOWN:
                    continue
                truth = State.PAID_BAD if row.is_billed else State.REFUSED
                for state in (truth, State.WROTE_OFF):
                    yield (
                        f"somebody decides {state}",
                        self._changed(world, scene, row, state, decided_by="user"),
                    )

    def _corrected(self, world: World, scene: int, row: Row) -> World:
        """Put a cost right, and the counter with it; the state stays."""
        right = row._replace(is_misread=False, decided_by="user")
        moved = self.counts(right) - self.counts(row)
        if self.rules.broken == "correction_forgets_counter":
            moved = 0
        corrected = _replaced(world, scene, row, right)
        return corrected._replace(committed=corrected.committed + moved)

    # The ledger ------------------------------------------------------------------------------

    def _fits(self, world: World) -> bool:
        return world.committed + HOLD <= self.rules.cap

    def _with_new(self, world: World, me: int, scene: int) -> World:
        new = Row(State.SENDING, me, is_written=self.rules.broken != "journal_after_send")
        rows = (*world.scenes[scene], new)
        committed = world.committed + self.counts(new)
        return _at(_with_rows(world, scene, rows)._replace(committed=committed), me, "held", scene)

    def _changed(
        self,
        world: World,
        scene: int,
        row: Row,
        state: State,
        *,
        owner: int = NOBODY,
        decided_by: str = "",
    ) -> World:
        """Bring a row to another state, and the counter with it."""
        if state not in LEGAL[row.state]:
            raise Violated("a legal way", f"{row.state} to {state}")
        self.taken.add((row.state, state))
        new = row._replace(state=state, owner=owner, decided_by=decided_by)
        moved = self.counts(new) - self.counts(row)
        changed = _replaced(world, scene, row, new)
        return changed._replace(committed=changed.committed + moved)

    def counts(self, row: Row) -> int:
        """Return what a row adds to the counter."""
        if row.state not in self.counted or not row.is_written:
            return 0
        is_known = row.state in {State.PAID, State.PAID_BAD} and not row.is_misread
        return COST if is_known else HOLD


class Violated(Exception):
    """Something that must always hold does not."""

    def __init__(self, invariant: str, how: str) -> None:
        self.invariant = invariant
        self.how = how
        super().__init__(f"{invariant}: {how}")


def check(world: World, model: Model) -> None:
    """Check the invariants.

    Raises:
        Violated: One of them does not hold.
    """
    if world.committed > model.rules.cap:
        raise Violated("I1", "held and spent pass the cap")
    billed = counted = 0
    for rows in world.scenes:
        for row in rows:
            check_row(row, model)
            counted += model.counts(row)
        check_scene(rows)
        billed += sum(row.is_billed for row in rows)
    if billed * COST > world.committed:
        raise Violated("I2", "more is billed than counted")
    if counted != world.committed:
        raise Violated("I8", "the counter is not the sum of its rows")


def check_row(row: Row, model: Model) -> None:
    """Check what must hold for every purchase by itself."""
    if row.state is State.WROTE_OFF and not row.decided_by:
        raise Violated("I3", "written off, and nobody decided")
    if row.is_billed and row.state not in model.counted:
        raise Violated("I4", f"billed, and in {row.state}")
    if row.state is State.PAID and not row.is_stored:
        raise Violated("I5", "PAID without a picture")
    if row.answer in {"good", "bad"} and row.state in {State.VOID, State.REFUSED}:
        raise Violated("I7", f"a complete answer ends in {row.state}")


def check_scene(rows: tuple[Row, ...]) -> None:
    """Check what must hold for the purchases of one scene."""
    billed = sum(row.is_billed for row in rows)
    decided = sum(row.state in {State.WROTE_OFF, State.PAID_BAD} for row in rows)
    if billed > 1 + decided:
        raise Violated("I3", "a scene is billed twice, and nobody decided")
    if sum(row.state in LIVE for row in rows) > 1:
        raise Violated("I6", "a scene has two live purchases")


Rested: TypeAlias = tuple[tuple[State, ...], ...]
"""The states of the purchases of each scene; both in no order."""


@dataclass(slots=True)
class Explored:
    """What came of trying everything.

    Attributes:
        rules: What was tried.
        worlds: How many there are.
        violated: The first thing that did not hold, if any.
        story: What led to it, from the start. Processes and scenes are numbered anew in each step.
        taken: The ways between states that were gone.
        rested: In which states the purchases of the scenes were when no process was at any.
    """

    rules: Rules
    worlds: int = 0
    violated: Violated | None = None
    story: list[str] = field(default_factory=list[str])
    taken: set[tuple[State, State]] = field(default_factory=set[tuple[State, State]])
    rested: set[Rested] = field(default_factory=set[Rested])


def explore(rules: Rules) -> Explored:
    """Try everything, the shortest stories first, and stop at the first violation."""
    model = Model(rules)
    start = model.start()
    came_from: dict[World, tuple[World, str] | None] = {start: None}
    seen: set[World] = set()  # before they were put in order, which takes longer than looking
    waiting = deque([start])
    found = Explored(rules, taken=model.taken)
    world, word = start, ""
    try:
        while waiting:
            world = waiting.popleft()
            for word, moved in model.moves(world):
                if moved in seen:
                    continue
                seen.add(moved)
                after = _in_order(moved)
                if after in came_from:
                    continue
                check(after, model)
                came_from[after] = (world, word)
                waiting.append(after)
            if all(step == "idle" for step in world.steps):
                found.rested.add(_states(world))
    except Violated as violated:
        found.violated = violated
        found.story = [*_story(came_from, world), word]
    found.worlds = len(came_from)
    return found


def _states(world: World) -> Rested:
    return tuple(sorted(tuple(sorted(row.state for row in rows)) for rows in world.scenes))


def _story(came_from: Mapping[World, tuple[World, str] | None], world: World) -> list[str]:
    words: list[str] = []
    step = came_from[world]
    while step is not None:
        world, word = step
        words.append(word)
        step = came_from[world]
    return words[::-1]


def _in_order(world: World) -> World:
    """Return one world for all that differ only in how scenes, rows and processes are numbered."""
    best: tuple[object, ...] | None = None
    for numbers in permutations(range(len(world.steps))):
        renamed = [
            tuple(
                sorted(
                    row if row.owner < 0 else row._replace(owner=numbers[row.owner]) for row in rows
                )
            )
            for rows in world.scenes
        ]
        for order in permutations(range(len(renamed))):
            steps, at = list(world.steps), list(world.at)
            for old, new in enumerate(numbers):
                steps[new] = world.steps[old]
                at[new] = 0 if steps[new] in _NOWHERE else order.index(world.at[old])
            candidate = (tuple(renamed[scene] for scene in order), tuple(steps), tuple(at))
            if best is None or candidate < best:
                best = candidate
    scenes, steps, at = cast("tuple[Any, Any, Any]", best)
    return World(scenes, steps, at, world.committed, world.crashes_left)


def _at(world: World, me: int, step: str, scene: int) -> World:
    steps, at = list(world.steps), list(world.at)
    steps[me], at[me] = step, scene
    return world._replace(steps=tuple(steps), at=tuple(at))


def _mine(world: World, me: int) -> tuple[int, Row]:
    """Return the row that a process is at: it is at one at a time."""
    scene = world.at[me]
    for row in world.scenes[scene]:
        if row.owner == me:
            return scene, row
    raise AssertionError("a process is at a row of its own")


def _with_rows(world: World, scene: int, rows: tuple[Row, ...]) -> World:
    scenes = list(world.scenes)
    scenes[scene] = rows
    return world._replace(scenes=tuple(scenes))


def _replaced(world: World, scene: int, row: Row, new: Row) -> World:
    rows = list(world.scenes[scene])
    rows[rows.index(row)] = new
    return _with_rows(world, scene, tuple(rows))
