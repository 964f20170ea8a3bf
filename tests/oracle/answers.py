"""Whole answers to the request for a picture: recorded ones, and ones made by combining."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any, cast

from PIL import Image

from stage3_plugin.testing.queues import Kind
from tests.fakes.behaviours import EchoedKey, Json, Ok, Raw
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.menu import RECORDED
from tests.fakes.pngs import make_png
from tests.hostile import received
from tests.hostile.spellings import spellings_of
from tests.oracle.cases import AT_VENDORS, ROUTES, Case, Good, Make, Told, meets, put, thinned

PROVIDERS = Path(__file__).parents[1] / "stage3" / "providers"
PNG = make_png("a harbour", 64, 64)
STATUSES = (
    200, 201, 202, 203, 204, 206, 226, 299, 300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403,
    404, 405, 407, 408, 409, 410, 413, 418, 422, 424, 425, 429, 451, 499, 500, 501, 502, 503, 504,
    505, 507, 511, 520, 522, 524, 529, 530, 598, 599,
)  # fmt: skip
_ERROR = {"error": {"message": "It failed.", "type": "server_error", "code": None}}


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


def _emptied(document: Any) -> Any:
    """Return a document without any text."""
    if isinstance(document, dict):
        named = cast("dict[str, Any]", document)
        return {name: _emptied(value) for name, value in named.items()}
    if isinstance(document, list):
        return [_emptied(value) for value in cast("list[Any]", document)]
    return "" if isinstance(document, str) else document


SHAPES: dict[str, Make] = {
    "picture": lambda good: _json(good.document),
    "address": lambda good: _json(good.addressed),
    "picture and error": lambda good: _json({**good.document, **_ERROR}),
    "picture and errors": lambda good: _json({**good.document, "errors": [_ERROR]}),
    "error": lambda _: _json(_ERROR),
    "error as text": lambda _: _json({"error": "It failed."}),
    "detail": lambda _: _json({"detail": "It failed."}),
    "page": lambda _: b"<!DOCTYPE html><html><title>Just a moment...</title></html>",
    "nothing": lambda _: b"",
    "words": lambda _: b"upstream connect error or disconnect before headers",
    "null": lambda _: b"null",
    "number": lambda _: b"0.05",
    "text": lambda _: b'"a picture"',
    "empty object": lambda _: b"{}",
    "empty list": lambda _: b"[]",
    "list of it": lambda good: _json([good.document]),
    "list of two": lambda good: _json([good.document, good.document]),
    "in data": lambda good: _json({"data": good.document}),
    "in result": lambda good: _json({"result": good.document, "success": True}),
    "without texts": lambda good: _json(_emptied(good.document)),
    "half": lambda good: _json(good.document)[: len(_json(good.document)) // 2],
    "all but the end": lambda good: _json(good.document)[:-1],
    "twice": lambda good: _json(good.document) * 2,
    "junk behind it": lambda good: _json(good.document) + b"\n<!-- served -->",
    "events": lambda good: b"data: %b\n\ndata: [DONE]\n\n" % _json(good.document),
    "mark before it": lambda good: b"\xef\xbb\xbf" + _json(good.document),
    "UTF-16": lambda good: json.dumps(good.document).encode("utf-16"),
    "Latin-1": lambda good: json.dumps(
        {**good.document, "note": "\xe9"}, ensure_ascii=False
    ).encode("latin-1"),
    "a raw picture": lambda good: good.picture,
    "deep": lambda good: (
        _json(good.document)[:-1] + b', "deep": %b%b}' % (b"[" * 9000, b"]" * 9000)
    ),
    "too deep": lambda good: _json(good.document)[:-1] + b', "deep": %b' % (b'{"a":' * 200_000),
    "huge integer": lambda good: _json(good.document)[:-1] + b', "n": %b}' % (b"9" * 20_000),
    "no number": lambda good: _json(good.document)[:-1] + b', "n": NaN, "m": -Infinity}',
    "key twice": lambda good: _json(good.document)[:-1] + b', "data": [], "candidates": []}',
    "lone surrogate": lambda good: _json(good.document)[:-1] + b', "s": "\\ud83d"}',
    "NUL": lambda good: _json(good.document)[:-1] + b', "s": "\\u0000"}',
    "single quotes": lambda good: repr(good.document).encode(),
    "comma before the end": lambda good: _json(good.document)[:-1] + b",}",
}
HEADERS: dict[str, dict[str, str]] = {
    **{f"type {kind or 'none'}": {"Content-Type": kind}
    for kind in ("", "text/html", "text/plain", "image/png", "image/jpeg", "application/xml",
                 "text/event-stream", "application/json; charset=latin-1", "multipart/mixed", "x")},
    **{f"encoding {kind or 'none'}": {"Content-Encoding": kind}
    for kind in ("", "identity", "gzip", "br", "zstd", "compress", "deflate, gzip", "x", "utf-8")},
    **{f"retry after {wait}": {"Retry-After": wait}
    for wait in ("0", "0.05", "-1", "1e9", "x", "", "9" * 400, "Thu, 01 Jan 1970 00:00:00 GMT")},
    **{f"retry {answer}": {"x-should-retry": answer} for answer in ("true", "false", "x")},
    **{f"named {name}": {name: "abc-1"}
    for name in ("x-request-id", "cf-ray", "apim-request-id", "x-litellm-call-id", "x-fal-request-id")},
    "named by the key": {"x-request-id": KEY},
    "named at length": {"x-request-id": "r" * 5000},
    **{f"litellm cost {usd}": {"x-litellm-response-cost": usd}
    for usd in ("0.04", "0", "-1", "NaN", "1e9", "x", "", "0.00000001", "4e-2", "9" * 500)},
}  # fmt: skip
FIGURES: tuple[Any, ...] = (
    0, -1, 1, 63, 64, 1056, 2.5, 10**6, 10**12, 10**30, "1056", "x", "", True, None, [], {},
    float("nan"), float("inf"), 1e-30, 1e300,
)  # fmt: skip
USAGE = {
    "openai": ("output_tokens", "input_tokens", "total_tokens", "output_tokens_details",
               "output_tokens_details.image_tokens", "input_tokens_details.image_tokens"),
    "openrouter": ("cost", "completion_tokens", "is_byok", "cost_details.upstream_inference_cost",
                   "completion_tokens_details.image_tokens"),
    "openrouter chat": ("cost", "prompt_tokens", "completion_tokens_details"),
    "gemini": ("candidatesTokenCount", "promptTokenCount", "thoughtsTokenCount",
               "candidatesTokensDetails.0.tokenCount", "candidatesTokensDetails.0.modality"),
}  # fmt: skip


def recorded() -> Iterator[Case]:
    """Failures of providers and gateways, from each of them; and from a server that costs nothing."""
    for (name, answer), route in product(RECORDED.items(), ROUTES.values()):
        yield Case(name=f"{route.name}/recorded/{name}", route=route, prepare=meets(answer))
    free = ROUTES["openai"].with_(price_usd="0", budget_usd=None)
    further = ROUTES["openai"].with_(
        fallback=[{"provider": "openrouter", "model": "a/painter", "price_usd": "0.07"}]
    )
    more = {
        "free server": (free, 1), "ladder": (further, 1),
        "resent": (ROUTES["openai"].with_(on_unknown="resend"), 1),
        "again and again": (ROUTES["openai"].with_(max_attempts=2), 9),
    }  # fmt: skip
    for (name, answer), (how, (route, times)) in product(RECORDED.items(), more.items()):
        yield Case(name=f"openai/{how}/{name}", route=route, prepare=meets(*[answer] * times))


def from_gateways() -> Iterator[Case]:
    """What a gateway answered, byte for byte."""
    for path, route in product(sorted((PROVIDERS / "gateways").glob("*.json")), AT_VENDORS):
        told = json.loads(path.read_text(encoding="utf-8"))
        if not told["status"]:
            continue  # it hung: that is among the faults
        lines = (line.partition(": ") for line in told["headers"])
        headers = {name: value for name, _, value in lines if name.lower() != "content-length"}
        body, status = told["body"].encode(), int(told["status"].split()[1])
        answer = Told(make=lambda _, body=body: body, status=status, headers=headers)
        yield Case(name=f"{route.name}/gateway/{path.stem}", route=route, prepare=meets(answer))


def from_vendors() -> Iterator[Case]:
    """What vendors answered, to a request and to looks at its job, with this server's names in it."""
    for path in sorted((PROVIDERS / "recorded").glob("*/*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        route = ROUTES[path.parent.name]
        job = told.get("job", {}).get("job_id", "no job")
        for number, one in enumerate(told["replies"], 1):
            to = one.get("to", "submit")
            if path.stem == "batches":
                continue  # those are told by their own pages, see jobs.py
            text = one["text"] if "text" in one else json.dumps(one["body"])
            text = text.replace(job, f"{route.name}-00000001")
            headers, status = one.get("headers", {}), one["status"]

            def make(good: Good, text: str = text) -> bytes:
                return re.sub(r"https://[\w.-]+", good.root, text).encode()

            def prepare(api: ImageApi, to: str = to, answer: Told = Told(
                make=make, status=status, headers=headers
            )) -> None:  # fmt: skip
                api.visit_always(Raw(PNG))
                if to == "submit":
                    api.script(answer)
                else:
                    api.poll(answer, of=cast("Kind", to))

            name = f"{route.name}/heard/{number} to {to}"
            yield Case(name=name, route=route, prepare=prepare, waits=route.has_jobs)


def combined() -> Iterator[Case]:
    """Each provider, each status, each shape."""
    for route, status, (name, make) in product(ROUTES.values(), STATUSES, SHAPES.items()):
        prepare = meets(Told(make=make, status=status))
        yield Case(name=f"{route.name}/{status}/{name}", route=route, prepare=prepare)


def headed() -> Iterator[Case]:
    """Each header beside a picture, and beside an error."""
    for route, (name, headers), (status, shape) in product(
        ROUTES.values(), HEADERS.items(), ((200, "picture"), (429, "error"), (503, "error"))
    ):
        answer = Told(make=SHAPES[shape], status=status, headers=headers)
        yield Case(name=f"{route.name}/{name}/{status}", route=route, prepare=meets(answer))


def billed() -> Iterator[Case]:
    """Each figure in each place of a bill, by the price table and by a price of one's own."""
    for name, fields in USAGE.items():
        route = ROUTES[name]
        for path, figure, is_priced in product(fields, FIGURES, (False, True)):

            def make(good: Good, path: str = path, figure: object = figure) -> bytes:
                usage = "usageMetadata" if "usageMetadata" in good.document else "usage"
                return _json(put(good.document, f"{usage}.{path}", figure))

            priced = route if is_priced else route.with_(price_usd=None)
            asked = priced.with_(model="gpt-image-1") if name == "openai" else priced
            own = "own price" if is_priced else "table"
            name_of = f"{name}/bill/{path} {json.dumps(figure)[:24]} {own}"
            yield Case(name=name_of, route=asked, prepare=meets(Told(make=make)))


def pictures() -> dict[str, bytes]:
    """Return pictures of every kind, whole and broken."""
    found: dict[str, bytes] = {}
    kinds = (
        ("PNG", "RGBA"), ("PNG", "L"), ("PNG", "P"), ("PNG", "1"), ("PNG", "I;16"), ("JPEG", "RGB"),
        ("JPEG", "CMYK"), ("WEBP", "RGB"), ("GIF", "P"), ("BMP", "RGB"), ("TIFF", "RGB"),
        ("ICO", "RGB"), ("PPM", "RGB"),
    )  # fmt: skip
    for kind, mode in kinds:
        file = BytesIO()
        Image.new(mode, (48, 32)).save(file, kind)
        found[f"{kind} {mode}"] = file.getvalue()
    for kind in ("PNG RGBA", "JPEG RGB", "WEBP RGB", "GIF P"):
        whole = found[kind]
        found |= {f"{kind} cut at {part}": whole[: len(whole) * part // 100] for part in (10, 50, 97)}
        found[f"{kind} and more"] = whole + b"\r\nmore"
        middle = len(whole) // 2
        found[f"{kind} with a wrong byte"] = (
            whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
        )
    sides = b"\0\0\xff\xff\0\0\xff\xff"
    found |= {
        "of another size": make_png("b", 96, 32), "of one pixel": make_png("b", 1, 1),
        "too large": PNG[:16] + sides + PNG[24:], "no picture": b"<svg/>", "nothing": b"",
        "its first bytes": PNG[:8], "in gzip": gzip.compress(PNG, mtime=0), "twice": PNG * 2,
        "behind a line break": b"\n" + PNG, "SVG": b'<?xml version="1.0"?><svg width="9"/>',
    }  # fmt: skip
    return found


def delivered() -> Iterator[Case]:
    """Each kind of picture, in the answer itself or at its address."""
    for (name, data), route in product(pictures().items(), ROUTES.values()):

        def prepare(api: ImageApi, data: bytes = data, has_jobs: bool = route.has_jobs) -> None:
            if has_jobs:
                api.visit(Raw(data))
            else:
                api.script(Ok(picture=data))

        yield Case(
            name=f"{route.name}/picture/{name}", route=route, prepare=prepare, waits=route.has_jobs,
        )  # fmt: skip


def hostile() -> Iterator[Case]:
    """Paid answers that are odd in how they come, and the key in every spelling."""
    tables = ("COMPRESSED", "FRAMED", "TRAILING", "WRITTEN", "BEHIND_BLANKS", "BEFORE", "BESIDE")
    odd = {
        f"{table.lower()} {name}": answer
        for table in tables
        for name, answer in cast("dict[str, received.Odd]", getattr(received, table)).items()
    }
    for (name, answer), word in product(odd.items(), ("openai", "openrouter chat")):
        route = ROUTES[word].with_(max_reply_bytes=1 << 26)
        yield Case(name=f"{word}/odd/{name}", route=route, prepare=meets(answer))
    for number, spelled in enumerate(spellings_of(KEY)):
        for word in ("openai", "fal"):
            error = b'{"error": {"message": "%b", "code": "x"}}' % spelled.encode()
            answers = {
                "in an error": Told(make=lambda _, error=error: error, status=400),
                "in trouble": Told(make=lambda _, error=error: error, status=502),
                "beside a picture": Told(make=lambda good, spelled=spelled: (
                    _json(good.document)[:-1] + b', "note": "%b"}' % spelled.encode()
                )),
            }  # fmt: skip
            for place, answer in answers.items():
                name = f"{word}/key {number} {place}"
                yield Case(name=name, route=ROUTES[word], prepare=meets(answer))
    for place, route in product(("status line", "header", "message", "in base64"), ROUTES.values()):
        answer = EchoedKey(cast("Any", place))
        yield Case(name=f"{route.name}/key in {place}", route=route, prepare=meets(answer))


def listed() -> Iterator[Case]:
    """An error within a list, as some gateways write it."""
    for name, answer in RECORDED.items():
        if isinstance(answer, Json):
            within = Json([answer.document], answer.status, answer.headers)
            route = ROUTES["gemini"]
            yield Case(name=f"gemini/in a list/{name}", route=route, prepare=meets(within))


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from thinned(recorded(), one_of=3)
    yield from from_gateways()
    yield from from_vendors()
    yield from thinned(combined(), one_of=36)
    yield from thinned(headed(), one_of=6)
    yield from thinned(billed(), one_of=4)
    yield from thinned(delivered(), one_of=2)
    yield from thinned(hostile(), one_of=3)
    yield from thinned(listed(), one_of=4)
