"""Whose certificate is not trusted, and why; and how one's own authority is trusted."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
from collections.abc import Generator
from pathlib import Path

import pytest
import trustme

from stage3_plugin.engine.build import open_stage
from stage3_plugin.errors import EnvironmentRefused
from stage3_plugin.settings import Settings
from tests.doors import run_stage, settings_for, states, story
from tests.fakes.image_api import ImageApi
from tests.hostile.pages import Pages, Serve, response, serving
from tests.hostile.sending import client, post


@pytest.fixture(autouse=True)
def no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without what the machine's own environment names."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


@contextlib.contextmanager
def presenting(certificate: trustme.LeafCert, **limits: ssl.TLSVersion) -> Generator[Pages]:
    """Serve with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name, version in limits.items():
        setattr(context, name, version)
    with certificate.private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)
    with serving(context) as pages:
        pages.otherwise = response(200, b"{}", content_type="application/json")
        yield pages


def trust_in(authority: trustme.CA) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())


@pytest.mark.anyio
@pytest.mark.parametrize(
    "kind, words",
    [
        ("unknown", "unable to get local issuer certificate; an authority of one's own is named"),
        ("expired", "certificate has expired"),
        ("another", "certificate is not valid for '127.0.0.1'"),
    ],
)
async def test_why_a_certificate_is_not_trusted_is_told(kind: str, words: str) -> None:
    """In the words of OpenSSL, since each has another cure; and for every scene at once."""
    authority = trustme.CA()
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    certificate = {
        "unknown": lambda: trustme.CA().issue_cert("127.0.0.1"),
        "expired": lambda: authority.issue_cert("127.0.0.1", not_after=past),
        "another": lambda: authority.issue_cert("127.0.0.2"),
    }[kind]()
    with presenting(certificate) as server:
        address = f"127.0.0.1:{server.port}"
        exchange = await post(f"https://{address}/v1", tls=trust_in(authority))

    assert not exchange.sent
    assert exchange.permanent
    assert exchange.stops_run
    assert f"the certificate of {address} is not trusted: " in exchange.problem
    assert words in exchange.problem


def says_at_once(words: bytes) -> Serve:
    """Say something to whoever connects, as a server does that does not understand."""

    def serve(connection: socket.socket, _: bytes) -> None:
        connection.sendall(words)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(2)
        while connection.recv(65536):
            pass

    return serve


@pytest.mark.anyio
async def test_a_plain_port_is_told_from_one_with_tls() -> None:
    """A typo in one letter of the address is a word in the message."""
    with serving(greets=says_at_once(response(400))) as server:
        exchange = await post(f"https://127.0.0.1:{server.port}/v1")

    assert not exchange.sent
    assert exchange.problem == (
        f"127.0.0.1:{server.port} does not speak TLS on this port; is its address one with http://?"
    )
    assert exchange.stops_run


@pytest.mark.anyio
async def test_a_server_that_hangs_up_on_tls_is_told_as_that() -> None:
    """It may have been stopped in that moment, so it is tried again."""
    with serving(greets=says_at_once(b"")) as server:
        exchange = await post(f"https://127.0.0.1:{server.port}/v1")

    assert not exchange.sent
    assert not exchange.stops_run
    assert "while TLS was being agreed on" in exchange.problem


@pytest.mark.anyio
async def test_a_port_with_tls_is_told_from_a_plain_one() -> None:
    """Nothing ran: the server could not even read what was sent, and says so in its own way."""
    unexpected_message = b"\x15\x03\x01\x00\x02\x02\x0a"
    with serving(greets=says_at_once(unexpected_message)) as server:
        exchange = await post(f"http://127.0.0.1:{server.port}/v1")

    assert not exchange.sent
    assert exchange.stops_run
    assert "https://" in exchange.problem


@pytest.mark.anyio
@pytest.mark.parametrize(
    "page",
    [
        b"<html><h1>400</h1>The plain HTTP request was sent to HTTPS port</html>",
        b"Client sent an HTTP request to an HTTPS server.\n",
        b"Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />\n Instead use",
    ],
)
async def test_a_server_that_wants_tls_and_says_so_is_heard(page: bytes) -> None:
    """nginx, servers written in Go, and Apache."""
    with serving() as server:
        server.otherwise = response(400, page)
        exchange = await post(f"http://127.0.0.1:{server.port}/v1")

    assert not exchange.sent
    assert exchange.stops_run
    assert "https://" in exchange.problem


@pytest.mark.anyio
async def test_a_server_with_old_tls_alone_is_told_as_that() -> None:
    """It would not help to try again."""
    authority = trustme.CA()
    trust = trust_in(authority)
    trust.minimum_version = ssl.TLSVersion.TLSv1_3
    certificate = authority.issue_cert("127.0.0.1")
    with presenting(certificate, maximum_version=ssl.TLSVersion.TLSv1_2) as server:
        exchange = await post(f"https://127.0.0.1:{server.port}/v1", tls=trust)

    assert "versions of TLS" in exchange.problem
    assert exchange.stops_run


@pytest.mark.anyio
async def test_a_run_stops_at_a_certificate_that_is_wrong_for_every_scene(tmp_path: Path) -> None:
    """One connection, one message."""
    with presenting(trustme.CA().issue_cert("127.0.0.1")) as server, ImageApi() as api:
        base_url = f"https://127.0.0.1:{server.port}/v1"
        settings = settings_for(api, base_url=base_url, capacity=1)
        ran = await run_stage(settings, story("s1", "s2", "s3"), tmp_path)

    assert server.connections == 1
    failure = ran.outcomes["s1"].failure
    assert failure is not None
    assert "is not trusted: " in failure.message
    assert set(states(tmp_path)) == {"VOID"}


# SSL_CERT_FILE and SSL_CERT_DIR ------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("trust_env", [False, True])
async def test_an_authority_of_ones_own_is_named_by_a_variable(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    trust_env: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Whatever is said of proxies."""
    authority = trustme.CA()
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with presenting(authority.issue_cert("127.0.0.1")) as server:
        exchange = await post(f"https://127.0.0.1:{server.port}/v1", trust_env=trust_env)

    assert exchange.complete


@pytest.mark.anyio
@pytest.mark.parametrize(
    "variable, name, content",
    [
        ("SSL_CERT_FILE", "missing.pem", None),
        ("SSL_CERT_FILE", "wrong.pem", b"no certificate"),
        ("SSL_CERT_FILE", "", None),
        ("SSL_CERT_DIR", "missing", None),
        ("SSL_CERT_DIR", "", None),
    ],
)
async def test_certificates_that_cannot_be_read_are_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    name: str,
    content: bytes | None,
) -> None:
    """The variable and the file, not the name of an exception."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    path = folder / name
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(variable, str(path))
    settings = Settings(provider="openai", model="m", api_key="k")  # type: ignore[arg-type]  # as a host gives it
    with pytest.raises(EnvironmentRefused) as caught:
        async with open_stage(settings, tmp_path):
            pass

    assert variable in caught.value.message
    assert str(path) in caught.value.message


def test_a_folder_of_certificates_is_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that ``openssl rehash`` has been over."""
    (tmp_path / "0a1b2c3d.0").write_bytes(trustme.CA().cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))

    client()
