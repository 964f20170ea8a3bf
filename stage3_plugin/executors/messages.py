"""What goes over the pipes of a process that works for this one, written here for both ends.

One way go a line of JSON and the bytes that it counts, the other way lines of JSON alone: what is
made is written to files by who was asked, so pictures pass no pipe.

========================================  ======================================================
what is asked                             what is answered
========================================  ======================================================
``make``: a work, whose setup is behind   ``at_once``; or ``unusable``, why it cannot be made
``places``: a call, whose jobs are behind  ``answers``: for each job nothing, or why it is not done
========================================  ======================================================
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from stage3_plugin.errors import JobFailed
from stage3_plugin.executors.base import Work

Said: TypeAlias = Mapping[str, Any]
LONGEST_ANSWER: Final = 64 << 20
"""Bytes of the answer to one call; the words about a job are far shorter."""


def message(head: Said, parts: Sequence[bytes] = ()) -> bytes:
    """Put what is asked, and what belongs to it, into one piece."""
    line = json.dumps({**head, "bytes": [len(part) for part in parts]})
    return b"".join([line.encode("ascii"), b"\n", *parts])


def next_message(file: IO[bytes]) -> tuple[dict[str, Any], list[bytes]] | None:
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
