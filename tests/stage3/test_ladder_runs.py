"""The ladder through the public door: two servers, and what each was asked, billed and made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from host_stub.contract import Scene, StageError
from stage3_plugin.settings import Settings
from stage3_plugin.testing.queues import Queued
from tests.doors import Ran, Story, micro, plan_of, purchases, run_stage, states, story
from tests.fakes.behaviours import (
    BadBase64,
    CutPng,
    Gate,
    Json,
    Ok,
    ResetAfterRead,
    ServerError,
)
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.plain import Plain, PlainDialect
from tests.fakes.pngs import make_png
from tests.places import hurry, offer

pytestmark = pytest.mark.anyio

ONE_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio"])
SECOND_KEY = "sk-second-91c3e7a2b5d84f60"


def _no(status: int, **metadata: Any) -> dict[str, Any]:
    return {"error": {"code": status, "message": "Input was flagged.", "metadata": metadata}}


REFUSED = Json(_no(403, reasons=["violence"]), status=403)
BILLED_REFUSAL = Json(
    _no(403, reasons=["violence"]) | {"usage": {"cost": 0.05}}, status=403, billed=True
)
OUT_OF_MONEY = Json({"error": {"code": 402, "message": "Insufficient credits"}}, status=402)


def _refused_at(stage: str) -> Json:
    details = {"moderation_stage": stage, "categories": ["violence"]}
    error = {
        "code": "moderation_blocked",
        "type": "image_generation_user_error",
        "message": "Your request was rejected by the safety system.",
        "moderation_details": details,
    }
    return Json({"error": error}, status=400)


@pytest.fixture
def second() -> Iterator[ImageApi]:
    """Run another service, with a key of its own."""
    with ImageApi(key=SECOND_KEY) as api:
        yield api


def ladder(first: ImageApi, *others: ImageApi, **more: Any) -> Settings:
    """Return settings whose pictures are tried at one server after the other."""
    fallback = [
        {
            "provider": "openrouter",
            "model": f"route/{number}",
            "base_url": other.base_url,
            "api_key": other.key,
            "price_usd": "0.07",
        }
        for number, other in enumerate(others, start=2)
    ]
    values: dict[str, Any] = {
        "provider": "openrouter",
        "model": "route/1",
        "base_url": first.base_url,
        "api_key": KEY,
        "price_usd": "0.05",
        "size": "64x64",
        "backoff_base_s": 0.01,
        "backoff_max_s": 0.02,
        "max_attempts": 2,
        "timeout_s": 20,
        "fallback": fallback,
    }
    return Settings.model_validate(values | more)


def steps(ran: Ran, scene_id: str = "s1") -> list[tuple[str | None, int, int, Decimal | None, str]]:
    """Return how a scene was tried: model, prompt, requests, cost, and what came of it."""
    return [
        (
            step.model,
            step.prompt,
            step.attempts,
            step.cost.usd,
            "made" if step.failure is None else step.failure.code,
        )
        for step in ran.outcomes[scene_id].steps
    ]


def params(ran: Ran, scene_id: str = "s1") -> Mapping[str, object]:
    """Return what a scene's picture was made with."""
    return ran.outcomes[scene_id].generation_params


async def test_a_refused_picture_is_made_by_the_next_route_and_found_again(
    image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """In one slot, with both steps and their costs said; the same command again buys nothing."""
    image_api.script(REFUSED, scene="s1")
    ran = await run_stage(ladder(image_api, second), story("s1", "s2"), tmp_path)
    again = await run_stage(ladder(image_api, second), story("s1", "s2"), tmp_path)

    assert (ran.code("s1"), ran.code("s2")) == ("made", "made")
    assert steps(ran)[0] == ("route/1", 0, 1, Decimal(0), "refused")
    assert steps(ran)[1][:3] + steps(ran)[1][4:] == ("route/2", 0, 1, "made")
    assert sum(cost or 0 for *_, cost, _ in steps(ran)) == ran.outcomes["s1"].cost.usd
    assert (params(ran)["model"], params(ran)["route"]) == ("route/2", 2)
    assert (params(ran, "s2")["route"], steps(ran, "s2")) == (1, [])
    assert (image_api.received(), second.received()) == (2, 1)
    first, other = purchases(tmp_path, "s1")
    assert [first.state, other.state] == ["REFUSED", "PAID"]
    assert [again.outcomes[one].reused for one in ("s1", "s2")] == [True, True]
    assert params(again)["model"] == "route/2"
    events = [(one["event"], one["attempt"]) for one in ran.events if one.get("scene_id") == "s1"]
    assert events == [
        ("scene.started", 1), ("scene.retried", 1), ("scene.started", 2), ("scene.finished", 2)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "behaviour, requests",
    [
        (REFUSED, 1),
        (Json({"error": {"code": 400, "message": "bad size"}}, status=400), 1),
        (ServerError(500), 2),
        (OUT_OF_MONEY, 1),
        (Json({"error": {"code": 401, "message": "No auth"}}, status=401), 1),
    ],
)
@ONE_LOOP
async def test_whatever_took_no_money_leads_on_once_its_own_retries_are_over(
    behaviour: Any, requests: int, image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """A refusal, a bad request, trouble to the last try, an empty account, a wrong key."""
    image_api.always(behaviour)
    ran = await run_stage(ladder(image_api, second), story("s1"), tmp_path)

    assert ran.code("s1") == "made"
    assert (image_api.received(), second.received()) == (requests, 1)
    assert states(tmp_path)[-2:] == ["REFUSED", "PAID"]


@pytest.mark.parametrize(
    "behaviour, state",
    [
        (ResetAfterRead(), "UNKNOWN"),
        (BadBase64(), "PAID_BAD"),
        (CutPng(), "PAID_BAD"),
        (BILLED_REFUSAL, "PAID_BAD"),
        (Json({"error": {"code": 502, "message": "x"}}, status=502), "UNKNOWN"),
    ],
)
@ONE_LOOP
async def test_nothing_is_tried_after_what_may_have_been_billed(
    behaviour: Any, state: str, image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """Not in this run, and, where it is unknown, not in a later one."""
    image_api.always(behaviour)
    ran = await run_stage(ladder(image_api, second), story("s1"), tmp_path)
    if state == "UNKNOWN":
        await run_stage(ladder(image_api, second), story("s1"), tmp_path)
        turned = ladder(second, image_api, api_key=SECOND_KEY)
        await run_stage(turned.model_copy(update={"fallback": ()}), story("s1"), tmp_path)

    assert ran.code("s1") != "made"
    assert states(tmp_path) == [state]
    assert (image_api.received(), second.received()) == (1, 0)


async def test_a_run_beside_it_steps_past_nothing_that_is_in_flight(
    image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """While one run waits at the second route, another one sends nothing, at either."""
    gate = Gate()
    image_api.script(REFUSED, scene="s1")
    second.script(Ok(gate=gate), scene="s1")
    ran = Ran()
    async with anyio.create_task_group() as both:

        async def other() -> None:
            while not second.in_flight:
                await anyio.sleep(0.01)
            settings = ladder(image_api, second, timeout_s=0.5)
            await run_stage(settings, story("s1"), tmp_path, into=ran)
            gate.open()

        both.start_soon(other)
        await run_stage(ladder(image_api, second), story("s1"), tmp_path)

    assert ran.code("s1") == "busy"
    assert (image_api.received(), second.received()) == (1, 1)
    assert states(tmp_path) == ["REFUSED", "PAID"]


@ONE_LOOP
async def test_a_billed_refusal_leads_on_where_the_settings_say_so_and_never_to_its_own_route(
    image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """In the same run, and in a later one, which begins behind what was paid for."""
    image_api.always(BILLED_REFUSAL)
    second.always(REFUSED)
    settings = ladder(image_api, second, after_billed_refusal=True)
    ran = await run_stage(settings, story("s1"), tmp_path)
    second.always(Ok())
    later = await run_stage(settings, story("s1"), tmp_path)

    assert steps(ran) == [
        ("route/1", 0, 1, Decimal("0.05"), "refused"),
        ("route/2", 0, 1, Decimal(0), "refused"),
    ]
    assert later.code("s1") == "made"
    assert [step.model for step in later.outcomes["s1"].steps] == ["route/2"]
    assert (image_api.received(), second.received()) == (1, 2)
    assert states(tmp_path) == ["PAID_BAD", "REFUSED", "PAID"]


@ONE_LOOP
@pytest.mark.parametrize("own", [None, False, True])
@pytest.mark.parametrize("setting", [None, False, True])
async def test_what_a_route_says_itself_of_a_billed_refusal_goes_before_the_setting(
    image_api: ImageApi, second: ImageApi, tmp_path: Path, *, setting: bool | None, own: bool | None
) -> None:
    """For the way to it, yes as well as no; where neither says anything it is no."""
    image_api.always(BILLED_REFUSAL)
    values = ladder(image_api, second).model_dump(exclude_unset=True)
    (fallback,) = values["fallback"]
    settings = ladder(
        image_api,
        **({} if setting is None else {"after_billed_refusal": setting}),
        fallback=[{**fallback, **({} if own is None else {"after_billed_refusal": own})}],
    )
    await run_stage(settings, story("s1"), tmp_path)

    leads_on = bool(setting) if own is None else own
    assert (image_api.received(), second.received()) == (1, int(leads_on))
    assert len(purchases(tmp_path)) == 1 + leads_on


OF_A_ROUTE: dict[str, tuple[object, object]] = {
    "size": ("64x64", "32x32"),
    "quality": ("low", "high"),
    "output_format": ("jpeg", "webp"),
    "background": ("opaque", "transparent"),
    "negative_prompt": ("append", "drop"),
    "style_tags": ("drop", "append"),
}
"""What a setting is, and what a route of its own says instead."""


@ONE_LOOP
@pytest.mark.parametrize("name", OF_A_ROUTE)
async def test_what_a_route_says_itself_goes_before_the_setting_there_and_nowhere_else(
    name: str, image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """What it is sent is what that would be as the setting; where it says nothing, the setting."""
    image_api.always(REFUSED)
    first, other = (
        {"provider": "openai", "model": "gpt-image-2", "base_url": api.base_url, "api_key": api.key}
        for api in (image_api, second)
    )
    wishes: dict[str, Any] = {"negative_prompt": "rain", "style_tags": ("ink",)}
    asked = Story([Scene(scene_id="s1", prompt="s1: a harbour", **wishes)])
    of_all, own = ({name: value} for value in OF_A_ROUTE[name])
    for number, settings in enumerate(
        [
            ladder(image_api, **first, **of_all, fallback=[{**other, **own}]),
            ladder(second, **other, **own),
            ladder(image_api, **first, **of_all, fallback=[other]),
            ladder(second, **other, **of_all),
        ]
    ):
        await run_stage(settings, asked, tmp_path / str(number))

    at_first, (_, theirs, _, alike) = (
        [one.document for one in api.asked()] for api in (image_api, second)
    )
    assert at_first == [alike, alike]
    assert [one.document for one in second.asked()] == [theirs, theirs, alike, alike]
    assert theirs != alike


@ONE_LOOP
async def test_what_was_billed_and_is_no_refusal_leads_nowhere_whatever_the_settings_say(
    image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """An unreadable picture, or half of one, may be our own fault; a person has to see it."""
    image_api.script(BadBase64(), scene="s1")
    image_api.script(CutPng(), scene="s2")
    settings = ladder(image_api, second, after_billed_refusal=True)
    await run_stage(settings, story("s1", "s2"), tmp_path)

    assert (image_api.received(), second.received()) == (2, 0)


@ONE_LOOP
async def test_the_caps_hold_for_every_step(
    image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """Each holds its own price: what was billed for nothing at one is missing at the next."""
    image_api.always(BILLED_REFUSAL)
    settings = ladder(image_api, second, after_billed_refusal=True, budget_usd="0.11")
    ran = await run_stage(settings, story("s1"), tmp_path)

    assert ran.code("s1") == "budget"
    assert (image_api.received(), second.received()) == (1, 0)
    assert ran.ending is not None
    assert ran.ending.stopped == "budget"


@ONE_LOOP
async def test_what_is_true_of_all_scenes_closes_a_route_and_not_the_run(
    image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """An empty account is asked once; every scene after that is held there, voided and not sent."""
    image_api.always(OUT_OF_MONEY)
    settings = ladder(image_api, second, capacity=1)
    ran = await run_stage(settings, story("s1", "s2", "s3"), tmp_path)

    assert [ran.code(one) for one in ("s1", "s2", "s3")] == ["made"] * 3
    assert (image_api.received(), second.received()) == (1, 3)
    assert states(tmp_path, "s2") == ["VOID", "PAID"]
    assert [one[2] for one in steps(ran, "s2")] == [0, 1]
    (warning,) = ran.named("stage.warned")
    assert "route/1 is not asked any more" in warning["message"]
    image_api.always(OUT_OF_MONEY)
    second.always(OUT_OF_MONEY)
    stopped = await run_stage(settings, story("s4", "s5"), tmp_path)
    assert [stopped.code(one) for one in ("s4", "s5")] == ["out_of_money", "not_tried"]


@ONE_LOOP
async def test_other_words_are_tried_at_every_route_before_the_next_words(
    image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """As the scene lists them and as they are written; the one that made it is found again."""
    scene = Scene(scene_id="s1", prompt="first words", if_refused=("second words", "third words"))
    image_api.always(REFUSED)
    second.script(REFUSED, scene="first words")
    second.script(Ok(), scene="second words")
    ran = await run_stage(ladder(image_api, second), Story([scene]), tmp_path)
    again = await run_stage(ladder(image_api, second), Story([scene]), tmp_path)

    assert [one[:2] + one[4:] for one in steps(ran)] == [
        ("route/1", 0, "refused"), ("route/2", 0, "refused"),
        ("route/1", 1, "refused"), ("route/2", 1, "made"),
    ]  # fmt: skip
    assert [asked.prompt for asked in second.asked()] == ["first words", "second words"]
    assert params(ran)["prompt"] == "second words"
    assert again.outcomes["s1"].reused
    assert params(again)["prompt"] == "second words"


@ONE_LOOP
async def test_other_words_are_not_tried_by_a_later_run_where_a_refusal_was_paid_for(
    image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """The route that was paid for its refusal is closed to all words of the scene, in every run."""
    image_api.always(BILLED_REFUSAL)
    second.script(REFUSED, REFUSED, scene="first words")
    settings = ladder(image_api, second, after_billed_refusal=True)
    await run_stage(settings, Story([Scene(scene_id="s1", prompt="first words")]), tmp_path)
    worded = Scene(scene_id="s1", prompt="first words", if_refused=("other words",))
    later = await run_stage(settings, Story([worded]), tmp_path)

    assert [one[:2] + one[4:] for one in steps(later)] == [
        ("route/2", 0, "refused"), ("route/2", 1, "made"),
    ]  # fmt: skip
    assert image_api.received() == 1


@ONE_LOOP
async def test_other_words_work_with_one_route_and_help_nothing_but_a_refusal(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """A bad request would be bad in other words, too."""
    words = ("other words",)
    scenes = [
        Scene(scene_id="s1", prompt="s1", if_refused=words),
        Scene(scene_id="s2", prompt="s2", if_refused=words),
    ]
    image_api.script(REFUSED, scene="s1")
    image_api.script(Json({"error": {"code": 400, "message": "bad"}}, status=400), scene="s2")
    ran = await run_stage(ladder(image_api), Story(scenes), tmp_path)

    assert (ran.code("s1"), ran.code("s2")) == ("made", "rejected")
    assert image_api.received("other words") == 1


@ONE_LOOP
async def test_a_picture_refused_for_what_came_out_is_drawn_anew_if_nobody_set_a_seed(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """As often as the settings say, at no cost; with a set seed it would be the same again."""
    image_api.script(_refused_at("output"), times=2, scene="s1")
    image_api.script(_refused_at("output"), scene="s2")
    image_api.script(_refused_at("input"), scene="s3")
    scenes = [
        Scene(scene_id="s1", prompt="s1"),
        Scene(scene_id="s2", prompt="s2", seed=7),
        Scene(scene_id="s3", prompt="s3"),
    ]
    settings = ladder(image_api, seeds_after_refusal=2)
    ran = await run_stage(settings, Story(scenes), tmp_path)
    again = await run_stage(settings, Story(scenes[:1]), tmp_path)

    assert [ran.code(one) for one in ("s1", "s2", "s3")] == ["made", "refused", "refused"]
    first, *redrawn = (asked.document.get("seed") for asked in image_api.asked("s1"))
    assert first is None
    assert len({*redrawn} - {None}) == 2
    assert params(ran)["seed_drawn"] == str(redrawn[-1])
    assert (again.outcomes["s1"].reused, image_api.received("s1")) == (True, 3)
    failure = ran.outcomes["s2"].failure
    assert failure is not None
    assert "seed is set" in failure.message


@ONE_LOOP
async def test_another_model_in_the_settings_buys_anew_and_another_order_does_not(
    image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """Whoever makes the fallback the first choice has its pictures already."""
    await run_stage(ladder(image_api, second), story("s1"), tmp_path)
    back = {"provider": "openrouter", "model": "route/1", "base_url": image_api.base_url}
    turned = ladder(
        second,
        model="route/2",
        api_key=SECOND_KEY,
        price_usd="0.07",
        fallback=[back | {"api_key": KEY, "price_usd": "0.05"}],
    )
    same = await run_stage(turned, story("s1"), tmp_path)
    other = await run_stage(ladder(image_api, second, model="route/9"), story("s1"), tmp_path)

    assert same.outcomes["s1"].reused
    assert (other.code("s1"), other.outcomes["s1"].reused) == ("made", False)
    assert [row.model for row in purchases(tmp_path)] == ["route/1", "route/9"]


@ONE_LOOP
async def test_a_lost_request_is_sent_again_by_its_own_route(
    image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """Where the settings say so, once, and by a later run as well."""
    image_api.script(REFUSED, times=2)
    second.script(ResetAfterRead())
    await run_stage(ladder(image_api, second), story("s1"), tmp_path)
    ran = await run_stage(ladder(image_api, second, on_unknown="resend"), story("s1"), tmp_path)

    assert ran.code("s1") == "made"
    assert states(tmp_path) == ["REFUSED", "WROTE_OFF", "PAID"]
    assert (image_api.received(), second.received()) == (1, 2)


@ONE_LOOP
@pytest.mark.parametrize(
    "change, words",
    [
        ({"fallback": [{"provider": "previz"}]}, "fallback.0.provider"),
        ({"fallback": [{"provider": "openai", "model": "m"}]}, "fallback.0.api_key"),
        ({"fallback": [{"provider": "nobody", "model": "m"}]}, "fallback.0.provider"),
        ({"budget_usd": "1"}, "fallback.0.price_usd"),
        ({"price_usd": "0.04", "free": True}, "cost nothing"),
    ],
)
async def test_a_ladder_that_could_not_work_is_refused_before_anything_is_sent(
    change: dict[str, Any], words: str, image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """A storyboard, or what is free, would stand for what is paid; a price must be known."""
    is_free = change.pop("free", False)
    route = {
        "provider": "openrouter",
        "model": "a/nameless",
        "base_url": second.base_url,
        "price_usd": "0" if is_free else None,
    }
    settings = ladder(image_api, **({"fallback": [route]} | change))
    with pytest.raises(StageError) as refused:
        await run_stage(settings, story("s1"), tmp_path)

    assert words in str(refused.value)
    assert image_api.received() == 0


# Plans -------------------------------------------------------------------------------------------


@ONE_LOOP
async def test_a_plan_says_the_price_of_the_worst_way_and_of_each_step(
    image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """One request is billed at most, or one at each route where a billed refusal leads on."""
    other_words = Scene(scene_id="s2", prompt="s2", if_refused=("other words",))
    scenes = Story([Scene(scene_id="s1", prompt="s1"), other_words])
    plan = await plan_of(ladder(image_api, second), scenes, tmp_path)
    after = ladder(image_api, second, after_billed_refusal=True)

    steps = [(one.model, one.prompt, one.scenes, micro(one.cost_high_usd)) for one in plan.steps]
    assert steps == [
        ("route/1", 0, 2, 100_000), ("route/2", 0, 2, 140_000),
        ("route/1", 1, 1, 50_000), ("route/2", 1, 1, 70_000),
    ]  # fmt: skip
    assert (micro(plan.cost_high_usd), micro(plan.cost_worst_usd)) == (140_000, 360_000)
    assert micro((await plan_of(after, scenes, tmp_path)).cost_high_usd) == 240_000
    await run_stage(ladder(image_api, second), scenes, tmp_path)
    bought = await plan_of(ladder(second, image_api, model="route/1"), scenes, tmp_path)
    assert (bought.make, micro(bought.cost_worst_usd)) == (2, 360_000)
    found = await plan_of(ladder(image_api, second), scenes, tmp_path)
    assert (found.make, found.reused, found.steps, found.cost_worst_usd) == (0, 2, (), None)


@ONE_LOOP
async def test_a_route_that_takes_no_references_is_sent_none_and_the_plan_says_so(
    image_api: ImageApi, queue_api: ImageApi, tmp_path: Path
) -> None:
    """The picture is the same one that is wanted: one slot, and found again."""
    (tmp_path / "mira.png").write_bytes(make_png("mira", 64, 64))
    scenes = Story([Scene(scene_id="s1", prompt="s1", references=("mira.png",))])
    settings = ladder(image_api, fallback=[queue_at(queue_api)])
    plan = await plan_of(settings, scenes, tmp_path, scenes_dir=tmp_path)
    image_api.always(REFUSED)
    ran = await run_stage(settings, scenes, tmp_path, scenes_dir=tmp_path)
    again = await run_stage(settings, scenes, tmp_path, scenes_dir=tmp_path)

    assert [one.dropped for one in plan.steps] == [(), ("references",)]
    assert (ran.code("s1"), ran.outcomes["s1"].dropped) == ("made", ("references",))
    assert "data:image" in str(image_api.asked("s1")[0].document)
    assert "data:image" not in str(queue_api.asked("s1")[0].document)
    assert "references" not in params(ran)
    assert again.outcomes["s1"].reused


# Queues ------------------------------------------------------------------------------------------


@pytest.fixture
def queue_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ImageApi]:
    """Run a service with a queue, and a key of its own; it is asked a hundred times as often."""
    hurry(monkeypatch, 100, "policy.polling")
    offer(monkeypatch, "plain", Plain)
    with ImageApi(dialect=PlainDialect(), key=SECOND_KEY) as api:
        yield api


def queue_at(api: ImageApi) -> dict[str, Any]:
    return {
        "provider": "plain",
        "model": "q",
        "base_url": api.base_url,
        "api_key": SECOND_KEY,
        "price_usd": "0.05",
    }


async def test_a_job_that_is_refused_leads_on_like_an_answer(
    image_api: ImageApi, queue_api: ImageApi, tmp_path: Path
) -> None:
    """And one that was lost or is being made does not."""
    queue_api.script(Queued(ends="refused", polls=2), scene="s1")
    route = {"provider": "openrouter", "model": "route/2", "base_url": image_api.base_url}
    settings = ladder(
        image_api, **queue_at(queue_api), fallback=[route | {"api_key": KEY, "price_usd": "0.07"}]
    )
    ran = await run_stage(settings, story("s1"), tmp_path)

    assert ran.code("s1") == "made"
    assert states(tmp_path) == ["REFUSED", "PAID"]
    assert [step.provider for step in ran.outcomes["s1"].steps] == ["plain", "openrouter"]


@ONE_LOOP
async def test_a_job_of_a_further_route_is_asked_for_by_a_later_run_with_its_own_key(
    image_api: ImageApi, queue_api: ImageApi, tmp_path: Path
) -> None:
    """Nothing is sent meanwhile, at any route; its picture is the scene's."""
    image_api.always(REFUSED)
    queue_api.script(Queued(takes_s=1.0), scene="s1")
    settings = ladder(image_api, fallback=[queue_at(queue_api)], drain_s=0.05)
    first = await run_stage(settings, story("s1"), tmp_path, deadline_s=0.4)
    ran = await run_stage(settings, story("s1"), tmp_path)

    assert first.code("s1") == "pending"
    assert (ran.code("s1"), params(ran)["provider"]) == ("made", "plain")
    assert (image_api.received(), queue_api.received()) == (1, 1)
    assert states(tmp_path) == ["REFUSED", "PAID"]
