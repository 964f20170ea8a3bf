"""Outcomes that wait to be taken: memory is flat, however slow the one who takes them is."""

from __future__ import annotations

from collections import deque
from tempfile import TemporaryFile
from typing import IO, Final

from host_stub.contract import SceneOutcome

IN_MEMORY: Final = 1000
"""Outcomes that are kept at hand; further ones are written to a file without a name."""


class WaitingOutcomes:
    """A queue of outcomes, first in, first out."""

    def __init__(self) -> None:
        self._near = deque[SceneOutcome]()
        self._file: IO[bytes] | None = None
        self._far = 0
        self._read_at = 0
        self._end = 0

    def __len__(self) -> int:
        return len(self._near) + self._far

    def put(self, outcome: SceneOutcome) -> None:
        """Keep one more; a disk that does not take it costs memory, and no outcome."""
        if self._far == 0 and len(self._near) < IN_MEMORY:
            self._near.append(outcome)
            return
        line = outcome.model_dump_json().encode() + b"\n"
        try:
            if self._file is None:
                self._file = TemporaryFile()  # noqa: SIM115 - close() does
            self._file.seek(self._end)
            self._file.write(line)
            self._file.flush()
        except OSError:
            self._bring_near(self._far)
            self._near.append(outcome)
        else:
            self._end += len(line)
            self._far += 1

    def take(self) -> SceneOutcome:
        """Return the one that came first."""
        if not self._near:
            self._bring_near(IN_MEMORY)
        return self._near.popleft()

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()

    def _bring_near(self, most: int) -> None:
        if self._file is None:
            return
        self._file.seek(self._read_at)
        for _ in range(min(most, self._far)):
            line = self._file.readline()
            self._read_at += len(line)
            self._far -= 1
            self._near.append(SceneOutcome.model_validate_json(line))
        if self._far == 0:
            self._read_at = self._end = 0
