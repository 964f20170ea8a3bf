"""A caller's own function: what it raises leaves the call, and tears nothing in the middle.

It may raise anything, and a signal's handler may raise in the middle of it, so what comes out of it
is never told apart, and never swallowed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, ParamSpec

Arguments = ParamSpec("Arguments")


class Callback(Generic[Arguments]):
    """Calls a function, if there is one, until it raises.

    Args:
        function: What to call.
        leave: Called with what it raises, to leave, and to raise that once nothing is in flight.
    """

    def __init__(
        self,
        function: Callable[Arguments, object] | None,
        leave: Callable[[BaseException], object],
    ) -> None:
        self._function = function
        self._leave = leave

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        if self._function is None:
            return
        try:
            self._function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - raised where the call ends
            self._function = None
            self._leave(error)
