"""How many tasks write to one ledger: what is waiting is made durable together, by one thread.

A durable commit takes milliseconds, in which the event loop must not stand still; and while one
is under way the next group gathers by itself, so no piece waits for others to come. A group is
handed over when a pass of the loop has brought nothing more to it: handed over one by one, each
piece would set the writer to work beside the loop, and the two threads would fight for Python's
lock at every statement. Apart from the ledger, which knows one connection and no tasks: this module
has the thread, the queue, and the way back into either event loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from errno import EIO
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

import anyio
from anyio.lowlevel import current_token

from stage3_plugin.errors import LedgerFailed, LedgerForked, LedgerInDoubt, LedgerMoved, out_of
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.place import FilePlace, LedgerPlace
from stage3_plugin.runtime.system_errors import from_lack

T = TypeVar("T")

HINT = "nothing of it was recorded; run again"
MOST_IN_A_GROUP = 256
"""Keeps one commit, and with it the first one's wait, to some milliseconds."""


class Commit(Protocol):
    """Runs work on the ledger in one durable transaction."""

    async def __call__(self, work: Callable[[Ledger], T], /) -> T:
        """Run ``work`` inside ``BEGIN IMMEDIATE`` and return its result once it is durable.

        What ``work`` raises is raised here, and what it changed is undone. It may be run more than
        once, after all it wrote was undone; so it changes nothing but the ledger.

        Raises:
            LedgerInDoubt: It may be durable, and may not: the connection was lost over its end.
            LedgerFailed: Nothing of it is durable.
        """
        ...


class GroupCommit:
    """Commits in a thread of its own, in one transaction for all that is waiting.

    Use it as an asynchronous context manager, on asyncio or trio. Leaving it waits for what was
    handed over. What is handed over ends: cancelling its task does not interrupt it and does not
    lose its result, but is delivered at the task's next checkpoint.
    """

    def __init__(self, place: LedgerPlace | Path) -> None:
        self._place = FilePlace(place) if isinstance(place, Path) else place
        self._shown = self._place.shown
        self._process = os.getpid()
        self._gathered: list[_Piece[Any]] = []
        """What is not handed over yet; of the event loop's thread alone."""
        self._seen = 0
        """How much of it there was at the end of the last pass."""
        self._is_out = False
        """Whether the writer has a group, during which the next one gathers."""
        self._queue: SimpleQueue[list[_Piece[Any]] | None] = SimpleQueue()
        self._lock = Lock()
        """Held to hand over and to end, so that nothing is handed to a writer that has ended."""
        self._has_ended = False
        self._is_closing = False
        self._ended: anyio.Event | None = None

    async def __aenter__(self) -> Self:
        """Open the ledger and start its writer.

        Raises:
            LedgerFailed: The ledger cannot be opened.
        """
        self._at_the_end_of_a_pass, self._from_a_thread = _calls()
        opening = _Piece[None](lambda _: None)  # it stands for the work of opening
        self._thread = Thread(
            target=self._write, args=(opening,), name="stage3 ledger", daemon=True
        )  # a daemon: a loop that was abandoned must not keep the process from ending
        try:
            self._thread.start()
        except RuntimeError as error:
            lack = from_lack(error)
            if lack is None:
                raise
            raise out_of(self._shown, lack) from error
        await _until(opening.over)
        if opening.error is not None:
            self._thread.join()  # it has ended too
        opening.outcome()
        return self

    async def __call__(self, work: Callable[[Ledger], T], /) -> T:
        """Hand ``work`` to the writer and return its result once it is durable.

        Raises:
            LedgerFailed: The commit failed, or the writer is no more; nothing of it is durable.
        """
        if os.getpid() != self._process:  # its writer is in the parent, and no answer would come
            raise LedgerForked(self._shown)
        if self._is_closing:
            raise RuntimeError("the ledger is closed: nothing can be committed any more")
        piece = _Piece(work)
        self._gathered.append(piece)
        if len(self._gathered) == 1 and not self._is_out:
            self._at_the_end_of_a_pass(self._see_who_comes)
        await _until(piece.over)
        return piece.outcome()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for what was handed over, and close the ledger."""
        self._is_closing = True
        while self._gathered:
            self._hand_over()
        with self._lock:
            if not self._has_ended:
                self._ended = anyio.Event()
                self._queue.put(None)
        if self._ended is not None:
            await _until(self._ended)
        self._thread.join()  # it has nothing left to do

    def _see_who_comes(self) -> None:
        """Hand over what has gathered, unless this pass of the loop has brought more."""
        seen, self._seen = self._seen, len(self._gathered)
        if seen < self._seen < MOST_IN_A_GROUP:
            self._at_the_end_of_a_pass(self._see_who_comes)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        """Hand the writer the next group of what has gathered, if anything has."""
        group = self._gathered[:MOST_IN_A_GROUP]
        del self._gathered[:MOST_IN_A_GROUP]
        self._seen = 0
        if not group:
            return
        with self._lock:
            if not self._has_ended:
                self._is_out = True
                self._queue.put(group)
                return
        for piece in group:
            piece.error = self._writer_is_gone()
        self._take_back(group)

    def _take_back(self, group: list[_Piece[Any]]) -> None:
        """Wake the tasks of a group, and let the next one go."""
        self._is_out = False
        for piece in group:
            piece.over.set()
        if self._gathered:
            self._at_the_end_of_a_pass(self._see_who_comes)

    # What follows runs in the writer's thread.

    def _write(self, opening: _Piece[None]) -> None:
        """Open the ledger, commit group after group until it is to close, and close it."""
        try:
            with self._place.open() as ledger:
                opening.result = None
                self._hand_back([opening])
                while (group := self._queue.get()) is not None:
                    self._commit(ledger, group)
        except BaseException as error:  # noqa: BLE001 - whatever it is, no task may wait for ever
            if not opening.is_over:
                opening.error = error
                self._hand_back([opening])
        finally:
            self._end()

    def _commit(self, ledger: Ledger, group: list[_Piece[Any]]) -> None:
        """Run a group's pieces in one transaction, each of which may fail alone.

        Hardly ever one does, and a savepoint for each costs as much as a statement. So they run
        without, and if one fails everything is undone and done again, each piece by itself.
        Nothing is handed back before the commit has returned.
        """
        try:
            try:
                with ledger.transaction():
                    for piece in group:
                        piece.run(ledger)
            except _OneHasFailed:
                with ledger.transaction():
                    for piece in group:
                        piece.run_by_itself(ledger)
        except BaseException as error:
            self._fail(group, error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._hand_back(group)

    def _hand_back(self, group: list[_Piece[Any]]) -> None:
        """Wake the tasks of a group with one call into their event loop."""
        for piece in group:
            piece.is_over = True
        with suppress(RuntimeError):  # the loop is gone, and with it all tasks that waited
            self._from_a_thread(self._take_back, group)

    def _end(self) -> None:
        """Leave no task waiting: neither for a piece that was not begun, nor for the close."""
        with self._lock:
            self._has_ended = True
            left: list[_Piece[Any]] = []
            while not self._queue.empty():
                left += self._queue.get() or ()
        for piece in left:
            piece.error = self._writer_is_gone()
        self._hand_back(left)
        if self._ended is not None:
            with suppress(RuntimeError):
                self._from_a_thread(self._ended.set)

    def _fail(self, group: list[_Piece[Any]], error: BaseException) -> None:
        """Give every piece of a group that was undone an error of its own.

        If the database failed in one of them, as on a full disk, that is the reason for all.
        """
        failed = (piece.error for piece in group if isinstance(piece.error, LedgerFailed))
        reason = next(failed, error)
        for piece in group:
            is_later = isinstance(piece.error, LedgerFailed) and piece.error is not reason
            if piece.error is None or is_later:
                piece.error = self._failed(reason)

    def _failed(self, reason: BaseException) -> LedgerFailed:
        if isinstance(reason, LedgerMoved):
            failed: LedgerFailed = LedgerMoved(self._shown, reason.missing)
        elif isinstance(reason, LedgerInDoubt):
            failed = LedgerInDoubt(self._shown)
        elif isinstance(reason, LedgerFailed):
            number = reason.cause.errno or EIO
            hint = reason.hint or HINT
            failed = LedgerFailed(self._shown, reason.problem, number=number, hint=hint)
        else:
            failed = LedgerFailed(self._shown, f"its writer met {type(reason).__name__}", hint=HINT)
        failed.__cause__ = reason
        return failed

    def _writer_is_gone(self) -> LedgerFailed:
        return LedgerFailed(self._shown, "its writer has ended", hint=HINT)


class _OneHasFailed(Exception):
    """A piece of a group raised something; the others are done again without it."""


class _Piece(Generic[T]):
    """Work that was handed over, and what came of it."""

    __slots__ = ("error", "is_over", "over", "result", "work")

    def __init__(self, work: Callable[[Ledger], T]) -> None:
        self.work = work
        self.over = anyio.Event()
        self.is_over = False
        self.error: BaseException | None = None
        self.result: T

    def run(self, ledger: Ledger) -> None:
        """Do the work.

        Raises:
            _OneHasFailed: It raised something, which it will do again.
        """
        try:
            self.result = self.work(ledger)
        except BaseException as error:
            raise _OneHasFailed from error

    def run_by_itself(self, ledger: Ledger) -> None:
        """Do the work, or undo it and keep its error.

        The whole transaction may be gone with it: SQLite rolls it back when, for example, the disk
        is full. The ledger then takes no further write, and its end fails for the group.
        """
        try:
            with ledger.savepoint():
                self.result = self.work(ledger)
        except BaseException as error:  # noqa: BLE001 - it is raised where the work comes from
            self.error = error

    def outcome(self) -> T:
        """Return the result, or raise the error, in the task that waited."""
        if self.error is not None:
            raise self.error
        return self.result


async def _until(over: anyio.Event) -> None:
    """Wait for something that nothing interrupts: it is on its way to the disk.

    A scope that is cancelled is heard of at the next checkpoint behind the shield. asyncio itself
    knows no shield; what it asks for here is asked for again in the end, as often as it was.
    """
    native: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError as error:  # no scope reaches in here
                native = error
    task = None if native is None else asyncio.current_task()
    if task is not None and native is not None:
        task.uncancel()  # or it would be counted twice
        task.cancel(*native.args)


def _calls() -> tuple[Callable[..., object], Callable[..., object]]:
    """Return what has something done at the end of a pass of this loop, and from any thread."""
    loop: Any = current_token().native_token
    if isinstance(loop, asyncio.AbstractEventLoop):
        return loop.call_soon, loop.call_soon_threadsafe
    return loop.run_sync_soon, loop.run_sync_soon
