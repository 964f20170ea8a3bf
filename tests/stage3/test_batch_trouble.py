"""Runs in batches that are stopped, cut short or met by trouble, each at its moments."""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from host_stub.contract import Scene
from stage3_plugin.domain.made_from import WISH
from stage3_plugin.domain.states import State
from stage3_plugin.engine.asked import request_for
from stage3_plugin.engine.build import open_stage
from stage3_plugin.files import new_file
from stage3_plugin.policy.batching import Load
from stage3_plugin.providers import gemini_batch, openai_batch
from stage3_plugin.purchase.checkout import Checkout
from stage3_plugin.settings import Settings
from stage3_plugin.testing.batch_plans import Batched, CutFile, Line, LineEnds
from stage3_plugin.testing.batches import Batch, BatchKind, BatchLine, body_of
from stage3_plugin.testing.behaviours import Behaviour, Gate, Hang, Json, Page
from stage3_plugin.testing.dialects.openai_batches import OpenAIBatches
from stage3_plugin.testing.image_api import ImageApi
from stage3_plugin.testing.result_files import ResultFile, ResultLine
from stage3_plugin.testing.wire import Asked
from tests.doors import Ran, Story, counted, purchases, run_stage, scenes, states, story
from tests.fakes.pngs import make_png
from tests.places import wait
from tests.stage3 import buying, running
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


def met_at(api: ImageApi, kind: str, answer: Behaviour | None = None) -> threading.Event:
    """Return what is set once a page of a kind is asked for, which is answered so."""
    is_there = threading.Event()

    def met(_asked: Asked, page: str) -> Behaviour | None:
        if page != kind:
            return None
        is_there.set()
        return answer

    api.trouble = met
    return is_there


async def until(is_there: threading.Event) -> None:
    """Wait for what happens in the server's thread."""
    with anyio.fail_after(60):
        while not is_there.is_set():
            await anyio.sleep(0.01)


async def stopped_at(
    is_there: threading.Event, settings: Settings, folder: Path, gate: Gate | None = None
) -> Ran:
    """Run a story that is told to stop at a moment."""
    ran, stopping = Ran(), anyio.Event()

    async def run() -> None:
        await run_stage(settings, scenes(3), folder, stopping=stopping, into=ran)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await until(is_there)
        tasks.cancel_scope.deadline = anyio.current_time() + 60  # far less than what is waited for
        stopping.set()
        if gate is not None:
            gate.open()
    assert not tasks.cancel_scope.cancelled_caught
    return ran


def _patient(api: ImageApi) -> Settings:
    return shop(api, drain_s=500, timeout_s=500)


async def test_a_run_that_is_told_to_stop_while_it_uploads_holds_nothing(
    api: ImageApi, tmp_path: Path
) -> None:
    """The upload is cut short at once: it is free, and would be in vain."""
    ran = await stopped_at(met_at(api, "upload", Hang()), _patient(api), tmp_path)

    assert codes(ran) == {"not_tried": 3}
    assert (purchases(tmp_path), left_in_spool(tmp_path), api.batches.all) == ([], [], [])


async def test_a_create_without_an_answer_is_found_by_the_next_run(
    api: ImageApi, tmp_path: Path
) -> None:
    """The first waits as long as it may: all of its lines are in doubt. None is bought twice."""
    gate = Gate()
    api.batches.script(Batched(polls=0, gate=gate))
    first = await stopped_at(met_at(api, "create"), shop(api), tmp_path)
    gate.open()

    assert codes(first) == {"cancelled": 3}
    assert states(tmp_path) == [State.UNKNOWN] * 3

    second = await run_stage(shop(api), scenes(3), tmp_path)

    assert codes(second) == {"made": 3}
    assert (sizes(api), states(tmp_path)) == ([3], [State.PAID] * 3)


@ONE_LOOP
async def test_a_create_whose_answer_is_lost_is_found_by_its_own_run(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is decided of its lines before its provider was asked for it."""
    wait(monkeypatch, "engine.pending", BATCH_LOOKS_S=(0.01, 0.02))
    api.batches.script(Batched(lost="begun", polls=0))

    ran = await run_stage(shop(api), scenes(3), tmp_path)

    assert (codes(ran), states(tmp_path)) == ({"made": 3}, [State.PAID] * 3)
    assert (sizes(api), api.batches.billed()) == ([3], 3)


@pytest.mark.parametrize("at", ["upload", "create"])
async def test_a_run_that_is_cancelled_ends_every_scene(
    api: ImageApi, tmp_path: Path, at: str
) -> None:
    """From outside, as by a host that has no more patience; the next run knows what was sent."""
    gate = Gate()
    api.batches.script(Batched(polls=0, gate=gate))
    is_there = met_at(api, at, Hang() if at == "upload" else None)
    ran = Ran()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_run, shop(api), tmp_path, ran)
        await until(is_there)
        tasks.cancel_scope.cancel()
    gate.open()

    assert codes(ran) == {"cancelled": 3} if at == "create" else {"not_tried": 3}
    api.trouble = lambda _asked, _kind: None
    second = await run_stage(shop(api), scenes(3), tmp_path)
    assert codes(second) == {"made": 3}
    assert (sizes(api), api.batches.billed()) == ([3], 3)


async def _run(settings: Settings, folder: Path, into: Ran) -> None:
    await run_stage(settings, scenes(3), folder, into=into)


@ONE_LOOP
async def test_a_create_that_never_arrived_stays_in_doubt_until_that_is_sure(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All lines are unknown, and no run buys them again meanwhile."""
    wait(monkeypatch, "purchase.lost", PATIENCE_S=0.1, APART_S=0.01)
    api.batches.script(Batched(lost="not begun"))

    first = await run_stage(shop(api), scenes(3), tmp_path)
    second = await run_stage(shop(api), scenes(3), tmp_path)

    assert codes(first) == codes(second) == {"unknown": 3}
    assert (states(tmp_path), api.batches.all) == ([State.UNKNOWN] * 3, [])


@ONE_LOOP
@pytest.mark.parametrize("vendor", [shop, gemini])
@pytest.mark.parametrize("slow_then", [timedelta(0), timedelta(minutes=45)], ids=["slow", "set"])
async def test_a_clock_that_is_slow_or_set_right_buys_no_batch_twice(
    api: ImageApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    vendor: Callable[..., Settings],
    slow_then: timedelta,
) -> None:
    """It was begun, and is not listed yet: how much time has passed no two clocks can tell."""
    wait(monkeypatch, "purchase.lost", PATIENCE_S=0.05, APART_S=0.05, AGAIN_S=0.05)
    api.batches.script(Batched(lost="begun", unlisted=999))
    slow = timedelta(minutes=-45)

    await run_stage(vendor(api), scenes(3), tmp_path, now=lambda: datetime.now(UTC) + slow)
    then = slow + slow_then
    await run_stage(vendor(api), scenes(3), tmp_path, now=lambda: datetime.now(UTC) + then)

    assert (states(tmp_path), len(api.batches.all)) == ([State.UNKNOWN] * 3, 1)


@ONE_LOOP
async def test_what_the_queue_has_no_room_for_waits_for_a_later_run(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends as pending, and nothing is held for it; once the others are made it is bought."""
    settings, gate = gemini(api), Gate()
    most = 2 * await tokens_of(settings, tmp_path)
    terms = replace(gemini_batch.TERMS, most_queued_tokens=most, most_lines=1)
    monkeypatch.setattr(gemini_batch.GeminiBatch, "terms", terms)
    api.batches.script(Batched(polls=0, until=gate), times=2)

    first = await run_stage(settings, scenes(3), tmp_path)

    assert codes(first) == {"pending": 3}
    assert "takes no more into batches" in str(first.outcomes["s03"].failure)
    assert (sizes(api), len(purchases(tmp_path))) == ([1, 1], 2)
    gate.open()
    second = await run_stage(settings, scenes(3), tmp_path)
    assert (codes(second), sizes(api)) == ({"made": 3}, [1, 1, 1])


async def tokens_of(settings: Settings, folder: Path) -> int:
    """Return how many tokens a scene's line may have."""
    async with open_stage(settings, folder) as stage:
        (scene,) = running.story("s01")
        request = request_for(scene, settings)
        (backend,) = stage.backends
        batching = backend.sender().batching_at(backend.route.endpoint_of(request.model))
        assert batching is not None
        measured = batching.measured(request)
        assert isinstance(measured, Load)
        return measured.tokens


@ONE_LOOP
async def test_a_line_too_large_for_any_batch_is_rejected_by_itself(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        openai_batch.OpenAIBatch, "terms", replace(openai_batch.TERMS, most_bytes=10_000)
    )
    long = Scene(scene_id="s02", prompt=f"s02: {'a hill ' * 2000}")
    told = Story([*scenes(1), long])

    ran = await run_stage(shop(api), told, tmp_path)

    assert {one: ran.code(one) for one in ran.outcomes} == {"s01": "made", "s02": "rejected"}
    assert "a batch takes" in str(ran.outcomes["s02"].failure)


@ONE_LOOP
async def test_a_picture_that_lines_show_is_uploaded_once(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many lines and batches of a run show it."""
    monkeypatch.setattr(
        openai_batch.OpenAIBatch, "terms", replace(openai_batch.TERMS, most_lines=2)
    )
    (tmp_path / "mira.png").write_bytes(make_png("Mira", 64, 64))
    told = scenes(4, references=("mira.png",))

    ran = await run_stage(shop(api), told, tmp_path, scenes_dir=tmp_path)

    assert codes(ran) == {"made": 4}
    pictures = [one for one in api.batches.files.values() if one.media_type.startswith("image/")]
    assert (len(pictures), sizes(api)) == (1, [2, 2])


async def test_gemini_makes_batches_too(api: ImageApi, tmp_path: Path) -> None:
    """A story with a picture that it shows, left and taken in by a later run."""
    (tmp_path / "mira.png").write_bytes(make_png("Mira", 64, 64))
    told = Story([*story("s01", references=("mira.png",)), *story("s02", "s03")])
    gate = Gate()
    api.batches.script(Batched(polls=0, until=gate))

    first = await run_stage(gemini(api), told, tmp_path, scenes_dir=tmp_path)
    gate.open()
    second = await run_stage(gemini(api), told, tmp_path, scenes_dir=tmp_path)

    assert (codes(first), codes(second)) == ({"pending": 3}, {"made": 3})
    assert (sizes(api), counted(tmp_path)) == ([3], billed_microusd(api))


@ONE_LOOP
async def test_the_ledger_knows_what_a_picture_was_made_from_that_a_later_run_took_in(
    api: ImageApi, tmp_path: Path
) -> None:
    """As of one that was bought by itself."""
    gate = Gate()
    api.batches.script(Batched(polls=0, until=gate))
    await run_stage(shop(api), scenes(2), tmp_path)
    gate.open()

    await run_stage(shop(api), scenes(2), tmp_path)

    assert all(WISH in purchase.details for purchase in buying.purchases(tmp_path))


@ONE_LOOP
async def test_a_line_refused_before_this_run_is_tried_with_the_next_words(
    api: ImageApi, tmp_path: Path
) -> None:
    """By the run that hears of it, in a batch of its own."""
    gate = Gate()
    api.batches.script(Batched(polls=0, until=gate))
    api.batches.script_line(Line(ends="refused"), scene="s01: a harbour")
    told = Story([Scene(scene_id="s01", prompt="s01: a harbour", if_refused=("s01: a quay",))])
    await run_stage(shop(api), told, tmp_path)
    gate.open()

    second = await run_stage(shop(api), told, tmp_path)

    assert codes(second) == {"made": 1}
    assert (sizes(api), api.batches.received("s01: a quay")) == ([1, 1], 1)


async def test_a_line_that_was_taken_in_before_its_scene_came_ends_it(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal is heard once: the run that took it in ends the scene, and buys nothing for it."""
    gate, look = Gate(), Checkout.look
    api.batches.script(Batched(polls=0, until=gate))
    api.batches.script_line(Line(ends="refused"), scene="s01")
    await run_stage(shop(api), scenes(2), tmp_path)
    gate.open()

    async def look_late(*args: Any, **named: Any) -> Any:
        while State.ACCEPTED in states(tmp_path):  # which recovery brings to its end beside it
            await anyio.sleep(0.01)
        return await look(*args, **named)

    monkeypatch.setattr(Checkout, "look", look_late)
    with anyio.fail_after(60):
        second = await run_stage(shop(api), scenes(2), tmp_path)

    assert {one: second.code(one) for one in second.outcomes} == {"s01": "refused", "s02": "made"}
    assert sizes(api) == [2]


async def test_results_that_are_cut_are_asked_for_again(api: ImageApi, tmp_path: Path) -> None:
    """In the same run, as long as that may help soon."""
    gate = Gate()
    api.batches.script(Batched(polls=0, until=gate))
    await run_stage(shop(api), scenes(4), tmp_path)
    gate.open()
    api.batches.meet(CutFile(at=-100), at="results", times=2)

    ran = await run_stage(shop(api), scenes(4), tmp_path)

    assert codes(ran) == {"made": 4}
    assert (sizes(api), counted(tmp_path)) == ([4], billed_microusd(api))


SAID_OF_A_LINE: dict[str, tuple[int, str, State]] = {
    "made": (3, "made", State.PAID),
    "empty": (2, "no_picture", State.PAID_BAD),
    "server_error": (2, "unknown", State.UNKNOWN),
    "refused": (1, "refused", State.REFUSED),
    "batch_expired": (1, "", State.REFUSED),
}
"""What a line may say, by what goes before what; how its scene ends then, and its purchase."""


def line_that_says(line: BatchLine, what: str) -> ResultLine:
    """Return a line of a file of results."""
    said: dict[str, object] = {"id": "batch_req_1", "custom_id": line.key}
    if what in {"server_error", "batch_expired"}:
        error = {"code": what, "message": "It did not."}
        return ResultLine({**said, "response": None, "error": error})
    status, body, picture = body_of(replace(line, plan=Line(ends=cast("LineEnds", what))))
    return ResultLine({**said, "response": {"status_code": status, "body": body}}, picture)


@pytest.mark.parametrize("files", [("output", "output"), ("output", "error")], ids="-".join)
async def test_of_two_lines_with_one_key_the_one_counts_that_may_have_been_billed(
    files: tuple[str, str], api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture before all, whichever comes first, in one file or in two."""
    pairs = {
        f"{first} then {second}": (first, second)
        for first, second in permutations(SAID_OF_A_LINE, 2)
        if SAID_OF_A_LINE[first][0] != SAID_OF_A_LINE[second][0]
    }

    def twice(_: OpenAIBatches, batch: Batch, name: str) -> ResultFile:
        said = [(line, pairs[line.prompt.partition(":")[0]]) for line in batch.lines]
        return ResultFile(
            [
                line_that_says(line, both[place])
                for place, file in enumerate(files)
                for line, both in said
                if name.endswith(file)
            ]
        )

    monkeypatch.setattr(OpenAIBatches, "results", twice)
    ran = await run_stage(shop(api), story(*pairs), tmp_path)

    told = {one: (ran.code(one), *states(tmp_path, one)) for one in pairs}
    assert told == {
        one: max(SAID_OF_A_LINE[what] for what in both)[1:] for one, both in pairs.items()
    }


@ONE_LOOP
async def test_uploads_in_trouble_end_their_scenes_for_nothing(
    api: ImageApi, tmp_path: Path
) -> None:
    """A key that is not taken stops the run, as anywhere else."""
    api.batches.meet(Page(401, billed=False), at="upload", times=50)

    ran = await run_stage(shop(api), scenes(4), tmp_path)

    assert ran.ending is not None
    assert (ran.ending.stopped, codes(ran)) == ("credentials", {"credentials": 4})
    assert (purchases(tmp_path), left_in_spool(tmp_path)) == ([], [])


@ONE_LOOP
async def test_what_comes_to_nothing_with_its_batch_goes_into_one_more(
    api: ImageApi, tmp_path: Path
) -> None:
    """And no further in one run: each takes an upload, and its time."""
    api.batches.plan = Batched(polls=0, ends="cancelled", done=0)

    ran = await run_stage(shop(api), scenes(2), tmp_path)

    assert codes(ran) == {"unavailable": 2}
    assert sizes(api) == [2, 2]
    assert counted(tmp_path) == 0


@ONE_LOOP
@pytest.mark.parametrize("says_so", ["in the batch", "to the create"])
async def test_a_queue_that_is_full_is_left_to_a_later_run(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says_so: str
) -> None:
    """Whatever is uploaded for it meanwhile is in vain."""
    wait(monkeypatch, "engine.pending", BATCH_LOOKS_S=tuple(look * 0.2 for look in range(300)))
    if says_so == "in the batch":
        api.batches.plan = Batched(polls=0, ends="failed", why="token_limit_exceeded")
    else:
        api.batches.meet(Page(429, billed=False), at="create", times=50)

    ran = await run_stage(shop(api), scenes(2), tmp_path)

    assert codes(ran) == {"pending": 2}
    assert "takes no more into batches" in str(ran.outcomes["s01"].failure)
    files = [one for one in api.batches.files.values() if "json" in one.media_type]
    assert len(files) == (1 if says_so == "in the batch" else 3)
    assert counted(tmp_path) == 0


async def test_two_runs_at_once_buy_each_scene_once(api: ImageApi, tmp_path: Path) -> None:
    """What one of them has in its batch the other waits for, or leaves."""
    api.batches.plan = LATER
    runs = [Ran(), Ran()]

    async with anyio.create_task_group() as tasks:
        for ran in runs:
            tasks.start_soon(_run, shop(api), tmp_path, ran)

    assert api.batches.received() == 3
    assert all(set(codes(ran)) <= {"pending", "busy"} for ran in runs)
    assert Counter(states(tmp_path)) == {State.ACCEPTED: 3}


@pytest.mark.parametrize("at", ["upload", "create"])
async def test_a_key_that_has_run_out_is_had_anew_for_the_whole_batch(
    api: ImageApi, tmp_path: Path, at: BatchKind
) -> None:
    """Once, and before anything is made; what was held for the first create is free."""
    turned_away = {"error": {"code": "invalid_api_key", "message": "Incorrect API key"}}
    api.batches.meet(Json(turned_away, 401), at=at)
    another = shop(api, api_key="sk-second-4567890123456789")
    api.key = None
    asked = list[str]()

    def anew() -> Settings:
        asked.append(at)
        return another

    ran = await run_stage(shop(api), scenes(3), tmp_path, anew=anew)

    assert (codes(ran), asked, sizes(api)) == ({"made": 3}, [at], [3])
    retried = {one["cause"] for one in ran.named("scene.retried")}
    assert retried == ({"credentials"} if at == "create" else set())


async def test_what_is_held_as_the_run_stops_is_given_back_unsent(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The create does not leave, and all lines are void."""
    stopping, hold = anyio.Event(), Checkout.hold

    async def held_late(*args: Any, **named: Any) -> Any:
        held = await hold(*args, **named)
        stopping.set()
        await anyio.wait_all_tasks_blocked()
        return held

    monkeypatch.setattr(Checkout, "hold", held_late)

    ran = await run_stage(shop(api), scenes(3), tmp_path, stopping=stopping)

    assert codes(ran) == {"not_tried": 3}
    assert (states(tmp_path), api.batches.all) == ([State.VOID] * 3, [])
    assert left_in_spool(tmp_path) == []


async def test_results_that_the_disk_has_no_room_for_are_said_to_stay_where_they_are(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of them is kept here, and nothing is lost."""
    real, is_full = new_file.write_whole, True

    def write(descriptor: int, data: bytes) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if is_full and path.name.startswith("results-"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor, data)

    monkeypatch.setattr(new_file, "write_whole", write)
    first = await run_stage(shop(api), scenes(2), tmp_path)
    is_full = False
    second = await run_stage(shop(api), scenes(2), tmp_path)

    assert codes(first) == {"storage": 2}
    assert "; its provider keeps the results, and the next" in str(first.outcomes["s01"].failure)
    assert (codes(second), sizes(api)) == ({"made": 2}, [2])
