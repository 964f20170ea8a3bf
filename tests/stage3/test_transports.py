"""What httpx gets from our transport: its own errors, and proxies only where they are wanted."""

import socket
import ssl
import threading
from collections.abc import Iterator

import httpcore
import httpx
import pytest

from stage3_plugin.transports import FreshConnection

pytestmark = pytest.mark.anyio

POOLS_AND_PROXIES = {
    "ConnectionNotAvailable", "NetworkError", "PoolTimeout", "ProtocolError", "ProxyError",
    "TimeoutException", "UnsupportedProtocol",
}  # fmt: skip


def own_errors() -> list[type[Exception]]:
    """List what httpcore may raise over one connection, from what it exports."""
    exported = [getattr(httpcore, name) for name in httpcore.__all__]
    return [
        each
        for each in exported
        if isinstance(each, type)
        and issubclass(each, Exception)
        and each.__name__ not in POOLS_AND_PROXIES
    ]


@pytest.mark.parametrize("error", own_errors(), ids=lambda error: error.__name__)
async def test_every_error_of_a_connection_is_told_as_httpx_tells_it(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client knows httpx's words only, and httpx's own transport uses the same."""

    async def fail(*_: object) -> None:
        raise error("told")

    monkeypatch.setattr(httpcore.AsyncHTTPConnection, "handle_async_request", fail)
    transport = FreshConnection(ssl.create_default_context(), trust_env=False)

    with pytest.raises(getattr(httpx, error.__name__), match="told") as caught:
        await transport.handle_async_request(httpx.Request("GET", "http://127.0.0.1:1/"))
    assert isinstance(caught.value.__cause__, error)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """Be the proxy that the environment names, answer anything, and note the first lines."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                seen.append(connection.recv(65536).partition(b"\r\n")[0])
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

        threading.Thread(target=serve, daemon=True).start()
        for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "HTTP_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield seen


async def test_a_proxy_of_the_environment_is_used_if_it_is_trusted(proxy: list[bytes]) -> None:
    """It is asked for the whole address."""
    transport = FreshConnection(ssl.create_default_context(), trust_env=True)
    async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
        response = await client.get("http://pictures.example/1")

    assert response.text == "ok"
    assert proxy == [b"GET http://pictures.example/1 HTTP/1.1"]


async def test_a_proxy_that_cannot_be_reached_is_an_error_of_httpx(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And its connection is closed."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    transport = FreshConnection(ssl.create_default_context(), trust_env=True)
    with pytest.raises(httpx.ConnectError):
        await transport.handle_async_request(httpx.Request("GET", "http://pictures.example/1"))


@pytest.mark.usefixtures("proxy")
async def test_a_proxy_of_the_environment_is_not_used_if_nobody_trusts_it() -> None:
    """The environment of a machine is not a setting of ours."""
    transport = FreshConnection(ssl.create_default_context(), trust_env=False)
    with pytest.raises(httpx.ConnectError):
        await transport.handle_async_request(httpx.Request("GET", "http://127.0.0.1:1/"))


async def test_only_http_addresses_are_visited() -> None:
    """Others are refused before anything is opened."""
    transport = FreshConnection(ssl.create_default_context(), trust_env=False)
    with pytest.raises(httpx.UnsupportedProtocol):
        await transport.handle_async_request(httpx.Request("GET", "ftp://pictures.example/"))
