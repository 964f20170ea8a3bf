"""What the cluster's driver makes of what an actor answers, or does not: with no Ray at all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import Queue
from threading import Event
from typing import Any

import pytest

from stage3_plugin.executors.cluster.remote import Remote
from stage3_plugin.executors.messages import Said


def _done(found: object) -> Callable[[list[bytes]], object]:
    def do(_jobs: list[bytes]) -> object:
        return found

    return do


class Nodes:
    """Stands for Ray: one actor, whose methods do what the test has put down for them."""

    __version__ = "0"

    def __init__(self, **methods: Callable[..., object]) -> None:
        self.methods: dict[str, Callable[..., object]] = {"ping": lambda: None} | methods
        self.killed = Event()

    def remote(self, _of: type) -> Any:
        return self

    def options(self, **wants: object) -> Any:
        assert wants["num_gpus"] == 1
        return _Call(lambda: _Actor(self.methods))

    def get(self, reference: Any) -> object:
        return reference()

    def kill(self, _actor: object, *, no_restart: bool) -> None:
        assert no_restart
        self.killed.set()

    def init(self, **_options: object) -> object:
        raise AssertionError

    def shutdown(self) -> None:
        raise AssertionError


class _Call:
    def __init__(self, of: Callable[..., object]) -> None:
        self._of = of

    def remote(self, *arguments: object) -> object:
        return self._of(*arguments)


class _Actor:
    def __init__(self, methods: dict[str, Callable[..., object]]) -> None:
        for name, method in methods.items():
            setattr(self, name, _Call(partial(partial, method)))


def asked(nodes: Nodes, folder: Path, jobs: int = 1) -> tuple[Remote, Queue[Said]]:
    """Ask a replica for a call; return it, and where its answer comes."""
    remote, answers = Remote(nodes, {"num_gpus": 1}, []), Queue[Said]()
    places = [[str(folder / str(number)), str(folder / f".{number}")] for number in range(jobs)]
    remote.answer({"line": 7, "places": places}, [b"job"] * jobs, answers.put)
    return remote, answers


def test_what_is_made_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    """Bytes, or words; whatever else an actor returns is a problem of its job."""
    odd = [(b"picture", None), ("no paint", False), "bytes", (b"", True), (1, None)]
    nodes = Nodes(do=_done(odd))
    _, answers = asked(nodes, tmp_path, jobs=5)
    said = answers.get(timeout=5)

    none = {"words": "its replica answered with something else than bytes", "may_pass": False}
    problem = {"words": "no paint", "may_pass": False}
    assert said == {"line": 7, "answers": [None, problem, none, none, none]}
    assert (tmp_path / "0").read_bytes() == b"picture"
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


@pytest.mark.parametrize("found", [None, [], [(b"", None)] * 2, {"a": 1}])
def test_an_answer_that_is_none_is_a_replica_lost(tmp_path: Path, found: object) -> None:
    """It has begun the job, whatever it did."""
    _, answers = asked(Nodes(do=_done(found)), tmp_path)

    words = "answered with something else than its jobs"
    assert answers.get(timeout=5) == {"line": 7, "lost": words, "is_idle": False}


def test_one_that_died_idle_is_told_apart(tmp_path: Path) -> None:
    """Nothing was begun, so whoever asked may ask another."""

    def gone() -> None:
        raise RuntimeError("The actor died\n  unexpectedly: node went")

    _, answers = asked(Nodes(ping=gone), tmp_path)

    words = "is gone (The actor died unexpectedly: node went)"
    assert answers.get(timeout=5) == {"line": 7, "lost": words, "is_idle": True}


def test_one_that_was_ended_writes_and_says_nothing(tmp_path: Path) -> None:
    """Though its actor had just made what it was asked for."""
    begun, goes_on, is_over = Event(), Event(), Event()

    def do(_jobs: list[bytes]) -> object:
        begun.set()
        goes_on.wait(5)
        is_over.set()
        return [(b"picture", None)]

    nodes = Nodes(do=do)
    remote, answers = asked(nodes, tmp_path)
    assert begun.wait(5)
    remote.end().join(5)
    assert nodes.killed.is_set()
    goes_on.set()
    assert is_over.wait(5)
    other, others = asked(Nodes(do=_done([(b"", None)])), tmp_path / "none")
    assert others.get(timeout=5) == {"line": 7, "answers": [{"errno": 2}]}
    other.end().join(5)

    assert answers.empty()
    assert list(tmp_path.iterdir()) == []
