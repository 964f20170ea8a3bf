"""Signals to a real process with paid requests in flight, told by the server and by the ledger."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from stage3_plugin.domain.states import OPEN, State
from tests.fakes.behaviours import Gate, Hang, Ok
from tests.fakes.image_api import ImageApi
from tests.projects import Project, ended, wait_until

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def project(tmp_path: Path, image_api: ImageApi, anyio_backend: str) -> Project:
    """Make a project of 20 scenes, of which 8 are in flight at once."""
    project = Project(tmp_path, backend=anyio_backend)
    project.scenes(20)
    project.config(image_api, capacity=8)
    return project


def states(project: Project) -> list[State]:
    return [purchase.state for purchase in project.purchases()]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_starts_nothing_and_loses_nothing(
    project: Project, image_api: ImageApi, number: signal.Signals
) -> None:
    """Eight paid requests end, are kept and recorded; the rest is told as not tried."""
    gate = Gate()
    image_api.always(Ok(gate=gate))
    running = project.start("run", "scenes.json")
    wait_until(lambda: image_api.in_flight == 8)
    running.send_signal(number)
    assert running.stderr is not None
    while number.name not in running.stderr.readline():
        assert running.poll() is None
    gate.open()
    ran = ended(running)
    codes = list(project.codes().values())

    assert ran.returncode == 128 + number, ran.stderr
    assert image_api.received() == image_api.billed() == 8
    assert states(project) == [State.PAID] * 8
    assert (codes.count("made"), codes.count("not_tried")) == (8, 12)
    assert "Traceback" not in ran.stderr


def test_what_does_not_end_in_time_is_recorded_as_unknown(
    project: Project, image_api: ImageApi
) -> None:
    """``drain_s`` after the first signal, by itself; and the next run does not send it again."""
    project.config(image_api, capacity=8, drain_s=0.5)
    image_api.always(Hang())
    running = project.start("run", "scenes.json")
    wait_until(lambda: image_api.in_flight == 8)
    running.send_signal(signal.SIGINT)
    began = time.monotonic()
    ran = ended(running)
    took_s = time.monotonic() - began
    codes = list(project.codes().values())
    image_api.always(Ok())
    rerun = project.run("run", "scenes.json")

    assert ran.returncode == 130, ran.stderr
    assert took_s < 10  # of which half a second is drain_s
    assert (codes.count("cancelled"), codes.count("not_tried")) == (8, 12)
    assert rerun.returncode == 4, rerun.stderr
    assert states(project) == [State.UNKNOWN] * 8 + [State.PAID] * 12
    assert image_api.received() == image_api.billed() == 20


@pytest.mark.parametrize("number", SIGNALS)
def test_the_second_signal_leaves_at_once(
    project: Project, image_api: ImageApi, number: signal.Signals
) -> None:
    """And leaves rows that the next start brings to an end, so that nothing is paid twice."""
    image_api.always(Hang())
    running = project.start("run", "scenes.json")
    wait_until(lambda: image_api.in_flight == 8)
    running.send_signal(number)
    assert running.stderr is not None
    while number.name not in running.stderr.readline():
        assert running.poll() is None
    running.send_signal(number)
    began = time.monotonic()
    ran = ended(running)
    took_s = time.monotonic() - began
    left = states(project)
    image_api.always(Ok())
    rerun = project.run("run", "scenes.json")

    assert ran.returncode == 128 + number, ran.stderr
    assert took_s < 3  # under one when nobody else is at work
    assert len(left) == 8
    assert set(left) <= OPEN | {State.UNKNOWN}
    assert rerun.returncode == 4, rerun.stderr
    assert states(project) == [State.UNKNOWN] * 8 + [State.PAID] * 12
    assert image_api.received() == image_api.billed() == 20


def test_a_signal_while_holds_wait_for_room_ends_the_waiting(
    project: Project, image_api: ImageApi
) -> None:
    """Under a cap that has room for two only, six wait; they are not left waiting."""
    project.config(image_api, capacity=8, budget_usd="0.10")
    gate = Gate()
    image_api.always(Ok(gate=gate, usage={"cost": 0.01}))
    running = project.start("run", "scenes.json")
    wait_until(lambda: image_api.in_flight == 2)
    running.send_signal(signal.SIGINT)
    assert running.stderr is not None
    while "SIGINT" not in running.stderr.readline():
        assert running.poll() is None
    gate.open()
    ran = ended(running)

    assert ran.returncode == 130, ran.stderr
    assert image_api.received() == 2
    assert states(project) == [State.PAID] * 2
