"""A stand-in as a person runs it: the table that buys from it, a line a request, the books.

``stage3 rehearse`` is this, with pictures that are drawn; whoever tests a provider serves it with
patterns, which needs Python and nothing else. Nothing is bought: the prices are those of the
shipped table.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import NoReturn

from stage3_plugin.domain.money import to_microusd, usd_text
from stage3_plugin.testing import shapes
from stage3_plugin.testing.batch_plans import Batched
from stage3_plugin.testing.batches import BatchPage
from stage3_plugin.testing.behaviours import Behaviour, Ok, ResetAfterRead
from stage3_plugin.testing.bill import by_the_table
from stage3_plugin.testing.dialects import dialect_of
from stage3_plugin.testing.image_api import KEY, Entry, ImageApi
from stage3_plugin.testing.queues import Dialect, Queued

MODELS = {
    "openrouter": "openai/gpt-image-2.5-flare",
    "openai": "gpt-image-2.5-flare",
    "gemini": "gemini-nano-banana-2.1",
    "fal": "fal-ai/flux-2/turbo",
    "bfl": "flux-2-pro",
    "replicate": "black-forest-labs/flux-2-pro",
    "xai": "grok-imagine-image-2.0",
}
"""What is bought of each provider that can be rehearsed with; the documentation's models."""
_ENDING = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Books:
    """The books of a rehearsal.

    Attributes:
        requests: For pictures, lines of batches among them.
        pictures: Those of them that would have been billed.
        unpriced: Pictures that the price table has no price of.
        billed_microusd: What the others would have cost.
    """

    provider: str
    requests: int
    pictures: int
    unpriced: int
    billed_microusd: int

    @classmethod
    def of(cls, api: ImageApi, provider: str) -> Books:
        """Add up what a server has in its books."""
        lines = api.batches.lines
        prices = [entry.usd for entry in api.entries] + [line.usd for line in lines]
        return cls(
            provider=provider,
            requests=api.received() + len(lines),
            pictures=api.billed() + api.batches.billed(),
            unpriced=sum(usd is None for usd in prices),
            billed_microusd=to_microusd(sum((usd or Decimal(0) for usd in prices), Decimal(0))),
        )

    def __str__(self) -> str:
        more = f" and {self.unpriced} at no known price" if self.unpriced else ""
        sums = f"requests {self.requests}, pictures {self.pictures}"
        return f"{sums}, would have been billed ${usd_text(self.billed_microusd)}{more}"


def table_of(provider: str) -> dict[str, str]:
    """Return what is said of a provider in a config that rehearses with it."""
    price = {"price_usd": "0.03"} if provider == "replicate" else {}  # no table has its prices
    named = {"provider": provider, "model": MODELS[provider], "endpoint": "rehearsal"}
    return {**named, **price, "budget_usd": "2.50"}


def losing(provider: str, every: int, *, delay_s: float) -> list[Behaviour]:
    """Return what becomes of requests in turn, if one of so many is billed and not answered."""
    has_jobs = dialect_of(provider) is not None
    lost = Queued(polls=0, takes_s=delay_s, lost="begun") if has_jobs else ResetAfterRead()
    return [*[_usual(provider, delay_s)] * (every - 1), lost]


def _usual(provider: str, delay_s: float) -> Ok:
    dialect = dialect_of(provider)
    return Ok(delay_s=delay_s if dialect is None or dialect.answers_at_once else 0)


def server(
    provider: str,
    dialect: Callable[[], Dialect] | None,
    *,
    key: str = KEY,
    port: int = 0,
    delay_s: float = 0.0,
    turns: Sequence[Behaviour] = (),
) -> ImageApi:
    """Return a server that bills by the table, and takes its time; it is not running yet.

    Args:
        provider: Whose vendor it is.
        dialect: How that speaks, where it has jobs.
        key: The key to accept.
        port: 0 chooses a free one.
        delay_s: Seconds for each picture; a batch takes them as a whole.
        turns: What becomes of the requests in turn; a picture each, where there are none.
    """
    api = ImageApi(key=key, port=port, dialect=None if dialect is None else dialect())
    if dialect is None:
        api.bill = by_the_table
        api.batches.plan = Batched(polls=0, takes_s=delay_s)
    else:
        api.queue.plan = Queued(polls=0, takes_s=delay_s)
    cycle = itertools.cycle(turns or [_usual(provider, delay_s)])
    api.otherwise = lambda _: next(cycle)
    api.ended = lambda entry: print(_line(entry), flush=True)
    return api


def serve(api: ImageApi, table: Mapping[str, str], *, config: Path | None = None) -> Books:
    """Run a server until Ctrl-C or SIGTERM, and return its books.

    It prints the table, with an empty line behind it, and a line for every request.

    Args:
        api: The server, not running yet.
        table: What a config says of the provider.
        config: A file to write the table to, which must not exist.

    Raises:
        OSError: Its port cannot be listened at, or the file cannot be written.
    """
    with api, contextlib.suppress(KeyboardInterrupt):
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as a shell has it in background
                signal.signal(number, _interrupt)
        url = api.root_url if table["provider"] == "gemini" else api.base_url
        values = {**table, "base_url": url, "api_key": api.key}
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        text = "\n".join(["[plugin.stage3]", *lines, ""])
        if config is not None:
            with config.open("x", encoding="utf-8") as file:
                file.write(text)
        print(text, flush=True)
        threading.Event().wait()
    return Books.of(api, table["provider"])


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Close the books, once."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _line(entry: Entry) -> str:
    """Return an entry of the books, for a person."""
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    asked, status = entry.asked, entry.exchange.status
    what = f"{status}" if status is not None else "not answered"
    if asked.method == "GET" or isinstance(entry.page, BatchPage):
        return f"{when} {asked.path} {what}"
    if not isinstance(entry.behaviour, Ok | None):
        what += f" ({type(entry.behaviour).__name__})"
    usd = "billed, at no known price" if entry.usd is None else _usd(entry.usd)
    return f"{when} {shapes.request_id(asked)} {what} {usd}"


def _usd(amount: Decimal) -> str:
    return f"${usd_text(to_microusd(amount))}"
