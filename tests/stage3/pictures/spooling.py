"""The shortest way to have a body spooled and read back."""

import base64
import re
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from stage3_plugin.domain.exchange import Reply
from stage3_plugin.storage.spool.reading import load_reply
from stage3_plugin.storage.spool.receipt import MOST_BODY_BYTES
from stage3_plugin.storage.spool.writing import SpooledAnswer

SHORT = 64
"""What counts as a long string in the laws, so that documents stay small."""

PICTURE = b"\x89PNG\r\n\x1a\n" + Random(1).randbytes(40_000)


TEXT = base64.b64encode(PICTURE).decode()


def spooled(
    directory: Path,
    body: bytes,
    *,
    pieces: list[int] | int = 65_536,
    media_type: str | None = "application/json",
    most_bytes: int = MOST_BODY_BYTES,
) -> Reply:
    """Spool a whole body in pieces of the given lengths, over and over, and read it back."""
    answer = SpooledAnswer(directory, most_bytes=most_bytes)
    answer.opened(200, {"content-type": media_type or ""})
    feed(answer, body, [pieces] if isinstance(pieces, int) else pieces)
    answer.finish("whole")
    return load_reply(directory)


def feed(answer: SpooledAnswer, data: bytes, lengths: list[int]) -> None:
    """Feed an answer in pieces of the given lengths, over and over."""
    position = turn = 0
    while position < len(data):
        length = lengths[turn % len(lengths)]
        answer.feed(data[position : position + length])
        position += length
        turn += 1


def everything_in(directory: Path) -> bytes:
    """Put a body together again as it came, from the files alone."""
    whole = (directory / "answer").read_bytes()
    first, _, rest = whole.partition(b"\n")
    nonce = re.search(rb'"nonce":"([0-9a-f]+)"', first)
    assert nonce is not None
    body = re.sub(rb'\n\{"nonce":"%b".*\nend\n\Z' % nonce[1], b"", rest, flags=re.DOTALL)

    def written(mark: re.Match[bytes]) -> bytes:
        data, tail = (directory / f"part-{mark[1].decode()}").read_bytes(), mark[2]
        decoded = base64.b64decode(tail.rstrip(b"=") + b"=" * (-len(tail.rstrip(b"=")) % 4))
        return base64.b64encode(data[: len(data) - len(decoded)]) + tail

    return re.sub(rb"spooled:%b:(\d+):([\w+/=]{0,5}):" % nonce[1], written, body)


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
