"""A file of results with hundreds of megabytes, taken in by the real command: memory stays flat."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.testing.batch_plans import Batched, Line
from stage3_plugin.testing.image_api import KEY, ImageApi
from tests.benchmarks.watched_command import watched
from tests.projects import Project

MOST_MB = 150
PICTURE_BYTES = 3 << 20


@pytest.mark.heavy
def test_two_hundred_pictures_of_three_megabytes_come_in_one_file_of_results(
    tmp_path: Path,
) -> None:
    """The whole process, from its imports to its end, has less than 150 MB at any moment."""
    free = shutil.disk_usage(tmp_path).free
    if free < 6 << 30:
        pytest.skip("there is no room for the pictures, their copies and the file they come in")
    project = Project(tmp_path)
    with ImageApi() as api:
        project.scenes(200)
        project.config(
            api, provider="openai", model="gpt-image-2.5-flare", size="1024x1024", lane="batch"
        )
        api.batches.line = Line(heavy=True)
        api.batches.plan = Batched(polls=9)
        environ = {"LOOPBACK_KEY": KEY}
        first = watched(tmp_path, "run", "scenes.json", codes=(5,), environ=environ)
        api.batches.all[0].looks = 99
        second = watched(tmp_path, "run", "scenes.json", environ=environ)

    purchases = project.purchases()
    assert {one.state for one in purchases} == {State.PAID}
    assert len(purchases) == 200
    sizes = [path.stat().st_size for path in (tmp_path / "out" / "images").iterdir()]
    assert len(sizes) == 200
    assert min(sizes) > PICTURE_BYTES
    assert first.peak_mb < MOST_MB
    assert second.peak_mb < MOST_MB
