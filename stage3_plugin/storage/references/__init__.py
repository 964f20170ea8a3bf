"""Pictures that are shown to a model: each read once, hashed, held, and made to fit its endpoint.

A file is opened once in a run. What was read then is what its hash is of, and what every request is
sent, whatever becomes of the file: so what changes while a run goes on does not mix. Whether a
scene may name a file, :mod:`.locating` knows; where its bytes are held, :mod:`.bodies`; how a copy
is made of what an endpoint does not take, :mod:`stage3_plugin.storage.copies`. Nothing of it
outlives the run, however that ends.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import tempfile
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar, cast

import anyio
import pybase64

from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.reference import (
    BroughtPicture,
    Limits,
    MediaType,
    Reference,
    ReferenceWish,
    SentPicture,
)
from stage3_plugin.errors import (
    JobFailed,
    NoWorker,
    ReferenceRefused,
    ResourceLacking,
    StorageFailed,
    WorkerLost,
)
from stage3_plugin.executors.base import Executor
from stage3_plugin.files.folder import TEMPORARY_PREFIX
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.runtime.system_errors import hint_for, says_not_there
from stage3_plugin.storage.copies import MOST_SIDE_PX, job_of
from stage3_plugin.storage.pictures import RunBlocking
from stage3_plugin.storage.references.bodies import Bodies, Body
from stage3_plugin.storage.references.locating import Place, Places, shown
from stage3_plugin.storage.references.reading import Original, read, refused
from stage3_plugin.storage.store import PictureStore

__all__ = ["References"]

_ERRNO = re.compile(r"\[Errno (\d+)\]")
_LARGER = "show a larger picture of it"
_SAVE_SMALLER = "open it in an image program and save it as a PNG or JPEG, smaller if it is large"
_NO_COPY = "was copied, and what came of it is no picture that fits"
_DAMAGED = "is gone or damaged where pictures are stored"
_DAMAGED_HINT = "'stage3 verify' lists what is lost, and what can be done about it"
_NOT_WHAT_WAS_BROUGHT = "is not the picture any more that was brought for it"
_BRING_AGAIN = "bring it again with 'host-stub import', or show another take of it"
_Made = TypeVar("_Made")


class References:
    """The references of a run or a plan; an asynchronous context manager.

    Args:
        scenes_dir: The scene file's folder.
        project_dir: The config's.
        roots: Further folders that a scene file may name files in.
        store: Has the pictures that were made.
        state: The state folder; where there is none yet, none is made.
        copying: Does :data:`~stage3_plugin.storage.copies.WORK`; it is left with this.
        blocking: Runs disk work.
    """

    def __init__(
        self,
        *,
        scenes_dir: Path,
        project_dir: Path,
        roots: Sequence[Path] = (),
        store: PictureStore,
        state: StateDir,
        copying: Executor,
        blocking: RunBlocking,
    ) -> None:
        self._places = Places(scenes_dir, project_dir, roots)
        self._store = store
        self._state = state
        self._executor = copying
        self._blocking = blocking
        self._copying = anyio.CapacityLimiter(copying.slots)
        self._folder = state.path
        self._bodies = Bodies(state.path)
        self._made: dict[Hashable, object] = {}
        self._making: defaultdict[Hashable, anyio.Lock] = defaultdict(anyio.Lock)
        self._held: dict[str, Body] = {}
        self._holding = threading.Lock()

    async def __aenter__(self) -> Self:
        self._folder = await self._blocking(self._folder_for_files)
        self._bodies = Bodies(self._folder)
        await self._executor.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._executor.__aexit__(kind, error, trace)
        finally:
            self._held.clear()
            self._bodies.close()

    def _folder_for_files(self) -> Path:
        """Return where files go: the state folder's place for that, or the system's."""
        folder = self._state.path / "tmp"
        if self._state.path.is_dir():
            with suppress(StorageFailed):  # a plan may be made where nothing can be written
                self._state.make(folder, below=folder)
            if os.access(folder, os.W_OK | os.X_OK):
                return folder
        with on_disk(self._state.path):  # nothing here can be written at all
            return Path(tempfile.gettempdir())

    # What is asked of it -------------------------------------------------------------------------

    async def show(
        self,
        wish: ReferenceWish,
        limits: Limits,
        picture: Picture | BroughtPicture | None = None,
    ) -> Reference:
        """Return a reference, ready to be sent.

        Args:
            wish: Names a file, or the scene whose picture it is.
            limits: What the endpoint takes.
            picture: That of the scene: a stored one, or one that a host keeps; what lies there has
                to have its bytes.

        Raises:
            ReferenceRefused: It cannot be shown to a model, or is another picture; the same
                whenever it is asked.
            StorageFailed: The disk did not take it or does not give it now, or this process has no
                room for it.
        """
        try:
            original = await self._original_of(wish, picture)
            sent = await self._sent(original, replace(limits, most=None))
        except ReferenceRefused as error:
            raise _again(error, shown(wish.image)) from None
        return Reference(wish=wish, sha256=original.sha256, sent=sent)

    # How it is done ------------------------------------------------------------------------------

    async def _original_of(
        self, wish: ReferenceWish, picture: Picture | BroughtPicture | None
    ) -> Original:
        if isinstance(picture, Picture):
            return await self._original_in_store(picture.sha256)
        if picture is None:
            find = partial(self._blocking, partial(self._places.find, wish))
            place = await self._once((wish.by, wish.image), find)
        else:
            place = Place(picture.path.parent, (picture.path.name,))
        opening = partial(self._places.open, wish, place)
        original = await self._original(f"file:{place.path}", opening)
        if picture is not None and original.sha256 != picture.sha256:
            raise refused(_NOT_WHAT_WAS_BROUGHT, _BRING_AGAIN)
        return original

    async def _original_in_store(self, sha256: str) -> Original:
        """Read a stored picture, and once more where it is damaged and kept elsewhere, too."""
        opening = partial(self._stored, sha256)
        original = await self._original(f"stored:{sha256}", opening)
        if original.sha256 == sha256:
            return original
        if await self._blocking(partial(self._store.recall, sha256)):
            original = await self._original(f"recalled:{sha256}", opening)
            if original.sha256 == sha256:
                return original
        raise refused(_DAMAGED, _DAMAGED_HINT)

    def _stored(self, sha256: str) -> BinaryIO:
        try:
            return self._store.read(sha256)
        except OSError as error:
            if says_not_there(error):
                raise refused(_DAMAGED, _DAMAGED_HINT) from error
            raise StorageFailed(self._store.where(sha256), error, reading=True) from error

    async def _original(self, key: str, opening: Callable[[], BinaryIO]) -> Original:
        return await self._once(key, partial(self._blocking, partial(self._read, opening)))

    async def _sent(self, original: Original, limits: Limits) -> SentPicture:
        if original.picture is not None:
            _need_size(original.picture, limits)
            if _takes(limits, original.picture):
                return self._to_be_sent(original.picture)
        return await self._once((original.sha256, limits), partial(self._copy, original, limits))

    async def _once(self, what: Hashable, make: Callable[[], Awaitable[_Made]]) -> _Made:
        """Make something once for all who ask, also where it is found that it cannot be."""
        async with self._making[what]:
            if what not in self._made:
                try:
                    self._made[what] = await make()
                except ReferenceRefused as refusal:
                    self._made[what] = refusal
        made = self._made[what]
        if isinstance(made, ReferenceRefused):
            raise _again(made)
        return cast("_Made", made)

    async def _copy(self, original: Original, limits: Limits) -> SentPicture:
        """Have a copy made; two at once, since each job carries a whole picture."""
        async with self._copying:
            job = await self._blocking(partial(_job, original, limits))
            into = self._folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(16)}"
            try:
                await self._executor.run(job, into)
                copy = await self._blocking(partial(self._read, partial(_opened, into)))
            except ReferenceRefused as error:
                raise refused(_NO_COPY) from error
            except JobFailed as failed:
                raise _not_copied(str(failed), into) from failed
            except WorkerLost as lost:
                words = f"could not be decoded: the process that was to do it {lost.how}"
                raise refused(words, _SAVE_SMALLER) from lost
            except NoWorker as error:
                lack = OSError(errno.EAGAIN, str(error))
                words = f"no process can be started that makes copies of pictures: {error}"
                raise ResourceLacking(into, lack, words, hint=hint_for(lack)) from error
            finally:
                with anyio.CancelScope(shield=True):
                    await self._blocking(partial(into.unlink, missing_ok=True))
        if copy.picture is None or not _takes(limits, copy.picture):
            raise refused(_NO_COPY)
        _need_size(copy.picture, limits)
        return self._to_be_sent(copy.picture)

    def _to_be_sent(self, picture: Picture) -> SentPicture:
        return SentPicture(
            sha256=picture.sha256,
            # An inspector has seen that it is one.
            media_type=cast("MediaType", picture.media_type),
            size_bytes=picture.size_bytes,
            base64=lambda: self._held[picture.sha256],
        )

    def _read(self, opening: Callable[[], BinaryIO]) -> Original:
        """Read a picture; the same bytes are held once, whatever names they have."""
        original = read(opening, self._bodies)
        with self._holding:
            held = self._held.setdefault(original.sha256, original.body)
        if held is not original.body:
            self._bodies.give_back(original.body)
        return replace(original, body=held)


def _opened(path: Path) -> BinaryIO:
    with on_disk(path, reading=True):
        return path.open("rb")


def _takes(limits: Limits, picture: Picture) -> bool:
    """Return whether a picture goes as it is; one with an absurd side never does."""
    return max(picture.width_px, picture.height_px) <= MOST_SIDE_PX and limits.take(
        media_type=picture.media_type,
        size_bytes=picture.size_bytes,
        width_px=picture.width_px,
        height_px=picture.height_px,
    )


def _need_size(picture: Picture, limits: Limits) -> None:
    """Refuse a picture that would be turned away for being too small."""
    least = limits.least_side_px
    if least is not None and min(picture.width_px, picture.height_px) < least:
        size = f"{picture.width_px}x{picture.height_px}"
        raise refused(
            f"is sent as {size}, and the model takes {least}x{least} at the least", _LARGER
        )


def _job(original: Original, limits: Limits) -> bytes:
    return job_of(pybase64.b64decode(original.body[:]), limits)


def _not_copied(problem: str, into: Path) -> ReferenceRefused | StorageFailed:
    """Return why there is no copy: the picture's own fault, or the disk's that was to take it."""
    kind, _, words = problem.partition(": ")
    if kind == "Unfit":
        return refused(words, _SAVE_SMALLER)
    found = _ERRNO.search(problem)
    number = int(found[1]) if found else errno.EIO
    return StorageFailed(into.parent, OSError(number, os.strerror(number) if found else problem))


def _again(error: ReferenceRefused, image: str = "") -> ReferenceRefused:
    """Return the same refusal anew: one that is raised twice would grow with each traceback."""
    return ReferenceRefused(image, error.reason, hint=error.hint)
