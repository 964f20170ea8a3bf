"""Moves a ledger in a process of its own, which kills itself at the n-th call of a named step.

``python moving_process.py STEP EDGE NTH WORD…``: the words are those of ``stage3``. A step that is
not there any more is an error.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from itertools import count
from typing import Any

STEPS = {
    "mark": "stage3_plugin.ledger.sealing:begin",
    "marked": "stage3_plugin.maintenance.moving:_begin",
    "table": "stage3_plugin.ledger.postgres.moving:copied",
    "compared": "stage3_plugin.ledger.postgres.moving:_compare",
    "statement": "stage3_plugin.ledger.postgres.engine:PostgresEngine.run",
    "seal": "stage3_plugin.ledger.sealing:finish",
    "sealed": "stage3_plugin.maintenance.moving:move",
}


def _die(*_arguments: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at(step: str, edge: str, nth: int, act: Callable[..., None] = _die) -> None:
    """Do something before or after the n-th call of a step."""
    module, _, path = STEPS[step].partition(":")
    *outer, name = path.split(".")
    holder: Any = import_module(module)
    for part in outer:
        holder = getattr(holder, part)
    original = getattr(holder, name)
    calls = count(1)

    @wraps(original)
    def instead(*arguments: Any, **named: Any) -> Any:
        is_now = next(calls) == nth
        if is_now and edge == "before":
            act(*arguments)
        result = original(*arguments, **named)
        if is_now and edge == "after":
            act(*arguments)
        return result

    setattr(holder, name, instead)


if __name__ == "__main__":
    step, edge, nth, *words = sys.argv[1:]
    if step != "none":
        at(step, edge, int(nth))
    from stage3_plugin.cli import main

    sys.exit(main(words))
