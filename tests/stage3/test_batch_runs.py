"""Runs that buy in batches: gathered, cut, held at once, left to be made, and taken in later.

Both vendors are those of the loopback server, whose books say what was bought and billed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from host_stub.contract import Scene
from stage3_plugin.domain.states import State
from stage3_plugin.providers import openai_batch
from stage3_plugin.testing.batch_plans import Batched, Line
from stage3_plugin.testing.behaviours import Gate, Page
from stage3_plugin.testing.bill import Bill, by_the_table
from stage3_plugin.testing.dialects.openai_batches import OpenAIBatches
from stage3_plugin.testing.image_api import ImageApi
from stage3_plugin.testing.wire import Asked
from tests.doors import Story, counted, micro, purchases, run_stage, scenes, states
from tests.fakes.image_api import KEY
from tests.places import wait
from tests.stage3.batch_shop import (
    LATER,
    LOOKS_S,
    ONE_LOOP,
    billed_microusd,
    codes,
    gemini,
    left_in_spool,
    priced,
    shop,
    sizes,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at a batch at once and once more."""
    wait(monkeypatch, "engine.pending", BATCH_LOOKS_S=LOOKS_S)
    wait(monkeypatch, "engine.run", RECOVERY_LINGERS_S=0.1)


@pytest.fixture
def api() -> Iterator[ImageApi]:
    with ImageApi() as one:
        yield priced(one)


async def test_a_story_is_one_batch_at_half_the_price(api: ImageApi, tmp_path: Path) -> None:
    """Its pictures are there, the ledger has what the vendor billed, and nothing went otherwise."""
    ran = await run_stage(shop(api), scenes(6), tmp_path)

    assert codes(ran) == {"made": 6}
    assert (len(api.batches.all), api.batches.billed(), api.received()) == (1, 6, 0)
    assert states(tmp_path) == [State.PAID] * 6
    assert counted(tmp_path) == billed_microusd(api)
    assert [one["lines"] for one in ran.named("batch.created")] == [6]
    assert len(ran.named("batch.uploaded")) == len(ran.named("batch.ended")) == 1
    assert {micro(outcome.cost.usd) for outcome in ran.outcomes.values()} == {
        int(line.usd * 1_000_000) for line in api.batches.lines if line.usd is not None
    }
    assert left_in_spool(tmp_path) == []


async def test_what_is_being_made_is_left_to_a_later_run(api: ImageApi, tmp_path: Path) -> None:
    """The first run ends at once and says so; the second takes all in and buys nothing."""
    gate = Gate()
    api.batches.script(Batched(polls=0, until=gate))

    first = await run_stage(shop(api), scenes(3), tmp_path)

    assert codes(first) == {"pending": 3}
    assert states(tmp_path) == [State.ACCEPTED] * 3
    (warned,) = [one["message"] for one in first.named("stage.warned")]
    assert "3 pictures are being made in 1 batch at openai ($0.0" in warned
    assert " held), by 20" in warned
    assert len({str(outcome.failure) for outcome in first.outcomes.values()}) == 1
    assert "being made in batch" in str(first.outcomes["s01"].failure)

    gate.open()
    second = await run_stage(shop(api), scenes(3), tmp_path)

    assert codes(second) == {"made": 3}
    assert all(outcome.reused for outcome in second.outcomes.values())
    assert (len(api.batches.all), api.batches.billed()) == (1, 3)
    assert states(tmp_path) == [State.PAID] * 3


async def test_all_scenes_of_a_batch_hear_of_the_last_look_that_a_run_takes_at_it(
    api: ImageApi, tmp_path: Path
) -> None:
    """None is left as being made by a run that then takes it in."""
    gate = Gate()
    api.batches.script(Batched(polls=0, until=gate))
    await run_stage(shop(api), scenes(4), tmp_path)
    asked: list[str] = []

    def ends_behind_the_first_look(_asked: Asked, page: str) -> None:
        asked.append(page)
        if asked.count("batch") == 2:
            gate.open()

    api.trouble = ends_behind_the_first_look
    second = await run_stage(shop(api), scenes(4), tmp_path)

    assert codes(second) == {"made": 4}
    assert (asked.count("batch"), second.named("stage.warned")) == (2, [])


async def test_a_later_run_buys_what_never_ran_in_another_batch(
    api: ImageApi, tmp_path: Path
) -> None:
    """What an expired batch has finished is delivered and paid; the rest is free, and bought."""
    gate = Gate()
    api.batches.script(Batched(polls=0, until=gate, ends="expired", done=2))
    first = await run_stage(shop(api), scenes(5), tmp_path)
    assert codes(first) == {"pending": 5}

    gate.open()
    second = await run_stage(shop(api), scenes(5), tmp_path)

    assert codes(second) == {"made": 5}
    assert sizes(api) == [5, 3]
    assert api.batches.billed() == 5
    assert counted(tmp_path) == billed_microusd(api)


@ONE_LOOP
async def test_a_bill_above_its_hold_is_the_price_of_what_the_run_that_hears_of_it_holds(
    api: ImageApi, tmp_path: Path
) -> None:
    """A batch is taken in by a later run: what that holds beside it must not pass a cap by more."""
    api.bill = _thrice
    gate = Gate()
    api.batches.script(Batched(polls=0, until=gate))
    first = await run_stage(shop(api, total_usd="1"), scenes(3), tmp_path)
    bill = billed_microusd(api) // 3
    cap = 3 * bill + 2 * purchases(tmp_path)[0].hold_microusd
    gate.open()
    second = await run_stage(shop(api, total_usd=str(cap / 1e6)), scenes(6), tmp_path)

    assert codes(first) == {"pending": 3}
    assert codes(second) == {"made": 3, "budget": 1, "not_tried": 2}
    assert sizes(api) == [3]
    assert counted(tmp_path) == billed_microusd(api)
    assert counted(tmp_path) <= cap


def _thrice(document: Mapping[str, Any], prompt: str) -> Bill | None:
    """Bill thrice what the table says."""
    bill = by_the_table(document, prompt)
    if bill is None:
        return None
    usd, image_out, text_in = 3 * bill.usd, 3 * bill.image_out, 3 * bill.text_in
    return replace(bill, usd=usd, image_out=image_out, text_in=text_in)


async def test_a_file_of_unknown_length_ends_its_lines_by_the_providers_count(
    api: ImageApi, tmp_path: Path
) -> None:
    """Refused, made, or none of them begun: no line waits for a word that never comes."""
    api.batches.script(Batched(polls=0, framing="close"))
    api.batches.script_line(Line(ends="refused"), scene="s02")
    first = await run_stage(shop(api), scenes(3), tmp_path / "1")
    gate = Gate()
    api.batches.script(
        Batched(polls=0, until=gate, framing="close", ends="cancelled", done=0, foreign=1)
    )
    await run_stage(shop(api), scenes(2), tmp_path / "2")
    gate.open()
    second = await run_stage(shop(api), scenes(2), tmp_path / "2")

    assert codes(first) == {"made": 2, "refused": 1}
    assert codes(second) == {"made": 2}
    assert sizes(api) == [3, 2, 2]


@pytest.mark.parametrize("total", [3, 2, 0])
async def test_a_line_that_a_complete_batch_says_nothing_of_is_not_bought_again(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total: int
) -> None:
    """Its counts may lag, or not be of all that was sent: what they leave open may be billed."""
    shown = OpenAIBatches.shown

    def counts(*asked: Any) -> dict[str, Any]:
        document = dict(shown(*asked))
        done = min(2, total)
        return document | {"request_counts": {"total": total, "completed": done, "failed": 0}}

    monkeypatch.setattr(OpenAIBatches, "shown", counts)
    api.batches.script(Batched(polls=0, order="asked", done=2))
    ran = [await run_stage(shop(api), scenes(3), tmp_path) for _ in range(5)]

    assert codes(ran[-1])["made"] == 2
    assert sizes(api) == [3]
    assert states(tmp_path).count(State.PAID) == 2
    assert states(tmp_path).count(State.UNKNOWN) == 1


async def test_a_complete_batch_without_a_file_yet_is_asked_for_again(
    api: ImageApi, tmp_path: Path
) -> None:
    """Its counts say that nothing is done, which is no proof that nothing ran."""
    api.batches.script(Batched(polls=0, done=0))
    ran = await run_stage(shop(api), scenes(3), tmp_path)

    assert codes(ran) == {"pending": 3}
    assert sizes(api) == [3]
    assert states(tmp_path) == [State.ACCEPTED] * 3


async def test_a_later_run_ends_what_was_refused_and_does_not_buy_it_again(
    api: ImageApi, tmp_path: Path
) -> None:
    """A refusal of its own is a scene's end in the run that hears of it; another run asks anew."""
    gate = Gate()
    api.batches.script(Batched(polls=0, until=gate))
    api.batches.script_line(Line(ends="refused"), scene="s02")
    await run_stage(shop(api), scenes(3), tmp_path)

    gate.open()
    second = await run_stage(shop(api), scenes(3), tmp_path)

    assert codes(second) == {"made": 2, "refused": 1}
    assert len(api.batches.all) == 1
    third = await run_stage(shop(api), scenes(3), tmp_path)
    assert codes(third) == {"made": 3}
    assert sizes(api) == [3, 1]


async def test_a_line_that_was_billed_for_nothing_is_bought_again_by_another_run(
    api: ImageApi, tmp_path: Path
) -> None:
    """The run that takes it in ends its scene by it, and hands no further file over for it."""
    gate = Gate()
    api.batches.script(Batched(polls=0, until=gate))
    api.batches.script_line(Line(ends="empty"), scene="s01")
    first = await run_stage(shop(api), scenes(2), tmp_path)
    assert codes(first) == {"pending": 2}

    gate.open()
    second = await run_stage(shop(api), scenes(2), tmp_path)
    uploads = sum(entry.page is not None and entry.page.kind == "upload" for entry in api.entries)

    assert codes(second) == {"made": 1, "no_picture": 1}
    assert uploads <= 2
    assert len(api.batches.all) == 1
    assert codes(await run_stage(shop(api), scenes(2), tmp_path)) == {"made": 2}
    assert api.batches.billed("s01") == 2
    assert counted(tmp_path) == billed_microusd(api)


@ONE_LOOP
async def test_a_story_is_cut_to_what_a_batch_takes(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several batches are made at once, each with its own holds and its own name."""
    terms = replace(openai_batch.TERMS, most_lines=4)
    monkeypatch.setattr(openai_batch.OpenAIBatch, "terms", terms)

    ran = await run_stage(shop(api), scenes(10), tmp_path)

    assert codes(ran) == {"made": 10}
    assert sorted(len(batch.lines) for batch in api.batches.all) == [2, 4, 4]
    assert api.batches.billed() == 10


@ONE_LOOP
async def test_a_cap_cuts_a_batch_and_the_rest_ends_as_budget(
    api: ImageApi, tmp_path: Path
) -> None:
    """What fits is sent first; nothing is held for the rest."""
    (one,) = {purchase.hold_microusd for purchase in await _held(api, tmp_path / "a", scenes(1))}
    api.batches.plan = LATER

    cap = Decimal(3 * one).scaleb(-6)
    ran = await run_stage(shop(api, price_usd=None), scenes(5), tmp_path / "b", max_cost_usd=cap)

    assert codes(ran) == {"pending": 3, "budget": 1, "not_tried": 1}
    assert ran.ending is not None
    assert ran.ending.stopped == "budget"
    assert len(purchases(tmp_path / "b")) == 3
    assert api.batches.received() == 1 + 3


async def _held(api: ImageApi, folder: Path, told: Story) -> Any:
    await run_stage(shop(api), told, folder)
    return purchases(folder)


@ONE_LOOP
async def test_further_words_stay_in_the_lane_and_further_routes_do_not(
    api: ImageApi, tmp_path: Path
) -> None:
    """A refused line is asked for with the next prompt in another batch, and then elsewhere."""
    api.batches.script_line(Line(ends="refused"), scene="s01: a harbour")
    api.batches.script_line(Line(ends="refused"), scene="s01: a quay")
    told = Story(
        [
            Scene(scene_id="s01", prompt="s01: a harbour", if_refused=("s01: a quay",)),
            Scene(scene_id="s02", prompt="s02: a hill"),
        ]
    )
    there = {"base_url": api.base_url, "api_key": KEY}
    fallback = [{"provider": "openai", "model": "gpt-image-1", **there}]

    ran = await run_stage(shop(api, fallback=fallback), told, tmp_path)

    assert codes(ran) == {"made": 2}
    assert api.batches.received("s01: a harbour") == 1
    assert api.received("s01: a harbour") == 1


@ONE_LOOP
async def test_lanes_may_be_mixed(api: ImageApi, tmp_path: Path) -> None:
    """A scene's own lane is where it is bought."""
    told = Story(
        [
            scene.model_copy(update={"lane": "ordinary"}) if scene.scene_id == "s02" else scene
            for scene in scenes(3)
        ]
    )

    ran = await run_stage(shop(api), told, tmp_path)

    assert codes(ran) == {"made": 3}
    assert (api.batches.received(), api.received(), api.received("s02")) == (2, 1, 1)


@ONE_LOOP
async def test_each_take_is_a_line(api: ImageApi, tmp_path: Path) -> None:
    """In one batch, with a slot of its own."""
    told = scenes(2, takes=3)

    ran = await run_stage(shop(api), told, tmp_path)

    assert [ran.codes("s01"), ran.codes("s02")] == [["made"] * 3] * 2
    assert sizes(api) == [6]
    assert len(purchases(tmp_path, "s01")) == 3


@ONE_LOOP
async def test_each_take_of_a_seed_is_bought_once(api: ImageApi, tmp_path: Path) -> None:
    """Each line has a seed of its own, and is found again by that of its scene."""
    told = Story([scene.model_copy(update={"seed": 40}) for scene in scenes(1, takes=3)])

    ran = await run_stage(gemini(api), told, tmp_path)
    again = await run_stage(gemini(api), told, tmp_path)

    assert ran.codes("s01") == again.codes("s01") == ["made"] * 3
    assert sizes(api) == [3]


async def test_a_scene_whose_sheet_is_in_a_batch_waits_for_a_later_run(
    api: ImageApi, tmp_path: Path
) -> None:
    """It ends as pending, and nothing is held for it; then it is a line of the next batch."""
    gate = Gate()
    api.batches.script(Batched(polls=0, until=gate))
    told = Story(
        [
            Scene(scene_id="s01", prompt="s01: a hill", characters=("mara",)),
            Scene(scene_id="s02", prompt="s02: a hill"),
        ]
    )
    settings = shop(api, cast={"mara": {"prompt": "mara, a woman of forty"}})

    first = await run_stage(settings, told, tmp_path)

    assert {one: first.code(one) for one in first.outcomes} == {
        "mara": "pending",
        "s01": "pending",
        "s02": "pending",
    }
    assert "sheet 'mara' is not here yet" in str(first.outcomes["s01"].failure)
    assert first.outcomes["s01"].attempts == 0
    assert (len(purchases(tmp_path)), api.batches.received()) == (2, 2)

    gate.open()
    second = await run_stage(settings, told, tmp_path)

    assert codes(second) == {"made": 3}
    assert sizes(api) == [2, 1]
    assert api.batches.received("s01") == 1


async def test_a_create_that_is_turned_away_is_one_request_for_all_of_its_lines(
    api: ImageApi, tmp_path: Path
) -> None:
    """It is made again with a name of its own; what was held before is free."""
    api.batches.meet(Page(429, billed=False), at="create")

    ran = await run_stage(shop(api), scenes(8), tmp_path)

    assert codes(ran) == {"made": 8}
    assert (len(api.batches.all), api.batches.billed()) == (1, 8)
    assert Counter(states(tmp_path)) == {State.PAID: 8, State.REFUSED: 8}
    assert {one["cause"] for one in ran.named("scene.retried")} == {"rate_limited"}
    assert left_in_spool(tmp_path) == []


async def test_a_create_whose_answer_is_lost_is_found_by_its_label(
    api: ImageApi, tmp_path: Path
) -> None:
    """And is not made again."""
    api.batches.script(Batched(polls=0, lost="begun"))

    ran = await run_stage(shop(api), scenes(4), tmp_path)

    assert codes(ran) == {"made": 4}
    assert (len(api.batches.all), api.batches.billed()) == (1, 4)
