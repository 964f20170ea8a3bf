"""A worker process: draws one picture after the other until its standard input ends.

Started by ``renderers/processes.py`` as ``python -m``. It is deaf to Ctrl-C, because what is being
drawn is finished or thrown away by the process that asked for it; and it needs no signal to end:
when that process is gone, however it went, standard input ends and so does this one.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from stage3_plugin.previz.order import Order, answer_line, order_from

_NEW_FILE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)  # these three are not on every system
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
"""Made new, and never through a link."""


def main() -> None:
    """Serve orders from standard input; answers go to what was standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = _answers()
    for line in sys.stdin.buffer:
        answer = answer_line(_problem_with(line))
        try:
            os.write(answers, answer)
        except BrokenPipeError:
            return  # whoever asked is gone


def _answers() -> int:
    """Keep the pipe for answers alone: what a library prints goes to standard error."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers


def _problem_with(line: bytes) -> str | None:
    """Draw one picture; any failure is this picture's alone, so all are caught and told."""
    try:
        _draw(order_from(line))
    except Exception as error:  # noqa: BLE001 - see above
        return f"{type(error).__name__}: {error}"
    return None


def _draw(order: Order) -> None:
    # After SIGINT is ignored: this import takes half of the time that starting takes.
    from stage3_plugin.previz.render import render  # noqa: PLC0415

    size = (order.width_px, order.height_px)
    png = render(order.plate, size, order.cast, seed=order.seed, caption=order.caption)
    part = Path(order.part)
    try:
        with os.fdopen(os.open(part, _NEW_FILE, 0o600), "wb") as file:
            file.write(png)
        part.replace(order.path)
    finally:
        part.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
