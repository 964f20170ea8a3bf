"""What a case is: a name, a route to a vendor, and what the loopback server is told for it.

Everything that is answered comes from here and from the fakes, whichever build asks: both get the
same bytes, up to the port and to the moment.
"""

from __future__ import annotations

import json
import re
import tomllib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from stage3_plugin.testing.dialects import dialect_of
from stage3_plugin.testing.queues import Kind, Queued
from tests.fakes.behaviours import Behaviour, Ok
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.wire import Exchange, Said

Prepare: TypeAlias = Callable[[ImageApi], None]
_REPEATED = re.compile(r"\{(\d+)\*([^{}]+)\}")


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """What ``corpus.toml`` has; it says there what each table is for."""

    statuses: list[int]
    figures: list[str]
    odd: list[str]
    faults: list[str]
    silent: list[str]
    visits: list[str]
    long: list[str]
    pages: list[str]
    stays: list[str]
    usage: dict[str, list[str]]
    addresses: dict[str, str]
    jobs: dict[str, dict[str, list[str]]]
    headers: dict[str, list[str]]
    shapes: dict[str, str]
    raw: dict[str, str]


CORPUS = Corpus(
    **tomllib.loads(Path(__file__).with_name("corpus.toml").read_text(encoding="utf-8"))
)


@dataclass(frozen=True, kw_only=True)
class Route:
    """A way to buy a picture: a provider, and what it is asked for.

    Attributes:
        name: What it is called in the names of cases.
        settings: Beside those of every case.
        has_jobs: Its vendor takes requests in and makes pictures later.
    """

    name: str
    settings: Mapping[str, Any]
    has_jobs: bool = False

    def server(self) -> ImageApi:
        """Return a server that speaks as its vendor does."""
        dialect = dialect_of(str(self.settings["provider"]))
        api = ImageApi(dialect=None if dialect is None else dialect())
        if dialect is not None:
            api.queue.plan = Queued(polls=0)
        return api

    def with_(self, **settings: Any) -> Route:
        """Return it with other settings; ``None`` leaves one out that every case has."""
        return replace(self, settings={**self.settings, **settings})


def _route(name: str, model: str, *, has_jobs: bool = False) -> Route:
    provider, _, api = name.partition(" ")
    settings = {"provider": provider, "model": model} | ({"api": api} if api else {})
    return Route(name=name, settings=settings, has_jobs=has_jobs)


ROUTES = {
    route.name: route
    for route in (
        _route("openai", "gpt-image-2"),
        _route("openrouter", "google/gemini-3-pro-image"),
        _route("openrouter chat", "google/gemini-3-pro-image"),
        _route("gemini", "gemini-nano-banana-2.1"),
        _route("xai", "grok-imagine-image-2.0"),
        _route("fal", "fal-ai/flux-2/turbo", has_jobs=True),
        _route("bfl", "flux-2-pro", has_jobs=True),
        _route("replicate", "black-forest-labs/flux-2-pro", has_jobs=True),
    )
}
AT_ONCE = [ROUTES[name] for name in CORPUS.addresses]
"""Those that answer a picture at once, in shapes that the server makes without a dialect."""
WITH_JOBS = [route for route in ROUTES.values() if route.has_jobs]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One answer, or a few that belong together, and who asks for it.

    Attributes:
        name: No other case has it.
        route: Who is asked.
        prepare: Tells the server what the first requests meet; all others are answered well.
        waits: It spends its time in waiting, so that many can go on at once.
        runs: How often the same is asked for, in all.
        haste: So many times as fast its clocks run that waits are measured by.
        only_end: In which run it ends is up to the moment: the last one is compared alone.
        words: Of the prompt, behind its beginning.
    """

    name: str
    route: Route
    prepare: Prepare
    waits: bool = False
    runs: int = 2
    haste: int = 30
    only_end: bool = False
    words: str = ""

    def order(self, api: ImageApi) -> dict[str, Any]:
        """Return what a build is asked to do, against a server."""
        fixed: dict[str, Any] = {
            "base_url": api.root_url if self.route.name == "gemini" else api.base_url,
            "api_key": KEY,
            "size": "64x64",
            "price_usd": "0.05",
            "budget_usd": "1",
            "deadline_s": 300,
            "max_reply_bytes": 1 << 22,
        }
        settings = fixed | dict(self.route.settings)
        return {
            "settings": {name: value for name, value in settings.items() if value is not None},
            "prompt": f"a harbour at dusk{self.words}",
            "runs": self.runs,
            "haste": self.haste,
            "limit_s": 120,
        }


@dataclass(frozen=True, slots=True)
class Good:
    """What an endpoint would answer, to make something else of it.

    Attributes:
        document: Its answer.
        addressed: Its answer with an address in the place of the picture.
        picture: The picture's bytes.
        root: The server's address.
    """

    document: dict[str, Any]
    addressed: dict[str, Any]
    picture: bytes
    root: str

    @classmethod
    def of(cls, exchange: Exchange) -> Good:
        """Return what would be answered in an exchange; a queue begins a job for it."""
        document, addressed = (json.loads(one.body(exchange)) for one in (Ok(), Ok(url="own")))
        return cls(document, addressed, Ok().made(exchange), exchange.base_url.removesuffix("/v1"))

    def fill(self, template: str) -> bytes:
        """Return what a text of the corpus stands for, as bytes."""
        body = json.dumps(self.document).encode()
        sized, ok = b"content-length: %d\r\n" % len(body), b"HTTP/1.1 200 OK"
        parts = {
            "body": body, "open": body[:-1], "half": body[: len(body) // 2],
            "length": b"%d" % len(body),
            "address": json.dumps(self.addressed).encode(), "picture": self.picture,
            "good": ok + b"\r\n" + sized + b"\r\n" + body, "ok": ok, "sized": sized,
            "chunked": b"transfer-encoding: chunked\r\n\r\n", "hex": b"%x" % len(body),
        }  # fmt: skip
        filled = repeated(template).encode("latin-1")
        for name, part in parts.items():
            filled = filled.replace(b"{%b}" % name.encode(), part)
        return filled


def repeated(text: str) -> str:
    """Return a text of the corpus with ``{9*x}`` written out."""
    return _REPEATED.sub(lambda match: match[2] * int(match[1]), text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Answer what is made of a good answer, or what a text of the corpus stands for."""

    make: Callable[[Good], bytes] | str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed, good, make = True, Good.of(exchange), self.make
        body = good.fill(make) if isinstance(make, str) else make(good)
        headers = Ok().headers(exchange) | dict(self.headers)
        await exchange.reply(self.status, body, headers)


def meets(*behaviours: Behaviour) -> Prepare:
    """Have the first requests for a picture meet these."""
    return lambda api: api.script(*behaviours)


def looks(behaviour: Behaviour, of: Kind, *, times: int = 1) -> Prepare:
    """Have the first looks at a page of a vendor's queue meet this."""
    return lambda api: api.poll(behaviour, of=of, times=times)


def visited(behaviour: Behaviour, *first: Behaviour, times: int = 1) -> Prepare:
    """Have the first visits of a picture's address meet this, behind what names the address."""

    def prepare(api: ImageApi) -> None:
        api.script(*first)
        api.visit(behaviour, times=times)

    return prepare


def bent(page: str, change: Callable[[Said], Said]) -> Prepare:
    """Have every page of one kind of a vendor's queue changed before it is told."""

    def prepare(api: ImageApi) -> None:
        dialect = api.queue.dialect
        usual = getattr(dialect, page)

        def told(*about: object) -> Said:
            return change(usual(*about))

        setattr(dialect, page, told)

    return prepare


def put(document: Any, path: str, value: object) -> Any:
    """Return a document with another value at a place such as ``data.0.url``."""
    changed = deepcopy(document)
    *inner, last = (int(word) if word.isdigit() else word for word in path.split("."))
    at = changed
    for word in inner:
        at = at[word]
    at[last] = value
    return changed


def thinned(cases: Iterable[Case], *, one_of: int) -> Iterator[Case]:
    """Yield a part of cases, the same ones whatever others there are."""
    return (case for case in cases if zlib.crc32(case.name.encode()) % one_of == 0)
