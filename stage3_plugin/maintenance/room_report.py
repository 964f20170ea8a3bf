"""What ``stage3 room`` says: a table for people, and the same as data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from stage3_plugin.maintenance.report import on_one_line
from stage3_plugin.maintenance.room import Amount, Place, Room

FORMAT: Final = "stage3-room/1"
_UNITS: Final = ("kB", "MB", "GB", "TB")
_MOST_UNREAD: Final = 20
_NOTHING: Final = "there is nothing here yet: no state folder, and no results"


def room_text(room: Room) -> str:
    """Return what is held, by what, and how much of it could be made again at no cost."""
    if not room.places:
        return _NOTHING
    return "\n".join([*_table(room.places), *_in_all(room), *_unread(room.unread)])


def _table(places: Iterable[Place]) -> Iterator[str]:
    for place in places:
        yield f"{on_one_line(str(place.path))}: {_size(_sum(place.holds.values()).size_bytes)}"
        for kind, amount in _largest_first(place):
            again = "" if not amount.again_files else f"  ({_again(amount)})"
            yield f"  {_size(amount.size_bytes):>8}  {_files(amount.files)}: {kind}{again}"


def _again(amount: Amount) -> str:
    if amount.again_files == amount.files:
        return "could be made again at no cost"
    return f"{_size(amount.again_bytes)} could be made again at no cost"


def _in_all(room: Room) -> Iterator[str]:
    total = _sum(amount for place in room.places for amount in place.holds.values())
    yield ""
    yield (
        f"{_size(total.size_bytes)} in all, of which {_size(total.again_bytes)} could be made "
        "again at no cost; nothing was deleted"
    )


def _unread(unread: tuple[Path, ...]) -> Iterator[str]:
    for path in unread[:_MOST_UNREAD]:
        yield f"could not be looked into, and is not counted: {on_one_line(str(path))}"
    if len(unread) > _MOST_UNREAD:
        yield f"nor could {len(unread) - _MOST_UNREAD:,} further folders"


def room_json(room: Room) -> dict[str, object]:
    """Return the same as plain JSON values; sizes are in bytes."""
    total = _sum(amount for place in room.places for amount in place.holds.values())
    return {
        "format": FORMAT,
        "places": [
            {
                "path": str(place.path),
                **_numbers(_sum(place.holds.values())),
                "holds": [
                    {"kind": kind, **_numbers(amount)} for kind, amount in _largest_first(place)
                ],
            }
            for place in room.places
        ],
        **_numbers(total),
        "unread": list(map(str, room.unread)),
    }


def _numbers(amount: Amount) -> dict[str, int]:
    return {
        "files": amount.files,
        "bytes": amount.size_bytes,
        "again_files": amount.again_files,
        "again_bytes": amount.again_bytes,
    }


def _largest_first(place: Place) -> list[tuple[str, Amount]]:
    return sorted(place.holds.items(), key=lambda one: (-one[1].size_bytes, one[0]))


def _sum(amounts: Iterable[Amount]) -> Amount:
    total = Amount()
    for one in amounts:
        total.files += one.files
        total.size_bytes += one.size_bytes
        total.again_files += one.again_files
        total.again_bytes += one.again_bytes
    return total


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _size(size_bytes: int) -> str:
    """Write a size with three digits, in powers of a thousand."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    power = min(int(math.log(size_bytes / 0.9995, 1000)), len(_UNITS))
    size = size_bytes / 1000**power
    number = f"{size:.0f}" if size >= 100 else f"{size:.3g}"
    return f"{number} {_UNITS[power - 1]}"
