"""What lies in a folder, before and after: names, and the bytes behind them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

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
