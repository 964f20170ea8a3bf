"""Refuses opening a received or stored file to write it a second time.

In every process that is to be killed: what a recovery does to what is there already is looked at in
hundreds of them, and an object may share its inode with a part.
"""

from __future__ import annotations

import builtins
import io
import os
from pathlib import Path
from typing import Any

FOLDERS = ("spool", "objects", "originals", "tmp")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_TRUNC


class WrittenTwice(AssertionError):
    """A file was opened to be written that may have been there before."""


def refuse_second_writers(state_dir: Path) -> None:
    """Let nothing below the state folder be opened to write but with ``O_EXCL``."""
    below = tuple(f"{state_dir / name}{os.sep}" for name in FOLDERS)
    system_open, stream_open = os.open, io.open

    def opened(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if flags & _WRITES and not flags & os.O_EXCL and str(path).startswith(below):
            raise WrittenTwice(f"{path} with {flags:#o}")
        return system_open(path, flags, *arguments, **named)

    def streamed(path: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if set(mode) & set("wa+") and str(path).startswith(below):
            raise WrittenTwice(f"{path} with {mode}")
        return stream_open(path, mode, *arguments, **named)

    for module, stand_in in ((os, opened), (io, streamed), (builtins, streamed)):
        setattr(module, "open", stand_in)  # noqa: B010 - their types are too narrow to be assigned
