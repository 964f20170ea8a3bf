"""An executor that is no pool: it does its work in a thread of this process."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.to_thread

from stage3_plugin.errors import JobFailed


class InProcess:
    """Does one job at a time.

    Attributes:
        jobs: So many were done.
    """

    def __init__(self, work: str, slots: int = 1) -> None:
        module, _, name = work.partition(":")
        self._work: Any = getattr(importlib.import_module(module), name)
        self.slots = min(slots, 1)
        self.jobs = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End nothing: nothing was started."""

    async def run(self, job: bytes, into: Path) -> None:
        """Do the job; it cannot be cut."""
        try:
            made: bytes = await anyio.to_thread.run_sync(self._work, job)
            await anyio.Path(into).write_bytes(made)
        except Exception as error:
            raise JobFailed(f"{type(error).__name__}: {error}") from error
        self.jobs += 1
