"""The event loop that everything asynchronous of a command runs on, where it is installed."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TypeVar, TypeVarTuple

import anyio

from host_stub.errors import UsageError
from host_stub.text.format import how_to_install

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


def run_on(
    backend: str, function: Callable[[*Arguments], Awaitable[Result]], *arguments: *Arguments
) -> Result:
    """Run a function to its end; blocks.

    Args:
        backend: anyio's event loop: ``asyncio`` or ``trio``.
        function: What to run.
        arguments: For it.

    Raises:
        UsageError: The event loop is not installed.
        OSError: No files are left for one.
    """
    if backend == "trio" and not _is_there("trio"):
        raise UsageError(
            "the event loop 'trio' is asked for, and the package trio is not installed",
            hint=how_to_install("trio"),
        )
    with selectors.DefaultSelector():  # asyncio's shows a traceback where it finds but two of three
        for one in socket.socketpair():
            one.close()
    return anyio.run(function, *arguments, backend=backend)


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # an import hook forbids it
        return False
