"""A bill that no picture can have: counted and shown as it came, no price, put right by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.settings import Settings
from tests.doors import (
    Ran,
    Story,
    bills,
    counted,
    micro,
    only,
    painter,
    plan_of,
    purchases,
    run_stage,
    scenes,
    story,
)
from tests.fakes.behaviours import EmptyData
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.heavy import further
from tests.projects import Project

pytestmark = pytest.mark.anyio


def one_by_one(api: ImageApi, /, **more: Any) -> Settings:
    """Return settings that buy one picture after the other."""
    return painter(api, capacity=1, **more)


def warned(ran: Ran) -> list[str]:
    """Return what the run warned of."""
    return [event["message"] for event in ran.named("stage.warned")]


def stage3(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command for the state of a run."""
    program = "import sys; from stage3_plugin.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, *words, "--state-dir", str(folder / ".stage3")],
        check=False, capture_output=True, encoding="utf-8",
    )  # fmt: skip


@pytest.mark.parametrize("usd", [999_999, 5, 0.51])
async def test_an_absurd_bill_does_not_become_every_later_hold(
    image_api: ImageApi, tmp_path: Path, usd: float
) -> None:
    """Counted as it came, and said; the next run holds what the price table says."""
    image_api.script(bills(usd))
    settings = one_by_one(image_api, budget_usd="0.20")
    first = await run_stage(settings, scenes(2), tmp_path)
    image_api.always(bills(0.05))
    second = await run_stage(settings, scenes(3), tmp_path)

    assert only(tmp_path, "s01").cost_microusd == round(usd * 1_000_000)
    (warning,) = warned(first)
    assert "'s01' was billed" in warning
    assert "resolve" in warning
    assert "--cost USD" in warning
    assert first.ending is not None
    assert first.ending.stopped == "budget"
    assert "no picture costs that" in (first.ending.message or "")
    assert [second.code(f"s0{number}") for number in (1, 2, 3)] == ["made"] * 3
    assert {one.hold_microusd for one in purchases(tmp_path)} == {50_000}


@pytest.mark.parametrize("usd", [0.06, 0.5])
async def test_a_dear_bill_is_a_price_as_before(
    image_api: ImageApi, tmp_path: Path, usd: float
) -> None:
    """Tables are guesswork: within reason the highest bill is what the next run holds."""
    image_api.script(bills(usd))
    first = await run_stage(one_by_one(image_api, budget_usd="0.70"), scenes(2), tmp_path)
    image_api.always(bills(0.05))
    await run_stage(one_by_one(image_api, budget_usd="0.70"), scenes(2), tmp_path)

    assert warned(first) == []
    holds = [one.hold_microusd for one in purchases(tmp_path)]
    assert holds == [50_000, round(usd * 1_000_000)]


async def test_a_dear_bill_of_what_shows_a_picture_is_no_price_of_what_shows_none(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Each has its own highest bill, in one run as well, and its plan knows both."""
    (tmp_path / "mira.png").write_bytes(make_png("Mira", 64, 64))
    shows, plain = story("s01", "s03", references=("mira.png",)).scenes, story("s02").scenes
    image_api.script(bills(0.06), scene="s01")
    image_api.always(bills(0.05))
    settings = one_by_one(image_api, budget_usd="0.70")
    await run_stage(settings, Story(shows[:1]), tmp_path, scenes_dir=tmp_path)
    both = Story([*plain, *shows[1:]])
    planned = await plan_of(settings, both, tmp_path, scenes_dir=tmp_path)
    await run_stage(settings, both, tmp_path, scenes_dir=tmp_path)

    assert [one.hold_microusd for one in purchases(tmp_path)] == [50_000, 50_000, 60_000]
    assert micro(planned.cost_high_usd) == 110_000


async def test_a_plan_reckons_without_an_absurd_bill(image_api: ImageApi, tmp_path: Path) -> None:
    """As the run does."""
    image_api.script(bills(999_999))
    await run_stage(one_by_one(image_api), scenes(1), tmp_path)
    plan = await plan_of(one_by_one(image_api, budget_usd="1"), scenes(3), tmp_path)

    assert (plan.make, micro(plan.cost_high_usd), plan.refused) == (2, 100_000, 0)


async def test_a_person_puts_it_right_and_every_cap_has_room_again(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """The counters follow in the same step, and the figure that was there is kept."""
    image_api.script(bills(999_999))
    settings = one_by_one(image_api, total_usd="1.00", daily_usd="1.00")
    await run_stage(settings, scenes(2), tmp_path)
    blocked = await run_stage(settings, scenes(2), tmp_path)
    listed = stage3(tmp_path, "attempts")
    put_right = stage3(tmp_path, "resolve", only(tmp_path, "s01").attempt_id, "--cost", "0.04")
    image_api.always(bills(0.05))
    ran = await run_stage(settings, scenes(2), tmp_path)

    failure = blocked.outcomes["s02"].failure
    assert failure is not None
    assert "one bill can hardly be right" in failure.message
    assert only(tmp_path, "s01").attempt_id[:8] in listed.stdout
    assert put_right.returncode == 0, put_right.stderr
    assert ran.code("s02") == "made"
    assert counted(tmp_path) == 90_000
    [correction] = only(tmp_path, "s01").said["corrections"]
    assert (correction["old_usd"], correction["new_usd"]) == ("999999.00", "0.04")
    assert stage3(tmp_path, "verify").returncode == 0


async def test_an_absurd_bill_that_a_person_confirms_is_a_price(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Saying the same figure again is how it is confirmed."""
    image_api.script(bills(2))
    await run_stage(one_by_one(image_api), scenes(1), tmp_path)
    confirmed = stage3(tmp_path, "resolve", only(tmp_path, "s01").attempt_id, "--cost", "2")
    plan = await plan_of(one_by_one(image_api, budget_usd="9"), scenes(2), tmp_path)

    assert confirmed.returncode == 0, confirmed.stderr
    assert micro(plan.cost_high_usd) == 2_000_000


async def test_a_picture_that_never_came_has_a_bill_to_be_put_right_too(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Paid for nothing, and absurdly."""
    image_api.script(EmptyData())
    await run_stage(one_by_one(image_api, api="chat"), scenes(1), tmp_path)
    bad = only(tmp_path, "s01")
    put_right = stage3(tmp_path, "resolve", bad.attempt_id, "--cost", "0.01")

    assert bad.state is State.PAID_BAD
    assert put_right.returncode == 0, put_right.stderr
    assert counted(tmp_path) == 10_000


@pytest.mark.parametrize("optimised", [[], ["-O"], ["-OO"]])
def test_caps_hold_whatever_python_leaves_out(tmp_path: Path, optimised: list[str]) -> None:
    """No assert does work: the first hold of a run and a day is counted under -O as well."""
    script = (
        "import sys\n"
        "from datetime import date, datetime, UTC\n"
        "from pathlib import Path\n"
        "from stage3_plugin.ledger.book import Ledger\n"
        "from stage3_plugin.domain.endpoint import Endpoint\n"
        "from stage3_plugin.domain.purchase import Limits, NewPurchase, Held, Settlement\n"
        "from stage3_plugin.domain.states import State\n"
        "day, now = date(2026, 11, 25), datetime(2026, 11, 25, tzinfo=UTC)\n"
        "limits = Limits(total_microusd=100, budget_microusd=100, daily_microusd=100)\n"
        "with Ledger.open(Path(sys.argv[1])) as ledger:\n"
        "    for number in range(4):\n"
        "        new = NewPurchase(attempt_id=f'{number:032x}', scene_key=str(number),\n"
        "            scene_id=str(number), run_id='run', endpoint=Endpoint(provider='openai'),\n"
        "            size='1x1', quality='low', is_local=False, hold_microusd=40,\n"
        "            content_key='c', subject_key=str(number))\n"
        "        with ledger.transaction():\n"
        "            held = ledger.hold(new, limits, day=day, now=now)\n"
        "        print(isinstance(held, Held), end=' ')\n"
        "    with ledger.transaction():\n"
        "        bad = Settlement(state=State.PAID_BAD, cost_microusd=60, basis='reported')\n"
        "        ledger.settle('0' * 32, bad, now=now)\n"
        "    print(ledger.problems())\n"
    )
    ran = subprocess.run(
        [sys.executable, *optimised, "-c", script, str(tmp_path / "ledger.db")],
        check=True, capture_output=True, encoding="utf-8",
    )  # fmt: skip

    assert ran.stdout == "True True False False []\n"


@pytest.mark.parametrize("cap", ["total_usd", *further(["budget_usd", "daily_usd"])])
def test_a_command_without_asserts_passes_no_cap(
    tmp_path: Path, image_api: ImageApi, monkeypatch: pytest.MonkeyPatch, cap: str
) -> None:
    """The whole way, at once and again: as many as the cap has room for, and the ledger adds up."""
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    image_api.always(bills(0.05))
    project = Project(tmp_path)
    project.scenes(5)
    project.config(image_api, **{cap: "0.10"})
    first = project.run("run", "scenes.json")
    project.run("run", "scenes.json")

    room = 4 if cap == "budget_usd" else 2  # that one is of a single run
    assert first.returncode == 3, first.stderr
    assert image_api.received() == room
    assert len(project.purchases()) == room
