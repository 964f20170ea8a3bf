"""How much the disk of the answers and the pictures still takes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from stage3_plugin.errors import StorageFailed


def free_bytes(path: Path) -> int:
    """Return how much may still be written to the disk that ``path`` is on, or will be made on.

    Raises:
        StorageFailed: The system does not say.
    """
    existing = path.absolute()
    while True:
        try:
            return shutil.disk_usage(existing).free
        except FileNotFoundError as error:
            if existing == existing.parent:
                raise StorageFailed(path, error) from error
            existing = existing.parent
        except OSError as error:
            raise StorageFailed(existing, error) from error


def free_files(path: Path) -> int | None:
    """Return how many more files the disk that ``path`` is on takes; ``None`` if it has no limit.

    Raises:
        StorageFailed: The system does not say.
    """
    existing = path
    while True:
        try:
            found = os.statvfs(existing)
        except AttributeError:  # Windows has no such number
            return None
        except FileNotFoundError as error:
            existing = existing.absolute().parent
            if existing == existing.parent:
                raise StorageFailed(path, error, reading=True) from error
        except OSError as error:
            raise StorageFailed(existing, error, reading=True) from error
        else:
            return found.f_favail if found.f_files else None  # some make them as they are needed
