"""Sockets as httpcore sees them: what one read returns, what breaks as what, and what is closed."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import anyio
import httpcore
import pytest
import trustme

from stage3_plugin.transport import lookups
from stage3_plugin.transport.lookups import Lookups
from stage3_plugin.transport.sockets import READ_BYTES, Sockets, Terms, new_buffer

pytestmark = pytest.mark.anyio

Serve = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    pem = tmp_path_factory.mktemp("tls") / "localhost.pem"
    pem.write_bytes(authority.issue_cert("localhost").private_key_and_cert_chain_pem.bytes())
    context.load_cert_chain(pem)
    return context


@contextlib.contextmanager
def listening(serve: Serve) -> Generator[int]:
    """Run a bare server for one connection; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


def encrypted(serve: Serve, tls: ssl.SSLContext) -> Serve:
    """Serve over TLS."""

    def serve_encrypted(connection: socket.socket) -> None:
        with tls.wrap_socket(connection, server_side=True) as secure:
            serve(secure)

    return serve_encrypted


def until_closed(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(READ_BYTES):
            pass


async def read_all(stream: httpcore.AsyncNetworkStream, most: int = 65_536) -> list[bytes]:
    pieces: list[bytes] = []
    while piece := await stream.read(most):
        pieces.append(piece)
    return pieces


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_connections_that_share_a_buffer_do_not_mix_their_bytes(
    trust: ssl.SSLContext,
    server_tls: ssl.SSLContext,
    is_encrypted: bool,  # noqa: FBT001 - a parameter
) -> None:
    """What a read gives is a copy of its own, and what it has taken and not given is kept."""
    network_of_all = Sockets(new_buffer(), Terms())

    async def fetch(letter: bytes) -> None:
        def serve(connection: socket.socket) -> None:
            for _ in range(50):
                connection.sendall(letter * 20_000)

        with listening(encrypted(serve, server_tls) if is_encrypted else serve) as port:
            stream = await network_of_all.connect_tcp("127.0.0.1", port)
            if is_encrypted:
                stream = await stream.start_tls(trust, "localhost")
            pieces = await read_all(stream, 65_636)  # a little more than OpenSSL is given at once
            await stream.aclose()

        assert b"".join(pieces) == letter * 1_000_000

    async with anyio.create_task_group() as tasks:
        for letter in (b"a", b"b", b"c"):
            tasks.start_soon(fetch, letter)


async def test_a_large_write_waits_for_a_slow_reader(
    trust: ssl.SSLContext, server_tls: ssl.SSLContext
) -> None:
    """The peer gets every byte, however little the system takes at a time."""
    data = bytes(range(256)) * 40_000
    received = bytearray()

    def serve(connection: socket.socket) -> None:
        time.sleep(0.05)
        while len(received) < len(data):
            received.extend(connection.recv(READ_BYTES))
        connection.sendall(b"!")

    for tls in (None, server_tls):
        received.clear()
        with listening(encrypted(serve, tls) if tls else serve) as port:
            stream = await Sockets(new_buffer(), Terms()).connect_tcp("127.0.0.1", port)
            if tls:
                stream = await stream.start_tls(trust, "localhost")
            await stream.write(data, timeout=10)
            assert await stream.read(1) == b"!"
            await stream.aclose()

        assert bytes(received) == data


def address(port: int) -> tuple[Any, ...]:
    return (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))


async def test_the_next_address_is_tried_if_one_refuses_or_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A host with one dead address is reached over another, a moment later."""
    monkeypatch.setattr(lookups, "HEAD_START_S", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as server:
        refusing = server.getsockname()[1]
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as hanging,
        socket.create_connection(hanging.getsockname()),  # fills its queue: the next one waits
        listening(until_closed) as port,
    ):

        def found(*_: object, **__: object) -> list[tuple[Any, ...]]:
            return [address(refusing), address(hanging.getsockname()[1]), address(port)]

        monkeypatch.setattr(socket, "getaddrinfo", found)
        stream = await Sockets(new_buffer(), Terms()).connect_tcp(
            "pictures.example", port, timeout=5
        )
        await stream.write(b"x")
        await stream.aclose()


async def test_the_families_of_a_name_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three dead addresses of one family cost one wait, not three."""
    six = (socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("::1", 1, 0, 0))

    def found(*_: object, **__: object) -> list[tuple[Any, ...]]:
        return [six, six, six, address(1)]

    monkeypatch.setattr(socket, "getaddrinfo", found)

    assert await Lookups().addresses("pictures.example", 1) == [six, address(1), six, six]
