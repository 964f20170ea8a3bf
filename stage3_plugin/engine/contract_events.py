"""Logs the events of a run, as the contract has them, with the logger that the caller gave.

The listener of the trace. structlog is never configured here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stage3_plugin.domain.events import StageFinished, StageWarned
from stage3_plugin.runtime.trace import Event

if TYPE_CHECKING:  # importing structlog loads rich, and only a run writes events
    from structlog.typing import FilteringBoundLogger


class ContractEvents:
    """Logs the events of one run, and counts them for the last one.

    Args:
        log: Takes them.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        totals = ("made", "reused", "failed", "skipped", "retries")
        self._totals: dict[str, int] = dict.fromkeys(totals, 0)
        self._warned_of = set[object]()

    def handle(self, happened: Event) -> None:
        """Log one, under its level; of warnings in the same words the first."""
        if isinstance(happened, StageWarned):
            if happened.message in self._warned_of:
                return
            self._warned_of.add(happened.message)
        if happened.counts_as is not None:
            self._totals[happened.counts_as] += 1
        getattr(self._log, happened.level)(happened.name, **happened.fields())

    def finished(self) -> StageFinished:
        """Return the last event of the run."""
        return StageFinished(**self._totals)
