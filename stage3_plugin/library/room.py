"""Where the stage of a program's event loop works: in a loop of its own, in a thread of its own.

An event loop that ends cancels every task in it at once, also those in the middle of a request that
is paid for; one that breaks down asks nobody at all. Here nothing of the program's can end a
request, and whoever waits in the program's loop leaves only when what it waits for has ended.
``LoopDoor`` is the way into a loop from anywhere: from its own thread, another, or a finalizer.
"""

from __future__ import annotations

import contextlib
import threading
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from concurrent import futures
from typing import TYPE_CHECKING, TypeVar, cast

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.lowlevel import current_token

from stage3_plugin.errors import Stage3Error

if TYPE_CHECKING:
    from trio.lowlevel import TrioToken

    from stage3_plugin.engine.stage import Stage

Result = TypeVar("Result")


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
        with contextlib.suppress(
            RuntimeError
        ):  # asyncio's for a closed loop; trio's RunFinishedError is one
            self._soon(call)

    def now(self, call: Callable[[], object]) -> None:
        """Make it at once in the loop's own thread, and soon from another one."""
        if threading.get_ident() == self._thread:
            call()
        else:
            self.soon(call)


class Room:
    """Runs functions in the stage's own loop.

    Attributes:
        stage: The stage, opened.
    """

    def __init__(self, portal: BlockingPortal, stage: Stage) -> None:
        self.stage = stage
        self._portal = portal

    async def call(
        self, function: Callable[[], Awaitable[Result]], leave: Callable[[], object] | None = None
    ) -> Result:
        """Have a function called there; whatever ends the waiting, it goes on when that has ended.

        Args:
            function: What to call.
            leave: Makes it end soon; by default it is cancelled.
        """
        future = self._portal.start_task_soon(function)
        done, door = anyio.Event(), LoopDoor()
        future.add_done_callback(lambda _: door.soon(done.set))
        try:
            await done.wait()
        except BaseException as error:
            (leave or future.cancel)()
            if isinstance(error, GeneratorExit):  # there is no event loop any more to wait in
                futures.wait([future])
            else:
                with anyio.CancelScope(shield=True):
                    await done.wait()
            raise
        return future.result()

    def soon(self, call: Callable[[], object]) -> None:
        """Have it called there in the next turn; safe in every thread, and nothing once closed."""
        with contextlib.suppress(RuntimeError):
            self._portal.start_task_soon(call)


@contextlib.asynccontextmanager
async def room_of(opened: contextlib.AbstractAsyncContextManager[Stage]) -> AsyncGenerator[Room]:
    """Open a stage in a loop of its own, and close it."""
    entered = _entered(opened)
    room = await anyio.to_thread.run_sync(entered.__enter__)
    try:
        yield room
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(entered.__exit__, None, None, None)


@contextlib.contextmanager
def _entered(opened: contextlib.AbstractAsyncContextManager[Stage]) -> Generator[Room]:
    with (
        start_blocking_portal(name="stage3 engine") as portal,
        portal.wrap_async_context_manager(opened) as stage,
    ):
        yield Room(portal, stage)
