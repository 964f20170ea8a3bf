"""A replica that is a process of this machine: makes what does the work, then does its calls.

Started by :mod:`.replicas` in a session of its own. Ctrl-C does not reach it: whoever asked for the
work decides whether to finish it or to throw it away. It ends when its input does, and at once,
with all that it has started, when the process that asked is gone in the middle of a call.

What goes over the pipes is read and written here for both ends: a line of JSON and bytes in, a line
of JSON out. What the work prints goes to standard error, and what it reads from standard input is
nothing: the pipes are for the protocol alone.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from stage3_plugin.executors.base import Problem, Work
from stage3_plugin.executors.replica import Replica, Unusable, in_one_line

STARTER: Final = (
    "import sys; sys.path[:] = __import__('json').loads(sys.argv[1]); "
    f"from {__name__} import main; main()"
)
"""What the interpreter is started with, and the path of the process that starts it."""
GRACE_S: Final = 3.0
"""How long a replica whose input has ended may take to end by itself."""
LONGEST_ANSWER: Final = 65_536
"""Bytes of an answer, for each job of its call."""

_NEW_FILE: Final = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)  # these three are not on every system
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
"""Made new, and never through a link."""


@dataclass(frozen=True, slots=True)
class Order:
    """One job of a call.

    Attributes:
        job: What is to be done.
        into: Where what is made appears, whole.
        part: Where it is written first, in the same folder.
    """

    job: bytes
    into: Path
    part: Path


@dataclass(frozen=True, slots=True)
class DiskProblem:
    """Why what was made is not there: the disk did not take it.

    Attributes:
        number: What the system calls that.
    """

    number: int


Answer: TypeAlias = Problem | DiskProblem | None
"""What became of a job; ``None`` if it is done."""
_Message: TypeAlias = tuple[dict[str, Any], list[bytes]]


# The messages, for both ends ---------------------------------------------------------------------


def made(work: Work) -> bytes:
    """Put into words what is to be made first."""
    head: dict[str, object] = {
        "target": work.target,
        "setup": base64.b64encode(work.setup).decode("ascii"),
        "path": work.path,
        "at_once": work.at_once,
        "most_bytes": work.most_bytes,
        "bytes": [],
    }
    return json.dumps(head).encode("ascii") + b"\n"


def asked(orders: Sequence[Order]) -> bytes:
    """Put a call into words."""
    head = {
        "places": [[str(order.into), str(order.part)] for order in orders],
        "bytes": [len(order.job) for order in orders],
    }
    line = json.dumps(head).encode("ascii")
    return b"".join([line, b"\n", *(order.job for order in orders)])


def at_once_in(answer: bytes) -> int:
    """Read whether it could be made, and how many jobs are done in one call.

    Raises:
        Unusable: It could not be.
    """
    said = json.loads(answer)
    if "unusable" in said:
        raise Unusable(said["unusable"])
    return int(said["at_once"])


def answers_in(answer: bytes, count: int) -> list[Answer]:
    """Read what became of the jobs of a call.

    Raises:
        ValueError: It is no answer for so many.
    """
    said = json.loads(answer)["answers"]
    if len(said) != count:
        raise ValueError(f"{len(said)} answers to {count} jobs")
    return [_answer(one) for one in said]


def _answer(said: dict[str, Any] | None) -> Answer:
    if said is None:
        return None
    if "errno" in said:
        return DiskProblem(int(said["errno"]))
    return Problem(str(said["words"]), may_pass=bool(said["may_pass"]))


# The process -------------------------------------------------------------------------------------


def main() -> None:
    """Do what standard input asks for; answers go to what was standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with(int(sys.argv[2]))
    jobs, answers = _pipes()
    asked_for = _Reading(jobs)
    head, _ = asked_for.wait() or ({}, [])
    if not head:
        return
    home = os.getpid()
    _keep_from_forks(jobs, answers)
    try:
        replica = Replica(
            Work(
                target=head["target"],
                setup=base64.b64decode(head["setup"]),
                path=tuple(head["path"]),
                at_once=head["at_once"],
                most_bytes=head["most_bytes"],
            )
        )
    except Unusable as error:
        _say(answers, {"unusable": str(error)})
        return
    _end_if_forked(home)
    _say(answers, {"at_once": replica.at_once})
    while (message := asked_for.wait()) is not None:
        head, parts = message
        found = replica.do(parts)
        _end_if_forked(home)
        _say(answers, {"answers": _done(found, head["places"])})


def _pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Keep the pipes for the protocol alone; programs that the work starts do not inherit them."""
    jobs, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    with suppress(AttributeError, OSError):  # so that last words are there, however it ends
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a text file here
    return os.fdopen(jobs, "rb"), os.fdopen(answers, "wb")


def _keep_from_forks(*pipes: IO[bytes]) -> None:
    """See that a fork of this process has none of the pipes.

    It could answer a second time, and while it lives, the death of this process would not be seen.
    """
    if not hasattr(os, "register_at_fork"):  # no forks either
        return

    def forget() -> None:
        nothing = os.open(os.devnull, os.O_RDWR)
        for pipe in pipes:
            os.dup2(nothing, pipe.fileno(), inheritable=False)
        os.close(nothing)

    os.register_at_fork(after_in_child=forget)


def _end_if_forked(home: int) -> None:
    """End a fork that came back from the work as if it were the replica: that one does the rest."""
    if os.getpid() != home:
        os._exit(0)


def _end_with(lifeline: int) -> None:
    """Have the system kill this process and all it has started when its starter is gone.

    That also works where a call holds the interpreter, or is stopped; elsewhere than on Linux the
    thread that reads does it, when it can.
    """
    if sys.platform != "linux":
        return
    import fcntl  # noqa: PLC0415 - not on every system
    import select  # noqa: PLC0415 - likewise

    os.set_inheritable(lifeline, False)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    waiting = select.poll()
    waiting.register(lifeline, 0)
    if waiting.poll(0):  # it was gone before that
        _kill_all()


def _kill_all() -> None:
    if hasattr(os, "killpg"):
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(1)


class _Reading:
    """Reads what is asked in a thread of its own, which sees the end of it at any time."""

    def __init__(self, jobs: IO[bytes]) -> None:
        self._jobs = jobs
        self._messages: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()
        self._is_idle = True
        threading.Thread(target=self._read, name="stage3-replica", daemon=True).start()

    def wait(self) -> _Message | None:
        """Wait for the next message; ``None`` when there is no more."""
        self._is_idle = True
        message = self._messages.get()
        self._is_idle = False
        return message

    def _read(self) -> None:
        with suppress(ValueError, KeyError, OSError):  # half a message: who wrote it is gone
            while line := self._jobs.readline():
                head: dict[str, Any] = json.loads(line)
                parts = [self._jobs.read(size) for size in head["bytes"]]
                if [len(part) for part in parts] != head["bytes"]:
                    break
                self._messages.put((head, parts))
        if not self._is_idle:
            _kill_all()  # nobody waits for what is being done
        self._messages.put(None)
        time.sleep(GRACE_S)
        _kill_all()  # something that the work has started keeps it


def _done(
    found: Sequence[bytes | Problem], places: Sequence[Sequence[str]]
) -> list[dict[str, Any] | None]:
    return [
        _told(_kept(one, Path(into), Path(part)))
        for one, (into, part) in zip(found, places, strict=True)
    ]


def _kept(found: bytes | Problem, into: Path, part: Path) -> Answer:
    if isinstance(found, Problem):
        return found
    try:
        with os.fdopen(os.open(part, _NEW_FILE, 0o600), "wb") as file:
            file.write(found)
        part.replace(into)
    except OSError as error:
        return DiskProblem(error.errno or errno.EIO)
    except Exception as error:  # noqa: BLE001 - this job's alone
        return Problem(in_one_line(error))
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return None


def _told(answer: Answer) -> dict[str, Any] | None:
    if answer is None:
        return None
    if isinstance(answer, DiskProblem):
        return {"errno": answer.number}
    return {"words": answer.words, "may_pass": answer.may_pass}


def _say(answers: IO[bytes], said: dict[str, Any]) -> None:
    try:
        answers.write(json.dumps(said).encode("ascii") + b"\n")
        answers.flush()
    except BrokenPipeError:
        _kill_all()  # the process that asked is gone
