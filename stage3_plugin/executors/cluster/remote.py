"""Replicas as actors of Ray: the only module that speaks with Ray.

Ray is imported by name, so that nobody needs it to read, check or install this. An actor that dies
stays so, and no call is repeated: what comes next is for the run to decide, as with a process of
its machine.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from threading import Lock, Thread
from typing import Any, cast

from stage3_plugin.errors import JobFailed, WorkUnusable
from stage3_plugin.executors.base import Work, Worker
from stage3_plugin.executors.messages import Asked, Said, answer, made_of, serve

_LONGEST_WORDS = 600


def ray_module() -> Any:
    """Import Ray."""
    ray: Any = importlib.import_module("ray")
    # Of a module that nodes could import they would take their own, in whatever release.
    importlib.import_module("ray.cloudpickle").register_pickle_by_value(sys.modules[__name__])
    return ray


class Actor:
    """What an actor is, in the process of a node.

    It is sent there by value, with all it knows, so that a node that lacks this package, or has
    another release of it, can still say so. What it returns is made of plain tuples, bytes and
    text.
    """

    def ping(self) -> None:
        """Answer: it is placed, and runs."""

    def load(self, work: dict[str, Any], left_out: Sequence[str]) -> int | str:
        """Make what does the work: how many jobs it takes at once, or why it cannot be made.

        Args:
            work: The fields of a work.
            left_out: Variables that this process loses before anything of the work is imported.
        """
        for name in left_out:
            os.environ.pop(name, None)
        try:
            from stage3_plugin.executors.base import Work  # noqa: PLC0415 - likewise
            from stage3_plugin.executors.replica import Replica  # noqa: PLC0415 - likewise

            self._replica = Replica(Work(**work))
        except ImportError as error:
            return f"{error} (every node needs what the driver has installed, in its release)"
        except Exception as error:  # noqa: BLE001 - it may be of another release's making
            return str(error)
        return self._replica.at_once

    def do(self, jobs: list[bytes]) -> list[tuple[bytes, None] | tuple[str, bool]]:
        """Do jobs: what was made of each, or a problem and whether it may pass."""
        return [
            (made, None) if isinstance(made, bytes) else (str(made), made.may_pass)
            for made in self._replica.do(jobs)
        ]


class Gone(Exception):
    """A replica answered what it must not; its words say how."""


class Remote:
    """One replica as an actor, and the connection to who asks it.

    Args:
        ray: The module, which is connected.
        wants: The resources that it takes: ``num_cpus``, ``num_gpus``, ``resources``.
        left_out: Variables of the environment that it loses first.
        connection: By which it is asked; its end is the actor's.
    """

    def __init__(
        self, ray: Any, wants: Mapping[str, Any], left_out: Sequence[str], connection: socket.socket
    ) -> None:
        self._ray = ray
        self._left_out = left_out
        options = {**wants, "max_restarts": 0, "max_task_retries": 0, "max_concurrency": 1}
        self._actor = ray.remote(Actor).options(**options).remote()
        self._connection = connection
        self._is_idle = True
        self._has_ended = False
        self._writing = Lock()
        """Held while something is written, and to end it: afterwards nothing is written."""
        self.at_once = 1
        # Calls may block for as long as a node is frozen.
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with self._connection, self._connection.makefile("rb") as file:
            asked = Asked(file, self._end)
            try:
                self._get(self._actor.ping)
                self._say({})
                serve(asked, self._made, self._say, self._write)
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for it
                with suppress(OSError):  # or nobody
                    self._say({"idle" if self._is_idle else "lost": _words(error)})
            self._end()

    def _end(self, _was_idle: bool = True) -> None:  # noqa: FBT001, FBT002 - see Asked
        """End it for good; from now on it says and writes nothing."""
        with self._writing:
            self._has_ended = True
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
        with suppress(Exception):  # it is dead already, or the cluster is
            self._ray.kill(self._actor, no_restart=True)

    def _say(self, said: Said) -> None:
        self._connection.sendall(answer(said))

    def _write(self, found: bytes | JobFailed, into: str, part: str) -> Said | None:
        with self._writing:
            if self._has_ended:
                raise Gone("was ended")
            return made_of(found, into, part)

    def _get(self, method: Any, *arguments: object) -> object:
        return self._ray.get(method.remote(*arguments))

    def _made(self, work: Work) -> Worker:
        self._is_idle = False
        made = self._get(self._actor.load, asdict(work), self._left_out)
        if type(made) is str:
            raise WorkUnusable(made)
        if type(made) is not int:
            raise Gone(f"answered with {type(made).__name__}")
        self.at_once = made
        return self

    def do(self, jobs: list[bytes]) -> list[bytes | JobFailed]:
        """Have jobs done; a :class:`~stage3_plugin.executors.base.Worker`."""
        self._is_idle = True
        self._get(self._actor.ping)
        self._is_idle = False
        found = self._get(self._actor.do, jobs)
        if type(found) is not list or len(cast("list[object]", found)) != len(jobs):
            raise Gone("answered with something else than its jobs")
        return [_checked(one) for one in cast("list[object]", found)]


def _checked(found: object) -> bytes | JobFailed:
    """Take bytes, or words; anything else is a problem, whoever sent it."""
    if type(found) is tuple and len(cast("tuple[object, ...]", found)) == 2:
        made, may_pass = cast("tuple[object, object]", found)
        if type(made) is bytes and may_pass is None:
            return made
        if type(made) is str and type(may_pass) is bool:
            return JobFailed(made, may_pass=may_pass)
    return JobFailed("its replica answered with something else than bytes", may_pass=False)


def _words(error: BaseException) -> str:
    """Return what of Ray's many lines says how an actor went."""
    if isinstance(error, Gone):
        return str(error)
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    return f"is gone ({' '.join(lines)[:_LONGEST_WORDS]})" if lines else "is gone"
