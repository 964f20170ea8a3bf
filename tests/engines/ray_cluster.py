"""A Ray cluster of its own for tests: several nodes on this machine, on loopback alone.

A process of its own keeps it, which is told by lines of JSON what to do, so that no test imports
Ray; it ends with the process that started it, and the cluster with it. Nodes are raylets with
processes below them, which are killed and frozen as a machine would be: all at once.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

TOKEN = "a-token-of-these-tests-and-of-nobody-else"
KEY_ON_NODES = {"ACME_KEY": "a-key-that-no-replica-may-have"}
"""What somebody had in the shell that nodes were started from."""
_MIB = 2**20
_LISTENS, _LOOPBACK = "0A", ("0100007F", "00000000000000000000000001000000")
"""Of a row of ``/proc/net/tcp``: its state, and how its address ends."""
_SOON = {
    "health_check_initial_delay_ms": 1_000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1_000,
    "health_check_failure_threshold": 3,
}
"""After how long a node that does not answer is given up, so that tests need not wait for it."""


def environment(token: str = TOKEN) -> dict[str, str]:
    """Return what members of the cluster have in their environment."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_USAGE_STATS_ENABLED": "0"}


class Cluster:
    """Some nodes and a head, which does no work; made by :func:`running`."""

    def __init__(self, keeper: subprocess.Popen[str]) -> None:
        self._keeper = keeper
        begun = self._hear()
        self.address: str = begun["address"]
        self._head: int = begun["head"]
        self.nodes: list[int] = []
        """The process of each node's raylet."""

    def add(self, cpus: int) -> int:
        """Have a node join; returns its raylet's process."""
        node: int = self._ask({"add": cpus})["node"]
        self.nodes.append(node)
        return node

    def remove(self, node: int) -> None:
        """Let a node go as a machine that loses its power."""
        self.nodes.remove(node)
        for process_id in _family(node):
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)

    def freeze(self, node: int) -> None:
        """Stop all of a node; connections to it stay open, and nothing answers."""
        for process_id in _family(node):
            os.kill(process_id, signal.SIGSTOP)

    def lose_head(self) -> None:
        """Let go of what knows the whole cluster; its nodes stay for a while."""
        os.kill(self._head, signal.SIGKILL)

    def replicas(self) -> dict[int, int]:
        """Return the processes of replicas, and the node of each."""
        return {
            process_id: node
            for node in self.nodes
            for process_id in _family(node)
            if _title(process_id).startswith("ray::Actor")
        }

    def wait_for_replicas(self, count: int, within_s: float = 15) -> None:
        """Wait until so many replicas are left."""
        deadline = time.monotonic() + within_s
        while len(self.replicas()) != count:
            assert time.monotonic() < deadline, f"{len(self.replicas())} replicas, not {count}"
            time.sleep(0.05)

    def _ask(self, what: Mapping[str, object]) -> dict[str, Any]:
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(json.dumps(what) + "\n")
        self._keeper.stdin.flush()
        return self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline()
        assert line, "the keeper of the cluster ended"
        heard: dict[str, Any] = json.loads(line)
        return heard


@contextmanager
def running() -> Generator[Cluster]:
    """Start a head; nodes are added to it."""
    folder = tempfile.mkdtemp(prefix="s3t", dir="/tmp")  # paths of sockets must be short
    Path(tempfile.gettempdir(), "ray").mkdir(exist_ok=True)  # where Ray notes a head
    keeper = subprocess.Popen(
        [sys.executable, "-P", __file__, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        env=os.environ | environment() | KEY_ON_NODES,
        start_new_session=True,
    )
    try:
        yield Cluster(keeper)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(keeper.pid, signal.SIGKILL)  # the frozen ones too
        keeper.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def _family(process_id: int) -> list[int]:
    """Return a process and all below it."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found = [process_id]
    for one in found:
        found += children.get(one, [])
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                fields = (entry / "stat").read_text("utf-8").rpartition(")")[2].split()
                if fields[0] != "Z":
                    yield int(entry.name), int(fields[1])


def heard_elsewhere(process_id: int) -> list[str]:
    """Return where a process and those below it listen, beside loopback; as ``/proc`` writes it."""
    sockets: set[str] = set()
    for one in _family(process_id):
        with suppress(OSError):
            for descriptor in Path(f"/proc/{one}/fd").iterdir():
                with suppress(OSError):
                    sockets.add(str(descriptor.readlink()))
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text("utf-8").splitlines()[1:]
    ]
    found = [row[1] for row in rows if row[3] == _LISTENS and f"socket:[{row[9]}]" in sockets]
    assert found, "nothing listens at all"
    return [one for one in found if not one.partition(":")[0].endswith(_LOOPBACK)]


def _title(process_id: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{process_id}/cmdline").read_bytes().decode("utf-8", "replace")
    return ""


def _keep(folder: str, asked: IO[str], told: IO[str]) -> None:
    """Start a head, and add the nodes that are asked for, until nothing more is."""
    utilities: Any = import_module("ray.cluster_utils")  # Ray is not there where types are checked
    everywhere = {
        "node_ip_address": "127.0.0.1",
        "object_store_memory": 100 * _MIB,
        "include_dashboard": False,
        "temp_dir": folder,
    }
    cluster: Any = utilities.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": _SOON, **everywhere}
    )
    (head,) = cluster.head_node.all_processes["gcs_server"]
    begun = {"address": cluster.address, "head": head.process.pid}
    print(json.dumps(begun), file=told, flush=True)
    for line in asked:
        node = cluster.add_node(num_cpus=json.loads(line)["add"], **everywhere)
        (raylet,) = node.all_processes["raylet"]
        print(json.dumps({"node": raylet.process.pid}), file=told, flush=True)


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as told:
        os.dup2(2, 1)  # what Ray prints is not an answer
        _keep(sys.argv[1], sys.stdin, told)
