"""A service in memory for the model plugin, which can be told to misbehave: the kit's own subject.

It has what a service over HTTP has: connections that can be cut, answers with a status, a wait that
it asks for, a key, and a price on each answer that was billed.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import anyio
import anyio.lowlevel

from host_stub.conformance import Case
from host_stub.conformance import behaviours as does
from host_stub.conformance.scripted import Scripted
from host_stub.plain_image import flat_png

KEY = "model-key-5f1d8a"
PRICE_USD = Decimal("0.04")
SERVICES: dict[str, Service] = {}
"""Those that run now, by the name that settings have for them."""
_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the service said: an HTTP status, a picture or words, and what was billed."""

    status: int
    picture: bytes | None = None
    words: str = ""
    kind: str = ""
    wait_s: float | None = None
    billed_usd: Decimal = Decimal(0)


ANSWERS: Mapping[type, Answer] = {
    does.Unavailable: Answer(status=503, words="busy"),
    does.Refused: Answer(status=400, words="against our policy", kind="policy"),
    does.Rejected: Answer(status=400, words="the prompt is too long", kind="wrong"),
    does.OutOfMoney: Answer(status=402, words="the account is empty"),
    does.Empty: Answer(status=200, billed_usd=PRICE_USD),
    does.Garbage: Answer(status=200, words="<html>", kind="page", billed_usd=PRICE_USD),
    does.TooLarge: Answer(status=200, kind="endless", billed_usd=PRICE_USD),
}
"""What is always the same."""


class ConnectionCut(Exception):
    """The connection was cut, and no whole answer came: at most a part of one."""

    def __init__(self, part: bytes = b"") -> None:
        self.part = part
        super().__init__("cut")


@dataclass(slots=True)
class Service:
    """The service, and the kit's ``Backend``."""

    name: str
    books: Scripted = field(default_factory=lambda: Scripted(PRICE_USD))
    open_connections: int = 0

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"service": self.name, "key": KEY, "wait_s": 0.001}

    @property
    def secrets(self) -> Sequence[str]:
        return (KEY,)

    def behave(self, scene_id: str, *script: does.Behaviour) -> None:
        self.books.behave(scene_id, *script)

    def calls(self, scene_id: str | None = None) -> Sequence[Any]:
        return self.books.calls(scene_id)

    def billed(self) -> Decimal:
        return self.books.billed()

    def connections(self) -> int | None:
        return self.open_connections

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[None]:
        """Hold a connection open, which a client may keep."""
        self.open_connections += 1
        try:
            yield
        finally:
            self.open_connections -= 1

    async def paint(self, prompt: str, key: str, size_px: tuple[int, int]) -> Answer:
        """Answer a request for a picture.

        Raises:
            ConnectionCut: No whole answer comes.
        """
        with self.books.request(prompt) as met:
            await anyio.lowlevel.checkpoint()
            if isinstance(met, does.Hang):
                await anyio.sleep_forever()
            if isinstance(met, does.Reset):
                raise ConnectionCut
            if isinstance(met, does.CutShort):
                raise ConnectionCut(picture_for(prompt, size_px)[:50])
            if isinstance(met, does.Unauthorized):
                return Answer(status=401, words=f"the key {key} is wrong")
            if isinstance(met, does.RateLimited):
                return Answer(status=429, words="slow down", wait_s=met.retry_after_s)
            if isinstance(met, does.Ok):
                return await self._picture(met, picture_for(prompt, size_px))
            if isinstance(met, does.NoPicture):
                half = picture_for(prompt, size_px)[:-24]  # in the middle of its data
                return Answer(status=200, picture=half, billed_usd=PRICE_USD)
            return ANSWERS[type(met)]

    async def _picture(self, met: does.Ok, usual: bytes) -> Answer:
        await anyio.sleep(met.delay_s)
        while met.hold is not None and not met.hold.is_open:
            await anyio.sleep(0.002)
        return Answer(status=200, picture=met.picture or usual, billed_usd=PRICE_USD)


def picture_for(prompt: str, size_px: tuple[int, int]) -> bytes:
    """Return a picture of a colour that the prompt decides."""
    return flat_png(*size_px, hashlib.sha256(prompt.encode(errors="surrogatepass")).digest()[:3])


@contextmanager
def running() -> Generator[Service]:
    """Run a service under a name of its own."""
    service = Service(f"service-{next(_NUMBERS)}")
    SERVICES[service.name] = service
    try:
        yield service
    finally:
        del SERVICES[service.name]


case = Case(
    backend=running,
    price_usd=PRICE_USD,
    at_once=4,
    least_wait_s=0.05,
    impatient={"timeout_s": 0.1},
    keeps=(".model",),
    wrong_settings={"no capacity": {"capacity": 0}, "no size": {"size": "large"}},
)
