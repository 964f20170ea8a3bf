"""The tables of a story's book.

Texts that a person, a file or a plugin brought are kept as JSON strings in ASCII: they may hold
halves of characters and zeros, which SQLite has no text for. What the host itself says (states,
digests, times) is plain text. Takes and pointers are only ever added, and numbers never given out
again.
"""

from __future__ import annotations

from typing import Final

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
