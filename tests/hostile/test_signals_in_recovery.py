"""Real processes: one is killed over pictures it had bought, the next is told to stop over them."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from stage3_plugin.domain.states import State
from tests.fakes.behaviours import Hang, Ok, ServerError
from tests.fakes.image_api import ImageApi
from tests.projects import Project, ended, wait_until


@pytest.fixture
def project(tmp_path: Path, image_api: ImageApi, anyio_backend: str) -> Project:
    """Make a project whose run was killed while three pictures that it had bought were fetched."""
    project = Project(tmp_path, backend=anyio_backend)
    project.scenes(3)
    project.config(image_api)
    image_api.always(Ok(url="own"))
    image_api.visit_always(Hang(billed=False))
    running = project.start("run", "scenes.json")
    wait_until(lambda: len(image_api.visits()) == 3)
    running.kill()
    running.wait()
    running.communicate()
    return project


def states(project: Project) -> list[State]:
    return [purchase.state for purchase in project.purchases()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_heard_while_leftovers_are_looked_after(
    project: Project, image_api: ImageApi, number: signal.Signals
) -> None:
    """At once, though their addresses hang; nothing is bought, and the next run has them all."""
    running = project.start("run", "scenes.json")
    wait_until(lambda: len(image_api.visits()) > 3)  # the first three were of the one before
    running.send_signal(number)
    began = time.monotonic()
    ran = ended(running)
    took_s = time.monotonic() - began
    left = states(project)
    image_api.visit_always(None)
    rerun = project.run("run", "scenes.json")

    assert ran.returncode == 128 + number, ran.stderr
    assert "Traceback" not in ran.stderr
    assert took_s < 5  # of a whole process on a busy machine; the addresses hang for minutes
    assert left == [State.SENDING] * 3
    assert rerun.returncode == 0, rerun.stderr
    assert set(project.codes().values()) == {"made"}
    assert image_api.received() == image_api.billed() == 3


def test_what_is_pending_ends_with_its_own_exit_code(project: Project, image_api: ImageApi) -> None:
    """A run that may not wait long says so with 5; the same command later has the pictures."""
    image_api.visit_always(ServerError(503))
    project.config(image_api, deadline_s=2)
    ran = project.run("run", "scenes.json")
    codes = set(project.codes().values())
    image_api.visit_always(None)
    rerun = project.run("run", "scenes.json")

    assert ran.returncode == 5, ran.stderr
    assert codes == {"pending"}
    assert rerun.returncode == 0, rerun.stderr
    assert image_api.received() == 3
