"""What came is used, however late or odd: nothing that lies in a socket is thrown away."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from pydantic import SecretStr

from host_stub.contract import Scene
from stage3_plugin.domain.exchange import Send
from stage3_plugin.runtime.interrupt import Interrupt
from stage3_plugin.transport.client import Client
from stage3_plugin.transport.exchange import Exchange
from tests.doors import Story, purchases, run_stage, settings_for
from tests.fakes.behaviours import Drip, Gate, Hang, Ok
from tests.fakes.image_api import KEY, ImageApi
from tests.hostile.pages import Serve, reset, response, serving
from tests.hostile.sending import Kept, post

pytestmark = pytest.mark.anyio

LONG = "x" * (24 << 20)
"""A prompt that no buffer of a socket holds."""
PATH = "/v1/images/generations"
REFUSED = json.dumps({"error": {"message": "the request is too large", "type": "invalid"}}).encode()


async def posted_beside(
    other: Callable[[], Coroutine[Any, Any, None]], api: ImageApi, **more: Any
) -> Exchange:
    """Send a request while something else goes on."""
    ends: list[Exchange] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        ends.append(await post(api.base_url, **more))
        tasks.cancel_scope.cancel()
    return ends[0]


# Deadlines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", [Hang(), Drip(every_s=0.01)], ids=repr)
async def test_a_loop_that_is_always_late_gives_up_all_the_same(
    image_api: ImageApi, behaviour: Hang | Drip
) -> None:
    """Time that was lost is given back a few times and not for ever."""
    image_api.script(behaviour)
    began = time.monotonic()

    async def hold_up() -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            time.sleep(0.1)  # noqa: ASYNC251 - it is the loop that is to be late

    exchange = await posted_beside(hold_up, image_api, timeout_s=0.4)

    assert not exchange.complete
    assert "within 0.4 s" in exchange.problem
    assert time.monotonic() - began < 10


async def test_an_interrupt_does_not_throw_away_what_has_come(image_api: ImageApi) -> None:
    """The answer lies in the socket when the run is told to end."""
    gate = Gate()
    image_api.script(Ok(gate=gate))
    interrupt = Interrupt()

    async def hold_up() -> None:
        while not image_api.in_flight:
            await anyio.sleep(0.005)
        gate.open()
        time.sleep(0.3)  # noqa: ASYNC251 - the answer comes meanwhile, unseen
        interrupt.trigger()

    exchange = await posted_beside(hold_up, image_api, interrupt=interrupt)

    assert exchange.complete


# Answers that come early -------------------------------------------------------------------------


def says(answer: bytes, *, then_reset: bool = True, reads: int = 100_000) -> Serve:
    """Read a little of a request, answer, and hang up while it still comes."""

    def serve(connection: socket.socket, _: bytes) -> None:
        left = reads
        while left > 0:
            left -= len(connection.recv(min(left, 65536)))
        connection.sendall(answer)
        time.sleep(0.1)
        if then_reset:
            reset(connection)

    return serve


@pytest.mark.parametrize("status", [401, 413])
async def test_an_answer_before_the_request_has_left_is_read(status: int) -> None:
    """And judged, though the connection broke while the request was being written."""
    sink = Kept()
    with serving() as server:
        server.pages[PATH] = says(response(status, REFUSED))
        exchange = await post(f"http://127.0.0.1:{server.port}/v1", sink, prompt=LONG)

    assert exchange.complete
    assert (sink.status, sink.body) == (status, REFUSED)


async def test_an_early_answer_of_a_server_that_reads_no_more_is_read_in_the_end() -> None:
    """It neither takes the rest nor hangs up, and its answer is there when the time is over."""
    sink = Kept()

    def serve(connection: socket.socket, _: bytes) -> None:
        connection.sendall(response(401, REFUSED))
        time.sleep(5)

    with serving() as server:
        server.pages[PATH] = serve
        base_url = f"http://127.0.0.1:{server.port}/v1"
        exchange = await post(base_url, sink, prompt=LONG, timeout_s=1)

    assert exchange.complete
    assert sink.body == REFUSED


async def test_a_request_that_did_not_leave_as_a_whole_cannot_have_run() -> None:
    """The server hangs up in the middle of it: nothing is in doubt, and nothing to resolve."""
    with serving() as server:
        server.pages[PATH] = lambda connection, _: reset(connection)
        exchange = await post(f"http://127.0.0.1:{server.port}/v1", prompt=LONG)

    assert not exchange.sent
    assert exchange.in_part


async def test_a_request_that_takes_too_long_to_leave_is_not_ended() -> None:
    """What is awaited no more would be paid for all the same."""
    read: list[int] = []

    def serve(connection: socket.socket, _: bytes) -> None:
        while piece := connection.recv(1 << 20):
            read.append(len(piece))
            time.sleep(0.05)

    with serving() as server:
        server.pages[PATH] = serve
        base_url = f"http://127.0.0.1:{server.port}/v1"
        exchange = await post(base_url, prompt=LONG, timeout_s=0.5)

    assert not exchange.sent
    assert "the request could not leave within 0.5 s" in exchange.problem
    assert sum(read) < len(LONG)


async def test_an_interrupt_ends_a_request_that_is_leaving() -> None:
    """At once, and nothing is in doubt."""
    stopping, began = Interrupt(), threading.Event()

    def serve(connection: socket.socket, _: bytes) -> None:
        connection.recv(1 << 16)
        began.set()
        time.sleep(5)

    with serving() as server:
        server.pages[PATH] = serve
        base_url = f"http://127.0.0.1:{server.port}/v1"
        ends: list[Exchange] = []

        async def send() -> None:
            ends.append(await post(base_url, prompt=LONG, interrupt=stopping, timeout_s=60))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            while not began.is_set():
                await anyio.sleep(0.005)
            stopping.trigger()

    assert ends[0].interrupted
    assert not ends[0].sent


async def test_an_early_success_that_is_cut_may_have_run() -> None:
    """Whatever the server made of half a request."""
    with serving() as server:
        server.pages[PATH] = says(response(200, REFUSED)[:-5])
        exchange = await post(f"http://127.0.0.1:{server.port}/v1", prompt=LONG)

    assert exchange.sent
    assert not exchange.complete


async def test_a_cut_answer_to_a_whole_request_is_unknown_and_its_status_is_told() -> None:
    """It may have run, whatever the head says."""
    with serving() as server:
        server.pages[PATH] = says(response(502, REFUSED)[:-5], reads=0)
        exchange = await post(f"http://127.0.0.1:{server.port}/v1")

    assert exchange.sent
    assert not exchange.complete
    assert exchange.status == 502
    assert "502" in exchange.problem


# Requests that cannot be made --------------------------------------------------------------------


# Headers of one's own ----------------------------------------------------------------------------


async def test_headers_of_ones_own_go_with_paid_requests_alone(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """A picture's address sees neither them nor the key."""
    image_api.always(Ok(url="own"))
    settings = settings_for(image_api, headers={"X-Portkey-Provider": "openai", "x-tag": "t 1"})
    ran = await run_stage(settings, Story([Scene(scene_id="s1", prompt="a harbour")]), tmp_path)
    (asked,) = image_api.asked()
    (visit,) = image_api.visits()

    assert ran.code("s1") == "made"
    assert asked.headers["x-portkey-provider"] == "openai"
    assert asked.headers["x-tag"] == "t 1"
    assert asked.headers["x-litellm-num-retries"] == "0"
    assert asked.headers["accept"] == "application/json"
    assert not {"x-portkey-provider", "x-tag", "authorization"} & set(visit.headers)
    assert not any("litellm" in name for name in visit.headers)


async def test_a_header_of_ones_own_comes_before_ours(image_api: ImageApi) -> None:
    """How often a gateway tries is for its owner to say."""
    settings = settings_for(image_api, headers={"X-LiteLLM-Num-Retries": "2", "user-agent": "me"})
    sender = Client(
        key_header="authorization",
        key_prefix="Bearer ",
        key=SecretStr(KEY),
        own_urls=[image_api.base_url],
        headers={"x-litellm-num-retries": SecretStr("0")} | settings.headers,
        timeout_s=5,
    )
    call = Send(url=f"{image_api.base_url}/images/generations", payload={"prompt": "x"})
    await sender.post(call, Kept().open)
    (asked,) = image_api.asked()

    assert asked.headers["x-litellm-num-retries"] == "2"
    assert asked.headers["user-agent"] == "me"
    assert asked.headers["content-type"] == "application/json"


async def test_a_lone_surrogate_leaves_nothing_held(image_api: ImageApi, tmp_path: Path) -> None:
    """The scene fails, nothing is sent, and no row waits for a decision."""
    scenes = Story([Scene(scene_id="s1", prompt="half of a pair: \ud83d")])
    ran = await run_stage(settings_for(image_api), scenes, tmp_path)

    assert ran.code("s1") != "made"
    assert image_api.received() == 0
    assert {purchase.state for purchase in purchases(tmp_path)} <= {"VOID"}
