"""Where the stage of a program's event loop works: in a loop of its own, in a thread of its own.

An event loop that ends cancels every task in it at once, also those in the middle of a request that
is paid for; one that breaks down asks nobody at all. Here nothing of the program's can end a
request, and whoever waits in the program's loop leaves only when what it waits for has ended.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from concurrent import futures
from typing import TypeVar

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal

from stage3_plugin.engine.stage import Stage
from stage3_plugin.library.loops import LoopDoor

Result = TypeVar("Result")


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
