"""Replicas as actors of Ray: the only module that speaks with Ray.

Ray is imported by name, and what is used of it is written down here, so that nobody else needs it
to read, check or install this. An actor that dies is made again by Ray wherever there is room
(``max_restarts=-1``), and a call that it died over is not repeated (``max_task_retries=0``): that
is for the run to decide.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol, cast

from stage3_plugin.executors.base import Problem, Work
from stage3_plugin.executors.cluster.pool import Gone, NotBegun, Unusable

PAUSE_S = 0.2
"""Between two looks at an actor that is just being made again."""
_LONGEST_WORDS = 600


class Ray(Protocol):
    """What is used of the module ``ray``; references and handles are its own."""

    exceptions: Any
    __version__: str

    def init(self, **options: object) -> object: ...
    def shutdown(self) -> None: ...
    def remote(self, of: type) -> Any: ...
    def get(self, reference: object) -> object: ...
    def wait(self, references: list[object], *, timeout: float) -> tuple[list[object], object]: ...
    def kill(self, actor: object, *, no_restart: bool) -> None: ...


def ray_module() -> Ray:
    """Import Ray."""
    return cast("Ray", importlib.import_module("ray"))


class Actor:
    """What an actor is, in the process of a node.

    It is sent there by value, with all it knows, so that a node that lacks this package, or has
    another release of it, can still say so. What it returns is made of plain tuples, bytes and
    text.

    Args:
        work: The fields of a work.
        left_out: Variables that this process loses before anything of the work is imported.
    """

    def __init__(self, work: dict[str, Any], left_out: tuple[str, ...]) -> None:
        self._work = work
        self._left_out = left_out
        self._replica: Any = None

    def ping(self) -> None:
        """Answer: it is placed, and runs."""

    def load(self) -> int | str:
        """Make what does the work: how many jobs it takes at once, or why it cannot be made."""
        for name in self._left_out:
            os.environ.pop(name, None)
        try:
            from stage3_plugin.executors.base import Work  # noqa: PLC0415 - likewise
            from stage3_plugin.executors.replica import Replica  # noqa: PLC0415 - likewise

            self._replica = Replica(Work(**self._work))
        except ImportError as error:
            return f"{error} (every node needs what the driver has installed, in its release)"
        except Exception as error:  # noqa: BLE001 - it may be of another release's making
            return str(error)
        at_once: int = self._replica.at_once
        return at_once

    def do(self, jobs: list[bytes]) -> list[tuple[bytes, None] | tuple[str, bool]] | None:
        """Do jobs: what was made of each, or a problem and whether it may pass.

        ``None``: nothing was begun, since it was made again and has nothing to do them with yet.
        """
        if self._replica is None:
            return None
        return [
            (made, None) if isinstance(made, bytes) else (made.words, made.may_pass)
            for made in self._replica.do(jobs)
        ]


class RayRemote:
    """One replica as an actor.

    Args:
        ray: The module, which is connected.
        work: What it makes.
        wants: The resources that it takes: ``num_cpus``, ``num_gpus``, ``resources``.
        left_out: Variables of the environment that it loses first.
    """

    def __init__(
        self, ray: Ray, work: Work, wants: Mapping[str, object], left_out: tuple[str, ...]
    ) -> None:
        self._ray = ray
        # Of a module that nodes could import they would take their own, in whatever release.
        importlib.import_module("ray.cloudpickle").register_pickle_by_value(sys.modules[__name__])
        self._class = ray.remote(Actor).options(
            **wants, max_restarts=-1, max_task_retries=0, max_concurrency=1
        )
        self._arguments = ({field: getattr(work, field) for field in _FIELDS}, left_out)
        self._actor: Any = None
        self._ping: object = None
        self._dies = ray.exceptions.ActorDiedError
        self._fails = ray.exceptions.RayError

    def find(self, wait_s: float) -> bool:
        """Look whether the actor answers; have one made where there is none."""
        if self._actor is None:
            self._actor = self._class.remote(*self._arguments)
            self._ping = None
        if self._ping is None:
            self._ping = self._actor.ping.remote()
        done, _ = self._ray.wait([self._ping], timeout=wait_s)
        if not done:
            return False
        reference, self._ping = self._ping, None
        try:
            self._ray.get(reference)
        except self._dies as error:
            self._actor = None
            raise Gone(_words(error)) from error
        except self._fails:  # it is just being made again, perhaps on another node
            time.sleep(PAUSE_S)
            return False
        return True

    def load(self, start_s: float) -> int:
        """Have the actor make what does the work."""
        made = self._answer(self._actor.load.remote(), start_s)
        if type(made) is int:
            return made
        if type(made) is str:
            raise Unusable(made)
        raise Unusable(f"it answered with {type(made).__name__}")

    def do(self, jobs: list[bytes], timeout_s: float) -> Sequence[bytes | Problem]:
        """Have jobs done by the actor."""
        found = self._answer(self._actor.do.remote(jobs), timeout_s)
        if found is None:
            raise NotBegun("was made again")
        if type(found) is not list or len(cast("list[object]", found)) != len(jobs):
            raise Gone("answered with something else than its jobs")
        return [_checked(one) for one in cast("list[object]", found)]

    def restart(self) -> None:
        """Kill the actor's process; Ray makes it again."""
        if self._actor is not None:
            with suppress(Exception):  # it is dead already, or the cluster is
                self._ray.kill(self._actor, no_restart=False)

    def end(self) -> None:
        """Kill the actor for good."""
        if self._actor is not None:
            with suppress(Exception):  # likewise
                self._ray.kill(self._actor, no_restart=True)

    def _answer(self, reference: object, timeout_s: float) -> object:
        """Wait for what a call returns, and no longer than told.

        Raises:
            Gone: The actor died over it, or took longer; then it is ended.
        """
        if not self._ray.wait([reference], timeout=timeout_s)[0]:
            self.restart()
            raise Gone(f"did not answer within {timeout_s:g} s and was ended")
        try:
            return self._ray.get(reference)
        except self._dies as error:
            self._actor = None
            raise Gone(_words(error)) from error
        except self._fails as error:
            raise Gone(_words(error)) from error


_FIELDS = ("target", "setup", "path", "at_once", "most_bytes")


def _checked(found: object) -> bytes | Problem:
    """Take bytes, or words; anything else is a problem, whoever sent it."""
    if type(found) is tuple and len(cast("tuple[object, ...]", found)) == 2:
        made, may_pass = cast("tuple[object, object]", found)
        if type(made) is bytes and may_pass is None:
            return made
        if type(made) is str and type(may_pass) is bool:
            return Problem(made, may_pass=may_pass)
    return Problem("its replica answered with something else than bytes", may_pass=False)


def _words(error: BaseException) -> str:
    """Return what of Ray's many lines says how an actor went."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    return f"is gone ({' '.join(lines)[:_LONGEST_WORDS]})" if lines else "is gone"
