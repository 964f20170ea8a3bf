"""How a body comes in, over a connection of its own."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Generator

import h11
import httpcore
import httpx
import pytest

from stage3_plugin.transport.connection import Arriving, FreshConnection
from stage3_plugin.transport.sockets import Terms

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("network")]

# Bodies ------------------------------------------------------------------------------------------

BODY = bytes(range(256)) * 4096
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(BODY)


@contextlib.contextmanager
def answering(*pieces: bytes, stays: bool = False, apart_s: float = 0.01) -> Generator[str]:
    """Answer one POST of ``!`` in pieces, a moment apart, and hang up; yields the address."""
    release = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                while not connection.recv(65536).endswith(b"!"):
                    pass
                for piece in pieces:
                    connection.sendall(piece)
                    release.wait(apart_s)
                if stays:
                    release.wait(10)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        release.set()
        thread.join(10)


async def opened(url: str) -> Arriving:
    """Ask for an address and return the answer before its body."""
    transport = FreshConnection(ssl.create_default_context(), trust_env=False)
    return await transport.send(httpx.Request("POST", url, content=b"!"), Terms())


async def body_from(url: str) -> bytes:
    """Ask for an address and return the body of the answer."""
    response = await opened(url)
    try:
        return b"".join([piece async for piece in response])
    finally:
        await response.aclose()


def _chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize(
    "pieces",
    [
        [HEAD + BODY],
        [HEAD, BODY],
        [HEAD[:-1], HEAD[-1:] + BODY],
        [HEAD + BODY[:1], BODY[1:]],
        [HEAD + BODY[:-1], BODY[-1:]],
        [HEAD + BODY[:300_000], BODY[300_000:700_000], BODY[700_000:]],
        [HEAD + BODY + b"and what nobody announced"],
        [HEAD + BODY[:9], BODY[9:] + b"and what nobody announced"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + BODY],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", _chunked(BODY)],
        [
            b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\ntransfer-encoding: chunked\r\n\r\n",
            _chunked(BODY),
        ],
        [b"HTTP/1.1 200 OK\r\n\r\n" + BODY],
    ],
)
async def test_a_body_comes_whole_however_it_is_framed_and_cut(pieces: list[bytes]) -> None:
    """Nothing is lost or doubled where httpcore stops reading and we go on."""
    with answering(*pieces) as url:
        body = await body_from(url)

    assert body == BODY


@pytest.mark.parametrize("network", ["our sockets"], indirect=True)  # it is what they are for
async def test_httpcore_does_not_handle_more_of_a_body_than_comes_with_the_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would copy every byte five times."""
    handled: list[int] = []
    receive = h11.Connection.receive_data

    def count(connection: h11.Connection, data: bytes) -> None:
        handled.append(len(data))
        receive(connection, data)

    monkeypatch.setattr(h11.Connection, "receive_data", count)
    with answering(HEAD + BODY[:1000], BODY[1000:], apart_s=0.25) as url:
        body = await body_from(url)

    assert body == BODY
    assert handled == [len(HEAD) + 1000]


@pytest.mark.parametrize("length", [0, 1, 200_000, len(BODY) - 1])
async def test_a_body_that_is_cut_is_an_error(length: int) -> None:
    """Wherever the server hangs up before the length it announced."""
    with (
        answering(HEAD + BODY[: length // 2], BODY[length // 2 : length]) as url,
        pytest.raises(httpcore.RemoteProtocolError),
    ):
        await body_from(url)


async def test_a_body_is_not_waited_for_longer_than_httpx_was_told() -> None:
    """The limit of a read holds where httpcore does not read any more."""
    with answering(HEAD + BODY[:10], stays=True) as url:
        transport = FreshConnection(ssl.create_default_context(), trust_env=False)
        timeout = httpx.Timeout(5, read=0.1)
        request = httpx.Request(
            "POST", url, content=b"!", extensions={"timeout": timeout.as_dict()}
        )
        response = await transport.send(request, Terms())
        with pytest.raises(httpcore.ReadTimeout):
            async for _ in response:
                pass
        await response.aclose()
