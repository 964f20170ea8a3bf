"""Which bucket the last run had, noted in the state folder for commands that read no config.

It is an address and no more: credentials are the environment's, wherever it is used.
"""

from __future__ import annotations

import secrets
from errno import EILSEQ
from pathlib import Path

from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.folder import TEMPORARY_PREFIX
from stage3_plugin.files.new_file import NewFile
from stage3_plugin.files.state_dir import StateDir

NOTE = "store"
"""The file in the state folder."""
_LONGEST_BYTES = 16_384


def note_bucket(state_dir: StateDir, address: str | None) -> None:
    """Note the address of a bucket, or that there is none any more.

    Raises:
        StorageFailed: The disk did not take it.
    """
    path = state_dir.path / NOTE
    if noted_bucket(state_dir.path) == address:
        return
    temporary = state_dir.path / "tmp"
    try:
        if address is None:
            path.unlink(missing_ok=True)
            return
        state_dir.make(temporary, below=temporary)
        aside = temporary / f"{TEMPORARY_PREFIX}{secrets.token_hex(16)}"
        with NewFile(aside) as file:
            file.write(f"{address}\n".encode())
        aside.replace(path)
    except OSError as error:
        raise StorageFailed(path, error) from error


def noted_bucket(state_dir: Path) -> str | None:
    """Return the address of the bucket that the last run had; ``None`` if it had none.

    Raises:
        StorageFailed: The note cannot be read.
    """
    path = state_dir / NOTE
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_BYTES).decode().strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageFailed(path, error, reading=True) from error
    except UnicodeDecodeError as error:
        cause = OSError(EILSEQ, "it is no text")
        raise StorageFailed(path, cause, reading=True) from error
