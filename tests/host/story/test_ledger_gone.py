"""A story that knows of pictures which were paid for, beside a ledger that has never heard of them.

Somebody has removed ``.stage3``, or has copied a project without what begins with a dot.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fakes.image_api import ImageApi
from tests.later import not_yet, turned_green_by
from tests.projects import Project

pytestmark = pytest.mark.slow


@turned_green_by(3, "host, one book of a story", finding="a ledger that is gone")
def test_a_plan_says_that_what_it_buys_was_paid_for_already(
    tmp_path: Path, image_api: ImageApi
) -> None:
    """The pictures are there and chosen from: whoever reads the plan is told what is missing."""
    project = Project(tmp_path)
    project.scenes(2)
    project.config(image_api)
    assert project.run("run", "scenes.json").returncode == 0
    shutil.rmtree(tmp_path / ".stage3")
    plan = project.run("plan", "scenes.json")

    assert plan.returncode == 0, plan.stderr
    assert "0.10" in plan.stdout
    with not_yet("not a word of the ledger"):
        assert ".stage3" in plan.stdout + plan.stderr, f"not a word of the ledger: {plan.stdout}"
