"""References over real folders, as a run has them."""

from __future__ import annotations

import hashlib
import io
import resource
import struct
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio.to_thread
from PIL import Image

from stage3_plugin.domain.reference import ReferenceWish
from stage3_plugin.executors.base import Executor
from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.storage.references import References
from stage3_plugin.storage.store import PictureStore
from tests.stage3.in_process import InProcess

Result = TypeVar("Result")

UNBOUNDED = "stage3_plugin.storage.copies.shrinking:fitted"
"""What makes copies in a process that has other things to do, and so may not be bounded."""


async def in_thread(work: Callable[[], Result], /) -> Result:
    """Run work that blocks, as a stage does."""
    return await anyio.to_thread.run_sync(work)


def project(folder: Path) -> Path:
    """Make the folders that references lie in and around: a story's, a config's, and others."""
    for name in ("story/refs", "config/refs", "elsewhere", "config/.stage3"):
        (folder / name).mkdir(parents=True)
    return folder


@asynccontextmanager
async def opened(
    folder: Path,
    *roots: str,
    copying: Executor | None = None,
    store: PictureStore | None = None,
    state: Path | None = None,
) -> AsyncGenerator[References]:
    """Open the references of a project; copies are made here, unless an executor is given."""
    state_dir = StateDir(state or folder / "config/.stage3")
    async with References(
        scenes_dir=folder / "story",
        project_dir=folder / "config",
        roots=[Path(root) for root in roots],
        store=store or PictureStore(state_dir),
        state=state_dir,
        copying=copying or InProcess(UNBOUNDED),
        blocking=in_thread,
    ) as references:
        yield references


def wish(image: str | Path, **words: str) -> ReferenceWish:
    """Name a reference as a scene does."""
    return ReferenceWish(image=str(image), name=words.get("name"), role=words.get("role"))


def of_cast(image: str | Path) -> ReferenceWish:
    """Name a reference as the cast does."""
    return ReferenceWish(image=str(image), by="cast")


def encoded(kind: str, size: tuple[int, int] = (48, 32), mode: str = "RGB", **how: object) -> bytes:
    """Return a picture of some kind, with something to see on it."""
    made = io.BytesIO()
    picture = Image.effect_noise(size, 60).convert(mode)
    picture.save(made, kind, **how)
    return made.getvalue()


def sha256(data: bytes) -> str:
    """Return what a picture is known by."""
    return hashlib.sha256(data).hexdigest()


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def descriptors() -> int:
    """Count the files that this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def resident_bytes() -> int:
    """Return how much of this process is in memory."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()
