"""What the version before this one has left is taken over: found, taken in, or asked about."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from stage3_plugin.cli import main
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import LIVE, OPEN, State
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.settings import Settings
from tests.fakes.behaviours import Ok
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.wire import Exchange
from tests.heavy import further, some_of
from tests.hostile.earlier import Earlier, names, unpacked
from tests.hostile.test_stopped import started
from tests.stage3.running import run_stage, story

pytestmark = pytest.mark.anyio

NAMES = names()


@dataclass(frozen=True, slots=True)
class Picture:
    """Return the picture that an address of the earlier service led to."""

    async def answer(self, exchange: Exchange) -> None:
        picture = make_png(exchange.asked.path, 32, 32)
        await exchange.reply(200, picture, {"Content-Type": "image/png"})


def rows_of(earlier: Earlier, aside: Path) -> dict[str, Purchase]:
    """Read its ledger in a copy, so that the log is left for whoever comes next; by attempt."""
    shutil.copytree(earlier.state, aside)
    ledger = Ledger.open_to_read(aside / "ledger.db")
    if ledger is None:
        return {}
    with ledger:
        return {one.new.attempt_id: one for one in ledger.purchases()}


def has_whole_answer(earlier: Earlier, attempt_id: str) -> bool:
    answer = earlier.state / "spool" / attempt_id / "answer"
    return answer.is_file() and answer.read_bytes().endswith(b"\nend\n")


async def taken_over(api: ImageApi, earlier: Earlier) -> dict[str, str]:
    """Run its story by this version; tell how each scene ended, and what was found as found."""
    settings = Settings.model_validate(earlier.settings)
    ran = await run_stage(settings, story(*earlier.scenes), earlier.folder)
    found = {one for one, outcome in ran.outcomes.items() if outcome.reused}
    return {one: "reused" if one in found else ran.code(one) for one in ran.outcomes}


def test_all_steps_are_among_them() -> None:
    """Paid, unknown, half received, open, and what a person had decided."""
    assert len(NAMES) > 100
    assert {"let-go", "cut-off", "all-paid"} <= set(NAMES)
    assert {"head-after-1", "first-piece-after-1", "end-after-1", "settle-commit-after-1"} <= set(
        NAMES
    )


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("name", some_of(NAMES, every=8))
async def test_a_folder_of_the_earlier_version_starts_and_nothing_is_bought_again(
    name: str, image_api: ImageApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever its run was killed, or whatever a person had decided in it."""
    image_api.always(Ok(usage=None))
    image_api.visit_always(Picture())
    earlier = unpacked(name, tmp_path, image_api.base_url)
    before = rows_of(earlier, tmp_path / "aside")
    live = {one.new.scene_id: one for one in before.values() if one.state in LIVE}
    had_left = {scene for scene, times in earlier.received.items() if times}
    assert had_left <= {one.new.scene_id for one in before.values()}
    whole = {one for one, row in live.items() if has_whole_answer(earlier, row.new.attempt_id)}

    codes = await taken_over(image_api, earlier)
    sent = {scene for scene in earlier.scenes if image_api.received(f"{scene}:")}
    shown = json_of(capsys, "attempts", earlier)
    again = await taken_over(image_api, earlier)

    assert sent == set(earlier.scenes) - live.keys()
    for scene, row in live.items():
        if row.state is State.PAID or (row.state in OPEN and scene in whole):
            assert codes[scene] == "reused"
        else:
            assert codes[scene] == "unknown"
    unknown = {scene for scene, code in codes.items() if code == "unknown"}
    asked = {one["scene_id"] for one in shown["attempts"] if one["situation"] == "undecided"}
    assert asked == unknown
    assert set(again.values()) <= {"reused", "unknown"}
    assert image_api.received() == len(sent)
    assert main(["verify", "--state-dir", str(earlier.state)]) == 0


def json_of(capsys: pytest.CaptureFixture[str], command: str, earlier: Earlier) -> dict[str, Any]:
    capsys.readouterr()
    main([command, "--json", "--state-dir", str(earlier.state)])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "name", ["settle-after-1", *further(["all-paid", "request-sent-before-2", "let-go"])]
)
async def test_four_runs_at_once_take_over_one_folder(
    name: str, image_api: ImageApi, tmp_path: Path
) -> None:
    """Whichever brings the ledger up to date, all four start, and each picture is bought once."""
    image_api.always(Ok(usage=None))
    earlier = unpacked(name, tmp_path, image_api.base_url)
    before = rows_of(earlier, tmp_path / "aside")
    live = {one.new.scene_id for one in before.values() if one.state in LIVE}
    order = {
        "backend": "asyncio",
        "folder": str(earlier.folder),
        "scenes": list(earlier.scenes),
        "settings": earlier.settings,
    }
    four = [started(order) for _ in range(4)]
    ended = [await anyio.to_thread.run_sync(one.communicate) for one in four]

    assert [one.returncode for one in four] == [0] * 4
    told = [json.loads(output) for output, _ in ended]
    codes = {code for one in told for code in one["codes"].values()}
    assert codes <= {"made", "unknown", "busy"}, [one["messages"] for one in told]
    for scene in earlier.scenes:
        assert image_api.received(f"{scene}:") == (scene not in live)
