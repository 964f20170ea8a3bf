"""How long one exchange still waits for its peer, in time in which this process was awake.

A deadline that cancels throws away what lies in the socket at that moment. Here nothing is
cancelled: when the time is over, waiting ends, and what has come is still taken. Nor is time
counted in which the process could not have looked: one that was stopped (Ctrl-Z, a paused
container, a laptop's lid) finds all of its time left when it goes on, and so does an exchange whose
event loop was kept busy. Apart from the sockets because it knows time and no bytes.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

RENEWED_BY_BYTES = 1 << 20
"""Of what may take longer than any limit, such as a file of gigabytes: so much of it begins the
time anew. What moves more slowly than that does not count as moving."""
DRAIN_S = 1.0
"""How long what flows without a pause may still be taken when the time is over."""

_LATE_S = 0.05
"""A shorter delay is the ordinary course of an event loop."""
_GRANTS = 3
"""How often the time that was lost is given back: a loop that is always late must end, too."""

_Waitable = TypeVar("_Waitable")
_Result = TypeVar("_Result")


class Patience:
    """The time of one exchange. Belongs to the event loop that it was made in.

    Args:
        limit_s: Seconds.
        is_renewed: Each :data:`RENEWED_BY_BYTES` begin the time anew. For what is bounded by
            whether it moves; an exchange with an end of its own has none of it.

    Attributes:
        is_over: Waiting has ended, whether the time ran out or was cut short.
    """

    def __init__(self, limit_s: float = math.inf, *, is_renewed: bool = False) -> None:
        now = anyio.current_time()
        self._limit_s = limit_s
        self._is_renewed = is_renewed
        self._moved_bytes = 0
        self._deadline = now + limit_s
        # Often enough to distinguish a stop from a wait, and seldom enough to cost nothing.
        self._beat_s = min(max(limit_s / 20, _LATE_S), 5.0)
        self._seen_at = now
        self._late_s = 0.0
        self._grants = _GRANTS
        self._over_since: float | None = None
        self._waiting: anyio.CancelScope | None = None

    @property
    def is_over(self) -> bool:
        return self._over_since is not None

    def cut(self) -> None:
        """End all waiting, from now on."""
        if self._over_since is None:
            self._over_since = anyio.current_time()
        if self._waiting is not None:
            self._waiting.cancel()

    def moved(self, count_bytes: int) -> None:
        """Note that so much has come or gone."""
        self._moved_bytes += count_bytes
        is_due = self._is_renewed and self._moved_bytes >= RENEWED_BY_BYTES
        if is_due and self.has_time():
            self._moved_bytes = 0
            self._deadline = self._seen_at + self._limit_s
            self._late_s, self._grants = 0.0, _GRANTS

    def has_time(self) -> bool:
        """Return whether anything may still be begun."""
        return not self._ran_out(self._look())

    def check(self) -> None:
        """Refuse to go on where the time is long over; to be asked before every step.

        Raises:
            TimeoutError: What flows without a pause has been taken for :data:`DRAIN_S`.
        """
        now = self._look()
        self._ran_out(now)
        if self._over_since is not None and now > self._over_since + DRAIN_S:
            raise TimeoutError

    async def wait(
        self, readiness: Callable[[_Waitable], Awaitable[None]], what: _Waitable
    ) -> bool:
        """Wait until something may have come, and return whether there was time for it.

        Returns:
            False at once if the time is over. After anything else it is worth looking again.
        """
        if not self.has_time():
            return False
        until = self._looks_again_at
        try:
            with anyio.CancelScope(deadline=until) as self._waiting:
                await readiness(what)
        finally:
            self._waiting = None
        self._waited(until)
        self._look()
        return True

    async def within(
        self, limit_s: float | None, work: Callable[[], Awaitable[_Result]]
    ) -> _Result:
        """Do work that waits in ways of its own, such as connecting, and that has its own limit.

        Neither the limit nor the whole time counts what was lost meanwhile. Work that is done in
        the moment its time is over counts as done.

        Args:
            limit_s: Seconds; without it, the work has to ask for itself.
            work: Cancelled when its time is over. Something else must own what it leaves open when
                it is cancelled from outside: its result may not arrive.

        Raises:
            TimeoutError: The limit was reached, or there is no time left at all.
        """
        if limit_s is None:
            return await work()
        results: list[_Result] = []
        failures: list[Exception] = []

        async def run() -> None:
            try:
                results.append(await work())
            except Exception as error:  # noqa: BLE001 - as it is, not in a group
                failures.append(error)
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await self._let_pass(Patience(limit_s))
            tasks.cancel_scope.cancel()
        if failures:
            raise failures.pop()
        if not results:
            raise TimeoutError
        return results.pop()

    async def _let_pass(self, limit: Patience) -> None:
        """Let the time of a limit pass, or what is left of the whole time."""
        while self.has_time() and limit.has_time():
            until = min(self._looks_again_at, limit._looks_again_at)
            try:
                await anyio.sleep_until(until)
            finally:
                self._waited(until)
                limit._waited(until)

    @property
    def _looks_again_at(self) -> float:
        return min(self._seen_at + self._beat_s, self._deadline)

    def _waited(self, until: float) -> None:
        """Note a wait that was to end by then: what it took until then was no lateness."""
        self._seen_at = max(self._seen_at, min(until, anyio.current_time()))

    def _look(self) -> float:
        """Note that the loop runs, and how late it is."""
        now = anyio.current_time()
        late_s = now - self._seen_at
        self._seen_at = now
        if late_s > _LATE_S:
            self._late_s += late_s
            if self._over_since is not None and self._grants:
                self._over_since += late_s
                self._grants -= 1
        return now

    def _ran_out(self, now: float) -> bool:
        """Return whether the time is over, once what was lost of it has been given back."""
        if self._over_since is not None:
            return True
        if now >= self._deadline and self._late_s and self._grants:
            self._deadline += self._late_s
            self._late_s = 0.0
            self._grants -= 1
        if now >= self._deadline:
            self._over_since = now
        return self._over_since is not None
