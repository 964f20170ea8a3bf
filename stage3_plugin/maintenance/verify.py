"""Checks what a ledger promises: that it agrees with itself, and that every picture is there.

Checking writes nothing, and reads every picture from end to end. Apart from the ledger, which knows
no files, and from the store, which knows no purchases.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from errno import EIO
from pathlib import Path
from typing import Final, Literal, TypeAlias

from pydantic import Field

from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.states import State
from stage3_plugin.errors import (
    BucketFailed,
    LedgerFailed,
    PictureRefused,
    SettingsRefused,
    StorageFailed,
    newest_of,
)
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.maintenance import next_steps
from stage3_plugin.maintenance.next_steps import Next
from stage3_plugin.maintenance.report import Kept, Part, Report, counted, named
from stage3_plugin.maintenance.state_folder import StateFolder
from stage3_plugin.purchase.inventory import Listed, Unaccounted, beyond
from stage3_plugin.runtime.system_errors import says_not_there
from stage3_plugin.storage.bucket import Bucket
from stage3_plugin.storage.inspect import inspect_open
from stage3_plugin.storage.store import PictureStore

ProblemKind: TypeAlias = Literal[
    "ledger", "missing", "damaged", "unreadable", "different", "outdated", "store", "bucket"
]
"""What is wrong: the ledger itself, a picture that is gone, broken, not to be read now (and may be
whole), or is not as it is recorded, a ledger older than its folder, a picture that the bucket
lacks, or a bucket that cannot be listed."""


_HINTS: Final[Mapping[ProblemKind, str]] = {
    "ledger": "let no run use this ledger; keep a copy of {what}, and bring back the last copy "
    "that 'stage3 verify' finds right",
    "missing": "run the story again: it takes the copy beside it (images/) for free if nobody has "
    "changed that. Or put a copy there, of a backup, say; verify tells if it is the right one. "
    "If there is none left, 'stage3 resolve ID --resend' has the next run make it again, for "
    "another price",
    "damaged": "replace it by a copy: the one beside the story (images/), or one of a backup; "
    "verify tells whether it is the right one",
    "unreadable": "see to the disk or the permissions first, and let verify look again; do not "
    "call it lost before it can be read",
    "outdated": "bring back {newest}; until then no run starts. Or go on knowingly: after 'stage3 "
    "verify --accept-folder' runs buy again what the ledger does not know of",
    "store": "'stage3 verify --fill-store' puts it there, with --read-store also in the place of "
    "other bytes; what is missing here as well is lost",
    "bucket": "see to it, or to the credentials in this environment, and let verify look again",
    "different": "keep a copy of the state folder and report it: no run writes such a row",
}
_SCENES_NAMED: Final = 3
_AT_ONCE: Final = 12
"""Pictures that a bucket is given at a time."""
EXIT_PROBLEMS: Final = 1


class Problem(Part):
    """One thing that is wrong.

    Attributes:
        kind: See :data:`ProblemKind`.
        message: In one line.
        hint: What to do.
        path: The file.
        url: Its address, where it is about the bucket.
        scene_ids: Whose picture it is; none if it is the ledger's own.
        attempt_ids: Their purchases.
    """

    kind: ProblemKind
    message: str
    hint: str
    path: Path
    url: str | None = None
    scene_ids: tuple[str, ...] = ()
    attempt_ids: tuple[str, ...] = ()


_Owners: TypeAlias = list[tuple[str, str]]
"""The purchases that a picture is of: the attempt and the scene of each."""


class Checked(Report, frozen=False):
    """A check of a ledger and its pictures.

    Attributes:
        corrected: How many costs a person has put right.
        purchases: Those whose pictures have to be there.
        store: The bucket, if the last run had one.
        filled: How many pictures it was given now.
        only_in_store: How many it alone has.
        store_read: Whether its pictures were read; else names and lengths were compared.
        wanted: The pictures that have to be there.
        in_store: Those that the bucket has, by their hash.
        progress: Called with how many pictures are checked, and of how many.
    """

    format = "stage3-verify/1"
    ledger: StateFolder
    corrected: int = 0
    purchases: int = 0
    pictures: int = 0
    store: str | None
    filled: int = 0
    only_in_store: int = 0
    store_read: bool
    problems: list[Problem] = Field(default_factory=list[Problem])
    wanted: Kept[dict[Picture, _Owners]] = Field(default_factory=dict[Picture, _Owners])
    in_store: Kept[Collection[str]] = ()
    progress: Kept[Callable[[int, int], None]]

    @property
    def exit_code(self) -> int:
        """Return 1 where something is wrong."""
        return EXIT_PROBLEMS if self.problems else 0

    def sentences(self) -> Iterator[str]:
        """Yield every problem with its next step, and what was checked."""
        for problem in self.problems:
            scenes = named(problem.scene_ids, _SCENES_NAMED)
            of = f" of scene {scenes}" if scenes else ""
            yield f"{problem.url or problem.path}{of}: {problem.message}"
            yield f"  next: {problem.hint}"
        paid, ledger = counted(self.purchases, "paid purchase"), self.ledger.shown
        checked = f"{counted(self.pictures, 'picture')} of {paid}"
        if not self.problems:
            agrees = f"{ledger} agrees with itself"
            yield f"ok: every picture is there and whole ({checked}), and {agrees}"
        if self.filled:
            yield f"put into {self.store}: {counted(self.filled, 'picture')}"
        if self.store is not None and not self.store_read:
            compared = "was compared by names and lengths; --read-store reads its pictures"
            yield f"{self.store} {compared}"
        if self.only_in_store:
            alone = counted(self.only_in_store, "picture")
            yield f"only in {self.store}: {alone}; a run that needs one brings it back"
        if self.problems:
            yield f"{counted(len(self.problems), 'problem')} in {ledger}; {checked} checked"
        elif self.corrected:
            corrected = counted(self.corrected, "cost")
            yield f"{corrected} put right by a person; the figures that were there are kept"

    def next_steps(self) -> Iterator[Next]:
        """Yield what a problem can be mended with."""
        kinds = {problem.kind for problem in self.problems}
        if "store" in kinds:
            read = ("--read-store",) if self.store_read else ()
            yield Next(
                next_steps.stage3(self.ledger, "verify", "--fill-store", *read),
                "puts what the bucket lacks into it; nothing is taken away",
            )
        if "outdated" in kinds:
            yield Next(
                next_steps.stage3(self.ledger, "verify", "--accept-folder"),
                "goes on with a ledger that is older than its folder: runs buy again what it has "
                "forgotten",
                is_safe=False,
            )

    def want(self, ledger: Ledger) -> None:
        """Know which pictures have to be there, so that each is read once."""
        wanted: dict[Picture, list[tuple[str, str]]] = {}
        for purchase in ledger.purchases(states={State.PAID}):
            if purchase.picture is not None:  # the ledger itself refuses such a row
                owner = purchase.new.attempt_id, purchase.new.scene_id
                wanted.setdefault(purchase.picture, []).append(owner)
        self.wanted = wanted
        self.purchases, self.pictures = sum(map(len, wanted.values())), len(wanted)

    def note(
        self,
        kind: ProblemKind,
        message: str,
        *,
        at: Path,
        of: Sequence[tuple[str, str]] = (),
        url: str | None = None,
    ) -> None:
        """Note what is wrong with a file, or in the bucket."""
        is_file = self.ledger.place.is_file
        what = "its folder" if is_file else "the server's database"
        problem = Problem(
            kind=kind,
            message=message,
            hint=_HINTS[kind].format(newest=newest_of(is_file=is_file), what=what),
            path=at,
            url=url,
            scene_ids=tuple(scene_id for _, scene_id in of),
            attempt_ids=tuple(attempt_id for attempt_id, _ in of),
        )
        self.problems.append(problem)

    @contextmanager
    def damage(self, ledger: Ledger, *, is_new: bool = True) -> Generator[None]:
        """Note that a ledger is too damaged to be read, unless what is wrong was found before.

        That its disk is full, say, is no damage.
        """
        try:
            yield
        except LedgerFailed as failed:
            if failed.cause.errno != EIO:
                raise
            if is_new:
                self.note("ledger", failed.problem, at=ledger.path)

    def look_at_folder(self, ledger: Ledger, listed: Listed | StorageFailed) -> None:
        """Look whether the folder holds more than the ledger can account for."""
        if isinstance(listed, StorageFailed):
            message = f"what lies there cannot be told now ({listed.cause.strerror})"
            self.note("unreadable", message, at=listed.path)
        elif (more := beyond(listed, ledger)) is not None:
            message = f"this ledger is older than its folder: no purchase is known for {more}"
            self.note("outdated", message, at=ledger.path)

    def look_into(self, address: str, *, fill: bool) -> None:
        """See what a bucket lacks of the pictures, and fill it if that is asked for."""
        try:
            self._compare(Bucket.at(address), fill=fill)
        except (SettingsRefused, BucketFailed) as failed:
            if fill:
                raise
            hint = f" ({failed.hint})" if isinstance(failed, SettingsRefused) else ""
            self.note("bucket", f"{failed.problem}{hint}", at=self.ledger.path, url=address)

    def _compare(self, bucket: Bucket, *, fill: bool) -> None:
        wanted, store = self.wanted, self.ledger.store
        names = {picture.sha256 for picture in wanted}
        there = {sha256: size for sha256, size in bucket.sizes() if sha256 in names}
        found = {one: _what_lacks(one, there.get(one.sha256)) for one in wanted}
        for done, one in enumerate(wanted if self.store_read else ()):
            self.progress(done, len(wanted))
            if found[one] is None and not _is_whole(bucket, one.sha256):
                found[one] = "the bucket has other bytes by its name"
        lacks = {picture: why for picture, why in found.items() if why is not None}
        filled = _fill(bucket, store, lacks, self.progress) if fill else set[str]()
        has = {picture.sha256 for picture in wanted if picture not in lacks} | filled
        for picture, why in lacks.items():
            if (sha256 := picture.sha256) not in has:
                at, url = store.where(sha256), bucket.url_of(sha256)
                self.note("store", why, at=at, of=wanted[picture], url=url)
        self.in_store, self.filled = has, len(filled)

    def look_at_pictures(self) -> None:
        """Look at each picture."""
        store = self.ledger.store
        for done, (picture, owners) in enumerate(self.wanted.items()):
            self.progress(done, len(self.wanted))
            wrong = _what_is_wrong(picture, store)
            if wrong is not None and wrong[0] == "missing" and picture.sha256 in self.in_store:
                self.only_in_store += 1
            elif wrong is not None:
                self.note(*wrong, at=store.where(picture.sha256), of=owners)
        self.progress(len(self.wanted), len(self.wanted))


class Accepted(Report):
    """What was accepted in a folder that its ledger does not know."""

    format = "stage3-accepted/1"
    ledger: StateFolder
    answers: list[str]
    pictures: list[str]
    more: Kept[Unaccounted | None]

    def sentences(self) -> Iterator[str]:
        """Say what."""
        if self.more is None:
            all_ = f"{self.ledger.shown} accounts for all that is in its folder"
            yield f"{all_}; nothing was to be accepted"
        else:
            again = "runs start again, and buy again what it has forgotten"
            yield f"accepted in {self.ledger.shown}: {self.more}; {again}"

    def next_steps(self) -> Iterator[Next]:
        """Yield the check."""
        yield next_steps.checking(self.ledger)


def verify(
    folder: StateFolder,
    *,
    fill_store: bool = False,
    read_store: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Checked:
    """Check that the ledger agrees with itself, and that every picture it speaks of is there.

    Reads every picture from end to end: its hash and its structure have to be right.

    Args:
        folder: What to check.
        fill_store: Put what the bucket lacks into it.
        read_store: Read what the bucket has, too; else names and lengths are compared.
        progress: Called with how many pictures are checked, and of how many.

    Raises:
        LedgerMissing: There is no ledger.
        LedgerFailed: It cannot be opened at all, or cannot be read now: that is no damage.
        SettingsRefused: A bucket is to be filled, and the last run had none, or one that cannot
            be used so.
        BucketFailed: It is to be filled, and does not let us.
    """
    address = folder.store_address()
    check = Checked(ledger=folder, store=address, store_read=read_store, progress=progress)
    if address is None and fill_store:
        raise SettingsRefused(
            "store",
            "the last run had no bucket that could be filled",
            hint="set it, and run the story once more: nothing is bought again",
        )
    try:
        listed: Listed | StorageFailed = Listed.of(folder.store, folder.spool)
    except StorageFailed as failed:
        listed = failed
    with folder.reading() as ledger:
        with check.damage(ledger):
            for problem in ledger.problems():
                check.note("ledger", problem, at=ledger.path)
        with check.damage(ledger, is_new=not check.problems):
            check.want(ledger)
            check.corrected = len(ledger.corrections())
            check.look_at_folder(ledger, listed)
    if address is not None:
        check.look_into(address, fill=fill_store)
    check.look_at_pictures()
    return check


def accept(folder: StateFolder, *, now: datetime) -> Accepted:
    """Record that a person knows what the folder holds beyond the ledger.

    Runs start again then, and buy it again. A ledger that is not there is begun.

    Raises:
        LedgerMissing: There is no ledger, and nothing in the folder.
        LedgerFailed: It cannot be changed.
    """
    listed = Listed.of(folder.store, folder.spool)
    if not (listed.answers or listed.pictures) and not folder.place.exists():
        raise folder.missing()
    with folder.place.open() as ledger, ledger.transaction():
        more = beyond(listed, ledger)
        if more is not None:
            ledger.acknowledge(more.answers | more.pictures, now=now)
    return Accepted(
        ledger=folder,
        answers=sorted(more.answers) if more else [],
        pictures=sorted(more.pictures) if more else [],
        more=more,
    )


def _what_is_wrong(recorded: Picture, store: PictureStore) -> tuple[ProblemKind, str] | None:
    try:
        with store.read(recorded.sha256) as file:
            seen = inspect_open(file, max_pixels=recorded.width_px * recorded.height_px).picture
    except IsADirectoryError:
        return "missing", "the picture is not there: that is no file"
    except PictureRefused as refused:
        return "damaged", f"the picture is damaged: {refused}"
    except (StorageFailed, OSError) as failed:
        cause = failed.cause if isinstance(failed, StorageFailed) else failed
        if says_not_there(cause):
            return "missing", "the picture is not there"
        return "unreadable", (
            f"the picture cannot be read now ({cause.strerror or type(cause).__name__}), so nobody "
            "can say whether it is whole"
        )
    if seen.sha256 != recorded.sha256:
        return "damaged", f"the picture is another one: its SHA-256 is {seen.sha256}"
    if seen != recorded:
        return "different", "the picture is whole, but the ledger describes it differently"
    return None


def _what_lacks(picture: Picture, size: int | None) -> str | None:
    """Say what is wrong with a picture in a bucket, as far as a list of names shows."""
    if size is None:
        return "the bucket lacks it"
    if size != picture.size_bytes:
        return f"the bucket has {size:,} bytes of its {picture.size_bytes:,}"
    return None


def _is_whole(bucket: Bucket, sha256: str) -> bool:
    """Return whether what a bucket has by a picture's name are its bytes; reads all of them."""
    digest = hashlib.sha256()
    return bucket.get(sha256, digest.update) and digest.hexdigest() == sha256


def _fill(
    bucket: Bucket,
    store: PictureStore,
    lacking: Collection[Picture],
    progress: Callable[[int, int], None],
) -> set[str]:
    """Put pictures into a bucket that lacks them, each as it is in the store, whole.

    Returns:
        Which; those that the store lacks too are not among them.

    Raises:
        StorageFailed: One cannot be read or written; those before it are there.
    """
    filled = set[str]()

    def put(picture: Picture) -> None:
        if store.holds(picture.sha256):
            bucket.put(picture.sha256, store.where(picture.sha256), picture.media_type)
            filled.add(picture.sha256)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for done, _ in enumerate(threads.map(put, lacking)):
            progress(done, len(lacking))
    return filled
