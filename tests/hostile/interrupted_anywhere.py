"""Runs the command again and again in one process, interrupted twice at one function after another.

Called as a program: the backend, and how many functions to pass over between two. Prints, as JSON,
how often each exit code came, and what was said where it was neither 0 nor 130.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import anyio

from host_stub.cli import parser
from host_stub.run import pipeline, signals

STORY = [{"scene_id": "s", "prompt": "a harbour", "width": 8, "height": 8}]
CLOSING = 90
"""So many functions, the last ones, close the loop: none of them is passed over."""
WORDS = ["run", "scenes.json", "--image", "plain"]


class Traced:
    """Runs the loop, and interrupts at the given step."""

    def __init__(self) -> None:
        self.calls: list[CodeType] = []
        self.at: set[int] = set()
        self._run = anyio.run

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.calls = []
        sys.settrace(self._note)
        try:
            return self._run(*arguments, **options)
        finally:
            sys.settrace(None)

    def _note(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            self.calls.append(frame.f_code)
            if len(self.calls) in self.at:
                os.kill(os.getpid(), signal.SIGINT)


def command() -> tuple[object, str]:
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            return parser.main(WORDS), said.getvalue()
        except BaseException as error:  # noqa: BLE001 - what comes out is what is asked for
            return type(error).__name__, said.getvalue()


def _goes_on(_receiver: signals.Receiver) -> None:
    pass


def main() -> None:
    backend, step = sys.argv[1], int(sys.argv[2])
    Path("scenes.json").write_text(json.dumps(STORY), encoding="utf-8")
    traced = Traced()
    setattr(anyio, "run", traced)  # noqa: B010 - an object is no function to a checker
    run = functools.partial(pipeline.run_pipeline, backend=backend)
    setattr(pipeline, "run_pipeline", run)  # noqa: B010 - a partial is no function to a checker
    # Two more signals while the loop is closed end the process, which goes on here.
    setattr(signals.Receiver, "run_is_over", _goes_on)  # noqa: B010 - likewise
    command()
    command()
    last = {code: number for number, code in enumerate(traced.calls, start=1)}
    codes: Counter[str] = Counter()
    odd: list[str] = []
    numbers = sorted(last.values())
    for number in (*numbers[:-CLOSING:step], *numbers[-CLOSING:]):
        for second in (1, 3):
            traced.at = {number, number + second}
            code, said = command()
            codes[str(code)] += 1
            if code not in {0, 130}:
                odd.append(f"{code} at {number}: {said}")
    print(json.dumps({"codes": codes, "odd": odd}))


if __name__ == "__main__":
    main()
