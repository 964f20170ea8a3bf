"""CSV, as people and spreadsheets write it: a header, and a scene a row.

The delimiter is the one with which the header has a column for the prompt: a comma, a semicolon (as
spreadsheets write in half of Europe), a tab or a bar. Other columns stay with the scene, unread.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from host_stub.errors import Problem
from host_stub.scenes.importing.story import (
    Entry,
    NotAStory,
    Origin,
    Read,
    field_named,
    listed,
    numbered,
    refuse_too_many,
    value_of,
)

DELIMITERS: Final = (",", ";", "\t", "|")
_MOST_COLUMNS: Final = 200
_CORRECT: Final = "correct the table, or save it anew as CSV with the encoding UTF-8"


@dataclass(frozen=True, slots=True)
class _Header:
    names: tuple[str, ...]
    fields: tuple[str | None, ...]

    @property
    def has_prompt(self) -> bool:
        return "prompt" in self.fields


def is_table(text: str) -> bool:
    """Return whether the first line is a header with a column for the prompt."""
    return _delimiter_of(text) is not None


def read_table(text: str) -> Read:
    """Read a table; a row without a name is named by its place.

    Raises:
        NotAStory: The header has no column for the prompt, two for one field, or a row cannot be
            read.
    """
    delimiter = _delimiter_of(text)
    if delimiter is None:
        raise NotAStory(
            Problem("line 1", "expected a header with a column prompt"),
            hint="give the columns names, such as id,prompt,style_tags,characters",
        )
    rows = _rows(text, delimiter)
    header = _header(next(rows)[1])
    _refuse_twice(header)
    entries: list[Entry] = []
    origins: list[Origin] = []
    unnamed = 0
    names = {ours: said for said, ours in zip(header.names, header.fields, strict=True) if ours}
    for line, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        entry = _entry(header, cells, line)
        if "scene_id" not in entry:
            unnamed += 1
            entry = {"scene_id": numbered(len(entries) + 1), **entry}
        entries.append(entry)
        origins.append(Origin(where=f"line {line}", names=names))
        refuse_too_many(len(entries))
    kept = [name for name, ours in zip(header.names, header.fields, strict=True) if not ours]
    notes: list[str] = []
    if any(kept):
        kept = [name for name in kept if name]
        notes.append(f"kept with the scenes, and not sent to anybody: {_columns(kept)}")
    if unnamed:
        notes.append(
            f"{unnamed} of {len(entries)} rows have no id and are named by their place: a row put "
            "in between renames those behind it, so give them ids before pictures are paid for"
        )
    return Read(kind="a table", entries=tuple(entries), origins=tuple(origins), notes=tuple(notes))


def _columns(names: list[str]) -> str:
    return f"column{'' if len(names) == 1 else 's'} {listed(names)}"


def _delimiter_of(text: str) -> str | None:
    first = next((line for line in io.StringIO(text[:65_536]) if line.strip()), "")
    best: tuple[int, str] | None = None
    for delimiter in DELIMITERS:
        try:
            cells = next(csv.reader([first], delimiter=delimiter))
        except (csv.Error, StopIteration):
            continue
        if _header(cells).has_prompt and (best is None or len(cells) > best[0]):
            best = len(cells), delimiter
    return None if best is None else best[1]


def _header(cells: list[str]) -> _Header:
    names = tuple(cell.strip().lstrip("\ufeff") for cell in cells)
    return _Header(names, tuple(field_named(name) for name in names))


def _refuse_twice(header: _Header) -> None:
    if len(header.names) > _MOST_COLUMNS:
        raise NotAStory(
            Problem("line 1", f"expected at most {_MOST_COLUMNS} columns"), hint=_CORRECT
        )
    seen: dict[str, str] = {}
    for name, ours in zip(header.names, header.fields, strict=True):
        key = ours or name
        if key and key in seen:
            raise NotAStory(
                Problem(
                    "line 1", f"column {name[:60]!r} says the same as column {seen[key][:60]!r}"
                ),
                hint="keep one of them, or give the other a name of its own",
            )
        seen[key] = name


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line on which each row begins, and its cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise NotAStory(Problem(f"line {begins}", _said(error)), hint=_CORRECT) from None
        if cells:
            yield begins, cells
        begins = reader.line_num + 1


def _said(error: csv.Error) -> str:
    words = str(error)
    if "field limit" in words:
        return "expected at most 131,072 characters in one cell"
    if "unexpected end" in words:
        return "a quotation mark is opened here and never closed"
    return "expected a delimiter or the end of the line behind a closing quotation mark"


def _entry(header: _Header, cells: list[str], line: int) -> Entry:
    if any(cell.strip() for cell in cells[len(header.names) :]):
        raise NotAStory(
            Problem(f"line {line}", f"expected {len(header.names)} cells, found {len(cells)}"),
            hint="put a cell with the delimiter in it in quotation marks",
        )
    entry: Entry = {}
    for name, ours, cell in zip(header.names, header.fields, cells, strict=False):
        if cell.strip() and (ours or name):
            entry[ours or name] = value_of(ours, cell) if ours else cell.strip()
    return entry
