"""``provider = "local"`` through the command line: a class in the project's folder, replicas."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from stage3_plugin.domain.states import State
from tests.local_models import ModelProject
from tests.projects import ended, wait_until


@pytest.fixture
def project(tmp_path: Path, anyio_backend: str) -> ModelProject:
    return ModelProject(tmp_path, backend=anyio_backend)


def test_a_class_of_ones_own_makes_the_pictures(project: ModelProject) -> None:
    """In replicas, one for a GPU; nothing starts for a plan, a check, or where all is there."""
    project.environ = {"CUDA_VISIBLE_DEVICES": "5,7", "OWN_TOKEN": "a-token-of-ours-1234"}
    project.environ["COPY"] = f"token={project.environ['OWN_TOKEN']}"
    project.story(["paint"] * 6)
    project.local(
        executor={"replicas": 2},
        model_args={"seconds": 0.05, "token": {"env": "OWN_TOKEN"}},
    )
    looked = [project.run("check"), project.run("plan", "scenes.json")]
    not_yet = (project.folder / "imported.log").exists()
    ran = project.run("run", "scenes.json")
    again = project.run("run", "scenes.json")
    made = project.log("made")

    assert [one.returncode for one in (*looked, ran, again)] == [0] * 4, ran.stderr
    assert not not_yet
    assert project.codes() == {f"s{number:02}": "made" for number in range(1, 7)}
    assert len(project.log("rendered")) == 6
    assert {one["environ"]["CUDA_VISIBLE_DEVICES"] for one in made} == {"5", "7"}
    assert not [one for one in made if {"OWN_TOKEN", "COPY"} & one["environ"].keys()]
    assert all("PATH" in one["environ"] for one in made)
    assert project.ends_without_processes()
    assert {one.state for one in project.purchases()} == {State.PAID}
    assert project.purchases()[0].new.endpoint.model == "Painter"


def test_whatever_goes_wrong_is_its_own_scenes_alone(project: ModelProject) -> None:
    """A lost replica is tried elsewhere twice, what raises once more, what is no picture not."""
    words = (
        "paint", "raise", "exit", "kill", "hang", "text", "nothing", "huge", "large", "garbage",
        "read", "paint",
    )  # fmt: skip
    project.story(words)
    project.local(executor={"replicas": 2}, timeout_s=0.7)
    ran = project.run("run", "scenes.json", "--json")
    codes = [project.codes()[f"s{number:02}"] for number in range(1, len(words) + 1)]
    rendered = [scene_id for scene_id, _, _ in project.log("rendered")]
    tries = {word: rendered.count(f"s{number:02}") for number, word in enumerate(words, start=1)}
    failures = {one["scene_id"]: one["message"] for one in project.manifest()["failures"]}

    assert dict(zip(words, codes, strict=True)) == {
        "paint": "made",
        "raise": "unreadable",
        "exit": "unavailable",
        "kill": "unavailable",
        "hang": "unavailable",
        "text": "unreadable",
        "nothing": "unreadable",
        "huge": "unreadable",
        "large": "unreadable",
        "garbage": "unreadable",
        "read": "made",
    }, ran.stderr
    assert (tries["raise"], tries["text"], tries["large"]) == (2, 1, 1)
    assert (tries["exit"], tries["kill"], tries["hang"]) == (3, 3, 3)
    assert "ValueError: no such brush" in failures["s02"]
    assert "ended with status 3" in failures["s03"]
    assert "its last words: at s03" in failures["s03"]
    assert "was ended by SIGKILL" in failures["s04"]
    assert "timeout_s, 0.7 s" in failures["s05"]
    assert "returned str, and not the bytes of a picture" in failures["s06"]
    assert "2,147,483,648 bytes" in failures["s08"]
    assert "is 64x32, and 32x32 was asked for" in failures["s09"]
    assert project.ends_without_processes()
    assert {one.state for one in project.purchases()} == {State.PAID, State.REFUSED}


@pytest.mark.parametrize(
    "model_class, words",
    [
        ("needing:Model", "needing:Model cannot be imported: ModuleNotFoundError"),
        pytest.param(
            "my_models:Broken",
            "my_models:Broken cannot be made with no model_args: FileNotFound",
            marks=pytest.mark.heavy,
        ),
        pytest.param(
            "my_models:Idle", "my_models:Idle has no method render", marks=pytest.mark.heavy
        ),
    ],
)
def test_a_class_that_cannot_be_made_ends_the_run_with_one_error(
    project: ModelProject, model_class: str, words: str
) -> None:
    """Not with one for every scene; the class and the setting are named, and nothing is lost."""
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
        pytest.param(
            "my_modles:Painter", "there is no module 'my_modles'", marks=pytest.mark.heavy
        ),
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
