"""Which lines go together as a batch, and which go nowhere now.

Pure. Lines keep their order; a batch takes what comes next as long as it fits, so that no limit is
passed and no batch ends sooner than it must. What a provider has in its queue counts on
over all batches of one model. What fits into no batch, however empty, is found before by
:func:`why_too_large`; what no cap has room for shows when all lines are held.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stage3_plugin.domain.batch import BatchTerms

LEAST_SPARE_BYTES = 4096
SPARE_PART = 64
"""Of the most that a file may have, so much is left: the names of uploaded pictures and the digits
of a key are known only once it is written."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one line adds to its batch.

    Attributes:
        size_bytes: Of the line with its end, at most.
        tokens: What counts in the provider's queue, at most; 0 if unknown.
    """

    size_bytes: int
    tokens: int = 0


class Filling:
    """One batch as it fills.

    Args:
        terms: What a batch may have.

    Attributes:
        lines: How many are in it.
        size_bytes: Of all of them.
    """

    def __init__(self, terms: BatchTerms) -> None:
        self._most_lines = terms.most_lines
        self._most_bytes = most_bytes_of(terms)
        self.lines = self.size_bytes = 0

    def fits(self, load: Load) -> bool:
        """Return whether one more line does."""
        is_small = self.size_bytes + load.size_bytes <= self._most_bytes
        return self.lines < self._most_lines and is_small

    def add(self, load: Load) -> None:
        """Take one more."""
        self.lines += 1
        self.size_bytes += load.size_bytes


def most_bytes_of(terms: BatchTerms) -> int:
    """Return how large a file may be by what is known of its lines before it is written."""
    return terms.most_bytes - max(LEAST_SPARE_BYTES, terms.most_bytes // SPARE_PART)


def with_room(loads: Iterable[Load], terms: BatchTerms, *, queued_tokens: int) -> int:
    """Return how many lines the provider's queue has room for before others have been made.

    Args:
        loads: Those of one batch, in order: behind the first that has to wait all do.
        terms: What a batch may have.
        queued_tokens: What this run has in the queue for the model already.
    """
    count = 0
    for load in loads:
        queued_tokens += load.tokens
        if _is_full(queued_tokens, terms):
            break
        count += 1
    return count


def why_too_large(load: Load, terms: BatchTerms) -> str:
    """Return why a line fits into no batch, however empty; ``""`` if it does."""
    most_bytes = most_bytes_of(terms)
    if load.size_bytes > most_bytes:
        size = f"as a line of a batch it has {load.size_bytes:,} bytes"
        return f"{size}, and a batch takes {most_bytes:,}"
    if _is_full(load.tokens, terms):
        return (
            f"it may take {load.tokens:,} tokens, and {terms.most_queued_tokens or 0:,} may be in "
            "batches at once"
        )
    return ""


def _is_full(tokens: int, terms: BatchTerms) -> bool:
    return terms.most_queued_tokens is not None and tokens > terms.most_queued_tokens
