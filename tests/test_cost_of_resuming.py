"""What it costs to find that a story is finished already: in calls, which are the same everywhere.

Seconds are measured beside peers by ``tests/benchmarks/resume.py``. A call is a Python function
that begins, in any thread of the command; a scene more is what a longer story has in addition.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.image_api import ImageApi
from tests.later import not_yet, turned_green_by
from tests.projects import Project, ended

FEW, MORE = 8, 24
MOST_CALLS = 420
"""Of a scene that is there already: a sixth of those that took 5 ms."""
COUNTING = """
import itertools, os, sys, threading
calls = itertools.count()

def count(frame, event, _):
    if event == "call":
        next(calls)

from host_stub.cli import main
threading.setprofile(count)
sys.setprofile(count)
code = main()
sys.setprofile(None)
with open(os.environ["CALLS"], "w", encoding="utf-8") as file:
    file.write(str(next(calls)))
sys.exit(code)
"""


def calls_to_resume(folder: Path, api: ImageApi, scenes: int) -> int:
    """Make a story, run it again, and return how many calls that took."""
    project = Project(folder)
    project.scenes(scenes)
    project.config(api)
    assert project.run("run", "scenes.json").returncode == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALLS", str(folder / "calls"))
        patch.setattr(project, "_host", ["-c", COUNTING])
        again = ended(project.start("run", "scenes.json"))
    assert again.returncode == 0, again.stderr
    assert api.received() == scenes
    return int((folder / "calls").read_text(encoding="utf-8"))


@pytest.mark.slow
@turned_green_by(1, "the cost of a scene: library, engine and the host's run", finding="X2")
def test_a_scene_that_is_there_already_costs_few_calls(tmp_path: Path) -> None:
    """A story of a thousand scenes is taken up in a second, and not in seven."""
    with ImageApi() as api:
        few = calls_to_resume(tmp_path / "few", api, FEW)
    with ImageApi() as api:
        more = calls_to_resume(tmp_path / "more", api, MORE)
    calls = (more - few) / (MORE - FEW)

    assert calls > 10
    with not_yet("calls a scene"):
        assert calls <= MOST_CALLS, f"{calls:,.0f} calls a scene"
