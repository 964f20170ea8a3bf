"""``provider = "local"`` through the command line: what takes more runs than others wait for."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path

import pytest
from PIL import Image

from stage3_plugin.domain.states import State
from tests.local_models import ModelProject
from tests.projects import ended, wait_until
from tests.rules.repository import blocks, page


@pytest.fixture
def project(tmp_path: Path, anyio_backend: str) -> ModelProject:
    """Make a project with a module of its own."""
    return ModelProject(tmp_path, backend=anyio_backend)


def test_another_edition_makes_every_picture_anew(tmp_path: Path) -> None:
    """And so do other arguments; where neither is another, all of them are there."""
    project = ModelProject(tmp_path)
    project.story(["paint"] * 3)
    project.local()
    project.run("run", "scenes.json")
    project.local(edition="2026-12")
    stale = json.loads(project.run("status", "--json").stdout)
    project.run("run", "scenes.json")
    project.local(edition="2026-12", model_args={"steps": 3})
    project.run("run", "scenes.json")
    project.local(edition="2026-12", model_args={"steps": 3}, executor={"replicas": 2})
    project.run("run", "scenes.json")

    assert {one["state"] for one in stale["scenes"]} == {"stale"}
    assert len(project.log("rendered")) == 9


def test_a_secret_is_neither_in_words_nor_in_last_words(tmp_path: Path) -> None:
    """Though the class has it and prints it: errors are shown, and go into the manifest."""
    project = ModelProject(tmp_path)
    project.environ = {"OWN_TOKEN": "a-token-of-ours-1234"}
    project.story(["tell", "say"])
    project.local(model_args={"token": {"env": "OWN_TOKEN"}})
    ran = project.run("run", "scenes.json")
    everything = [ran.stdout, ran.stderr] + [
        path.read_text("utf-8", "replace")
        for root in ("out", ".stage3")
        for path in (project.folder / root).rglob("*")
        if path.is_file()
    ]

    assert "my token is" in ran.stdout
    assert not [text for text in everything if "a-token-of-ours" in text]


@pytest.mark.parametrize(
    "model_class, words",
    [
        ("needing:Model", "needing:Model cannot be imported: ModuleNotFoundError"),
        ("my_models:Broken", "my_models:Broken cannot be made with no model_args: FileNotFound"),
        ("my_models:Idle", "my_models:Idle has no method render"),
    ],
)
def test_a_class_that_cannot_be_made_ends_the_run_with_one_error(
    tmp_path: Path, model_class: str, words: str
) -> None:
    """Not with one for every scene; the class and the setting are named, and nothing is lost."""
    project = ModelProject(tmp_path)
    (project.folder / "needing.py").write_text("import no_such_thing\nclass Model: ...\n", "utf-8")
    project.story(["paint"] * 40)
    project.local(model_class=model_class)
    ran = project.run("run", "scenes.json")
    codes = list(project.codes().values())
    project.local()
    mended = project.run("run", "scenes.json")

    assert ran.returncode == 3, ran.stderr
    assert f"setting 'model_class': {words}" in ran.stderr.splitlines()[-1]
    assert (codes.count("rejected"), codes.count("not_tried")) == (1, 39)
    assert mended.returncode == 0, mended.stderr
    assert project.ends_without_processes()


@pytest.mark.parametrize(
    "model_class, words",
    [
        ("my_models:Paniter", "did you mean 'Painter'?"),
        ("my_modles:Painter", "there is no module 'my_modles'"),
        ("my_models:function", "is a function, and no class"),
    ],
)
def test_a_class_that_is_not_there_is_refused_before_anything_runs(
    tmp_path: Path, model_class: str, words: str
) -> None:
    """By ``check`` as by ``plan``, without importing the module."""
    project = ModelProject(tmp_path)
    project.story(["paint"])
    project.local(model_class=model_class)

    for command in (["check"], ["plan", "scenes.json"]):
        refused = project.run(*command)
        assert refused.returncode == 2, refused.stderr
        assert words in refused.stderr
    assert not (project.folder / "imported.log").exists()


def test_interrupted_once_it_ends_what_it_has_begun(project: ModelProject) -> None:
    """Two pictures are whole, and the others were not tried."""
    project.story(["paint"] * 6)
    project.local(executor={"replicas": 2}, model_args={"seconds": 3.0})
    running = project.start("run", "scenes.json")
    wait_until(lambda: len(project.log("rendered")) == 2)
    running.send_signal(signal.SIGINT)
    ran = ended(running)
    codes = list(project.codes().values())

    assert ran.returncode == 130, ran.stderr
    assert (codes.count("made"), codes.count("not_tried")) == (2, 4)
    assert project.ends_without_processes()
    assert [one.state for one in project.purchases()] == [State.PAID] * 2


def test_interrupted_twice_it_leaves_nothing_behind(project: ModelProject) -> None:
    """The first lets what is rendered end; the second ends it, replicas and what they started."""
    project.story(["hang"] * 6)
    project.local(executor={"replicas": 2})
    running = project.start("run", "scenes.json")
    wait_until(lambda: len(project.log("rendered")) == 2)
    alive = len(project.processes())
    running.send_signal(signal.SIGINT)
    assert running.stderr is not None
    while "SIGINT" not in running.stderr.readline():
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    ran = ended(running)
    codes = list(project.codes().values())

    assert alive == 5  # the command, two replicas, and what each has started
    assert ran.returncode == 130
    assert (codes.count("cancelled"), codes.count("not_tried")) == (2, 4)
    assert project.ends_without_processes()


@pytest.mark.parametrize("are_stopped", [pytest.param(False, marks=pytest.mark.heavy), True])
def test_a_killed_command_leaves_no_replica(tmp_path: Path, *, are_stopped: bool) -> None:
    """In the middle of a render, frozen or not; the next run makes everything."""
    project = ModelProject(tmp_path)
    project.story(["hang"] * 2)
    project.local(executor={"replicas": 2})
    running = project.start("run", "scenes.json")
    wait_until(lambda: len(project.log("rendered")) == 2)
    for process_id in {process_id for _, process_id, _ in project.log("rendered")}:
        if are_stopped:
            os.kill(process_id, signal.SIGSTOP)
    running.kill()
    running.communicate()

    assert project.ends_without_processes()
    project.story(["paint"] * 2)
    assert project.run("run", "scenes.json").returncode == 0


def test_the_class_of_the_page_makes_pictures(tmp_path: Path) -> None:
    """As it stands there, with the config that stands beside it, and with a reference."""
    (model,) = blocks(page("your-own-model.md"), "python")
    config, *_ = blocks(page("your-own-model.md"), "toml")
    project = ModelProject(tmp_path)
    (project.folder / "my_models.py").write_text(model, encoding="utf-8")
    (project.folder / "host.toml").write_text(config, encoding="utf-8")
    story = [
        {"scene_id": "s01", "image_prompt": "a lamp"},
        {"scene_id": "s02", "image_prompt": "a sea", "references": [{"image": "scene:s01"}]},
    ]
    (project.folder / "scenes.json").write_text(json.dumps(story), encoding="utf-8")
    ran = project.run("run", "scenes.json")

    assert ran.returncode == 0, ran.stderr
    assert project.codes() == {"s01": "made", "s02": "made"}


def test_references_are_bytes_with_names_and_no_paths(tmp_path: Path) -> None:
    """A file of the cast and the picture of another scene; whoever renders sees no disk."""
    project = ModelProject(tmp_path)
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "mira.jpg")
    face = (tmp_path / "mira.jpg").read_bytes()
    project.local(cast={"mira": {"image": "mira.jpg", "name": "Mira", "role": "character"}})
    story: list[dict[str, object]] = [
        {"scene_id": "s01", "image_prompt": "paint a lamp"},
        {
            "scene_id": "s02",
            "image_prompt": "paint a sea",
            "references": [{"image": "scene:s01", "name": "the lamp"}],
            "characters_in_scene": ["mira"],
            "model": "json:JSONDecoder",  # a word for the class, which alone the config names
        },
    ]
    (tmp_path / "scenes.json").write_text(json.dumps(story), encoding="utf-8")
    ran = project.run("run", "scenes.json")
    ((scene_id, shown, written),) = project.log("shown")
    lamp = (tmp_path / "out" / "images" / "s01.png").read_bytes()

    assert ran.returncode == 0, ran.stderr
    assert scene_id == "s02"
    assert shown == [
        ["the lamp", None, hashlib.sha256(lamp).hexdigest()],
        ["Mira", "character", hashlib.sha256(face).hexdigest()],
    ]
    assert str(tmp_path) not in written
    assert "mira.jpg" not in written
    assert "model='json:JSONDecoder'" in written


def test_as_many_are_in_work_as_replicas_render_at_once(tmp_path: Path) -> None:
    """Where no capacity is set: more than the default, and a call takes its share."""
    project = ModelProject(tmp_path)
    project.story(["paint"] * 12)
    project.local(
        model_class="my_models:Batched",
        model_args={"seconds": 0.3},
        executor={"replicas": 3, "gpus": 0},
    )
    ran = project.run("run", "scenes.json")
    batches = project.log("batches")
    events = map(json.loads, (tmp_path / "out" / "events.jsonl").read_text("utf-8").splitlines())
    (started,) = (one for one in events if one["event"] == "stage.started")

    assert ran.returncode == 0, ran.stderr
    assert sum(map(len, batches)) == 12
    assert max(map(len, batches)) > 1
    assert started["capacity"] == 12
