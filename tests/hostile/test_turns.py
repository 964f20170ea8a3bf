"""Answers that are much work to take in leave the event loop its turns, however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping

import anyio
import anyio.lowlevel
import httpx
import pytest

from stage3_plugin.transport.connection import FreshConnection, Terms
from stage3_plugin.transport.exchange import Receiving, exchange

pytestmark = pytest.mark.anyio

AT_ONCE = 8
CHUNK = b"x" * (256 << 10)


class Rounds:
    """Counts the rounds of the event loop, and the steps taken in each."""

    def __init__(self) -> None:
        self.now = 0
        self.steps = Counter[int]()

    async def count(self) -> None:
        while True:
            self.now += 1
            await anyio.lowlevel.checkpoint()


class Sink:
    """Takes a body in steps, each of which was much work or little."""

    def __init__(self, rounds: Rounds, *, is_much: bool) -> None:
        self._rounds = rounds
        self._is_much = is_much
        self._has_stepped = False
        self.taken_bytes = 0

    def opened(self, _status: int, _headers: Mapping[str, str]) -> Sink:
        return self

    def feed(self, chunk: bytes) -> None:
        self.taken_bytes += len(chunk)
        self._rounds.steps[self._rounds.now] += 1
        self._has_stepped = True

    def go_on(self) -> bool:
        has_stepped, self._has_stepped = self._has_stepped, False
        return has_stepped and self._is_much

    def keep(self, raw: bytes) -> None:
        """Nothing is compressed here."""

    @property
    def document_ended(self) -> bool:
        return False

    def finish(self, *, complete: bool) -> bool:
        return complete


class Answering(FreshConnection):
    """Answers every request with a body that is all there."""

    def __init__(self) -> None:
        """Connect to nobody."""

    async def send(self, request: httpx.Request, terms: Terms) -> httpx.Response:  # noqa: ARG002
        length = {"content-length": str(len(CHUNK))}
        return httpx.Response(200, headers=length, stream=_Body())


class _Body(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield CHUNK


async def steps_of(*, is_much: bool) -> tuple[Counter[int], list[Sink]]:
    """Receive some answers at once."""
    rounds, turn = Rounds(), anyio.Lock()
    sinks = [Sink(rounds, is_much=is_much) for _ in range(AT_ONCE)]
    async with anyio.create_task_group() as counting:
        counting.start_soon(rounds.count)
        async with anyio.create_task_group() as tasks:
            for sink in sinks:
                request = httpx.Request("GET", "http://127.0.0.1/")
                state = Receiving(turn)
                tasks.start_soon(exchange, Answering(), request, sink.opened, state, Terms())
        counting.cancel_scope.cancel()
    return rounds.steps, sinks


async def test_one_step_that_is_much_work_is_taken_in_a_round_of_the_loop() -> None:
    """Eight answers of text do not each take a step before anybody else has a turn."""
    steps, sinks = await steps_of(is_much=True)

    assert [sink.taken_bytes for sink in sinks] == [len(CHUNK)] * AT_ONCE
    assert max(steps.values()) <= 2  # the counter itself may come first or last in a round
    assert sum(steps.values()) >= AT_ONCE * 30


async def test_small_steps_do_not_wait_for_a_turn() -> None:
    """A picture of 256 KiB is taken in as it lies there."""
    steps, sinks = await steps_of(is_much=False)

    assert [sink.taken_bytes for sink in sinks] == [len(CHUNK)] * AT_ONCE
    assert len(steps) <= 3
