"""Several takes of a scene: each is bought once, whoever wants it and however often it is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from host_stub.contract import SceneSurvey, WantedTakes
from stage3_plugin.domain.states import State
from stage3_plugin.settings import draft_settings
from tests.doors import (
    Ran,
    Story,
    bills,
    counted,
    micro,
    opened,
    painter,
    plan_of,
    purchases,
    request,
    run_stage,
    settings_for,
    states,
    story,
)
from tests.fakes.behaviours import Behaviour, Gate, Json, Ok, ResetAfterRead, TextOnly
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.pngs import make_png
from tests.projects import wait_until

pytestmark = pytest.mark.anyio

REFUSED = Json({"error": {"code": 403, "message": "no"}}, status=403)


def takes(wanted: int, *scene_ids: str) -> Story:
    """Make scenes of which so many pictures are wanted."""
    return story(*scene_ids or ("a",), takes=wanted)


WantedFor = Callable[[str], Sequence[WantedTakes]]


def always(basis: str, wanted: int) -> WantedFor:
    """Want so many of whatever has this basis."""

    def said(_scene_id: str) -> Sequence[WantedTakes]:
        return [WantedTakes(basis=basis, takes=wanted)]

    return said


@pytest.fixture
def api(image_api: ImageApi) -> ImageApi:
    """Answer every request with another picture."""
    number = count(1)
    image_api.otherwise = lambda _asked: picture(next(number))
    return image_api


def picture(number: int, **more: Any) -> Ok:
    return bills(0.05, picture=make_png(f"picture {number}", 64, 64), **more)


Run = Callable[..., Any]


@pytest.fixture
def run(api: ImageApi, tmp_path: Path) -> Run:
    async def run(
        wanted: int = 1, /, *, said: WantedFor | None = None, into: Ran | None = None, **more: Any
    ) -> Ran:
        settings = painter(api, **more)
        return await run_stage(settings, takes(wanted), tmp_path, wanted=said, into=into)

    return run


def found(ran: Ran) -> list[bool]:
    return [one.reused for _, one in sorted(ran.takes.items())]


async def test_each_wanted_take_is_bought_and_has_an_outcome(
    run: Run, api: ImageApi, tmp_path: Path
) -> None:
    """Pictures, files and purchases of their own; all of one basis."""
    ran = await run(3)
    outcomes = [ran.takes["a", number] for number in (1, 2, 3)]

    assert (api.received(), states(tmp_path)) == (3, [State.PAID] * 3)
    assert len({one.sha256 for one in outcomes}) == 3
    assert len({one.purchase for one in outcomes}) == 3
    assert len({one.basis for one in outcomes}) == 1
    assert [one.image.name for one in outcomes if one.image] == [
        "a.png",
        "a.take-2.png",
        "a.take-3.png",
    ]
    assert {one.get("take") for one in ran.named("scene.started")} == {None, 2, 3}


async def test_takes_that_are_there_are_found(run: Run, api: ImageApi, tmp_path: Path) -> None:
    """Said again they are bought once; one more is one more; fewer are those that came first."""
    first = await run(3, capacity=1)
    again, more, fewer = await run(3), await run(4), await run(2)

    assert api.received() == 4
    assert [found(one) for one in (again, more, fewer)] == [
        [True] * 3,
        [True, True, True, False],
        [True] * 2,
    ]
    in_order = [one.purchase for one in first.takes.values()]
    for ran in (again, more, fewer):
        bought = [one.purchase for _, one in sorted(ran.takes.items()) if one.reused]
        assert bought == in_order[: len(bought)]
    assert len(purchases(tmp_path)) == 4


async def test_what_is_wanted_holds_for_its_basis_alone(run: Run, api: ImageApi) -> None:
    """Said for what the scene is made from now it counts, and for anything else it does not."""
    basis = (await run()).outcomes["a"].basis
    for other, expected in (("of something else", 1), (basis, 3)):

        def said(scene_id: str, other: str = other) -> Sequence[WantedTakes]:
            return [WantedTakes(basis=other, takes=3)] if scene_id == "a" else []

        ran = await run(said=said)
        assert len(ran.takes) == expected
    assert api.received() == 3
    assert len((await run(said=said, quality="high")).takes) == 1


@pytest.mark.parametrize("failing", [REFUSED, TextOnly()], ids=["unbilled", "billed"])
async def test_a_take_that_fails_keeps_no_other_from_being_made(
    run: Run, api: ImageApi, tmp_path: Path, failing: Behaviour
) -> None:
    """And the next run makes it; what was billed for nothing is not bought again in its own run."""
    api.script(failing)
    ran = await run(3, capacity=1)
    assert sorted(ran.codes("a"))[:2] == ["made", "made"]
    assert api.received() == 3
    again = await run(3)

    assert api.received() == 4
    assert again.codes("a") == ["made"] * 3
    assert sorted(found(again)) == [False, True, True]
    assert states(tmp_path).count(State.PAID) == 3


@pytest.mark.parametrize("wanted", [1, 2])
async def test_nothing_is_sent_again_where_a_bill_without_a_picture_came_meanwhile(
    api: ImageApi, tmp_path: Path, wanted: int
) -> None:
    """Of what two other runs did while this one was busy, it may have seen neither."""
    gate = Gate()
    api.script(picture(0, gate=gate), scene="first")
    api.script(TextOnly(), scene="a")
    api.script(ResetAfterRead(), scene="a")
    asked = Story([*takes(1, "first"), *takes(wanted, "a")])
    ran = Ran()
    resending = painter(api, on_unknown="resend", capacity=1)
    async with anyio.create_task_group() as group:
        group.start_soon(partial(run_stage, resending, asked, tmp_path, into=ran))
        await anyio.to_thread.run_sync(wait_until, lambda: api.received() == 1)
        others = [await run_stage(painter(api), takes(1), tmp_path) for _ in range(2)]
        assert [one.code("a") for one in others] == ["no_picture", "unknown"]
        gate.open()

    assert ran.codes("a") == ["no_picture"] * wanted
    assert states(tmp_path, "a") == [State.PAID_BAD, State.UNKNOWN]
    assert api.received() == 3


async def test_what_is_in_doubt_is_one_of_them(run: Run, api: ImageApi, tmp_path: Path) -> None:
    """The others are made and nothing is bought in its place, in whichever run."""
    api.script(ResetAfterRead())
    ran = await run(3, capacity=1)
    again = await run(3)

    assert sorted(ran.codes("a")) == ["made", "made", "unknown"]
    assert again.codes("a") == ["made", "made", "unknown"]
    assert (await run(2)).codes("a") == ["made"] * 2
    assert api.received() == 3
    assert sorted(states(tmp_path)) == [State.PAID, State.PAID, State.UNKNOWN]


async def test_two_runs_that_want_three_buy_three(run: Run, api: ImageApi, tmp_path: Path) -> None:
    """At once: what one has in work the other waits for."""
    gate = Gate()
    api.script(*(picture(number, gate=gate) for number in (11, 12, 13, 14, 15, 16)))
    first, second = Ran(), Ran()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: run(3, into=first, capacity=2))
        while api.in_flight < 2:
            await anyio.sleep(0.01)
        tasks.start_soon(lambda: run(3, into=second, capacity=2))
        while api.in_flight < 3:
            await anyio.sleep(0.01)
        gate.open()

    assert (api.received(), states(tmp_path)) == (3, [State.PAID] * 3)
    assert first.codes("a") == second.codes("a") == ["made"] * 3
    assert {one.purchase for one in first.takes.values()} == {
        one.purchase for one in second.takes.values()
    }


async def test_a_cap_counts_each_take(run: Run, api: ImageApi, tmp_path: Path) -> None:
    """What fits is made, and the rest says why not."""
    ran = await run(3, budget_usd="0.11")

    assert ran.codes("a") == ["made", "made", "budget"]
    assert (api.received(), counted(tmp_path)) == (2, 100_000)


async def test_every_take_of_a_run_that_stops_has_its_outcome(
    api: ImageApi, tmp_path: Path
) -> None:
    """None is left out, and none is told twice."""
    api.always(Json({"error": {"code": 401, "message": "no"}}, status=401))
    ran = await run_stage(painter(api, capacity=1), takes(3, "a", "b"), tmp_path)

    assert {len(ran.codes(one)) for one in ("a", "b")} == {3}
    assert ran.codes("b") == ["not_tried"] * 3


async def test_a_step_down_the_ladder_is_taken_by_each_take(api: ImageApi, tmp_path: Path) -> None:
    """And a further run finds all of them, whichever way they came."""
    route = {"provider": "openrouter", "base_url": api.base_url, "api_key": KEY, "model": "b/x"}
    settings = painter(api, fallback=[route | {"price_usd": "0.05"}], capacity=1)
    api.script(REFUSED)
    ran = await run_stage(settings, takes(3), tmp_path)
    again = await run_stage(settings, takes(3), tmp_path)

    assert ran.codes("a") == ["made"] * 3
    assert found(again) == [True] * 3
    assert {one.basis for one in [*ran.takes.values(), *again.takes.values()]} == {
        ran.outcomes["a"].basis
    }
    assert {one.generation_params["model"] for one in again.takes.values()} == {"a/painter", "b/x"}


# Plans --------------------------------------------------------------------------------------------


@pytest.fixture
def plan(api: ImageApi, tmp_path: Path) -> Run:
    async def plan(
        wanted: int = 1, /, *, said: WantedFor | None = None, **more: Any
    ) -> tuple[dict[str, int], int | None]:
        found = await plan_of(painter(api, **more), takes(wanted), tmp_path, wanted=said)
        counts = ("make", "reused", "held", "pending", "busy", "refused", "unsendable")
        counted = {name: getattr(found, name) for name in counts}
        return {name: count for name, count in counted.items() if count}, micro(found.cost_high_usd)

    return plan


async def test_a_plan_counts_each_take(run: Run, plan: Run) -> None:
    """What is there, what is missing of it, what is in doubt, and what does not fit."""
    assert await plan(3) == ({"make": 3}, 150_000)
    basis = (await run(2)).outcomes["a"].basis

    assert await plan(2) == ({"reused": 2}, 0)
    assert await plan(4) == ({"reused": 2, "make": 2}, 100_000)
    assert await plan(said=always(basis, 3)) == ({"reused": 2, "make": 1}, 50_000)
    assert await plan(said=always("of something else", 3)) == ({"reused": 1}, 0)
    assert await plan(4, budget_usd="0.06") == ({"reused": 2, "make": 1, "refused": 1}, 50_000)
    assert await plan(2, model="another/painter") == ({"make": 2}, 100_000)


async def test_a_plan_says_what_a_run_does_of_what_is_in_doubt(
    run: Run, plan: Run, api: ImageApi
) -> None:
    api.script(ResetAfterRead())
    await run(3, capacity=1)

    assert await plan(3) == ({"reused": 2, "held": 1}, 0)
    assert await plan(2) == ({"reused": 2}, 0)
    assert await plan(4) == ({"reused": 2, "held": 1, "make": 1}, 50_000)
    assert await plan(3, on_unknown="resend") == ({"reused": 2, "make": 1}, 50_000)


async def test_what_is_in_doubt_at_another_route_is_one_of_them(
    run: Run, plan: Run, api: ImageApi, tmp_path: Path
) -> None:
    """Whoever names another model after an answer was lost pays for one picture less."""
    api.script(ResetAfterRead())
    await run(1)
    before = await plan(2, model="another/painter")
    other = await run(2, model="another/painter")

    assert before == ({"held": 1, "make": 1}, 50_000)
    assert sorted(other.codes("a")) == ["made", "unknown"]
    assert api.received() == 2
    assert sorted(states(tmp_path)) == [State.PAID, State.UNKNOWN]


# Seeds --------------------------------------------------------------------------------------------


async def test_each_take_of_a_seed_is_sent_another_one(api: ImageApi, tmp_path: Path) -> None:
    """Else all would be one picture. It is reported, and found again by the seed of the scene."""
    [scene] = takes(3).scenes
    seeded = Story([scene.model_copy(update={"seed": 40})])
    settings = painter(api, provider="openrouter", capacity=1)
    ran = await run_stage(settings, seeded, tmp_path)
    again = await run_stage(settings, seeded, tmp_path)

    assert [asked.document["seed"] for asked in api.asked()] == [40, 41, 42]
    for one in (ran, again):
        seeds = [outcome.generation_params["seed"] for _, outcome in sorted(one.takes.items())]
        assert seeds == [40, 41, 42]
    told: list[SceneSurvey] = []
    async with opened(settings, tmp_path) as stage:
        await stage.survey(request(seeded, tmp_path), told.append)
    assert [take.generation_params["seed"] for take in told[0].takes] == [40, 41, 42]
    assert {take.basis for take in told[0].takes} == {ran.outcomes["a"].basis}
    assert all(take.current for take in told[0].takes)


# Drafts -------------------------------------------------------------------------------------------


async def test_a_draft_never_counts_as_made(run: Run, api: ImageApi, tmp_path: Path) -> None:
    """Neither for what is paid for nor for a storyboard; drawn again it is found, each take."""
    drafts = draft_settings(painter(api))
    scenes = takes(2)
    first = await run_stage(drafts, scenes, tmp_path, draft=True)
    again = await run_stage(drafts, scenes, tmp_path, draft=True)
    storyboard = await run_stage(drafts, takes(1), tmp_path)
    made = await run(1)

    assert (first.codes("a"), found(first), found(again)) == (
        ["made"] * 2,
        [False] * 2,
        [True] * 2,
    )
    assert len({one.sha256 for one in first.takes.values()}) == 2
    assert (found(storyboard), found(made)) == ([False], [False])
    assert len(purchases(tmp_path)) == 4
    bases = {ran.outcomes["a"].basis for ran in (first, again)}
    assert len(bases) == 1
    assert bases.isdisjoint({storyboard.outcomes["a"].basis, made.outcomes["a"].basis})
    assert first.outcomes["a"].cost.usd == 0


async def test_a_draft_has_the_frame_of_what_is_paid_for(api: ImageApi, tmp_path: Path) -> None:
    """And is drawn of the words alone: no sheet, no reference, no cap, no other model."""
    paid = painter(
        api, size="96x64", budget_usd="0.01", cast={"mira": {"prompt": "Mira"}}, on_unknown="resend"
    )
    [scene] = takes(1).scenes
    further = {"characters": ("mira",), "model": "another/painter", "references": ("no.png",)}
    told = scene.model_copy(update=further)
    ran = await run_stage(draft_settings(paid), Story([told]), tmp_path, draft=True)

    assert (ran.outcomes["a"].width, ran.outcomes["a"].height) == (96, 64)
    assert list(ran.takes) == [("a", 1)]
    assert api.received() == 0


# Scenes that others show --------------------------------------------------------------------------


def referring(wanted: int) -> Story:
    """Make a scene of which so many takes are wanted, and one that shows it."""
    return Story([*takes(wanted), *story("b", references=("scene:a",))])


async def test_a_scene_is_shown_the_first_take_that_comes(api: ImageApi, tmp_path: Path) -> None:
    """It waits neither for one that failed nor for one that is still made."""
    settings = settings_for(api, capacity=1)
    api.script(REFUSED, scene="a")
    ran = await run_stage(settings, referring(3), tmp_path)

    assert (ran.codes("a"), ran.codes("b")) == (["rejected", "made", "made"], ["made"])
    shown: Any = ran.outcomes["b"].generation_params["references"]
    assert [one["sha256"] for one in shown] == [ran.takes["a", 2].sha256]


async def test_a_scene_waits_while_a_take_of_what_it_shows_may_come(
    api: ImageApi, tmp_path: Path
) -> None:
    """One has failed, and the others are still made."""
    gate, ran = Gate(), Ran()
    api.script(REFUSED, *(picture(number, gate=gate) for number in (1, 2)), scene="a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            partial(run_stage, settings_for(api, capacity=3), referring(3), tmp_path, into=ran)
        )
        while not ran.named("scene.failed"):
            await anyio.sleep(0.01)
        await anyio.sleep(0.05)  # in which it would be left out
        assert not ran.named("scene.skipped")
        gate.open()

    assert ran.codes("b") == ["made"]


async def test_a_scene_is_left_out_only_if_no_take_comes(api: ImageApi, tmp_path: Path) -> None:
    api.script(*[REFUSED] * 3, scene="a")
    ran = await run_stage(settings_for(api, capacity=1), referring(3), tmp_path)

    assert ran.codes("a") == ["rejected"] * 3
    assert ran.codes("b") == ["not_tried"]
    assert [one["waits_for"] for one in ran.named("scene.skipped")] == [["a"]]
