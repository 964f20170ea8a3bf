"""Whole runs of the command line on a real cluster, and what may happen to them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.engines.ray_cluster import Cluster

PAINTER = '''
import os, struct, time, zlib
from pathlib import Path


class Painter:
    """Paints one colour a scene, in its time, and notes what it did, when, in which process."""

    def __init__(self, log, sleep_s):
        self.log, self.sleep_s = log, sleep_s

    def render(self, request):
        self.note("begun", request.scene_id)
        if request.prompt == "poison":
            os._exit(7)
        time.sleep(self.sleep_s)
        self.note("ended", request.scene_id)
        row = b"\\0" + bytes([sum(request.prompt.encode()) % 256, 80, 120]) * request.width_px
        return b"\\x89PNG\\r\\n\\x1a\\n" + b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in (
                (b"IHDR", struct.pack(">IIBBBBB", *self.size(request), 8, 2, 0, 0, 0)),
                (b"IDAT", zlib.compress(row * request.height_px)),
                (b"IEND", b""),
            )
        )

    def size(self, request):
        return request.width_px, request.height_px

    def note(self, what, scene_id):
        with Path(self.log).open("a", encoding="utf-8") as file:
            file.write(f"{what} {scene_id} {os.getpid()} {time.time()}\\n")
'''
SCENES = 8


class Project:
    """A folder with a story, a model class and a config that runs it on the cluster."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self._address = address
        self._started: list[subprocess.Popen[str]] = []
        self.log = folder / "painted"
        (folder / "painter.py").write_text(PAINTER, encoding="utf-8")
        self.write(SCENES)
        self.configure()

    def write(self, scenes: int, *, poisoned: Iterable[int] = ()) -> None:
        story = [
            {
                "scene_id": f"scene_{number:03}",
                "prompt": "poison" if number in poisoned else f"a harbour, take {number}",
            }
            for number in range(1, scenes + 1)
        ]
        (self.folder / "story.json").write_text(json.dumps(story), encoding="utf-8")

    def configure(self, replicas: int = 4, sleep_s: float = 0.5, timeout_s: float = 60) -> None:
        (self.folder / "host.toml").write_text(
            f"""
            [plugin.stage3]
            provider = "local"
            model_class = "painter:Painter"
            model_args = {{ log = "{self.log}", sleep_s = {sleep_s} }}
            executor = {{ kind = "ray", address = "{self._address}", replicas = {replicas} }}
            size = "64x48"
            timeout_s = {timeout_s}
            """,
            encoding="utf-8",
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command in a session of its own, as a terminal does."""
        process = subprocess.Popen(
            [sys.executable, "-m", "host_stub", *words],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=os.environ | {"OF_TEST": str(self.folder)},
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        """Leave nothing running of a test that failed."""
        for process in self._started:
            with process:
                process.kill()

    def run(self, *words: str, code: int = 0) -> str:
        """Have a command run; returns what it says on standard error."""
        process = self.start(*(words or ("run", "story.json")))
        said, erred = process.communicate(timeout=120)
        assert process.returncode == code, said + erred
        return said + erred

    def painted(self, what: str = "ended") -> list[tuple[str, int, float]]:
        """Return scene, process and time of what was begun or ended."""
        if not self.log.exists():
            return []
        rows = [line.split() for line in self.log.read_text("utf-8").splitlines()]
        return [(row[1], int(row[2]), float(row[3])) for row in rows if row[0] == what]

    @property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "out" / "manifest.json").read_bytes())
        return found

    def delivered(self) -> list[str]:
        return [entry["scene_id"] for entry in self.manifest["images"]]

    def pictures(self) -> int:
        return len(list((self.folder / "out" / "images").iterdir()))


@pytest.fixture
def project(tmp_path: Path, cluster: Cluster) -> Generator[Project]:
    project = Project(tmp_path, cluster.address)
    try:
        yield project
    finally:
        project.close()
    cluster.wait_for_replicas(0)
    assert left_of(tmp_path) == []


def left_of(folder: Path) -> list[bytes]:
    """Return what runs of all that a test has started."""
    found: list[bytes] = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if f"OF_TEST={folder}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes())
    return found


def until(is_so: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


EVERY_SCENE = [f"scene_{number:03}" for number in range(1, SCENES + 1)]


def test_every_scene_is_delivered_once_and_a_run_that_reuses_all_starts_nothing(
    project: Project,
) -> None:
    """Four replicas render at once; the second run is over before a cluster could be asked."""
    project.run()
    painted = project.painted()
    again = project.run()

    assert project.delivered() == EVERY_SCENE
    assert sorted(scene for scene, _, _ in painted) == EVERY_SCENE
    assert len({process for _, process, _ in painted}) == 4
    assert len(project.painted("begun")) == SCENES
    assert project.pictures() == SCENES
    assert "ray" not in again.lower()
    assert project.manifest["cost_usd"] == "0"


def test_plan_and_check_start_nothing(project: Project) -> None:
    """They say how many there would be, whether a cluster is there or not."""
    project.run("plan", "story.json")
    project.run("check")

    assert project.painted("begun") == []


def test_one_poisoned_scene_costs_three_replicas_and_no_other_scene(project: Project) -> None:
    """It is tried twice elsewhere, and then it is that scene's failure."""
    project.configure(replicas=2)
    project.write(6, poisoned=[3])
    said = project.run(code=1)

    assert project.delivered() == [name for name in EVERY_SCENE[:6] if name != "scene_003"]
    (failed,) = project.manifest["failures"]
    assert (failed["scene_id"], failed["code"]) == ("scene_003", "unavailable")
    assert len([one for one in project.painted("begun") if one[0] == "scene_003"]) == 3
    assert "(raylet)" not in said  # nor anything else that Ray tells terminals


def test_a_replica_a_node_and_then_nothing_is_lost(project: Project, cluster: Cluster) -> None:
    """One is killed, a node goes and another comes: every scene is there, each of them once."""
    project.configure(sleep_s=1)
    process = project.start("run", "story.json")
    until(lambda: len(project.painted("begun")) >= 4)
    os.kill(project.painted("begun")[0][1], signal.SIGKILL)
    until(lambda: len(project.painted("ended")) >= 4)
    cluster.remove(cluster.nodes[0])
    cluster.add(2)
    said, erred = process.communicate(timeout=120)

    assert process.returncode == 0, said + erred
    assert project.delivered() == EVERY_SCENE
    assert project.pictures() == SCENES


def test_ctrl_c_leaves_nothing_running(project: Project) -> None:
    """What is there stays, the rest is told as not tried, and the next run makes just that."""
    project.configure(replicas=2)
    process = project.start("run", "story.json")
    until(lambda: len(project.painted("ended")) >= 3)
    os.killpg(process.pid, signal.SIGINT)
    said, erred = process.communicate(timeout=60)
    made = project.delivered()
    project.run()

    assert process.returncode == 130, said + erred
    assert 3 <= len(made) < SCENES
    assert project.delivered() == EVERY_SCENE
    ended = [scene for scene, _, _ in project.painted("ended")]
    assert all(ended.count(scene) == 1 for scene in made)


def test_a_driver_that_is_killed_is_taken_up_by_the_next(
    project: Project, cluster: Cluster
) -> None:
    """Its replicas go with it, at once; what was made is not made again."""
    project.configure(replicas=2)
    process = project.start("run", "story.json")
    until(lambda: len(project.painted("ended")) >= 3)
    assert len(left_of(project.folder)) == 2  # itself, and what speaks with the cluster
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    cluster.wait_for_replicas(0)
    project.run()

    assert project.delivered() == EVERY_SCENE
    assert project.pictures() == SCENES
