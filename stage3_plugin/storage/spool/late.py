"""A note beside an answer whose picture came after its purchase had been given up.

The ledger's row is final by then; the picture is paid for all the same, and is kept. The note says
which it is, for a person who looks at the purchase.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from stage3_plugin.errors import StorageFailed

_NAME = "late"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def note(folder: Path, sha256: str) -> None:
    """Leave the note; where its folder is gone, there is nothing to leave it at.

    Raises:
        StorageFailed: The disk did not take it.
    """
    try:
        with suppress(FileNotFoundError):
            (folder / _NAME).write_text(f"{sha256}\n", encoding="ascii")
    except OSError as error:
        raise StorageFailed(folder / _NAME, error) from error


def noted(folder: Path) -> str | None:
    """Return the SHA-256 of the picture that came late; ``None`` if none did."""
    try:
        with (folder / _NAME).open("rb") as file:
            found = file.read(65).decode("ascii", "replace").strip()
    except OSError:
        return None
    return found if _SHA256.fullmatch(found) else None
