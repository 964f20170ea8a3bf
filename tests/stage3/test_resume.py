"""The same command again: what was bought is found, and what is missing is made."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from host_stub.contract import Scene
from stage3_plugin.domain.money import FREE
from stage3_plugin.settings import Settings
from tests.doors import painter
from tests.fakes.behaviours import BadBase64, CutPng, Ok
from tests.fakes.image_api import ImageApi
from tests.stage3.buying import purchases, scenes, states
from tests.stage3.running import Ran, Story, run_stage

pytestmark = pytest.mark.anyio

ONE_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""For what an event loop has no part in."""


def images(folder: Path) -> dict[str, bytes]:
    """Return what lies where results go."""
    return {path.name: path.read_bytes() for path in (folder / "out" / "images").iterdir()}


def identities(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """Return what changes when a file is written or replaced."""
    return [(path.stat().st_ino, path.stat().st_ctime_ns) for path in paths]


def reused(ran: Ran) -> list[bool]:
    """Return whether each scene was found, in the order of their ends."""
    return [outcome.reused for outcome in ran.outcomes.values()]


async def test_the_same_command_again_sends_nothing(image_api: ImageApi, tmp_path: Path) -> None:
    """Every outcome is the one of before, found, and without a cost or an attempt."""
    image_api.script(Ok(url="own"), scene="s02")
    first = await run_stage(painter(image_api), scenes(5), tmp_path)
    before = images(tmp_path)
    second = await run_stage(painter(image_api), scenes(5), tmp_path)

    assert image_api.received() == 5
    assert images(tmp_path) == before
    assert len(purchases(tmp_path)) == 5
    assert len(second.named("scene.reused")) == 5
    assert second.named("scene.started") == []
    for scene_id, outcome in second.outcomes.items():
        assert outcome.reused
        assert (outcome.cost, outcome.attempts, outcome.duration_s) == (FREE.told, 0, 0.0)
        assert outcome.made_at is not None
        assert outcome.bought_for == first.outcomes[scene_id].cost
        assert (
            outcome.model_copy(
                update={
                    "reused": False,
                    "made_at": None,
                    "bought_for": None,
                    "cost": first.outcomes[scene_id].cost,
                    "attempts": first.outcomes[scene_id].attempts,
                    "duration_s": first.outcomes[scene_id].duration_s,
                }
            )
            == first.outcomes[scene_id]
        )


async def test_a_picture_that_was_billed_and_is_none_is_bought_anew(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Both bills are counted: the provider took money twice, and we know of both."""
    image_api.script(BadBase64(), scene="s01")
    image_api.script(CutPng(), scene="s02")
    first = await run_stage(painter(image_api), scenes(2), tmp_path)
    second = await run_stage(painter(image_api), scenes(2), tmp_path)

    assert "made" not in {first.code("s01"), first.code("s02")}
    assert {second.code("s01"), second.code("s02")} == {"made"}
    assert image_api.billed() == 4
    assert sorted(states(tmp_path)) == ["PAID", "PAID", "PAID_BAD", "PAID_BAD"]


@pytest.mark.parametrize("bytes_more", [0, 7])
async def test_an_edited_picture_is_replaced(
    image_api: ImageApi, tmp_path: Path, bytes_more: int
) -> None:
    """The results are those of the story, also if an editor kept the length."""
    await run_stage(painter(image_api), scenes(1), tmp_path)
    path = tmp_path / "out" / "images" / "s01.png"
    bought = path.read_bytes()
    path.write_bytes(b"x" * (len(bought) + bytes_more))
    await run_stage(painter(image_api), scenes(1), tmp_path)

    assert path.read_bytes() == bought
    assert image_api.received() == 1


async def test_a_picture_nobody_touched_is_not_written_again(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Ten thousand of them would take their time."""
    await run_stage(painter(image_api), scenes(2), tmp_path)
    paths = [tmp_path / "out" / "images" / name for name in ("s01.png", "s02.png")]
    before = identities(paths)
    await run_stage(painter(image_api), scenes(2), tmp_path)

    assert identities(paths) == before


async def test_a_picture_missing_from_the_store_is_told_and_not_bought_again(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """It was paid for; that it is gone is for a person to know."""
    await run_stage(painter(image_api), scenes(1), tmp_path)
    shutil.rmtree(tmp_path / ".stage3" / "objects")
    shutil.rmtree(tmp_path / "out")
    ran = await run_stage(painter(image_api), scenes(1), tmp_path)
    failure = ran.outcomes["s01"].failure

    assert failure is not None
    assert failure.code == "storage"
    assert purchases(tmp_path)[0].new.attempt_id[:8] in failure.message
    assert image_api.received() == 1


# Pictures drawn on this machine ------------------------------------------------------------------


def drawn(**more: Any) -> Settings:
    return Settings(size="64x64", capacity=2, **more)


ANN = Scene(
    scene_id="s1",
    prompt="Medium shot of Ann Bell in a library",
    characters=("c1",),
    extra={"character_sheets": [{"id": "c1", "name": "Ann Bell", "description": "red hair"}]},
)


@ONE_LOOP
@pytest.mark.parametrize(
    "scene, more",
    [
        (ANN, {"caption": False}),
        (
            ANN.model_copy(
                update={
                    "extra": {
                        "character_sheets": [
                            {"id": "c1", "name": "Ann Bell", "description": "black hair, a coat"}
                        ]
                    }
                }
            ),
            {},
        ),
        (ANN.model_copy(update={"characters": ()}), {}),
    ],
    ids=["caption", "character sheet", "characters"],
)
async def test_whatever_is_drawn_into_a_picture_decides_it(
    tmp_path: Path, scene: Scene, more: dict[str, Any]
) -> None:
    """The caption, and what is known of who is in it, though no provider would be told."""
    await run_stage(drawn(), Story([ANN]), tmp_path)
    ran = await run_stage(drawn(**more), Story([scene]), tmp_path)

    assert reused(ran) == [False]
