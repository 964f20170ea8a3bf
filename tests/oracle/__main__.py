"""Ask two builds the same: what an earlier commit made of some 3,000 answers, the checkout has to.

``python -m tests.oracle``, from the top of the checkout: each answer goes through the build of a
commit and through the checkout, or another commit, by the public names, in a project of its own.
Verdict, cost, picture, bills and what the ledger says in the end are compared. It ends with 1 if
they differ and that does not stand in ``given_up.toml``. It needs a system that forks, and minutes
of two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.fakes.image_api import KEY
from tests.oracle import answers, faults, jobs
from tests.oracle.builds import (
    REFERENCE,
    ROOT,
    Build,
    BuildFailed,
    cache_folder,
    python_of,
)
from tests.oracle.cases import ROUTES, Case
from tests.oracle.comparing import Difference, GivenUp, seen_in, table_of

WAITING_AT_ONCE = 16
"""Cases that wait for a timer, not for the processor."""
_MEMORY = Path("/dev/shm")


def corpus() -> list[Case]:
    """Return all cases; those that wait come first."""
    found = [*jobs.cases(), *faults.cases(), *answers.cases()]
    names = [case.name for case in found]
    assert len(set(names)) == len(names), "two cases have one name"
    return sorted(found, key=lambda case: not case.waits)


def tried(case: Case, build: Build, folder: Path) -> dict[str, Any]:
    """Have a build meet a case, and return what it and the server's books say of it."""
    sides: dict[str, Any] = {}
    try:
        with case.route.server() as api:
            case.prepare(api)
            found = build.tried(case.order(api), folder)
            buying = [one for one in api.entries if one.asked.method == "POST"]
            sides["asked to buy"] = len(buying)
            sides["billed"] = sum(one.is_billed for one in buying) + api.batches.billed()
    except ExceptionGroup as error:
        return {"broke": f"the server itself, for the {build.name}: {error.exceptions[0]!r}"}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found if "broke" in found else found | {"server": sides}


class Comparison:
    """The builds at work on the corpus.

    Attributes:
        differences: Those that were found so far.
        ends: How often the first run of the reference ended how.
    """

    def __init__(self, builds: Sequence[Build], folder: Path, given_up: GivenUp) -> None:
        self.differences: list[Difference] = []
        self.ends: Counter[str] = Counter()
        self._builds = builds
        self._folder = folder
        self._given_up = given_up

    def both(self, case: Case, number: int) -> list[dict[str, Any]]:
        """Return what both builds make of a case."""
        return [
            tried(case, build, self._folder / f"{build.name}-{number}") for build in self._builds
        ]

    def run(self, cases: Sequence[Case]) -> None:
        """Compare all cases, and say how far it is."""
        at_once = 2 * (os.cpu_count() or 1)  # a process that comes and goes waits a little, too
        with ThreadPoolExecutor(at_once) as busy, ThreadPoolExecutor(WAITING_AT_ONCE) as waiting:
            going: dict[Future[list[dict[str, Any]]], Case] = {
                (waiting if case.waits else busy).submit(self.both, case, number): case
                for number, case in enumerate(cases)
            }
            try:
                for done, future in enumerate(as_completed(going), 1):
                    self._compare(going[future], future.result())
                    if done % 100 == 0 or done == len(cases):
                        left = f"{done} of {len(cases)}, {len(self.differences)} differ"
                        print(left, file=sys.stderr, flush=True)
            except BaseException:
                busy.shutdown(wait=False, cancel_futures=True)
                waiting.shutdown(wait=False, cancel_futures=True)
                raise

    def _compare(self, case: Case, found: Sequence[dict[str, Any]]) -> None:
        reference, candidate = (seen_in(case, one, KEY) for one in found)
        if reference.get("broke", "").startswith("the server itself"):
            candidate = {}  # it has shown nothing
        first = (reference.get(f"run 1 {word}", "null") for word in ("raised", "code"))
        self.ends[next((word for word in first if word != "null"), "made")] += 1
        difference = self._given_up.compared(case.name, reference, candidate)
        if difference is not None:
            self.differences.append(difference)
            print(f"{case.name}: {', '.join(difference.fields)}", file=sys.stderr, flush=True)


def main() -> int:
    """Compare, report, and return the exit code."""
    chosen = _parser().parse_args()
    began = time.monotonic()
    only = chosen.only or "*"
    wanted = [case for case in corpus() if case.name == only or fnmatchcase(case.name, only)]
    if chosen.list or not wanted:
        print("\n".join(case.name for case in wanted) or f"no case is called {chosen.only!r}")
        return 0 if wanted else 2
    try:
        python = python_of(chosen.reference, chosen.at)
        candidate, within = Path(sys.executable), ROOT
        if chosen.candidate is not None:
            candidate = python_of(chosen.candidate, chosen.at)
            within = candidate.parents[1]
        with ExitStack() as stack:
            base = _MEMORY if _MEMORY.is_dir() else None
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=base)))
            builds = [
                Build("reference", python, folder / "reference", within=python.parents[1]),
                Build("candidate", candidate, folder / "candidate", within=within),
            ]
            given_up = GivenUp()
            comparison = Comparison(builds, folder, given_up)
            for build in builds:
                stack.enter_context(build)
            for route in ROUTES.values():
                api = stack.enter_context(route.server())
                first = Case(name=f"first {route.name}", route=route, prepare=lambda _: None)
                for build in builds:
                    build.begin(first.order(api), folder / f"{build.name} {first.name}")
            if len(wanted) == 1:
                return _show(wanted[0], comparison.both(wanted[0], 0), given_up)
            comparison.run(wanted)
    except BuildFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    known = [one for one in comparison.differences if one.reason is not None]
    news = [one for one in comparison.differences if one.reason is None]
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    report: dict[str, Any] = {
        "reference": chosen.reference,
        "candidate": chosen.candidate,
        "cases": len(wanted),
        "took_s": int(time.monotonic() - began),
        "cpu_s": int(sum(one.ru_utime + one.ru_stime for one in used)),
        "ends": comparison.ends,
        "unused": [] if chosen.only else sorted(given_up.unused),
        "differences": [vars(one) for one in (*news, *known)],
    }
    print(json.dumps(report) if chosen.json else _text(report, news, known))
    return 1 if news else 0


def _text(report: dict[str, Any], news: Sequence[Difference], known: Sequence[Difference]) -> str:
    counts = f"{report['cases']} cases, {len(news)} differ, {len(known)} are given up"
    lines = [f"{counts}; {report['took_s']} s, {report['cpu_s']} s of CPU"]
    lines += [f"nothing differs any more by {pattern!r}" for pattern in report["unused"]]
    if news:
        look = f"look at one: python -m tests.oracle --only '{news[0].case}'"
        lines = [table_of(news), look, *lines]
    return "\n".join(lines)


def _show(case: Case, found: Sequence[dict[str, Any]], given_up: GivenUp) -> int:
    """Show one case in full, and what differs."""
    for name, one in zip(("reference", "candidate"), found, strict=True):
        print(f"{name}: {json.dumps(one, indent=1)}")
    reference, candidate = (seen_in(case, one, KEY) for one in found)
    difference = given_up.compared(case.name, reference, candidate)
    if difference is None:
        return 0
    for name, (before, now) in difference.fields.items():
        print(f"{case.name} {name}: {before} -> {now}")
    return 1 if difference.reason is None else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument(
        "--reference", default=REFERENCE, metavar="COMMIT", help="what is right (%(default)s)"
    )
    parser.add_argument(
        "--candidate", metavar="COMMIT", help="what is compared with it (the checkout as it is)"
    )
    parser.add_argument(
        "--at", type=Path, default=cache_folder(), metavar="DIR",
        help="where the environments of commits are kept (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--only", metavar="NAME", help="this case, or those of a shell's pattern")
    parser.add_argument("--list", action="store_true", help="name the cases, and compare nothing")
    parser.add_argument("--json", action="store_true", help="report as one JSON object")
    return parser


if __name__ == "__main__":
    sys.exit(main())
