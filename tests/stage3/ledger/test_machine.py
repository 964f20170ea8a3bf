"""The ledger against a provider that keeps books, in any order of what may happen to both.

Several runs with connections of their own share one real file. They hold, send, crash and recover;
clocks jump, caps are reached, bills are too high, and somebody decides about what is unknown. After
every step the file is read from end to end and held to the provider's truth: invariants I1 to I8.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType] - hypothesis tells no types
)

from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.purchase import Held, Limits, NewPurchase, OverCap, Purchase, Settlement
from stage3_plugin.domain.states import COUNTED, LEGAL, LIVE, OPEN, State
from stage3_plugin.errors import IllegalTransition
from stage3_plugin.ledger.book import Ledger
from tests.heavy import further
from tests.laws import tried
from tests.stage3.ledger.databases import engine_in, is_server, place_in
from tests.stage3.ledger.samples import (
    DAY,
    NOW,
    SETTLEMENTS,
    key_of,
    known,
    new_purchase,
    picture,
)

SCENES = ("rain", "snow", "hail", "fog")
PROVIDERS = ("openrouter", "another")
which = st.integers(0, 999)
"""Chooses among what there is at the moment."""
amounts = st.integers(0, 5)
caps = st.none() | st.integers(0, 12) | st.integers(10, 60)


@dataclass
class Bought:
    """What we know of a purchase without asking the ledger, and what only the provider knows."""

    attempt_id: str
    scene: str
    run_id: str
    provider: str
    hold: int
    day: date
    state: State
    cost: int | None = None
    bill: int | None = None
    """The provider's truth; ``None`` if it billed nothing."""
    answer: str = ""
    is_stored: bool = False
    decided_by: str | None = None
    key: str = ""
    is_foreign: bool = False
    """Bought at another endpoint: it neither blocks nor is found."""

    @property
    def counted(self) -> int:
        """Return what it adds to the counters."""
        if self.state not in COUNTED:
            return 0
        return self.hold if self.cost is None else self.cost


def keys_of(scene: str) -> Keys:
    """Return a scene's keys, at both addresses of its endpoint."""
    return known(scene, elsewhere=(there(scene, is_foreign=False),))


def there(scene: str, *, is_foreign: bool) -> str:
    """Return a scene's key at another address, of its endpoint or of a foreign one."""
    return key_of(f"{scene}, at {'a foreign' if is_foreign else 'its other'} address")


class OverBoth(Exception):
    """No cap has room for a lost request and the one in its place: undoes the transaction."""


class Mortal(Ledger):
    """The ledger of a run that may die at any time."""

    def die_while_holding(self, new: NewPurchase, day: date, now: datetime) -> None:
        """Write, and never come to the commit."""
        for statement in self.engine.begin:
            self.run(statement)
        self.hold(new, Limits(), day=day, now=now)
        self.close()


class LedgerMachine(RuleBasedStateMachine):
    """What runs, providers, clocks and people do to one ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.place = place_in(Path(self.folder.name))
        self.bought: list[Bought] = []
        self.runs: dict[str, Mortal] = {}
        self.count = Counter[str]()
        self.today = DAY
        self.now = NOW
        self.last_day: date | None = None
        self.limits = Limits()
        self.reader = self.place.open()
        self.start_run()

    def mortal(self) -> Mortal:
        """Open the ledger of a run."""
        return Mortal(engine_in(Path(self.folder.name)))

    def teardown(self) -> None:
        for ledger in (self.reader, *self.runs.values()):
            ledger.close()
        self.folder.cleanup()

    # The world ---------------------------------------------------------------------------------

    @initialize(budget=caps, daily=caps, total=caps)
    def begin(self, budget: int | None, daily: int | None, total: int | None) -> None:
        """Set the caps."""
        self.limits = Limits(budget_microusd=budget, daily_microusd=daily, total_microusd=total)

    @rule(days=st.integers(-2, 2), hours=st.integers(-30, 30))
    def jump(self, days: int, hours: int) -> None:
        """Set the calendar and the wall clock, in either direction."""
        self.today += timedelta(days=days)
        self.now += timedelta(hours=hours)

    @precondition(lambda self: self.last_day is not None)
    @rule(n=which, days=st.integers(-3, 12))
    def set_day(self, n: int, days: int) -> None:
        """Let somebody say which day it is: the ledger's goes back to it, and never forward."""
        _, ledger = self.some_run(n)
        before = self.last_day
        assert before is not None
        day = before - timedelta(days=days)
        with ledger.transaction():
            told = ledger.set_day(day, now=self.now)

        assert told == (before if day < before else None)
        self.last_day = min(day, before)

    @precondition(lambda self: len(self.runs) < 3)
    @rule()
    def start_run(self) -> None:
        self.count["runs"] += 1
        self.runs[f"run-{self.count['runs']}"] = self.mortal()

    @precondition(lambda self: len(self.runs) > 1)
    @rule(n=which, in_a_transaction=st.booleans())
    def kill_run(self, *, n: int, in_a_transaction: bool) -> None:
        """Let a run die, perhaps in the middle of writing; what it has committed stays."""
        run_id = list(self.runs)[n % len(self.runs)]
        ledger = self.runs.pop(run_id)
        if in_a_transaction:
            new = new_purchase("wind", run_id=run_id, hold_microusd=1)
            ledger.die_while_holding(new, self.today + timedelta(days=9), self.now)
        ledger.close()

    @rule()
    def open_anew(self) -> None:
        """Close every connection, so that the log is taken into the file."""
        for ledger in (self.reader, *self.runs.values()):
            ledger.close()
        self.reader = self.place.open()
        self.runs = {run_id: self.mortal() for run_id in self.runs}

    # A purchase, step by step ------------------------------------------------------------------

    @rule(
        n=which, scene=st.sampled_from(SCENES), provider=st.sampled_from(PROVIDERS), amount=amounts
    )
    def hold(self, *, n: int, scene: str, provider: str, amount: int) -> None:
        run_id, ledger = self.some_run(n)
        with ledger.transaction():
            self.hold_in(ledger, run_id, scene, provider, amount)

    @rule(n=which, scene=st.sampled_from(SCENES), provider=st.sampled_from(PROVIDERS),
          amount=amounts, answer=st.sampled_from(["", "good", "good", "bad"]),
          is_taken_in=st.booleans())  # fmt: skip
    def buy(
        self, *, n: int, scene: str, provider: str, amount: int, answer: str, is_taken_in: bool
    ) -> None:
        """Come a long way at once, so that stories reach what lies at the end of one."""
        run_id, ledger = self.some_run(n)
        with ledger.transaction():
            held = self.hold_in(ledger, run_id, scene, provider, amount)
        if isinstance(held, Held):
            one = self.bought[-1]
            one.bill, one.answer = amount, answer
            if answer and is_taken_in:
                self.take(one, tells_cost=True)
            elif not answer and is_taken_in:
                self.settle(one, SETTLEMENTS[State.UNKNOWN])

    @rule(scene=st.sampled_from(SCENES), amount=amounts, is_foreign=st.booleans())
    def buy_there(self, *, scene: str, amount: int, is_foreign: bool) -> None:
        """Find that a run which has died bought a scene at another address.

        As another subject, such as one with another seed: else its slot would be taken here.
        """
        key = there(scene, is_foreign=is_foreign)
        assume(not any(one.state in LIVE for one in self.of(scene) if one.key == key))
        assume(is_foreign or not any(one.state in LIVE for one in self.of(scene, ours=True)))
        assume(not self.over("run-0", "openrouter", self.counting_day, amount))
        ledger = next(iter(self.runs.values()))
        new = new_purchase(scene, run_id="run-0", hold_microusd=amount)
        new = replace(new, scene_key=key, subject_key=key_of(new.attempt_id))
        self.last_day = day = self.counting_day
        with ledger.transaction():
            held = ledger.hold(new, self.limits, day=self.today, now=self.now)
        assert isinstance(held, Held)
        one = Bought(new.attempt_id, scene, "run-0", "openrouter", amount, day, State.SENDING)
        one.is_foreign, one.key = is_foreign, key
        self.bought.append(one)

    def hold_in(
        self, ledger: Ledger, run_id: str, scene: str, provider: str, amount: int
    ) -> Held | Purchase | OverCap:
        """Hold, and see that the answer is the right one."""
        live = [one for one in self.of(scene, ours=True) if one.state in LIVE]
        day = self.counting_day
        over = self.over(run_id, provider, day, amount)
        new = new_purchase(scene, run_id=run_id, provider=provider, hold_microusd=amount)

        known_as = keys_of(scene)
        result = ledger.hold(new, self.limits, day=self.today, now=self.now, known_as=known_as)

        if live:
            assert isinstance(result, Purchase)
            assert result.new.attempt_id == live[0].attempt_id
        elif over:
            assert isinstance(result, OverCap)
            room = min(limit - committed for limit, committed in over.values())
            assert result.limit_microusd - result.committed_microusd == room
            assert over[result.cap] == (result.limit_microusd, result.committed_microusd)
            assert result.open_here == sum(
                one.run_id == run_id and one.state in OPEN for one in self.bought
            )
        else:
            assert result == Held(attempt_id=new.attempt_id, hold_microusd=amount)
            self.last_day = day
            bought = Bought(new.attempt_id, scene, run_id, provider, amount, day, State.SENDING)
            self.bought.append(bought)
        return result

    @precondition(lambda self: self.unbilled())
    @rule(n=which, bill=amounts, excess=st.sampled_from([0, 0, 0, 7]))
    def bill(self, n: int, bill: int, excess: int) -> None:
        """Let the provider bill what was sent: mostly within its hold, rarely far above."""
        one = self.some(self.unbilled(), n)
        one.bill = min(bill, one.hold) + excess

    @precondition(lambda self: self.unbilled())
    @rule(n=which)
    def refuse(self, n: int) -> None:
        """Let the provider refuse what was sent, and the run hear of it."""
        self.settle(self.some(self.unbilled(), n), SETTLEMENTS[State.REFUSED])

    @precondition(lambda self: self.unanswered())
    @rule(n=which, answer=st.sampled_from(["good", "bad"]))
    def answer(self, n: int, answer: str) -> None:
        """Let the whole answer reach the spool."""
        self.some(self.unanswered(), n).answer = answer

    @precondition(lambda self: self.mine(State.SENDING))
    @rule(n=which)
    def lose(self, n: int) -> None:
        """Lose the connection before the whole answer came, whatever the provider has done."""
        one = self.some(self.mine(State.SENDING), n)
        assume(not one.answer)
        self.settle(one, SETTLEMENTS[State.UNKNOWN])

    @precondition(lambda self: self.answered())
    @rule(n=which, tells_cost=st.booleans())
    def take_in(self, *, n: int, tells_cost: bool) -> None:
        self.take(self.some(self.answered(), n), tells_cost=tells_cost)

    @precondition(lambda self: self.answered())
    @rule(n=which)
    def store_only(self, n: int) -> None:
        """Bring a picture among the objects, and come no further for now."""
        one = self.some(self.answered(), n)
        one.is_stored = one.answer == "good"

    # After a crash, and by hand ----------------------------------------------------------------

    @precondition(lambda self: self.orphans())
    @rule(n=which, run=which)
    def recover(self, n: int, run: int) -> None:
        """Bring a dead run's purchase to an end, as the table of restarts says."""
        one = self.some(self.orphans(), n)
        _, ledger = self.some_run(run)
        if one.answer:
            self.take(one, tells_cost=True, ledger=ledger)
        else:
            self.settle(one, SETTLEMENTS[State.UNKNOWN], ledger)

    @precondition(lambda self: self.unknown())
    @rule(n=which, run=which, resend=st.booleans(), cost=st.none() | amounts)
    def resolve(self, *, n: int, run: int, resend: bool, cost: int | None) -> None:
        """Decide by the provider's bill, or that the scene may be sent again."""
        one = self.some(self.unknown(), n)
        _, ledger = self.some_run(run)
        if resend:
            settlement = replace(SETTLEMENTS[State.WROTE_OFF], decided_by="user")
        elif one.bill is None:
            settlement = replace(SETTLEMENTS[State.REFUSED], decided_by="user")
        else:
            told = None if cost is None else one.bill
            settlement = Settlement(
                state=State.PAID_BAD, cost_microusd=told, basis="reported", decided_by="user"
            )
        self.settle(one, settlement, ledger)

    @precondition(lambda self: self.settled_with_a_cost())
    @rule(n=which, run=which, cost=amounts)
    def correct(self, n: int, run: int, cost: int) -> None:
        """Let somebody say what a picture cost: at least what was billed for it, to be right."""
        one = self.some(self.settled_with_a_cost(), n)
        _, ledger = self.some_run(run)
        cost = max(cost, one.bill or 0)
        with ledger.transaction():
            before = ledger.last_event()
            ledger.correct_cost(one.attempt_id, cost, now=self.now)
            is_said = ledger.last_event() > before  # a number is lost with what a server rolls back

        assert is_said is not (one.cost == cost and one.decided_by == "user")
        one.cost, one.decided_by = cost, "user"

    @precondition(lambda self: self.unknown(ours=True))
    @rule(n=which, run=which, amount=amounts)
    def send_again(self, n: int, run: int, amount: int) -> None:
        """Write off and hold anew in one transaction: both or neither."""
        one = self.some(self.unknown(ours=True), n)
        run_id, ledger = self.some_run(run)
        before = replace(one)
        try:
            with ledger.transaction():
                ledger.settle(one.attempt_id, SETTLEMENTS[State.WROTE_OFF], now=self.now)
                one.state, one.decided_by = State.WROTE_OFF, "policy"
                self.hold_instead(ledger, run_id, one, amount)
        except OverBoth:
            one.state, one.decided_by = before.state, before.decided_by

    def hold_instead(self, ledger: Ledger, run_id: str, one: Bought, amount: int) -> None:
        held = self.hold_in(ledger, run_id, one.scene, one.provider, amount)
        if isinstance(held, OverCap):
            raise OverBoth

    @precondition(lambda self: self.bought)
    @rule(n=which, run=which, to=st.sampled_from(State))
    def go_astray(self, n: int, run: int, to: State) -> None:
        """Try a way that does not exist; the step's invariants see that nothing was changed."""
        one = self.some(self.bought, n)
        _, ledger = self.some_run(run)
        assume(to not in LEGAL[one.state])
        settlement = SETTLEMENTS.get(to, Settlement(state=to))

        with pytest.raises(IllegalTransition), ledger.transaction():
            ledger.settle(one.attempt_id, settlement, now=self.now)

    # What must hold ----------------------------------------------------------------------------

    @invariant()
    def the_file_says_what_happened(self) -> None:
        """Every purchase is there, in its state, with its money and day; the day moved forward."""
        told = {
            one.new.attempt_id: (one.state, one.counted_microusd, one.day, one.decided_by)
            for one in self.reader.purchases()
        }

        assert told == {
            one.attempt_id: (one.state, one.counted, one.day, one.decided_by) for one in self.bought
        }
        assert self.reader.last_day() == self.last_day
        assert {one.new.attempt_id for one in self.reader.open_purchases()} == {
            one.attempt_id for one in self.bought if one.state in OPEN
        }

    @invariant()
    def counters_are_sums(self) -> None:
        """I8, by the ledger's own check and by ours."""
        assert self.reader.problems() == []
        day = self.last_day or self.today
        for run_id in self.runs:
            sums = self.reader.sums(run_id=run_id, provider="openrouter", day=day)
            assert sums.total_microusd == self.committed("total_usd", run_id, "openrouter", day)
            assert sums.run_microusd == self.committed("budget_usd", run_id, "openrouter", day)
            assert sums.day_microusd == self.committed("daily_usd", run_id, "openrouter", day)

    @invariant()
    def what_was_billed_is_counted(self) -> None:
        """I2 and I4: in a counted state, with at least what was billed for it.

        A bill above its hold is known only once it is settled.
        """
        for one in self.bought:
            if one.bill is not None:
                assert one.state in COUNTED
                assert one.counted >= min(one.bill, one.hold)

    @invariant()
    def nobody_pays_twice_unasked(self) -> None:
        """I3 and I6: one live purchase, and a decision for every other one that was billed."""
        for scene in SCENES:
            of_scene = self.of(scene, ours=True)
            live = [one.attempt_id for one in of_scene if one.state in LIVE]
            decided = [one for one in of_scene if one.state in {State.WROTE_OFF, State.PAID_BAD}]
            known_as = keys_of(scene)
            found = self.reader.live(key_of(scene), known_as)
            elsewhere = [one for one in self.of(scene) if one.is_foreign]
            paid_there = {one.attempt_id for one in elsewhere if one.state is State.PAID}
            told_there = self.reader.paid_elsewhere(known_as)

            assert [found.new.attempt_id] == live if found else not live
            assert sum(one.bill is not None for one in of_scene) <= 1 + len(decided)
            assert all(one.decided_by for one in of_scene if one.state is State.WROTE_OFF)
            assert self.reader.resends(known_as) == sum(
                one.decided_by == "policy" for one in of_scene
            )
            assert bool(told_there) == bool(paid_there)
            assert told_there is None or told_there.new.attempt_id in paid_there

    @invariant()
    def what_is_paid_is_there(self) -> None:
        """I5 and I7: no picture is promised that is not stored, and no answer is thrown away."""
        for one in self.bought:
            if one.state is State.PAID:
                assert one.is_stored
            if one.answer:
                assert one.state not in {State.VOID, State.REFUSED}

    # Looking and acting ------------------------------------------------------------------------

    def settle(self, one: Bought, settlement: Settlement, ledger: Ledger | None = None) -> None:
        """Settle a purchase, by its own run if no other is named, and keep that in mind."""
        ledger = ledger or self.runs[one.run_id]
        with ledger.transaction():
            ledger.settle(one.attempt_id, settlement, now=self.now)
        one.state = settlement.state
        one.cost = settlement.cost_microusd
        one.decided_by = settlement.decided_by

    def take(self, one: Bought, *, tells_cost: bool, ledger: Ledger | None = None) -> None:
        """Take in a complete answer: store a good picture, then settle."""
        cost = one.bill if tells_cost or (one.bill or 0) > one.hold else None
        one.is_stored = one.answer == "good"
        self.settle(
            one,
            Settlement(
                state=State.PAID if one.is_stored else State.PAID_BAD,
                cost_microusd=cost,
                basis="unknown" if cost is None else "reported",
                picture=picture() if one.is_stored else None,
            ),
            ledger,
        )

    def committed(self, cap: str, run_id: str, provider: str, day: date) -> int:
        """Add up what counts under a cap."""
        return sum(
            one.counted
            for one in self.bought
            if cap == "total_usd"
            or (cap == "budget_usd" and one.run_id == run_id)
            or (cap == "daily_usd" and (one.provider, one.day) == (provider, day))
        )

    def over(
        self, run_id: str, provider: str, day: date, amount: int
    ) -> dict[str, tuple[int, int]]:
        """Return the caps that a hold does not fit under, with what is committed: I1."""
        limits = {
            "total_usd": self.limits.total_microusd,
            "budget_usd": self.limits.budget_microusd,
            "daily_usd": self.limits.daily_microusd,
        }
        committed = {cap: self.committed(cap, run_id, provider, day) for cap in limits}
        return {
            cap: (limit, committed[cap])
            for cap, limit in limits.items()
            if limit is not None and committed[cap] + amount > limit
        }

    def some_run(self, n: int) -> tuple[str, Ledger]:
        return list(self.runs.items())[n % len(self.runs)]

    @staticmethod
    def some(among: list[Bought], n: int) -> Bought:
        return among[n % len(among)]

    def mine(self, state: State) -> list[Bought]:
        """Return the purchases in a state whose run lives."""
        return [one for one in self.bought if one.state is state and one.run_id in self.runs]

    def orphans(self) -> list[Bought]:
        return [one for one in self.bought if one.state in OPEN and one.run_id not in self.runs]

    @property
    def counting_day(self) -> date:
        """Return the day that money counts for now."""
        return max(self.today, self.last_day or self.today)

    def of(self, scene: str, *, ours: bool = False) -> list[Bought]:
        """Return the purchases of a scene, under whatever key."""
        among = [one for one in self.bought if one.scene == scene]
        return [one for one in among if not (ours and one.is_foreign)]

    def unknown(self, *, ours: bool = False) -> list[Bought]:
        among = [one for one in self.bought if one.state is State.UNKNOWN]
        return [one for one in among if not (ours and one.is_foreign)]

    def settled_with_a_cost(self) -> list[Bought]:
        return [one for one in self.bought if one.state in {State.PAID, State.PAID_BAD}]

    def unbilled(self) -> list[Bought]:
        return [one for one in self.mine(State.SENDING) if one.bill is None]

    def unanswered(self) -> list[Bought]:
        sending = self.mine(State.SENDING)
        return [one for one in sending if one.bill is not None and not one.answer]

    def answered(self) -> list[Bought]:
        return [one for one in self.mine(State.SENDING) if one.answer]


@pytest.mark.parametrize("examples", [40, *further([100])])
def test_whatever_happens_the_invariants_hold(examples: int) -> None:
    """I1 to I8, after every step."""
    examples = examples // 6 if is_server() else examples  # a round trip takes longer than a step
    run_state_machine_as_test(LedgerMachine, settings=tried(examples))  # asserts in every invariant
