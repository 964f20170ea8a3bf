"""What a run fetches a paid picture from, over real sockets: the number connected to decides.

There is no internet here: a name server of the test's own gives the numbers, and who connects to
one of them is led to a server on this machine.
"""

from __future__ import annotations

import json
import socket
import ssl
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from stage3_plugin.settings import Settings
from tests.doors import Ran, purchases, run_stage, story
from tests.fakes.image_api import KEY
from tests.fakes.pngs import make_png
from tests.hostile.pages import Pages, response, serving

pytestmark = pytest.mark.anyio

API = "api.example"
FILES = "files.blob.core.windows.net"  # where the vendor itself keeps pictures
NEIGHBOUR = "notblob.core.windows.net"
MIRROR = "pictures.example.com"  # where settings say that pictures lie
PUBLIC = "93.184.216.34"
PICTURE = make_png("a harbour", 64, 64)
PAGE = response(200, PICTURE, content_type="image/png")


@dataclass
class Net:
    """Names with their numbers, and who is reached at a number and a port.

    Attributes:
        names: A number each; one more is said only when it is asked for the second time.
        servers: By number and port, the port on this machine.
    """

    names: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    servers: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])

    def number_of(self, name: str) -> str | None:
        numbers = self.names.get(name)
        if not numbers:
            return None
        return numbers.pop(0) if len(numbers) > 1 else numbers[0]


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    net = Net()
    look_up: Callable[..., Any] = socket.getaddrinfo
    connect: Callable[..., Any] = socket.socket.connect
    peer_of: Callable[..., Any] = socket.socket.getpeername
    peers = weakref.WeakKeyDictionary[socket.socket, Any]()

    def looked_up(host: str | bytes | None, port: Any, *rest: Any, **more: Any) -> Any:
        name = host.decode("ascii") if isinstance(host, bytes) else host or ""
        return look_up(net.number_of(name) or host, port, *rest, **more)

    def connected(self: socket.socket, address: Any) -> None:
        port = net.servers.get((address[0], address[1]))
        if port is not None:
            peers[self] = address
        connect(self, address if port is None else ("127.0.0.1", port))

    def peer(self: socket.socket) -> Any:
        return peers.get(self) or peer_of(self)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(socket.socket, "connect", connected)
    monkeypatch.setattr(socket.socket, "getpeername", peer)
    return net


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trust(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the authority, as a user does."""
    (tmp_path / "authority.pem").write_bytes(authority.cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


@pytest.fixture(scope="module")
def served(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = [f"{before}{MIRROR}" for before in ("", "a.", "b.a.", "evil", "evil-")]
    issued = authority.issue_cert(API, FILES, NEIGHBOUR, *names, f"{MIRROR}.evil")
    with issued.private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)
    return context


@pytest.fixture
def api(net: Net, served: ssl.SSLContext) -> Iterator[Pages]:
    """Serve the vendor's API at its public address; pictures may lie beside it."""
    with serving(served) as pages:
        net.names[API] = [PUBLIC]
        net.servers[PUBLIC, 443] = pages.port
        pages.pages["/1"] = PAGE
        yield pages


@pytest.fixture
def inside(served: ssl.SSLContext) -> Iterator[Pages]:
    """Serve what is nobody's business."""
    with serving(served) as pages:
        pages.otherwise = PAGE
        yield pages


def answers(api: Pages, url: str) -> None:
    """Have the API answer every request with this address of its picture."""
    body = json.dumps({"data": [{"url": url}], "created": 1}).encode()
    api.pages["/v1/images/generations"] = response(200, body, content_type="application/json")


async def bought(base_url: str, folder: Path, **more: Any) -> Ran:
    fixed: dict[str, Any] = {"provider": "openai", "model": "gpt-image-2", "size": "64x64"}
    quick: dict[str, Any] = {"price_usd": "0.05", "timeout_s": 5, "deadline_s": 1}
    settings = Settings(base_url=base_url, api_key=SecretStr(KEY), **fixed, **quick, **more)
    return await run_stage(settings, story("s1"), folder)


@pytest.mark.usefixtures("trust")
@pytest.mark.parametrize("number", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1"])
async def test_a_public_apis_picture_is_not_fetched_from_a_private_number(
    net: Net, api: Pages, inside: Pages, tmp_path: Path, *, number: str
) -> None:
    """Whatever its name: it is paid for and kept open, and nothing of this network is asked."""
    net.names[FILES] = [number]
    net.servers[number, 443] = inside.port
    answers(api, f"https://{FILES}/1")
    ran = await bought(f"https://{API}/v1", tmp_path)
    again = await bought(f"https://{API}/v1", tmp_path)

    assert inside.connections == 0
    assert (ran.code("s1"), again.code("s1")) == ("pending", "pending")
    assert number in str(ran.outcomes["s1"].failure)
    assert api.asked() == ["/v1/images/generations"]
    assert len(purchases(tmp_path)) == 1


@pytest.mark.usefixtures("trust")
async def test_the_same_host_with_a_public_number_is_fetched_from(
    net: Net, api: Pages, tmp_path: Path
) -> None:
    """So that what the test before shows is the number's doing."""
    net.names[FILES] = [PUBLIC]
    answers(api, f"https://{FILES}/1")
    ran = await bought(f"https://{API}/v1", tmp_path)

    assert ran.code("s1") == "made"
    assert api.asked() == ["/v1/images/generations", "/1"]


@pytest.mark.usefixtures("trust")
async def test_a_name_that_merely_ends_like_a_known_one_is_not_fetched_from(
    net: Net, api: Pages, tmp_path: Path
) -> None:
    """``.blob.core.windows.net`` is every host below it, and no neighbour that anybody can buy."""
    net.names[NEIGHBOUR] = [PUBLIC]
    answers(api, f"https://{NEIGHBOUR}/1")
    ran = await bought(f"https://{API}/v1", tmp_path)

    assert api.asked() == ["/v1/images/generations"]
    assert ran.code("s1") == "pending"
    assert f"picture_hosts = ['{NEIGHBOUR}']" in str(ran.outcomes["s1"].failure).replace('"', "'")


@pytest.mark.usefixtures("trust")
@pytest.mark.parametrize(
    "allowed, may",
    [(MIRROR, {MIRROR}), (f".{MIRROR}", {f"a.{MIRROR}", f"b.a.{MIRROR}"})],
)
async def test_a_host_of_the_settings_is_that_host_or_with_a_dot_all_below_it(
    net: Net, api: Pages, tmp_path: Path, *, allowed: str, may: set[str]
) -> None:
    """And none that merely begins or ends like it."""
    befores = ("", "a.", "b.a.", "evil", "evil-")
    names = [*(f"{before}{MIRROR}" for before in befores), f"{MIRROR}.evil", "example.com"]
    net.names |= {name: [PUBLIC] for name in names}
    fetched: set[str] = set()
    for number, name in enumerate(names):
        answers(api, f"https://{name}/1")
        asked = len(api.asked())
        folder = tmp_path / str(number)
        ran = await bought(f"https://{API}/v1", folder, picture_hosts=[allowed])
        assert (ran.code("s1") == "made") is ("/1" in api.asked()[asked:])
        fetched |= {name} if ran.code("s1") == "made" else set()

    assert fetched == may


@pytest.mark.usefixtures("trust")
async def test_a_name_that_is_another_number_a_moment_later_leads_nowhere_else(
    net: Net, api: Pages, inside: Pages, tmp_path: Path
) -> None:
    """What was looked up and judged is what is connected to; the name is not asked again."""
    net.names[FILES] = [PUBLIC, "127.0.0.1"]
    net.servers["127.0.0.1", 443] = inside.port
    api.pages["/1"] = response(302, location=f"https://{FILES}/2")
    answers(api, f"https://{FILES}/1")
    ran = await bought(f"https://{API}/v1", tmp_path)

    assert api.asked()[:2] == ["/v1/images/generations", "/1"]
    assert inside.connections == 0
    assert ran.code("s1") == "pending"


@pytest.mark.parametrize(
    "url", [f"http://{API}/1", f"http://{API}:443/1", f"https://{API}:8443/1", f"http://{API}:22/1"]
)
@pytest.mark.usefixtures("trust")
async def test_a_picture_comes_by_tls_and_from_the_apis_own_port(
    net: Net, api: Pages, inside: Pages, tmp_path: Path, *, url: str
) -> None:
    """On the API's own host too: nothing plain, and no other door of that machine."""
    with serving() as plain:
        plain.otherwise = PAGE
        net.servers |= {(PUBLIC, port): plain.port for port in (80, 22)}
        net.servers[PUBLIC, 8443] = inside.port
        answers(api, url)
        ran = await bought(f"https://{API}/v1", tmp_path)

    assert plain.connections == inside.connections == 0
    assert api.asked() == ["/v1/images/generations"]
    assert ran.code("s1") == "pending"


@pytest.mark.usefixtures("trust")
async def test_a_server_of_ones_own_leads_to_no_other_port_of_its_machine(tmp_path: Path) -> None:
    """Its own port and no other, with real addresses and nothing between."""
    with serving() as api, serving() as other:
        other.otherwise = PAGE
        answers(api, f"http://127.0.0.1:{other.port}/1")
        ran = await bought(f"http://127.0.0.1:{api.port}/v1", tmp_path)

    assert other.connections == 0
    assert ran.code("s1") == "pending"
