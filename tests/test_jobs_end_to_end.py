"""A queue through the two commands: what a run leaves being made, the next one takes in."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from host_stub.cli import main
from stage3_plugin.domain.states import State
from stage3_plugin.testing.dialects.fal import FalDialect
from stage3_plugin.testing.image_api import ImageApi
from stage3_plugin.testing.queues import Ends, Queued
from tests.fakes.image_api import KEY
from tests.projects import Project, ended, wait_until

ENDLESS = 10_000


@pytest.fixture
def queue_api() -> Iterator[ImageApi]:
    with ImageApi(dialect=FalDialect()) as api:
        yield api


def test_jobs_survive_a_deadline_and_two_ctrl_cs(queue_api: ImageApi, tmp_path: Path) -> None:
    """5 for what is being made, the signal's code for an interrupt, and each says until when."""
    queue_api.queue.plan = Queued(polls=0)
    queue_api.script(Queued(polls=ENDLESS), scene="s01")
    project = Project(tmp_path)
    project.scenes(2)
    model = {"provider": "fal", "model": "fal-ai/flux-2/turbo"}
    project.config(queue_api, **model, deadline_s=2)
    over = project.run("run", "scenes.json")
    (purchase,) = [one for one in project.purchases() if one.state is State.ACCEPTED]
    listed = project.stage3("attempts")
    looks = len(queue_api.polls())
    project.config(queue_api, **model)
    process = project.start("run", "scenes.json")
    wait_until(lambda: len(queue_api.polls()) > looks)
    process.send_signal(signal.SIGINT)
    interrupted = ended(process)
    for job in queue_api.queue.jobs:
        job.plan = Queued(polls=0)
    had = project.run("run", "scenes.json")
    listed_takes = project.run("takes", "s01", "--json")
    (late,) = [row for row in project.manifest()["images"] if row["scene_id"] == "s01"]
    (take,) = json.loads(listed_takes.stdout)["takes"]

    until = f"{purchase.expires_at:%Y-%m-%d %H:%M} UTC"
    assert over.returncode == 5, over.stderr
    assert until in over.stderr
    assert "being made at fal" in over.stderr
    assert "bought, being made" in listed.stdout
    assert interrupted.returncode == 130, interrupted.stderr
    assert until in interrupted.stderr
    assert had.returncode == 0, had.stderr
    assert queue_api.received() == queue_api.billed() == 2
    assert (late["cost_usd"], late["reused"]) == ("0", True)
    assert Decimal(late["take_cost_usd"]) == Decimal(take["cost_usd"]) > 0


def test_a_second_ctrl_c_leaves_a_job_to_the_next_run(queue_api: ImageApi, tmp_path: Path) -> None:
    """At once, with the time until which it is kept; nothing of it is unknown."""
    queue_api.script(Queued(polls=ENDLESS), scene="s01")
    project = Project(tmp_path)
    project.scenes(1)
    project.config(queue_api, provider="fal", model="fal-ai/flux-2/turbo")
    process = project.start("run", "scenes.json")
    wait_until(queue_api.polls)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    said = ""
    while "being made" not in said:
        said += process.stderr.readline()
    process.send_signal(signal.SIGINT)
    interrupted = ended(process)
    for job in queue_api.queue.jobs:
        job.plan = Queued(polls=0)
    had = project.run("run", "scenes.json")

    assert "second Ctrl-C" in said
    assert "kept until" in said
    assert interrupted.returncode == 130, interrupted.stderr
    assert "kept until" in interrupted.stderr + said
    assert "stage3 resolve" not in interrupted.stderr  # there is nothing to decide
    assert had.returncode == 0, had.stderr
    assert queue_api.received() == queue_api.billed() == 1


@pytest.mark.parametrize("how", [*product(["run", "plan", "status"], ["made", "failed"])])
def test_what_takes_in_buys_nothing_if_it_does_not_come(
    queue_api: ImageApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    how: tuple[str, Ends],
) -> None:
    """A command that is called safe spends nothing, although its job has failed by then."""
    asked, ends = how
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    project = Project(tmp_path)
    project.scenes(1)
    model = {"provider": "fal", "model": "fal-ai/flux-2/turbo"}
    queue_api.script(Queued(polls=ENDLESS))

    def told(*words: str) -> dict[str, Any]:
        capsys.readouterr()
        main([*words])
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    project.config(queue_api, **model, deadline_s=1.5)
    found = told("run", "scenes.json", "--max-cost", "5", "--json")
    project.config(queue_api, **model)
    if asked != "run":
        where = ["--scenes", "scenes.json"] if asked == "status" else ["scenes.json"]
        found = told(asked, *where, "--json")
    (job,) = queue_api.queue.jobs
    job.plan = Queued(polls=0, ends=ends)
    (action,) = [one for one in found["next_actions"] if one["command"][1] == "run"]
    had = told(*action["command"][1:])

    assert (action["kind"], action["cost_usd"]) == ("safe", "0")
    assert had["failures_by_code"] == ({} if ends == "made" else {"budget": 1})
    assert queue_api.received() == 1


def test_who_waits_may_leave_at_any_moment(
    queue_api: ImageApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ctrl-C is 130 and changes nothing; who stays to the end takes it in for the next run."""
    queue_api.script(Queued(polls=ENDLESS), scene="s01")
    project = Project(tmp_path)
    project.scenes(1)
    project.config(queue_api, provider="fal", model="fal-ai/flux-2/turbo", deadline_s=2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    over = main(["run", "scenes.json", "--json"])
    offered = json.loads(capsys.readouterr().out)["next_actions"]
    looks = len(queue_api.polls())
    process = project.start("stage3", "wait")
    wait_until(lambda: len(queue_api.polls()) > looks)
    process.send_signal(signal.SIGINT)
    left = ended(process)
    (purchase,) = project.purchases()
    for job in queue_api.queue.jobs:
        job.plan = Queued(polls=0)
    stayed = main(["stage3", "wait"])
    said = capsys.readouterr().out
    had = main(["run", "scenes.json"])

    assert over == 5
    assert ["host-stub", "stage3", "wait"] in [one["command"][:3] for one in offered]
    assert left.returncode == 130
    assert left.stderr == "error: interrupted\n"
    assert purchase.state is State.ACCEPTED
    assert stayed == 0
    assert "'host-stub run scenes.json'" in said
    assert had == 0
    assert "reused" in capsys.readouterr().out
    assert queue_api.received() == queue_api.billed() == 1
