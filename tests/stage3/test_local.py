"""The offline renderer through the whole stage: real worker processes, real files, no cost."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from host_stub.contract import Scene
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict
from stage3_plugin.renderers.previz import Previz
from stage3_plugin.settings import Settings
from tests.stage3.running import Ran, Story, run_stage

pytestmark = pytest.mark.anyio


def scenes(count: int) -> Story:
    return Story(
        [
            Scene(
                scene_id=f"scene_{number:03}",
                prompt="Medium shot of an old man in a library at night.",
                negative_prompt="crowds" if number == 1 else None,
                characters=("char_001",),
            )
            for number in range(1, count + 1)
        ]
    )


def small(**more: Any) -> Settings:
    return Settings(size="96x64", **more)


async def raising(_path: Path) -> None:
    raise ValueError("no such brush")


async def making_nothing(_path: Path) -> None:
    """Return as if all were well."""


async def making_a_folder(path: Path) -> None:
    await anyio.Path(path).mkdir()


async def making_a_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    "drawing, problem",
    [
        (raising, "ValueError: no such brush"),
        (making_nothing, "its renderer ended without a picture"),
        (making_a_folder, "its renderer ended without a picture"),
        (making_a_pipe, "its renderer ended without a picture"),
    ],
)
async def test_a_renderer_that_fails_harms_its_scene_alone(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    drawing: Callable[[Path], Awaitable[None]],
    problem: str,
) -> None:
    """However it fails: the other scenes are drawn, and the run ends in order."""
    right = Previz.render

    async def render(self: Previz, request: PictureRequest, path: Path) -> Verdict | None:
        if request.scene_id == "scene_002":
            await drawing(path)
            return None
        return await right(self, request, path)

    monkeypatch.setattr(Previz, "render", render)
    ran = await run_stage(small(backoff_base_s=0.01, backoff_max_s=0.01), scenes(3), tmp_path)
    failure = ran.outcomes["scene_002"].failure

    assert [ran.code(f"scene_00{n}") for n in (1, 3)] == ["made"] * 2
    assert failure is not None
    assert failure.code == "unreadable"
    assert f"scene 'scene_002' could not be drawn: {problem}" in failure.message


async def test_a_wish_it_cannot_honour_is_told(tmp_path: Path) -> None:
    """By the scene that has it, and by no other."""
    ran = await run_stage(small(background="transparent"), scenes(2), tmp_path)

    assert ran.outcomes["scene_001"].dropped == ("negative_prompt", "background")
    assert ran.outcomes["scene_002"].dropped == ("background",)


async def test_the_format_that_is_asked_for_is_drawn(tmp_path: Path) -> None:
    """As a provider would send it; nothing about it is left out."""
    ran = await run_stage(small(output_format="webp"), scenes(2), tmp_path)

    assert ran.outcomes["scene_002"].media_type == "image/webp"
    assert ran.outcomes["scene_002"].dropped == ()


async def test_cancelling_leaves_no_half_file(tmp_path: Path) -> None:
    """Scenes in work end as cancelled, and cost nothing."""
    ran = Ran()
    with anyio.move_on_after(30) as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_after_one, ran, scope)
            await run_stage(small(capacity=2), scenes(200), tmp_path, into=ran)
    codes = [ran.code(scene_id) for scene_id in ran.outcomes]
    made = {path.name for path in (tmp_path / "out" / "images").iterdir()}

    assert {"made"} < set(codes) <= {"made", "cancelled", "not_tried"}
    assert all(outcome.cost.usd == 0 for outcome in ran.outcomes.values())
    assert made == {f"{one}.png" for one in ran.outcomes if ran.code(one) == "made"}


async def _cancel_after_one(ran: Ran, scope: anyio.CancelScope) -> None:
    while not ran.outcomes:
        await anyio.sleep(0.01)
    scope.cancel()
