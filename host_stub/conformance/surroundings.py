"""What is around a plugin, before and after: in its process, and in a folder."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

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


Tree: TypeAlias = Mapping[str, str]
"""Paths relative to a folder, each with a digest of its bytes; a folder ends with a slash."""


def tree_of(folder: Path, *, without: Iterable[Path] = ()) -> Tree:
    """Look at all that lies below a folder, but for what lies at or below ``without``."""
    left_out = [path.absolute() for path in without]
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if any(path.absolute().is_relative_to(one) for one in left_out):
            continue
        name = path.relative_to(folder).as_posix()
        if path.is_dir() and not path.is_symlink():
            found[f"{name}/"] = ""
        else:
            found[name] = digest_of(path)
    return found


def changed(before: Tree, after: Tree) -> list[str]:
    """Say what is there that was not, is not there any more, or is another, a line each."""
    came = [f"{name} was written" for name in after if name not in before]
    went = [f"{name} is gone" for name in before if name not in after]
    other = [
        f"{name} was changed" for name in before if name in after and before[name] != after[name]
    ]
    return came + went + other


def digest_of(path: Path) -> str:
    """Return the sha256 of a file's bytes; empty if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
