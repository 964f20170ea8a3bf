"""What is bought and not here yet: a plan counts it apart, and a run that waits for it says so."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fakes.behaviours import Ok, ServerError
from tests.fakes.image_api import ImageApi
from tests.projects import Project

BY_ADDRESS = Ok(url="own", usage={"cost": 0.03})


def test_a_plan_counts_a_picture_that_is_awaited_apart(image_api: ImageApi, tmp_path: Path) -> None:
    """It is neither there nor to be bought; the run asks for it again, and pays nothing."""
    image_api.always(Ok(usage={"cost": 0.03}))
    image_api.script(BY_ADDRESS, scene="s02")
    image_api.visit_always(ServerError(503))
    project = Project(tmp_path)
    project.scenes(2)
    project.config(image_api, deadline_s=1)
    first = project.run("run", "scenes.json")
    project.scenes(3)

    planned = project.run("plan", "scenes.json")
    told = json.loads(project.run("plan", "scenes.json", "--json").stdout)
    image_api.visit_always(None)
    done = project.run("run", "scenes.json")
    after = json.loads(project.run("plan", "scenes.json", "--json").stdout)

    assert first.returncode == 5, first.stderr
    assert planned.returncode == 0, planned.stderr
    assert "  1 to make\n  1 reused" in planned.stdout
    assert "  1 pending, bought and not here yet: asked for again, for nothing\n" in planned.stdout
    counts = {name: told[name] for name in ("make", "reused", "pending", "held")}
    assert counts == {"make": 1, "reused": 1, "pending": 1, "held": 0}
    assert told["cost_high_usd"] == "0.05"
    assert done.returncode == 0, done.stderr
    assert image_api.received() == 3
    assert (after["reused"], after["pending"]) == (3, 0)


def test_a_plan_is_refused_where_the_run_would_be(tmp_path: Path) -> None:
    """A ledger that was deleted beside its pictures: code 2, with the run's own words."""
    project = Project(tmp_path)
    project.scenes(2)
    (tmp_path / "host.toml").write_text('[plugin.stage3]\nsize = "64x64"\n', encoding="utf-8")
    made = project.run("run", "scenes.json")
    for file in (tmp_path / ".stage3").glob("ledger.db*"):
        file.unlink()

    planned = project.run("plan", "scenes.json")
    ran = project.run("run", "scenes.json")

    assert made.returncode == 0, made.stderr
    assert (planned.returncode, ran.returncode) == (2, 2)
    assert planned.stderr == ran.stderr
    assert "--accept-folder" in planned.stderr
