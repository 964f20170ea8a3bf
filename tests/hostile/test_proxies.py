"""A proxy that is wrong is named, told once, and stops the run; its login is never shown."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import trustme

from stage3_plugin.engine.build import open_stage
from stage3_plugin.errors import EnvironmentRefused
from stage3_plugin.settings import Settings
from stage3_plugin.transport.proxies import read_proxy
from tests import doors
from tests.doors import settings_for
from tests.fakes.image_api import ImageApi
from tests.hostile.pages import Pages, Serve, reset, response, serving
from tests.hostile.sending import Kept, client, post

ROOT = Path(__file__).parents[2]
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
WITH_LOGIN = "http://someone:pa%24%24word@127.0.0.1:{port}"

SetProxy = Callable[..., None]


@pytest.fixture
def set_proxy(monkeypatch: pytest.MonkeyPatch) -> SetProxy:
    """Name proxies in the environment, and no others."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def name_proxies(**proxies: str) -> None:
        for name, address in proxies.items():
            monkeypatch.setenv(name, address)

    return name_proxies


def pump(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := one.recv(65536):
            other.sendall(piece)
        other.shutdown(socket.SHUT_WR)


def tunnel(connection: socket.socket, head: bytes) -> None:
    """Be a proxy that connects, as it should."""
    host, _, port = head.split(b" ")[1].decode().rpartition(":")
    with socket.create_connection((host, int(port))) as upstream:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=pump, args=(upstream, connection), daemon=True)
        back.start()
        pump(connection, upstream)
        back.join(10)


def break_off(connection: socket.socket, _: bytes) -> None:
    reset(connection)


@contextlib.contextmanager
def proxying(page: bytes | Serve, tls: ssl.SSLContext | None = None) -> Generator[Pages]:
    with serving(tls) as pages:
        pages.otherwise = page
        yield pages


def trust_in(api: ImageApi) -> ssl.SSLContext:
    assert api.ca_pem is not None
    return ssl.create_default_context(cadata=api.ca_pem.decode())


# What a proxy does -------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "http://127.0.0.1:{port}", WITH_LOGIN])
async def test_a_request_goes_through_a_proxy(set_proxy: SetProxy, address: str) -> None:
    """Also through one that is named without its scheme, as curl takes it."""
    with ImageApi(tls=True) as api, proxying(tunnel) as proxy:
        set_proxy(https_proxy=address.format(port=proxy.port))
        exchange = await post(api.base_url, trust_env=True, tls=trust_in(api))

        assert exchange.complete
        assert proxy.connections == 1
        has_login = b"Proxy-Authorization: Basic c29tZW9uZTpwYSQkd29yZA==" in proxy.heads[0]
        assert has_login is (address == WITH_LOGIN)
        assert b"sk-test" not in proxy.heads[0]
        assert not any("proxy" in name for name in api.asked()[0].headers)


@pytest.mark.anyio
async def test_a_free_question_goes_the_way_of_a_paid_request(set_proxy: SetProxy) -> None:
    """Through the proxy, in TLS, with the key inside; what the proxy says itself is no answer."""
    with ImageApi(tls=True) as api, proxying(tunnel) as proxy:
        set_proxy(https_proxy=f"http://127.0.0.1:{proxy.port}")
        asking = client(api.base_url, trust_env=True, tls=trust_in(api))
        answer = await asking.ask(f"{api.base_url}/models/m")
        proxy.otherwise = response(407)
        refused = await asking.ask(f"{api.base_url}/models/m")

        assert (answer.status, answer.problem) == (200, "")
        assert json.loads(answer.body)["id"] == "m"
        assert b"sk-test" not in b"".join(proxy.heads)
        assert len(api.entries) == 1
        assert "407" in refused.problem


@pytest.mark.anyio
async def test_a_request_goes_through_a_proxy_that_speaks_tls_itself(set_proxy: SetProxy) -> None:
    """One encrypted connection inside the other, and an answer larger than any buffer of them."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)
    sink = Kept()
    with ImageApi(tls=True) as api, proxying(tunnel, context) as proxy:
        trust = trust_in(api)
        trust.load_verify_locations(cadata=authority.cert_pem.bytes().decode())
        set_proxy(https_proxy=f"https://127.0.0.1:{proxy.port}")
        exchange = await post(api.base_url, sink, trust_env=True, tls=trust, prompt="x" * (3 << 20))

        assert exchange.complete
        assert b"b64_json" in sink.body
        assert len(api.asked()[0].prompt) == 3 << 20


def socks(connection: socket.socket, _: bytes) -> None:
    """Be a SOCKS proxy that connects to names without a login (RFC 1928)."""

    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count and (piece := connection.recv(count - len(data))):
            data += piece
        return data

    exactly(exactly(2)[1])
    connection.sendall(b"\x05\x00")
    kind = exactly(4)[3]
    host = socket.inet_ntoa(exactly(4)) if kind == 1 else exactly(exactly(1)[0]).decode()
    port = int.from_bytes(exactly(2), "big")
    with socket.create_connection((host, port)) as upstream:
        connection.sendall(b"\x05\x00\x00\x01" + bytes(6))
        threading.Thread(target=pump, args=(upstream, connection), daemon=True).start()
        pump(connection, upstream)


@pytest.mark.anyio
@pytest.mark.parametrize("tls", [False, True])
async def test_a_request_goes_through_a_socks_proxy(
    set_proxy: SetProxy,
    tls: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Where the package for it is installed."""
    pytest.importorskip("socksio")
    with ImageApi(tls=tls) as api, serving(greets=socks) as proxy:
        set_proxy(all_proxy=f"socks5://127.0.0.1:{proxy.port}")
        trust = trust_in(api) if tls else None
        exchange = await post(api.base_url, trust_env=True, tls=trust)

        assert exchange.complete
        assert proxy.connections == 1


@pytest.mark.anyio
async def test_a_socks_proxy_that_does_not_connect_is_named(set_proxy: SetProxy) -> None:
    """Its words are numbers; that it is the proxy is what counts."""
    pytest.importorskip("socksio")

    def refuse(connection: socket.socket, _: bytes) -> None:
        connection.recv(100)
        connection.sendall(b"\x05\xff")
        connection.recv(100)

    with serving(greets=refuse) as proxy:
        set_proxy(all_proxy=f"socks5://127.0.0.1:{proxy.port}")
        exchange = await post("https://api.example/v1", trust_env=True)

    assert exchange.problem == f"the proxy 127.0.0.1:{proxy.port} refuses to connect"
    assert exchange.stops_run


@pytest.mark.anyio
@pytest.mark.parametrize(
    "page, words, stops",
    [
        (response(407, proxy_authenticate="Basic"), "wants a login (407)", True),
        (response(403, b"<html>no"), "refuses to connect (403)", True),
        (response(502), "refuses to connect (502)", False),
        (b"", "closed the connection", False),
        (b"SSH-2.0-OpenSSH\r\n", "closed the connection", False),
        (break_off, "closed the connection", False),
    ],
)
async def test_a_proxy_that_does_not_connect_is_named(
    set_proxy: SetProxy, page: bytes | Serve, words: str, *, stops: bool
) -> None:
    """And nothing was sent, whatever it did."""
    with proxying(page) as proxy:
        set_proxy(https_proxy=f"127.0.0.1:{proxy.port}")
        exchange = await post("https://api.example/v1", trust_env=True)

    assert not exchange.sent
    assert exchange.problem == f"the proxy 127.0.0.1:{proxy.port} {words}"
    assert exchange.stops_run is stops


@pytest.mark.anyio
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_down_is_named_and_not_the_host_behind_it(
    set_proxy: SetProxy, scheme: str
) -> None:
    """And no word of its login."""
    set_proxy(all_proxy=WITH_LOGIN.format(port=1))
    exchange = await post(f"{scheme}://api.example/v1", trust_env=True)

    assert not exchange.sent
    assert exchange.problem == "the proxy 127.0.0.1:1 is down: nothing listens there"
    assert exchange.stops_run


@pytest.mark.anyio
async def test_a_login_that_a_proxy_does_not_accept_is_told_as_that(set_proxy: SetProxy) -> None:
    """The one who reads it looks at the password then."""
    with proxying(response(407)) as proxy:
        set_proxy(https_proxy=WITH_LOGIN.format(port=proxy.port))
        exchange = await post("https://api.example/v1", trust_env=True)

    assert "does not accept the login it was given (407)" in exchange.problem
    assert "word" not in exchange.problem


@pytest.mark.anyio
@pytest.mark.parametrize("is_cut", [False, True])
async def test_a_plain_proxy_that_wants_a_login_passed_nothing_on(
    set_proxy: SetProxy,
    is_cut: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """It had the request, answered early, and hung up with a reset; nothing was billed."""
    answer = response(407, b"<html>" * 50, proxy_authenticate="Basic")

    def refuse(connection: socket.socket, _: bytes) -> None:
        connection.sendall(answer[:-9] if is_cut else answer)
        time.sleep(0.1)
        reset(connection)

    with proxying(refuse) as proxy:
        set_proxy(http_proxy=f"http://127.0.0.1:{proxy.port}")
        exchange = await post("http://api.example/v1", trust_env=True, prompt="x" * (8 << 20))

    assert not exchange.sent
    assert exchange.stops_run
    assert exchange.problem == f"the proxy 127.0.0.1:{proxy.port} wants a login (407)"


@pytest.mark.anyio
async def test_a_run_logs_in_at_a_proxy_with_the_password_that_its_address_spells(
    set_proxy: SetProxy, tmp_path: Path
) -> None:
    """One with a colon, a slash or an at sign can be written in no other way than escaped."""
    with ImageApi() as api, proxying(response(407)) as proxy:
        set_proxy(https_proxy=f"http://some%40one:p%40ss%3A%2F%23@127.0.0.1:{proxy.port}")
        settings = settings_for(api, base_url="https://api.example/v1", trust_env=True, capacity=1)
        ran = await doors.run_stage(settings, doors.scenes(1), tmp_path)

    login = base64.b64encode(b"some@one:p@ss:/#")
    assert ran.code("s01") != "made"
    assert b"Proxy-Authorization: Basic " + login in proxy.heads[0]


# What the environment says -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "http://[bad", "http://", "http://:3128", "http://host:port", "http://host:99999",
        "http://host:0", "ftp://host:21", "socks4://host:1080", "socks://host", "http://a b:1",
        "http://host\n:1", "http://h\u00fc..x:1",
    ],
)  # fmt: skip
def test_an_address_of_a_proxy_that_is_none_is_refused(address: str) -> None:
    """By the variable it stands in."""
    with pytest.raises(EnvironmentRefused) as caught:
        read_proxy(address, "HTTPS_PROXY")

    assert "environment variable HTTPS_PROXY" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("address", ["http://u:pass word@host", "u:p\u00e4ss@[bad", "x://u:pass@h"])
def test_no_refusal_of_a_proxy_shows_its_login(address: str) -> None:
    """It is as secret as a key."""
    with pytest.raises(EnvironmentRefused) as caught:
        read_proxy(address, "HTTPS_PROXY")

    assert "p\u00e4ss" not in str(caught.value)
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize(
    "address, name",
    [
        ("proxy", "proxy:80"),
        ("proxy:3128", "proxy:3128"),
        ("http://proxy:3128/", "proxy:3128"),
        ("https://proxy", "proxy:443"),
        ("u:p@proxy:3128", "proxy:3128"),
        ("http://[::1]:3128", "[::1]:3128"),
        ("HTTP://Proxy:1", "proxy:1"),
    ],
)
def test_the_address_of_a_proxy_is_read_as_curl_reads_it(address: str, name: str) -> None:
    """And named without its login."""
    assert read_proxy(address, "HTTPS_PROXY").name == name


def test_a_socks_proxy_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and not as the name of an exception, four times for each scene."""

    def find_nothing(_: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", find_nothing)
    with pytest.raises(EnvironmentRefused) as caught:
        read_proxy("socks5://127.0.0.1:1080", "ALL_PROXY")

    assert "pip install '.[socks]'" in str(caught.value.hint)


@pytest.mark.anyio
@pytest.mark.parametrize("address", ["http://[bad", "gopher://127.0.0.1:70"])
async def test_a_stage_does_not_open_with_a_proxy_that_cannot_be_used(
    set_proxy: SetProxy, tmp_path: Path, address: str
) -> None:
    """Before anything is tried; without ``trust_env`` it is nobody's business."""
    set_proxy(https_proxy=address)
    settings = Settings(provider="openai", model="m", api_key="k", trust_env=True)  # type: ignore[arg-type]  # as a host gives it
    with pytest.raises(EnvironmentRefused, match="HTTPS_PROXY"):
        async with open_stage(settings, tmp_path):
            pass

    async with open_stage(settings.model_copy(update={"trust_env": False}), tmp_path):
        pass


def test_the_command_says_so_and_ends_with_2(tmp_path: Path) -> None:
    """At the start, in words that name the variable."""
    (tmp_path / "scenes.json").write_text(
        '[{"scene_id": "s1", "prompt": "a harbour"}]', encoding="utf-8"
    )
    (tmp_path / "host.toml").write_text(
        '[plugin.stage3]\nprovider = "openai"\nmodel = "m"\napi_key = "k"\ntrust_env = true\n',
        encoding="utf-8",
    )
    environment = {**os.environ, "HTTPS_PROXY": "http://[bad", "PYTHONPATH": str(ROOT)}
    environment.pop("https_proxy", None)
    ended = subprocess.run(
        [sys.executable, "-m", "host_stub", "run", "scenes.json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )

    assert ended.returncode == 2
    assert "environment variable HTTPS_PROXY is not the address of a proxy" in ended.stderr
