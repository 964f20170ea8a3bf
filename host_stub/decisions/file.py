"""How decisions are read from files and folders.

A file is written by a page that somebody had open, sent around, or written by hand; it may hold
anything. It is read whole before anything is done about it, and one that is not a decisions file
in every part is refused as a whole, by the place of what is wrong. Nothing is spent before that.

What cannot be read as a decision at all is a problem of the file. What can be read and cannot be
obeyed (a scene that is not there, more takes than can be wanted) is refused for that one scene, by
:mod:`host_stub.decisions.judge`.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from host_stub.decisions.merge import Decision, Origin
from host_stub.errors import DecisionsError, Problem, closest
from host_stub.scenes.fields import MAX_ID_BYTES
from host_stub.scenes.strict_json import JsonFault, is_half_a_pair, kind, parse
from host_stub.text.escape import escaped

FIELDS: Final = ("scene", "seen", "show", "reject", "takes", "prompt", "note", "at")
MOST_HASHES: Final = 1_000
"""Takes that one decision can name; a scene has far fewer."""
LONGEST_NOTE: Final = 20_000
LONGEST_PROMPT: Final = 200_000
"""Characters; ten times what the longest provider takes."""

_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII | re.IGNORECASE)
_MOST_SHOWN: Final = 40


class Misfit(Exception):
    """A value that does not fit its field.

    Attributes:
        problem: Which field, and what was expected there.
    """

    def __init__(self, where: str, what: str) -> None:
        self.problem = Problem(where, what)
        super().__init__(what)


def decision_from(entry: object, origin: Origin) -> Decision | list[Problem]:
    """Make a decision of one entry, or return everything that is wrong with it.

    A field that is ``null`` counts as absent; one that is not known is refused, since the wish it
    holds would be passed over in silence.
    """
    if not isinstance(entry, dict):
        return [Problem("", f"expected an object with scene, found {kind(entry)}")]
    said = cast("dict[str, Any]", entry)
    problems = [Problem(named(name), _unknown(name)) for name in said if name not in FIELDS]
    if said.get("scene") is None:
        problems.append(Problem("scene", "missing; expected the id of a scene"))
    fields: dict[str, Any] = {}
    for name, read in _READERS.items():
        try:
            if said.get(name) is not None:
                fields[name] = read(name, said[name])
        except Misfit as misfit:
            problems.append(misfit.problem)
    if problems:
        return problems
    scene_id = fields.pop("scene")
    return Decision(scene_id=scene_id, origin=origin, **fields)


def named(field: str) -> str:
    """Return a field's name as a message shows it; a file may have called it anything."""
    return escaped(field, limit=_MOST_SHOWN)


def text(where: str, value: object, *, longest: int) -> str:
    """Return a value that is text.

    Raises:
        Misfit: It is none, or too much of it.
    """
    if not isinstance(value, str):
        raise Misfit(where, f"expected a string, found {kind(value)}")
    if len(value) > longest:
        raise Misfit(where, f"expected at most {longest:,} characters, found {len(value):,}")
    if is_half_a_pair(value):
        raise Misfit(where, "holds half of a surrogate pair, which is no text")
    return value


def _unknown(name: str) -> str:
    near = closest(name[:_MOST_SHOWN], FIELDS)
    guess = f"; did you mean {near!r}?" if near else f"; there are {', '.join(FIELDS)}"
    return f"is not known{guess}"


def _scene(where: str, value: object) -> str:
    if value == "":
        raise Misfit(where, "expected the id of a scene, found an empty string")
    return text(where, value, longest=MAX_ID_BYTES)


def _sha256(where: str, value: object) -> str:
    match = _SHA256.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        found = "another string" if isinstance(value, str) and value else kind(value)
        raise Misfit(where, f"expected a sha256 of 64 hex digits, found {found}")
    return match[1].lower()


def _hashes(where: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise Misfit(where, f"expected a list of sha256, found {kind(value)}")
    items = cast("list[object]", value)
    if len(items) > MOST_HASHES:
        raise Misfit(where, f"expected at most {MOST_HASHES:,} takes, found {len(items):,}")
    found = (_sha256(f"{where}[{index}]", item) for index, item in enumerate(items))
    return tuple(dict.fromkeys(found))


def _takes(where: str, value: object) -> int:
    if type(value) is not int:
        raise Misfit(where, f"expected a whole number of at least 1, found {kind(value)}")
    if value < 1:
        raise Misfit(where, "expected a whole number of at least 1")
    return value


def _prompt(where: str, value: object) -> str:
    prompt = text(where, value, longest=LONGEST_PROMPT)
    if not prompt.strip():
        raise Misfit(where, "expected words, found none; leave it out to keep the scene's own")
    return prompt


def _note(where: str, value: object) -> str:
    return text(where, value, longest=LONGEST_NOTE)


def _at(where: str, value: object) -> datetime:
    at = _moment(value) if isinstance(value, str) else None
    if at is None:
        raise Misfit(where, "expected a time with its zone, such as 2026-11-25T14:02:11Z")
    return at


def _moment(value: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(value)
        return None if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


_READERS: Final[Mapping[str, Any]] = {
    "scene": _scene,
    "seen": _hashes,
    "show": _sha256,
    "reject": _hashes,
    "takes": _takes,
    "prompt": _prompt,
    "note": _note,
    "at": _at,
}


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
    "docs/takes.md has every field"
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
            hint="look in your browser's downloads folder: the review page saves the file there",
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
