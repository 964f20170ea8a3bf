"""The driver of a cluster: a process of its own, started by :mod:`.link`.

Ray wants a process to itself: it ends the one that it is loaded in when the head of its cluster is
lost for a minute, writes to its terminal, takes its signals, and unpickles what members of the
cluster send. So it has one that holds no key, no ledger and no event loop, that nobody embeds, and
that ends when its standard input does, however the run ended; and a run that reuses everything
never starts it.

It ignores Ctrl-C: the run decides what is finished and what is thrown away.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread, Timer
from typing import Any

from stage3_plugin.executors.base import Work
from stage3_plugin.executors.cluster.address import LOCAL, host_and_port, temporary_folder
from stage3_plugin.executors.cluster.frames import line_of, next_frame
from stage3_plugin.executors.cluster.pool import Job, Pool
from stage3_plugin.executors.cluster.remote import Ray, RayRemote, ray_module
from stage3_plugin.executors.replica import in_one_line

TICK_S = 1.0
"""How often it looks whether people want to know what is waited for."""
KNOCK_S = 5.0
"""Seconds for a cluster's address to be reached."""
JOIN_S = 90.0
"""Seconds for a cluster to let this process in, or to start: Ray itself waits for ever."""
GOODBYE_S = 3.0
"""Seconds that ending the replicas may take, and then once more for leaving the cluster."""


class _Answers:
    """The pipe to the run; what any library prints goes to standard error instead."""

    def __init__(self) -> None:
        self._pipe = os.dup(1)
        os.dup2(2, 1)
        self._lock = Lock()

    def __call__(self, answer: Mapping[str, object]) -> None:
        with self._lock, suppress(BrokenPipeError):  # the run is gone; standard input says so too
            rest = memoryview(line_of(answer))
            while rest:
                rest = rest[os.write(self._pipe, rest) :]


def main() -> None:
    """Connect, have jobs done, and leave when standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answer = _Answers()
    begun = next_frame(sys.stdin.buffer)
    if begun is None:
        return
    head, setup = begun
    folder = temporary_folder() if head["place"] == LOCAL else None
    try:
        _serve(head, setup, folder, answer)
    except BaseException:  # noqa: BLE001 - it is the last that is heard of this process
        traceback.print_exc()
    finally:
        _end(folder)


def _serve(head: dict[str, Any], setup: bytes, folder: str | None, answer: _Answers) -> None:
    giving_up = Timer(JOIN_S, _give_up, (head, folder, answer))
    giving_up.daemon = True
    giving_up.start()
    try:
        ray = ray_module()
        # Here and in no other thread: what Ray starts ends with the thread that started it.
        _join(ray, head, folder)
    except BaseException as error:  # noqa: BLE001 - Ray ends processes by SystemExit, too
        answer(_refused(head, in_one_line(error)))
        return
    finally:
        giving_up.cancel()
    work = Work(**head["work"], setup=setup)
    remotes = [
        RayRemote(ray, work, head["wants"], tuple(head["left_out"]))
        for _ in range(head["replicas"])
    ]
    pool = Pool(remotes, start_s=head["start_s"], timeout_s=head["timeout_s"], answer=answer)
    pool.start()
    is_over = Event()
    Thread(target=_take, args=(pool, is_over), daemon=True).start()
    patience = Patience(len(remotes))
    while not is_over.wait(TICK_S):
        if pool.is_idle:  # nobody is there to be told
            continue
        sentence = patience.sentence(pool.lacking, now_s=time.monotonic())
        if sentence is not None:
            answer({"notice": sentence})
    pool.end(GOODBYE_S)
    leaving = Thread(target=ray.shutdown, daemon=True)
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


def _take(pool: Pool, is_over: Event) -> None:
    """Take what the run asks for, until it asks for nothing more."""
    try:
        while (piece := next_frame(sys.stdin.buffer)) is not None:
            head, content = piece
            if "take_back" in head:
                pool.take_back(head["take_back"])
            else:
                pool.add(Job(head["id"], content, Path(head["into"]), Path(head["part"])))
    finally:
        is_over.set()


def _refused(head: Mapping[str, Any], why: str) -> dict[str, str]:
    place = head["place"]
    lack = (
        "none can be started here"
        if place == LOCAL
        else f"none answers at {place} that this machine may join"
    )
    return {"refused": f"a Ray cluster is needed, and {lack}: {why}"}


def _give_up(head: Mapping[str, Any], folder: str | None, answer: _Answers) -> None:
    answer(_refused(head, f"it has let nobody in for {JOIN_S:g} s"))
    _end(folder)


def _join(ray: Ray, head: Mapping[str, Any], folder: str | None) -> None:
    """Join a cluster, or start one of this machine alone."""
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if folder is not None:
        # Bound to loopback, and without a dashboard. The node has what its replicas ask for, and
        # one core at least for itself.
        ray.init(
            address=LOCAL,
            include_dashboard=False,
            _temp_dir=folder,
            **head["of_this_machine"],
            **quiet,
        )
        return
    with socket.create_connection(host_and_port(head["place"]), KNOCK_S):
        pass
    ray.init(address=head["place"], **quiet)


FIRST_S = 30.0
"""Seconds after which a wait is worth a sentence."""
AGAIN_S = 300.0
"""Seconds after which it is said again."""


class Patience:
    """Remembers since when replicas are lacking, and what was said about it.

    Args:
        wanted: How many there should be.
    """

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._next_s: float | None = None

    def sentence(self, lacking: int, *, now_s: float) -> str | None:
        """Return what to say, if it is time to say something.

        Args:
            lacking: How many replicas are not ready.
            now_s: Seconds of any clock that does not go back.
        """
        if lacking == 0:
            self._next_s = None
            return None
        if self._next_s is None:
            self._next_s = now_s + FIRST_S
        if now_s < self._next_s:
            return None
        self._next_s = now_s + AGAIN_S
        return (
            f"waiting for {lacking} of {self._wanted} replicas: the cluster has no place for them "
            "yet, or they still load their model (`ray status` says what is free)"
        )
