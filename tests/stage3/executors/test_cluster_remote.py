"""What the cluster's driver makes of what an actor answers, or does not: with no Ray at all."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, TypeAlias

import pytest

from stage3_plugin.executors.base import Work
from stage3_plugin.executors.cluster.remote import Remote
from stage3_plugin.executors.messages import Said, making, message


def _done(found: object) -> Callable[[list[bytes]], object]:
    def do(_jobs: list[bytes]) -> object:
        return found

    return do


def _loaded(_work: object, _left_out: object) -> int:
    return 2


class Nodes:
    """Stands for Ray: one actor, whose methods do what the test has put down for them."""

    __version__ = "0"

    def __init__(self, **methods: Callable[..., object]) -> None:
        usual: dict[str, Callable[..., object]] = {"ping": lambda: None, "load": _loaded}
        self.methods = usual | methods
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


class Line:
    """A replica's connection: what the run asks by it, and what it hears."""

    def __init__(self, nodes: Nodes) -> None:
        self.ours, theirs = socket.socketpair()
        self.ours.settimeout(5)
        Remote(nodes, {"num_gpus": 1}, [], theirs)
        self._answers = self.ours.makefile("rb")

    def heard(self) -> Said | None:
        """Return what is answered next; ``None`` where no more comes."""
        line = self._answers.readline()
        return json.loads(line) if line else None

    def ask(self, folder: Path, jobs: int = 1) -> None:
        """Have the work made, once the actor has its place, and ask for a call."""
        assert self.heard() == {}
        self.ours.sendall(message(*making(Work(target="a:b"))))
        assert self.heard() == {"at_once": 2}
        places = [[str(folder / str(number)), str(folder / f".{number}")] for number in range(jobs)]
        self.ours.sendall(message({"places": places}, [b"job"] * jobs))

    def close(self) -> None:
        self._answers.close()
        self.ours.close()


@pytest.fixture
def line() -> Generator[Callable[..., Line]]:
    """Return what makes an actor whose methods do what the test has put down for them."""
    lines: list[Line] = []

    def made(**methods: Callable[..., object]) -> Line:
        lines.append(Line(Nodes(**methods)))
        return lines[-1]

    yield made
    for one in lines:
        one.close()


Made: TypeAlias = Callable[..., Line]


def test_what_is_made_is_written_where_it_is_wanted(tmp_path: Path, line: Made) -> None:
    """Bytes, or words; whatever else an actor returns is a problem of its job."""
    odd = [(b"picture", None), ("no paint", False), "bytes", (b"", True), (1, None)]
    asked = line(do=_done(odd))
    asked.ask(tmp_path, jobs=5)
    said = asked.heard()

    none = {"words": "its replica answered with something else than bytes", "may_pass": False}
    problem = {"words": "no paint", "may_pass": False}
    assert said == {"answers": [None, problem, none, none, none]}
    assert (tmp_path / "0").read_bytes() == b"picture"
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


@pytest.mark.parametrize("found", [None, [], [(b"", None)] * 2, {"a": 1}])
def test_an_answer_that_is_none_is_a_replica_lost(
    tmp_path: Path, line: Made, found: object
) -> None:
    """It has begun the job, whatever it did."""
    asked = line(do=_done(found))
    asked.ask(tmp_path)

    assert asked.heard() == {"lost": "answered with something else than its jobs"}
    assert asked.heard() is None


def test_one_that_died_idle_is_told_apart(tmp_path: Path, line: Made) -> None:
    """Nothing was begun, so whoever asked may ask another."""
    pings: list[int] = []

    def gone_later() -> None:
        pings.append(1)
        if len(pings) > 1:
            raise RuntimeError("The actor died\n  unexpectedly: node went")

    asked = line(ping=gone_later)
    asked.ask(tmp_path)

    assert asked.heard() == {"idle": "is gone (The actor died unexpectedly: node went)"}


def test_one_that_was_ended_writes_and_says_nothing(tmp_path: Path) -> None:
    """Though its actor had just made what it was asked for."""
    begun, goes_on, is_over = Event(), Event(), Event()

    def do(_jobs: list[bytes]) -> object:
        begun.set()
        goes_on.wait(5)
        is_over.set()
        return [(b"picture", None)]

    nodes = Nodes(do=do)
    asked = Line(nodes)
    asked.ask(tmp_path)
    assert begun.wait(5)
    asked.ours.shutdown(socket.SHUT_WR)

    assert asked.heard() is None  # from here on nothing is written
    assert nodes.killed.wait(5)
    goes_on.set()
    assert is_over.wait(5)
    asked.close()
    other = Line(Nodes(do=_done([(b"", None)])))
    other.ask(tmp_path / "none")
    assert other.heard() == {"answers": [{"errno": 2}]}
    other.close()
    assert list(tmp_path.iterdir()) == []
