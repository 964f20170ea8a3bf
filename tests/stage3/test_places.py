"""Where a run puts its pictures if a host says so, and what an outcome says of its purchase."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from stage3_plugin.domain.states import State
from tests.doors import Ran, run_stage, settings_for, states, story
from tests.fakes.image_api import ImageApi

pytestmark = pytest.mark.anyio


@dataclass
class Host:
    """Says where pictures go: by their bytes, as the host of this repository does."""

    out: Path

    def __call__(
        self, scene_id: str, *, role: Literal["scene", "sheet"], sha256: str, media_type: str
    ) -> Path:
        extension = media_type.removeprefix("image/")
        return self.out / "takes" / f"{role}-{scene_id}" / f"{sha256[:12]}.{extension}"


@pytest.fixture
def run(image_api: ImageApi, tmp_path: Path) -> Callable[..., Any]:
    async def run(*scene_ids: str, **more: Any) -> Ran:
        place = Host(tmp_path / "out")
        settings = settings_for(image_api, **more)
        return await run_stage(settings, story(*scene_ids), tmp_path, place=place)

    return run


async def test_pictures_lie_where_the_host_says(run: Callable[..., Any], tmp_path: Path) -> None:
    """And nowhere else; a second run finds them there."""
    for ran in (await run("a", "b"), await run("a", "b")):
        for scene_id, outcome in ran.outcomes.items():
            sha256 = outcome.sha256
            path = tmp_path / "out" / "takes" / f"scene-{scene_id}" / f"{sha256[:12]}.png"

            assert outcome.image == path
    assert not (tmp_path / "out" / "images").exists()
    assert len([one for one in (tmp_path / "out").rglob("*") if one.is_file()]) == 2


async def test_no_link_on_the_way_leads_out_of_the_results(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    """Nothing is written behind it, whichever folder it stands for; what was paid for is kept."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "takes").symlink_to(elsewhere)
    ran = await run("a")

    assert ran.code("a") == "storage"
    assert list(elsewhere.rglob("*")) == []
    assert states(tmp_path) == [State.PAID]
