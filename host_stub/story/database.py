"""The book's file: opened, made durable and current, and written to in transactions.

What is written in a transaction is durable once its end has returned, or was never there. Reads go
through a connection of their own, so that an event loop that asks what is wanted does not wait for
a disk that is just taking what another thread writes. Apart from the book, which knows what is
written.

The book, and the bytes that nobody else keeps, lie outside of what may be deleted::

    .story/<out folder>/       beside the config, one folder for each folder of results
        story.db               takes, what is shown, what is wanted
        objects/<sha256>       bytes of imports, and of takes whose plugin cannot give them back
        place.json             which story this is, see ``finding.py``

Texts that a person, a file or a plugin brought are kept as JSON strings in ASCII: they may hold
halves of characters and zeros, which SQLite has no text for. What the host itself says (states,
digests, times) is plain text. Takes and pointers are only ever added, and numbers never given out
again.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock, get_ident
from typing import Any, Final

from host_stub import sqlite
from host_stub.errors import StoryError

APPLICATION_ID: Final = 0x53746F72
"""``Stor``."""

VERSION: Final = 3
"""Of these tables. Those with smaller numbers were made by snapshots before the first release, and
are refused."""

SCHEMA: Final = (
    """
    CREATE TABLE takes (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        scene TEXT NOT NULL,
        number INTEGER NOT NULL CHECK (number >= 1),
        role TEXT NOT NULL CHECK (role IN ('scene', 'sheet')),
        sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
        media_type TEXT NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        plugin TEXT,
        purchase TEXT,
        basis TEXT,
        provider TEXT,
        model TEXT,
        cost_usd TEXT,
        cost_basis TEXT NOT NULL,
        is_draft INTEGER NOT NULL DEFAULT 0 CHECK (is_draft IN (0, 1)),
        is_import INTEGER NOT NULL DEFAULT 0 CHECK (is_import IN (0, 1)),
        is_rejected INTEGER NOT NULL DEFAULT 0 CHECK (is_rejected IN (0, 1)),
        made_at TEXT NOT NULL,
        run_id TEXT,
        row TEXT NOT NULL,
        UNIQUE (scene, number)
    ) STRICT
    """,
    # A take by its purchase; NULLs are all different to SQLite, hence the empty texts.
    """
    CREATE UNIQUE INDEX one_take_a_purchase
    ON takes (scene, ifnull(plugin, ''), purchase, sha256)
    WHERE purchase IS NOT NULL
    """,
    """
    CREATE UNIQUE INDEX one_take_a_picture
    ON takes (scene, ifnull(plugin, ''), sha256, ifnull(basis, ''), is_import)
    WHERE purchase IS NULL
    """,
    "CREATE INDEX by_purchase ON takes (plugin, purchase) WHERE purchase IS NOT NULL",
    """
    CREATE TRIGGER takes_stay BEFORE DELETE ON takes
    BEGIN SELECT RAISE (ABORT, 'takes are only added'); END
    """,
    """
    CREATE TRIGGER a_take_keeps_its_picture
    BEFORE UPDATE OF scene, number, sha256, purchase, is_draft, is_import ON takes
    BEGIN SELECT RAISE (ABORT, 'a take keeps its number and its picture'); END
    """,
    """
    CREATE TABLE pointers (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        scene TEXT NOT NULL,
        number INTEGER,
        said_by TEXT NOT NULL CHECK (said_by IN ('run', 'person')),
        why TEXT NOT NULL,
        said_at TEXT NOT NULL,
        undoes INTEGER UNIQUE REFERENCES pointers,
        FOREIGN KEY (scene, number) REFERENCES takes (scene, number)
    ) STRICT
    """,
    "CREATE INDEX pointers_of ON pointers (scene, seq)",
    """
    CREATE TRIGGER pointers_stay BEFORE DELETE ON pointers
    BEGIN SELECT RAISE (ABORT, 'pointers are only added'); END
    """,
    """
    CREATE TABLE wants (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        scene TEXT NOT NULL,
        basis TEXT NOT NULL,
        takes INTEGER NOT NULL CHECK (takes >= 1),
        shows_newest INTEGER NOT NULL DEFAULT 0 CHECK (shows_newest IN (0, 1)),
        said_at TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX wants_of ON wants (scene, basis, seq)",
    """
    CREATE TABLE notes (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        scene TEXT NOT NULL,
        reviewer TEXT NOT NULL,
        note TEXT,
        said_at TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX notes_of ON notes (scene, reviewer, seq)",
    """
    CREATE TABLE prompts (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        scene TEXT NOT NULL,
        prompt TEXT,
        said_for TEXT NOT NULL,
        basis TEXT,
        gave TEXT,
        said_at TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX prompts_of ON prompts (scene, seq)",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    # How a take's file was when it had the take's bytes: what is still so need not be read.
    """
    CREATE TABLE files (
        scene TEXT NOT NULL,
        number INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL,
        time_ns INTEGER NOT NULL,
        PRIMARY KEY (scene, number),
        FOREIGN KEY (scene, number) REFERENCES takes (scene, number)
    ) STRICT, WITHOUT ROWID
    """,
)
"""The statements that make them, in their order."""


STORIES: Final = ".story"
BOOK: Final = "story.db"
OBJECTS: Final = "objects"
PLACE: Final = "place.json"


def make_folders(folder: Path) -> None:
    """Make a story's folders, for their owner alone, and see to it that they are on the disk.

    Raises:
        StoryError: One of them is a link, or something else; nothing is written through a link.
        OSError: They cannot be made.
    """
    for one in (folder.parent, folder, folder / OBJECTS):
        refuse_other_kinds(one)
        one.mkdir(mode=0o700, parents=one == folder.parent, exist_ok=True)
        refuse_other_kinds(one)
    for one in (folder.parent.parent, folder.parent, folder):
        sync_folder(one)


def is_begun(folder: Path) -> bool:
    """Return whether there is what only a story that has a book leaves in its folder."""
    objects = folder / OBJECTS
    return (folder / PLACE).exists() or (objects.is_dir() and any(objects.iterdir()))


def way_out(path: Path) -> str:
    """Say what may help where something of a story cannot be read or written."""
    there = next(one for one in (path, *path.parents) if os.path.lexists(one))
    if hasattr(os, "statvfs") and os.statvfs(there).f_flag & os.ST_RDONLY:
        return f"the disk of {there} can only be read: copy the project to one that can be written"
    needs = os.R_OK | os.W_OK | (os.X_OK if there.is_dir() else 0)
    if not os.access(there, needs):
        return (
            f"this user may not read and write {there}: run as the user that it belongs to, or "
            f"have that user give it to you (chown -R)"
        )
    return f"free space on the disk, and check the permissions of {path.parent}"


def refuse_other_kinds(path: Path) -> None:
    """Refuse what is neither a folder nor, where the book belongs, a file; above all, links.

    A link would lead its writer elsewhere, a pipe would have its reader wait, and what is read as
    absent would be an empty story.

    Raises:
        StoryError: It is there, and something else.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    is_expected = stat.S_ISREG(mode) if path.name == BOOK else stat.S_ISDIR(mode)
    if is_expected:
        return
    what = "it is a link, which is not followed" if stat.S_ISLNK(mode) else _unlike(path)
    raise StoryError(
        path, what, hint="move it away; takes that were paid for are found again without it"
    )


def _unlike(path: Path) -> str:
    return "it is no regular file" if path.name == BOOK else "it is no folder"


def sync_folder(folder: Path) -> None:
    """See to it that a power cut does not take the names in a folder, where the system can.

    Raises:
        OSError: The disk did not take them.
    """
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # it may be passed through but not read: then it cannot be synced
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_OF_THE_SYSTEM: Final = (
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN
)  # fmt: skip

AWAY: Final = (
    "put the folder back from a copy; or move it out of .story and run again: takes that were paid "
    "for are found again, and what was picked, imported, rejected and noted is lost"
)


class Database:
    """An opened book's file, for several threads; made by :meth:`to_write` and :meth:`to_read`.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        self.path = path
        self._writer, self._reader = writer, reader
        self._writing = RLock()
        self._reading = self._writing if writer is reader else RLock()
        self._depth = 0
        self._owner: int | None = None
        self._identity = sqlite.numbers_of(path)

    @classmethod
    def to_write(cls, folder: Path) -> Database:
        """Open the book in a folder; both are made if they are not there.

        Raises:
            StoryError: It is a book of another version, something else, or it cannot be opened.
        """
        path = folder / BOOK
        try:
            make_folders(folder)
            _is_written(path)
            _make(path)
            sync_folder(folder)
        except OSError as error:
            raise StoryError(
                path, error.strerror or type(error).__name__, hint=way_out(path)
            ) from error
        with _translated(path):
            writer = sqlite.connected(path)
            try:
                _make_tables(writer, path)
                sqlite.keep_a_log(writer)
                reader = sqlite.connected(path)
                reader.execute("PRAGMA query_only=1")
            except BaseException:
                writer.close()
                raise
        return cls(path, writer, reader)

    @classmethod
    def to_read(cls, folder: Path) -> Database:
        """Open the book in a folder so that nothing can be written; an absent one is empty.

        Raises:
            StoryError: It is a book of another version, something else, or it cannot be opened.
        """
        path = folder / BOOK
        for one in (folder.parent, folder, path):
            refuse_other_kinds(one)
        with _translated(path):
            reader = (
                sqlite.connected(path, _how_to_look(path))
                if _is_written(path)
                else sqlite.in_memory()
            )
            try:
                if not _is_made(reader, path):
                    reader.close()
                    reader = sqlite.in_memory()
                    _make_tables(reader, path)
                reader.execute("PRAGMA query_only=1")
            except BaseException:
                reader.close()
                raise
        return cls(path, reader, reader)

    def in_memory(self) -> Database:
        """Return a copy of the book that lies in memory and can be written to."""
        copy = sqlite.in_memory()
        try:
            with _translated(self.path), self._reading:
                self._reader.backup(copy)
                copy.execute("PRAGMA foreign_keys=1")
        except BaseException:
            copy.close()
            raise
        return Database(self.path, copy, copy)

    def close(self) -> None:
        """Close it; a transaction that is not ended is undone."""
        self._reader.close()
        self._writer.close()

    def read(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """Return the rows of a query; inside a transaction of this thread, what it has written."""
        try:
            if self._owner == get_ident():
                return self._writer.execute(statement, values).fetchall()
            with self._reading:
                return self._reader.execute(statement, values).fetchall()
        except (OSError, sqlite3.Error) as error:
            raise _as_ours(self.path, error) from error

    def write(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run a statement inside a transaction of this thread."""
        if self._owner != get_ident():
            raise AssertionError("outside of a transaction each write would be its own")
        with _translated(self.path):
            return self._writer.execute(statement, values)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Make what is written in the block durable at its end, or undo it if the block fails.

        A transaction inside another one is part of it.

        Raises:
            StoryError: The disk did not take it, or the book is not any more where it was opened.
        """
        with self._writing:
            if self._depth:
                yield
                return
            with _translated(self.path):
                self._writer.execute("BEGIN IMMEDIATE")
            self._depth, self._owner = 1, get_ident()
            try:
                yield
                with _translated(self.path):
                    self._writer.execute("COMMIT")
            except BaseException:
                with _translated(self.path):
                    if self._writer.in_transaction:  # a full disk has undone it already
                        self._writer.execute("ROLLBACK")
                raise
            finally:
                self._depth, self._owner = 0, None
            is_copy = self._writer is self._reader
            if not is_copy and sqlite.numbers_of(self.path) != self._identity:
                raise StoryError(
                    self.path,
                    "it was moved or removed while it was open, so what was written is lost",
                    hint="run again; takes that were paid for are found again",
                )


def _is_written(path: Path) -> bool:
    """Return whether there is a book.

    Raises:
        StoryError: There was one: what lies beside it is of a story that had begun.
    """
    was_begun = is_begun(path.parent)  # looked at first: another run may be making the story
    is_there = path.is_file() and path.stat().st_size > 0
    if was_begun and not is_there:
        raise StoryError(
            path, "it is empty or not there, and what lies beside it is of a story", hint=AWAY
        )
    return is_there


def _make(path: Path) -> None:
    """Make an empty file that its owner alone can read, unless there is one."""
    refuse_other_kinds(path)
    if not sqlite.make_file(path) and not stat.S_ISREG(path.lstat().st_mode):
        raise StoryError(path, "it is no file", hint=AWAY) from None


def _how_to_look(path: Path) -> str:
    """Return how SQLite is to open a file that is only read."""
    if os.access(path.parent, os.W_OK | os.X_OK) and os.access(path, os.W_OK):
        return "mode=rw"
    return sqlite.how_to_look(path) or "mode=ro&immutable=1"


def refuse_a_snapshots(folder: Path) -> None:
    """Refuse a story whose book a snapshot made; anything else is left to whoever opens it.

    Nothing is written beside it.

    Raises:
        StoryError: It is one.
    """
    path = folder / BOOK
    marks = sqlite.marks_of_file(path)
    if marks is not None and marks.application_id == APPLICATION_ID and 0 < marks.version < VERSION:
        raise StoryError(
            path,
            f"it is the book of a snapshot before the first release (its form is {marks.version}, "
            f"known here is {VERSION}), and is left as it is: what was picked, imported, rejected "
            "and noted is in it, and a new book has none of that",
            hint="go on with it by the checkout that wrote it; or begin anew: move the folder out "
            "of .story, or use another folder for the results with --out, and bring pictures along "
            "with 'host-stub import SCENE FILE'",
        )


def _is_made(connection: sqlite3.Connection, path: Path) -> bool:
    """Return whether a database is a book; one that is empty may become one.

    Raises:
        StoryError: It is a newer one, or something else.
    """
    with sqlite.one_moment(connection):  # another run may be making it
        name, version = sqlite.marks(connection)
        has_tables = sqlite.has_tables(connection)
    if (version or has_tables) and name != APPLICATION_ID:
        raise StoryError(path, "it is a database, but no story's", hint=AWAY)
    if version > VERSION:
        raise StoryError(
            path,
            f"it was written by a newer version (its form is {version}, known here is {VERSION})",
            hint="install the newer version of stage3-plugin again, or use another folder for the "
            "results with --out",
        )
    return bool(version)


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    if _is_made(connection, path):
        return
    with sqlite.all_or_nothing(connection):
        if not _is_made(connection, path):  # else another run was quicker
            for statement in SCHEMA:
                connection.execute(statement)
            sqlite.mark(connection, sqlite.Marks(APPLICATION_ID, VERSION))


@contextmanager
def _translated(path: Path) -> Generator[None]:
    """Raise the database's errors, and the system's, as the host's."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise _as_ours(path, error) from error


def _as_ours(path: Path, error: OSError | sqlite3.Error) -> StoryError:
    if isinstance(error, OSError):
        return StoryError(path, str(error.strerror), hint=way_out(path))
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    hint = way_out(path) if kind in _OF_THE_SYSTEM else AWAY
    if kind == sqlite3.SQLITE_BUSY:
        hint = "wait until the other run has ended"
    return StoryError(path, str(error), hint=hint)
