"""A story's book: the takes of each scene, which one is shown, and what people want of it.

Takes and pointers are only added. What is shown is the newest pointer that was not taken back, and
the pick is the newest of those that a person set; taking one back is a further entry. A write is
durable when it returns. Several processes and several threads may use one book at once.
"""

from __future__ import annotations

import secrets
from collections.abc import (
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Literal

from host_stub.contract import Role, WantedTakes
from host_stub.errors import NoSuchTake
from host_stub.story.database import Database
from host_stub.story.rows import (
    COLUMNS,
    SELECTED,
    glance_from,
    maybe,
    moment,
    money,
    read,
    take_from,
    text,
    values_of,
)
from host_stub.story.takes import Glance, NewTake, Stamp, Take

_NO_STAMPS: Final[Mapping[int, Stamp]] = {}
_TOO_MANY: Final = 1 << 63
LOST: Final = "its picture is lost"
"""Why a run shows another take than the one that was shown; a pick that this befalls is none."""
"""SQLite has no such number."""
_IDENTITY: Final = "identity"
PAGE_ROWS: Final = 500
"""Read at a time where all are gone through: nothing is held open in between."""
PAGE_SCENES: Final = 200
"""Likewise, with all takes of each."""

_VALID: Final = """
    +undoes IS NULL AND NOT EXISTS (SELECT 1 FROM pointers AS later WHERE later.undoes = p.seq)
"""
_INSERT_TAKE: Final = f"""
    INSERT INTO takes ({SELECTED}) VALUES ({", ".join("?" * len(COLUMNS))})
"""  # noqa: S608 - names of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How many takes are wanted of a scene, as long as it has this basis.

    Attributes:
        basis: What it was said for.
        takes: So many, those that are there included.
        shows_newest: The one that fulfils it is to be shown, and did not come yet.
    """

    basis: str
    takes: int
    shows_newest: bool = False

    @property
    def for_plugin(self) -> WantedTakes:
        """As a plugin is told it."""
        return WantedTakes(basis=self.basis, takes=self.takes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidPrompt:
    """A prompt that a person set instead of the scene file's.

    Attributes:
        prompt: It.
        said_for: What the scene file said then: as long as it says that, this one holds.
        said_at: When.
        basis: What the scene would have been made from without it; ``None`` if that was not known.
        gave: What it is made from with it; ``None`` as long as that is not known.
    """

    prompt: str
    said_for: str
    said_at: datetime
    basis: str | None = None
    gave: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a reviewer noted of a scene.

    Attributes:
        reviewer: Who; empty if that is not known.
        note: The words.
        said_at: When.
    """

    reviewer: str
    note: str
    said_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What is noted of a scene.

    Attributes:
        takes: Its takes, in their order.
        shown: The number of the one that it shows.
        pick: The number of the one that a person chose last, whether or not it is shown.
        wants: What is wanted of it, once for each basis that it was said for.
        stamps: How the files of its takes were when they were right, by number.
    """

    takes: Sequence[Take] = ()
    shown: int | None = None
    pick: int | None = None
    wants: Sequence[Wanted] = ()
    stamps: Mapping[int, Stamp] = field(default_factory=dict[int, Stamp])


class Book:
    """What is written down of one story.

    Raises:
        StoryError: In every method: the book cannot be read, or the disk did not take it.
    """

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    @classmethod
    @contextmanager
    def opened(
        cls,
        folder: Path,
        *,
        write: bool,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Generator[Book]:
        """Open the book of a story.

        Args:
            folder: See :func:`~host_stub.story.finding.story_folder`.
            write: Make it if it is not there. Else nothing is made, and an absent book is empty.
            now: The clock, for when something was said.

        Raises:
            StoryError: It was written by a newer version, or is no book.
        """
        database = Database.to_write(folder) if write else Database.to_read(folder)
        try:
            yield cls(database, now)
        finally:
            database.close()

    @classmethod
    @contextmanager
    def copied(
        cls, folder: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> Generator[Book]:
        """Open a copy of the book in memory, to see what comes of what would be written.

        Args:
            folder: As for :meth:`opened`; nothing in it is made or changed.
            now: Likewise.

        Raises:
            StoryError: It was written by a newer version, or is no book.
        """
        there = Database.to_read(folder)
        try:
            database = there.in_memory()
        finally:
            there.close()
        try:
            yield cls(database, now)
        finally:
            database.close()

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self._database.path

    def transaction(self) -> Any:
        """Make all that this thread writes in the block durable at its end, or none of it."""
        return self._database.transaction()

    # Takes ---------------------------------------------------------------------------------------

    def add(self, takes: Sequence[NewTake]) -> list[Take]:
        """Write takes down, in one transaction, and return them with their numbers.

        One that is known (the same purchase with the same bytes; without a purchase, the same bytes
        of the same plugin with the same basis) is not added again; what is known of it now, such as
        its basis, its cost and its row, is kept with it.
        """
        with self._database.transaction():
            return [self._add(take) for take in takes]

    def _add(self, take: NewTake) -> Take:
        number = self._known(take)
        if number is None:
            highest = self._one(
                "SELECT max(number) FROM takes WHERE scene = ?", text(take.scene_id)
            )
            number = (highest or 0) + 1
            self._database.write(_INSERT_TAKE, values_of(take, number))
        else:
            # What a run says of a picture that it found again is not what the picture cost.
            says_more = bool(take.row) and not take.row.get("reused")
            self._database.write(
                """
                UPDATE takes SET basis = ifnull(?, basis), provider = ifnull(?, provider),
                    model = ifnull(?, model), cost_usd = iif(?, ?, cost_usd),
                    cost_basis = iif(?, ?, cost_basis), row = iif(?, ?, row)
                WHERE scene = ? AND number = ?
                """,
                (
                    *(maybe(take.basis), maybe(take.provider), maybe(take.model)),
                    *(says_more, money(take.cost), says_more, take.cost.basis),
                    *(says_more, values_of(take, number)[COLUMNS.index("row")]),
                    *(text(take.scene_id), number),
                ),
            )
        found = self.take(take.scene_id, number)
        if found is None:
            raise AssertionError("it was written just now")
        return found

    def _known(self, take: NewTake) -> int | None:
        """Return the number of a take that is written down already."""
        who = (text(take.scene_id), maybe(take.plugin) or "", take.sha256)
        if take.purchase is not None:
            return self._one(
                """
                SELECT number FROM takes
                WHERE scene = ? AND ifnull(plugin, '') = ? AND sha256 = ? AND purchase = ?
                """,
                *who,
                text(take.purchase),
            )
        return self._one(
            """
            SELECT number FROM takes
            WHERE scene = ? AND ifnull(plugin, '') = ? AND sha256 = ? AND purchase IS NULL
                AND ifnull(basis, '') = ? AND is_import = ?
            """,
            *who,
            maybe(take.basis) or "",
            int(take.is_import),
        )

    def take(self, scene_id: str, number: int) -> Take | None:
        """Return a take of a scene, if it has it."""
        if not 1 <= number < _TOO_MANY:
            return None
        rows = self._read(
            f"SELECT {SELECTED} FROM takes WHERE scene = ? AND number = ?",  # noqa: S608 - names of ours
            text(scene_id),
            number,
        )
        return take_from(rows[0], self.path) if rows else None

    def takes_of(self, scene_id: str) -> list[Take]:
        """Return a scene's takes in their order."""
        rows = self._read(
            f"SELECT {SELECTED} FROM takes WHERE scene = ? ORDER BY number",  # noqa: S608 - names of ours
            text(scene_id),
        )
        return [take_from(row, self.path) for row in rows]

    def scenes(self) -> Iterator[tuple[str, Role]]:
        """Yield every scene and sheet that has a take."""
        after = ""
        while rows := self._read(
            """
            SELECT scene, max(role) FROM takes WHERE scene > ? GROUP BY scene ORDER BY scene LIMIT ?
            """,
            after,
            PAGE_ROWS,
        ):
            yield from ((read(scene), role) for scene, role in rows)
            after = rows[-1][0]

    def noted(self, scene_ids: Collection[str]) -> dict[str, Noted]:
        """Return what is noted of some scenes, up to 500, at the price of one."""
        names = {text(scene_id): scene_id for scene_id in scene_ids}
        among = f"scene IN ({','.join('?' * len(names))})"
        takes: dict[str, list[Take]] = {name: [] for name in names}
        stamps: dict[str, dict[int, Stamp]] = {}
        for row in self._read(
            f"SELECT {SELECTED} FROM takes WHERE {among} ORDER BY scene, number",  # noqa: S608 - names of ours
            *names,
        ):
            takes[row[0]].append(take_from(row, self.path))
        for name, number, *stamp in self._read(f"SELECT * FROM files WHERE {among}", *names):  # noqa: S608 - likewise
            stamps.setdefault(name, {})[number] = (stamp[0], stamp[1])
        wants = self._wants(among, names)
        shown, picks = self._pointed(among, names)
        return {
            scene_id: Noted(
                takes=takes[name],
                shown=shown.get(name),
                pick=picks.get(name),
                wants=wants.get(name, ()),
                stamps=stamps.get(name, _NO_STAMPS),
            )
            for name, scene_id in names.items()
        }

    def _wants(self, among: str, names: Collection[str]) -> dict[str, list[Wanted]]:
        rows = self._read(
            f"""
            SELECT scene, basis, takes, shows_newest, max(seq) FROM wants
            WHERE {among} GROUP BY scene, basis ORDER BY max(seq)
            """,  # noqa: S608 - likewise; SQLite takes the other columns from the row of the maximum
            *names,
        )
        wants: dict[str, list[Wanted]] = {}
        for name, basis, takes, newest, _ in rows:
            wanted = Wanted(basis=read(basis), takes=takes, shows_newest=bool(newest))
            wants.setdefault(name, []).append(wanted)
        return wants

    def _pointed(
        self, among: str, names: Collection[str]
    ) -> tuple[dict[str, int | None], dict[str, int | None]]:
        """Return what scenes show, and their picks; one whose picture is lost is none any more."""
        rows = self._read(
            f"""
            SELECT seq, scene, number, said_by, why, undoes FROM pointers
            WHERE {among} ORDER BY seq
            """,  # noqa: S608 - likewise
            *names,
        )
        gone = {undoes for *_, undoes in rows}
        shown: dict[str, int | None] = {}
        picks: dict[str, int | None] = {}
        for seq, name, number, said_by, why, undoes in rows:
            if undoes is not None or seq in gone:
                continue
            if said_by == "person":
                picks[name] = number
            elif why == text(LOST) and picks.get(name) == shown.get(name):
                picks[name] = None
            shown[name] = number
        return shown, picks

    def glances(self) -> Iterator[Glance]:
        """Yield of every scene what says how it stands, in the order of :meth:`scenes`."""
        after = ""
        while rows := self._read(
            f"""
            WITH page AS (
                SELECT DISTINCT scene FROM takes WHERE scene > ? ORDER BY scene LIMIT {PAGE_SCENES}
            ), pointed AS (
                SELECT scene, (
                    SELECT number FROM pointers AS p
                    WHERE p.scene = page.scene AND {_VALID} ORDER BY seq DESC LIMIT 1
                ) AS number FROM page
            )
            SELECT t.scene, t.role, pointed.number, t.seq, t.number, t.sha256, t.media_type,
                t.width, t.height, t.is_draft, t.basis, t.is_import AND t.is_rejected,
                f.size_bytes, f.time_ns
            FROM pointed JOIN takes AS t ON t.scene = pointed.scene
            LEFT JOIN files AS f ON f.scene = t.scene AND f.number = t.number
            ORDER BY t.scene, t.number
            """,  # noqa: S608 - names of ours
            after,
        ):
            for _, group in groupby(rows, key=itemgetter(0)):
                yield glance_from(list(group), self.path)
            after = rows[-1][0]

    def takes_at(self, places: Collection[int]) -> list[Take]:
        """Return the takes at some places that :meth:`glances` named, up to 500, in their order."""
        among = ",".join("?" * len(places))
        rows = self._read(
            f"SELECT seq, {SELECTED} FROM takes WHERE seq IN ({among})",  # noqa: S608 - names of ours
            *places,
        )
        found = {place: row for place, *row in rows}
        return [take_from(found[place], self.path) for place in places]

    def learn_basis(self, plugin: str, purchase: str, basis: str) -> None:
        """Keep the newest word of what a take was made from: a ladder may have changed."""
        with self._database.transaction():
            self._database.write(
                "UPDATE takes SET basis = ? WHERE plugin = ? AND purchase = ? AND basis IS NOT ?",
                (text(basis), text(plugin), text(purchase), text(basis)),
            )

    # Files ---------------------------------------------------------------------------------------

    def stamps_of(self, scene_id: str) -> dict[int, Stamp]:
        """Return how the files of a scene's takes were when they were right, by number."""
        rows = self._read(
            "SELECT number, size_bytes, time_ns FROM files WHERE scene = ?", text(scene_id)
        )
        return {number: (size_bytes, time_ns) for number, size_bytes, time_ns in rows}

    def note_stamps(self, stamps: Iterable[tuple[str, int, Stamp]], *, first: bool = False) -> None:
        """Remember of takes how their files are now that they are right.

        Args:
            stamps: The scene, the take's number, and how its file is.
            first: What is remembered already stays.
        """
        then = "NOTHING" if first else "UPDATE SET size_bytes = ?3, time_ns = ?4"
        with self._database.transaction():
            for scene_id, number, (size_bytes, time_ns) in stamps:
                self._database.write(
                    f"INSERT INTO files VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO {then}",  # noqa: S608 - words of ours
                    (text(scene_id), number, size_bytes, time_ns),
                )

    # Shown ---------------------------------------------------------------------------------------

    def shown(self, scene_id: str) -> int | None:
        """Return the number of the take that a scene shows."""
        name = text(scene_id)
        return self._pointed("scene = ?", (name,))[0].get(name)

    def shown_take(self, scene_id: str) -> Take | None:
        """Return the take that a scene shows."""
        number = self.shown(scene_id)
        return None if number is None else self.take(scene_id, number)

    def pick(self, scene_id: str) -> int | None:
        """Return the number of the take that a person chose last, whether or not it is shown.

        None where its picture is lost for good.
        """
        name = text(scene_id)
        return self._pointed("scene = ?", (name,))[1].get(name)

    def picked(self) -> list[str]:
        """Return the scenes and sheets of which a person ever chose a take."""
        rows = self._read("SELECT DISTINCT scene FROM pointers WHERE said_by = 'person'")
        return [read(scene) for (scene,) in rows]

    def point(
        self, scene_id: str, number: int | None, *, by: Literal["run", "person"], why: str = ""
    ) -> None:
        """Show another take of a scene, or none; by a person, this is a pick.

        Raises:
            NoSuchTake: The scene does not have it.
        """
        with self._database.transaction():
            if number is not None:
                self._expect(scene_id, [number])
            self._database.write(
                """
                INSERT INTO pointers (scene, number, said_by, why, said_at) VALUES (?, ?, ?, ?, ?)
                """,
                (text(scene_id), number, by, text(why), moment(self._now())),
            )

    def undo(self, scene_id: str) -> bool:
        """Take back what a person last chose for a scene; return whether there was something.

        What was shown before is shown again, unless a run has moved the pointer since.
        """
        with self._database.transaction():
            last = self._one(
                f"""
                SELECT seq FROM pointers AS p
                WHERE scene = ? AND said_by = 'person' AND {_VALID} ORDER BY seq DESC LIMIT 1
                """,  # noqa: S608 - a condition of ours
                text(scene_id),
            )
            if last is None:
                return False
            self._database.write(
                """
                INSERT INTO pointers (scene, number, said_by, why, said_at, undoes)
                VALUES (?, NULL, 'person', '""', ?, ?)
                """,
                (text(scene_id), moment(self._now()), last),
            )
            return True

    # Wanted --------------------------------------------------------------------------------------

    def want(self, scene_id: str, *, basis: str, takes: int, shows_newest: bool = False) -> None:
        """Say how many takes of a basis are wanted, those that are there included.

        What is said last of a basis holds.
        """
        with self._database.transaction():
            self._database.write(
                """
                INSERT INTO wants (scene, basis, takes, shows_newest, said_at)
                VALUES (?, ?, ?, ?, ?)
                """,
                (text(scene_id), text(basis), takes, int(shows_newest), moment(self._now())),
            )

    def wanted(self, scene_id: str) -> list[Wanted]:
        """Return what is wanted of a scene, once for each basis that it was said for."""
        name = text(scene_id)
        return self._wants("scene = ?", (name,)).get(name, [])

    # What people say -----------------------------------------------------------------------------

    def reject(self, scene_id: str, numbers: Iterable[int], *, rejected: bool = True) -> None:
        """Note that a person does not want some takes, or wants them again; nothing else changes.

        Raises:
            NoSuchTake: The scene does not have one of them; then nothing is noted.
        """
        with self._database.transaction():
            asked = list(numbers)
            self._expect(scene_id, asked)
            for number in asked:
                self._database.write(
                    "UPDATE takes SET is_rejected = ? WHERE scene = ? AND number = ?",
                    (int(rejected), text(scene_id), number),
                )

    def note(self, scene_id: str, note: str | None, reviewer: str | None = None) -> None:
        """Keep what a reviewer notes of a scene, in place of what they noted before."""
        with self._database.transaction():
            self._database.write(
                "INSERT INTO notes (scene, reviewer, note, said_at) VALUES (?, ?, ?, ?)",
                (text(scene_id), text(reviewer or ""), maybe(note), moment(self._now())),
            )

    def notes_of(self, scene_id: str) -> list[Note]:
        """Return what is noted of a scene, once for each reviewer, the newest last."""
        rows = self._read(
            """
            SELECT reviewer, note, said_at, max(seq) FROM notes
            WHERE scene = ? GROUP BY reviewer ORDER BY max(seq)
            """,
            text(scene_id),
        )
        return [
            Note(reviewer=read(who), note=read(note), said_at=datetime.fromisoformat(when))
            for who, note, when, _ in rows
            if note is not None
        ]

    def say_prompt(
        self,
        scene_id: str,
        prompt: str | None,
        *,
        said_for: str,
        basis: str | None = None,
        gave: str | None = None,
    ) -> None:
        """Set a scene's prompt in place of the scene file's, or go back to that.

        Args:
            scene_id: The scene.
            prompt: The new one; ``None`` takes back what was set.
            said_for: What the scene file says now.
            basis: What the scene would be made from without it.
            gave: What it is made from with it, once that is known.
        """
        with self._database.transaction():
            self._database.write(
                """
                INSERT INTO prompts (scene, prompt, said_for, basis, gave, said_at)
                VALUES (?, ?, ?, ?, ?, ?)
                """,
                (
                    *(text(scene_id), maybe(prompt), text(said_for)),
                    *(maybe(basis), maybe(gave), moment(self._now())),
                ),
            )

    def said_prompts(self) -> Mapping[str, SaidPrompt]:
        """Return the prompts that people set, by scene."""
        rows = self._read(
            """
            SELECT scene, prompt, said_for, basis, gave, said_at, max(seq) FROM prompts
            GROUP BY scene
            """
        )
        return {
            read(scene): SaidPrompt(
                prompt=read(prompt),
                said_for=read(why),
                said_at=datetime.fromisoformat(when),
                basis=read(basis),
                gave=read(gave),
            )
            for scene, prompt, why, basis, gave, when, _ in rows
            if prompt is not None
        }

    # Facts ---------------------------------------------------------------------------------------

    def fact(self, name: str) -> str | None:
        """Return something that is remembered of the story, such as its scene file."""
        rows = self._read("SELECT value FROM facts WHERE name = ?", name)
        return str(read(rows[0][0])) if rows else None

    def set_fact(self, name: str, value: str) -> None:
        """Remember something of the story."""
        with self._database.transaction():
            self._database.write(
                "INSERT INTO facts (name, value) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, text(value)),
            )

    def identity(self) -> str:
        """Return what this book alone is called, wherever it goes; the first call names it."""
        name = self.fact(_IDENTITY)
        if name is None:
            with self._database.transaction():
                if (name := self.fact(_IDENTITY)) is None:
                    self.set_fact(_IDENTITY, name := secrets.token_hex(16))
        return name

    # ---------------------------------------------------------------------------------------------

    def _expect(self, scene_id: str, numbers: Iterable[int]) -> None:
        rows = self._read(
            "SELECT number FROM takes WHERE scene = ? ORDER BY number", text(scene_id)
        )
        there = [number for (number,) in rows]
        for number in numbers:
            if number not in there:
                raise NoSuchTake(scene_id, number, there)

    def _read(self, statement: str, *values: object) -> list[Any]:
        return self._database.read(statement, values)

    def _one(self, statement: str, *values: object) -> int | None:
        rows = self._database.read(statement, values)
        return None if not rows or rows[0][0] is None else int(rows[0][0])
