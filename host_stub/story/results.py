"""The pictures in the folder of results: every take, and of each scene the shown one.

::

    out/takes/<stem>/<first 12 of sha256>.<ext>     every take, by its content
    out/images/<stem>.<ext>                         the shown one: a whole copy, renamed into place

A copy in ``images/`` is known by its length and its time of change, which is the take's but for the
part of a second: that is of the picture's digest, since two takes may be made in one tick of the
clock. Where a disk keeps no parts of a second, the file is read instead. Copies and never links,
because people edit pictures where they find them.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final, TypeAlias

from host_stub.contract import Role
from host_stub.errors import ResultsNotWritten
from host_stub.story.database import OBJECTS
from host_stub.story.files import ASIDE, Folder, digest_of
from host_stub.story.pictures import EXTENSIONS, MOST_BYTES, Looks, extension_of, look_at
from host_stub.story.takes import Glance, NewTake, Stamp
from host_stub.text.file_names import stem_of

IMAGES: Final = "images"
TAKES: Final = "takes"
KEPT: Final = "kept"
"""A folder in ``images``: files that had a picture's name, and are no pictures."""

Fetch: TypeAlias = Callable[[str, Path], bool]
"""Puts the picture with a digest whole at a path where nothing is, and returns whether it could."""

_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file in ``images`` that has the name of a scene's picture.

    Attributes:
        name: Its name there.
        size_bytes: Its length.
        time_ns: Its time of change.
    """

    name: str
    size_bytes: int
    time_ns: int


class ResultFiles:
    """The files of one folder of results, and the bytes that the story keeps for them.

    Args:
        out_dir: The folder of results; it need not be there.
        folder: The story's own.

    Raises:
        ResultsNotWritten: In every method: the disk or the system did not let us.
    """

    def __init__(self, out_dir: Path, folder: Path) -> None:
        self.out_dir = out_dir
        self._folder = folder
        # As texts: pathlib takes ten times as long, and a story has thousands of files.
        self._takes, self._images = os.fspath(out_dir / TAKES), os.fspath(out_dir / IMAGES)

    # Takes ---------------------------------------------------------------------------------------

    def place_for(self, scene_id: str, *, role: Role, sha256: str, media_type: str) -> Path:
        """Return where a take lies: the same picture always at the same place."""
        stem = stem_of(scene_id, role)
        return self.out_dir / f"{TAKES}/{stem}/{sha256[:12]}.{extension_of(media_type)}"

    def place_of(self, take: NewTake) -> Path:
        """Return where a take lies."""
        return self.place_for(
            take.scene_id, role=take.role, sha256=take.sha256, media_type=take.media_type
        )

    def bytes_of(self, take: NewTake) -> Path:
        """Return a file with a take's bytes: the one that the story keeps, else one in ``out``."""
        kept = self._folder / OBJECTS / take.sha256
        places = (kept, self.place_of(take), self.image_of(take))
        return next((place for place in places if place.is_file()), kept)

    def lies_among_takes(self, scene_id: str, role: Role, found: Found, digest: str) -> bool:
        """Return whether a picture in ``images`` lies among its scene's takes as well."""
        name = f"{digest[:12]}{Path(found.name).suffix}"
        stamp = _stamp_of(self.out_dir / TAKES / stem_of(scene_id, role) / name)
        return stamp is not None and stamp[0] == found.size_bytes

    def place(self, take: NewTake, picture: Path, *, durable: bool = True) -> None:
        """Copy a picture to its place among the takes; nothing happens if it is there.

        Args:
            take: What it is.
            picture: Where it is.
            durable: No power cut takes it away again.

        Raises:
            OSError: The disk did not let us, the bytes are others by now, or another file lies at
                the place; that is as it was.
        """
        place, sha256 = self.place_of(take), take.sha256
        name = place.name
        with (
            picture.open("rb", buffering=0) as source,
            Folder.opened(self.out_dir, TAKES, place.parent.name, make=True) as folder,
        ):
            if folder.details(name) is not None:
                with folder.reading(name) as lying:
                    if digest_of(lying) == sha256:
                        return
                there = "another file lies in a take's place"
                raise FileExistsError(errno.EEXIST, there, str(place))
            if not folder.put(name, source, sha256=sha256, durable=durable):
                raise OSError(f"{picture} was changed while it was copied")
            if durable:
                folder.sync()

    def has(self, take: NewTake) -> bool:
        """Return whether there is a file where a take lies; reads none of it."""
        return self.stamp_of(take) is not None

    def stamp_of(self, take: NewTake) -> Stamp | None:
        """Return how the file is where a take lies, if there is one; reads none of it."""
        folder = f"{self._takes}{os.sep}{stem_of(take.scene_id, take.role)}"
        name = f"{take.sha256[:12]}.{extension_of(take.media_type)}"
        return _stamp_of(f"{folder}{os.sep}{name}")

    def bring(self, take: NewTake, fetch: Fetch | None = None) -> bool:
        """See to it that a take lies at its place; return whether it does.

        What is there is left alone. Else its bytes are the story's, or those of its copy in
        ``images``, or the plugin gives them once more.
        """
        if self.has(take):
            return True
        place = self.place_of(take)
        with _told(place), Folder.opened(self.out_dir, TAKES, place.parent.name, make=True) as into:
            for source in self._sources(take):
                with source as file:
                    if file is not None and into.put(place.name, file, sha256=take.sha256):
                        return True
            return fetch is not None and self._fetched(take, fetch, into, place.name)

    def heal(self, take: NewTake, fetch: Fetch | None = None) -> bool:
        """See to it that a take lies at its place with its own bytes; return whether it does.

        What lies there with others is kept beside it.
        """
        self.set_aside(take)
        return self.bring(take, fetch)

    def set_aside(self, take: NewTake) -> Path | None:
        """Move what lies in a take's place with other bytes, since somebody edited it, say.

        Returns:
            Where that lies now, beside the take; ``None`` if nothing was to be moved.
        """
        place = self.place_of(take)
        with _told(place):
            try:
                with Folder.opened(self.out_dir, TAKES, place.parent.name) as folder:
                    details = folder.details(place.name)
                    if details is None or not details.st_size:
                        return None
                    with folder.reading(place.name) as file:
                        digest = digest_of(file)
                    if digest == take.sha256:
                        return None
                    aside = f"{digest[:12]}{place.suffix}"
                    folder.adopt(place.name, aside)
                    return folder.path / aside
            except FileNotFoundError:
                return None

    def _sources(self, take: NewTake) -> Iterator[AbstractContextManager[FileIO | None]]:
        yield self._opened(self._folder, OBJECTS, take.sha256)
        yield self._opened_image(image_name(take))

    @contextmanager
    def _opened(self, top: Path, part: str, name: str) -> Generator[FileIO | None]:
        """Open a file, if it is there; a link is none, wherever it leads."""
        try:
            with Folder.opened(top, part) as folder:
                is_file = folder.details(name) is not None
                with folder.reading(name) if is_file else nullcontext() as file:
                    yield file
        except FileNotFoundError:
            yield None

    @contextmanager
    def _opened_image(self, name: str) -> Generator[FileIO | None]:
        """Open a file in ``images``, if it is there and no larger than a picture may be."""
        with self._opened(self.out_dir, IMAGES, name) as file:
            is_large = file is not None and os.fstat(file.fileno()).st_size > MOST_BYTES
            yield None if is_large else file

    def _fetched(self, take: NewTake, fetch: Fetch, into: Folder, name: str) -> bool:
        aside = f"{ASIDE}{secrets.token_hex(16)}"
        try:
            if not fetch(take.sha256, into.path / aside):
                return False
            with into.reading(aside) as file:
                if digest_of(file) != take.sha256:
                    return False
            into.adopt(aside, name)
        finally:
            into.remove(aside)
        return True

    def keep_bytes(self, take: NewTake) -> None:
        """Have the story keep a take's bytes, durably: nobody else does."""
        place = self.place_of(take)
        with _told(place), Folder.opened(self._folder, OBJECTS) as objects:
            if objects.details(take.sha256) is not None:
                return
            with (
                Folder.opened(self.out_dir, TAKES, place.parent.name) as folder,
                folder.reading(place.name) as file,
            ):
                if not objects.put(take.sha256, file, sha256=take.sha256, durable=True):
                    raise OSError(errno.EIO, "it is not the picture that was delivered", str(place))
            objects.sync()

    def keeps(self, take: NewTake) -> bool:
        """Return whether the story keeps a take's bytes."""
        return _stamp_of(self._folder / OBJECTS / take.sha256) is not None

    def keep(self, file: FileIO) -> str:
        """Have the story keep the bytes of an open file, durably; return their digest."""
        with _told(self._folder / OBJECTS), Folder.opened(self._folder, OBJECTS) as objects:
            return objects.put_by_digest(file)

    def lying(self, scene_id: str, role: Role) -> list[tuple[Path, str, Looks, int]]:
        """Return the pictures among a scene's takes: path, digest, looks and time of change."""
        stem = stem_of(scene_id, role)
        found: list[tuple[Path, str, Looks, int]] = []
        try:
            with Folder.opened(self.out_dir, TAKES, stem) as folder:
                for name in folder.names():
                    details = folder.details(name)
                    if details is None:
                        continue
                    with folder.reading(name) as file:
                        looks = look_at(file)
                        file.seek(0)
                        if looks is not None:
                            there = (digest_of(file), looks, details.st_mtime_ns)
                            found.append((folder.path / name, *there))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ResultsNotWritten(self.out_dir / TAKES / stem, error) from error
        return sorted(found, key=lambda one: one[3])

    # Images --------------------------------------------------------------------------------------

    def are_right(self, scene: Glance, names: Sequence[str]) -> bool:
        """Return whether nothing is to be done for a scene's files; reads none of them.

        Each take's is as it was when it was right, and of what is shown there is a copy in
        ``images``, and nothing else.

        Args:
            scene: The scene.
            names: Of the files that lie in ``images`` for it.
        """
        stem = stem_of(scene.scene_id, scene.role)
        folder = f"{self._takes}{os.sep}{stem}{os.sep}"
        shown: tuple[str, Stamp] | None = None
        for take in scene.takes:
            extension = extension_of(take.media_type)
            stamp = _stamp_of(f"{folder}{take.sha256[:12]}.{extension}")
            if stamp is None or stamp != take.stamp:
                return False
            if take.number == scene.shown:
                shown = f"{stem}.{extension}", (stamp[0], stamp_ns(stamp[1], take.sha256))
        if shown is None or list(names) != [shown[0]]:
            return False
        return _stamp_of(f"{self._images}{os.sep}{shown[0]}") == shown[1]

    def image_of(self, take: NewTake) -> Path:
        """Return where a take is shown."""
        return self.out_dir / f"{IMAGES}/{image_name(take)}"

    def is_shown(self, take: NewTake) -> bool:
        """Return whether an untouched copy of a take is in ``images``; reads none of it."""
        image = _stamp_of(f"{self._images}{os.sep}{image_name(take)}")
        return image is not None and self.is_copy(take, *image)

    def is_copy(self, take: NewTake, size_bytes: int, time_ns: int) -> bool:
        """Return whether a file of this length and time of change is a copy made here."""
        original = self.stamp_of(take)
        if original is None:
            return False
        return (size_bytes, time_ns) == (original[0], stamp_ns(original[1], take.sha256))

    def show(self, take: NewTake, right: Stamp | None = None) -> bool:
        """Copy a take to ``images``, whole, in place of what has its name there.

        Args:
            take: It.
            right: How its file was when it had its bytes: as it is, it is copied unread.

        Returns:
            Whether it was there and had its bytes.
        """
        place, image = self.place_of(take), self.image_of(take)
        with _told(image), Folder.opened(self.out_dir, IMAGES, make=True) as images:
            try:
                with (
                    Folder.opened(self.out_dir, TAKES, place.parent.name) as takes,
                    takes.reading(place.name) as file,
                ):
                    there = os.fstat(file.fileno())
                    return images.put(
                        image.name,
                        file,
                        sha256=take.sha256,
                        time_ns=stamp_ns(there.st_mtime_ns, take.sha256),
                        is_right=(there.st_size, there.st_mtime_ns) == right,
                    )
            except FileNotFoundError:
                return False

    def images(self, stem: str, extensions: frozenset[str]) -> list[Found]:
        """Return the files in ``images`` that have a scene's name, by their time of change."""
        found: list[Found] = []
        with _told(self.out_dir / IMAGES):
            try:
                with Folder.opened(self.out_dir, IMAGES) as images:
                    for extension in sorted({*EXTENSIONS.values(), *extensions}):
                        name = f"{stem}.{extension}"
                        details = images.details(name)
                        if details is not None and details.st_size > 0:
                            there = (details.st_size, details.st_mtime_ns)
                            found.append(Found(name=name, size_bytes=there[0], time_ns=there[1]))
            except FileNotFoundError:
                return []
        return sorted(found, key=lambda one: one.time_ns)

    def digest_of_image(self, name: str) -> str | None:
        """Return the digest of a file in ``images``; ``None`` if it is gone, or too large."""
        with _told(self.out_dir / IMAGES / name), self._opened_image(name) as file:
            return None if file is None else digest_of(file)

    def image_seen(self, name: str) -> tuple[str, Looks] | None:
        """Return the digest and the looks of a file in ``images``; ``None`` if it is no picture."""
        with _told(self.out_dir / IMAGES / name), self._opened_image(name) as file:
            looks = None if file is None else look_at(file)
            if file is None or looks is None:
                return None
            file.seek(0)
            return digest_of(file), looks

    def keep_image(self, name: str) -> tuple[str, Looks] | None:
        """Have the story keep a file in ``images``, durably; ``None`` if it is no picture.

        What is no picture goes to ``images/kept``, and so does what is too large to be one.
        """
        with _told(self.out_dir / IMAGES / name), self._opened(self.out_dir, IMAGES, name) as file:
            if file is None:
                return None
            details = os.fstat(file.fileno())
            if details.st_size > MOST_BYTES:
                self._set_image_aside(name, f"{details.st_size}-{details.st_mtime_ns}")
                return None
            looks = look_at(file)
            file.seek(0)
            if looks is not None:
                return self.keep(file), looks
            digest = digest_of(file)
            file.seek(0)
            with (
                Folder.opened(self.out_dir, IMAGES) as images,
                Folder.opened(self.out_dir, IMAGES, KEPT, make=True) as kept,
            ):
                stem, _, extension = name.rpartition(".")
                if kept.put(f"{stem}-{digest[:16]}.{extension}", file, sha256=digest, durable=True):
                    kept.sync()
                    images.remove(name)
            return None

    def _set_image_aside(self, name: str, mark: str) -> None:
        """Move a file from ``images`` to ``images/kept``, without reading it."""
        stem, _, extension = name.rpartition(".")
        with (
            Folder.opened(self.out_dir, IMAGES) as images,
            Folder.opened(self.out_dir, IMAGES, KEPT, make=True) as kept,
        ):
            images.move(name, kept, f"{stem}-{mark}.{extension}")
            kept.sync()

    def remove_image(self, name: str) -> None:
        """Remove a file from ``images``."""
        with _told(self.out_dir / IMAGES / name):
            try:
                with Folder.opened(self.out_dir, IMAGES) as images:
                    images.remove(name)
            except FileNotFoundError:
                return

    def image_names(self) -> dict[str, list[str]]:
        """Return the names of the files in ``images`` by their stems."""
        by_stem: dict[str, list[str]] = {}
        with _told(self.out_dir / IMAGES):
            try:
                with Folder.opened(self.out_dir, IMAGES) as images:
                    for name in images.names():
                        by_stem.setdefault(name.rpartition(".")[0], []).append(name)
            except FileNotFoundError:
                return {}
        return by_stem


def image_name(take: NewTake) -> str:
    """Return what the picture of a scene is called."""
    return f"{stem_of(take.scene_id, take.role)}.{extension_of(take.media_type)}"


def _stamp_of(path: Path | str) -> Stamp | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    is_there = stat.S_ISREG(found.st_mode) and found.st_size > 0
    return (found.st_size, found.st_mtime_ns) if is_there else None


def stamp_ns(time_ns: int, sha256: str) -> int:
    """Return the time of change that a shown copy of a take has."""
    return time_ns - time_ns % _SECOND_NS + int(sha256[:8], 16) % 1_000_000 * 1_000


@contextmanager
def _told(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise ResultsNotWritten(path, error) from error
