"""How a run on a cluster ends that has no room, no node or no patience any more."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.engines.ray.test_ray_runs import Project, left_of, until
from tests.engines.ray_cluster import Cluster

STARTS_S = 2
RENDERS_S = 3
ENDS_S = 25
"""Within which a run ends that gives each replica so long: it begins Ray itself meanwhile."""


@pytest.fixture
def project(tmp_path: Path, cluster: Cluster) -> Generator[Project]:
    """A project whose processes, Ray's among them, are gone after the test."""
    project = Project(tmp_path, cluster.address)
    try:
        yield project
    finally:
        project.close()
    until(lambda: left_of(tmp_path) == [])
    cluster.wait_for_replicas(0)


def impatient(project: Project, more: str) -> None:
    """Have the run wait as briefly as its settings allow."""
    project.configure(replicas=1, sleep_s=0.2, timeout_s=RENDERS_S)
    config = project.folder / "host.toml"
    text = config.read_text(encoding="utf-8")
    more = f"replicas = 1, start_s = {STARTS_S}{more}"
    config.write_text(text.replace("replicas = 1", more), encoding="utf-8")


def said_in_time(process: subprocess.Popen[str]) -> str:
    """Return what a run says until it ends, or that it does not."""
    try:
        said, erred = process.communicate(timeout=ENDS_S)
    except subprocess.TimeoutExpired:
        process.kill()
        said, erred = process.communicate()
        return f"it never ended: {said}{erred}"
    return f"{said}{erred}"


def test_leaving_at_once_costs_nothing_where_nothing_costs(project: Project) -> None:
    """A free model was cut off by the second Ctrl-C: there is no money to look for."""
    project.configure(replicas=1, sleep_s=60)
    process = project.start("run", "story.json")
    until(lambda: len(project.painted("begun")) == 1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stderr is not None
    while "press Ctrl-C again" not in process.stderr.readline():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    said, erred = process.communicate(timeout=60)

    assert process.returncode == 130, said + erred
    assert "money" not in said + erred, said
    assert project.manifest["cost_usd"] == "0"


def test_a_cluster_without_room_is_not_waited_for_without_end(project: Project) -> None:
    """No node will ever have so many cores: the run ends, and says what it lacks."""
    impatient(project, ", cpus = 64")
    said = said_in_time(project.start("run", "story.json"))

    assert not said.startswith("it never ended"), said
    assert "ray status" in said


@pytest.mark.heavy
def test_nodes_that_all_went_away_are_not_waited_for_without_end(
    project: Project, cluster: Cluster
) -> None:
    """What was made is there, the rest is told, and the run has an end."""
    impatient(project, "")
    process = project.start("run", "story.json")
    until(lambda: len(project.painted("ended")) >= 1)
    for node in list(cluster.nodes):
        cluster.remove(node)
    try:
        said = said_in_time(process)
    finally:
        for _ in range(2):
            cluster.add(2)

    assert not said.startswith("it never ended"), said
    assert "ray status" in said


@pytest.mark.usefixtures("needs_ray")
def test_a_cluster_that_is_absent_is_looked_for_once(tmp_path: Path) -> None:
    """It is the same cluster for every scene, and for every try."""
    project = Project(tmp_path, "127.0.0.1:9")
    (tmp_path / "sitecustomize.py").write_text(COUNTING, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        patch.setenv("ASKED", str(tmp_path / "asked"))
        said = project.run(code=3)
    asked = (tmp_path / "asked").read_text(encoding="utf-8").count("asked")

    assert "127.0.0.1:9" in said
    assert asked == 1


COUNTING = """
import os, subprocess
begin = subprocess.Popen.__init__

def counted(self, arguments, *more, **named):
    if "cluster.broker" in str(arguments):
        with open(os.environ["ASKED"], "a", encoding="utf-8") as file:
            file.write("asked\\n")
    begin(self, arguments, *more, **named)

subprocess.Popen.__init__ = counted
"""
"""Counts the processes that are started to speak with a cluster."""
