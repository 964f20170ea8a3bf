"""Run every benchmark beside its plain peers, and write one table of what came out.

``python tests/benchmarks`` or ``tox -e bench``: it takes the better part of an hour, mostly spent
waiting, and tells how far it is. ``--quick`` only sees that everything runs. ``--only WORD`` runs
the benchmarks whose name contains the word, more than once if wanted; beside a table of the same
machine in the same folder, they take the places of their earlier figures. ``TMPDIR`` says on which
disk they work.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import redirect_stdout
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
if not __package__:  # it is run by its folder, whose modules have no other name than this package's
    sys.path[:] = [str(ROOT), *(path for path in sys.path if Path(path).resolve() != HERE)]

from tests.benchmarks.engines import lacking  # noqa: E402 - only now is it found
from tests.benchmarks.machine import load, machine, versions  # noqa: E402 - likewise
from tests.benchmarks.table import MARKDOWN_NAME, Row, Section, Table  # noqa: E402 - likewise

SUITE = {
    "command": "what the whole command costs a user, beside a plain client: CPU, memory, disk",
    "calls": "how many calls of our functions one scene more costs",
    "scale_stories": "a million scenes through a plan: time for each, and memory",
    "scale_ledgers": "what grows with a ledger: opening, one claim, plan, attempts, size",
    "scale_drivers": "one, two and four drivers on one ledger of PostgreSQL, and its purchases",
    "scale_replicas": "one to four replicas of a model, as processes and on Ray; 20,000 renders",
    "simulated_hour": "an hour before a provider that hides its limit, in virtual time",
    "simulated_runs": "short runs, chance, outages and clocks that jump, in virtual time",
    "hidden_limits": "480 scenes before a provider that hides its limit, over real sockets",
}
"""Each a module beside this one, with what it asks."""


class Benchmark(Protocol):
    """What a module of the suite has."""

    def measure(self, *, quick: bool) -> list[dict[str, Any]]: ...


def run(name: str, *, quick: bool) -> Section:
    """Run one benchmark; what it raises becomes a line of the table, so that the others go on."""
    began, clock_s, busy = datetime.now(UTC), time.perf_counter(), load()
    rows: tuple[Row, ...] = ()
    failed = None
    lacking.clear()
    try:
        benchmark = cast("Benchmark", import_module(f"tests.benchmarks.{name}"))
        with redirect_stdout(sys.stderr):
            rows = tuple(map(Row.of, benchmark.measure(quick=quick)))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - reported, in the exit code too
        failed = f"{type(error).__name__}: {error}".splitlines()[0]
    return Section(
        name=name,
        about=SUITE[name],
        began=f"{began:%Y-%m-%d %H:%M}",
        took_s=round(time.perf_counter() - clock_s, 1),
        load=busy,
        rows=rows,
        failed=failed,
        skipped="; ".join(lacking) or None,
    )


def run_all(names: list[str], *, quick: bool, command: str) -> Table:
    """Run benchmarks one after the other, and show how far they are."""
    sections: list[Section] = []
    for number, name in enumerate(names, start=1):
        print(f"[{number}/{len(names)}] {name}: {SUITE[name]} …", file=sys.stderr, flush=True)
        section = run(name, quick=quick)
        sections.append(section)
        end = f"could not run: {section.failed}" if section.failed else "done"
        end += f", without what this system lacks: {section.skipped}" if section.skipped else ""
        print(f"    {end}, {section.took_s:.0f} s", file=sys.stderr, flush=True)
    return Table(
        is_quick=quick,
        command=command,
        machine=machine(),
        versions=versions(),
        sections=tuple(sections),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for, write the table and print it; 1 if a benchmark could not run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it runs")
    parser.add_argument("--only", action="append", metavar="WORD", help="some of the benchmarks")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the two files go")
    options = parser.parse_args(arguments)
    words: list[str] = options.only or [""]
    names = [name for name in SUITE if any(word in name for word in words)]
    if not names:
        parser.error(f"no benchmark is called so; there are {', '.join(SUITE)}")
    # The benchmarks start processes that import from the checkout, as this one does.
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([inherited] if inherited else [])])
    out: Path | None = options.out and options.out.resolve()
    os.chdir(ROOT)
    command = "python tests/benchmarks" + (" --quick" if options.quick else "")
    table = run_all(names, quick=options.quick, command=command)
    if out is not None:
        earlier = Table.read(out)
        if options.only and earlier is not None:
            table = table.beside(earlier, SUITE)
        table.write(out)
        print(f"written to {out / MARKDOWN_NAME}", file=sys.stderr)
    print(table.markdown())
    if not options.quick:  # which says nothing of the figures
        print(f"{len(table.missed)} figures miss what was wanted", file=sys.stderr)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
