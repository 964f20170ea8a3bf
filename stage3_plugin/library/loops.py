"""A way into an event loop from anywhere: from its own thread, another one, or a finalizer."""

from __future__ import annotations

import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from anyio.lowlevel import current_token

from stage3_plugin.errors import Stage3Error

if TYPE_CHECKING:
    from trio.lowlevel import TrioToken


class StageUnusable(Stage3Error):
    """A stage was used after it was closed, or in another event loop than its own."""

    def __init__(self, problem: str) -> None:
        self.hint = "call it within 'async with open_stage(...)', in the event loop that opened it"
        super().__init__(problem)


class LoopDoor:
    """Has calls made in the event loop it was made in.

    A call that comes when the loop is closed is dropped: nothing waits for it any more.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        token = current_token().native_token
        if isinstance(token, AbstractEventLoop):
            self._soon: Callable[[Callable[[], object]], object] = token.call_soon_threadsafe
        else:
            self._soon = cast("TrioToken", token).run_sync_soon

    def need_here(self) -> None:
        """Refuse to be used in another thread, whose loop would wait for ever.

        Raises:
            StageUnusable: It is.
        """
        if threading.get_ident() != self._thread:
            raise StageUnusable("the stage was opened in the event loop of another thread")

    def soon(self, call: Callable[[], object]) -> None:
        """Have it made in the loop's next turn; safe in every thread, and in a finalizer."""
        with suppress(RuntimeError):  # asyncio's for a closed loop; trio's RunFinishedError is one
            self._soon(call)

    def now(self, call: Callable[[], object]) -> None:
        """Make it at once in the loop's own thread, and soon from another one."""
        if threading.get_ident() == self._thread:
            call()
        else:
            self.soon(call)
