"""Whether a wish is honoured, or listed as dropped."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from host_stub.conformance.lab import Lab
from host_stub.conformance.requirement import tries
from host_stub.conformance.verdict import Broken


def _wish(lab: Lab, name: str, value: object, *, can: str) -> str:
    recorded = lab.made([lab.scene(1, **{name: value})])
    is_able = bool(getattr(lab.capabilities, can))
    for one in recorded.pictures:
        is_dropped = name in one.dropped
        if is_able and is_dropped:
            raise Broken(f"the plugin declares the capability {can!r}, and dropped {name!r}")
        if not is_able and not is_dropped:
            raise Broken(f"the plugin cannot honour {name!r}, and dropped is {list(one.dropped)}")
    return f"{name!r} is {'honoured' if is_able else 'listed in dropped'}"


@tries("dropped.seed")
def seed(lab: Lab) -> str:
    """Ask for a seed."""
    return _wish(lab, "seed", 7, can="seed")


@tries("dropped.negative-prompt")
def negative_prompt(lab: Lab) -> str:
    """Ask for something not to be there."""
    return _wish(lab, "negative_prompt", "fog", can="negative_prompt")


@tries("dropped.references")
def references(lab: Lab) -> str:
    """Show a picture."""
    _write_picture(lab.project / "reference.png")
    return _wish(lab, "references", ("reference.png",), can="references")


@tries("dropped.nothing")
def nothing(lab: Lab) -> str:
    """Ask for nothing in particular."""
    for one in lab.made(lab.scenes(2, width=None, height=None)).pictures:
        if one.dropped:
            raise Broken(f"nothing was wished for, and {', '.join(one.dropped)} was dropped")
    return "2 scenes without wishes, and none was dropped"


def _write_picture(path: Path) -> None:
    """Write a small PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    side = 64
    rows = b"".join(b"\x00" + bytes((row * 3, 90, 160)) * side for row in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks))
