"""Whether an answer can be judged at all: tried in a process that may die of it.

A mark stands beside an answer while it is judged. One that is found there has outlived its judge:
somebody has killed that, or the answer has, by bytes that crash a parser or fill the memory. Nobody
knows which; so such an answer is read in a process of its own first. If that dies, too, the answer
is not understood, and stays as it came: no run is kept from its work by it, and none that was
merely killed has lost a picture.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from stage3_plugin.errors import PictureRefused, SpoolRefused, StorageFailed
from stage3_plugin.files.descriptors import opened
from stage3_plugin.files.new_file import NEW_FILE_FLAGS
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.storage.spool.receipt import RECEIPT, head_of

_MODULE = __name__
_MARK = "judging"
_MOST_BYTES = 1 << 20
_MOST_MEMORY_BYTES = 4 << 30
"""Of addresses, not of memory: a judge takes some hundred megabytes of them."""
_WITHIN_S = 120.0


@contextmanager
def judging(answer: Path, *, max_pixels: int, known_at: Path | None = None) -> Generator[None]:
    """Judge an answer, or look at its pictures, in the block.

    Args:
        answer: Its folder.
        max_pixels: Of a picture.
        known_at: The folder that has marks of answers which come anew each time, under what they
            say; by default the answer's own.

    Raises:
        SpoolRefused: It cannot be judged: that has ended a process twice.
        StorageFailed: The disk did not take the mark, or no process can be started.
    """
    mark = answer / _MARK if known_at is None else known_at / f"{_MARK}-{_digest_of(answer)}"
    try:
        os.close(opened(partial(os.open, mark, NEW_FILE_FLAGS, 0o600)))
    except FileExistsError:
        _stand_trial(answer, max_pixels)
    except FileNotFoundError:  # another run has taken it in and removed it, as reading finds
        pass
    except OSError as error:
        raise StorageFailed(mark, error) from error
    try:
        yield
    finally:
        with suppress(OSError):
            mark.unlink()


def _digest_of(answer: Path) -> str:
    """Return what tells an answer from others, however it came."""
    head = head_of(answer)
    said, path = b"gone", answer / RECEIPT
    with on_disk(path, reading=True), suppress(FileNotFoundError), path.open("rb") as file:
        said = file.read(_MOST_BYTES)
    if head is not None:
        said = said.replace(head.nonce.encode(), b"")
    return hashlib.sha256(said).hexdigest()[:16]


def _stand_trial(answer: Path, max_pixels: int) -> None:
    import subprocess  # noqa: PLC0415 - hardly ever needed

    command = [sys.executable, "-P", "-m", _MODULE, str(answer), str(max_pixels)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SpoolRefused("reading the answer did not come to an end twice") from None
    except OSError as error:
        raise StorageFailed(answer, error) from error
    if done.returncode:
        raise SpoolRefused("reading the answer has ended a process twice")


def _main(answer: Path, max_pixels: int) -> int:
    """Do with an answer what its judge would, as far as bytes can do harm."""
    from stage3_plugin.storage.inspect import inspect_file  # noqa: PLC0415 - of the process that is tried
    from stage3_plugin.storage.spool.reading import load_reply  # noqa: PLC0415 - likewise

    with suppress(ImportError):  # not on Windows, which has no such limit
        import resource  # noqa: PLC0415 - see above

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))
    try:
        with suppress(SpoolRefused):
            load_reply(answer)
        for path in answer.rglob("*"):
            if path.name != RECEIPT and path.is_file():
                with suppress(PictureRefused):
                    inspect_file(path, max_pixels=max_pixels, may_go_on=True)
    except MemoryError:
        return 1
    except Exception:  # noqa: BLE001 - the judge has an answer to it
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), int(sys.argv[2])))
