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


def _haste(name: str) -> int:
    """Return how fast clocks may run beside what takes the server seconds to make."""
    return 1 if name == "bomb" else 30


def _once() -> Iterator[Case]:
    for (name, behaviour), route in product(SENT.items(), ROUTES.values()):
        yield Case(
            name=f"{route.name}/fault/{name}", route=route, prepare=meets(behaviour),
            waits=route.has_jobs, haste=_haste(name),
        )  # fmt: skip


def _in_silence() -> Iterator[Case]:
    for (name, behaviour), word in product(SILENT.items(), ("openai", "gemini", "fal")):
        route = ROUTES[word].with_(timeout_s=IMPATIENT_S)
        yield Case(name=f"{word}/silence/{name}", route=route, prepare=meets(behaviour), waits=True)


def _to_nobody() -> Iterator[Case]:
    """Nobody listens there. A connection that is reset is none: what has left by then is chance."""
    for route in ROUTES.values():
        nowhere = route.with_(base_url="http://127.0.0.1:9/v1")
        prepare = meets()
        yield Case(name=f"{route.name}/fault/nobody", route=nowhere, prepare=prepare, waits=True)


def _of_long_requests() -> Iterator[Case]:
    for name, route in product(CORPUS.long, AT_ONCE):
        prepare = meets(named(name))
        yield Case(name=f"{route.name}/long/{name}", route=route, prepare=prepare, words=_LONG)


def _in_a_row() -> Iterator[Case]:
    """The same fault each time, and once more where it is sent again by itself."""
    resent = ROUTES["openai"].with_(on_unknown="resend")
    lasting = ROUTES["openrouter"].with_(max_attempts=2)
    for name, behaviour in (SENT | SILENT).items():
        timeout_s, haste = IMPATIENT_S if name in SILENT else None, _haste(name)
        yield Case(
            name=f"openai/resent/{name}", route=resent.with_(timeout_s=timeout_s),
            prepare=meets(behaviour), waits=True, haste=haste,
        )  # fmt: skip
        if not name.startswith(("limited", "server-error")):  # how often it asks is chance
            yield Case(
                name=f"openrouter/lasting/{name}", route=lasting.with_(timeout_s=timeout_s),
                prepare=partial(ImageApi.always, behaviour=behaviour), waits=True, haste=haste,
            )  # fmt: skip


def _at_looks() -> Iterator[Case]:
    for (name, behaviour), word in product((SENT | SILENT).items(), ("fal", "replicate")):
        timeout_s = IMPATIENT_S if name in SILENT else None
        route = ROUTES[word].with_(timeout_s=timeout_s)
        yield between(route, f"fault/{name}", behaviour, haste=_haste(name))


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from thinned(_once(), one_of=5)
    yield from _in_silence()
    yield from _to_nobody()
    yield from _of_long_requests()
    yield from thinned(_in_a_row(), one_of=3)
    yield from thinned(_at_looks(), one_of=4)
