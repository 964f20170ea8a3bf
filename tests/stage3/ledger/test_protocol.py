"""The protocol of jobs, slots, takes and ladders against providers that keep books, in any order.

Runs of two homes, with ladders of their own, share one real file, and want one to three takes of a
scene. What they do is what the ledger as a run sees it lets them do; a provider's truth, what lies
in each home's spool and who lives are kept beside. Every step is held to the invariants of the
protocol's model, I1 to I6, I9 and I10, and in the end everything must have a way out, though
providers are silent for ever.
"""

from __future__ import annotations

import tempfile
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType] - hypothesis tells no types
)

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.job import NewJob
from stage3_plugin.domain.keys import Keys, scene_keys
from stage3_plugin.domain.purchase import Held, Limits, Purchase, Settlement
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.domain.states import COUNTED, LIVE, UNSETTLED, State
from stage3_plugin.errors import IllegalTransition
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.session import Session
from stage3_plugin.policy.reuse import OnUnknown, Reuse
from stage3_plugin.purchase.run_ledger import Line, RunLedger
from stage3_plugin.purchase.takes import LiveTake, Part
from tests.fakes.inline_commit import InlineCommit
from tests.laws import tried
from tests.stage3.buying import NoClaim
from tests.stage3.ledger.databases import is_server, place_in
from tests.stage3.ledger.samples import DAY, NOW, SETTLEMENTS, accepted, paid

T = TypeVar("T")
SCENES = ("rain", "snow", "hail", "fog")
ROUTES = (Endpoint(provider="painter", model="one"), Endpoint(provider="queue", model="two"))
"""One answers at once, the other has a queue, whose listing shows what it has."""
LADDERS = ((0, 1), (0,), (1,), (1, 0))
HOLD = 10
BAD = Settlement(state=State.PAID_BAD, cost_microusd=HOLD, basis="reported", why="it is cut off")
which = st.integers(0, 99)
"""Chooses among what there is at the moment."""
MAY_BILL, BILLED, BEGUN = "nqgb", "gb", "qgbf"


@dataclass
class Truth:
    """What only the provider, a disk, or a process that lives knows of a request.

    Attributes:
        net: ``a`` not sent, ``n`` on its way, ``x`` lost on it; then ``q`` begun, and how it ended:
            ``g`` a picture, ``b`` billed without one, ``f`` refused.
        mem: What its own run is about: ``armed``, ``waiting``, or nothing any more.
        spool: What lies whole on each home's disk: ``j`` that it was accepted, or how it ended.
        is_late: It has been unknown for so long that nothing of it can still be on its way.
        is_over: What its provider has promised to keep is over.
        is_forgotten: The provider knows it no more.
        was_told: Its name has come to us.
        fresh: The runs that lived when it was billed for nothing.
    """

    scene: str
    route: int
    run: str
    home: int
    net: str = "a"
    mem: str = "armed"
    spool: list[str] = field(default_factory=lambda: ["", ""])
    is_stored: bool = False
    is_late: bool = False
    is_over: bool = False
    is_forgotten: bool = False
    was_told: bool = False
    fresh: frozenset[str] = frozenset()


@dataclass
class Run:
    """One process.

    Attributes:
        takes: What it wants of each scene, and where it is with each of those.
    """

    home: int
    ladder: tuple[int, ...]
    ledger: Ledger
    buys: RunLedger
    takes: dict[str, Part] = field(default_factory=dict[str, Part])


@cache
def keys_of(scene: str, route: int, ladder: tuple[int, ...]) -> Keys:
    """Return what a scene is known by at a route, and at the other routes of a ladder."""
    wanted = PictureRequest(scene_id=scene, prompt=scene, width_px=64, height_px=64)
    return scene_keys(
        wanted,
        Route(endpoint=ROUTES[route]),
        others=lambda: tuple(keys_of(scene, other, ()) for other in ladder),
    )


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run what commits in the caller's thread and waits for nobody."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    raise AssertionError("it waits")


class ProtocolMachine(RuleBasedStateMachine):
    """What runs, providers, time and people do to one ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.place = place_in(Path(self.folder.name))
        self.reader = self.place.open()
        self.truths: dict[str, Truth] = {}
        self.runs: dict[str, Run] = {}
        self.begun = 0
        self.cap = 0
        self.said: dict[str, int] = {}

    @initialize(cap=st.sampled_from((3, 50, 50, 50)), ladder=st.sampled_from(LADDERS))
    def begin(self, cap: int, ladder: tuple[int, ...]) -> None:
        self.cap = cap * HOLD
        self.start_run(0, ladder, "resend")

    def teardown(self) -> None:
        try:
            if self.runs:
                self.everything_has_a_way_out()
        finally:
            for ledger in (self.reader, *(run.ledger for run in self.runs.values())):
                ledger.close()
            self.folder.cleanup()

    # Runs and time -----------------------------------------------------------------------------

    @precondition(lambda self: len(self.runs) < 3)
    @rule(
        home=st.integers(0, 1),
        ladder=st.sampled_from(LADDERS),
        on_unknown=st.sampled_from(("hold", "resend")),
    )
    def start_run(self, home: int, ladder: tuple[int, ...], on_unknown: OnUnknown) -> None:
        self.begun += 1
        name, ledger = f"run-{self.begun}", self.place.open()
        session = cast(
            "Session",
            SimpleNamespace(
                reader=ledger, commit=InlineCommit(ledger), run_id=name, now=lambda: NOW,
                calendar=SimpleNamespace(today=lambda: DAY),
                claim=NoClaim(),
            ),
        )  # fmt: skip
        limits = Limits(total_microusd=self.cap)
        buys = RunLedger(
            session, is_local=False, limits=limits, on_unknown=on_unknown, caretaker=str
        )
        self.runs[name] = Run(home, ladder, ledger, buys)

    @precondition(lambda self: len(self.runs) > 1)
    @rule(n=which)
    def kill_run(self, n: int) -> None:
        """Lose all that is not durable; its lock falls."""
        self.die(self.some_run(n)[0])

    def die(self, name: str) -> None:
        self.runs.pop(name).ledger.close()
        for truth in self.truths.values():
            if truth.run == name:
                truth.mem = ""

    @precondition(lambda self: self.among(State.UNKNOWN))
    @rule(n=which)
    def settle_time_passes(self, n: int) -> None:
        truth = self.some(State.UNKNOWN, n=n)[1]
        truth.is_late = True
        if truth.net in "an":
            truth.net = "x"

    @precondition(lambda self: self.among(State.ACCEPTED, State.UNKNOWN))
    @rule(n=which, forgets=st.booleans())
    def promise_ends(self, *, n: int, forgets: bool) -> None:
        truth = self.some(State.ACCEPTED, State.UNKNOWN, n=n)[1]
        if truth.net not in BEGUN:
            return
        truth.is_over = True
        truth.is_forgotten = forgets and truth.net != "q"

    # Buying ------------------------------------------------------------------------------------

    @rule(scene=st.sampled_from(SCENES))
    def want_one_more(self, scene: str) -> None:
        """R6: what is wanted is a number when it is said: the takes that are there, and one more.

        Said again before that has come, it is the same number.
        """
        made = sum(one.state is State.PAID for one, _ in self.of(scene))
        self.said[scene] = max(self.said.get(scene, 1), made + 1)

    def part(self, run: Run, scene: str, wanted: int, take: int) -> Part:
        """Return one take of a scene in a run: what it wants of it, it says once."""
        wanted = max(wanted, self.said.get(scene, 1))
        if scene not in run.takes:
            run.takes[scene] = Part()
            run.takes[scene].more(wanted)
        first = run.takes[scene]
        return replace(first, number=1 + take % first.wanted)

    @rule(n=which, scene=st.sampled_from(SCENES), step=st.integers(0, 1), wanted=st.integers(1, 3),
          take=which)  # fmt: skip
    def hold(self, *, n: int, scene: str, step: int, wanted: int = 1, take: int = 0) -> None:
        """Hold for the first route, or for the next where the one before it was not billed."""
        name, run = self.some_run(n)
        if step >= len(run.ladder):
            return
        if step:
            before = [one for one, truth in self.of(scene) if truth.route == run.ladder[step - 1]]
            if not any(one.state in {State.REFUSED, State.VOID} for one in before):
                return
        self.hold_at(name, run, scene, run.ladder[step], self.part(run, scene, wanted, take))

    def counted(self, run: Run, scene: str) -> list[Purchase]:
        """Return what counts as a take for a run: its own routes' pictures, and all in doubt."""
        return [
            one
            for one, truth in self.of(scene)
            if one.state in UNSETTLED or (one.state is State.PAID and truth.route in run.ladder)
        ]

    def to_be_bought(
        self, name: str, run: Run, scene: str, wanted: int, instead_of: Purchase | None
    ) -> list[int]:
        """R5: the first free slots, as many as are missing, but for those with an unseen bill."""
        before = [one for one, _ in self.of(scene) if one != instead_of]
        live = {one.new.slot for one in before if one.state in LIVE}
        counted = sum(one != instead_of for one in self.counted(run, scene))
        free = [slot for slot in range(1, len(live) + wanted + 1) if slot not in live]
        unseen = {
            one.new.slot
            for one, truth in self.of(scene)
            if name in truth.fresh and one.decided_by is None
        }
        if instead_of is not None and instead_of.new.slot in unseen:
            return []
        return [slot for slot in free[: max(wanted - counted, 0)] if slot not in unseen]

    def hold_at(
        self,
        name: str,
        run: Run,
        scene: str,
        route: int,
        part: Part,
        *,
        instead_of: Purchase | None = None,
    ) -> None:
        others = part.of_others
        stands = [
            one
            for one in self.counted(run, scene)
            if one != instead_of and one.new.attempt_id not in others
        ]
        slots = self.to_be_bought(name, run, scene, part.wanted, instead_of)
        fits = self.committed() + HOLD <= self.cap
        drawn = f"{len(self.truths):032x}"
        line = Line(
            request=PictureRequest(scene_id=scene, prompt=scene, width_px=64, height_px=64),
            keys=keys_of(scene, route, run.ladder),
            part=part,
            instead_of=instead_of,
        )
        held = at_once(
            run.buys.hold(
                [line],
                [HOLD],
                route=Route(
                    endpoint=ROUTES[route],
                    new_job=lambda _: (
                        NewJob(token=drawn, account="a", endpoint="e") if route else None
                    ),
                ),
            )
        )[0]
        assert isinstance(held, Held) is (fits and bool(slots) and not stands)
        if isinstance(held, Held):
            assert (
                self.purchase(held.attempt_id).new.slot == slots[0]
            )  # I6: the slot that any other run would take, too
            self.truths[held.attempt_id] = Truth(scene, route, name, run.home)
            assert len(self.counted(run, scene)) <= part.wanted  # I6
        elif isinstance(held, LiveTake):
            part.turn_to(held.purchase.new.attempt_id)
        elif isinstance(held, Purchase):
            part.turn_to(held.new.attempt_id)

    @rule(n=which, scene=st.sampled_from(SCENES), ends=st.sampled_from("gbbf"),
          far=st.integers(1, 5), wanted=st.integers(1, 3), take=which)  # fmt: skip
    def buy(
        self, *, n: int, scene: str, ends: str, far: int, wanted: int = 1, take: int = 0
    ) -> None:
        """Come a long way at once, so that stories reach what lies at the end of one."""
        name, run = self.some_run(n)
        before = set(self.truths)
        self.hold_at(name, run, scene, run.ladder[0], self.part(run, scene, wanted, take))
        for attempt_id in set(self.truths) - before:
            truth = self.truths[attempt_id]
            truth.net, truth.mem = ends, ""
            if far == 1:
                self.settle(run, attempt_id, SETTLEMENTS[State.UNKNOWN])
                continue
            truth.was_told = truth.route == 1
            truth.spool[truth.home] = "j" if truth.route else ends
            for done in range(2 * far - 4):
                if far == 4 and done == 1:  # its promise ends before it is asked for
                    truth.is_over = truth.is_forgotten = truth.route == 1
                self.bring(self.purchase(attempt_id), truth, run)

    @precondition(lambda self: self.among(State.SENDING))
    @rule(n=which, by=which)
    def give_up_home(self, n: int, by: int) -> None:
        """Let a person, who has looked, say that nothing comes of a request any more."""
        one, truth = self.some(State.SENDING, n=n)
        if truth.mem or any(truth.spool):
            return
        unknown = Settlement(state=State.UNKNOWN, decided_by="user")
        self.settle(self.some_run(by)[1], one.new.attempt_id, unknown)

    @precondition(lambda self: self.among(State.UNKNOWN))
    @rule(n=which, by=which, wanted=st.integers(1, 3), take=which)
    def resend(self, n: int, by: int, wanted: int = 1, take: int = 0) -> None:
        """Let the setting write off and hold anew; never a job with a name, nor a person's."""
        name, run = self.some_run(by)
        unknown = [
            (one, truth) for one, truth in self.among(State.UNKNOWN) if truth.route in run.ladder
        ]
        if not unknown:
            return
        one, truth = self.pick(unknown, n)
        keys = keys_of(truth.scene, truth.route, run.ladder)
        standing = run.buys.standing(LiveTake(one, 1), keys)
        part = self.part(run, truth.scene, wanted, take)
        found = run.buys.find(keys, part)
        if standing is Reuse.RESEND and found is not None and found.purchase == one:
            self.hold_at(name, run, truth.scene, truth.route, part, instead_of=one)

    @precondition(lambda self: self.at_work("armed"))
    @rule(n=which, can_connect=st.booleans())
    def send(self, *, n: int, can_connect: bool) -> None:
        """Let the body leave: I2, no other request of its slot may be billed unless it was seen."""
        attempt_id, truth = self.pick(self.at_work("armed"), n)
        if not can_connect:
            truth.mem = ""
            self.settle(self.runs[truth.run], attempt_id, SETTLEMENTS[State.VOID])
            return
        take = self.purchase(attempt_id).new.slot
        for other, known in self.of(truth.scene):
            seen = truth.run not in known.fresh or other.decided_by is not None
            is_decided = other.state is State.WROTE_OFF or (other.state is State.PAID_BAD and seen)
            is_other = other.new.attempt_id != attempt_id and other.new.slot == take
            assert not (is_other and known.net in MAY_BILL) or is_decided
        truth.net, truth.mem = "n", "waiting"

    @precondition(lambda self: self.at_work("waiting"))
    @rule(n=which)
    def lose_the_answer(self, n: int) -> None:
        attempt_id, truth = self.pick(self.at_work("waiting"), n)
        truth.mem = ""
        self.settle(self.runs[truth.run], attempt_id, SETTLEMENTS[State.UNKNOWN])

    @precondition(lambda self: self.at_work("waiting"))
    @rule(n=which)
    def answer(self, n: int) -> None:
        """Let the whole answer to the request itself reach the spool."""
        _, truth = self.pick(self.at_work("waiting"), n)
        if truth.net not in BEGUN:
            return
        truth.mem, truth.was_told = "", truth.route == 1
        truth.spool[truth.home] = "j" if truth.route else truth.net

    # Providers ---------------------------------------------------------------------------------

    @precondition(lambda self: self.on_the_way("nq"))
    @rule(n=which, ends=st.sampled_from("ggbf"))
    def begin_or_end(self, n: int, ends: str) -> None:
        """Let a request arrive: a queue begins a job, which ends later."""
        truth = self.on_the_way("nq")[n % len(self.on_the_way("nq"))]
        truth.net = "q" if truth.net == "n" and truth.route else ends

    # What any run does -------------------------------------------------------------------------

    @precondition(lambda self: self.among(*UNSETTLED))
    @rule(n=which, by=which)
    def bring_on(self, n: int, by: int) -> None:
        """Take in what lies whole on the run's disk; else poll, ask, or judge the dead of home."""
        one, truth = self.some(*UNSETTLED, n=n)
        self.bring(one, truth, self.some_run(by)[1])

    def bring(self, one: Purchase, truth: Truth, run: Run) -> None:
        has, is_ours = truth.spool[run.home], truth.home == run.home
        if one.state is State.SENDING and (truth.mem or not is_ours):
            return
        if has:
            self.take_in(one, truth, run, has)
        elif one.state is State.SENDING:
            if truth.run not in self.runs:
                self.settle(run, one.new.attempt_id, SETTLEMENTS[State.UNKNOWN])
        elif one.state is State.ACCEPTED:
            self.poll(one, truth, run)
        elif one.job is not None and one.job.accepted is None:
            self.ask(one, truth, run)

    def take_in(self, one: Purchase, truth: Truth, run: Run, has: str) -> None:
        attempt_id = one.new.attempt_id
        if has == "j":
            at_once(run.buys.accept(attempt_id, accepted(attempt_id)))
        elif has == "g" and not truth.is_stored:
            truth.is_stored = True
            return
        else:
            ends = {
                "g": paid(HOLD),
                "b": BAD,
                "f": SETTLEMENTS[State.REFUSED],
            }
            self.settle(run, attempt_id, ends[has])
            truth.fresh = frozenset(self.runs) if has == "b" else frozenset()
        truth.spool[run.home] = ""

    def poll(self, one: Purchase, truth: Truth, run: Run) -> None:
        """I9: a job is given up only once its promise is over, or its provider knows it no more."""
        if truth.net in "gbf" and not truth.is_forgotten:
            truth.spool[run.home] = truth.net
        elif truth.is_over:
            self.settle(run, one.new.attempt_id, SETTLEMENTS[State.UNKNOWN])

    def ask(self, one: Purchase, truth: Truth, run: Run) -> None:
        """Find it in the listing; that it lacks it proves something once nothing is under way."""
        attempt_id = one.new.attempt_id
        if truth.net in BEGUN and not truth.is_forgotten:
            truth.was_told = True
            assert at_once(run.buys.accept(attempt_id, accepted(attempt_id))) is not None
        elif truth.is_late and not truth.is_over:
            self.settle(run, attempt_id, SETTLEMENTS[State.REFUSED])

    @precondition(lambda self: self.among(State.UNKNOWN))
    @rule(n=which, by=which, resends=st.booleans())
    def decide(self, *, n: int, by: int, resends: bool) -> None:
        """Let a person decide by the provider's bill, not before the settle time; or send again."""
        one, truth = self.some(State.UNKNOWN, n=n)
        if resends:
            state = State.WROTE_OFF
        elif truth.net in BILLED:
            state = State.PAID_BAD
        else:
            if not truth.is_late or truth.net == "q":
                return
            state = State.REFUSED
        cost = {"cost_microusd": HOLD, "basis": "reported"} if state is State.PAID_BAD else {}
        said = Settlement(state=state, decided_by="user", **cast("Any", cost))
        self.settle(self.some_run(by)[1], one.new.attempt_id, said)

    # What must hold ----------------------------------------------------------------------------

    @invariant()
    def what_is_billed_counts_and_nothing_passes_the_cap(self) -> None:
        """I1 and I3."""
        assert self.committed() <= self.cap
        for one in self.reader.purchases():
            if self.truths[one.new.attempt_id].net in BILLED:
                assert one.state in COUNTED

    @invariant()
    def the_setting_sends_once_and_overrides_nobody(self) -> None:
        """R4: once a slot, and neither a job with a name nor what a person has touched."""
        for one, truth in self.among(State.UNKNOWN):
            keys = keys_of(truth.scene, truth.route, (truth.route,))
            sent_again = any(
                other.decided_by == "policy" and other.new.slot == one.new.slot
                for other, _ in self.of(truth.scene)
            )
            has_name = one.job is not None and one.job.accepted is not None
            for run in self.runs.values():
                if run.buys.standing(LiveTake(one, 1), keys) is Reuse.RESEND:
                    assert one.decided_by is None
                    assert not has_name
                    assert not sent_again

    @invariant()
    def no_picture_and_no_name_is_lost(self) -> None:
        """I4: what came whole can become PAID; a name that came is on a disk or in the ledger."""
        for one in self.reader.purchases():
            truth = self.truths[one.new.attempt_id]
            if truth.is_stored or "g" in truth.spool:
                assert one.state in LIVE or one.decided_by == "user"
            if one.state is State.PAID:
                assert truth.is_stored
            if truth.was_told and one.state in {State.SENDING, State.UNKNOWN}:
                is_known = one.job is not None and one.job.accepted is not None
                assert is_known or "j" in truth.spool

    @invariant()
    def every_slot_is_live_once_and_every_name_is_one_requests(self) -> None:
        """I6 and I10."""
        live = [one for one in self.reader.purchases() if one.state in LIVE]
        slots = {(one.new.subject_key, one.new.slot) for one in live}
        assert len(slots) == len(live)
        for one in self.reader.purchases():
            if one.job is not None and one.job.accepted is not None:
                assert one.job.accepted == accepted(one.new.attempt_id)
                assert one.state is not State.VOID

    def everything_has_a_way_out(self) -> None:
        """I5: with a run at each home, and providers that never answer again."""
        for name in list(self.runs):
            self.die(name)
        for home in (0, 1):
            self.start_run(home, (0, 1), "hold")
        for truth in self.truths.values():
            truth.is_over = truth.is_forgotten = True
        for _ in range(5):
            for one, truth in self.among(*UNSETTLED):
                for run in self.runs.values():
                    self.bring(self.purchase(one.new.attempt_id), truth, run)
        for one, truth in self.among(*UNSETTLED):
            assert one.state is State.UNKNOWN, (one, truth)
            assert not truth.is_stored
            assert "g" not in truth.spool
            said = Settlement(state=State.WROTE_OFF, decided_by="user")
            self.settle(next(iter(self.runs.values())), one.new.attempt_id, said)
        self.no_picture_and_no_name_is_lost()
        assert not self.among(*UNSETTLED)
        assert self.reader.problems() == []

    # Looking and acting ------------------------------------------------------------------------

    @staticmethod
    def settle(run: Run, attempt_id: str, settlement: Settlement) -> None:
        """Settle, unless another run has gone on with it meanwhile."""
        try:
            at_once(run.buys.settle(attempt_id, settlement))
        except IllegalTransition:
            return

    def committed(self) -> int:
        return self.reader.sums(run_id="", provider="", day=DAY).total_microusd

    def purchase(self, attempt_id: str) -> Purchase:
        found = self.reader.purchase(attempt_id)
        assert found is not None
        return found

    def pairs(self) -> Iterator[tuple[Purchase, Truth]]:
        for one in self.reader.purchases():
            yield one, self.truths[one.new.attempt_id]

    def of(self, scene: str) -> list[tuple[Purchase, Truth]]:
        return [(one, truth) for one, truth in self.pairs() if truth.scene == scene]

    def among(self, *states: State) -> list[tuple[Purchase, Truth]]:
        return [(one, truth) for one, truth in self.pairs() if one.state in states]

    def some(self, *states: State, n: int) -> tuple[Purchase, Truth]:
        return self.pick(self.among(*states), n)

    def at_work(self, mem: str) -> list[tuple[str, Truth]]:
        return [(name, truth) for name, truth in self.truths.items() if truth.mem == mem]

    def on_the_way(self, net: str) -> list[Truth]:
        return [truth for truth in self.truths.values() if truth.net in net]

    def some_run(self, n: int) -> tuple[str, Run]:
        return self.pick(list(self.runs.items()), n)

    @staticmethod
    def pick(among: list[T], n: int) -> T:
        return among[n % len(among)]


def test_whatever_happens_the_invariants_of_the_protocol_hold() -> None:
    """I1 to I6, I9 and I10, after every step."""
    examples = 5 if is_server() else 20  # a round trip takes longer than a step
    run_state_machine_as_test(
        ProtocolMachine, settings=tried(examples)
    )  # asserts in every invariant


def test_what_is_sent_again_by_the_setting_passes_no_bill_by_that_nobody_has_seen() -> None:
    """R3: the run that began before the bill does not write off what a later run has lost."""
    machine = ProtocolMachine()
    machine.begin(cap=50, ladder=(0,))
    machine.start_run(0, (0,), "hold")
    machine.buy(n=1, scene="rain", ends="b", far=3)
    machine.start_run(0, (0,), "resend")
    machine.buy(n=2, scene="rain", ends="g", far=1)

    machine.resend(n=0, by=0)
    assert [one.state for one in machine.reader.purchases()] == [State.UNKNOWN, State.PAID_BAD]
    machine.resend(n=0, by=2)
    assert [one.state for one in machine.reader.purchases()] == [
        State.SENDING, State.WROTE_OFF, State.PAID_BAD,
    ]  # fmt: skip
    machine.teardown()


def test_the_setting_does_not_speak_where_a_person_has() -> None:
    """R4: whoever gave a home up decides what becomes of its requests."""
    machine = ProtocolMachine()
    machine.begin(cap=50, ladder=(0,))
    machine.start_run(0, (0,), "resend")
    machine.hold(n=1, scene="rain", step=0)
    machine.kill_run(n=1)
    machine.give_up_home(n=0, by=0)

    machine.the_setting_sends_once_and_overrides_nobody()
    machine.resend(n=0, by=0)
    assert [one.state for one in machine.reader.purchases()] == [State.UNKNOWN]
    machine.teardown()
