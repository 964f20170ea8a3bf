"""How much room a project takes, by what, and what of it could be made again at no cost.

It looks at names, sizes and times only, and opens nothing but the ledger. What is a copy of a
stored picture has its length and its time, to the nanosecond, and is put back by the next run; what
a person edited has another time. Nothing is deleted here.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from stage3_plugin.maintenance.state_folder import LedgerMissing, StateFolder

Stamp: TypeAlias = tuple[int, int]
"""A file's length and its time of change in nanoseconds."""

STORIES: Final = ".story"
"""The host's folder beside the state folder."""

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


@dataclass(slots=True)
class Amount:
    """So many files of one kind.

    Attributes:
        files: How many.
        size_bytes: How long they are together; a file with several names counts once.
        again_files: How many of them could be made again at no cost.
        again_bytes: How long these are.
    """

    files: int = 0
    size_bytes: int = 0
    again_files: int = 0
    again_bytes: int = 0

    def add(self, size_bytes: int, *, is_made_again: bool) -> None:
        """Count a file."""
        self.files += 1
        self.size_bytes += size_bytes
        if is_made_again:
            self.again_files += 1
            self.again_bytes += size_bytes


@dataclass(slots=True)
class Place:
    """A folder, and what it holds by kind.

    Attributes:
        path: Where it is.
        holds: By kind.
    """

    path: Path
    holds: defaultdict[str, Amount] = field(default_factory=lambda: defaultdict(Amount))


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a project takes.

    Attributes:
        places: The state folder, the folder of results, and the host's, as far as they are there.
        unread: What could not be looked into.
    """

    places: tuple[Place, ...]
    unread: tuple[Path, ...]


class _Found(NamedTuple):
    """A file: the names that lead to it from its place, and what the system says of it."""

    parts: tuple[str, ...]
    details: os.stat_result


class _Looking:
    """Goes through folders, once each, and through no link."""

    def __init__(self) -> None:
        self.unread: list[Path] = []
        self._seen: set[tuple[int, int]] = set()

    def leave_out(self, folder: Path) -> None:
        """Look at a folder only if it is asked for itself."""
        try:
            found = folder.stat()
        except OSError:
            return
        self._seen.add((found.st_dev, found.st_ino))

    def files(self, folder: Path) -> Iterator[_Found]:
        """Yield the files below a folder; one that has another name was yielded by that."""
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
                    yield _Found((*parts, name), details)


def look(folder: StateFolder, out_dir: Path) -> Room:
    """Look at a project.

    Args:
        folder: Its state folder.
        out_dir: The folder of its results.

    Raises:
        LedgerFailed: The ledger cannot be read.
    """
    looking = _Looking()
    for one in (folder.path, out_dir, folder.path.parent / STORIES):
        looking.leave_out(one)
    stored = set[Stamp]()
    state, story = _state(folder, looking, stored), _story(folder, looking, stored)
    places = (state, _results(out_dir, looking, stored), story)
    there = tuple(one for one in places if one.holds)
    return Room(places=there, unread=tuple(looking.unread))


def _state(folder: StateFolder, looking: _Looking, stored: set[Stamp]) -> Place:
    """Look at the state folder; keep the stamps of what is stored."""
    name = folder.ledger_path.name
    of_ledger = dict.fromkeys((name, f"{name}-wal", f"{name}-shm"), LEDGER)
    bought, drawn = _pictures(folder)

    def kind(parts: tuple[str, ...]) -> str:
        first, last = parts[0], parts[-1]
        if first == "objects" and last != first:
            return BOUGHT if last in bought else DRAWN if last in drawn else LOOSE
        return _OF_STATE.get(first) or of_ledger.get(first, OTHER)

    place = Place(folder.path)
    for found in looking.files(folder.path):
        if found.parts[0] == "objects":
            stored.add(_stamp(found))
        _add(place, kind(found.parts), found, stored)
    return place


def _pictures(folder: StateFolder) -> tuple[frozenset[str], frozenset[str]]:
    """Return the hashes of the pictures that were paid for, and of those that were drawn."""
    try:
        with folder.reading() as ledger:
            drawn = ledger.drawn_pictures()
            return ledger.pictures() - drawn, drawn
    except LedgerMissing:
        return frozenset(), frozenset()


def _results(out_dir: Path, looking: _Looking, stored: set[Stamp]) -> Place:
    place = Place(out_dir)
    for found in looking.files(out_dir):
        _add(place, _kind_of_result(found.parts), found, stored)
    return place


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


def _story(folder: StateFolder, looking: _Looking, stored: set[Stamp]) -> Place:
    """Look at the host's folder; keep the stamps of what it stores."""
    place = Place(folder.path.parent / STORIES)
    for found in looking.files(place.path):
        if "objects" in found.parts:
            stored.add(_stamp(found))
        _add(place, STORY, found, stored)
    return place


def _add(place: Place, kind: str, found: _Found, stored: set[Stamp]) -> None:
    is_copy = kind in _COPIED and _stamp(found) in stored
    is_made_again = kind in _MADE_AGAIN or is_copy
    place.holds[kind].add(found.details.st_size, is_made_again=is_made_again)


def _stamp(found: _Found) -> Stamp:
    return found.details.st_size, found.details.st_mtime_ns
