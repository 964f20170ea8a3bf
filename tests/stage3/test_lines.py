"""Lines of a batch are looked at one by one and held all at once: all of them, or none.

On a real ledger. What the provider and the disk do has no part in it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.money import FREE, UNKNOWN
from stage3_plugin.domain.purchase import Held, Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import LedgerInDoubt
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.policy.reuse import Reuse
from stage3_plugin.purchase.checkout import Denied, Stands
from stage3_plugin.purchase.run_ledger import Line
from stage3_plugin.purchase.takes import Part
from tests.fakes.inline_commit import InlineCommit
from tests.laws import tried
from tests.stage3.ledger.samples import NOW, SETTLEMENTS, accepted, paid
from tests.stage3.line_shop import HOLD, LineShop, a_batch, close_all, request

pytestmark = pytest.mark.anyio
T = TypeVar("T")

BAD = replace(SETTLEMENTS[State.PAID_BAD], cost_microusd=HOLD)


@pytest.fixture
def anyio_backend() -> str:
    """What an event loop has no part in."""
    return "asyncio"


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close every ledger in the end."""
    yield
    close_all()


@pytest.fixture
def shop(tmp_path: Path) -> LineShop:
    """A run without caps."""
    return LineShop(tmp_path)


@pytest.fixture
def other(tmp_path: Path) -> LineShop:
    """Another run that goes on beside it."""
    return LineShop(tmp_path, "run-2")


def _means(found: object) -> Reuse | None:
    """Return what stands for a picture; ``None`` where it must not be sent."""
    assert isinstance(found, Stands | Denied)
    return found.means if isinstance(found, Stands) else None


# Held --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settlement, means",
    [
        (None, Reuse.BUSY),
        (paid(HOLD), Reuse.REUSE),
        (SETTLEMENTS[State.UNKNOWN], None),
        (BAD, None),
    ],
    ids=["in work", "there", "in doubt", "billed for nothing"],
)
async def test_what_another_run_has_bought_meanwhile_is_not_bought_again(
    shop: LineShop, other: LineShop, settlement: Settlement | None, means: Reuse | None
) -> None:
    """Between the look and the hold, while the file was uploaded; the other lines wait for none."""
    lines = await shop.ready("s0", "s1", "s2")
    (held,) = await other.hold("s1")
    if settlement is not None:
        await other.bring(held, settlement)
    found = await shop.in_the_way(lines)

    assert list(found) == [1]
    assert _means(found[1]) is means
    assert isinstance(await shop.checkout.hold([lines[0], lines[2]], a_batch()), list)


async def test_a_line_that_was_written_as_another_take_is_written_again(
    shop: LineShop, other: LineShop
) -> None:
    """Its number was bought by another run meanwhile: what it is now is said instead."""
    part = Part()
    (other_part,) = part.more(2)
    first = await shop.line(request("s1"), part)
    (held,) = await other.hold("s1")
    await other.bring(held, paid(HOLD))
    there = await shop.checkout.look(request("s1"), other_part)

    assert _means(there) is Reuse.REUSE
    (as_it_is,) = (await shop.in_the_way([first])).values()
    assert isinstance(as_it_is, Line)
    assert (first.take, as_it_is.take) == (1, 2)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
class _Limited(InlineCommit):
    """Refuses what would go on for ever."""

    left = 20

    async def __call__(self, work: Callable[[Ledger], T]) -> T:
        self.left -= 1
        assert self.left, "it is held, and undone, again and again"
        return await super().__call__(work)


@pytest.mark.parametrize("state", [State.UNKNOWN, State.ACCEPTED], ids=["in doubt", "being made"])
async def test_of_more_takes_than_are_wanted_none_is_sent_once_more(
    tmp_path: Path, state: State
) -> None:
    """Two went out and one is wanted by now: the other counts for it, whatever the setting says."""
    part = Part()
    for number, one in enumerate((part, *part.more(2)), start=1):
        first = LineShop(tmp_path, now=NOW + timedelta(minutes=number))
        line = await first.line(request("s1"), one)
        held = await first.checkout.hold([line], a_batch())
        assert isinstance(held, list)
        if number == 2 and state is State.ACCEPTED:
            await first.run_ledger.accept(held[0].token or "", accepted("the batch"))
        else:
            await first.bring(held[0], SETTLEMENTS[State.UNKNOWN])
    shop = LineShop(tmp_path, "run-2", on_unknown="resend", commit_with=_Limited)
    line = await shop.line(request("s1"), Part())
    (found,) = (await shop.in_the_way([line])).values()
    claimed = await shop.checkout.claim(request("s1"), Part())

    means = None if state is State.UNKNOWN else Reuse.AWAITED
    assert _means(found) is means
    assert _means(claimed) is means
    assert shop.states() == [State.UNKNOWN, state]


async def test_each_of_several_takes_in_doubt_is_sent_once_more(tmp_path: Path) -> None:
    """One after the other, and none is kept by the others."""
    first = LineShop(tmp_path)
    part = Part()
    for one in (part, *part.more(2)):
        line = await first.line(request("s1"), one)
        held = await first.checkout.hold([line], a_batch())
        assert isinstance(held, list)
        await first.bring(held[0], SETTLEMENTS[State.UNKNOWN])
    shop = LineShop(tmp_path, "run-2", on_unknown="resend", commit_with=_Limited)
    part = Part()
    for one in (part, *part.more(2)):
        claimed = await shop.checkout.claim(request("s1"), one)
        assert isinstance(claimed, Held)

    assert shop.states() == [State.WROTE_OFF] * 2 + [State.SENDING] * 2


class LosesItsWord(InlineCommit):
    """Commits, and does not hear of it: the connection is lost over the end."""

    is_lost = True

    async def __call__(self, work: Callable[[Ledger], T], /) -> T:
        result = await super().__call__(work)
        if self.is_lost:
            raise LedgerInDoubt("the server")
        return result


async def test_a_batch_whose_hold_is_in_doubt_is_void_as_a_whole(tmp_path: Path) -> None:
    """Nothing is sent on it: the run gives all of it back, and the next sees that it never left."""
    shop = LineShop(tmp_path, commit_with=LosesItsWord)
    job = a_batch()
    with pytest.raises(LedgerInDoubt):
        await shop.checkout.hold(await shop.ready("s1", "s2"), job)
    assert shop.states() == [State.SENDING] * 2
    LosesItsWord.is_lost = False
    try:
        await shop.run_ledger.withdraw()
    finally:
        LosesItsWord.is_lost = True

    assert shop.states() == [State.VOID] * 2
    assert shop.committed() == 0


# What came of the create -------------------------------------------------------------------------


def came(kind: VerdictKind, *, billed: bool = False, **more: Any) -> AttemptResult:
    verdict = Verdict(kind=kind, message="why", may_be_billed=billed)
    return AttemptResult(verdict=verdict, cost=UNKNOWN if billed else FREE, **more)


@pytest.mark.parametrize(
    "attempted, state",
    [
        (came(VerdictKind.NOT_SENT), State.VOID),
        (came(VerdictKind.REJECTED, never_sent=True), State.VOID),
        (came(VerdictKind.REJECTED), State.REFUSED),
        (came(VerdictKind.BAD_CREDENTIALS), State.REFUSED),
        (came(VerdictKind.RATE_LIMITED), State.REFUSED),
        (came(VerdictKind.UNKNOWN, billed=True), State.UNKNOWN),
        (came(VerdictKind.BUSY, billed=True), State.UNKNOWN),
        (came(VerdictKind.UNREADABLE, billed=True), State.UNKNOWN),
        (came(VerdictKind.NO_PICTURE, billed=True), State.UNKNOWN),
        (came(VerdictKind.UNKNOWN, billed=True, stays_open=True), State.SENDING),
    ],
)
async def test_what_came_of_a_create_is_true_of_all_lines(
    shop: LineShop, attempted: AttemptResult, state: State
) -> None:
    """And none of thousands of lines is called billed for nothing by it."""
    held = await shop.hold("s1", "s2")
    cost, _ = await shop.checkout.settle(held, attempted)

    assert shop.states() == [state] * 2
    assert cost == (FREE if state in {State.VOID, State.REFUSED} else UNKNOWN)
    assert shop.committed() == (0 if state in {State.VOID, State.REFUSED} else 2 * HOLD)


async def test_what_a_person_has_decided_meanwhile_stays(shop: LineShop) -> None:
    """The run was frozen, its home given up, and its answer comes when it thaws."""
    held = await shop.hold("s1", "s2")
    await shop.bring(held[0], SETTLEMENTS[State.UNKNOWN])
    await shop.bring(held[0], replace(SETTLEMENTS[State.WROTE_OFF], decided_by="user"))
    await shop.checkout.settle([held[1]], came(VerdictKind.REJECTED))

    assert shop.states() == [State.WROTE_OFF, State.REFUSED]


# A law -------------------------------------------------------------------------------------------


@tried(10)
@given(
    holds=st.lists(st.integers(0, 5), min_size=1, max_size=6),
    cap=st.integers(0, 16),
    bought=st.dictionaries(
        st.integers(0, 5),
        st.sampled_from((None, paid(1), SETTLEMENTS[State.REFUSED], SETTLEMENTS[State.UNKNOWN])),
    ),
)
async def test_what_is_not_in_the_way_fits_together(
    holds: list[int], cap: int, bought: dict[int, Settlement | None]
) -> None:
    """Whatever others have bought meanwhile: all or nothing, and the next cut is the last."""
    with tempfile.TemporaryDirectory() as folder:
        shop = LineShop(Path(folder), cap=cap, hold_of=lambda wanted: holds[int(wanted.scene_id)])
        other = LineShop(Path(folder), "run-2")
        lines = await shop.ready(*(str(number) for number in range(len(holds))))
        for number, settlement in bought.items():
            (held,) = await other.hold(str(number))
            if settlement is not None:
                await other.bring(held, settlement)
        before = shop.committed()
        left = _rest(lines, await shop.checkout.hold(lines, a_batch()))
        if left is not None:
            assert shop.committed() == before
            assert left == [] or isinstance(await shop.checkout.hold(left, a_batch()), list)
        held_now = [one for one in shop.rows() if one.new.run_id == "run-1"]
        assert shop.committed() <= max(cap, before)
        assert {int(one.new.scene_id) for one in held_now} <= {
            number for number in range(len(holds)) if _is_free(bought, number)
        }
        close_all()


def _rest(lines: list[Line], held: object) -> list[Line] | None:
    """Return the lines that nothing is in the way of; ``None`` if all were held."""
    if isinstance(held, list):
        return None
    assert isinstance(held, dict)
    return [one for number, one in enumerate(lines) if number not in held]


def _is_free(bought: dict[int, Settlement | None], number: int) -> bool:
    settlement = bought.get(number, SETTLEMENTS[State.REFUSED])
    return settlement is not None and settlement.state is State.REFUSED
