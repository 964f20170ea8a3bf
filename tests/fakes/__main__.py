"""Run the fake image API by hand: ``python -m tests.fakes`` from the top of the checkout.

``stage3 rehearse`` is for whoever rehearses a story; this one is for whoever works on the code. It
needs Python and nothing else, its pictures are patterns, and with ``--behave`` it misbehaves: each
request is answered by the next of the behaviours that are named, and after the last comes the first
again. With a queue that is each submit, and ``lost`` takes its job in and loses the answer. Batches
go by none of it: all of their lines are made.
"""

from __future__ import annotations

import argparse
import sys

from stage3_plugin.testing.dialects import dialect_of
from stage3_plugin.testing.rehearsal import MODELS, serve, server, table_of
from tests.fakes import menu
from tests.fakes.behaviours import Behaviour
from tests.fakes.image_api import KEY

CHAT = {
    "provider": "openrouter",
    "api": "chat",
    "model": "google/gemini-nano-banana-2.1",
    "budget_usd": "2.50",
}
TABLES = {**{name: table_of(name) for name in MODELS}, "chat": CHAT}
"""What goes before the address and the key, by what it is a rehearsal of; the documentation's."""


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
        rehearse(options)


def rehearse(options: argparse.Namespace) -> None:
    """Serve as the options say."""
    api = server(
        options.table,
        dialect_of(options.table),
        key=options.key,
        port=options.port,
        delay_s=options.delay,
        turns=options.behave or (),
    )
    try:
        print(serve(api, TABLES[options.table]), flush=True)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        sys.exit(f"cannot listen at port {options.port}: {why}; --port 0 chooses a free one")


if __name__ == "__main__":
    main()
