"""What comes in a row, and so does not come from the single scene: when that stops a run.

Pure. Each kind of trouble is counted apart from the others, since each says something else: that
the settings are wrong, that nothing gets through, or that money goes out and nothing comes. Each
has a breaker, which returns the reason to stop in words once its row is long enough.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.verdict import VerdictKind

REJECTED_IN_A_ROW = 5
"""So many rejected scenes without one success come from the settings, not from the scenes."""
SAME_WORDS_IN_A_ROW = 3
"""So many are enough where the words are the same each time, and not one picture was made."""
UNKNOWN_IN_A_ROW = 5
"""So many without an answer, or with one that leaves open what came of them, are a breakdown, and
each may have been billed."""
BILLED_IN_A_ROW = 5
"""So many pictures paid for and not one that is good: the next would be paid for as well."""
PENDING_IN_A_ROW = 5
"""So many pictures paid for and not one that can be had: money goes out, and nothing comes."""
UNSENT_IN_A_ROW = 5
"""So many tries without a connection, and a scene that has used up all of its own, are no chance:
the others would be tried in vain, one after the other."""

Happened: TypeAlias = Literal["made", "rejected", "unknown", "billed", "pending", "unsent", "other"]
"""What a request came to, as far as it counts here; ``other`` is any other answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaks:
    """How often what has happened without what ends its row.

    Attributes:
        made: Pictures so far.
        rejected: Rejected scenes since the last picture.
        same_words: Those of them, up to the last, that were rejected with the same words.
        words: The words.
        unknown: Requests of which no answer says what came of them, since one that did.
        billed: Pictures paid for that were none, since the last that was one.
        pending: Pictures paid for that are not here yet, since the last that came.
        unsent: Requests that could not be sent since the last that could.
        unsent_since: When the first of them failed, by the clock that the caller reads.
    """

    made: int = 0
    rejected: int = 0
    same_words: int = 0
    words: str = ""
    unknown: int = 0
    billed: int = 0
    pending: int = 0
    unsent: int = 0
    unsent_since: float = 0.0

    def after_attempt(self, attempted: AttemptResult, now: float) -> Streaks:
        """Count an attempt; one that was cut short, or that our own disk failed, says nothing."""
        if attempted.interrupted or attempted.storage is not None:
            return self
        return self.after(happened_of(attempted), attempted.verdict.message, now=now)

    def after(self, happened: Happened, words: str = "", *, now: float = 0.0) -> Streaks:
        """Count one more request.

        Args:
            happened: What it came to.
            words: What was said with it.
            now: When.
        """
        if happened == "made":
            return Streaks(made=self.made + 1)
        if happened == "unsent":
            since = self.unsent_since if self.unsent else now
            return replace(self, unsent=self.unsent + 1, unsent_since=since)
        sent = replace(self, unsent=0)
        if happened == "unknown":
            return replace(sent, unknown=self.unknown + 1)
        answered = replace(sent, unknown=0)
        match happened:
            case "rejected":
                alike = _alike(words)
                again = self.same_words + 1 if alike == self.words else 1
                return replace(answered, rejected=self.rejected + 1, same_words=again, words=alike)
            case "billed":
                return replace(answered, billed=self.billed + 1)
            case "pending":
                return replace(answered, pending=self.pending + 1)
            case _:
                return answered

    @property
    def all_rejected(self) -> str | None:
        """Why what is rejected will be rejected for every scene, if it will."""
        if self.rejected >= REJECTED_IN_A_ROW:
            return f"{self.rejected} scenes in a row were rejected"
        if self.same_words >= SAME_WORDS_IN_A_ROW and not self.made:
            return f"the first {self.same_words} scenes were rejected with the same words"
        return None

    @property
    def all_unanswered(self) -> str | None:
        """Why no answer will say what comes of the next either, though it may be billed, if so."""
        if self.unknown >= UNKNOWN_IN_A_ROW:
            return f"{UNKNOWN_IN_A_ROW} requests in a row, and no answer says what came of them"
        return None

    @property
    def all_billed(self) -> str | None:
        """Why the next picture would be paid for and be no good either, if so it looks."""
        if self.billed >= BILLED_IN_A_ROW:
            return f"{self.billed} in a row were paid for without a good picture"
        return None

    @property
    def all_pending(self) -> str | None:
        """Why the next picture would be bought and not come either, if so it looks."""
        if self.pending >= PENDING_IN_A_ROW:
            return f"{self.pending} pictures in a row were bought and not had"
        return None

    def all_unsent(self, now: float, *, for_s: float) -> str | None:
        """Return why nothing gets through, if that has lasted for so many seconds.

        Many at once use up their tries in a moment, by chance, and a connection that is gone for
        that moment must not end the run.
        """
        if self.unsent >= UNSENT_IN_A_ROW and now - self.unsent_since >= for_s:
            return f"{self.unsent} requests in a row could not be sent, so no other scene is tried"
        return None


NONE = Streaks()
"""Nothing has happened yet."""


def happened_of(attempted: AttemptResult) -> Happened:
    """Return what a request came to, as far as it counts in a row."""
    verdict = attempted.verdict
    if attempted.picture is not None:
        return "made"
    if attempted.not_here is not None:  # a young address may need a moment; it is counted later
        return "pending" if attempted.not_here.needs_setting else "other"
    if attempted.stays_open:  # what becomes of a job is not known before it has ended
        return "other"
    if verdict.kind is VerdictKind.NOT_SENT:
        return "unsent"
    if verdict.is_unknown:
        return "unknown"
    if verdict.may_be_billed:
        return "billed"
    return "rejected" if verdict.kind is VerdictKind.REJECTED else "other"


def _alike(words: str) -> str:
    """Return words without what differs from answer to answer, such as a request's id."""
    plain = words[:300].lower().split()
    return " ".join("#" if any(map(str.isdigit, word)) else word for word in plain)
