"""``kill -9`` on a busy machine: what is left to decide of requests that had not begun to leave.

A row is in the ledger before its request leaves, and whoever is killed in between leaves a row. On
an idle machine that is a moment; where every core is taken it is long. The next run sees that it
never left. How many there are is counted at the door of the server, which sees every byte.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stage3_plugin.domain.states import COUNTED, State
from tests.fakes.behaviours import Ok
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.wire import Asked
from tests.killing.chains import Chain, story
from tests.killing.checks import left_in, wait_for
from tests.killing.conftest import AT_ONCE
from tests.killing.processes import Servers
from tests.projects import Project

KILLS = int(os.environ.get("BUSY_KILLS", "12"))
"""A measurement has a hundred."""
BURNING = 2
SCENES = 16
CAPACITY = 8
LONGEST_ANSWER_S = 0.3
MOST_FOR_NOTHING = 0.2
"""Such rows for each kill: between the note that a request leaves and its byte lies a moment."""


@dataclass
class Door:
    """Passes on what comes to a server, and counts the connections of which a byte came."""

    api: ImageApi
    arrived: int = 0
    port: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list[threading.Thread])

    @contextmanager
    def open(self) -> Generator[str]:
        """Listen in the block, and give the address."""
        with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
            self.port = listening.getsockname()[1]
            accepting = threading.Thread(target=self._accept, args=(listening,))
            accepting.start()
            yield f"http://127.0.0.1:{self.port}/v1"
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()
        for thread in self._threads:
            thread.join()

    def settled(self) -> int:
        """Return how many there were, once the last byte of a dead process has been read."""
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.shutdown(socket.SHUT_WR)
            assert last.recv(1) == b""  # it was accepted, behind all that came before it
        deadline = time.monotonic() + 30
        while any(thread.is_alive() for thread in self._threads):
            assert time.monotonic() < deadline, "a connection is still open"
            time.sleep(0.01)
        wait_for(self.api)
        return self.arrived

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                thread = threading.Thread(target=self._meet, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _meet(self, client: socket.socket) -> None:
        address = urlsplit(self.api.base_url)
        with client, suppress(OSError):
            first = client.recv(65536)
            if not first:
                return
            with self._lock:
                self.arrived += 1
            with socket.create_connection((str(address.hostname), address.port or 80)) as server:
                server.sendall(first)
                back = threading.Thread(target=_carry, args=(server, client))
                back.start()
                _carry(client, server)
                back.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def busy_machine() -> Generator[None]:
    """Have processes take all the time that they get, in the block."""
    command = [sys.executable, "-c", "while True: pass"]
    burning = [subprocess.Popen(command) for _ in range(BURNING)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


def answer(asked: Asked) -> Ok:
    """Answer after a while that differs from scene to scene."""
    return Ok(usage=None, delay_s=random.Random(asked.prompt).uniform(0, LONGEST_ANSWER_S))


@pytest.mark.heavy
def test_rows_of_requests_that_never_left_are_counted(
    servers: Servers, service: ImageApi, projects: Path
) -> None:
    """Every request that began to leave has a row, and every such row counts as paid for."""
    service.otherwise = answer
    chance = random.Random(29)
    door = Door(service)
    kills = open_rows = never_left = for_nothing = 0
    whole_s = 0.0
    with busy_machine(), door.open() as address:

        def chain_of(name: str) -> Chain:
            return Chain(
                servers=servers,
                api=service,
                folder=projects / name,
                scenes=story(f"busy-{name}", SCENES),
                cap=SCENES,
                capacity=CAPACITY,
                size="64x64",
                settings={"base_url": address},
            )

        for number in range(AT_ONCE + 1):  # by each process, which first has to be ready
            began_s = time.monotonic()
            chain_of(f"whole-{number}").run()
            whole_s = time.monotonic() - began_s
        for number in range(100 * KILLS):
            chain = chain_of(str(number))
            before = door.settled()
            if not chain.run(kill_after_s=chance.uniform(0.1, 1) * whole_s)["killed"]:
                continue  # it had ended before
            arrived = door.settled() - before
            [dead] = chain.deaths
            counted = dead.of(*COUNTED)
            kills += 1
            open_rows += len(dead.unanswered)
            received = chain.told.received.total()  # as a whole: the head alone runs nothing
            never_left += len(counted) - received

            assert received <= arrived, "the door has missed a request"
            assert len(counted) >= arrived, "a request has left without a row"
            assert dead.committed_microusd == sum(row.counted_microusd for row in counted)
            assert all(row.counted_microusd for row in counted)
            assert chain.run()["outcomes"] is not None
            after = left_in(chain.folder)
            chain.check(after, chain.told)
            unknown = {row.attempt_id for row in after.of(State.UNKNOWN)}
            on_their_way = received - (len(counted) - len(dead.unanswered))
            assert unknown == dead.lost
            assert len(unknown) >= on_their_way, "a request that has left is taken for never sent"
            for_nothing += len(unknown) - on_their_way
            if kills == KILLS:
                break
    print(
        f"{kills} kills: {open_rows} rows without an answer, {never_left} of them never left, "
        f"{for_nothing} of these are left to be decided"
    )

    assert kills == KILLS
    assert open_rows >= never_left >= for_nothing
    assert for_nothing <= max(1, MOST_FOR_NOTHING * kills)


@contextmanager
def silent() -> Generator[tuple[int, threading.Event]]:
    """Take a connection and its first bytes, and no more; nothing is ever answered."""
    has_come, is_over = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    assert connection.recv(1)
                    has_come.set()
                    is_over.wait(30)

        thread = threading.Thread(target=accept)
        thread.start()
        yield listening.getsockname()[1], has_come
        is_over.set()
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_who_dies_before_the_whole_request_has_left_leaves_nothing_to_decide(
    tmp_path: Path, image_api: ImageApi, scheme: str
) -> None:
    """TLS was being agreed on; or the picture that the scene shows was half on its way."""
    project = Project(tmp_path)
    (tmp_path / "pier.png").write_bytes(make_png("pier", 1800, 1800, heavy=True))
    scene = {"scene_id": "s01", "image_prompt": "s01: a pier", "references": ["pier.png"]}
    (tmp_path / "scenes.json").write_text(json.dumps([scene]), encoding="utf-8")
    with silent() as (port, has_come):
        project.config(image_api, base_url=f"{scheme}://127.0.0.1:{port}/v1")
        run = project.start("run", "scenes.json")
        assert has_come.wait(30)
        time.sleep(0.2)  # as much has left as the system takes
        run.kill()
        run.communicate()
    [left] = project.purchases()
    project.config(image_api)
    again = project.run("run", "scenes.json")

    assert left.state is State.SENDING
    assert "Traceback" not in again.stderr
    assert (project.codes(), again.returncode) == ({"s01": "made"}, 0)
    assert [row.state for row in project.purchases()] == [State.VOID, State.PAID]


def test_who_dies_with_the_machine_is_asked_about(tmp_path: Path, image_api: ImageApi) -> None:
    """A mark may be lost with the power, so that nothing is proved where it lacks."""
    project = Project(tmp_path)
    project.scenes(1)
    with silent() as (port, has_come):
        project.config(image_api, base_url=f"https://127.0.0.1:{port}/v1")
        run = project.start("run", "scenes.json")
        assert has_come.wait(30)
        run.kill()
        run.communicate()
    [noted] = (tmp_path / ".stage3" / "owners").glob("*.sent")
    boot, _, rest = noted.read_text("ascii").partition(" ")
    noted.write_text(f"{boot[::-1]} {rest}", "ascii")
    again = project.run("run", "scenes.json")

    assert (project.codes(), again.returncode) == ({"s01": "unknown"}, 4)
    assert [row.state for row in project.purchases()] == [State.UNKNOWN]
