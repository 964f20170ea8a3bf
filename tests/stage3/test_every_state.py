"""A ledger with a purchase of every kind: what each decision makes of its money, what all cost."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from host_stub.commands import CommandError
from stage3_plugin.domain.states import COUNTED, State
from tests.doors import bills, micro, painter, rows, run_stage, stage3, story
from tests.fakes.behaviours import Behaviour, CutPng, Json, Ok, ResetAfterRead
from tests.fakes.image_api import ImageApi
from tests.places import wait
from tests.stage3.batch_shop import LATER, LOOKS_S, ONE_LOOP, shop

pytestmark = pytest.mark.anyio

REFUSED = Json({"error": {"code": "content_policy", "message": "policy"}}, status=403)
PRICED: dict[str, Behaviour] = {
    "told": bills(0.03),
    "held": Ok(usage=None),
    "bad": CutPng(),
    "bad and held": Ok(usage=None, picture=b"none"),
    "refused": REFUSED,
    "lost": ResetAfterRead(),
    "awaited": Ok(usage=None, url="foreign"),
    "once more": bills(0.03),
}
UNPRICED: dict[str, Behaviour] = {
    "of no price": Ok(usage=None),
    "bad and of no price": Ok(usage=None, picture=b"none"),
    "lost and of no price": ResetAfterRead(),
}
DECISIONS: dict[tuple[str, ...], int | None] = {
    ("--billed",): None,
    ("--billed", "--cost", "0.02"): 20_000,
    ("--not-billed",): 0,
    ("--resend",): None,
    ("--cost", "0"): 0,
    ("--cost", "0.07"): 70_000,
}
"""Each with what counts from then on, in micro-USD; ``None``: what did before."""
FINAL = (("--not-billed",), ("--resend",))


@pytest.fixture
async def every(image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave purchases in each state, with and without a price; return the state folder."""
    wait(monkeypatch, "engine.pending", BATCH_LOOKS_S=LOOKS_S)
    image_api.batches.plan = LATER
    for scene, answer in {**PRICED, **UNPRICED, "written off": ResetAfterRead()}.items():
        image_api.script(answer, scene=f"{scene}:")
    nobody = painter(image_api, base_url="http://127.0.0.1:9/v1", max_attempts=1)
    for settings, asked in (
        (painter(image_api, capacity=1), story(*PRICED)),
        (painter(image_api, capacity=1, price_usd=None), story(*UNPRICED)),
        (painter(image_api, on_unknown="resend"), story("written off")),
        (nobody, story("never sent")),
        (shop(image_api), story("in a batch")),
    ):
        await run_stage(settings, asked, tmp_path)
    assert {one.state for one in rows(tmp_path / ".stage3")} == {*State}
    return tmp_path / ".stage3"


def decided(state_dir: Path, attempt_id: str, words: tuple[str, ...]) -> bool:
    """Decide about a purchase, if that can be done."""
    sure = [] if words[0] == "--cost" else ["--yes"]  # what is paid for needs no second word
    try:
        stage3("resolve", attempt_id, *words, *sure, "--state-dir", str(state_dir))
    except CommandError:
        return False
    return True


def counted_in(state_dir: Path) -> dict[str, int]:
    """Return what each purchase counts; all of it is compared with the total on the way."""
    return {one.attempt_id: one.counted_microusd for one in rows(state_dir)}


def copied(state_dir: Path, name: str) -> Path:
    copy: Path = shutil.copytree(state_dir, state_dir.with_name(name))
    return copy


@ONE_LOOP
async def test_the_total_is_the_sum_after_any_two_decisions_about_any_purchase(every: Path) -> None:
    """What counts is what the last word says; one that is refused changes nothing."""
    before = counted_in(every)
    for first, its_amount in DECISIONS.items():
        once = copied(every, " ".join(first))
        taken = [one for one in before if decided(once, one, first)]
        after = before | {one: before[one] if its_amount is None else its_amount for one in taken}
        assert counted_in(once) == after, first
        can_be_taken_back: set[str] = set()
        for second, amount in DECISIONS.items():
            twice = copied(once, " ".join((*first, *second)))
            again = [one for one in taken if decided(twice, one, second)]
            if not again:
                continue
            then = {one: after[one] if amount is None else amount for one in again}
            assert counted_in(twice) == after | then, (first, second)
            can_be_taken_back |= {*again} if second[0] == "--cost" else set()
            verified = stage3("verify", "--state-dir", str(twice)).data["problems"]
            assert [one["message"] for one in verified if one["kind"] == "ledger"] == []
        assert can_be_taken_back == (set() if first in FINAL else {*taken})


@ONE_LOOP
async def test_a_file_of_costs_keeps_what_is_known_what_is_not_and_what_is_in_work_apart(
    every: Path, tmp_path: Path
) -> None:
    """By the states of the purchases, and together what counts, whatever is told apart."""
    found = rows(every)

    def counted(*states: State) -> int:
        return sum(one.counted_microusd for one in found if one.state in states)

    spent = counted(State.PAID, State.PAID_BAD)
    unknown = counted(State.UNKNOWN, State.WROTE_OFF)
    in_work = counted(State.SENDING, State.ACCEPTED)
    for by in ("day,provider,model", "scene", "model", "day,story,scene"):
        path = tmp_path / "costs.csv"
        said = stage3("costs", "--by", by, "--csv", str(path), "--state-dir", str(every))
        total = said.data["total"]
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        told = {
            status: [
                sum(
                    micro(one[column] or "0") or 0 for one in lines if one["x_CostStatus"] == status
                )
                for column in ("BilledCost", "x_HeldCost")
            ]
            for status in ("known", "in_work", "unknown")
        }

        assert {line["x_HeldCost"] for line in lines if line["x_CostStatus"] == "known"} == {""}
        assert told == {"known": [spent, 0], "in_work": [0, in_work], "unknown": [0, unknown]}, by
        assert sum(int(line["ConsumedQuantity"]) for line in lines) == total["requests"]
        assert (micro(total["spent_usd"]), micro(total["in_work"]["held_usd"])) == (spent, in_work)
        assert micro(total["counted_usd"]) == spent + unknown + in_work == counted(*COUNTED)
