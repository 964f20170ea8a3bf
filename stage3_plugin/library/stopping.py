"""How a program leaves its runs: by a switch, by what its own function raises, or by a signal.

``Stop`` asks runs to stop, from any thread. A caller's own function may raise anything, and a
signal's handler may raise in the middle of it, so what comes out of it leaves the call, is never
told apart, and tears nothing in the middle.

A handler raises wherever the interpreter happens to be: in the middle of what is done for a paid
picture, or in the event loop itself, which then ends every task at once. So what one raises
(``SystemExit`` on SIGTERM, the time limit of a queue's worker, Ctrl-C) is taken from it here, makes
the program leave its stage, and is raised when what was in flight has been taken in.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Final, ParamSpec, TypeAlias
from weakref import WeakKeyDictionary

Arguments = ParamSpec("Arguments")
MOST_HELD: Final = 2
"""The first stops, the second cuts short; a third leaves at once."""
_Handler: TypeAlias = Callable[[int, FrameType | None], object]
_left: Final = WeakKeyDictionary[object, Mapping[int, _Handler]]()
"""What stood under the handlers whose blocks are over: they may end in any order."""

Listener: TypeAlias = Callable[[bool], None]
"""Is told that it was set, and whether what is in flight is to be given up."""


class Stop:
    """Asks every run it was passed to, to stop; also those that begin after it was set.

    Nothing new is sent then. What is in flight has the setting ``drain_s`` to end, since it is paid
    for, and every scene has its outcome.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._is_at_once = False
        self._listeners: list[Listener] = []

    @property
    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is_set

    def set(self, *, at_once: bool = False) -> None:
        """Ask them to stop; safe in every thread, and harmless a second time.

        Args:
            at_once: Give up what is in flight, too. It may have been billed: the ledger has it, and
                what can still be had of it the next run takes in.
        """
        with self._lock:
            self._is_set = True
            self._is_at_once = self._is_at_once or at_once
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(at_once)

    def add(self, listener: Listener) -> None:
        """Call this when it is set, or now if it is; meant for runs."""
        with self._lock:
            self._listeners.append(listener)
            is_set, is_at_once = self._is_set, self._is_at_once
        if is_set:
            listener(is_at_once)

    def remove(self, listener: Listener) -> None:
        """Call this no more."""
        with self._lock:
            self._listeners.remove(listener)


@contextmanager
def heeding(stop: Stop | None, listener: Listener) -> Generator[None]:
    """Have a listener told of a switch within a block, if there is one."""
    if stop is not None:
        stop.add(listener)
    try:
        yield
    finally:
        if stop is not None:
            stop.remove(listener)


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


@contextmanager
def held_back(leave: Callable[[bool], None]) -> Generator[None]:
    """Hold back what handlers raise for as long as the block lasts, and raise the last of it then.

    Args:
        leave: Called for each of them, with whether it is a second one; the program may be in the
            middle of anything.
    """
    held = list[BaseException]()
    formers = dict[int, _Handler]()
    handler = _holding(held, formers, leave)
    if threading.current_thread() is threading.main_thread():  # no other one is interrupted
        found = ((number, signal.getsignal(number)) for number in signal.valid_signals())
        formers.update({number: former for number, former in found if callable(former)})
    for number in formers:
        signal.signal(number, handler)
    try:
        yield
    finally:
        raised = held[-1:]
        held[:] = [GeneratorExit()] * MOST_HELD  # it may stand behind another one
        _left[handler] = formers
        for number in formers:
            while (now := signal.getsignal(number)) in _left:
                signal.signal(number, _left[now][number])
        for error in raised:
            raise error


def _holding(
    held: list[BaseException], formers: Mapping[int, _Handler], leave: Callable[[bool], None]
) -> _Handler:
    """Return what stands in for the handlers."""
    came = Counter[int]()

    def handler(number: int, frame: FrameType | None) -> object:
        came[number] += 1  # asyncio's own raises from the second on
        former = formers[number]
        if len(held) == MOST_HELD:
            return former(number, frame)
        try:
            # Trio's own would wait for the main task, whoever has opened the stage.
            is_trios = getattr(former, "__module__", "").startswith("trio.")
            error = KeyboardInterrupt() if is_trios else former(number, frame)
        except BaseException as raised:  # noqa: BLE001 - raised when the block is over
            error = raised
        if isinstance(error, BaseException):  # as of another one of ours
            held.append(error)
            leave(max(came[number], len(held)) > 1)
        return error

    return handler
