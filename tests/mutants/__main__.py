"""Break the code as the table says, and see that the net notices: ``python -m tests.mutants NAME``.

Without a name all are tried, and first the tests of all on the code as it is (``whole``). The
packages and the tests are copied, one text is replaced in the copy, and its tests of the net are
run against it; the checkout stays as it is. No lane runs this: each takes as long as its tests.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("stage3_plugin", "host_stub", "tests", "docs", "pyproject.toml", "README.md")
GREEN, NOTICED, NO_TESTS = 0, 1, 5
WHOLE = "whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One rule that is taken away.

    Attributes:
        rule: Which one, and how it is broken.
        file: The module.
        old: Its text, which stands there once.
        new: What comes in its place.
        also: A second text that goes with it, where two places hold the rule: its ``file``, ``old``
            and ``new``.
        tests: Of the net, below ``tests``.
        none: Why there is no such code, where there is none.
    """

    rule: str
    file: str = ""
    old: str = ""
    new: str = ""
    also: Mapping[str, str] | None = None
    tests: tuple[str, ...] = ()
    none: str = ""

    @property
    def changes(self) -> tuple[tuple[str, str, str], ...]:
        """Return what is put in place of what, and in which file."""
        first = ((self.file, self.old, self.new),) if self.file else ()
        also = (
            () if self.also is None else ((self.also["file"], self.also["old"], self.also["new"]),)
        )
        return first + also


def mutants() -> Mapping[str, Mutant]:
    """Read the table beside this file."""
    table = tomllib.loads(Path(__file__).with_name("table.toml").read_text(encoding="utf-8"))
    found = {name: Mutant(**row | _tests_of(row)) for name, row in table.items()}
    tests = dict.fromkeys(one for mutant in found.values() for one in mutant.tests)
    return {WHOLE: Mutant(rule="nothing is broken", tests=tuple(tests)), **found}


def _tests_of(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"tests": tuple(row.get("tests", ()))}


def broken_copy(mutant: Mutant, folder: Path) -> None:
    """Copy the checkout into a folder, and break it there."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, folder / name)
    for file, old, new in mutant.changes:
        path = folder / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{file} has not this text once: {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")


def try_one(mutant: Mutant, tests: Sequence[str], options: Sequence[str]) -> tuple[int, str]:
    """Run tests of the net against a broken copy; return pytest's exit code, and what failed."""
    with TemporaryDirectory(prefix="stage3-mutant-") as folder:
        broken_copy(mutant, Path(folder))
        words = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "-m",
            "promise",
        ]
        words += ["--one-loop", "--in-memory", "--hypothesis-profile", "short", *options]
        done = subprocess.run(
            [*words, *(f"tests/{one}" for one in tests)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": folder, "PYTHONSAFEPATH": "1"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return done.returncode, (failed or done.stdout.splitlines()[-1:] or [done.stderr])[0]


def main() -> int:
    """Try mutants, and tell of each; return 0 if every one turns its tests red."""
    known = mutants()
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(known)}")
    parser.add_argument("--tests", help="try these instead of those that the table names")
    parser.add_argument("--pytest", default="", help="more options for pytest, such as '-n 2'")
    asked = parser.parse_args()
    missed = 0
    for name in asked.names or known:
        mutant = known[name]
        if mutant.none:
            print(f"{name}: {mutant.rule}: not tried: {mutant.none}", flush=True)
            continue
        began = time.monotonic()
        tests = asked.tests.split() if asked.tests else mutant.tests
        code, said = try_one(mutant, tests, asked.pytest.split())
        missed += code != (GREEN if name == WHOLE else NOTICED)
        how = {GREEN: "green", NOTICED: "red", NO_TESTS: "NOT RUN"}.get(code, f"code {code}")
        took = time.monotonic() - began
        print(f"{name}: {mutant.rule}: {how} in {took:.0f} s: {said[:200]}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
