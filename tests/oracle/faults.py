"""What goes wrong on the way: everything that the fakes can do, and HTTP as it should not be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Literal

from tests.fakes.behaviours import Behaviour, CutBody
from tests.fakes.image_api import ImageApi
from tests.fakes.menu import named
from tests.fakes.wire import Exchange, Framing
from tests.oracle.cases import AT_ONCE, CORPUS, ROUTES, Case, Good, meets, thinned
from tests.oracle.jobs import between

IMPATIENT_S = 120
_ENDS: tuple[Literal["close", "reset"], ...] = ("close", "reset")
_FRAMINGS: tuple[Framing, ...] = ("length", "chunked", "close")
_LONG = "x" * (3 << 20)
"""More of a prompt than the buffers of a socket hold."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Send what a text of the corpus stands for, and nothing else, and end like that."""

    text: str
    end: Literal["close", "reset", "stay"]

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        await exchange.send(Good.of(exchange).fill(self.text))
        if self.end == "stay":
            return
        await asyncio.sleep(0.02)  # let it arrive: RST discards what is still on its way
        with suppress(OSError):  # whoever asked has left already
            exchange.reset() if self.end == "reset" else exchange.close()


SENT: dict[str, Behaviour] = {
    **{name: named(name) for name in CORPUS.faults},
    **{
        f"{name}, then {end}": Raw(text, end)
        for (name, text), end in product(CORPUS.raw.items(), _ENDS)
    },
    **{
        f"cut {framing} by {by}": CutBody(by, framing, heavy=True)
        for by, framing in product(_ENDS, _FRAMINGS)
    },
}
SILENT: dict[str, Behaviour] = {
    **{name: named(name) for name in CORPUS.silent},
    **{f"{name}, then stay": Raw(CORPUS.raw[name], "stay") for name in CORPUS.stays},
}
"""What is over only by our own patience."""


def _once() -> Iterator[Case]:
    for (name, behaviour), route in product(SENT.items(), ROUTES.values()):
        yield Case(
            name=f"{route.name}/fault/{name}", route=route, prepare=meets(behaviour),
            waits=route.has_jobs,
        )  # fmt: skip


def _in_silence() -> Iterator[Case]:
    for (name, behaviour), word in product(SILENT.items(), ("openai", "gemini", "fal")):
        route = ROUTES[word].with_(timeout_s=IMPATIENT_S)
        yield Case(name=f"{word}/silence/{name}", route=route, prepare=meets(behaviour), waits=True)


def _of_connections() -> Iterator[Case]:
    for times, route in product((1, 3, 9), ROUTES.values()):
        yield Case(
            name=f"{route.name}/fault/{times} connections reset", route=route, waits=True,
            prepare=partial(ImageApi.reset_on_connect, times=times),
        )  # fmt: skip


def _of_long_requests() -> Iterator[Case]:
    for name, route in product(CORPUS.long, AT_ONCE):
        prepare = meets(named(name))
        yield Case(name=f"{route.name}/long/{name}", route=route, prepare=prepare, words=_LONG)


def _in_a_row() -> Iterator[Case]:
    """The same fault each time, and once more where it is sent again by itself."""
    resent = ROUTES["openai"].with_(on_unknown="resend", timeout_s=IMPATIENT_S)
    lasting = ROUTES["openrouter"].with_(max_attempts=2, timeout_s=IMPATIENT_S, deadline_s=60)
    for name, behaviour in (SENT | SILENT).items():
        prepare = meets(behaviour)
        yield Case(name=f"openai/resent/{name}", route=resent, prepare=prepare, waits=True)
        yield Case(
            name=f"openrouter/lasting/{name}", route=lasting, waits=True,
            prepare=partial(ImageApi.always, behaviour=behaviour),
        )  # fmt: skip


def _at_looks() -> Iterator[Case]:
    for (name, behaviour), word in product((SENT | SILENT).items(), ("fal", "replicate")):
        yield between(ROUTES[word].with_(timeout_s=IMPATIENT_S), f"fault/{name}", behaviour)


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from thinned(_once(), one_of=5)
    yield from _in_silence()
    yield from _of_connections()
    yield from _of_long_requests()
    yield from thinned(_in_a_row(), one_of=3)
    yield from thinned(_at_looks(), one_of=4)
