"""A model class that waits as for a GPU, and writes down when it did, and its memory.

Imported in replicas, by its name in the settings; made there with ``model_args``.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from stage3_plugin.domain.model import ModelRequest
from stage3_plugin.testing.pngs import make_png

EVERY = 500
"""Renders after which a replica looks at its memory."""


class Waiting:
    """Renders the same picture for all, after some time.

    Args:
        seconds: How long a render takes.
        notes: A folder for what is written down; a file for each replica.
        side_px: Of the picture; a heavy one has three bytes for each pixel.
        heavy: See ``side_px``.
    """

    def __init__(self, *, seconds: float, notes: str, side_px: int, heavy: bool = False) -> None:
        self._seconds = seconds
        self._picture = make_png("a picture", side_px, side_px, heavy=heavy)
        self._notes = Path(notes, f"{os.uname().nodename}-{os.getpid()}.jsonl")
        self._count = 0

    def render(self, request: ModelRequest) -> bytes:
        """Wait, and return the picture."""
        del request
        began_s = time.time()
        time.sleep(self._seconds)
        note = {"began_s": began_s, "ended_s": time.time()}
        self._count += 1
        if self._count % EVERY == 0:
            note["resident_mb"] = _resident_mb()
        if self._seconds or "resident_mb" in note:
            with self._notes.open("a", encoding="utf-8") as file:
                file.write(json.dumps(note) + "\n")
        return self._picture


def _resident_mb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise LookupError("VmRSS")
