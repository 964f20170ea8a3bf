"""One machine, seen from inside: a process in a network of its own that forks drivers.

It has a loopback interface and nothing else, so that no driver reaches another machine's. What it
imports is imported already in each driver, which is a process of its own all the same: it has its
own locks, connections and files, and dies as any other. The socket at which the image API is
reached is made here, since a socket is of the network in which it is made, and handed out.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

PRELOADED = (
    "anyio._backends._asyncio",
    "host_stub.run.pipeline",
    "host_stub.stage.plan",
    "obstore.store",
    "psycopg",
    "stage3_plugin.engine.build",
    "stage3_plugin.hooks",
    "stage3_plugin.ledger.postgres.place",
    "stage3_plugin.providers.openrouter",
    "stage3_plugin.transport.client",
)
"""Imported only when needed, and then in every driver anew."""


def serve(fd: int, *, is_apart: bool) -> None:
    """Carry out the orders that come in, until there are no more."""
    if is_apart:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for name in PRELOADED:
        importlib.import_module(name)
    print(json.dumps("ready"), flush=True)
    with socket.socket(fileno=fd) as outside:
        for line in sys.stdin:
            order = json.loads(line)
            if "wait" in order:
                said = _wait_for(order["wait"])
            elif "listen" in order:
                said = _listen(order["listen"], outside)
            else:
                said = _driver(order)
            print(json.dumps(said), flush=True)


def _listen(port: int, outside: socket.socket) -> int:
    """Listen on the loopback interface of this network, and hand that out."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(256)
        socket.send_fds(outside, [b"x"], [listening.fileno()])
    return port


def _wait_for(pid: int) -> int:
    """Wait for a driver, and return how it ended."""
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _driver(order: dict[str, Any]) -> int:
    """Fork a driver, and return its number."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.chdir(order["folder"])
        said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(said, 1)
        os.dup2(said, 2)
        words: list[str] = order["words"]
        from host_stub.cli import main

        sys.argv = ["host-stub", *words]
        code = main(words)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).resolve().parents[3]))
    serve(int(sys.argv[1]), is_apart=sys.argv[2] == "apart")
