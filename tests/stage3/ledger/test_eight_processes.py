"""Eight real processes of sixteen tasks, one ledger, and a cap that fits 30 of 400 scenes."""

import json
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

from stage3_plugin.domain.states import State
from tests.stage3.ledger import databases

PROCESSES = 8
SCENES = 400
SOLD = 30
PRICE_MICROUSD = 40_000
DAY = date(2026, 6, 1)

BUYER = f"""
import json, random, sys, uuid
from datetime import UTC, date, datetime
from pathlib import Path
import anyio
from stage3_plugin.ledger.commits import GroupCommit
from stage3_plugin.ledger.place import place_of
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.purchase import Held, Limits, NewPurchase
from stage3_plugin.domain.purchase import OverCap, Settlement
from stage3_plugin.domain.states import State

url, project, folder, run_id, backend = sys.argv[1:]
place = place_of(url or None, project, Path(folder))
day, now = date({DAY.year}, {DAY.month}, {DAY.day}), datetime(2026, 6, 1, 12, tzinfo=UTC)
limits = Limits(total_microusd={SOLD * PRICE_MICROUSD})
scenes = random.Random(run_id).sample(range({SCENES}), {SCENES})
told = {{"sold": 0, "over": 0, "taken": 0}}

def new(scene):
    return NewPurchase(
        attempt_id=uuid.uuid4().hex, scene_key=f"{{scene:064x}}", scene_id=f"scene_{{scene}}",
        run_id=run_id, endpoint=Endpoint(provider="openai", model="m"), size="64x64",
        quality="low", is_local=False, hold_microusd={PRICE_MICROUSD},
        content_key="c" * 64, subject_key=f"{{scene:064x}}")

paid = Settlement(
    state=State.PAID, cost_microusd={PRICE_MICROUSD}, basis="flat", took_s=1.0,
    picture=Picture(
        sha256="0" * 64, media_type="image/png", width_px=64, height_px=64, size_bytes=1))

async def buy(commit):
    while scenes:
        wanted = new(scenes.pop())
        held = await commit(
            lambda ledger: ledger.hold(wanted, limits, day=day, now=now))
        if isinstance(held, Held):
            await anyio.sleep(0)
            await commit(lambda ledger: ledger.settle(held.attempt_id, paid, now=now))
            told["sold"] += 1
        else:
            told["over" if isinstance(held, OverCap) else "taken"] += 1

async def main():
    async with GroupCommit(place) as commit:
        print("ready", flush=True)
        sys.stdin.readline()
        async with anyio.create_task_group() as group:
            for _ in range(16):
                group.start_soon(buy, commit)
    print(json.dumps(told), flush=True)

anyio.run(main, backend=backend)
"""


def buyers(folder: Path) -> list[dict[str, int]]:
    """Let all processes go at once, and return what each of them was told."""
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                BUYER,
                *databases.named(folder),
                f"run{number}",
                ("asyncio", "trio")[number % 2],
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        for number in range(PROCESSES)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [process.returncode for process in processes] == [0] * PROCESSES
    return told


def test_eight_processes_sell_exactly_what_the_cap_allows(tmp_path: Path) -> None:
    """Neither one too many nor one too few, no scene twice, and every counter adds up."""
    place = databases.place_in(tmp_path)
    place.open().close()

    told = buyers(tmp_path)
    with place.open() as ledger:
        rows = list(ledger.purchases())
        problems = ledger.problems()
        sums = [
            ledger.sums(run_id=f"run{number}", provider="openai", day=DAY)
            for number in range(PROCESSES)
        ]

    assert sum(one["sold"] for one in told) == SOLD
    assert [sum(one.values()) for one in told] == [SCENES] * PROCESSES
    assert Counter(row.state for row in rows) == {State.PAID: SOLD}
    assert len({row.new.scene_key for row in rows}) == SOLD
    assert problems == []
    assert {one.total_microusd for one in sums} == {SOLD * PRICE_MICROUSD}
    assert {one.day_microusd for one in sums} == {SOLD * PRICE_MICROUSD}
    assert [one.run_microusd for one in sums] == [one["sold"] * PRICE_MICROUSD for one in told]
