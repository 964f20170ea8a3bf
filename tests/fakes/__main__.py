"""Run the fake image API by hand: ``python -m tests.fakes`` from the top of the checkout.

Prints its address and key as a host's config has them, then serves until it is interrupted
(Ctrl-C), and tells what it was asked and billed. With ``--behave`` it misbehaves: each request is
answered by the next of the behaviours that are named, and after the last comes the first again.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import threading

from tests.fakes import menu
from tests.fakes.behaviours import Behaviour, Ok
from tests.fakes.image_api import KEY, ImageApi


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
    parser.add_argument("--delay", type=float, default=0.0, help="seconds per picture")
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
    turns = itertools.cycle(options.behave or [Ok(delay_s=options.delay)])
    with contextlib.ExitStack() as stack:
        try:
            api = stack.enter_context(ImageApi(key=options.key, port=options.port))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            sys.exit(f"cannot listen at port {options.port}: {why}; --port 0 chooses a free one")
        api.otherwise = lambda _: next(turns)
        print(f'base_url = "{api.base_url}"\napi_key = "{options.key}"', flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"received {api.received()}, billed {api.billed()}", flush=True)


if __name__ == "__main__":
    main()
