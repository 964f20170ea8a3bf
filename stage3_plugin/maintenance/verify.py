"""Checks what a ledger promises: that it agrees with itself, and that every picture is there.

Checking writes nothing, and reads every picture from end to end. Apart from the ledger, which knows
no files, and from the store, which knows no purchases.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from errno import EIO
from pathlib import Path
from typing import ClassVar, Final, Literal, TypeAlias

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
from stage3_plugin.maintenance.report import Report, Told, counted, named
from stage3_plugin.maintenance.state_folder import StateFolder
from stage3_plugin.purchase.inventory import Listed, beyond
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
EXIT_PROBLEMS: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified(Report):
    """What :func:`verify` found.

    Attributes:
        ledger: Whose.
        corrected: How many costs a person has put right.
        purchases: How many of the ledger's purchases have a picture.
        pictures: How many different pictures those are.
        store: The address of the bucket, if the last run had one.
        filled: How many pictures it was given now.
        store_read: What it has was read, and not only listed.
        only_in_store: How many pictures it alone has: a run that needs one brings it back.
        problems: What is wrong.
    """

    FORMAT: ClassVar[str] = "stage3-verify/1"
    ledger: StateFolder
    corrected: int
    purchases: int
    pictures: int
    store: str | None
    filled: int
    store_read: bool
    only_in_store: int
    problems: tuple[Problem, ...]

    def told(self) -> Iterator[str]:
        """Yield every problem with its next step, and what was checked."""
        for problem in self.problems:
            scenes = named(problem.scene_ids, _SCENES_NAMED)
            of = f" of scene {scenes}" if scenes else ""
            yield f"{problem.url or problem.path}{of}: {problem.message}"
            yield f"  next: {problem.hint}"
        paid = counted(self.purchases, "paid purchase")
        checked, ledger = f"{counted(self.pictures, 'picture')} of {paid}", self.ledger.shown
        if not self.problems:
            agrees = f"{ledger} agrees with itself"
            yield f"ok: every picture is there and whole ({checked}), and {agrees}"
        if self.filled:
            yield f"put into {self.store}: {counted(self.filled, 'picture')}"
        if self.store is not None and not self.store_read:
            yield f"{self.store} was compared by names and lengths; --read-store reads its pictures"
        if self.only_in_store:
            alone = counted(self.only_in_store, "picture")
            yield f"only in {self.store}: {alone}; a run that needs one brings it back"
        if self.problems:
            yield f"{counted(len(self.problems), 'problem')} in {ledger}; {checked} checked"
        elif self.corrected:
            corrected = counted(self.corrected, "cost")
            yield f"{corrected} put right by a person; the figures that were there are kept"

    @property
    def exit_code(self) -> int:
        """Return whether something is wrong."""
        return EXIT_PROBLEMS if self.problems else 0

    def steps(self) -> Iterator[Next]:
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


@dataclass(slots=True)
class _Wanted:
    """A picture that has to be there, and the purchases it belongs to."""

    picture: Picture
    attempt_ids: list[str] = field(default_factory=list[str])
    scene_ids: list[str] = field(default_factory=list[str])


def verify(
    folder: StateFolder,
    *,
    fill_store: bool = False,
    read_store: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Verified:
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
    far = _FarSide(folder, fill=fill_store, read=read_store, progress=progress)
    far.open()
    listed = _listed(folder)
    with folder.reading() as ledger:
        problems = list(_of_ledger(ledger, folder))
        wanted: dict[Picture, _Wanted] = {}
        corrected = 0
        try:
            wanted = _pictures(ledger)
            corrected = len(ledger.corrections())
            if isinstance(listed, Listed):
                problems += _of_folder(listed, ledger, folder)
            else:
                problems.append(listed)
        except LedgerFailed as failed:
            if not _is_damage(failed):
                raise
            # What is wrong was found before it failed, or is this failure.
            problems = problems or [_problem(folder, "ledger", failed.problem, at=ledger.path)]
    far.look(wanted)
    problems.extend(far.problems)
    only_in_store = 0
    for done, one in enumerate(wanted.values()):
        progress(done, len(wanted))
        found = _check(one, folder)
        if found is not None and found.kind == "missing" and one.picture.sha256 in far.has:
            only_in_store += 1
        elif found is not None:
            problems.append(found)
    progress(len(wanted), len(wanted))
    return Verified(
        ledger=folder,
        corrected=corrected,
        purchases=sum(len(one.attempt_ids) for one in wanted.values()),
        pictures=len(wanted),
        store=far.address,
        filled=far.filled,
        store_read=read_store,
        only_in_store=only_in_store,
        problems=tuple(problems),
    )


def _problem(
    folder: StateFolder,
    kind: ProblemKind,
    message: str,
    *,
    at: Path,
    of: _Wanted | None = None,
    url: str | None = None,
) -> Problem:
    is_file = folder.place.is_file
    what = "its folder" if is_file else "the server's database"
    return Problem(
        kind=kind,
        message=message,
        hint=_HINTS[kind].format(newest=newest_of(is_file=is_file), what=what),
        path=at,
        url=url,
        scene_ids=() if of is None else tuple(of.scene_ids),
        attempt_ids=() if of is None else tuple(of.attempt_ids),
    )


@dataclass(slots=True)
class _FarSide:
    """What a bucket has, and lacks.

    Attributes:
        folder: Whose bucket it is.
        fill: Put what it lacks there.
        read: Read what it has.
        progress: Called with how many are there, and of how many.
        address: Where it is.
        has: The pictures that are there, by name and length.
        problems: What is wrong there.
        filled: How many it was given.
    """

    folder: StateFolder
    fill: bool
    read: bool
    progress: Callable[[int, int], None]
    address: str | None = None
    has: set[str] = field(default_factory=set[str])
    problems: list[Problem] = field(default_factory=list[Problem])
    filled: int = 0
    _bucket: Bucket | None = None

    def open(self) -> None:
        """Open the bucket that the last run had; one that cannot be used so is a problem."""
        self.address = self.folder.store_address()
        if self.address is None:
            if self.fill:
                raise SettingsRefused(
                    "store",
                    "the last run had no bucket that could be filled",
                    hint="set it, and run the story once more: nothing is bought again",
                )
            return
        try:
            self._bucket = Bucket.at(self.address)
        except SettingsRefused as refused:
            if self.fill:
                raise
            self._note(f"{refused.problem} ({refused.hint})")

    def look(self, wanted: Mapping[Picture, _Wanted]) -> None:
        """See what it lacks of these pictures, and fill it if that is asked for."""
        if self._bucket is None:
            return
        try:
            there = sizes_of(self._bucket, wanted)
            found = {one: what_lacks(one, there) for one in wanted}
            for done, one in enumerate(wanted if self.read else ()):
                self.progress(done, len(wanted))
                if found[one] is None and not is_whole(self._bucket, one.sha256):
                    found[one] = "the bucket has other bytes by its name"
        except BucketFailed as failed:
            if self.fill:
                raise
            self._note(failed.problem)
            return
        lacks = {picture: why for picture, why in found.items() if why is not None}
        self.has = {picture.sha256 for picture in wanted if picture not in lacks}
        if self.fill:
            filled = fill(self._bucket, self.folder.store, lacks, progress=self.progress)
            self.filled = len(filled)
            self.has |= filled
        for picture, why in lacks.items():
            if picture.sha256 not in self.has:
                at = self.folder.store.where(picture.sha256)
                url = self._bucket.url_of(picture.sha256)
                lacking = _problem(self.folder, "store", why, at=at, of=wanted[picture], url=url)
                self.problems.append(lacking)

    def _note(self, message: str) -> None:
        found = _problem(self.folder, "bucket", message, at=self.folder.path, url=self.address)
        self.problems.append(found)


def _listed(folder: StateFolder) -> Listed | Problem:
    """Name what lies in the folder, or say that this cannot be done now."""
    try:
        return Listed.of(folder.store, folder.spool)
    except StorageFailed as failed:
        message = f"what lies there cannot be told now ({failed.cause.strerror})"
        return _problem(folder, "unreadable", message, at=failed.path)


def _of_folder(listed: Listed, ledger: Ledger, folder: StateFolder) -> Iterator[Problem]:
    """Return what the folder holds beyond what the ledger can account for."""
    more = beyond(listed, ledger)
    if more is not None:
        message = f"this ledger is older than its folder: no purchase is known for {more}"
        yield _problem(folder, "outdated", message, at=ledger.path)


def accept(folder: StateFolder, *, now: datetime) -> Told:
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
    told = f"{folder.shown} accounts for all that is in its folder; nothing was to be accepted"
    if more is not None:
        again = "runs start again, and buy again what it has forgotten"
        told = f"accepted in {folder.shown}: {more}; {again}"
    return Told(
        next_steps=[next_steps.checking(folder)],
        document={
            "format": "stage3-accepted/1",
            "ledger": folder,
            "answers": set[str]() if more is None else more.answers,
            "pictures": set[str]() if more is None else more.pictures,
        },
        sentences=[told],
    )


def _of_ledger(ledger: Ledger, folder: StateFolder) -> Iterator[Problem]:
    """Return what is wrong with the ledger itself."""
    try:
        for problem in ledger.problems():
            yield _problem(folder, "ledger", problem, at=ledger.path)
    except LedgerFailed as failed:
        if not _is_damage(failed):
            raise
        # So damaged that it cannot check itself.
        yield _problem(folder, "ledger", failed.problem, at=ledger.path)


def _is_damage(failed: LedgerFailed) -> bool:
    """Return whether something is wrong with the ledger, and not with its disk being full, say."""
    return failed.cause.errno == EIO


def _pictures(ledger: Ledger) -> dict[Picture, _Wanted]:
    """Return the pictures of all purchases, so that each is read once."""
    wanted: dict[Picture, _Wanted] = {}
    for purchase in ledger.purchases(states={State.PAID}):
        if purchase.picture is None:  # the ledger itself refuses such a row
            continue
        one = wanted.setdefault(purchase.picture, _Wanted(purchase.picture))
        one.attempt_ids.append(purchase.new.attempt_id)
        one.scene_ids.append(purchase.new.scene_id)
    return wanted


def _check(wanted: _Wanted, folder: StateFolder) -> Problem | None:
    """Return what is wrong with one picture."""
    found = _what_is_wrong(wanted.picture, folder.store)
    if found is None:
        return None
    return _problem(folder, *found, at=folder.store.where(wanted.picture.sha256), of=wanted)


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


_AT_ONCE = 12


def sizes_of(bucket: Bucket, wanted: Iterable[Picture]) -> dict[str, int]:
    """Return which of these pictures a bucket has, with their lengths there in bytes.

    Raises:
        BucketFailed: It cannot be listed.
    """
    names = {picture.sha256 for picture in wanted}
    return {sha256: size for sha256, size in bucket.sizes() if sha256 in names}


def what_lacks(picture: Picture, there: Mapping[str, int]) -> str | None:
    """Say what is wrong with a picture in a bucket, as far as a list of names shows."""
    size = there.get(picture.sha256)
    if size is None:
        return "the bucket lacks it"
    if size != picture.size_bytes:
        return f"the bucket has {size:,} bytes of its {picture.size_bytes:,}"
    return None


def is_whole(bucket: Bucket, sha256: str) -> bool:
    """Return whether what a bucket has by a picture's name are its bytes; reads all of them.

    Raises:
        BucketFailed: It cannot be read.
    """
    digest = hashlib.sha256()
    return bucket.get(sha256, digest.update) and digest.hexdigest() == sha256


def fill(
    bucket: Bucket,
    store: PictureStore,
    lacking: Iterable[Picture],
    *,
    progress: Callable[[int, int], None],
) -> frozenset[str]:
    """Put pictures into a bucket that lacks them, each as it is in the store, whole.

    Returns:
        Which; those that the store lacks too are not among them.

    Raises:
        StorageFailed: One cannot be read or written; those before it are there.
    """
    pictures = list(lacking)
    filled: set[str] = set()

    def put(picture: Picture) -> str | None:
        if not store.holds(picture.sha256):
            return None
        bucket.put(picture.sha256, store.where(picture.sha256), picture.media_type)
        return picture.sha256

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for done, sha256 in enumerate(threads.map(put, pictures)):
            progress(done, len(pictures))
            if sha256 is not None:
                filled.add(sha256)
    return frozenset(filled)
