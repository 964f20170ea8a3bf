"""Run the fake image API by hand: ``python -m tests.fakes`` from the top of the checkout.

Prints its address and key as a host's config has them, then serves until it is interrupted
(Ctrl-C), and tells what it was asked and billed.
"""

from __future__ import annotations

import argparse
import threading

from tests.fakes.behaviours import Ok
from tests.fakes.image_api import KEY, ImageApi


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--key", default=KEY, help="the key to accept")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds per picture")
    options = parser.parse_args()
    with ImageApi(key=options.key, port=options.port) as api:
        api.always(Ok(delay_s=options.delay))
        print(f'base_url = "{api.base_url}"\napi_key = "{options.key}"', flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"received {api.received()}, billed {api.billed()}", flush=True)


if __name__ == "__main__":
    main()
