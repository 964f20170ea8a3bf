"""A name server that is silent holds nothing up, and is not told as a name that nobody knows."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from stage3_plugin.transport.lookups import Lookups
from tests.hostile.sending import post

ROOT = Path(__file__).parents[2]
SILENT = f"""
import json, socket, sys, time
real = socket.getaddrinfo
def silent(host, *rest, **more):
    if host != "api.example" or more.get("flags"):
        return real(host, *rest, **more)
    time.sleep(30)
    raise socket.gaierror(socket.EAI_AGAIN, "try again")
socket.getaddrinfo = silent
import anyio
sys.path.append({str(ROOT)!r})  # last, so that what is installed is what runs
from tests.hostile.buyer import buy
order = json.loads(sys.argv[1])
print(json.dumps(anyio.run(buy, order, backend=order["backend"])))
"""


def test_a_process_ends_with_its_run_though_a_name_is_still_looked_up(
    tmp_path: Path, anyio_backend: str
) -> None:
    """Nobody waits for the thread that waits for the name server."""
    settings = {
        "provider": "openai",
        "model": "m",
        "base_url": "http://api.example/v1",
        "timeout_s": 1,
        "max_attempts": 1,
    }
    order = {
        "backend": anyio_backend,
        "folder": str(tmp_path),
        "scenes": ["s1"],
        "settings": settings,
    }
    ended = subprocess.run(
        [sys.executable, "-c", SILENT, json.dumps(order)],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=25,
    )
    took_s = time.monotonic() - json.loads(ended.stdout)["over_at"]

    assert took_s < 5
    assert "the name server did not answer" in json.loads(ended.stdout)["messages"]["s1"]


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """Hold lookups up until the test is over."""
    release = threading.Event()
    yield release
    release.set()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "number, words",
    [
        (socket.EAI_NONAME, "the host name could not be resolved"),
        (socket.EAI_AGAIN, "the name server did not answer"),
        (socket.EAI_FAIL, "its name is not found"),
    ],
)
async def test_what_the_name_server_said_is_told(
    monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    """Only one of these is a typo."""

    def fail(*_: object, **__: object) -> Any:
        raise socket.gaierror(number, "told by the system")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    exchange = await post("http://api.example/v1")

    assert exchange.problem == f"cannot connect to api.example: {words}"
    assert not exchange.sent


@pytest.mark.anyio
async def test_one_name_is_looked_up_once_however_many_ask(
    monkeypatch: pytest.MonkeyPatch, held: threading.Event
) -> None:
    """Five hundred requests at one instant are one question."""
    asked: list[str] = []

    def wait(host: str, *_: object, **more: Any) -> Any:
        if more.get("flags"):
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        asked.append(host)
        held.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    lookups = Lookups()
    found: list[Any] = []

    async def ask() -> None:
        found.append(await lookups.addresses("api.example", 80))

    async with anyio.create_task_group() as tasks:
        for _ in range(500):
            tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        held.set()

    assert asked == ["api.example"]
    assert len(found) == 500


@pytest.mark.anyio
async def test_names_that_hang_do_not_become_more_and_more_threads(
    monkeypatch: pytest.MonkeyPatch, held: threading.Event
) -> None:
    """A provider that names a thousand hosts gets a few lookups at a time."""

    def wait(*_: object, **more: Any) -> Any:
        if more.get("flags"):
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        held.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    lookups = Lookups(at_once=4)

    async def ask(number: int) -> None:
        await lookups.addresses(f"{number}.example", 80)

    threads: list[threading.Thread] = []
    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(ask, number)
        await anyio.wait_all_tasks_blocked()
        threads += [one for one in threading.enumerate() if one.name == "stage3-lookup"]
        tasks.cancel_scope.cancel()

    assert len(threads) == 4
    assert all(thread.daemon for thread in threads)
