"""The pictures that benchmarks buy, and the server that sells them, a process of its own.

A picture is as hard to inflate as a photograph of its size.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image, ImageChops

ROOT = Path(__file__).resolve().parents[2]


def photograph(width_px: int, height_px: int, grain: int) -> bytes:
    """Make a PNG of soft colours and grain, which compresses as photographs do: to about half."""
    chance = Random(7)
    bands: list[Image.Image] = []
    for _ in range(3):
        coarse = (width_px // 32, height_px // 32)
        soft = Image.frombytes("L", coarse, chance.randbytes(coarse[0] * coarse[1]))
        soft = soft.resize((width_px, height_px), Image.Resampling.BICUBIC)  # pyright: ignore[reportUnknownMemberType] - its types name numpy
        levels = bytes(value * grain // 256 for value in range(256))
        noise = chance.randbytes(width_px * height_px).translate(levels)
        bands.append(ImageChops.add(soft, Image.frombytes("L", soft.size, noise), 2))
    file = io.BytesIO()
    Image.merge("RGB", bands).save(file, "PNG")
    return file.getvalue()


def answer(width_px: int, height_px: int, grain: int) -> bytes:
    """Make the body of an answer with one picture."""
    return answer_with(photograph(width_px, height_px, grain))


def answer_with(picture: bytes) -> bytes:
    """Make the body of an answer with this picture."""
    encoded = base64.b64encode(picture).decode()
    return json.dumps({"created": 1_780_000_000, "data": [{"b64_json": encoded}]}).encode()


@contextmanager
def serving(folder: Path, body: bytes, **options: Any) -> Generator[str]:
    """Run a server that answers with this body, and return its address.

    Args:
        folder: Where the body is kept for it.
        body: With one picture.
        options: See ``picture_server.Options``.
    """
    path = folder / f"body-{len(body)}"
    path.write_bytes(body)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.picture_server",
         json.dumps(options | {"body": str(path)})],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
    ) as server:  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        yield f"http://127.0.0.1:{port}/v1/images/generations"
        server.stdin.close()
