"""What goes over the pipes to a replica, written here for both ends, wherever it is.

One way go a line of JSON and the bytes that it counts, the other way lines of JSON alone: what is
made is written to files by who was asked, so pictures pass no pipe.

========================================  ======================================================
what is asked                             what is answered
========================================  ======================================================
``make``: a work, whose setup is behind   ``at_once``; or ``unusable``, why it cannot be made
``places``: a call, whose jobs are behind  ``answers``: for each job nothing, or why it is not done
either, of an actor in a cluster          ``lost``: it is gone; or ``idle``, and had not begun that
what a cluster's driver is to join        ``refused``: why there is none
========================================  ======================================================
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any, Final, TypeAlias, cast

from stage3_plugin.errors import JobFailed, WorkUnusable
from stage3_plugin.executors.base import Work, Worker

Said: TypeAlias = Mapping[str, Any]
Message: TypeAlias = tuple[dict[str, Any], list[bytes]]
LONGEST_ANSWER: Final = 64 << 20
"""Bytes of the answer to one call; the words about a job are far shorter."""


def message(head: Said, parts: Sequence[bytes] = ()) -> bytes:
    """Put what is asked, and what belongs to it, into one piece."""
    line = json.dumps({**head, "bytes": [len(part) for part in parts]}, default=_plain)
    return b"".join([line.encode("ascii"), b"\n", *parts])


def _plain(value: object) -> object:
    """Return what JSON has for a value of a scene that it does not know by itself."""
    return dict(cast("Mapping[str, object]", value)) if isinstance(value, Mapping) else str(value)


def next_message(file: IO[bytes]) -> Message | None:
    """Read what is asked next; ``None`` where no more comes: who wrote it is gone."""
    line = file.readline()
    if not line.endswith(b"\n"):
        return None
    head: dict[str, Any] = json.loads(line)
    parts = [file.read(size) for size in head["bytes"]]
    return (head, parts) if [len(part) for part in parts] == head["bytes"] else None


def answer(said: Said) -> bytes:
    """Put what is answered into one line."""
    return json.dumps(said).encode("ascii") + b"\n"


def making(work: Work) -> tuple[Said, list[bytes]]:
    """Ask for what does the work."""
    said = {name: getattr(work, name) for name in ("target", "path", "at_once", "most_bytes")}
    return {"make": said}, [work.setup]


def made_of(found: bytes | JobFailed, into: str, part: str) -> Said | None:
    """Write what was made, whole or not at all; say why, where nothing was.

    Args:
        found: What came of a job.
        into: Where it is to appear.
        part: Where it is written first, in the same folder: made new, and never through a link.
    """
    if isinstance(found, JobFailed):
        return {"words": str(found), "may_pass": found.may_pass}
    try:
        with open(part, "xb", opener=partial(os.open, mode=0o600)) as file:
            file.write(found)
        Path(part).replace(into)
    except OSError as error:
        with suppress(OSError):
            Path(part).unlink(missing_ok=True)
        return {"errno": error.errno or errno.EIO}
    return None


class Asked:
    """Reads what is asked in a thread of its own, which sees the end of it at any time.

    Args:
        file: Where it comes from.
        gone: Called in that thread when no more comes, with whether nothing was being done.
    """

    def __init__(self, file: IO[bytes], gone: Callable[[bool], None]) -> None:
        self._file = file
        self._gone = gone
        self._messages = SimpleQueue[Message | None]()
        self._is_idle = True
        Thread(target=self._read, name="stage3-replica", daemon=True).start()

    def wait(self) -> Message | None:
        """Wait for the next message; ``None`` when there is no more."""
        self._is_idle = True
        message = self._messages.get()
        self._is_idle = False
        return message

    def _read(self) -> None:
        while (message := next_message(self._file)) is not None:
            self._messages.put(message)
        was_idle = self._is_idle
        self._messages.put(None)
        self._gone(was_idle)


def serve(
    asked: Asked,
    make: Callable[[Work], Worker],
    say: Callable[[Said], None],
    write: Callable[[bytes | JobFailed, str, str], Said | None],
) -> None:
    """Make what does the work, then do what is asked, until no more comes.

    Args:
        asked: What is.
        make: Makes it, or raises :class:`~stage3_plugin.errors.WorkUnusable`.
        say: Sends an answer.
        write: :func:`made_of`, as far as something may be written.
    """
    begun = asked.wait()
    if begun is None:
        return
    head, (setup,) = begun
    try:
        worker = make(Work(**head["make"], setup=setup))
    except WorkUnusable as error:
        say({"unusable": str(error)})
        return
    say({"at_once": worker.at_once})
    while (message := asked.wait()) is not None:
        head, jobs = message
        made = zip(worker.do(jobs), head["places"], strict=True)
        say({"answers": [write(one, *place) for one, place in made]})
