"""How a run stands: whether it goes on, why it stopped, what broke it, what has come in a row.

One for all that brings scenes on, in dispatch and beside it. It calls what has to end when a run
stops; what is counted, and when that is a reason to stop, is ``policy.streaks``'s.
"""

from __future__ import annotations

from collections.abc import Callable

from host_stub.contract import Failure, StageSummary
from stage3_plugin.errors import ProviderBroken, StorageFailed
from stage3_plugin.policy.streaks import NONE
from stage3_plugin.purchase import messages
from stage3_plugin.runtime.interrupt import Interrupt

CUT_SHORT = Failure(code="cancelled", message="cut short", retryable=True)
CANCELLED = Failure(code="cancelled", message="the run was cancelled", retryable=True)


class RunState:
    """The state of one run.

    Attributes:
        on_stop: Called with the reason whenever there is one to stop.
        stopped: Why nothing new is started, if that is so.
        broken: The fault of our own that is raised when everything has ended.
        is_cancelled: The run was cancelled from outside.
        interrupt: Cuts short what is in flight.
        streaks: What has come in a row.
    """

    def __init__(self) -> None:
        self.on_stop: Callable[[Failure], None] = lambda _failure: None
        self.stopped: Failure | None = None
        self.broken: Exception | None = None
        self.is_cancelled = False
        self.interrupt = Interrupt()
        self.streaks = NONE

    @property
    def is_going_on(self) -> bool:
        """Whether anything new may be sent."""
        return self.stopped is None and not self.interrupt.triggered

    def stop(self, failure: Failure) -> None:
        """Start nothing new; the first reason is the one that is reported."""
        if self.stopped is None:
            self.stopped = failure
        self.on_stop(failure)

    def stop_on(self, error: Exception) -> Failure:
        """Stop on what was raised while a scene was in work, and return the scene's failure.

        The same fault may hit every scene, so no further one is paid for. What was paid for may lie
        in the spool. A fault of our own is kept, to be raised when everything has ended.
        """
        if isinstance(error, StorageFailed):
            failure = messages.no_storage(error)
        elif isinstance(error, ProviderBroken):  # an estimate: its other faults are verdicts
            failure = Failure(code="rejected", message=f"{error}; nothing was sent")
            self.broken = self.broken or error
        else:
            message = f"internal error {type(error).__name__}; an answer, if one came, is kept"
            failure = Failure(code="unknown", message=message)
            self.broken = self.broken or error
        self.stop(failure)
        return failure

    def ending(self) -> StageSummary:
        """Return how the run as a whole has ended."""
        if self.stopped is None:
            return StageSummary()
        return StageSummary(stopped=self.stopped.code, message=self.stopped.message)

    def not_tried(self) -> Failure:
        """Return the failure of a scene that the run has not come to."""
        because = "it was cancelled" if self.stopped is None else self.stopped.message
        message = f"the run had stopped: {because}"
        return Failure(code="not_tried", message=message, retryable=True)
