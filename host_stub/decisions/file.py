"""How decisions are read from files and folders.

A file is written by a page that somebody had open, sent around, or written by hand; it may hold
anything. It is read whole before anything is done about it, and one that is not a decisions file
in every part is refused as a whole, by the place of what is wrong. Nothing is spent before that.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, cast

from host_stub.decisions.decision import Decision, Origin
from host_stub.decisions.fields import Misfit, decision_from, named, text
from host_stub.errors import DecisionsError, Problem, closest
from host_stub.scenes.strict_json import JsonFault, parse
from host_stub.scenes.values import kind

FORMAT: Final = "stage3-decisions/1"
MOST_BYTES: Final = 32 * 1024 * 1024
"""Of one file: a hundred thousand decisions with three takes each have no more."""
MOST_FILES: Final = 1_000
"""Of one folder."""
MOST_PROBLEMS: Final = 20

MOST_DECISIONS: Final = 200_000
"""In one file."""

_LONGEST_NAME: Final = 1_000
KEYS: Final = ("format", "story", "reviewer", "decisions")
_CORRECT: Final = "correct the file, or save it anew from the page; nothing was spent"
_FORM: Final = (
    f'write {{"format": "{FORMAT}", "decisions": [{{"scene": "scene_001", "takes": 2}}]}}; '
    "docs/decisions.md has every field"
)


def read_decisions(paths: Iterable[Path]) -> Iterator[Decision]:
    """Read decisions file by file, in the order given; a folder's files in that of their names.

    Args:
        paths: Files, and folders whose ``*.json`` are read.

    Raises:
        DecisionsError: One of them cannot be read, or is not what it should be. Every problem of
            the file is named, up to 20.
    """
    for path in paths:
        for file in _files(path):
            yield from _read(file)


def _files(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        found = sorted(
            entry
            for entry in path.iterdir()
            if entry.suffix.lower() == ".json" and not entry.name.startswith(".")
        )
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if not found:
        raise DecisionsError(
            path,
            [Problem("", "holds no *.json")],
            hint="name the folder that the page's files were saved to",
        )
    if len(found) > MOST_FILES:
        raise DecisionsError(
            path,
            [Problem("", f"expected at most {MOST_FILES:,} files, found {len(found):,}")],
            hint="leave the newest file of every reviewer there, and move the others away",
        )
    return found


def _read(path: Path) -> Iterator[Decision]:
    data = _bytes_of(path)
    try:
        document = parse(data)
    except JsonFault as fault:
        where = f"line {fault.line}, column {fault.column}"
        raise DecisionsError(
            path, [Problem(where, fault.problem)], hint=fault.hint or _CORRECT
        ) from None
    del data
    reviewer, entries = _opened(path, document)
    problems: list[Problem] = []
    decisions: list[Decision] = []
    for index, entry in enumerate(entries):
        made = decision_from(entry, Origin(path, index, reviewer))
        if isinstance(made, Decision):
            decisions.append(made)
            continue
        problems += [
            Problem(f"decisions[{index}].{one.where}".removesuffix("."), one.what) for one in made
        ]
        if len(problems) >= MOST_PROBLEMS:
            break
    if problems:
        raise DecisionsError(path, problems[:MOST_PROBLEMS], hint=_CORRECT)
    yield from decisions


def _bytes_of(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DecisionsError(
                path, [Problem("", "expected a file")], hint="name a file, or a folder of files"
            )
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if len(data) > MOST_BYTES:
        raise DecisionsError(
            path,
            [Problem("", f"expected at most {MOST_BYTES // 1024 // 1024} MiB")],
            hint="this is hardly a decisions file; if it is one, split it by scenes",
        )
    if not data.strip(b"\xef\xbb\xbf \t\r\n"):
        raise DecisionsError(path, [Problem("", "is empty")], hint=_FORM)
    return data


def _unreadable(path: Path, error: OSError | ValueError) -> DecisionsError:
    if isinstance(error, FileNotFoundError):
        return DecisionsError(
            path,
            [Problem("", "there is no such file or folder")],
            hint="'host-stub review' writes the page on which decisions are made and saved",
        )
    said = error.strerror if isinstance(error, OSError) else None
    problem = f"cannot be read: {said or type(error).__name__}"
    return DecisionsError(path, [Problem("", problem)], hint="check the path and its permissions")


def _opened(path: Path, document: object) -> tuple[str | None, list[object]]:
    """Return who decided, and the entries of the list."""
    if not isinstance(document, dict):
        problem = Problem(
            "", f"expected an object with format and decisions, found {kind(document)}"
        )
        raise DecisionsError(path, [problem], hint=_FORM)
    said = cast("dict[str, Any]", document)
    if said.get("format") != FORMAT:
        raise _another_format(path, said)
    problems = [Problem(named(key), _unknown_key(key)) for key in said if key not in KEYS]
    for key in ("story", "reviewer"):
        try:
            if said.get(key) is not None:
                text(key, said[key], longest=_LONGEST_NAME)
        except Misfit as misfit:
            problems.append(misfit.problem)
    entries = said.get("decisions")
    if not isinstance(entries, list):
        found = "missing" if "decisions" not in said else f"found {kind(entries)}"
        problems.append(Problem("decisions", f"expected a list, {found}"))
    elif len(cast("list[object]", entries)) > MOST_DECISIONS:
        problems.append(Problem("decisions", f"expected at most {MOST_DECISIONS:,}"))
    if problems:
        raise DecisionsError(path, problems[:MOST_PROBLEMS], hint=_CORRECT)
    return said.get("reviewer") or None, cast("list[object]", entries)


def _another_format(path: Path, said: dict[str, Any]) -> DecisionsError:
    if "format" not in said:
        problem = f"missing; expected {FORMAT!r}"
    elif isinstance(said["format"], str):
        problem = f"expected {FORMAT!r}, found {named(said['format'])!r}"
    else:
        problem = f"expected {FORMAT!r}, found {kind(said['format'])}"
    is_newer = str(said.get("format")).startswith(FORMAT.partition("/")[0])
    hint = "upgrade: a newer version wrote it" if is_newer else _FORM
    return DecisionsError(path, [Problem("format", problem)], hint=hint)


def _unknown_key(key: str) -> str:
    near = closest(key[:40], KEYS)
    return f"is not known; did you mean {near!r}?" if near else "is not known"
