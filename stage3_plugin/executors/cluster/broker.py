"""The driver of a cluster: a process of its own, started by :mod:`..ray`.

Ray wants a process to itself: it ends the one that it is loaded in when the head of its cluster is
lost for a minute, writes to its terminal, takes its signals, and unpickles what members of the
cluster send. So it has one that holds no key, no ledger and no event loop, that nobody embeds, and
that ends when its standard input does, however the run ended; and a run that reuses everything
never starts it.

It ignores Ctrl-C: the run decides what is finished and what is thrown away.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread, Timer
from typing import IO, Any, TypeAlias

from stage3_plugin.executors.cluster.address import LOCAL, host_and_port, temporary_folder
from stage3_plugin.executors.cluster.remote import Remote, ray_module
from stage3_plugin.executors.messages import Said, answer, next_message
from stage3_plugin.executors.replica_process import own_pipes
from stage3_plugin.runtime.system_errors import in_one_line

KNOCK_S = 5.0
"""Seconds for a cluster's address to be reached."""
JOIN_S = 90.0
"""Seconds for a cluster to let this process in, or to start: Ray itself waits for ever."""
GOODBYE_S = 3.0
"""Seconds that leaving the cluster may take."""

_WANTS = {"num_cpus": "cpus", "num_gpus": "gpus", "resources": "resources"}
"""What Ray calls that which a replica needs of its node."""

_Say: TypeAlias = Callable[[Said], None]


def main() -> None:
    """Connect, have jobs done, and leave when standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked, pipe = own_pipes()
    saying = Lock()

    def say(said: Said) -> None:
        with saying, suppress(BrokenPipeError):  # the run is gone; standard input says so too
            pipe.write(answer(said))
            pipe.flush()

    begun = next_message(asked)
    if begun is None:
        return
    head, _ = begun
    folder = temporary_folder() if head["place"] == LOCAL else None
    try:
        _serve(head, folder, asked, say)
    except BaseException:  # noqa: BLE001 - it is the last that is heard of this process
        traceback.print_exc()
    finally:
        _end(folder)


def _serve(head: dict[str, Any], folder: str | None, asked: IO[bytes], say: _Say) -> None:
    giving_up = Timer(JOIN_S, _give_up, (head["place"], folder, say))
    giving_up.daemon = True
    giving_up.start()
    try:
        ray = ray_module()
        # Here and in no other thread: what Ray starts ends with the thread that started it.
        _join(ray, head, folder)
    except BaseException as error:  # noqa: BLE001 - Ray ends processes by SystemExit, too
        say(_refused(head["place"], in_one_line(error)))
        return
    finally:
        giving_up.cancel()
    say({})
    wants = {key: head[name] for key, name in _WANTS.items()}
    with socket.socket(fileno=int(sys.argv[2])) as lifeline:
        while next_message(asked) is not None:
            _, (handed,), *_ = socket.recv_fds(lifeline, 1, 1)
            Remote(ray, wants, head["left_out"], socket.socket(fileno=handed))
    leaving = Thread(target=ray.shutdown, daemon=True)  # which ends them all
    leaving.start()
    leaving.join(GOODBYE_S)


def _end(folder: str | None) -> None:
    """End this process without what Ray has left to do; a cluster of its own goes with it."""
    if folder is not None:
        for _ in range(3):  # what is just ending may still write there
            shutil.rmtree(folder, ignore_errors=True)
        if hasattr(os, "killpg"):  # Ray leaves some of its helpers behind, in this group
            os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _refused(place: str, why: str) -> dict[str, str]:
    lack = (
        "none can be started here"
        if place == LOCAL
        else f"none answers at {place} that this machine may join"
    )
    return {"refused": f"a Ray cluster is needed, and {lack}: {why}"}


def _give_up(place: str, folder: str | None, say: _Say) -> None:
    say(_refused(place, f"it has let nobody in for {JOIN_S:g} s"))
    _end(folder)


def _join(ray: Any, head: dict[str, Any], folder: str | None) -> None:
    """Join a cluster, or start one of this machine alone."""
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if folder is not None:
        # Bound to loopback, and without a dashboard. The node has what its replicas ask for, and
        # one core at least for itself.
        count, resources = head["replicas"], head["resources"]
        ray.init(
            address=LOCAL,
            include_dashboard=False,
            num_cpus=max(os.cpu_count() or 1, math.ceil(head["cpus"] * count) + 1),
            resources={name: each * count for name, each in resources.items()},
            _temp_dir=folder,
            **quiet,
        )
        return
    host, port = host_and_port(head["place"])
    socket.create_connection((host, int(port)), KNOCK_S).close()
    ray.init(address=head["place"], **quiet)
