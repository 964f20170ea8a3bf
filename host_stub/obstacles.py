"""What stands in the way where a result cannot be written, and what to do about it.

The system's own words fit a full disk; of a file in a folder's place they say only that it exists.
Apart from the errors, which make their sentences from what is known here.
"""

from __future__ import annotations

from pathlib import Path


def obstacle(path: Path, cause: OSError) -> tuple[str, str]:
    """Say what is in the way of writing ``path``, and the next step.

    Args:
        path: The file or folder that was to be written.
        cause: What the system said. ``BlockingIOError`` stands for another run at work there, and
            says so itself (:class:`host_stub.journal.EventJournal`).
    """
    match cause:
        case FileExistsError():
            file = "it" if cause.filename in {None, str(path)} else str(cause.filename)
            return f"{file} is a file, not a folder", "move that file away, or name another folder"
        case NotADirectoryError():
            return (
                "a part of its path is a file, not a folder",
                "move that file away, or name another folder",
            )
        case BlockingIOError():
            hint = "wait until the other run has ended, or choose another folder with --out"
        case IsADirectoryError():
            hint = "move that folder away, or choose another one for the results with --out"
        case _:
            hint = (
                "free space on the disk, check the folder's permissions, or choose another folder "
                "with --out"
            )
    return cause.strerror or type(cause).__name__, hint
