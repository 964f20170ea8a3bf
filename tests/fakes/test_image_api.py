"""The fake itself: it does what its behaviours say, and its books are right."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.fakes import behaviours as does
from tests.fakes.image_api import KEY, ImageApi


def post(
    api: ImageApi,
    path: str = "/images/generations",
    *,
    prompt: str = "a lighthouse",
    key: str = KEY,
    timeout_s: float = 10.0,
    context: ssl.SSLContext | None = None,
    **fields: Any,
) -> tuple[int, dict[str, str], bytes]:
    """Ask for a picture with the standard library's client, which knows nothing of ours."""
    scheme, _, rest = api.base_url.partition("://")
    host = rest.removesuffix("/v1")
    connection = (
        http.client.HTTPSConnection(host, timeout=timeout_s, context=context)
        if scheme == "https"
        else http.client.HTTPConnection(host, timeout=timeout_s)
    )
    body = json.dumps({"model": "m", "prompt": prompt, "size": "96x64", **fields})
    try:
        connection.request("POST", "/v1" + path, body, {"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def picture(body: bytes) -> bytes:
    return base64.b64decode(json.loads(body)["data"][0]["b64_json"])


def test_scripts_are_used_up_in_order_the_scenes_own_first(image_api: ImageApi) -> None:
    """A scene's own script comes before everybody's, and then all is well again."""
    image_api.script(does.ServerError(503), scene="goat")
    image_api.script(does.ServerError(500), times=2)

    statuses = [
        post(image_api, prompt=prompt)[0] for prompt in ("goat", "goat", "lighthouse", "goat")
    ]

    assert statuses == [503, 500, 500, 200]


def raw_request(api: ImageApi) -> socket.socket:
    host, port = api.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    sock = socket.create_connection((host, int(port)), timeout=10)
    body = b'{"prompt": "a lighthouse"}'
    sock.sendall(
        b"POST /v1/images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (KEY.encode(), len(body), body)
    )
    return sock


def eventually(condition: Any) -> None:
    """Wait for the server's thread, at most ten seconds."""
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


def test_a_gate_holds_answers_back_and_the_most_in_flight_is_known(image_api: ImageApi) -> None:
    """Three requests wait together until the gate opens."""
    gate = does.Gate()
    image_api.always(does.Ok(gate=gate))

    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(post, image_api, prompt=f"scene {n}") for n in range(3)]
        eventually(lambda: image_api.in_flight == 3)
        gate.open()
        statuses = [answer.result()[0] for answer in answers]

    assert statuses == [200, 200, 200]
    assert image_api.most_in_flight == 3


def test_a_connection_is_closed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A TLS transport that was closed twice cannot be aborted when the fake stops."""
    closed: list[asyncio.StreamWriter] = []
    really = asyncio.StreamWriter.close

    def close(writer: asyncio.StreamWriter) -> None:
        closed.append(writer)
        really(writer)

    monkeypatch.setattr(asyncio.StreamWriter, "close", close)
    with ImageApi(tls=True) as api:
        assert api.ca_pem is not None
        trusting = ssl.create_default_context(cadata=api.ca_pem.decode())
        api.script(does.Ok(framing="close"), does.ResetAfterRead(), does.Ok())

        assert post(api, context=trusting)[0] == 200
        with pytest.raises((ConnectionError, ssl.SSLError)):
            post(api, context=trusting)
        assert post(api, context=trusting)[0] == 200

    assert len(closed) == len({id(writer) for writer in closed}) >= 1


def test_it_stops_with_clients_still_waiting() -> None:
    """Leaving the context ends everything at once; a hanging client sees the connection end."""
    with ImageApi() as api:
        api.script(does.Hang(), does.Endless())
        hanging, flooded = raw_request(api), raw_request(api)
        eventually(lambda: api.in_flight == 2)

    with hanging, flooded:
        try:
            left = hanging.recv(1)
        except ConnectionResetError:
            left = b""

    assert left == b""


def test_a_fault_of_the_fake_itself_fails_the_test_that_used_it() -> None:
    """What goes wrong inside the server's thread is raised where the test sees it."""

    class Faulty:
        async def answer(self, exchange: object) -> None:
            raise ZeroDivisionError(exchange)

    api = ImageApi()
    api.__enter__()
    api.script(Faulty())
    with pytest.raises(http.client.RemoteDisconnected):
        post(api)
    with pytest.raises(ExceptionGroup, match="fake image API") as caught:
        api.__exit__(None, None, None)

    assert caught.group_contains(ZeroDivisionError)
