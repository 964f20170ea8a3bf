"""Vendors that have invented a word: wherever the state of a job stands, a new one stands instead.

Each is the loopback server's vendor with its books, whose job goes on as ever behind the word: it
is made and billed, and had once the word is taken back. ``places`` names the pages that say it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from stage3_plugin.testing.batches import Batch, BatchDialect
from stage3_plugin.testing.batches import Standing as BatchStanding
from stage3_plugin.testing.dialects.bfl import BflDialect
from stage3_plugin.testing.dialects.fal import FalDialect
from stage3_plugin.testing.dialects.gemini_batches import GeminiBatches
from stage3_plugin.testing.dialects.openai_batches import OpenAIBatches
from stage3_plugin.testing.dialects.replicate import ReplicateDialect
from stage3_plugin.testing.queues import Dialect, QueueJob, Standing
from stage3_plugin.testing.wire import Asked, Said
from tests.fakes.plain import PlainDialect

WORD = "PONDERING"
Place: TypeAlias = Literal["submit", "status", "result", "record"]
_STATES = frozenset({"status", "state", "status_code"})
"""What vendors call the place of a state."""
_SENT = frozenset({"input", "json_input", "inputConfig"})
"""What was asked for, which stays as it was."""


@dataclass
class Invention:
    """A new word, as long as it is used.

    Attributes:
        places: Where it stands; nowhere once they are empty.
    """

    places: frozenset[Place] = frozenset()

    def on(self, place: Place, document: Any, field: str) -> Any:
        """Return what a page says, with the new word for the state if it stands there."""
        if place not in self.places:
            return document
        told = _in_new_words(document)
        return told if told != document else {**told, field: WORD}

    def stop(self) -> None:
        """Take the word back."""
        self.places = frozenset()


def _in_new_words(document: Any) -> Any:
    if isinstance(document, dict):
        told = cast("dict[str, Any]", document)
        return {
            name: WORD if name in _STATES else one if name in _SENT else _in_new_words(one)
            for name, one in told.items()
        }
    if isinstance(document, list):
        return list(map(_in_new_words, cast("list[object]", document)))
    return document


def inventing(of: type[Dialect], invention: Invention, *, field: str = "status") -> Dialect:
    """Return a vendor with a queue that says the new word; ``field`` is where its state stands."""
    dialect = of()
    usual = (dialect.submitted, dialect.status, dialect.result, dialect.listed)
    says_submitted, says_status, says_result, says_listed = usual

    def renamed(place: Place, said: Said) -> Said:
        return Said(said.status, invention.on(place, said.document, field), said.headers)

    def submitted(job: QueueJob, at: str) -> Said:
        return renamed("submit", says_submitted(job, at))

    def forgotten(job: QueueJob) -> Said | None:
        return dialect.unknown(job.id) if "record" in invention.places else None

    def status(job: QueueJob, standing: Standing, at: str) -> Said:
        hidden: Standing = "working" if "status" in invention.places else standing
        return forgotten(job) or renamed("status", says_status(job, hidden, at))

    def result(job: QueueJob, standing: Standing, at: str) -> Said:
        if "result" in invention.places:
            return Said(200, {"id": job.id, field: WORD, "images": []})
        return forgotten(job) or says_result(job, standing, at)

    def listed(
        jobs: Sequence[tuple[QueueJob, Standing]], asked: Asked, next_url: str | None, at: str
    ) -> Said:
        return renamed("record", says_listed(jobs, asked, next_url, at))

    for says in (submitted, status, result, listed):
        setattr(dialect, says.__name__, says)
    return dialect


def inventing_batches(of: type[BatchDialect], invention: Invention) -> BatchDialect:
    """Return a vendor with batches that says the new word."""
    dialect = of()
    says_shown = dialect.shown

    def shown(batch: Batch, standing: BatchStanding, at: str) -> Mapping[str, Any]:
        place: Place = "submit" if batch.looks == 0 else "status"
        is_hidden = place in invention.places
        told: Mapping[str, Any] = invention.on(
            place, says_shown(batch, "working" if is_hidden else standing, at), "status"
        )
        return told

    setattr(dialect, shown.__name__, shown)
    return dialect


QUEUES: Mapping[str, tuple[type[Dialect], str, tuple[Place, ...]]] = {
    "plain": (PlainDialect, "state", ("submit", "status", "result")),
    "fal": (FalDialect, "status", ("submit", "status", "result", "record")),
    "bfl": (BflDialect, "status", ("submit", "status")),
    "replicate": (ReplicateDialect, "status", ("submit", "status")),
}
"""By the provider's word: how its vendor speaks, what it calls a state, and where one stands."""
BATCHES: Mapping[str, tuple[type[BatchDialect], tuple[Place, ...]]] = {
    "openai": (OpenAIBatches, ("submit", "status")),
    "gemini": (GeminiBatches, ("submit", "status")),
}
