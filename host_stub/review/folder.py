"""The folder of the page: its own files, which never differ, and what it is told, which does."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

from host_stub.events.journal import write_whole
from host_stub.review.told import Told

NAME: Final = "review"
THUMBS: Final = "thumbs"


def write_page(out_dir: Path, told: Told) -> Path:
    """Write the page and what it is told, and return its first file.

    The page's own files come first, so that one which is open never meets data that it does not
    understand; ``pulse.js`` comes last, since it says that the others are there.

    Args:
        out_dir: The folder of the results.
        told: What there is.

    Raises:
        OSError: The disk did not take it.
    """
    folder = out_dir / NAME
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in own_files().items():
        _write_if_other(folder / name, content)
    write_told(out_dir, told)
    return folder / "index.html"


def write_told(out_dir: Path, told: Told) -> None:
    """Write what the page is told anew; one that is open takes it over.

    Raises:
        OSError: The disk did not take it.
    """
    for name, content in told.scripts().items():
        _write_if_other(out_dir / NAME / name, content)


def own_files() -> dict[str, bytes]:
    """Return the page's own files by name."""
    page = files("host_stub.review") / "page"
    return {file.name: file.read_bytes() for file in page.iterdir() if file.is_file()}


def _write_if_other(path: Path, content: bytes) -> None:
    if not path.is_file() or path.is_symlink() or path.read_bytes() != content:
        write_whole(path, [content])
