"""A story as it is kept: its book, and the files of one folder of results that follow the book.

The order is always the same: a picture lies at its place, its take and what is shown are durable in
the book, and then the file in ``images`` follows, which is renamed into place and then compared
with the book once more. So whoever is killed in between leaves a story that the next command brings
to where it was going; nothing depends on how far it came.
"""

from __future__ import annotations

import os
import time
from collections.abc import (
    Callable,
    Collection,
    Container,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import Final

from host_stub.contract import Cost, KnownTake, Role, SceneSurvey, ShownPicture, WantedTakes
from host_stub.errors import HostError, NoSuchTake, ResultsNotWritten, StoryError
from host_stub.story.book import LOST, Book, Noted
from host_stub.story.files import named_file
from host_stub.story.finding import note_places, own_folder, story_folder
from host_stub.story.known_takes import take_of
from host_stub.story.pictures import MOST_BYTES, Looks, extension_of, is_whole, look_at
from host_stub.story.results import Fetch, Found, ResultFiles, image_name
from host_stub.story.takes import NewTake, Stamp, Take, made_of, shown_of
from host_stub.text.file_names import stem_of

BEGUN: Final = "begun"
"""The fact that what lay there before the book was made is in it."""
FREE: Final = Cost(usd=Decimal(0), basis="free")
UNKNOWN: Final = Cost(usd=None, basis="unknown")
_MOST_TRIES: Final = 20
"""Other processes that move one pointer again and again while its file is put in place."""
_SAME: Final = attrgetter(
    *("plugin", "purchase", "sha256", "media_type", "width", "height", "is_draft", "is_import")
)
_GROUP: Final = 200
"""Surveys that are learned, or files that are noted, in one transaction."""


@dataclass(slots=True, kw_only=True)
class PutBack:
    """What became of the files that were not there.

    Attributes:
        restored: How many takes were put back.
        lost: Those whose bytes nobody has any more.
        set_aside: Where files are that lay in the places of takes and were others.
        right: Files that are right, to be noted.
    """

    restored: int = 0
    lost: list[Take] = field(default_factory=list[Take])
    set_aside: list[Path] = field(default_factory=list[Path])
    right: list[tuple[str, int, Stamp]] = field(default_factory=list[tuple[str, int, Stamp]])


class Story:
    """The takes of one folder of results, and what is shown of them.

    Every method may be called from any thread, also while another process is at work in the same
    story, and again after it was killed at any point.

    Attributes:
        book: What is written down.
        files: The pictures.
        is_copy: The book is a copy: what is noted there is seen by nobody, and no file is touched.

    Raises:
        StoryError: In every method: the book cannot be read or written.
        ResultsNotWritten: Likewise: the disk did not take a picture. What is in the book holds, and
            the next run mends the files.
    """

    def __init__(self, book: Book, files: ResultFiles, *, is_copy: bool = False) -> None:
        self.book = book
        self.files = files
        self.is_copy = is_copy

    @classmethod
    @contextmanager
    def opened(cls, project_dir: Path, out_dir: Path, *, write: bool) -> Generator[Story]:
        """Open the story of a folder of results.

        Args:
            project_dir: The folder of the config.
            out_dir: The folder of results; it need not be there.
            write: Else nothing is made, and a story that is not there is empty.

        Raises:
            StoryError: It was written by a newer version, or cannot be opened.
        """
        folder = (own_folder if write else story_folder)(project_dir, out_dir)
        with Book.opened(folder, write=write) as book:
            if write:
                note_places(folder, out_dir, book.identity())
            yield cls(book, ResultFiles(out_dir, folder))

    @classmethod
    @contextmanager
    def copied(cls, project_dir: Path, out_dir: Path) -> Generator[Story]:
        """Open a story with a copy of its book, to see what comes of what would be written down.

        What people put into ``images`` is in the copy, as a run would note it first.

        Raises:
            StoryError: It was written by a newer version, or cannot be opened.
        """
        folder = story_folder(project_dir, out_dir)
        with Book.copied(folder) as book:
            story = cls(book, ResultFiles(out_dir, folder), is_copy=True)
            with suppress(ResultsNotWritten):  # what is in the way of results is a run's business
                story.keep_edited()
            yield story

    def place_for(self, scene_id: str, *, role: Role, sha256: str, media_type: str) -> Path:
        """Return where a take lies; a :class:`~host_stub.contract.PlaceFor`."""
        return self.files.place_for(scene_id, role=role, sha256=sha256, media_type=media_type)

    def wanted_takes(self, scene_id: str) -> list[WantedTakes]:
        """Return what people want of a scene, as its plugin is told it."""
        return [wanted.for_plugin for wanted in self.book.wanted(scene_id)]

    def shown_picture(self, scene_id: str, *, plugin: str) -> ShownPicture | None:
        """Return what a scene shows, as it is told to the plugin that makes those that refer to it.

        Args:
            scene_id: The scene, or the sheet.
            plugin: Who is told: a picture that it did not make is told with its file.
        """
        take = self.book.shown_take(scene_id)
        if take is None or take.is_draft:
            return None
        path = None if take.plugin == plugin else self.files.bytes_of(take)
        return ShownPicture(sha256=take.sha256, basis=take.basis, path=path)

    # A run's takes -------------------------------------------------------------------------------

    def take_in(
        self, arrivals: Sequence[tuple[NewTake, str | None]], *, keep_bytes: bool = False
    ) -> list[Take]:
        """Take in pictures that lie at their places, and show those that are to be shown.

        Args:
            arrivals: Each take, with its scene's present basis. Where that is ``None``, it is shown
                only if its scene shows nothing.
            keep_bytes: The story keeps the bytes, since the plugin cannot give them back.
        """
        arriving: dict[tuple[str, Role], set[str]] = {}
        for new, _ in arrivals:
            arriving.setdefault((new.scene_id, new.role), set()).add(new.sha256)
        bare = {one for one in arriving if self._is_bare(*one)}
        for (scene_id, role), digests in arriving.items():
            if (scene_id, role) not in bare:
                self._keep_edited(scene_id, role, digests)
        if keep_bytes:
            for new, _ in arrivals:
                self.files.keep_bytes(new)
        with self.book.transaction():
            takes = self.book.add([new for new, _ in arrivals])
            for take, (_, basis) in zip(takes, arrivals, strict=True):
                self._point(take.scene_id, basis)
                self._fulfil(take)
            self.book.note_stamps(self._stamps(takes), first=True)
        # What another process shows there meanwhile is of a later number, and it clears up itself.
        bare &= {(take.scene_id, take.role) for take in takes if take.number == 1}
        self._settle_all(arriving, {(take.scene_id, take.number) for take in takes}, bare)
        return takes

    def _is_bare(self, scene_id: str, role: Role) -> bool:
        """Return whether a scene has no take, and nothing lies where one would be shown."""
        takes = self.book.takes_of(scene_id)
        return not takes and not self._images(scene_id, role, takes)

    def are_there(
        self, arrivals: Sequence[tuple[NewTake, str | None]], *, keep_bytes: bool = False
    ) -> list[bool]:
        """Return of takes that were found, up to 500, whether taking them in would change nothing.

        They are in the book with all that is said of them, their files are as they were when they
        were right, and their scenes show what they have to.

        Args:
            arrivals: As for :meth:`take_in`.
            keep_bytes: Likewise.
        """
        noted = self.book.noted({new.scene_id for new, _ in arrivals})
        return [
            self._is_there(new, basis, noted[new.scene_id])
            and (not keep_bytes or self.files.keeps(new))
            for new, basis in arrivals
        ]

    def _is_there(self, new: NewTake, basis: str | None, noted: Noted) -> bool:
        take = next((one for one in noted.takes if _says_no_more(new, one)), None)
        if take is None or any(wanted.shows_newest for wanted in noted.wants):
            return False
        stamp, due = self.files.stamp_of(take), _due_of(noted, basis)
        if stamp is None or stamp != noted.stamps.get(take.number):
            return False
        return due is not None and due.number == noted.shown and self.files.is_shown(due)

    def _stamps(self, takes: Iterable[Take]) -> Iterator[tuple[str, int, Stamp]]:
        for take in takes:
            if (stamp := self.files.stamp_of(take)) is not None:
                yield take.scene_id, take.number, stamp

    def _point(self, scene_id: str, basis: str | None, *, first: int | None = None) -> bool:
        """Let a scene show what it has to; return whether that is another take.

        Args:
            scene_id: The scene.
            basis: What it would be made from now.
            first: What it shows if it shows nothing yet and no rule says more.
        """
        noted = self.book.noted([scene_id])[scene_id]
        take = _due_of(noted, basis, first=first)
        if take is None or take.number == noted.shown:
            return False
        self.book.point(scene_id, take.number, by="run")
        return True

    def _fulfil(self, take: Take) -> None:
        """Show a take that completes what a person wanted to be shown."""
        if take.is_draft or take.is_import:
            return
        for wanted in self.book.wanted(take.scene_id):
            if not wanted.shows_newest or wanted.basis != take.basis:
                continue
            made = made_of(self.book.takes_of(take.scene_id), wanted.basis)
            if len(made) >= wanted.takes:
                # The newest, whichever of them came in first: one that was there may come again.
                self.book.point(take.scene_id, made[-1].number, by="person", why="wanted")
                self.book.want(take.scene_id, basis=wanted.basis, takes=wanted.takes)

    def learn(
        self,
        surveys: Iterable[SceneSurvey],
        *,
        plugin: str,
        is_guest: bool = False,
    ) -> set[str]:
        """Take in what a plugin says of its pictures: takes that the book lacks, and bases.

        So a run that was killed loses none of its takes, and neither does one whose ``.story`` was
        removed. What is shown follows, and its files as far as the takes lie there. One ledger may
        serve several folders of results: so a take that is not current is taken in only into a book
        that is new, or if it lies among the takes here.

        Args:
            surveys: What the plugin told.
            plugin: Its name in the config.
            is_guest: It is not the config's: its takes are shown only where nothing is shown.

        Returns:
            The scenes that show another take now than before; those that showed none are not among
            them.
        """
        group: list[SceneSurvey] = []
        changed: set[str] = set()
        for survey in surveys:
            group.append(survey)
            if len(group) == _GROUP:
                changed |= self._learn(group, plugin, is_guest=is_guest)
                group.clear()
        return changed | self._learn(group, plugin, is_guest=is_guest)

    def _learn(
        self,
        group: Sequence[SceneSurvey],
        plugin: str,
        *,
        is_guest: bool,
    ) -> set[str]:
        for survey in group:  # before a pointer moves: an edited file is one of what was shown
            told = {one.sha256 for one in survey.takes}
            self._keep_edited(survey.scene_id, survey.role, told)
        moved: dict[tuple[str, Role], None] = {}
        changed: set[str] = set()
        is_new = self.is_new
        with self.book.transaction():
            for survey in group:
                scene_id = survey.scene_id
                before = self.book.shown(scene_id)
                known = {
                    take.purchase: take
                    for take in self.book.takes_of(scene_id)
                    if take.plugin == plugin
                }
                numbers: dict[str, int] = {}
                for one in sorted(survey.takes, key=_made_at):
                    take = known.get(one.purchase)
                    if take is None:
                        new = take_of(one, survey, plugin, otherwise_at=datetime.now(UTC))
                        if not (is_new or one.current or self.files.has(new)):
                            continue
                        (take,) = self.book.add([new])
                        self._fulfil(take)
                    elif one.basis is not None and one.basis != take.basis:
                        self.book.learn_basis(plugin, one.purchase, one.basis)
                    numbers[one.purchase] = take.number
                # As the plugin lists them: of a sheet, the one that its scenes were made from.
                current = (numbers[one.purchase] for one in survey.takes if one.current)
                if self._point(
                    scene_id, None if is_guest else survey.basis, first=next(current, None)
                ):
                    moved[scene_id, survey.role] = None
                if before not in {None, self.book.shown(scene_id)}:
                    changed.add(scene_id)
        for scene_id, role in moved:
            self._settle(scene_id, role)
        return changed

    # What people choose --------------------------------------------------------------------------

    def show(self, scene_id: str, number: int, *, why: str = "") -> Take:
        """Show a take of a scene because a person says so.

        Raises:
            NoSuchTake: The scene does not have it.
            StoryError: Its picture is not there; then what is shown stays.
        """
        take = self.book.take(scene_id, number)
        if take is None:
            raise NoSuchTake(scene_id, number, [one.number for one in self.book.takes_of(scene_id)])
        self._keep_edited(scene_id, take.role)
        if not self.files.heal(take):
            raise self._gone(take)
        with self.book.transaction():
            self.book.point(scene_id, number, by="person", why=why)
            if take.is_import and take.is_rejected:
                self.book.reject(scene_id, [number], rejected=False)
        self._settle(scene_id, take.role)
        return take

    def undo(self, scene_id: str) -> bool:
        """Take back what a person last chose for a scene; return whether there was something.

        A picture that they brought counts as rejected then, or the next run would show it again.
        """
        takes = self.book.takes_of(scene_id)
        if not takes:
            return False
        self._keep_edited(scene_id, takes[0].role)
        with self.book.transaction():
            picked = self.book.pick(scene_id)
            is_undone = self.book.undo(scene_id)
            if is_undone and picked is not None:
                take = self.book.take(scene_id, picked)
                if take is not None and take.is_import:
                    self.book.reject(scene_id, [picked])
                if self.book.shown(scene_id) is None:
                    self._point(scene_id, None if take is None else take.basis)
        self._settle(scene_id, takes[0].role)
        return is_undone

    def import_file(
        self, scene_id: str, path: Path, *, basis: str | None, role: Role = "scene"
    ) -> Take:
        """Make a person's own picture a take of a scene, and show it.

        Args:
            scene_id: The scene.
            path: The picture.
            basis: What the scene would be made from now: as long as that holds, this is its
                picture.
            role: Whether it is of a scene or of a sheet.

        Raises:
            StoryError: The file cannot be read, or is no picture.
        """
        try:
            with named_file(path) as file:
                if os.fstat(file.fileno()).st_size > MOST_BYTES:
                    raise StoryError(
                        path,
                        f"it is larger than {MOST_BYTES >> 20} MB",
                        hint="save it smaller, and import that file",
                    )
                looks = look_at(file)
                file.seek(0)
                if looks is None or not is_whole(file):
                    raise StoryError(
                        path,
                        "it is no PNG, JPEG or WebP picture, or not the whole of one",
                        hint="save it as one of those, and import that file",
                    )
                file.seek(0)
                digest = self.files.keep(file)
        except OSError as error:
            raise StoryError(
                path,
                "there is no such picture"
                if isinstance(error, FileNotFoundError)
                else error.strerror or type(error).__name__,
                hint="name a file that can be read",
            ) from error
        self._keep_edited(scene_id, role)
        new = _imported(scene_id, role, (digest, looks), basis=basis, made_at=datetime.now(UTC))
        with self.book.transaction():
            (take,) = self.book.add([new])
            self.book.point(scene_id, take.number, by="person", why="imported")
            if take.is_rejected:
                self.book.reject(scene_id, [take.number], rejected=False)
        self.files.bring(take)
        self._settle(scene_id, role)
        return take

    # Files that are not as the book has them -----------------------------------------------------

    def keep_edited(self) -> list[Take]:
        """Make takes of the pictures that people put into ``images``, before a run replaces them.

        Returns:
            The takes that they are now.
        """
        kept: list[Take] = []
        by_stem = self.files.image_names()
        for scene in self.book.glances():
            scene_id, role, number = scene.scene_id, scene.role, scene.shown
            there = by_stem.get(stem_of(scene_id, role), ())
            if number is None or not there or self.files.are_right(scene, there):
                continue
            take = self.book.take(scene_id, number)
            if take is None or (there == [image_name(take)] and self.files.is_shown(take)):
                continue
            kept += self._keep_edited(scene_id, role, is_odd=True)
            if not self.is_copy:
                self._settle(scene_id, role, is_odd=True)
        return kept

    def _keep_edited(
        self,
        scene_id: str,
        role: Role,
        arriving: Collection[str] = (),
        *,
        is_odd: bool = False,
    ) -> list[Take]:
        """Make takes of a scene's pictures in ``images`` that are none, and picks of them.

        Whatever is there may be replaced then.

        Args:
            scene_id: The scene.
            role: Whether it is one, or a sheet.
            arriving: Pictures that are about to be taken in.
            is_odd: Something lies there beside what is shown.
        """
        shown = self.book.shown_take(scene_id)
        if shown is not None and not is_odd and self.files.is_shown(shown):
            return []
        takes = self.book.takes_of(scene_id)
        basis = None if shown is None else shown.basis
        kept: list[Take] = []
        for one in self._images(scene_id, role, takes):
            if self._copied(one, takes):
                continue
            if one.size_bytes > MOST_BYTES:
                self._kept(one, scene_id, role, basis)  # as what is no picture, and unread
                continue
            digest = self.files.digest_of_image(one.name)
            if digest is None or digest in arriving:
                continue
            if self.files.lies_among_takes(scene_id, role, one, digest):
                continue  # one of ours that this book does not know yet, or any more
            # Once more: another process may have taken it in and put it there just now.
            take = _with_digest(self.book.takes_of(scene_id), digest)
            if take is not None:
                if not self.is_copy:
                    self.files.bring(take)
            elif (made := self._kept(one, scene_id, role, basis)) is not None:
                kept.append(made)
        return kept

    def _images(self, scene_id: str, role: Role, takes: Sequence[Take]) -> list[Found]:
        extensions = frozenset(extension_of(take.media_type) for take in takes)
        return self.files.images(stem_of(scene_id, role), extensions)

    def _copied(self, found: Found, takes: Sequence[Take]) -> bool:
        return any(self.files.is_copy(take, found.size_bytes, found.time_ns) for take in takes)

    def _kept(self, found: Found, scene_id: str, role: Role, basis: str | None) -> Take | None:
        see = self.files.image_seen if self.is_copy else self.files.keep_image
        kept = see(found.name)
        if kept is None:
            return None
        new = _imported(scene_id, role, kept, basis=basis, made_at=_moment(found.time_ns))
        with self.book.transaction():
            (take,) = self.book.add([new])
            self.book.point(scene_id, take.number, by="person", why="edited")
        if not self.is_copy:
            self.files.bring(take)
        return take

    def put_back(self, is_there: Callable[[str], bool], fetch: Fetch | None = None) -> PutBack:
        """Put files back that are not there any more, those of every take, and of what is shown.

        What lies in a take's place and is another file, because somebody edited it, say, is kept
        beside it. A file is read only if its length or its time of change are others than when it
        was right. A picture that nobody has any more is not shown: the pointer goes to another
        take.

        Args:
            is_there: Whether a scene or a sheet is in the story now; others show nothing.
            fetch: Has the plugin give a picture once more.
        """
        there = self.files.image_names()
        mended = PutBack()
        for scene in self.book.glances():
            scene_id, role = scene.scene_id, scene.role
            names, is_in_story = there.get(stem_of(scene_id, role), ()), is_there(scene_id)
            if is_in_story and self.files.are_right(scene, names):
                continue
            takes = self.book.takes_of(scene_id)
            gone = self._mend(takes, fetch, mended)
            if len(mended.right) >= _GROUP:
                self._note(mended)
            if is_in_story:
                self._leave_lost(takes, gone)
                left = self._settle(scene_id, role, is_odd=len(names) > 1)
                if left is None or left in mended.lost:
                    continue
                if self.files.heal(left, fetch):
                    mended.restored += 1
                    self._settle(scene_id, role)
                else:
                    mended.lost.append(left)
        self._note(mended)
        return mended

    def _mend(self, takes: Sequence[Take], fetch: Fetch | None, mended: PutBack) -> set[int]:
        """Put a scene's takes back at their places; return those that are gone for good."""
        gone: set[int] = set()
        for take, stamp in self._doubtful(takes):
            aside = None if stamp is None else self.files.set_aside(take)
            if aside is not None:
                mended.set_aside.append(aside)
            elif stamp is not None:
                mended.right.append((take.scene_id, take.number, stamp))
                continue
            if self.files.bring(take, fetch):
                mended.restored += 1
                mended.right += self._stamps([take])
                continue
            mended.lost.append(take)
            if stamp is None:
                gone.add(take.number)
        return gone

    def _note(self, mended: PutBack) -> None:
        if mended.right:
            self.book.note_stamps(mended.right)
            mended.right.clear()

    def _doubtful(self, takes: Sequence[Take]) -> Iterator[tuple[Take, Stamp | None]]:
        """Yield those takes of a scene whose files are not known to be right, and how they are."""
        right = self.book.stamps_of(takes[0].scene_id)
        for take in takes:
            stamp = self.files.stamp_of(take)
            if stamp is None or stamp != right.get(take.number):
                yield take, stamp

    def _leave_lost(self, takes: Sequence[Take], lost: set[int]) -> None:
        scene_id = takes[0].scene_id
        shown = self.book.shown(scene_id)
        if shown not in lost:
            return
        basis = next(take.basis for take in takes if take.number == shown)
        left = [take for take in takes if take.number not in lost]
        other = shown_of(left, basis, pick=self.book.pick(scene_id), shown=None)
        number = None if other is None else other.number
        self.book.point(scene_id, number, by="run", why=LOST)

    def leave(self, is_there: Callable[[str], bool]) -> list[str]:
        """Take the pictures of scenes that are not in the story any more out of ``images``.

        Their takes stay, and so does what is chosen, should they come back.

        Args:
            is_there: Whether a scene or a sheet is in the story now.

        Returns:
            The scenes whose pictures were taken out.
        """
        left: list[str] = []
        for scene_id, role in self.book.scenes():
            if is_there(scene_id):
                continue
            self._keep_edited(scene_id, role)
            if self._clear(scene_id, role, but=None):
                left.append(scene_id)
        return left

    @property
    def is_new(self) -> bool:
        """Whether the book was made just now: what lay there before is not in it."""
        return self.book.fact(BEGUN) is None

    def rebuild(self, scenes: Iterable[tuple[str, Role]]) -> list[Take]:
        """Take in the takes in ``out/takes`` that nobody has told of, after ``.story`` was lost.

        Args:
            scenes: The scenes and sheets of the story.

        Returns:
            The takes whose origin is not known.
        """
        found: list[Take] = []
        for scene_id, role in scenes:
            found += self._found(scene_id, role)
        self.book.set_fact(BEGUN, datetime.now(UTC).isoformat())
        return found

    def _found(self, scene_id: str, role: Role) -> list[Take]:
        there = self.files.lying(scene_id, role)
        if not there:
            return []
        known = {take.sha256 for take in self.book.takes_of(scene_id)}
        new: dict[str, NewTake] = {}
        for path, digest, looks, time_ns in there:
            if digest in known or digest in new:
                continue
            with path.open("rb", buffering=0) as file:
                self.files.keep(file)
            new[digest] = NewTake(
                scene_id=scene_id,
                role=role,
                sha256=digest,
                media_type=looks.media_type,
                width=looks.width,
                height=looks.height,
                plugin=None,
                cost=UNKNOWN,
                made_at=_moment(time_ns),
            )
        with self.book.transaction():
            if not self.is_new:  # another run was faster, and what lies there now is of its making
                return []
            takes = self.book.add(list(new.values()))
            self._point(scene_id, None)
        for take in takes:
            self.files.bring(take)
        self._settle(scene_id, role)
        return takes

    # ---------------------------------------------------------------------------------------------

    def _settle_all(
        self,
        scenes: Iterable[tuple[str, Role]],
        needed: Container[tuple[str, int]],
        bare: Container[tuple[str, Role]],
    ) -> None:
        """Let the files of several scenes follow the book; one that fails keeps no other from it.

        Args:
            scenes: The scenes.
            needed: Takes that are there, so that not being able to show them is an error.
            bare: Scenes of which nothing lay in ``images`` just now.
        """
        failed: HostError | None = None
        for scene_id, role in scenes:
            try:
                left = self._settle(scene_id, role, is_bare=(scene_id, role) in bare)
                if left is not None and (scene_id, left.number) in needed:
                    raise self._gone(left)
            except HostError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def _settle(
        self, scene_id: str, role: Role, *, is_odd: bool = False, is_bare: bool = False
    ) -> Take | None:
        """Let the file in ``images`` follow the book.

        Args:
            scene_id: The scene.
            role: Whether it is one, or a sheet.
            is_odd: Something lies there beside what is shown.
            is_bare: Nothing lay there just now, so that nothing is to be kept or cleared.

        Returns:
            The take that should be shown and cannot, since it is not there; what is in ``images``
            then stays.
        """
        for _ in range(_MOST_TRIES):
            number = self.book.shown(scene_id)
            take = None if number is None else self.book.take(scene_id, number)
            if take is None or is_odd or not self.files.is_shown(take):
                if not is_bare:
                    self._keep_edited(scene_id, role, is_odd=is_odd)
                    if self.book.shown(scene_id) != number:
                        continue
                if take is not None and not self._placed(take):
                    return take
                if not is_bare:
                    self._clear(scene_id, role, but=take)
                is_bare = False
            if self.book.shown(scene_id) == number:
                break
        return None

    def _placed(self, take: Take) -> bool:
        if self.files.is_shown(take):
            return True
        right = self.book.stamps_of(take.scene_id).get(take.number)
        if self.files.bring(take) and self.files.show(take, right):
            return True
        return self.files.heal(take) and self.files.show(take)

    def _clear(self, scene_id: str, role: Role, *, but: Take | None) -> bool:
        """Remove a scene's pictures in other formats from ``images``: copies of its takes alone."""
        keep = None if but is None else self.files.image_of(but).name
        takes = self.book.takes_of(scene_id)
        is_cleared = False
        for one in self._images(scene_id, role, takes):
            if one.name == keep:
                continue
            if not self._copied(one, takes):
                digest = self.files.digest_of_image(one.name)
                take = None if digest is None else _with_digest(takes, digest)
                if take is None or not self.files.bring(take):
                    continue
            self.files.remove_image(one.name)
            is_cleared = True
        return is_cleared

    def _gone(self, take: Take) -> StoryError:
        return StoryError(
            self.files.place_of(take),
            f"the picture of take {take.number} of {take.scene_id!r} is not there, or is another",
            hint="'host-stub run' puts back what the plugin still has; then try again",
        )


def has_news(survey: SceneSurvey, noted: Noted, plugin: str, *, is_guest: bool = False) -> bool:
    """Return whether :meth:`Story.learn` may have to write down what a plugin says of a scene.

    Args:
        survey: What it says.
        noted: What is noted of the scene.
        plugin: Its name in the config.
        is_guest: As for :meth:`Story.learn`.
    """
    known = {take.purchase: take for take in noted.takes if take.plugin == plugin}
    for one in survey.takes:
        take = known.get(one.purchase)
        if take is None or one.basis not in {None, take.basis}:
            return True
    if noted.shown is None:
        return bool(noted.takes)
    due = _due_of(noted, None if is_guest else survey.basis)
    return due is not None and due.number != noted.shown


def _due_of(noted: Noted, basis: str | None, *, first: int | None = None) -> Take | None:
    """Return the take that a scene is to show; ``first`` if it shows none and no rule says more."""
    shown = first if noted.shown is None else noted.shown
    return shown_of(noted.takes, basis, pick=noted.pick, shown=shown)


def _says_no_more(new: NewTake, take: Take) -> bool:
    """Return whether a take that was found again is written down with all that is said of it."""
    said = (new.basis, new.provider, new.model)
    there = (take.basis, take.provider, take.model)
    return (
        _SAME(new) == _SAME(take)
        and all(one in {None, other} for one, other in zip(said, there, strict=True))
        and bool(not new.row or new.row.get("reused"))
    )


def _with_digest(takes: Iterable[Take], digest: str) -> Take | None:
    return next((take for take in takes if take.sha256 == digest), None)


def _imported(
    scene_id: str,
    role: Role,
    picture: tuple[str, Looks],
    *,
    basis: str | None,
    made_at: datetime,
) -> NewTake:
    digest, looks = picture
    return NewTake(
        scene_id=scene_id,
        role=role,
        sha256=digest,
        media_type=looks.media_type,
        width=looks.width,
        height=looks.height,
        plugin=None,
        basis=basis,
        cost=FREE,
        is_import=True,
        made_at=made_at,
    )


def _made_at(known: KnownTake) -> float:
    return float("inf") if known.made_at is None else known.made_at.timestamp()


def _moment(time_ns: int) -> datetime:
    """Return a file's time, which anybody may set to anything."""
    try:
        return datetime.fromtimestamp(time_ns / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(time.time(), UTC)
