"""What goes over the pipes between a run and its cluster's driver, written here for both ends.

One way go a line of JSON and as many bytes as it says, the other way lines of JSON alone: pictures
are written to files by the driver, so they pass no pipe.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

LONGEST_LINE = 65_536
"""Bytes of a line of JSON, the other way."""


def frame(head: Mapping[str, object], content: bytes = b"") -> bytes:
    """Put a head and what belongs to it into one piece."""
    return json.dumps({**head, "bytes": len(content)}).encode("ascii") + b"\n" + content


def next_frame(file: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Read one piece; ``None`` where no more will come."""
    line = file.readline()
    if not line.endswith(b"\n"):
        return None
    head: dict[str, Any] = json.loads(line)
    content = file.read(head["bytes"])
    return None if len(content) < head["bytes"] else (head, content)


def line_of(answer: Mapping[str, object]) -> bytes:
    """Put an answer into one line."""
    return json.dumps(answer).encode("ascii") + b"\n"
