"""``host-stub conform NAME``: try an installed image plugin against the rules of the contract."""

# ruff: noqa: PLC0415  - as in the other commands

from __future__ import annotations

import signal
from argparse import ArgumentParser, Namespace
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from host_stub.errors import ResultsNotWritten

if TYPE_CHECKING:
    from host_stub.text.console import Console


def conform(options: Namespace, console: Console) -> int:
    """Try a plugin against each requirement, and say what was seen."""
    from host_stub.cli.next_steps import after_conform
    from host_stub.conformance.runner import Asked, conform, read_known
    from host_stub.conformance.verdict import as_json, as_junit, as_lines, tally

    asked = Asked(
        name=options.name,
        case_file=options.case,
        known={} if options.known is None else read_known(options.known),
        only=tuple(options.only),
    )
    tried = 0

    def told(_result: object) -> None:
        nonlocal tried
        tried += 1
        console.progress(f"{tried} tried")

    with _ended_by_signals():
        report = conform(asked, told=told, begun=console.say)
    console.progress("")
    for result in report.results:
        console.say("\n".join(as_lines(result)))
        if console.debug and result.trace:
            console.warn(result.trace.rstrip())
    console.say(tally(report))
    if options.junit is not None:
        try:
            options.junit.write_text(as_junit(report), encoding="utf-8")
        except OSError as error:
            raise ResultsNotWritten(options.junit, error) from error
    if console.json_only:
        console.result(as_json(report), next_actions=after_conform(options.words, report.failed))
    return report.exit_code


@contextmanager
def _ended_by_signals() -> Generator[None]:
    """Leave in good order when terminated: no process that was started is left behind."""

    def leave(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    former = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("name", metavar="NAME", help="an image plugin")
    parser.add_argument(
        "--case", type=Path, metavar="FILE", help="a Python file with its case, instead of its own"
    )
    parser.add_argument(
        "--known", type=Path, metavar="FILE", help="a TOML file of deviations that are known"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="ID",
        help="only this requirement; may be repeated",
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write it as JUnit XML, too")
