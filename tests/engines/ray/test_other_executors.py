"""An executor of a third party: the one that ``docs/ray.md`` shows, installed for real."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.installed import Environment, build_wheel
from tests.rules.repository import blocks, page, section

PART = section(page("ray.md"), "An executor of your own")
(THREAD,) = blocks(PART, "python")
(PROJECT,) = blocks(PART, "toml")
PAINTER = """
from stage3_plugin.testing.pngs import make_png


class Painter:
    def render(self, request):
        if request.prompt == "nothing":
            raise RuntimeError("out of paint")
        return make_png(request.prompt, request.width_px, request.height_px)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install the page's executor as a distribution, and a broken one beside it."""
    folder = tmp_path_factory.mktemp("executors")
    environment = Environment(folder / "venv")
    project = tomllib.loads(PROJECT)["project"]
    thread = build_wheel(
        folder,
        f"{project['name']} {project['version']}",
        modules={"thread_executor": THREAD},
        entry_points=project["entry-points"],
    )
    broken = build_wheel(
        folder,
        "broken-executor 0.1",
        modules={"broken_executor": "import a_library_that_is_not_there\n"},
        entry_points={"stage3.executors": {"broken": "broken_executor:Broken"}},
    )
    environment.install(thread, broken)
    return environment


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "painter.py").write_text(PAINTER, encoding="utf-8")
    story = [{"scene_id": f"scene_{word}", "prompt": word} for word in ("one", "two", "nothing")]
    (tmp_path / "story.json").write_text(json.dumps(story), encoding="utf-8")
    (tmp_path / "host.toml").write_text(
        '[plugin.stage3]\nprovider = "local"\nmodel_class = "painter:Painter"\nsize = "64x48"\n'
        'executor = { kind = "thread", nap_s = 0.01 }\n',
        encoding="utf-8",
    )
    return tmp_path


def test_it_runs_a_model_class(environment: Environment, project: Path) -> None:
    """Through the command line: pictures, and what the class cannot do."""
    environment.host_stub(project, "run", "story.json", code=1)
    manifest: dict[str, Any] = json.loads((project / "out" / "manifest.json").read_bytes())

    assert [entry["scene_id"] for entry in manifest["images"]] == ["scene_one", "scene_two"]
    (failed,) = manifest["failures"]
    assert failed["scene_id"] == "scene_nothing"
    assert "out of paint" in failed["message"]


def test_what_it_does_not_take_is_refused(environment: Environment, project: Path) -> None:
    """With the names of what it takes."""
    refused = environment.host_stub(
        project, "check", "--set=plugin.stage3.executor.pillow=1", code=2
    )

    assert "executor.pillow" in refused.stderr
    assert "'thread' takes nap_s" in refused.stderr


def test_a_word_that_no_executor_has_is_told_what_there_is(
    environment: Environment, project: Path
) -> None:
    """Also beside one that is broken, which is not imported for that."""
    meant = environment.host_stub(
        project, "check", "--set=plugin.stage3.executor.kind=thred", code=2
    )

    assert "did you mean 'thread'?" in meant.stderr
