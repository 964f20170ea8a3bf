"""Which story the results in a folder belong to, wherever the one or the other went.

::

    .story/<name>/place.json    who the story is, and where its results were last
    out/.story.json             whose results these are, and where that story lay last

A story is found by what the config calls its folder of results. Where no story has that name, or
another one, the two notes say what was moved, copied or swapped. What they do not say for sure is
refused: a book that is taken for new shows other pictures than those that people picked.

Commands after a run need not be told the story's scene file and its lane again. The file is noted
relative to the project's folder, where that can be done, so that a project which moves as a whole
keeps it. Where nothing is noted, it is the file that ``host-stub init`` writes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from host_stub.errors import StoryError, UsageError
from host_stub.story.book import Book
from host_stub.story.database import PLACE, STORIES, refuse_a_snapshots, refuse_other_kinds, way_out
from host_stub.story.files import Folder
from host_stub.text.file_names import file_stem

MARK: Final = ".story.json"
_MOST_BYTES: Final = 1 << 16


class _Note(NamedTuple):
    """Who a story is, and where its other half was last, as an absolute path."""

    story: str
    at: str


def story_folder(project_dir: Path, out_dir: Path) -> Path:
    """Return the folder of the story whose results lie in ``out_dir``; nothing is made.

    Args:
        project_dir: The folder of the config.
        out_dir: The folder of results; it need not be there.

    Raises:
        StoryError: It cannot be told which one that is, it may not be looked at, or its book is of
            a snapshot before the first release.
    """
    stories = project_dir / STORIES
    refuse_other_kinds(stories)
    try:
        folder = stories / _name_of_story(stories, out_dir, _names(project_dir, out_dir))
    except OSError as error:
        raise StoryError(stories, str(error.strerror), hint=way_out(stories)) from error
    refuse_a_snapshots(folder)
    return folder


def own_folder(project_dir: Path, out_dir: Path) -> Path:
    """Return the same folder, named after where the results lie now, should they have moved.

    Raises:
        StoryError: As there.
    """
    names, folder = _names(project_dir, out_dir), story_folder(project_dir, out_dir)
    if folder.name in names:
        return folder
    with suppress(OSError):  # another command has just done so, or it may not be done
        folder.rename(folder.with_name(names[0]))
    return story_folder(project_dir, out_dir)


def note_places(folder: Path, out_dir: Path, story: str) -> None:
    """Note with a story where its results lie, and with these where the story does.

    Without the notes nothing is lost until something is moved, so no disk has to take them.

    Args:
        folder: The story's own.
        out_dir: The folder of results; not made for this.
        story: Who the story is.
    """
    for there, name, other in ((folder, PLACE, out_dir), (out_dir, MARK, folder)):
        note = _Note(story, _full(other))
        if _noted(there, name) != note:
            with suppress(OSError), Folder.opened(there) as opened:
                opened.write(name, json.dumps(note._asdict()).encode("ascii"))


def _names(project_dir: Path, out_dir: Path) -> tuple[str, str]:
    """Return what a new story is called, and what one may be called that is there.

    Both are seen from the project, so that one that is moved as a whole keeps its stories. Two
    names of a folder within the project are one story. A folder elsewhere has the name that the
    config gives it, since what that leads to may change.
    """
    real = _seen(os.path.realpath(out_dir), os.path.realpath(project_dir))
    given = _seen(_full(out_dir), _full(project_dir))
    return file_stem(given if Path(real).parts[:1] == ("..",) else real), file_stem(real)


def _seen(out: str, project: str) -> str:
    try:
        return Path(os.path.relpath(out, project)).as_posix()
    except ValueError:  # Windows: another drive
        return out


def _name_of_story(stories: Path, out_dir: Path, names: tuple[str, str]) -> str:
    there = sorted(os.listdir(stories)) if stories.is_dir() else []  # noqa: PTH208 - names alone
    notes = {name: _noted(stories / name, PLACE) for name in there if "." not in name}
    mark, out = _noted(out_dir, MARK), _full(out_dir)
    named = [one for one in reversed(names) if one in notes]  # by where it really lies first
    named += [one for one, note in notes.items() if note and note.at == out]
    marked = [one for one, note in notes.items() if note and mark and note.story == mark.story]
    found = next((one for one in (*named, *marked) if not marked or one in marked), None)
    if mark is not None:
        _refuse_anothers(stories / (found or names[0]), out_dir, mark, is_known=bool(marked))
    if found is None:
        unknown = [one for one, note in notes.items() if not (note and mark)]
        _refuse_unsure(stories, out_dir, names[0], unknown)
    elif named and found not in named:
        raise StoryError(
            out_dir,
            f"its results are those of {stories / found}, and its name is that of "
            f"{stories / named[0]}",
            hint="give both folders of results their names of before; or remove "
            f"{out_dir / MARK}, to go on with what {named[0]} knows",
        )
    elif not named and _has_own_results(stories / found, notes[found], but=out_dir):
        raise StoryError(
            out_dir,
            f"its results are a copy of those of {stories / found}",
            hint=f"copy that folder to {stories / names[0]}, to go on with what was chosen there; "
            f"or remove {out_dir / MARK}, to begin anew",
        )
    return found or names[0]


def _refuse_anothers(folder: Path, out_dir: Path, mark: _Note, *, is_known: bool) -> None:
    """Refuse results that the story of another project has, as long as that is there."""
    other = Path(mark.at)
    note = None if _is_same(other.parent, folder.parent) else _noted(other, PLACE)
    # A project that was copied as a whole has results of its own.
    if not note or note.story != mark.story or (is_known and not _is_same(Path(note.at), out_dir)):
        return
    away = "away" if is_known else f"to {folder}"
    raise StoryError(
        out_dir,
        f"its results are those of another project's story, {other}",
        hint="name another folder for the results of this project (out_dir, or --out); or move "
        f"that story {away}, if the other project is not used any more",
    )


def _refuse_unsure(stories: Path, out_dir: Path, name: str, unknown: Sequence[str]) -> None:
    """Refuse results of which nobody knows whose they are, where a story has lost its own."""
    for one in unknown if _has_results(out_dir) else ():
        if not _has_own_results(stories / one, _noted(stories / one, PLACE), but=out_dir):
            raise StoryError(
                out_dir,
                f"its results may be those of {stories / one}, whose own are not there",
                hint=f"if they are, rename that folder to {name}; if not, make a folder "
                f"{stories / name}, to begin anew",
            )


def _has_own_results(folder: Path, note: _Note | None, *, but: Path) -> bool:
    """Return whether a story has results where they were last, or where its name says."""
    places = [folder.parent.parent / folder.name, *([Path(note.at)] if note else [])]
    return any(_has_results(one) and not _is_same(one, but) for one in places)


def _has_results(out_dir: Path) -> bool:
    return any((out_dir / one).is_dir() for one in ("takes", "images"))


def _noted(folder: Path, name: str) -> _Note | None:
    """Read a note; ``None`` where there is none that can be read."""
    try:
        with Folder.opened(folder) as opened, opened.reading(name) as file:
            read = json.loads(file.read(_MOST_BYTES))
        return _Note(str(read["story"]), str(read["at"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _is_same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _full(path: Path) -> str:
    return os.path.normpath(path.absolute())


FACT: Final = "scenes_path"
LANE: Final = "lane_on_the_way"
USUAL: Final = "scenes.json"
_HINT: Final = "name it: --scenes FILE"
_HINT_BEFORE: Final = f"'host-stub run FILE' notes it; or {_HINT}"


def remember_scenes(book: Book, project_dir: Path, scenes_path: Path) -> None:
    """Note which file a story is told in, unless that is noted already."""
    path = scenes_path.absolute()
    try:
        noted = os.path.relpath(path, project_dir)
    except ValueError:  # Windows: another drive
        noted = str(path)
    if book.fact(FACT) != noted:
        book.set_fact(FACT, noted)


def remembered_scenes(book: Book, project_dir: Path) -> Path:
    """Return the scene file of a story.

    Raises:
        UsageError: None is noted, or it is not there any more.
    """
    noted = book.fact(FACT)
    if noted is None:
        if (project_dir / USUAL).is_file():
            return project_dir / USUAL
        raise UsageError("no run has noted a scene file for this out folder yet", hint=_HINT_BEFORE)
    path = Path(os.path.normpath(project_dir / noted))
    if not path.is_file():
        raise UsageError(f"the scene file of this out folder is gone: {path}", hint=_HINT)
    return path


def remember_lane(book: Book, lane: str | None, story: Mapping[str, int | None] | None) -> None:
    """Note by which lane a run bought what is on the way, until nothing is.

    Args:
        book: Where that is noted.
        lane: What the run was told; ``None`` for the settings' own.
        story: How many scenes stand how behind the run; where that is not known, nothing changes.
    """
    pending = None if story is None else story["pending"]
    if pending and lane == "batch":
        book.set_fact(LANE, lane)
    elif pending == 0 and book.fact(LANE):
        book.set_fact(LANE, "")


def is_on_the_way_by_batch(book: Book) -> bool:
    """Return whether a run was told to go by batches, and left something on the way."""
    return book.fact(LANE) == "batch"
