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
from typing import Literal, TypeAlias

from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.states import State
from stage3_plugin.errors import (
    BucketFailed,
    LedgerFailed,
    PictureRefused,
    SettingsRefused,
    StorageFailed,
)
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.maintenance.state_folder import StateFolder
from stage3_plugin.purchase.inventory import Listed, Unaccounted, beyond
from stage3_plugin.runtime.system_errors import says_not_there
from stage3_plugin.storage.base import PictureStore
from stage3_plugin.storage.bucket import Bucket
from stage3_plugin.storage.inspect import inspect_open

ProblemKind: TypeAlias = Literal[
    "ledger", "missing", "damaged", "unreadable", "different", "outdated", "store", "bucket"
]
"""What is wrong: the ledger itself, a picture that is gone, broken, not to be read now (and may be
whole), or is not as it is recorded, a ledger older than its folder, a picture that the bucket
lacks, or a bucket that cannot be listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: See :data:`ProblemKind`.
        message: In one line.
        path: The file.
        scene_ids: Whose picture it is; none if it is the ledger's own.
        attempt_ids: Their purchases.
        url: Its address, where it is about the bucket.
    """

    kind: ProblemKind
    message: str
    path: Path
    scene_ids: tuple[str, ...] = ()
    attempt_ids: tuple[str, ...] = ()
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What :func:`verify` found.

    Attributes:
        purchases: How many of the ledger's purchases have a picture.
        pictures: How many different pictures those are.
        problems: What is wrong.
        corrected: How many costs a person has put right.
        store: The address of the bucket, if the last run had one.
        filled: How many pictures it was given now.
        is_store_read: What it has was read, and not only listed.
        only_in_store: How many pictures it alone has: a run that needs one brings it back.
    """

    purchases: int
    pictures: int
    problems: tuple[Problem, ...]
    corrected: int = 0
    store: str | None = None
    filled: int = 0
    is_store_read: bool = False
    only_in_store: int = 0


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
    far = _FarSide(fill=fill_store, read=read_store, progress=progress)
    far.open(folder)
    listed = _listed(folder)
    with folder.reading() as ledger:
        problems = list(_of_ledger(ledger))
        wanted: dict[Picture, _Wanted] = {}
        corrected = 0
        try:
            wanted = _pictures(ledger)
            corrected = len(ledger.corrections())
            if isinstance(listed, Listed):
                problems += _of_folder(listed, ledger)
            else:
                problems.append(listed)
        except LedgerFailed as failed:
            if not _is_damage(failed):
                raise
            # What is wrong was found before it failed, or is this failure.
            problems = problems or [_ledger_problem(ledger, failed.problem)]
    far.look(wanted, folder)
    problems.extend(far.problems)
    only_in_store = 0
    for done, one in enumerate(wanted.values()):
        progress(done, len(wanted))
        found = _check(one, folder.store)
        if found is not None and found.kind == "missing" and one.picture.sha256 in far.has:
            only_in_store += 1
        elif found is not None:
            problems.append(found)
    progress(len(wanted), len(wanted))
    purchases = sum(len(one.attempt_ids) for one in wanted.values())
    return Verified(
        purchases=purchases,
        pictures=len(wanted),
        problems=tuple(problems),
        corrected=corrected,
        store=far.address,
        filled=far.filled,
        is_store_read=read_store,
        only_in_store=only_in_store,
    )


@dataclass(slots=True)
class _FarSide:
    """What a bucket has, and lacks.

    Attributes:
        fill: Put what it lacks there.
        read: Read what it has.
        progress: Called with how many are there, and of how many.
        address: Where it is.
        has: The pictures that are there, by name and length.
        problems: What is wrong there.
        filled: How many it was given.
    """

    fill: bool
    read: bool
    progress: Callable[[int, int], None]
    address: str | None = None
    has: set[str] = field(default_factory=set[str])
    problems: list[Problem] = field(default_factory=list[Problem])
    filled: int = 0
    _bucket: Bucket | None = None

    def open(self, folder: StateFolder) -> None:
        """Open the bucket that the last run had; one that cannot be used so is a problem."""
        self.address = folder.store_address()
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
            self._note(f"{refused.problem} ({refused.hint})", folder)

    def look(self, wanted: Mapping[Picture, _Wanted], folder: StateFolder) -> None:
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
            self._note(failed.problem, folder)
            return
        lacks = {picture: why for picture, why in found.items() if why is not None}
        self.has = {picture.sha256 for picture in wanted if picture not in lacks}
        if self.fill:
            filled = fill(self._bucket, folder.store, lacks, progress=self.progress)
            self.filled = len(filled)
            self.has |= filled
        self.problems += (
            Problem(
                kind="store",
                message=why,
                path=folder.store.where(picture.sha256),
                scene_ids=tuple(wanted[picture].scene_ids),
                attempt_ids=tuple(wanted[picture].attempt_ids),
                url=self._bucket.url_of(picture.sha256),
            )
            for picture, why in lacks.items()
            if picture.sha256 not in self.has
        )

    def _note(self, message: str, folder: StateFolder) -> None:
        self.problems.append(
            Problem(kind="bucket", message=message, path=folder.path, url=self.address)
        )


def _listed(folder: StateFolder) -> Listed | Problem:
    """Name what lies in the folder, or say that this cannot be done now."""
    try:
        return Listed.of(folder.store, folder.spool)
    except StorageFailed as failed:
        message = f"what lies there cannot be told now ({failed.cause.strerror})"
        return Problem(kind="unreadable", message=message, path=failed.path)


def _of_folder(listed: Listed, ledger: Ledger) -> Iterator[Problem]:
    """Return what the folder holds beyond what the ledger can account for."""
    more = beyond(listed, ledger)
    if more is not None:
        message = f"this ledger is older than its folder: no purchase is known for {more}"
        yield Problem(kind="outdated", message=message, path=ledger.path)


def accept(folder: StateFolder, *, now: datetime) -> Unaccounted | None:
    """Record that a person knows what the folder holds beyond the ledger.

    Runs start again then, and buy it again. A ledger that is not there is begun.

    Returns:
        What was accepted; ``None`` if there was nothing.

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
    return more


def _of_ledger(ledger: Ledger) -> Iterator[Problem]:
    """Return what is wrong with the ledger itself."""
    try:
        for problem in ledger.problems():
            yield _ledger_problem(ledger, problem)
    except LedgerFailed as failed:
        if not _is_damage(failed):
            raise
        # So damaged that it cannot check itself.
        yield _ledger_problem(ledger, failed.problem)


def _is_damage(failed: LedgerFailed) -> bool:
    """Return whether something is wrong with the ledger, and not with its disk being full, say."""
    return failed.cause.errno == EIO


def _ledger_problem(ledger: Ledger, message: str) -> Problem:
    return Problem(kind="ledger", message=message, path=ledger.path)


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


def _check(wanted: _Wanted, store: PictureStore) -> Problem | None:
    """Return what is wrong with one picture."""
    found = _what_is_wrong(wanted.picture, store)
    if found is None:
        return None
    kind, message = found
    return Problem(
        kind=kind,
        message=message,
        path=store.where(wanted.picture.sha256),
        scene_ids=tuple(wanted.scene_ids),
        attempt_ids=tuple(wanted.attempt_ids),
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
