"""Where received answers lie: a folder for each attempt, always on a disk of this machine.

An answer is written in pieces while it arrives, and what was written is the only copy of what was
paid for: so it goes to no store on another machine. The notes that lie beside an answer are read
and written here, too. Everything blocks; call it in a thread.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.files.private_folders import sync_file, sync_folder
from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.storage.spool import awaited, batch_files
from stage3_plugin.storage.spool.awaited import Awaited
from stage3_plugin.storage.spool.receipt import Head, head_of, is_complete, is_left

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LATE = "late"
"""The note beside an answer whose picture came after its purchase had been given up: the row is
final by then, and the picture is paid for all the same. It says which, for a person who looks."""
_MAY_BE_TAKEN_IN = suppress(FileNotFoundError)
"""Another run may have taken an answer in, and removed it."""
_ATTEMPT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class SpoolFolders:
    """The folders of received answers, ``spool/<attempt>/`` in a state folder.

    Args:
        state_dir: The state folder.
        masked: Covers secrets in what is kept.

    Raises:
        StorageFailed: Here and in every method: the disk or the system did not let us.
    """

    def __init__(self, state_dir: StateDir, masked: Masked = NOTHING) -> None:
        self.state_dir = state_dir
        self._masked = masked
        self._path = state_dir.path / "spool"

    def new_folder(self, attempt_id: str) -> Path:
        """Make the folder an attempt's answer goes into, and return its path."""
        path = self.folder_of(attempt_id)
        self.state_dir.make(path, below=self._path)
        return path

    def folder_of(self, attempt_id: str) -> Path:
        """Return where an attempt's answer lies, or would lie."""
        if not _ATTEMPT_ID.fullmatch(attempt_id):
            raise ValueError("an attempt id is 1 to 64 letters, digits, '-' and '_'")
        return self._path / attempt_id

    def attempt_of(self, answer: Path) -> Path:
        """Return the attempt's folder that an answer lies in."""
        return self._path / answer.relative_to(self._path).parts[0]

    def received(self) -> list[str]:
        """Name the attempts whose folders are there."""
        with on_disk(self._path, reading=True), suppress(FileNotFoundError):
            return [path.name for path in self._path.iterdir() if _ATTEMPT_ID.fullmatch(path.name)]
        return []

    def begun(self) -> list[str]:
        """Name those of them whose request was begun: files of a batch are handed over before."""
        names: list[str] = []
        for name in self.received():
            path = self._path / name
            with on_disk(path, reading=True), _MAY_BE_TAKEN_IN:
                if not batch_files.is_of_nothing_bought(path):
                    names.append(name)
        return names

    def secure(self, attempt_id: str) -> None:
        """Keep what was received for an attempt, if anything: without secrets, and synced."""
        from stage3_plugin.storage.spool.covering import cover_answer  # noqa: PLC0415 - only a run does

        path = self.folder_of(attempt_id)
        with on_disk(path), _MAY_BE_TAKEN_IN:
            cover_answer(path, self._masked)
            sync_all(path)
            self.state_dir.anchor(path, self._path)

    def remove(self, attempt_id: str) -> None:
        """Remove an attempt's folder; one that is gone is no error."""
        path = self.folder_of(attempt_id)
        with on_disk(path), suppress(FileNotFoundError):
            shutil.rmtree(path)

    # What an answer's folder says ----------------------------------------------------------------

    def has_whole_answer(self, attempt_id: str) -> bool:
        """Return whether an attempt's answer was received to its end."""
        return is_complete(self.folder_of(attempt_id))

    def has_answer_left(self, attempt_id: str) -> bool:
        """Return whether an attempt's whole answer lies there, and no run can be taking it in."""
        return is_left(self.folder_of(attempt_id))

    def head(self, attempt_id: str) -> Head | None:
        """Return the head of an attempt's answer, if that was received."""
        return head_of(self.folder_of(attempt_id))

    def awaited(self, attempt_id: str) -> Awaited | None:
        """Return what is known of an attempt's picture that was asked for and did not come."""
        return awaited.read(self.folder_of(attempt_id))

    def note_late(self, attempt_id: str, sha256: str) -> None:
        """Note that a picture came after its purchase had been given up."""
        path = self.folder_of(attempt_id) / _LATE
        with on_disk(path), suppress(FileNotFoundError):  # with the folder, all to note is gone
            path.write_text(f"{sha256}\n", encoding="ascii")

    def late(self, attempt_id: str) -> str | None:
        """Return the SHA-256 of the picture that came late, if one did."""
        try:
            with (self.folder_of(attempt_id) / _LATE).open("rb") as file:
                found = file.read(65).decode("ascii", "replace").strip()
        except OSError:
            return None
        return found if _SHA256.fullmatch(found) else None


def sync_all(path: Path) -> None:
    """Sync what is in a folder, and in the folders in it, which have the answers of jobs."""
    with os.scandir(path) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # renamed just now, or taken in: go on
                if entry.is_file(follow_symlinks=False):
                    sync_file(Path(entry.path))
                elif entry.is_dir(follow_symlinks=False):
                    sync_all(Path(entry.path))
    sync_folder(path)
