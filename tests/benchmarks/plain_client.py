"""The peer of ``command.py``: what somebody writes who needs pictures today, and no books at all.

Run as ``python plain_client.py URL FOLDER PICTURES IN_FLIGHT``: one httpx client, a semaphore, each
picture decoded, loaded by Pillow, and synced to the disk.
"""

from __future__ import annotations

import asyncio
import base64
import io
import os
import sys
from pathlib import Path

import httpx
from PIL import Image


async def main(url: str, folder: Path, pictures: int, in_flight: int) -> None:
    """Get all pictures."""
    gate = asyncio.Semaphore(in_flight)

    async def one(number: int) -> None:
        async with gate:
            asked = {"model": "gpt-image-2", "prompt": f"a harbour, view {number}", "n": 1}
            document = (await client.post(url, json=asked)).json()
            picture = base64.b64decode(document["data"][0]["b64_json"])
            Image.open(io.BytesIO(picture)).load()
            with (folder / f"{number}.png").open("wb") as file:
                file.write(picture)
                os.fsync(file.fileno())

    async with httpx.AsyncClient(timeout=None) as client:
        await asyncio.gather(*(one(number) for number in range(pictures)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
