"""A process that buys: one run over some scenes, for tests that stop it or watch it end.

:func:`main` takes the order from the command line as JSON, and prints how each scene ended, as
JSON, and the seconds at which the run itself was over.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import anyio

from stage3_plugin.settings import Settings
from tests.doors import run_stage, story


async def buy(order: dict[str, Any]) -> dict[str, Any]:
    """Run the scenes of an order."""
    if order.get("authority"):
        os.environ["SSL_CERT_FILE"] = order["authority"]
    ran = await run_stage(
        Settings.model_validate(order["settings"]),
        story(*order["scenes"]),
        Path(order["folder"]),
    )
    messages = {name: one.failure.message for name, one in ran.outcomes.items() if one.failure}
    codes = {name: ran.code(name) for name in ran.outcomes}
    return {"codes": codes, "messages": messages, "over_at": time.monotonic()}


def main() -> None:
    """Buy what the command line orders, and print what came of it."""
    order = json.loads(sys.argv[1])
    print(json.dumps(anyio.run(buy, order, backend=order["backend"])))
