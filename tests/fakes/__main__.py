"""Run the fake image API by hand: ``python -m tests.fakes`` from the top of the checkout.

It needs Python and nothing else. It prints the table of a config that buys from it, then a line for
every request (when it ended, what the service calls it, what came of it, what that cost), and, when
it is interrupted (Ctrl-C or SIGTERM), the total. Nothing is bought: the prices are those of the
shipped table, the pictures are patterns. With ``--behave`` it misbehaves: each request is answered
by the next of the behaviours that are named, and after the last comes the first again. With a queue
that is each submit, and ``lost`` takes its job in and loses the answer. Batches go by none of it:
all of their lines are made.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import signal
import sys
import threading
import time
from decimal import Decimal
from types import FrameType
from typing import NoReturn

from stage3_plugin.testing.batch_plans import Batched
from stage3_plugin.testing.batches import BatchPage
from stage3_plugin.testing.dialects import dialect_of
from stage3_plugin.testing.queues import Queued
from tests.fakes import bill, menu, shapes
from tests.fakes.behaviours import Behaviour, Ok
from tests.fakes.image_api import KEY, Entry, ImageApi

TABLES = {
    "openrouter": {
        "provider": "openrouter",
        "api": "images",
        "model": "openai/gpt-image-2.5-flare",
    },
    "chat": {"provider": "openrouter", "api": "chat", "model": "google/gemini-nano-banana-2.1"},
    "openai": {"provider": "openai", "model": "gpt-image-2.5-flare"},
    "gemini": {"provider": "gemini", "model": "gemini-nano-banana-2.1"},
    "fal": {"provider": "fal", "model": "fal-ai/flux-2/turbo"},
    "bfl": {"provider": "bfl", "model": "flux-2-pro"},
    "replicate": {
        "provider": "replicate",
        "model": "black-forest-labs/flux-2-pro",
        "price_usd": "0.03",
    },
    "xai": {"provider": "xai", "model": "grok-imagine-image-2.0"},
}
"""What goes before the address and the key, by what it is a rehearsal of; the documentation's."""

AT_ONCE = "xai"
"""Which of those with a dialect has no queue: its pictures are late in the answer itself."""


def behaviour(text: str) -> Behaviour:
    """Read one that was named on the command line."""
    try:
        return menu.named(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--key", default=KEY, help="the key to accept")
    parser.add_argument(
        "--table",
        choices=tuple(TABLES),
        default="openrouter",
        help="whose config table to print; all are answered, but for those with a queue, which "
        "are answered alone",
    )
    parser.add_argument(
        "--delay",
        type=float,
        default=0.0,
        help="seconds per picture; in a queue its job takes them, and a batch as a whole",
    )
    parser.add_argument(
        "--behave",
        metavar="NAME[:ARGUMENT]",
        type=behaviour,
        nargs="+",
        action="extend",
        help="what becomes of the requests, in turn; instead of pictures",
    )
    parser.add_argument("--list", action="store_true", help="name the behaviours and leave")
    parser.add_argument("--list-recorded", action="store_true", help="name the recorded answers")
    options = parser.parse_args()
    if options.list:
        print(menu.described())
    elif options.list_recorded:
        print("\n".join(menu.RECORDED))
    else:
        serve(options)


def serve(options: argparse.Namespace) -> None:
    """Serve as the options say."""
    dialect = dialect_of(options.table)
    has_queue = dialect is not None and options.table != AT_ONCE
    usual = Ok() if has_queue else Ok(delay_s=options.delay)
    turns = itertools.cycle(options.behave or [usual])
    with contextlib.ExitStack() as stack:
        try:
            queue = None if dialect is None else dialect()
            api = stack.enter_context(ImageApi(key=options.key, port=options.port, dialect=queue))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            sys.exit(f"cannot listen at port {options.port}: {why}; --port 0 chooses a free one")
        if dialect is not None:
            api.queue.plan = Queued(polls=0, takes_s=options.delay)
        else:
            api.bill = bill.by_the_table
            api.batches.plan = Batched(polls=0, takes_s=options.delay)
        api.otherwise = lambda _: next(turns)
        api.ended = lambda entry: print(line(entry), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.signal(signal.SIGTERM, _interrupt)
            url = api.root_url if options.table == "gemini" else api.base_url
            print(table(options.table, url, options.key), flush=True)
            threading.Event().wait()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the book is being closed already
    print(total(api), flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does; a shell's background process never hears that."""
    raise KeyboardInterrupt


def table(name: str, base_url: str, key: str) -> str:
    """Return what goes into ``host.toml``, with an empty line behind it."""
    values = {**TABLES[name], "base_url": base_url, "api_key": key, "budget_usd": "2.50"}
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(["[plugin.stage3]", *lines, ""])


def line(entry: Entry) -> str:
    """Return an entry of the book, for a person."""
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    asked, status = entry.asked, entry.exchange.status
    what = f"{status}" if status is not None else "not answered"
    if asked.method == "GET" or isinstance(entry.page, BatchPage):
        return f"{when} {asked.path} {what}"
    if not isinstance(entry.behaviour, Ok | None):
        what += f" ({type(entry.behaviour).__name__})"
    usd = "billed, at no known price" if entry.usd is None else _usd(entry.usd)
    return f"{when} {shapes.request_id(asked)} {what} {usd}"


def total(api: ImageApi) -> str:
    """Return the sum of the book."""
    lines = api.batches.lines
    prices = [entry.usd for entry in api.entries] + [line.usd for line in lines]
    known = sum((usd for usd in prices if usd is not None), Decimal(0))
    unknown = sum(usd is None for usd in prices)
    more = f" and {unknown} at no known price" if unknown else ""
    batched = f" and {len(lines)} in batches, of which {api.batches.billed()}" if lines else ""
    return f"received {api.received()}, billed {api.billed()}{batched}, total {_usd(known)}{more}"


def _usd(amount: Decimal) -> str:
    return f"{amount:.6f} USD"


if __name__ == "__main__":
    main()
