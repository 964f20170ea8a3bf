"""Whole answers to the request for a picture: recorded ones, and ones made by combining."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any, cast

from PIL import Image

from stage3_plugin.testing.queues import Kind
from tests.fakes.behaviours import Json, Ok, Raw
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.menu import RECORDED, named
from tests.fakes.pngs import make_png
from tests.hostile import received
from tests.hostile.spellings import spellings_of
from tests.oracle.cases import (
    AT_ONCE,
    CORPUS,
    ROUTES,
    Case,
    Good,
    Prepare,
    Told,
    looks,
    meets,
    put,
    repeated,
    thinned,
    visited,
)

PROVIDERS = Path(__file__).parents[1] / "stage3" / "providers"
PNG = make_png("a harbour", 64, 64)


def recorded() -> Iterator[Case]:
    """Failures of providers and gateways: from each, from a free server, twice, within a list."""
    own = ROUTES["openai"]
    further = [{"provider": "openrouter", "model": "a/painter", "price_usd": "0.07"}]
    ways = {
        **{name: (route, 1) for name, route in ROUTES.items()},
        "free": (own.with_(price_usd="0", budget_usd=None), 1),
        "ladder": (own.with_(fallback=further), 1),
        "resent": (own.with_(on_unknown="resend"), 1),
        "often": (own.with_(max_attempts=2), 9),
    }
    for (name, answer), (way, (route, times)) in product(RECORDED.items(), ways.items()):
        prepare = meets(*[answer] * times)
        yield Case(name=f"{way}/recorded/{name}", route=route, prepare=prepare, waits=times > 1)
        if way == "gemini" and isinstance(answer, Json):
            within = Json([answer.document], answer.status, answer.headers)
            yield Case(name=f"{way}/in a list/{name}", route=route, prepare=meets(within))


def _just(body: bytes, _good: Good) -> bytes:
    return body


def from_gateways() -> Iterator[Case]:
    """What a gateway answered, byte for byte."""
    for path, route in product(sorted((PROVIDERS / "gateways").glob("*.json")), AT_ONCE):
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["status"]:  # one hung: that is among the faults
            lines = (line.partition(": ") for line in told["headers"])
            headers = {name: value for name, _, value in lines if name.lower() != "content-length"}
            body, status = told["body"].encode(), int(told["status"].split()[1])
            answer = Told(make=partial(_just, body), status=status, headers=headers)
            yield Case(name=f"{route.name}/gateway/{path.stem}", route=route, prepare=meets(answer))


def from_vendors() -> Iterator[Case]:
    """What vendors answered, to a request and to looks at its job, with our names in it."""
    for path in sorted((PROVIDERS / "recorded").glob("*/*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        route, job = ROUTES[path.parent.name], told.get("job", {}).get("job_id", "no job")
        is_met = path.stem != "batches" and not path.stem.startswith("odd_")
        for number, one in enumerate(told["replies"] if is_met else (), 1):
            text = one["text"] if "text" in one else json.dumps(one["body"])
            text = text.replace(job, f"{route.name}-00000001")

            def make(good: Good, text: str = text) -> bytes:
                return re.sub(r"https://[\w.-]+", good.root, text).encode()

            to, answer = one.get("to", "submit"), Told(
                make=make, status=one["status"], headers=one.get("headers", {})
            )  # fmt: skip
            behind = meets(answer) if to == "submit" else looks(answer, cast("Kind", to))

            def prepare(api: ImageApi, behind: Prepare = behind) -> None:
                api.visit_always(Raw(PNG))
                behind(api)

            name = f"{route.name}/heard/{number} to {to}"
            yield Case(name=name, route=route, prepare=prepare, waits=route.has_jobs)


def combined() -> Iterator[Case]:
    """Each provider, each status, each shape."""
    shapes = CORPUS.shapes
    for route, status, shape in product(ROUTES.values(), CORPUS.statuses, shapes):
        prepare = meets(Told(make=shapes[shape], status=status))
        yield Case(name=f"{route.name}/{status}/{shape}", route=route, prepare=prepare)


def headed() -> Iterator[Case]:
    """Each header, beside a picture and beside errors."""
    asked = ((200, "picture"), (429, "error"), (503, "error"))
    for route, (name, values) in product(ROUTES.values(), CORPUS.headers.items()):
        for text, (status, shape) in product(values, asked):
            headers = {name: repeated(text)}
            answer = Told(make=CORPUS.shapes[shape], status=status, headers=headers)
            case = f"{route.name}/{name} {text}/{status}"
            yield Case(name=case, route=route, prepare=meets(answer))


def billed() -> Iterator[Case]:
    """Each figure in each place of a bill, by the price table and by a price of one's own.

    What comes first decides a cost; of the others a part will do.
    """
    for name, fields in CORPUS.usage.items():
        model = "gpt-image-1" if name == "openai" else ROUTES[name].settings["model"]
        for path, text, price in product(fields, CORPUS.figures, ("0.05", None)):

            def make(good: Good, path: str = path, figure: Any = json.loads(text)) -> bytes:  # noqa: B008 - it is fixed
                usage = "usageMetadata" if "usageMetadata" in good.document else "usage"
                return json.dumps(put(good.document, f"{usage}.{path}", figure)).encode()

            route = ROUTES[name].with_(price_usd=price, model=model)
            case = f"{name}/bill/{path} {text} {'own price' if price else 'table'}"
            one = Case(name=case, route=route, prepare=meets(Told(make=make)))
            yield from [one] if path == fields[0] else thinned([one], one_of=4)


def pictures() -> dict[str, bytes]:
    """Return pictures of every kind, whole and broken."""
    found: dict[str, bytes] = {}
    for kind in (
        "PNG RGBA", "PNG L", "PNG P", "PNG 1", "PNG I;16", "JPEG RGB", "JPEG CMYK", "WEBP RGB",
        "GIF P", "BMP RGB", "TIFF RGB", "ICO RGB", "PPM RGB",
    ):  # fmt: skip
        file, (name, mode) = BytesIO(), kind.split()
        Image.new(mode, (48, 32)).save(file, name)
        found[kind] = file.getvalue()
    for kind in ("PNG RGBA", "JPEG RGB", "WEBP RGB", "GIF P"):
        whole, middle = found[kind], len(found[kind]) // 2
        for part in (10, 50, 97):
            found[f"{kind} cut at {part}"] = whole[: len(whole) * part // 100]
        found[f"{kind} and more"] = whole + b"\r\nmore"
        wrong = bytes([whole[middle] ^ 255])
        found[f"{kind} with a wrong byte"] = whole[:middle] + wrong + whole[middle + 1 :]
    return found | {
        "of another size": make_png("b", 96, 32), "of one pixel": make_png("b", 1, 1),
        "too large": PNG[:16] + b"\0\0\xff\xff\0\0\xff\xff" + PNG[24:], "nothing": b"",
        "its first bytes": PNG[:8], "twice": PNG * 2, "behind a line break": b"\n" + PNG,
        "SVG": b'<?xml version="1.0"?><svg width="9"/>',
    }  # fmt: skip


def delivered() -> Iterator[Case]:
    """Each kind of picture, in the answer itself or at its address."""
    for (name, data), route in product(pictures().items(), ROUTES.values()):
        case = f"{route.name}/picture/{name}"
        if route.has_jobs:
            yield Case(name=case, route=route, prepare=visited(Raw(data)), waits=True)
        else:
            yield Case(name=case, route=route, prepare=meets(Ok(picture=data)))


def hostile() -> Iterator[Case]:
    """Paid answers that are odd in how they come, and the key in every spelling."""
    tables = ("COMPRESSED", "FRAMED", "TRAILING", "WRITTEN", "BEHIND_BLANKS", "BEFORE", "BESIDE")
    for word, table in product(("openai", "openrouter chat"), tables):
        route = ROUTES[word].with_(max_reply_bytes=1 << 26)
        for name, odd in cast("dict[str, received.Odd]", getattr(received, table)).items():
            yield Case(name=f"{word}/odd/{table.lower()} {name}", route=route, prepare=meets(odd))
    for (number, spelled), word in product(enumerate(spellings_of(KEY)), ("openai", "fal")):
        error = f'{{"error": {{"message": "{spelled}", "code": "x"}}}}'
        answers = {
            "in an error": Told(make=error, status=400),
            "in trouble": Told(make=error, status=502),
            "beside a picture": Told(make=f'{{open}}, "note": "{spelled}"}}'),
        }
        for place, answer in answers.items():
            name = f"{word}/key {number} {place}"
            yield Case(name=name, route=ROUTES[word], prepare=meets(answer))
    for place, route in product(("status line", "header", "message"), ROUTES.values()):
        prepare = meets(named(f"echo-key:{place}"))
        yield Case(name=f"{route.name}/key in {place}", route=route, prepare=prepare)


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from thinned(recorded(), one_of=3)
    yield from from_gateways()
    yield from from_vendors()
    yield from thinned(combined(), one_of=36)
    yield from thinned(headed(), one_of=6)
    yield from billed()
    yield from thinned(delivered(), one_of=2)
    yield from thinned(hostile(), one_of=3)
