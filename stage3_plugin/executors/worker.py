"""A worker process: does one job after the other until its standard input ends.

Started by ``executors/processes.py`` as ``python -m``, with the name of the function that does the
work. It ignores Ctrl-C, because the process that asked for the work decides whether to finish it or
throw it away; and it needs no signal to end: when that process is gone, however it went, standard
input ends and so does this one.

What goes over the pipes is read and written here for both ends: a line of JSON and a job's bytes
in, a line of JSON out. Paths of every kind pass as escapes.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import IO, Any

_NEW_FILE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)  # these three are not on every system
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
"""Made new, and never through a link."""

_LONGEST_PROBLEM = 4_000
"""Characters; longer words would not be read to their end."""


def asked(job: bytes, into: Path, part: Path) -> bytes:
    """Put a job into words for a worker.

    Args:
        job: What its function takes.
        into: Where what it makes appears, whole.
        part: Where it is written first, in the same folder.
    """
    head = {"into": str(into), "part": str(part), "job_bytes": len(job)}
    return json.dumps(head).encode("ascii") + b"\n" + job


def problem_in(answer: bytes) -> str | None:
    """Read what became of a job: what was wrong, or ``None``."""
    problem: str | None = json.loads(answer)["problem"]
    return problem


def main() -> None:
    """Do the jobs from standard input; answers go to what was standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = _answers()
    jobs = sys.stdin.buffer
    while line := jobs.readline():
        problem = _problem_with(json.loads(line), jobs)
        try:
            os.write(answers, json.dumps({"problem": problem}).encode("ascii") + b"\n")
        except BrokenPipeError:
            return  # the process that asked is gone


def _answers() -> int:
    """Keep the pipe for answers alone: what a library prints goes to standard error."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers


def _problem_with(head: dict[str, Any], jobs: IO[bytes]) -> str | None:
    """Do one job; any failure is this job's alone, so all are caught and reported."""
    job = jobs.read(head["job_bytes"])
    try:
        _write(_made_of(job), Path(head["part"]), Path(head["into"]))
    except Exception as error:  # noqa: BLE001 - see above
        return f"{type(error).__name__}: {error}"[:_LONGEST_PROBLEM]
    return None


def _made_of(job: bytes) -> bytes:
    # Imported at the first job: what draws takes half of the time that starting takes, and by now
    # SIGINT is ignored. A work that cannot be imported is a problem of the job, which says so.
    module, _, name = sys.argv[1].partition(":")
    made: bytes = getattr(importlib.import_module(module), name)(job)
    return made


def _write(made: bytes, part: Path, into: Path) -> None:
    try:
        with os.fdopen(os.open(part, _NEW_FILE, 0o600), "wb") as file:
            file.write(made)
        part.replace(into)
    finally:
        part.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
