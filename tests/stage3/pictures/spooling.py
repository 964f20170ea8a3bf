"""The shortest way to have a body spooled and read back."""

import base64
import json
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from stage3_plugin.domain.exchange import Reply
from stage3_plugin.storage.spool.reading import load_reply
from stage3_plugin.storage.spool.writing import Caps, Spool

SHORT = 64
"""What counts as a long string in the laws, so that documents stay small."""

PICTURE = Random(1).randbytes(40_000)


TEXT = base64.b64encode(PICTURE).decode()


def spooled(
    directory: Path,
    body: bytes,
    *,
    pieces: list[int] | int = 65_536,
    media_type: str | None = "application/json",
    caps: Caps | None = None,
) -> Reply:
    """Spool a whole body in pieces of the given lengths, over and over, and read it back."""
    spool = Spool(directory, media_type=media_type, caps=caps)
    spool.head(200, [("Content-Type", media_type or "")])
    lengths = [pieces] if isinstance(pieces, int) else pieces
    position = turn = 0
    while position < len(body):
        spool.feed(body[position : position + lengths[turn % len(lengths)]])
        position += lengths[turn % len(lengths)]
        turn += 1
    spool.finish(complete=True)
    return load_reply(directory)


def contents_of(directory: Path) -> tuple[dict[str, Any], bytes]:
    """Read what the spool has written down of an answer, and its skeleton, from the files."""
    line = (directory / "answer").read_bytes().splitlines()[1]
    contents = json.loads(line)
    if contents["skeleton"] is None:
        return contents, (directory / "skeleton").read_bytes()
    return contents, contents["skeleton"].encode("latin-1")


@contextmanager
def a_folder() -> Generator[Path]:
    """Return a folder that does not exist yet; cheaper than tmp_path, thousands of times."""
    above = tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    try:
        yield Path(above, "spool")
    finally:
        shutil.rmtree(above)


def lines(text: str, ending: str) -> str:
    return "".join(text[start : start + 76] + ending for start in range(0, len(text), 76))
