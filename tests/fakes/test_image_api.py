"""The fake itself: it does what its behaviours say, and its books are right."""

from __future__ import annotations

import asyncio
import base64
import http.client
import io
import json
import socket
import ssl
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from tests.fakes import behaviours as does
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.wire import Framing


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


def test_it_draws_a_different_real_png_per_prompt_in_the_size_asked_for(
    image_api: ImageApi,
) -> None:
    """Two prompts get two pictures, both of the size asked for; the books have both."""
    _, _, first = post(image_api, prompt="one")
    _, _, second = post(image_api, prompt="two")

    with Image.open(io.BytesIO(picture(first))) as image:
        image.load()
        assert (image.format, image.size) == ("PNG", (96, 64))
    assert picture(first) != picture(second)
    assert (image_api.received(), image_api.billed()) == (2, 2)
    assert (image_api.received("one"), image_api.billed("three")) == (1, 0)


def test_a_heavy_picture_weighs_what_a_real_one_does() -> None:
    """A heavy picture of a million pixels has about 3 MB and can be read."""
    png = make_png("a", 1024, 1024, heavy=True)

    assert 3_000_000 < len(png) < 3_300_000
    with Image.open(io.BytesIO(png)) as image:
        image.load()


def test_it_speaks_the_shapes_of_all_three_endpoints(image_api: ImageApi) -> None:
    """Each endpoint answers in its provider's own shape."""
    _, openai_headers, openai = post(image_api)
    _, router_headers, router = post(image_api, "/images")
    _, _, chat = post(
        image_api,
        "/chat/completions",
        prompt="",
        messages=[{"role": "user", "content": "Generate an image: a goat"}],
    )

    assert json.loads(openai)["usage"]["output_tokens_details"]["image_tokens"] == 1056
    assert openai_headers["x-request-id"].startswith("req_")
    assert json.loads(router)["usage"]["cost"] == 0.0342
    assert router_headers["x-generation-id"].startswith("gen-img-")
    message = json.loads(chat)["choices"][0]["message"]
    assert message["images"][0]["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert image_api.received("a goat") == 1


def test_a_wrong_key_is_refused_and_not_billed(image_api: ImageApi) -> None:
    """Without the right key there is a 401 and no picture."""
    status, _, body = post(image_api, key="sk-wrong")

    assert status == 401
    assert json.loads(body)["error"]["code"] == "invalid_api_key"
    assert image_api.billed() == 0


def test_scripts_are_used_up_in_order_the_scenes_own_first(image_api: ImageApi) -> None:
    """A scene's own script comes before everybody's, and then all is well again."""
    image_api.script(does.ServerError(503), scene="goat")
    image_api.script(does.ServerError(500), times=2)

    statuses = [
        post(image_api, prompt=prompt)[0] for prompt in ("goat", "goat", "lighthouse", "goat")
    ]

    assert statuses == [503, 500, 500, 200]


@pytest.mark.parametrize(
    "hint, header, value",
    [
        ("retry-after", "retry-after", "7"),
        ("retry-after-ms", "retry-after-ms", "7000"),
        ("reset-duration", "x-ratelimit-reset-requests", "7.0s"),
    ],
)
def test_a_hint_is_where_it_was_asked_for(
    image_api: ImageApi, hint: does.Hint, header: str, value: str
) -> None:
    """A 429 carries its hint in the header named, and only there."""
    image_api.script(does.Limited(hint=hint, wait_s=7.0), does.Limited())

    with_hint, without = post(image_api), post(image_api)

    assert with_hint[0] == without[0] == 429
    assert with_hint[1][header] == value
    assert header not in without[1]
    assert image_api.billed() == 0


@pytest.mark.parametrize(
    "hint, fragment",
    [
        ("retry-info", '"retryDelay": "7.0s"'),
        ("text", "try again in 7.0s"),
        ("availability", '"retry_after": 7.0'),
        ("reset-epoch-ms", '"X-RateLimit-Reset": "'),
    ],
)
def test_a_hint_can_sit_in_the_body(image_api: ImageApi, hint: does.Hint, fragment: str) -> None:
    """A 429 carries its hint in the body."""
    image_api.script(does.Limited(hint=hint, wait_s=7.0))

    assert fragment in post(image_api)[2].decode()


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_every_framing_carries_the_whole_picture(image_api: ImageApi, framing: Framing) -> None:
    """Content-Length, chunks and the end of the connection all end a body."""
    image_api.script(does.Ok(framing=framing, heavy=True))

    _, headers, body = post(image_api)

    assert ("content-length" in headers) == (framing == "length")
    assert picture(body) == make_png("a lighthouse", 96, 64, heavy=True)


def test_a_reset_on_connect_reads_nothing(image_api: ImageApi) -> None:
    """The connection breaks, the books stay empty, and the next one works."""
    image_api.reset_on_connect()

    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        post(image_api)
    assert post(image_api)[0] == 200
    assert (image_api.received(), image_api.connections) == (1, 2)


def test_a_reset_after_reading_is_billed_without_an_answer(image_api: ImageApi) -> None:
    """The request is in the books, paid, and the client sees a broken connection."""
    image_api.script(does.ResetAfterRead())

    with pytest.raises(ConnectionResetError):
        post(image_api)
    assert (image_api.received(), image_api.billed()) == (1, 1)


@pytest.mark.parametrize("by", ["reset", "close"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_cut_body_ends_before_its_time(image_api: ImageApi, by: Any, framing: Framing) -> None:
    """Half a body arrives, then nothing."""
    image_api.script(does.CutBody(by=by, framing=framing))

    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        post(image_api)
    assert image_api.billed() == 1


def test_a_cut_document_has_the_right_length(image_api: ImageApi) -> None:
    """The body is as long as promised and not JSON."""
    image_api.script(does.CutJson())

    _, headers, body = post(image_api)

    assert int(headers["content-length"]) == len(body)
    with pytest.raises(ValueError, match="Unterminated string"):
        json.loads(body)


def test_broken_pictures_are_broken(image_api: ImageApi) -> None:
    """Bad base64, half a PNG and another size come as such, and are billed."""
    image_api.script(does.BadBase64(), does.CutPng(), does.Ok(size_px=(32, 32)))

    bad, cut, small = (post(image_api)[2] for _ in range(3))

    assert json.loads(bad)["data"][0]["b64_json"] == "!!!!"
    assert picture(cut) == make_png("a lighthouse", 96, 64)[: len(picture(cut))]
    assert picture(small) == make_png("a lighthouse", 32, 32)
    assert image_api.billed() == 3


def test_answers_without_a_picture(image_api: ImageApi) -> None:
    """Pages, empty data, words, other documents and raw bytes go out as they are."""
    image_api.script(
        does.Page(200), does.Page(504), does.EmptyData(), does.TextOnly("no"),
        does.Json({"error": "x"}, status=418), does.Raw(b"\x89PNG"),
    )  # fmt: skip

    page, gateway, empty, words, error, raw = (post(image_api) for _ in range(6))

    assert (page[0], gateway[0]) == (200, 504)
    assert page[2].startswith(b"<!DOCTYPE html>")
    assert json.loads(empty[2])["data"] == []
    assert json.loads(words[2])["choices"][0]["message"]["content"] == "no"
    assert (error[0], error[2]) == (418, b'{"error": "x"}')
    assert (raw[1]["content-type"], raw[2]) == ("image/png", b"\x89PNG")


def test_a_cut_without_any_framing_looks_like_an_end(image_api: ImageApi) -> None:
    """A body that ends with its connection can be cut, and nobody notices."""
    image_api.script(does.CutBody(by="close", framing="close"))

    status, headers, body = post(image_api)

    assert status == 200
    assert "content-length" not in headers
    with pytest.raises(ValueError, match="Unterminated string"):
        json.loads(body)


def test_a_bomb_is_small_and_inflates_to_300_mb(image_api: ImageApi) -> None:
    """What is sent is a thousandth of what it becomes."""
    image_api.script(does.Gzip(bomb=True))

    body = post(image_api)[2]
    inflate = zlib.decompressobj(wbits=31)
    inflated, rest = 0, body
    while rest:
        inflated += len(inflate.decompress(rest, 1 << 20))
        rest = inflate.unconsumed_tail

    assert len(body) < 400_000
    assert inflated >= 299_000_000


def test_gzip_comes_unasked(image_api: ImageApi) -> None:
    """The body is compressed although nobody asked."""
    image_api.script(does.Gzip())

    _, headers, body = post(image_api)

    assert headers["content-encoding"] == "gzip"
    assert body.startswith(b"\x1f\x8b")


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


def test_endless_and_dripping_bodies_go_on_until_the_client_leaves(image_api: ImageApi) -> None:
    """More and more arrives; when the client goes, the server notices."""
    image_api.script(does.Endless(), does.Drip(every_s=0.001))

    with raw_request(image_api) as sock:
        endless = sum(len(sock.recv(1 << 20)) for _ in range(50))
    eventually(lambda: image_api.in_flight == 0)
    with raw_request(image_api) as sock:
        dripped = b"".join(sock.recv(1 << 10) for _ in range(20))

    assert endless > 100_000
    assert dripped.count(b"1\r\n \r\n") >= 10
    eventually(lambda: image_api.in_flight == 0)


def test_a_hanging_request_stays_in_flight_and_ends_with_the_client(image_api: ImageApi) -> None:
    """There is no answer, and no trace of it once the client has gone."""
    image_api.script(does.Hang())

    with raw_request(image_api) as sock:
        eventually(lambda: image_api.in_flight == 1)
        sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            sock.recv(1)

    eventually(lambda: image_api.in_flight == 0)


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


def test_a_redirect_names_its_place(image_api: ImageApi) -> None:
    """A 307 with its address, and nothing else."""
    image_api.script(does.Redirect("https://other.test/"))

    status, headers, body = post(image_api)

    assert (status, headers["location"], body) == (307, "https://other.test/", b"")


@pytest.mark.parametrize("where", ["own", "relative", "foreign"])
def test_a_picture_behind_an_address_can_be_fetched(image_api: ImageApi, where: Any) -> None:
    """The address leads to the picture, and the visit is in the books."""
    image_api.script(does.Ok(url=where))
    url = json.loads(post(image_api)[2])["data"][0]["url"]
    host = image_api.base_url.removeprefix("http://").removesuffix("/v1")

    connection = http.client.HTTPConnection(host)
    connection.request("GET", url[url.index("/pictures/") :])
    fetched = connection.getresponse().read()
    connection.close()

    starts = {"own": f"http://{host}/", "relative": "/pictures/", "foreign": "http://localhost:"}
    assert url.startswith(starts[where])
    assert fetched == make_png("a lighthouse", 96, 64)
    assert len(image_api.visits()) == 1


def test_behaviours_can_be_chosen_by_looking_at_the_request(image_api: ImageApi) -> None:
    """``otherwise`` decides with the request before it."""
    image_api.otherwise = lambda asked: does.Limited() if "goat" in asked.prompt else does.Ok()

    assert post(image_api, prompt="a goat")[0] == 429
    assert post(image_api, prompt="a sheep")[0] == 200


def test_it_speaks_tls_with_an_authority_of_its_own() -> None:
    """The certificate holds under its own authority and under no other."""
    with ImageApi(tls=True) as api:
        assert api.ca_pem is not None
        trusting = ssl.create_default_context(cadata=api.ca_pem.decode())

        assert post(api, context=trusting)[0] == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            post(api, context=ssl.create_default_context())


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


@pytest.mark.parametrize(
    "path, header, field",
    [
        ("/v1/models/gpt-image-2", "Authorization", "owned_by"),
        ("/v1/key", "Authorization", "data"),
        ("/v1/images/models/a/painter/endpoints", "Authorization", "endpoints"),
        ("/v1/models/a/painter/endpoints", "Authorization", "data"),
        ("/v1beta/models/gemini-nano-banana-2.1", "x-goog-api-key", "supportedGenerationMethods"),
    ],
)
def test_free_pages_open_to_a_good_key(
    image_api: ImageApi, path: str, header: str, field: str
) -> None:
    """They bill nothing; there is none where the service has none, and no model that is gone."""

    def get(key: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(image_api.root_url.removeprefix("http://"))
        prefix = "Bearer " if header == "Authorization" else ""
        connection.request("GET", path, headers={header: prefix + key})
        answer = connection.getresponse()
        try:
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    status, document = get(KEY)
    refused, _ = get("sk-other")
    image_api.free.others = False
    gone, _ = get(KEY)
    image_api.free.has_pages = False
    nowhere, _ = get(KEY)

    assert (status, field in document) == (200, True)
    assert refused == (400 if header == "x-goog-api-key" else 401)
    assert gone == (200 if path == "/v1/key" else 404)
    assert nowhere == 404
    assert image_api.billed() == image_api.received() == 0
