"""The client over real sockets: what was sent, what came whole, and what is said about the rest."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from pydantic import SecretStr

from stage3_plugin.domain.exchange import InlinePictureOf, Send
from stage3_plugin.domain.reference import SentPicture
from stage3_plugin.errors import SpoolRefused, StorageFailed
from stage3_plugin.runtime.interrupt import Interrupt
from stage3_plugin.transport.client import Client
from stage3_plugin.transport.exchange import Exchange
from stage3_plugin.transport.job_hosts import JobHosts
from tests.fakes.behaviours import (
    Json,
    Ok,
)
from tests.fakes.image_api import KEY, ImageApi

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("network")]

LARGE = "512x512"
"""Of a picture that does not come together with the answer's head."""


class Sink:
    """Keeps a body; refuses what is over its cap, or breaks like a full disk."""

    def __init__(
        self,
        cap: int = 1 << 24,
        *,
        breaks: bool = False,
        at_the_end: Callable[[], object] = lambda: None,
    ) -> None:
        self.status = 0
        self.body = b""
        self.cap = cap
        self.breaks = breaks
        self.at_the_end = at_the_end
        self.ends: list[bool] = []

    def open(self, status: int, _headers: Mapping[str, str]) -> "Sink":
        self.status = status
        return self

    def feed(self, chunk: bytes) -> None:
        if self.breaks:
            raise StorageFailed(Path("part-0"), OSError(28, "No space left on device"))
        self.body += chunk
        if len(self.body) > self.cap:
            raise SpoolRefused("the answer is longer than the cap")

    def finish(self, how: str) -> bool:
        counts = how == "whole" or (how == "closed" and self.body.rstrip().endswith(b"}"))
        self.ends.append(counts)
        self.at_the_end()
        return counts


def client(*own_urls: str, timeout_s: float = 20.0, tls: ssl.SSLContext | None = None) -> Client:
    return Client(
        key_header="authorization",
        key_prefix="Bearer ",
        key=SecretStr(KEY),
        own_urls=own_urls,
        timeout_s=timeout_s,
        tls=tls,
    )


def call(base_url: str, size: str = "64x64") -> Send:
    return Send(
        url=f"{base_url}/images/generations",
        payload={"model": "m", "prompt": "a harbour", "n": 1, "size": size},
    )


async def post(
    base_url: str,
    sink: Sink | None = None,
    *,
    timeout_s: float = 20.0,
    tls: ssl.SSLContext | None = None,
    interrupt: Interrupt | None = None,
    size: str = "64x64",
) -> Exchange:
    sender = client(base_url, timeout_s=timeout_s, tls=tls)
    with (interrupt or Interrupt()).in_force():
        return await sender.post(call(base_url, size), (sink or Sink()).open)


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Generator[str]:
    """Run a bare server for one connection; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        thread.join(5)


@pytest.mark.parametrize("tls", [False, True])
async def test_the_end_is_seen_with_the_last_byte_and_nothing_in_between(*, tls: bool) -> None:
    """A process that is killed while the connection is closed has the whole answer on its disk."""
    passes: list[int] = []

    class Counting(Sink):
        def feed(self, chunk: bytes) -> None:
            super().feed(chunk)
            passes.append(count)

    sink = Counting(at_the_end=lambda: passes.append(count))
    count = 0
    with ImageApi(tls=tls) as api:
        api.always(Ok(heavy=True))
        trust = ssl.create_default_context(cadata=api.ca_pem.decode()) if api.ca_pem else None
        async with anyio.create_task_group() as tasks:

            async def go_round() -> None:
                nonlocal count
                while True:
                    await anyio.lowlevel.checkpoint()
                    count += 1

            tasks.start_soon(go_round)
            await post(api.base_url, sink, tls=trust, size=LARGE)
            tasks.cancel_scope.cancel()

    assert sink.ends == [True]
    assert passes[-1] == passes[-2]


async def test_a_server_that_does_not_speak_http_may_have_got_the_request() -> None:
    """What it did with it, nobody knows."""

    def babble(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

    with listening(babble) as base_url:
        exchange = await post(base_url)

    assert exchange.sent
    assert not exchange.complete


async def test_an_interrupt_while_connecting_lets_nothing_leave() -> None:
    """The body refuses to be sent after it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        interrupt = Interrupt()
        interrupt.trigger()
        exchange = await post(f"http://127.0.0.1:{server.getsockname()[1]}/v1", interrupt=interrupt)

    assert not exchange.sent
    assert exchange.interrupted


async def test_no_problem_is_told_with_a_header_value(image_api: ImageApi) -> None:
    """Some exceptions carry header values in their text, and so the key."""
    image_api.script(Json({"ok": True}))
    sender = Client(
        key_header="authorization",
        key_prefix="Bearer\n",  # illegal: httpx's own message would quote the whole value
        key=SecretStr(KEY),
        own_urls=[image_api.base_url],
        timeout_s=5,
    )
    exchange = await sender.post(call(image_api.base_url), Sink().open)

    assert not exchange.sent
    assert KEY not in exchange.problem
    assert (await post(image_api.base_url)).complete  # so that the server has seen the first one go


async def test_a_picture_that_is_not_held_keeps_its_request_back(image_api: ImageApi) -> None:
    sent = SentPicture(sha256="a" * 64, media_type="image/png", size_bytes=1)
    sender = client(image_api.base_url)
    send = replace(call(image_api.base_url), payload={"image": InlinePictureOf(sent)})
    exchange = await sender.post(send, Sink().open)

    assert not exchange.sent
    assert exchange.permanent
    assert not image_api.connections


# Reading what a job's address says ---------------------------------------------------------------


async def read(
    api: ImageApi, url: str, sink: Sink, *, interrupt: Interrupt | None = None
) -> Exchange:
    """Read an address once; only the API's own places are allowed."""
    reader = client(api.base_url)
    with (interrupt or Interrupt()).in_force():
        return await reader.read(url, sink.open, hosts=JobHosts(api.base_url, api.base_url))


@pytest.mark.parametrize("url", ["http://queue.elsewhere.example/jobs/1", "file:///etc/passwd"])
async def test_a_job_is_not_asked_for_where_the_key_must_not_go(
    image_api: ImageApi, url: str
) -> None:
    """No connection is made, and what is said would be the same the next time."""
    exchange = await read(image_api, url, Sink())

    assert not exchange.sent
    assert exchange.permanent
    assert "cannot be asked" in exchange.problem
    assert image_api.connections == 0
