"""Wherever a server can put a text beside the body of an answer, a key there is written nowhere."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.doors import run_stage, settings_for, story
from tests.fakes.behaviours import Ok
from tests.fakes.image_api import ImageApi
from tests.fakes.wire import Exchange
from tests.heavy import some_of
from tests.hostile.spellings import found_in

pytestmark = pytest.mark.anyio

SECRET = "Zq/7+plain.Words~of_no-kNown:shape&9"
IN_64 = base64.b64encode(SECRET.encode()).decode()
# An answer of unknown outcome is kept whole, so that most of this stands on the disk.
NO = '{"error": {"message": "no", "type": "invalid_request_error"}}'


def _headers(*lines: str, status: str = "500 Bad", body: str = NO) -> str:
    length = f"Content-Length: {len(body)}"
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", length, *lines]
    return "\r\n".join([*head, "", body])


def _chunked(body: str, *, extension: str = "", trailer: str = "", status: str = "500 Bad") -> str:
    chunk = f"{len(body):x}{extension}\r\n{body}\r\n"
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    return f"{head}\r\n{chunk}0{extension}\r\n{trailer}\r\n"


NAMES = (
    "grpc-status", "grpc-message", "Grpc-Status-Details-Bin", "Set-Cookie", "Set-Cookie2",
    "WWW-Authenticate", "Proxy-Authenticate", "Authorization", "Link", "Location", "Refresh", "Via",
    "Server", "Warning", "Retry-After", "Date", "X-Request-Id", "CF-Ray", "X-Should-Retry",
    "Content-Disposition", "Content-Encoding", "Content-Language", "ETag", "Allow",
    "X-RateLimit-Reset-Requests", "X-LiteLLM-Response-Cost", "X-Provider-Name",
)  # fmt: skip
MIXED = (
    f"preamble {SECRET}\r\n--b\r\nContent-Type: image/png; name={SECRET}\r\n\r\nno picture\r\n"
    f"--b\r\nX-Key: {IN_64}\r\n\r\n{SECRET}\r\n--b--\r\nepilogue {SECRET}"
)
EARLY = f"HTTP/1.1 103 Early {SECRET}\r\nLink: <{SECRET}>\r\n\r\n"
PICTURE = '{"data": [{"b64_json": "PICTURE"}]}'
PLACES: dict[str, str] = {
    **{
        f"a header: {name}": _headers(f"{name}: key {SECRET}", f"{name}: {IN_64}") for name in NAMES
    },
    **{
        f"a header of a picture: {name}": _headers(
            f"{name}: {SECRET}", status=f"200 {SECRET}", body=PICTURE
        )
        for name in NAMES
        if name != "Content-Encoding"
    },
    "a header's name": _headers(f"X-{IN_64.rstrip('=')}: a"),
    "the reason": _headers(status=f"400 {SECRET}"),
    "the reason of an error": _headers(status=f"500 {SECRET}"),
    "a redirect": _headers(f"Location: https://{SECRET}.example/{IN_64}", status="307 Moved"),
    "a redirect after the request": _headers(f"Location: /{SECRET}", status=f"303 {SECRET}"),
    "a trailer": _chunked(NO, trailer=f"grpc-message: {SECRET}\r\nX-Key: {IN_64}\r\n"),
    "a trailer of a picture": _chunked(PICTURE, trailer=f"X-Key: {SECRET}\r\n", status="200 OK"),
    "a chunk's extension": _chunked(NO, extension=f";key={IN_64}"),
    "an early head": EARLY + _headers(),
    "many early heads": EARLY * 20 + _headers(status=f"400 {SECRET}"),
    "nothing but an early head": EARLY,
    "a media type": _headers(f"X-A: {SECRET}").replace("json", f"json; key={IN_64}"),
    "a message of parts": _headers(body=MIXED).replace("application/json", "multipart/mixed; b"),
    "a success of parts": _headers(body=MIXED, status="200 OK").replace(
        "application/json", f"multipart/mixed; boundary={IN_64}"
    ),
    "events": _headers(body=f": {SECRET}\nevent: {IN_64}\ndata: {{}}\n\n", status="200 OK").replace(
        "application/json", "text/event-stream"
    ),
    "a length": f"HTTP/1.1 200 OK\r\nContent-Length: {SECRET}\r\n\r\n{NO}",
    "a coding of the transfer": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {SECRET}\r\n\r\n{NO}",
    "a line that is no header": f"HTTP/1.1 200 OK\r\nkey {SECRET}\r\n\r\n{NO}",
    "a folded header": _headers(f"X-Key: a\r\n {SECRET}"),
    "no status line": f"{SECRET} {IN_64}\r\n\r\n",
    "an old protocol": f"HTTP/0.9 400 {SECRET}\r\n\r\n{SECRET}",
    "a switch of protocols": f"HTTP/1.1 101 {SECRET}\r\nUpgrade: {SECRET}\r\n\r\n{SECRET}",
    "a size of a chunk": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n",
    "behind the end": _headers() + SECRET + IN_64,
}


@dataclass(frozen=True, slots=True)
class Raw:
    """Answer with bytes as they are, and close."""

    text: str

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        exchange.status = 400
        picture = base64.b64encode(Ok(size_px=(64, 64)).made(exchange)).decode()
        body = PICTURE.replace("PICTURE", picture)
        text = self.text.replace(PICTURE, body)
        text = text.replace(f"Content-Length: {len(PICTURE)}", f"Content-Length: {len(body)}")
        text = text.replace(f"{len(PICTURE):x}\r\n", f"{len(body):x}\r\n")
        await exchange.send(text.encode("latin-1"))
        exchange.close()


@pytest.mark.parametrize("place", some_of(PLACES, every=8))
async def test_a_key_beside_a_body_is_written_nowhere(place: str, tmp_path: Path) -> None:
    """Neither on the disk, the ledger included, nor in an outcome or an event."""
    with ImageApi(key=SECRET) as api:
        api.always(Raw(PLACES[place]))
        settings = settings_for(api, api_key=SECRET, price_usd="0.05", max_attempts=1)
        ran = await run_stage(settings, story("pier"), tmp_path)

    told = repr((ran.outcomes, ran.ending, ran.events)).encode()
    files = {
        str(path.relative_to(tmp_path)): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    seen = {name: found_in(data, SECRET) for name, data in {"told": told, **files}.items()}
    assert {name: ways for name, ways in seen.items() if ways} == {}
    assert any(name.endswith("ledger.db") for name in files)
    if "picture" in place:
        assert ran.code("pier") == "made"
