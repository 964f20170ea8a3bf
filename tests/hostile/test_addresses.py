"""A picture is fetched only from where it may be, and the number that is connected to decides."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError

from stage3_plugin.errors import FetchRefused
from stage3_plugin.settings import Settings
from stage3_plugin.transport.picture_hosts import PictureHosts, Place, may_connect
from tests.fakes.image_api import KEY
from tests.fakes.pngs import make_png
from tests.hostile.pages import Pages, reset, response, serving
from tests.hostile.sending import fetch

PICTURE = make_png("a harbour", 64, 64)
PAGE = response(200, PICTURE, content_type="image/png")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Pages]:
    """Serve over TLS, under several names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = authority.issue_cert("127.0.0.1", "api.example", "cdn.example")
    with issued.private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)
    with serving(context) as pages:
        yield pages


@pytest.fixture
def server() -> Iterator[Pages]:
    with serving() as pages:
        yield pages


Names = dict[str, list[str]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Be the name server: each name with its addresses, one after the other where asked again."""
    known: Names = {}
    real: Callable[..., Any] = socket.getaddrinfo

    def look_up(host: str, port: int, *_: object, **more: Any) -> Any:
        if host not in known or more.get("flags"):
            return real(host, port, *_, **more)
        number = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return real(number, port, type=socket.SOCK_STREAM)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


# What an address is ------------------------------------------------------------------------------

NEVER_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.1.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1",
    "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::", "fc00::1",
    "fd12::1", "fe80::1", "fe80::1%lo", "febf::1", "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip


@pytest.mark.parametrize("number", NEVER_PUBLIC)
def test_an_address_of_no_public_network_is_none_of_the_open_internet(number: str) -> None:
    """In whatever form it is written, one inside another included."""
    assert not may_connect(number, "93.184.216.34")
    assert not may_connect(number, "")


@pytest.mark.parametrize(
    "number", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_an_address_of_the_open_internet_is_one(number: str) -> None:
    """Also as one that a translator makes of it."""
    assert may_connect(number, "")
    assert may_connect(number, "127.0.0.1")


@pytest.mark.parametrize(
    "number, api, may",
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("::1", "127.0.0.1", True),
        ("10.0.0.1", "127.0.0.1", True),
        ("10.0.0.1", "192.168.0.1", True),
        ("127.0.0.1", "192.168.0.1", False),
        ("169.254.169.254", "192.168.0.1", False),
        ("169.254.169.254", "127.0.0.1", False),
    ],
)
def test_a_private_address_is_reached_only_beside_an_api_that_is_as_near(
    number: str, api: str, *, may: bool
) -> None:
    """An API on the local network has no business with this machine's own services."""
    assert may_connect(number, api) is may


@pytest.mark.parametrize(
    "api, others, url, may",
    [
        ("https://api.example/v1", (), ("https", "api.example", None), True),
        ("https://api.example/v1", (), ("https", "API.example.", 443), True),
        ("https://api.example/v1", (), ("http", "api.example", None), False),
        ("https://api.example/v1", (), ("https", "api.example", 8443), False),
        ("https://api.example:8443/v1", (), ("https", "api.example", 8443), True),
        ("http://api.example:8080/v1", (), ("http", "api.example", 8080), True),
        ("http://api.example:8080/v1", (), ("http", "api.example", 22), False),
        ("https://api.example/v1", (), ("https", "cdn.example", None), False),
        ("https://api.example/v1", ("cdn.example",), ("https", "cdn.example", None), True),
        ("https://api.example/v1", ("cdn.example",), ("http", "cdn.example", None), False),
        ("https://api.example/v1", ("cdn.example",), ("https", "a.cdn.example", None), False),
        ("https://api.example/v1", (".cdn.example",), ("https", "a.cdn.example", None), True),
        ("https://api.example/v1", (".cdn.example",), ("https", "acdn.example", None), False),
        ("https://api.example/v1", (".cdn.example",), ("https", "cdn.example.evil", None), False),
        ("https://api.example/v1", ("cdn.example",), ("https", "cdn.example", 8443), False),
        ("https://api.example/v1", ("cdn.example:8443",), ("https", "cdn.example", 8443), True),
        ("http://api.example:81/v1", ("cdn.example",), ("https", "cdn.example", 81), True),
        ("https://b\u00fccher.example", (), ("https", "xn--bcher-kva.example", None), True),
    ],
)
def test_a_host_a_scheme_and_a_port_have_to_be_allowed(
    api: str, others: tuple[str, ...], url: tuple[str, str, int | None], *, may: bool
) -> None:
    """Before any name is looked up."""
    assert (PictureHosts(api, others).objection(Place.of(*url)) is None) is may


# Over sockets ------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_redirect_leads_only_to_where_the_address_might_have_led(
    names: Names, secure: Pages, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    """By name and by number, for each step anew."""
    names.update({"api.example": ["127.0.0.1"], "cdn.example": ["127.0.0.1"]})
    base = f"https://api.example:{secure.port}"
    hosts = PictureHosts(f"{base}/v1", (f"cdn.example:{secure.port}",))
    secure.pages |= {
        "/relative": response(302, location="/1"),
        "/cdn": response(307, location=f"https://cdn.example:{secure.port}/1"),
        "/1": PAGE,
        "/evil": response(302, location=f"https://evil.example:{secure.port}/1"),
        "/plain": response(301, location=f"http://api.example:{secure.port}/1"),
        "/round": response(308, location="/round"),
        "/nowhere": response(302, location="http://[::1/"),
        "/file": response(302, location="file:///etc/passwd"),
    }
    for path in ("relative", "cdn"):
        got = await fetch(f"{base}/{path}", tmp_path, hosts, tls=trust)
        assert got.read_bytes() == PICTURE
    reasons: dict[str, str] = {}
    for path in ("evil", "plain", "round", "nowhere", "file"):
        with pytest.raises(FetchRefused) as caught:
            await fetch(f"{base}/{path}", tmp_path, hosts, tls=trust)
        reasons[path] = caught.value.reason

    assert reasons["evil"] == reasons["plain"] == "host"
    assert reasons["round"] == "trouble"
    assert secure.asked().count("/round") == 6
    assert secure.asked().count("/1") == 2
    assert len(list(tmp_path.iterdir())) == 2


def cut(connection: socket.socket, _: bytes) -> None:
    connection.sendall(PAGE[:-10])


def cut_by_reset(connection: socket.socket, _: bytes) -> None:
    connection.sendall(PAGE[:-10])
    reset(connection)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "page, reason, status",
    [
        (response(404), "missing", 404),
        (response(410), "missing", 410),
        (response(403, b"<html>"), "trouble", 403),
        (response(500), "trouble", 500),
        (response(503, b"x" * 200_000), "trouble", 503),
        (response(204), "trouble", 204),
        (response(302), "trouble", 302),
        (b"", "trouble", None),
        (b"SSH-2.0-OpenSSH\r\n", "trouble", None),
        (cut, "trouble", 200),
        (cut_by_reset, "trouble", 200),
        (PAGE.replace(b"content-length: ", b"content-length: 9"), "trouble", 200),
    ],
)
async def test_trouble_at_an_address_is_told_apart_from_a_picture_that_is_gone(
    server: Pages, tmp_path: Path, page: Any, reason: str, status: int | None
) -> None:
    """And leaves no file, so that nothing in part is taken for a picture."""
    server.pages["/1"] = page
    api = f"http://127.0.0.1:{server.port}"
    with pytest.raises(FetchRefused) as caught:
        await fetch(f"{api}/1", tmp_path, PictureHosts(f"{api}/v1"))

    assert caught.value.reason == reason
    assert caught.value.status in {status, None}
    assert list(tmp_path.iterdir()) == []
    assert server.connections == 1


@pytest.mark.anyio
@pytest.mark.parametrize("end", [b"0\r\n\r\n", b""])
@pytest.mark.parametrize("framing", ["chunked", "close"])
async def test_a_picture_is_whole_by_its_own_structure_where_nothing_else_says_so(
    server: Pages, tmp_path: Path, framing: str, end: bytes
) -> None:
    """Without a length, or without the chunk that ends it: the file is for the caller to judge."""
    if framing == "chunked":
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        server.pages["/1"] = head + b"%x\r\n%b\r\n" % (len(PICTURE), PICTURE) + end
    else:
        server.pages["/1"] = b"HTTP/1.1 200 OK\r\n\r\n" + PICTURE
    api = f"http://127.0.0.1:{server.port}"
    path = await fetch(f"{api}/1", tmp_path, PictureHosts(f"{api}/v1"))

    assert path.read_bytes() == PICTURE


@pytest.mark.anyio
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/\n1", "http://127.0.0.1:9/\t1", "http://127.0.0.1:9/\0", "http://[::1",
        "http://127.0.0.1:port/1", "http://127.0.0.1:99999/1", "http://127.0.0.1:9/\x7f",
        "http://xn--\u00fc.example/", "http://127.0.0.1:9/" + "x" * 70_000, "http:///1", "",
        "ftp://127.0.0.1/1", "file:///etc/passwd", "data:image/png;base64,AAAA",
        "http://127.0.0.1:9/\ud83d\n",
    ],
)  # fmt: skip
async def test_what_is_no_address_is_refused_without_an_error_of_its_own(
    tmp_path: Path, url: str
) -> None:
    """Whatever a provider writes."""
    with pytest.raises(FetchRefused) as caught:
        await fetch(url, tmp_path, PictureHosts("http://127.0.0.1:9/v1"))

    assert caught.value.reason == "address"


# Settings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.example:port/v1", "https://api.example:99999/v1", "https://api.example:0/v1",
        "https://api.example:/v1", "https://api .example/v1", " https://api.example/v1",
        "https://api.example/v1\n", "https://api\t.example", "https://api.example/\0",
        "https://api..example/v1", "https://.example/v1", "https://-api.example/v1",
        "https://" + "a" * 64 + ".example/v1", "https://xn--\u00fc.example/v1", "https://[::1/v1",
        "https://[::zz]/v1", "https://300.1.2.3/v1", "https:///v1", "api.example/v1",
        "ftp://api.example", "https://user:pw@api.example", "https://api.example/v1?x=1",
        "https://api.example\\v1", "https://{host}/v1", "https://api.example/\ud83d",
        "https://api,example/v1", "https://api_example/v 1",
    ],
)  # fmt: skip
def test_an_api_that_cannot_be_asked_is_refused_by_the_settings(base_url: str) -> None:
    """By the name of the setting, and before any scene is tried."""
    with pytest.raises(ValidationError) as caught:
        Settings(provider="openai", model="m", base_url=base_url)

    assert caught.value.errors()[0]["loc"] == ("base_url",)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.example.com/v1", "http://localhost:8080/v1/", "http://127.0.0.1:1",
        "http://[::1]:8080/v1", "https://b\u00fccher.example/v1", "http://my_host:8000",
        "https://xn--bcher-kva.example", "https://1.example", "https://a/v1/~x/%20y;z=1,2",
    ],
)  # fmt: skip
def test_an_api_that_can_be_asked_is_taken(base_url: str) -> None:
    """The slash at its end makes no difference."""
    settings = Settings(provider="openai", model="m", base_url=base_url)

    assert settings.base_url == base_url.rstrip("/")


@pytest.mark.parametrize(
    "host",
    [
        "", ".", "https://cdn.example", "cdn.example/x", "cdn.example:port", "cdn.example:0",
        "a b", "*.example", "user@cdn.example", "cdn..example", "cdn.example\n",
    ],
)  # fmt: skip
def test_a_host_of_pictures_that_is_none_is_refused(host: str) -> None:
    """A typo would look like a picture that nobody may fetch."""
    with pytest.raises(ValidationError) as caught:
        Settings(provider="openai", model="m", picture_hosts=(host,))

    assert caught.value.errors()[0]["loc"] == ("picture_hosts",)


@pytest.mark.parametrize(
    "name, value",
    [
        ("x-a", "b\r\nhost: evil"), ("x-a\r\nb", "c"), ("x a", "c"), ("x:a", "c"), ("", "c"),
        ("x-a", ""), ("x-a", "\u00fc"), ("Content-Length", "0"), ("host", "evil"),
        ("Transfer-Encoding", "chunked"), ("connection", "close"), ("proxy-authorization", "x"),
        ("x-a", "\0"),
    ],
)  # fmt: skip
def test_a_header_that_cannot_or_must_not_be_sent_is_refused(name: str, value: str) -> None:
    """Without a word of its value."""
    with pytest.raises(ValidationError) as caught:
        Settings(provider="openai", model="m", headers={name: value})  # type: ignore[dict-item]  # as a host gives it

    assert caught.value.errors()[0]["loc"][0] == "headers"
    assert len(value) < 4 or value not in str(caught.value)


def test_values_of_headers_are_kept_like_the_key() -> None:
    """Neither is shown, and both are among what nothing may hold."""
    settings = Settings(
        provider="openai",
        model="m",
        api_key=KEY,  # type: ignore[arg-type]  # as a host gives it
        headers={"x-token": "Bearer t0ken-of-mine", "x-portkey-provider": "openai"},  # type: ignore[dict-item]  # likewise
    )

    assert "t0ken" not in repr(settings)
    assert set(settings.secrets()) == {KEY, "Bearer t0ken-of-mine", "t0ken-of-mine"}


def test_a_key_is_given_once() -> None:
    """Two values for one header would be one too many."""
    with pytest.raises(ValidationError, match="authorization"):
        Settings(provider="openai", model="m", api_key=KEY, headers={"Authorization": "Basic x"})  # type: ignore[arg-type, dict-item]  # as a host gives it
