"""``provider = "local"`` through the command line: a class in the project's folder, replicas."""

from __future__ import annotations

from pathlib import Path

import pytest

from stage3_plugin.domain.states import State
from tests.local_models import ModelProject


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
    assert project.purchases()[0].model == "Painter"


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
