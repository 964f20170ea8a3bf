"""What belongs to all of a process, as it was before a plugin was imported and as it is now."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGCHLD", "SIGPIPE")


def look() -> Mapping[str, object]:
    """Return what any part of a program could change for all others, by what it is called."""
    mask = os.umask(0o022)
    os.umask(mask)
    handlers = {
        name: signal.getsignal(getattr(signal, name)) for name in _SIGNALS if hasattr(signal, name)
    }
    return {
        "the environment": dict(os.environ),
        "the current folder": Path.cwd(),
        "the file mode mask": mask,
        "the default timeout of sockets": socket.getdefaulttimeout(),
        "sys.excepthook": sys.excepthook,
        "sys.stdout": sys.stdout,
        **{f"the handler of {name}": handler for name, handler in handlers.items()},
    }


def printed_bytes() -> int:
    """Return how much went to the outputs of a worker, which are one file."""
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fstat(1).st_size


def settle(folder: Path) -> None:
    """Move the process to a home and a current folder of its own, both empty."""
    for variable, name in (("HOME", "home"), ("TMPDIR", "temporary")):
        path = folder / name
        path.mkdir(parents=True)
        os.environ[variable] = str(path)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    os.chdir(elsewhere)
