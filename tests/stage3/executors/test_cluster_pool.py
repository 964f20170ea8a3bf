"""Which replica of a cluster does which job: the pool of its driver, and replicas of a test."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from stage3_plugin.executors.base import Problem
from stage3_plugin.executors.cluster.broker import Patience
from stage3_plugin.executors.cluster.pool import Gone, Job, NotBegun, Pool, Unusable

Deed = Callable[[list[bytes]], Sequence[bytes | Problem]]


class Puppet:
    """A replica that does what the test has put down for it, one thing after the other."""

    def __init__(self, at_once: int = 1) -> None:
        self.at_once = at_once
        self.places: Queue[Exception | bool] = Queue()
        self.loads: Queue[Exception | None] = Queue()
        self.deeds: Queue[Deed | Exception] = Queue()
        self.calls: list[list[bytes]] = []
        self.restarts = 0
        self.is_ended = False

    def find(self, wait_s: float) -> bool:
        return bool(self._next(self.places, wait_s))

    def load(self, start_s: float) -> int:
        assert start_s == 900
        self._next(self.loads, 5)
        return self.at_once

    def do(self, jobs: list[bytes], timeout_s: float) -> Sequence[bytes | Problem]:
        assert timeout_s == 60
        self.calls.append(jobs)
        deed = self.deeds.get(timeout=5)
        if isinstance(deed, Exception):
            raise deed
        return deed(jobs)

    def restart(self) -> None:
        self.restarts += 1

    def end(self) -> None:
        self.is_ended = True

    def _next(self, of: Queue[Any], wait_s: float) -> object:
        if of.empty() and of is not self.places:
            return None
        try:
            found = of.get(timeout=wait_s)
        except Exception:  # noqa: BLE001 - the queue is empty
            return False
        if isinstance(found, Exception):
            raise found
        return found


class Answers:
    """What the pool has answered, in its order."""

    def __init__(self) -> None:
        self._said: Queue[Mapping[str, object]] = Queue()

    def __call__(self, answer: Mapping[str, object]) -> None:
        self._said.put(answer)

    def next(self) -> Mapping[str, object]:
        return self._said.get(timeout=5)


def echo(jobs: list[bytes]) -> Sequence[bytes]:
    return jobs


@pytest.fixture
def answers() -> Answers:
    return Answers()


def started(answers: Answers, *puppets: Puppet) -> Pool:
    pool = Pool(puppets, start_s=900, timeout_s=60, answer=answers)
    pool.start()
    return pool


def job(folder: Path, number: int) -> Job:
    return Job(number, b"job %d" % number, folder / str(number), folder / f".{number}.part")


def test_a_replica_gets_jobs_when_it_is_ready_and_not_before(
    answers: Answers, tmp_path: Path
) -> None:
    """The one that has its place does the work, and the other one is lacking."""
    ready, late = Puppet(), Puppet()
    pool = started(answers, ready, late)
    pool.add(job(tmp_path, 1))

    assert (pool.lacking, pool.is_idle) == (2, False)
    ready.places.put(True)
    ready.deeds.put(echo)
    assert answers.next() == {"id": 1}
    assert (tmp_path / "1").read_bytes() == b"job 1"
    assert pool.lacking == 1
    assert late.calls == []
    pool.end(1)
    assert ready.is_ended
    assert late.is_ended


def test_a_replica_that_is_gone_loses_its_job_and_is_looked_for_again(
    answers: Answers, tmp_path: Path
) -> None:
    """It gets the next one only when it is ready again."""
    puppet = Puppet()
    pool = started(answers, puppet)
    puppet.places.put(True)
    puppet.deeds.put(Gone("is gone (a node died)"))
    pool.add(job(tmp_path, 1))

    assert answers.next() == {"id": 1, "lost": "is gone (a node died)"}
    pool.add(job(tmp_path, 2))
    assert len(puppet.calls) == 1
    puppet.deeds.put(echo)
    puppet.places.put(True)
    assert answers.next() == {"id": 2}
    pool.end(1)


def test_what_was_not_begun_is_done_unseen(answers: Answers, tmp_path: Path) -> None:
    """A replica that was made again between two jobs has not lost any."""
    puppet = Puppet()
    pool = started(answers, puppet)
    puppet.deeds.put(NotBegun("was made again"))
    puppet.deeds.put(echo)
    puppet.places.put(True)
    puppet.places.put(True)
    pool.add(job(tmp_path, 1))

    assert answers.next() == {"id": 1}
    assert puppet.calls == [[b"job 1"], [b"job 1"]]
    pool.end(1)


def test_jobs_of_one_call_that_is_lost_are_done_one_by_one(
    answers: Answers, tmp_path: Path
) -> None:
    """So the one that is to blame is known, and the others are done."""
    puppet = Puppet(at_once=2)
    pool = started(answers, puppet)
    pool.add(job(tmp_path, 1))
    pool.add(job(tmp_path, 2))
    for deed in (Gone("is gone"), echo, Gone("is gone")):
        puppet.deeds.put(deed)
        puppet.places.put(True)

    assert answers.next() == {"id": 1}
    assert answers.next() == {"id": 2, "lost": "is gone"}
    assert puppet.calls == [[b"job 1", b"job 2"], [b"job 1"], [b"job 2"]]
    pool.end(1)


def test_a_job_that_is_taken_back_leaves_nothing(answers: Answers, tmp_path: Path) -> None:
    """One that waits is forgotten; one under way costs its replica, and is not written."""
    puppet = Puppet()
    pool = started(answers, puppet)
    puppet.places.put(True)
    pool.add(job(tmp_path, 1))
    while not puppet.calls:
        time.sleep(0.001)
    pool.add(job(tmp_path, 2))
    pool.take_back(2)
    pool.take_back(1)

    assert answers.next() == {"id": 2, "taken_back": True}
    assert answers.next() == {"id": 1, "taken_back": True}
    puppet.deeds.put(echo)
    pool.add(job(tmp_path, 3))
    puppet.deeds.put(echo)
    assert answers.next() == {"id": 3}
    assert puppet.restarts == 1
    assert [path.name for path in tmp_path.iterdir()] == ["3"]
    pool.end(1)


def test_where_no_replica_can_be_used_every_job_says_why(answers: Answers, tmp_path: Path) -> None:
    """With one that can, the run goes on, and is told of the other."""
    bad, worse = Puppet(), Puppet()
    bad.loads.put(Unusable("no module named acme"))
    worse.loads.put(Gone("is gone"))
    pool = started(answers, bad, worse)
    pool.add(job(tmp_path, 1))
    bad.places.put(True)

    assert answers.next() == {"notice": "1 of 2 replicas cannot be used: no module named acme"}
    for _ in range(2):
        worse.loads.put(Gone("is gone"))
    for _ in range(3):
        worse.places.put(True)
    assert answers.next() == {"id": 1, "unusable": "no module named acme"}
    pool.add(job(tmp_path, 2))
    assert answers.next() == {"id": 2, "unusable": "no module named acme"}
    pool.end(1)


def test_problems_and_a_disk_that_takes_nothing(answers: Answers, tmp_path: Path) -> None:
    """Are told as what they are."""
    puppet = Puppet()
    pool = started(answers, puppet)
    puppet.places.put(True)
    puppet.deeds.put(lambda _jobs: [Problem("no paint", may_pass=False)])
    pool.add(job(tmp_path, 1))
    assert answers.next() == {"id": 1, "problem": "no paint", "may_pass": False}
    puppet.deeds.put(echo)
    pool.add(job(tmp_path / "none", 2))
    said = answers.next()

    assert said == {"id": 2, "errno": 2}
    pool.end(1)


def test_people_are_told_of_a_wait_after_a_while_and_now_and_then() -> None:
    """After thirty seconds, not at once; again every five minutes; never where all are there."""
    patience = Patience(16)

    assert patience.sentence(4, now_s=100) is None
    assert patience.sentence(4, now_s=129.9) is None
    said = patience.sentence(3, now_s=130)
    assert said is not None
    assert said.startswith("waiting for 3 of 16 replicas: ")
    assert patience.sentence(3, now_s=429.9) is None
    assert patience.sentence(2, now_s=430) is not None
    assert patience.sentence(0, now_s=431) is None
    assert patience.sentence(1, now_s=432) is None
    assert patience.sentence(1, now_s=461.9) is None
    assert patience.sentence(1, now_s=462) is not None
