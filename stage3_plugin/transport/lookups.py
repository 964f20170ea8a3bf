"""Which addresses a name has, looked up in threads that are never waited for; connecting to one.

``getaddrinfo`` cannot be cancelled and may take half a minute to find out that no name server
answers. The threads of an event loop are waited for when it ends, so such a lookup would keep the
whole process; these are not. One name is looked up once, however many ask for it at a time.

A socket gets connected to the first address that answers, each tried a little after the last.
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any, TypeAlias

import anyio
import anyio.from_thread
import anyio.lowlevel

from stage3_plugin.runtime.system_errors import from_lack

AT_ONCE = 16
"""Names that are looked up at a time; a lookup that hangs counts until it ends."""
HEAD_START_S = 0.25
"""How long an address may take before the next one is tried beside it (RFC 8305, section 5)."""

Address: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""What ``socket.getaddrinfo`` returns."""


class NameServerSilent(TimeoutError):
    """No name server answered in time."""


class AddressForbidden(OSError):
    """A name has no address but such as may not be connected to.

    Attributes:
        number: The first of them.
    """

    def __init__(self, number: str) -> None:
        super().__init__(errno.EACCES, "an address that may not be connected to")
        self.number = number


class _Lookup:
    """A lookup under way, and what came of it."""

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.found: Sequence[Address] = ()
        self.error: OSError | None = None


class Lookups:
    """Looks names up. Belongs to one event loop.

    Args:
        at_once: Names that are looked up at a time.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._under_way: dict[tuple[str, int], _Lookup] = {}
        self._room = anyio.Semaphore(at_once)

    async def addresses(self, host: str, port: int) -> Sequence[Address]:
        """Return the addresses; the families take turns, so that a dead one costs one wait.

        Raises:
            socket.gaierror: There is no such name, or the name servers failed.
        """
        try:  # no name to look up, so no thread to wait for
            found: Sequence[Address] = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        except UnicodeError:  # an empty or endless label
            raise socket.gaierror(socket.EAI_NONAME, "not a name") from None
        except socket.gaierror:
            found = await self._looked_up(host, port)
        first = [address for address in found if address[0] == found[0][0]]
        others = [address for address in found if address[0] != found[0][0]]
        turns = itertools.zip_longest(first, others)
        return [address for turn in turns for address in turn if address is not None]

    async def _looked_up(self, host: str, port: int) -> Sequence[Address]:
        lookup = self._under_way.get((host, port)) or await self._started(host, port)
        await lookup.ended.wait()
        if lookup.error is not None:
            raise type(lookup.error)(*lookup.error.args)  # one of its own for each task that waited
        return lookup.found

    async def _started(self, host: str, port: int) -> _Lookup:
        """Start a lookup as soon as there is room, unless another task did meanwhile."""
        await self._room.acquire()
        name = (host, port)
        if name in self._under_way:
            self._room.release()
            return self._under_way[name]
        lookup = self._under_way[name] = _Lookup()
        token = anyio.lowlevel.current_token()

        def end() -> None:
            del self._under_way[name]
            self._room.release()
            lookup.ended.set()

        def look_up() -> None:
            try:
                lookup.found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except OSError as error:
                lookup.error = error
            except UnicodeError:
                lookup.error = socket.gaierror(socket.EAI_NONAME, "not a name")
            with suppress(RuntimeError):  # the loop has ended, and no task waits any more
                anyio.from_thread.run_sync(end, token=token)

        try:
            threading.Thread(target=look_up, name="stage3-lookup", daemon=True).start()
        except RuntimeError as error:  # no more threads
            lookup.error = from_lack(error) or OSError(*error.args)
            end()
        return lookup


async def connect_to_any(addresses: Sequence[Address]) -> socket.socket:
    """Connect to the first address that answers, each a little later than the one before."""
    winners: list[socket.socket] = []
    failures: list[OSError] = []

    async def attempt(address: Address, ended: anyio.Event) -> None:
        try:
            connected = await _connect(address)
        except OSError as error:
            failures.append(error)
            ended.set()
            return
        if winners:
            connected.close()
            return
        winners.append(connected)
        tasks.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            for address in addresses:
                ended = anyio.Event()
                tasks.start_soon(attempt, address, ended)
                with anyio.move_on_after(HEAD_START_S):
                    await ended.wait()
    except BaseException:
        for winner in winners:  # connected in the moment the time was up
            winner.close()
        raise
    if not winners:
        raise failures[0]
    return winners[0]


async def _connect(address: Address) -> socket.socket:
    family, kind, protocol, _, place = address
    with ExitStack() as failing:
        connecting = failing.enter_context(socket.socket(family, kind, protocol))
        connecting.setblocking(False)
        try:
            connecting.connect(place)
        except (BlockingIOError, InterruptedError):
            await anyio.wait_writable(connecting)
            problem = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if problem:
                raise OSError(problem, os.strerror(problem)) from None
        failing.pop_all()
    return connecting
