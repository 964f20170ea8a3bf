"""A plan of what goes in batches, and the run after it: the same figures, whatever lies behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stage3_plugin.domain.job import NewJob
from stage3_plugin.engine.build import open_stage
from stage3_plugin.ledger.owners import Owners
from stage3_plugin.policy.plan import Plan
from tests.fakes.image_api import ImageApi
from tests.stage3.buying import scenes
from tests.stage3.running import settings_for
from tests.stage3.test_recovery import Dead

pytestmark = pytest.mark.anyio

TOKEN = "f" * 32
JOB = NewJob(
    token=TOKEN,
    account="an account",
    endpoint="/v1/images/generations",
    lane="batch",
    input_file="file-1",
)


async def planned(dead: Dead, count: int) -> Plan:
    async with open_stage(dead.settings, dead.folder) as stage:
        return await stage.plan(scenes(count))


@pytest.mark.parametrize(
    "left, state",
    [
        ("nothing", "held"),
        ("half an answer", "held"),
        ("the create's whole answer", "pending"),
        ("a note that it was never sent", "make"),
    ],
)
async def test_what_a_dead_run_left_of_a_batch_is_foreseen(
    image_api: ImageApi, tmp_path: Path, left: str, state: str
) -> None:
    """What lies in the batch's folder speaks for all lines; none has a folder of its own yet."""
    dead = Dead(tmp_path, settings_for(image_api, lane="batch"))
    story = scenes(3)
    for line in range(2):
        one = replace(story, scenes=story.scenes[line:])
        dead.leaves(story=one, job=JOB, line=line)
    if left in {"half an answer", "the create's whole answer"}:
        dead.has_received(TOKEN, {"id": "batch_1"}, complete=left != "half an answer")
    if left == "a note that it was never sent":
        Owners(tmp_path / ".stage3").note_unsent(dead.run_id, TOKEN)

    plan = await planned(dead, 3)

    figures = {"make": plan.make, "held": plan.held, "pending": plan.pending}
    expected = {"make": 1, "held": 0, "pending": 0}
    expected[state] += 2
    assert figures == expected
    assert image_api.received() == 0
