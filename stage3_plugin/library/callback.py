"""A caller's own function: what it raises leaves the call, and tears nothing in the middle.

It may raise anything, and a signal's handler may raise in the middle of it, so what comes out of it
is never told apart, and never swallowed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

Arguments = ParamSpec("Arguments")


def until_it_raises(
    function: Callable[Arguments, object] | None, leave: Callable[[BaseException], object]
) -> Callable[Arguments, None]:
    """Return what calls a function, if there is one, until it raises.

    Args:
        function: What to call.
        leave: Called with what it raises, to leave, and to raise that once nothing is in flight.
    """

    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        nonlocal function
        if function is None:
            return
        try:
            function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - raised where the call ends
            function = None
            leave(error)

    return call
