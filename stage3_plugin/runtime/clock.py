"""The clock of the running event loop, looked up once and read many times.

``anyio.current_time`` finds out anew at every call which loop runs, which takes ten times as long
as reading its clock. Apart because several packages read the same clock: a moment of one means the
same in another, and a test that drives the loop's clock drives them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

from anyio.lowlevel import current_token

Clock: TypeAlias = Callable[[], float]
"""Returns the seconds of ``anyio.current_time``."""


def clock() -> Clock:
    """Return the running loop's clock.

    Raises:
        anyio.NoEventLoopError: None is running.
    """
    loop: Any = current_token().native_token
    if isinstance(loop, asyncio.AbstractEventLoop):
        return loop.time
    from trio import current_time  # noqa: PLC0415 - trio is optional

    return current_time
