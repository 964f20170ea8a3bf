"""How a run stands: why it stopped, what broke it, and what has come in a row.

One for all who bring scenes on, in dispatch and beside it; what has to end when a run stops is told
to whoever asked for it.
"""

from __future__ import annotations

from collections.abc import Callable

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.outcome import Ending, Failure
from stage3_plugin.domain.verdict import VerdictKind
from stage3_plugin.policy.retry import is_unknown
from stage3_plugin.policy.streaks import NONE, Happened

CUT_SHORT = Failure(code="cancelled", message="cut short", retryable=True)
CANCELLED = Failure(code="cancelled", message="the run was cancelled", retryable=True)


class RunState:
    """The course of one run.

    Attributes:
        stopped: Why nothing new is started, if that is so.
        broken: The fault of our own that is raised when everything has ended.
        is_cancelled: Whoever runs it has cancelled it.
        streaks: What has come in a row.
        unsent_since: When the first of the requests in a row could not be sent.
        on_stop: Is called with the reason whenever there is one to stop.
    """

    def __init__(self, on_stop: Callable[[Failure], None]) -> None:
        self.stopped: Failure | None = None
        self.broken: Exception | None = None
        self.is_cancelled = False
        self.streaks = NONE
        self.unsent_since = 0.0
        self.on_stop = on_stop

    def stop(self, failure: Failure) -> None:
        """Start nothing new; the first reason is the one that is told."""
        if self.stopped is None:
            self.stopped = failure
        self.on_stop(failure)

    def break_down(self, error: Exception) -> Failure:
        """Stop on a fault of our own, and give the words for its scene.

        What was paid for may lie in the spool. The same fault may hit every scene, so no further
        one is paid for.
        """
        message = f"internal error {type(error).__name__}; an answer, if one came, is kept"
        failure = Failure(code="unknown", message=message)
        self.broken = self.broken or error
        self.stop(failure)
        return failure

    def ending(self) -> Ending:
        """Tell how the run as a whole has ended."""
        if self.stopped is None:
            return Ending()
        return Ending(stopped=self.stopped.code, message=self.stopped.message)

    def not_tried(self) -> Failure:
        """Give the words for a scene that the run has not come to."""
        because = "it was cancelled" if self.stopped is None else self.stopped.message
        message = f"the run had stopped: {because}"
        return Failure(code="not_tried", message=message, retryable=True)

    def count(self, attempted: AttemptResult, now: float) -> None:
        """Count what comes in a row, and so does not come from the single scene."""
        if attempted.interrupted or attempted.storage is not None:
            return
        happened = happened_of(attempted)
        if happened == "unsent" and self.streaks.unsent == 0:
            self.unsent_since = now
        self.streaks = self.streaks.after(happened, attempted.verdict.message)


def happened_of(attempted: AttemptResult) -> Happened:
    """Tell what a request came to, as far as it counts in a row."""
    verdict = attempted.verdict
    if attempted.picture is not None:
        return "made"
    if attempted.not_here is not None:  # a young address may need a moment; it is counted later
        return "pending" if attempted.not_here.needs_setting else "other"
    if verdict.kind is VerdictKind.NOT_SENT:
        return "unsent"
    if is_unknown(verdict):
        return "unknown"
    if verdict.may_be_billed:
        return "billed"
    return "rejected" if verdict.kind is VerdictKind.REJECTED else "other"
