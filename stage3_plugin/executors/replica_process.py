"""A replica that is a process of this machine: makes what does the work, then does its calls.

Started by :mod:`.replicas` in a session of its own. Ctrl-C does not reach it: whoever asked for the
work decides whether to finish it or to throw it away. It ends when its input does, and at once,
with all that it has started, when the process that asked is gone in the middle of a call.

What the work prints goes to standard error, and what it reads from standard input is nothing: the
pipes are for :mod:`.messages` alone.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from typing import IO, Final

from stage3_plugin.errors import JobFailed
from stage3_plugin.executors.messages import Asked, Said, answer, made_of, serve
from stage3_plugin.executors.replica import Replica

GRACE_S: Final = 3.0
"""How long a replica whose input has ended may take to end by itself."""


def main() -> None:
    """Do what standard input asks for; answers go to what was standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with(int(sys.argv[2]))
    jobs, answers = own_pipes()
    home = os.getpid()
    asked = Asked(jobs, _gone)
    _keep_from_forks(jobs, answers)

    def see_that_it_is_no_fork() -> None:
        if os.getpid() != home:  # one that came back from the work: the replica does the rest
            os._exit(0)

    def write(found: bytes | JobFailed, into: str, part: str) -> Said | None:
        see_that_it_is_no_fork()
        return made_of(found, into, part)

    def say(said: Said) -> None:
        see_that_it_is_no_fork()
        try:
            answers.write(answer(said))
            answers.flush()
        except BrokenPipeError:
            _kill_all()  # the process that asked is gone

    serve(asked, Replica, say, write)


def own_pipes() -> tuple[IO[bytes], IO[bytes]]:
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


def _gone(was_idle: bool) -> None:  # noqa: FBT001 - see Asked
    """End, with all that was started, when nobody asks any more: at once, if that was cut off."""
    if was_idle:
        time.sleep(GRACE_S)  # and then something that the work has started keeps it
    _kill_all()
