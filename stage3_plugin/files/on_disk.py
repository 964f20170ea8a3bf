"""What the system says no to, as the one error that all above it know.

Apart from those who write and read, since each of them has to say it and none may forget the path.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from stage3_plugin.errors import StorageFailed


@contextmanager
def on_disk(path: Path, *, reading: bool = False) -> Generator[None]:
    """Report what the system does not let the block do.

    Args:
        path: What is said to be at fault.
        reading: It is read, and not written.

    Raises:
        StorageFailed: The system did not let us.
    """
    try:
        yield
    except OSError as error:
        raise StorageFailed(path, error, reading=reading) from error
