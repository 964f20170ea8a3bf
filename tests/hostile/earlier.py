"""Project folders that the version before this one left behind, killed at each of its steps.

They are packed in ``fixtures/earlier.tar.xz``, which ``fixtures/make_earlier.py`` has made. Where
the service is stands in them, and it is another port each time; so that is changed in them, in the
database's log as well, whose checksums are made anew.
"""

from __future__ import annotations

import json
import struct
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARCHIVE = Path(__file__).with_name("fixtures") / "earlier.tar.xz"
STATE = "state"
_LOG_HEADER = 32
_FRAME_HEADER = 24
_BIG_ENDIAN = 0x377F0683


@dataclass(frozen=True, slots=True)
class Earlier:
    """One of them, unpacked.

    Attributes:
        folder: Where.
        killed: At which step its run was killed, or what had become of it.
        settings: Of its run, with the address of the service that is there now.
        scenes: Of its story.
        received: How often the service had been asked for each of them.
    """

    folder: Path
    killed: str
    settings: dict[str, Any]
    scenes: tuple[str, ...]
    received: dict[str, int]

    @property
    def state(self) -> Path:
        """Return its state folder."""
        return self.folder / STATE


def names() -> list[str]:
    """Name all of them."""
    with tarfile.open(ARCHIVE) as tar:
        return sorted({name.partition("/")[0] for name in tar.getnames()})


def unpacked(name: str, folder: Path, base_url: str) -> Earlier:
    """Unpack one below a folder, and let it know where the service is now."""
    with tarfile.open(ARCHIVE) as tar:
        members = [one for one in tar.getmembers() if one.name.partition("/")[0] == name]
        tar.extractall(folder, members, filter="data")
    here = folder / name
    facts = json.loads((here / "facts.json").read_text(encoding="utf-8"))
    settings = facts["settings"]
    _move(here, _place(settings["base_url"]), _place(base_url))
    del settings["total_usd"]  # it was just enough
    return Earlier(
        folder=here,
        killed=facts["killed"],
        settings={**settings, "base_url": base_url},
        scenes=tuple(facts["scenes"]),
        received=facts["received"],
    )


def _place(base_url: str) -> bytes:
    return base_url.removesuffix("/v1").removeprefix("http://").encode()


def _move(folder: Path, old: bytes, new: bytes) -> None:
    assert len(old) == len(new), "a port of the system's choice has five digits"
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        data = path.read_bytes()
        if old in data:
            data = data.replace(old, new)
            path.write_bytes(_checked(data) if path.name.endswith("-wal") else data)


def _checked(log: bytes) -> bytes:
    """Make the checksums of a write-ahead log anew (https://sqlite.org/fileformat2.html, 4.2)."""
    order = ">" if struct.unpack(">I", log[:4])[0] == _BIG_ENDIAN else "<"
    (page_bytes,) = struct.unpack(">I", log[8:12])
    data = bytearray(log)
    sums = _summed(order, log[:24], (0, 0))
    assert sums == struct.unpack(">II", log[24:32]), "its header has nothing that was changed"
    for at in range(_LOG_HEADER, len(data), _FRAME_HEADER + page_bytes):
        page = at + _FRAME_HEADER
        if len(data) < page + page_bytes or data[at + 8 : at + 16] != data[16:24]:
            break  # what stands there is of an earlier log
        sums = _summed(order, data[at : at + 8], sums)
        sums = _summed(order, data[page : page + page_bytes], sums)
        data[at + 16 : at + 24] = struct.pack(">II", *sums)
    return bytes(data)


def _summed(order: str, data: bytes | bytearray, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    for one, other in struct.iter_unpack(f"{order}II", data):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
