"""Real PNGs, made in a few milliseconds: one per prompt, of the size asked for.

The fake API must answer with pictures that a strict reader accepts, thousands of times per test.
So the compressed pixels are made once per size, and a prompt only chooses the two colours of the
palette; a heavy picture is noise, which no compression makes smaller.
"""

from __future__ import annotations

import functools
import hashlib
import random
import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def make_png(prompt: str, width_px: int, height_px: int, *, heavy: bool = False) -> bytes:
    """Make a picture that no other prompt gets; a heavy one weighs 3 bytes per pixel."""
    digest = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()
    colour_type = 2 if heavy else 3
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, colour_type, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header)]
    if not heavy:
        chunks.append(_chunk(b"PLTE", digest[:6]))
    chunks.append(_chunk(b"tEXt", b"prompt\0" + digest.hex().encode()))
    pixels = _noise(width_px, height_px) if heavy else _checks(width_px, height_px)
    chunks += [_chunk(b"IDAT", pixels), _chunk(b"IEND", b"")]
    return SIGNATURE + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@functools.lru_cache(maxsize=16)
def _checks(width_px: int, height_px: int) -> bytes:
    """Draw a checkerboard of two palette entries, 32 pixels a field."""
    light = (b"\0" * 32 + b"\1" * 32) * (width_px // 64 + 1)
    dark = (b"\1" * 32 + b"\0" * 32) * (width_px // 64 + 1)
    rows = (b"\0" + (light if y // 32 % 2 else dark)[:width_px] for y in range(height_px))
    return zlib.compress(b"".join(rows), 1)


@functools.lru_cache(maxsize=4)
def _noise(width_px: int, height_px: int) -> bytes:
    chance = random.Random(0)  # noqa: S311 - noise, the same every time
    rows = (b"\0" + chance.randbytes(3 * width_px) for _ in range(height_px))
    return zlib.compress(b"".join(rows), 0)
