"""Ends what is in flight, each piece in its own way.

A purchase is shielded from cancellation from end to end, because an answer that has been paid for
must be stored and told. What may be cut short is only the waiting inside it, and only the purchase
knows how: so it registers a callback here for as long as that waiting lasts, and the stage calls
them all when its run is cancelled or the time to drain is over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager

from stage3_plugin.money import usd_text


class Interrupt:
    """A switch that is thrown at most once; callbacks run in the order of registration."""

    def __init__(self) -> None:
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._next = 0
        self.thrown = False

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Generator[None]:
        """Have ``callback`` called if the switch is thrown inside the block, or already was."""
        if self.thrown:
            callback()
        key = self._next
        self._next += 1
        self._callbacks[key] = callback
        try:
            yield
        finally:
            del self._callbacks[key]

    def throw(self) -> None:
        """Call every registered callback."""
        self.thrown = True
        for callback in list(self._callbacks.values()):
            callback()


def told_of_the_wait(
    holds: Collection[int], drain_s: float, *, is_local: bool, attempts: str
) -> str:
    """Say what an interrupted run still waits for, for how long, and what leaving at once costs.

    Args:
        holds: What is held for each request in flight, in micro-USD.
        drain_s: So long they are waited for.
        is_local: They are being drawn here, for nothing.
        attempts: The command that shows what nobody knows the end of.
    """
    count = len(holds)
    if is_local:
        drawn = "1 picture is" if count == 1 else f"{count:,} pictures are"
        return (
            f"{drawn} being drawn, and waited for, {drain_s:g} s at most; a second Ctrl-C leaves "
            "at once, and the next run draws what was not finished, for nothing"
        )
    is_one, held = count == 1, sum(holds)
    requests = "1 paid request is" if is_one else f"{count:,} paid requests are"
    money = f" ({usd_text(held)} USD held)" if held else ""
    return (
        f"{requests} in flight{money}: the run waits for {'it' if is_one else 'them'}, {drain_s:g} "
        "s at most (drain_s), which costs nothing more. A second Ctrl-C leaves at once: what is "
        "not here by then may be billed without a picture, stays counted, and is for you to "
        f"decide, see `{attempts}`"
    )
