"""Logs the events of a run, as the contract has them, with the logger that the caller gave.

A listener of the trace; others may listen beside it. structlog is never configured here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from stage3_plugin.domain.events import EVENTS, StageFinished, StageWarned

if TYPE_CHECKING:  # importing structlog loads rich, and only a run writes events
    from structlog.typing import FilteringBoundLogger


class ContractEvents:
    """Logs the events of one run, and counts them for the last one.

    Args:
        log: Takes them.
    """

    names: frozenset[str] = frozenset({*EVENTS, "stage"})

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        totals = ("made", "reused", "failed", "skipped", "retries")
        self._totals: dict[str, int] = dict.fromkeys(totals, 0)
        self._warned_of = set[object]()

    def handle(self, name: str, fields: Mapping[str, object], /) -> None:
        """Log one, under its level; of warnings in the same words the first."""
        kind = EVENTS[name]
        if kind is StageWarned:
            if fields["message"] in self._warned_of:
                return
            self._warned_of.add(fields["message"])
        if kind.counts_as is not None:
            self._totals[kind.counts_as] += 1
        sent = self._totals if kind is StageFinished else fields
        getattr(self._log, kind.level)(name, **sent)
