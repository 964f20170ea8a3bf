"""What two vendors' lanes have in common: a batch is made of a file, and its results are files.

Each says how its own words are written: what names a batch, carries its token and counts its lines.
What follows from an answer is the same for both, and stands here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

from pydantic import JsonValue

from stage3_plugin.domain.batch import (
    BatchEnded,
    BatchMaking,
    BatchPolled,
    BatchTerms,
    CreateStep,
    How,
    Uploaded,
    UploadStep,
)
from stage3_plugin.domain.exchange import Found, Gone, Lost, NotListed, Reply, Unclear, Unsaid
from stage3_plugin.domain.job import Accepted, LineCount
from stage3_plugin.domain.verdict import Verdict
from stage3_plugin.providers.base import Looked
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.providers.prices import share_in_batch
from stage3_plugin.providers.replies.batches import (
    known,
    not_taken,
    why_not_begun,
    why_not_created,
    why_not_uploaded,
)
from stage3_plugin.providers.replies.hints import moment_s
from stage3_plugin.providers.replies.polling import is_gone, unsaid
from stage3_plugin.providers.replies.reading import Json, cleaned

DAY_S = 86_400.0
LAG_S = 3600.0
"""How long a result file is waited for after the batch has ended: it may come behind the word."""


class FileLane(ABC):
    """The shared part of a :class:`~stage3_plugin.providers.base.BatchLane`.

    Args:
        provider: Makes and judges the ordinary requests.
    """

    _pending: ClassVar[frozenset[str]]
    """Words of a batch that goes on."""
    _ends: ClassVar[Mapping[str, How]]
    """Those of one that has ended."""

    def __init__(self, provider: Hosted) -> None:
        self._of = provider

    @property
    @abstractmethod
    def terms(self) -> BatchTerms:
        """Return what it takes and promises."""

    @abstractmethod
    def _name(self, batch: Json) -> str:
        """Return by which name it asks for a batch; an empty one if that is not said."""

    @abstractmethod
    def _word(self, batch: Json) -> str:
        """Return the word for how a batch is."""

    @abstractmethod
    def _lines(self, batch: Json) -> LineCount | None:
        """Return how far a batch is."""

    @abstractmethod
    def _has_label(self, batch: Json, label: str) -> bool:
        """Return whether a batch was created with a label."""

    @abstractmethod
    def _accepted(self, document: Json) -> Accepted | None:
        """Return a batch as a job; ``None`` if it is none."""

    @abstractmethod
    def _ended(self, reply: Reply, how: How, lines: LineCount | None) -> BatchEnded | BatchMaking:
        """Return what a batch that has ended comes to."""

    @abstractmethod
    def _page(self, reply: Reply) -> list[JsonValue] | None:
        """Return the batches of a page of the listing; ``None`` if it is none."""

    @abstractmethod
    def _following(self, reply: Reply, items: list[JsonValue]) -> NotListed | Unsaid:
        """Return where the listing goes on behind a page."""

    def share(self, model: str) -> Decimal | None:
        """Return what part of the ordinary price a picture costs; ``None`` if it is not known."""
        return share_in_batch(self._of.profile.name, model)

    def _handed_over(
        self, reply: Reply, name: str, size: tuple[int | None, int], failure: str | None
    ) -> UploadStep:
        """Return what follows from the answer to a file: its name there, if all of it has arrived.

        Args:
            reply: The answer.
            name: What it calls the file; empty where it is no success.
            size: How many bytes it says that it has, and how many were sent.
            failure: Why it does not take it, where it does not.
        """
        if not name:
            step = self._of.judged(reply)
            return why_not_uploaded(reply, step, who=self._of.who, now_s=self._of.clock())
        arrived, sent = size
        if arrived is not None and arrived != sent:
            return not_taken(f"{arrived} of its {sent} bytes have arrived", reply)
        if failure is not None:
            told = cleaned(failure) or "it does not say why"
            return not_taken(f"it is not taken: {told}", reply)
        return Uploaded(name)

    def created(self, reply: Reply) -> CreateStep:
        """Return what follows from the complete answer to a create."""
        accepted = self._accepted(reply.document) if 200 <= reply.status < 300 else None
        judged = self._of.judged(reply)
        return accepted or why_not_created(reply, judged, now_s=self._of.clock())

    def polled(self, reply: Reply, job: Accepted) -> BatchPolled:
        """Return what follows from a complete answer to a poll."""
        document = reply.document
        if is_gone(reply):
            return Gone(message=f"{self._of.who} does not know the batch {job.job_id} any more")
        if not (200 <= reply.status < 300 and self._name(document) == job.job_id):
            return unsaid(reply, now_s=self._of.clock())
        word, lines = self._word(document), self._lines(document)
        if word in self._pending:
            return BatchMaking(lines=known(lines), message=word.lower())
        if word not in self._ends:
            shown = cleaned(word, most=80)
            return Unclear(message=f"{self._of.who} calls the batch {shown!r}, which is not known")
        return self._ended(reply, self._ends[word], lines)

    def looked(self, reply: Reply, lost: Lost) -> Looked:
        """Return what a page of the listing shows; one that cannot be read proves nothing."""
        items = self._page(reply) if 200 <= reply.status < 300 else None
        if items is None:
            return unsaid(reply, now_s=self._of.clock())
        for item in items:
            if not self._name(item):
                return Unsaid(message="a batch is listed without its name")
            is_it = lost.token is not None and self._has_label(item, lost.token)
            accepted = self._accepted(item) if is_it else None
            if accepted is not None and accepted.job_id not in lost.taken:
                return Found(accepted=accepted)
        return self._following(reply, items)

    def _not_begun(self, status: int, words: dict[str, JsonValue]) -> Verdict:
        """Judge why a batch was not begun, as if its create had been refused with these words."""
        answer = Reply(status=status, headers={}, document={"error": words})
        return why_not_begun(self._of.judged(answer))

    def _since_its_end_s(self, reply: Reply, ended_s: float | None, begun_s: float | None) -> float:
        """Return how long ago a batch has ended, or has to have ended; below 0 if it had time.

        Where it names no moment at all, it is asked for as long as it is kept.

        Args:
            reply: What says so; its ``Date`` goes before our own clock.
            ended_s: When it has ended by its own word, in seconds since 1970.
            begun_s: When it was made, likewise.
        """
        if ended_s is None and begun_s is not None:
            ended_s = begun_s + self.terms.within_s
        sent_s = moment_s(reply.headers.get("date", ""))
        now_s = self._of.clock() if sent_s is None else sent_s
        return 0.0 if ended_s is None else now_s - ended_s
