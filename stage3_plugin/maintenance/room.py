"""How much room a project takes, by what, and what of it could be made again at no cost.

It looks at names, sizes and times only, and opens nothing but the ledger. What is a copy of a
stored picture has its length and its time, to the nanosecond, and is put back by the next run; what
a person edited has another time. Nothing is deleted here.
"""

from __future__ import annotations

import math
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import Final, TypeAlias

from stage3_plugin.maintenance.report import Part, Report, counted
from stage3_plugin.maintenance.state_folder import LedgerMissing, StateFolder

Stamp: TypeAlias = tuple[int, int]
"""A file's length and its time of change in nanoseconds."""

STORIES: Final = ".story"
"""The host's folder beside the state folder."""
OBJECTS: Final = "objects"
"""Where each of the two keeps pictures by their hash."""
_UNITS: Final = ("kB", "MB", "GB", "TB")
_MOST_UNREAD: Final = 20

BOUGHT: Final = "pictures that were paid for"
DRAWN: Final = "pictures that were drawn here"
LOOSE: Final = "pictures of no purchase"
ORIGINALS: Final = "pictures as they came, with something behind their end"
SPOOL: Final = "answers of providers"
LEDGER: Final = "the ledger"
WRITING: Final = "files being written; after a day they are leftovers, and go by themselves"
STORY: Final = "takes that were chosen, and pictures that people brought"
OTHER: Final = "anything else"
_OF_STATE: Final = {"originals": ORIGINALS, "spool": SPOOL, "tmp": WRITING}
_OF_RESULTS: Final = {
    "takes": "takes",
    "images": "pictures that are shown",
    "thumbs": "small pictures of the page",
    "review": "the page",
    "runs": "records of earlier runs",
    "records": "records of the last run",
    "sheet": "contact sheets",
}
_RESULT_FOLDERS: Final = frozenset({"takes", "images", "review", "runs"})
_MADE_AGAIN: Final = frozenset(
    {DRAWN, *(_OF_RESULTS[one] for one in ("thumbs", "review", "sheet"))}
)
"""What is drawn again by whoever asks for it."""
_COPIED: Final = frozenset({_OF_RESULTS["takes"], _OF_RESULTS["images"]})
"""What is put back by a run, as far as it is a copy of what is stored."""


class Amount(Part):
    """So many files.

    Attributes:
        files: How many.
        bytes: How long they are together; a file with several names counts once.
        again_files: How many of them could be made again at no cost.
        again_bytes: How long these are.
    """

    files: int
    bytes: int
    again_files: int
    again_bytes: int


class Held(Amount):
    """What lies in a folder, of one kind."""

    kind: str


class Place(Amount):
    """A folder, and what it holds by kind, the largest first."""

    path: Path
    holds: tuple[Held, ...]


class Room(Report, Amount):
    """How much room a project takes."""

    format = "stage3-room/1"
    places: list[Place]
    unread: list[Path]

    def sentences(self) -> Iterator[str]:
        """Yield what is held, by what, and how much of it could be made again at no cost."""
        if not self.places:
            yield "there is nothing here yet: no state folder, and no results"
            return
        for place in self.places:
            yield f"{place.path}: {_size(place.bytes)}"
            for one in place.holds:
                again = "" if one.again_files == one.files else f"{_size(one.again_bytes)} "
                more = f"  ({again}could be made again at no cost)" if one.again_files else ""
                yield f"  {_size(one.bytes):>8}  {counted(one.files, 'file')}: {one.kind}{more}"
        yield ""
        yield (
            f"{_size(self.bytes)} in all, of which {_size(self.again_bytes)} could be made again "
            "at no cost; nothing was deleted"
        )
        for path in self.unread[:_MOST_UNREAD]:
            yield f"could not be looked into, and is not counted: {path}"
        if len(self.unread) > _MOST_UNREAD:
            yield f"nor could {len(self.unread) - _MOST_UNREAD:,} further folders"


def _size(size_bytes: int) -> str:
    """Write a size with three digits, in powers of a thousand."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    power = min(int(math.log(size_bytes / 0.9995, 1000)), len(_UNITS))
    size = size_bytes / 1000**power
    number = f"{size:.0f}" if size >= 100 else f"{size:.3g}"
    return f"{number} {_UNITS[power - 1]}"


def look(folder: StateFolder, out_dir: Path) -> Room:
    """Look at a project.

    Args:
        folder: Its state folder.
        out_dir: The folder of its results.

    Raises:
        LedgerFailed: The ledger cannot be read.
    """
    story = folder.path.parent / STORIES
    counting = _Counting(folder.path, out_dir, story)
    state = counting.place(folder.path, _kinds_of_state(folder), lambda parts: parts[0] == OBJECTS)
    brought = counting.place(story, lambda _: STORY, lambda parts: OBJECTS in parts)
    results = counting.place(out_dir, _kind_of_result, lambda _: False)
    places = [one for one in (state, results, brought) if one.holds]
    return Room(places=places, unread=counting.unread, **_in_all(places))


def _in_all(amounts: Sequence[Amount]) -> dict[str, int]:
    return {name: sum(getattr(one, name) for one in amounts) for name in Amount.model_fields}


class _Counting:
    """Goes through folders, once each and through no link, and counts files by kind.

    Args:
        places: Each is looked at only if it is asked for itself.
    """

    def __init__(self, *places: Path) -> None:
        self.unread: list[Path] = []
        self._stored: set[Stamp] = set()
        self._seen: set[tuple[int, int]] = set()
        for one in places:
            with suppress(OSError):
                found = one.stat()
                self._seen.add((found.st_dev, found.st_ino))

    def place(
        self,
        path: Path,
        kind_of: Callable[[tuple[str, ...]], str],
        is_stored: Callable[[tuple[str, ...]], bool],
    ) -> Place:
        """Count what lies below a folder."""
        counts: dict[str, Counter[str]] = {}
        for parts, details in self._files(path):
            kind, size = kind_of(parts), details.st_size
            stamp = size, details.st_mtime_ns
            if is_stored(parts):
                self._stored.add(stamp)
            again = int(kind in _MADE_AGAIN or (kind in _COPIED and stamp in self._stored))
            counts.setdefault(kind, Counter()).update(
                files=1, bytes=size, again_files=again, again_bytes=size * again
            )
        holds = [Held(kind=kind, **count) for kind, count in counts.items()]
        holds.sort(key=lambda one: (-one.bytes, one.kind))
        return Place(path=path, holds=tuple(holds), **_in_all(holds))

    def _files(self, folder: Path) -> Iterator[tuple[tuple[str, ...], os.stat_result]]:
        """Yield the names that lead to each file below a folder, and what the system says of it.

        One that has another name was yielded by that.
        """
        folders: list[tuple[Path, tuple[str, ...]]] = [(folder, ())]
        while folders:
            path, parts = folders.pop()
            try:
                with os.scandir(path) as entries:
                    found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
            except FileNotFoundError:  # it was removed just now, or never there
                continue
            except OSError:
                self.unread.append(path)
                continue
            for name, details in sorted(found, key=itemgetter(0)):
                known_as = (details.st_dev, details.st_ino)
                is_folder = stat.S_ISDIR(details.st_mode)
                if known_as in self._seen:
                    continue
                if is_folder or details.st_nlink > 1:
                    self._seen.add(known_as)
                if is_folder:
                    folders.append((path / name, (*parts, name)))
                else:
                    yield (*parts, name), details


def _kinds_of_state(folder: StateFolder) -> Callable[[tuple[str, ...]], str]:
    """Return what tells what lies in the state folder."""
    name = folder.ledger_path.name
    of_ledger = dict.fromkeys((name, f"{name}-wal", f"{name}-shm"), LEDGER)
    bought = drawn = frozenset[str]()
    with suppress(LedgerMissing), folder.reading() as ledger:
        drawn = ledger.drawn_pictures()
        bought = ledger.pictures() - drawn

    def kind(parts: tuple[str, ...]) -> str:
        first, last = parts[0], parts[-1]
        if first == OBJECTS and last != first:
            return BOUGHT if last in bought else DRAWN if last in drawn else LOOSE
        return _OF_STATE.get(first) or of_ledger.get(first, OTHER)

    return kind


def _kind_of_result(parts: tuple[str, ...]) -> str:
    first = parts[0]
    if first == "review" and len(parts) > 2 and parts[1] == "thumbs":
        return _OF_RESULTS["thumbs"]
    if len(parts) > 1:
        return _OF_RESULTS[first] if first in _RESULT_FOLDERS else OTHER
    if first in {"manifest.json", "events.jsonl", ".story.json"}:
        return _OF_RESULTS["records"]
    is_sheet = first.startswith("sheet") and first.endswith(".png")
    return _OF_RESULTS["sheet"] if is_sheet else OTHER
