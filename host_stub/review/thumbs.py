"""The small pictures of the page: made once, by processes that stand back for a run."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import Final

from host_stub.review.shrinking import begin, shrink

_MOST_WORKERS: Final = 8
_AHEAD: Final = 4
"""Pictures handed out for each worker: none is idle, and an interrupt has few to wait for."""


def thumb(folder: Path, sha256: str) -> Path:
    """Return where the small picture of a picture is."""
    return folder / f"{sha256}.webp"


def made(folder: Path) -> frozenset[str]:
    """Return the hashes of the pictures that have a small one."""
    try:
        with os.scandir(folder) as found:
            names = [one.name for one in found]
    except FileNotFoundError:
        return frozenset()
    return frozenset(name[:-5] for name in names if name.endswith(".webp"))


def make_thumbs(folder: Path, pictures: Mapping[str, Path]) -> Iterator[tuple[str, str | None]]:
    """Make the small pictures, and yield each hash when it is over, with why it has none.

    Args:
        folder: Where they go; it is made.
        pictures: Where the picture of each hash is.

    Raises:
        OSError: The folder cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    left = iter(pictures.items())
    doing: dict[Future[str | None], str] = {}
    workers = max(1, min(_MOST_WORKERS, os.cpu_count() or 1, len(pictures)))
    # Spawned, since a forked one would keep the locks that other threads of ours hold.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=begin) as pool:
        try:
            while True:
                for sha256, path in islice(left, _AHEAD * workers - len(doing)):
                    doing[pool.submit(shrink, path, thumb(folder, sha256), sha256)] = sha256
                if not doing:
                    return
                for future in wait(doing, return_when=FIRST_COMPLETED).done:
                    yield doing.pop(future), future.result()
        except BrokenProcessPool:  # a picture that kills its decoder; the others come next time
            yield from ((sha256, "the process that read it died") for sha256 in doing.values())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
