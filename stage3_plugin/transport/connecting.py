"""How a socket gets connected: to the first address that answers, each a little after the last.

Apart from the network because it ends where a connection begins.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack

import anyio

from stage3_plugin.transport.lookups import Address

HEAD_START_S = 0.25
"""How long an address may take before the next one is tried beside it (RFC 8305, section 5)."""


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
