"""Where pictures and received answers lie, and how a file gets there whole or not at all.

::

    state_dir/
        spool/<attempt>/      answers as they arrive
        objects/<aa>/<sha256> every picture once, named by its bytes, synced
        originals/<attempt>-… pictures as they came, of which the object is only the beginning
        tmp/                  files being written; older than a day, they are leftovers

An object is the durable copy. It may share its inode with the part it was received as, because
every file here is made new and written once; whoever opens one to write would have to be stopped
first. What is published beside the story is a copy of it, and never a hard link: editing the
picture would change the store. All of it is its owner's alone, whatever the state folder is.
Everything here blocks; call it in a thread.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.copying import copy_aside
from stage3_plugin.files.folder import TEMPORARY_PREFIX, Folder, is_regular
from stage3_plugin.files.new_file import NewFile
from stage3_plugin.files.private_folders import keep_private, make_private, sync_folder
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.runtime.system_errors import says_not_there
from stage3_plugin.storage.inspect import InspectedFile
from stage3_plugin.storage.keeping import KEPT, digest_of, keep_beside

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}

_LEFTOVER_S = 24 * 60 * 60
_READ_BYTES = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ATTEMPT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What lies in a state folder. To be listed before the ledger is read: rows only come to be.

    Attributes:
        answers: The attempts that have a folder for their answer.
        pictures: The stored pictures, by SHA-256.
    """

    answers: frozenset[str]
    pictures: frozenset[str]


class LocalStore:
    """The state folder of a project.

    Args:
        state_dir: Is made when something is first put there. Several processes may share it.
        masked: Covers secrets in what stands behind a picture.

    Raises:
        StorageFailed: Here and in every method: the disk or the system did not let us.
    """

    def __init__(self, state_dir: Path, masked: Masked = NOTHING) -> None:
        self.state_dir = state_dir = state_dir.absolute()
        self._masked = masked
        self._spool = state_dir / "spool"
        self._objects = state_dir / "objects"
        self._originals = state_dir / "originals"
        self._temporary = state_dir / "tmp"
        self._tidied: set[Path] = set()
        self._private: set[Path] = set()
        self._anchored: set[Path] = set()
        self._within: Path | None = None
        _remove_leftovers(self._temporary)

    def keep_to_what_is_there(self) -> None:
        """Make the state folder itself no more: a run has its ledger in it.

        Where it is moved away meanwhile, a second one of its name would have pictures and no
        ledger.
        """
        self._within = self.state_dir

    # Received answers ----------------------------------------------------------------------------

    def spool_folder(self, attempt_id: str) -> Path:
        """Make the folder an attempt's answer goes into, and give its path."""
        path = self.spool_path(attempt_id)
        self._make(path, below=self._spool)
        return path

    def _make(self, path: Path, *, below: Path) -> None:
        """Make a folder of ours, and see to it once that nobody else may look into what it is in.

        An earlier version made the folders around it as the user's umask said.
        """
        try:
            make_private(path, within=self._within)
        except OSError as error:
            raise StorageFailed(path, error) from error
        if below not in self._private:
            keep_private(below)
            self._private.add(below)

    def received(self) -> list[str]:
        """Name the attempts whose folders are there."""
        try:
            return [path.name for path in self._spool.iterdir() if _ATTEMPT_ID.fullmatch(path.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageFailed(self._spool, error, reading=True) from error

    def listed(self) -> Listed:
        """Name what lies here: the answers' folders, and the pictures."""
        pictures: list[str] = []
        try:
            with suppress(FileNotFoundError), os.scandir(self._objects) as buckets:
                for bucket in buckets:
                    if len(bucket.name) == 2 and bucket.is_dir():
                        pictures += (
                            name
                            for name in os.listdir(bucket.path)  # noqa: PTH208 - names are all it needs
                            if _SHA256.fullmatch(name)
                        )
        except OSError as error:
            raise StorageFailed(self._objects, error, reading=True) from error
        return Listed(answers=frozenset(self.received()), pictures=frozenset(pictures))

    def secure_spool(self, attempt_id: str) -> None:
        """See to it that no power cut takes what was received for an attempt; it may be nothing."""
        path = self.spool_path(attempt_id)
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        with suppress(FileNotFoundError):  # renamed just now, or taken in: go on
                            _sync_file(Path(entry.path))
            sync_folder(path)
            self._anchor(path, self._spool)
        except FileNotFoundError:
            pass  # somebody else has taken it in and put it away
        except OSError as error:
            raise StorageFailed(path, error) from error

    def remove_spool(self, attempt_id: str) -> None:
        """Remove an attempt's folder; one that is gone is no error."""
        path = self.spool_path(attempt_id)
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StorageFailed(path, error) from error

    def spool_path(self, attempt_id: str) -> Path:
        """Tell where an attempt's answer lies, or would lie."""
        if not _ATTEMPT_ID.fullmatch(attempt_id):
            raise ValueError("an attempt id is 1 to 64 letters, digits, '-' and '_'")
        return self._spool / attempt_id

    # Objects -------------------------------------------------------------------------------------

    def object_path(self, sha256: str) -> Path:
        """Tell where the picture with this hash lies, or would lie."""
        return Path(f"{self._objects}/{sha256[:2]}/{sha256}")  # asked for every scene: one parse

    def keep(self, part: Path, inspected: InspectedFile) -> Path:
        """Make an inspected file an object: once this returns, no power cut can lose it.

        ``part`` stays where it is: if the process dies before the purchase is settled, its answer
        is still whole and can be taken in again, to the same end. An object that was there is
        replaced by the same bytes, which heals one that was damaged.

        Of a picture with something behind its end, the picture alone becomes the object, and the
        whole of it is kept among the originals. What means nothing before it is left out.
        """
        if inspected.trailing_bytes:
            self._keep_original(part, inspected)
        elif not inspected.leading_bytes:
            return self._keep(part, inspected.picture.sha256)
        extent = (inspected.leading_bytes, inspected.picture.size_bytes)
        return self._keep(part, inspected.picture.sha256, extent)

    def _keep_original(self, part: Path, inspected: InspectedFile) -> None:
        """Keep a picture as it came, but for secrets behind its end."""
        path = self._originals / f"{part.parent.name}-{part.name}"
        aside = self._aside()
        try:
            self._make(self._originals, below=self._originals)
            with part.open("rb", buffering=0) as source, NewFile(aside) as file:
                file.write_from(source, inspected.leading_bytes + inspected.picture.size_bytes)
                trailing = self._masked.stream()
                while piece := source.read(_READ_BYTES):
                    file.write(trailing.feed(piece))
                file.write(trailing.close())
                file.sync()
            aside.replace(path)
            sync_folder(self._originals)
            self._anchor(self._originals)
        except OSError as error:
            raise StorageFailed(path, error) from error
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)

    def _aside(self) -> Path:
        """Name a new file that is to be renamed when it is whole."""
        self._make(self._temporary, below=self._temporary)
        return self._temporary / f"{TEMPORARY_PREFIX}{secrets.token_hex(16)}"

    def _keep(self, part: Path, sha256: str, extent: tuple[int, int] | None = None) -> Path:
        path = self.object_path(sha256)
        aside = self._aside()
        try:
            self._make(path.parent, below=self._objects)
            _link_or_copy(part, aside, extent)
            aside.replace(path)
            sync_folder(path.parent)
            self._anchor(path.parent, self._objects)
        except OSError as error:
            raise StorageFailed(path, error) from error
        finally:
            with suppress(OSError):  # renaming a file onto itself, linked twice, leaves both names
                aside.unlink(missing_ok=True)
        return path

    def _anchor(self, *folders: Path) -> None:
        """See to it, once, that the names of folders are on the disk, and that of the state folder.

        Whoever made them: another process may have done so just now and not have come to this yet.
        """
        for folder in (*folders, self.state_dir):
            if folder not in self._anchored:
                sync_folder(folder.parent)
                self._anchored.add(folder)

    # Results -------------------------------------------------------------------------------------

    def published(self, kept: Path, folder: Path, stem: str, media_type: str) -> Path | None:
        """Give the copy of an object that :meth:`publish` made, if nobody has touched it since.

        Told without reading it: a copy has its object's length and time of change, and whoever
        edits it changes at least the latter.
        """
        path = folder / f"{stem}.{EXTENSIONS[media_type]}"
        return path if _is_untouched(kept, path) else None

    def has_copy(self, sha256: str, path: str) -> bool:
        """Return whether a file is a copy of an object that :meth:`publish` made, and untouched.

        Asked for every scene before a run, hence of texts: a path costs more than a look at it.
        """
        return _is_untouched(f"{self._objects}/{sha256[:2]}/{sha256}", path)

    def is_whole(self, kept: Path) -> bool:
        """Tell whether an object is there and has the bytes it is named by; reads all of them.

        Raises:
            StorageFailed: It cannot be read now, so nobody can say that it is lost.
        """
        try:
            with Folder(kept.parent) as folder:
                return is_regular(folder.details(kept.name)) and (
                    digest_of(folder, kept.name) == kept.name
                )
        except OSError as error:
            if says_not_there(error):
                return False
            raise StorageFailed(kept, error, reading=True) from error

    def healed(
        self, kept: Path, folder: Path, stem: str, media_type: str, *, was: tuple[str, ...] = ()
    ) -> Path | None:
        """Make an object that is gone or damaged anew from its copy, if that has not changed.

        The copy becomes one again, of the new object, and never another name of it.

        Raises:
            StorageFailed: The copy cannot be read now, or the disk did not take the object.
        """
        for one in (stem, *was):
            if self._made_anew(kept, folder, f"{one}.{EXTENSIONS[media_type]}"):
                return self.publish(kept, folder, stem, media_type, was=was)
        return None

    def _made_anew(self, kept: Path, folder: Path, name: str) -> bool:
        try:
            with Folder(_without_links(folder)) as source:
                if not is_regular(source.details(name)) or digest_of(source, name) != kept.name:
                    return False
                aside = self._aside()
                try:
                    with source.open(name) as copy, NewFile(aside) as file:
                        file.write_from(copy)
                    self._keep(aside, kept.name)
                finally:
                    aside.unlink(missing_ok=True)
        except _LedElsewhere:
            return False
        except OSError as error:
            if says_not_there(error):
                return False
            raise StorageFailed(folder / name, error, reading=True) from error
        return True

    def is_taken(self, folder: Path, stem: str, media_type: str) -> bool:
        """Tell whether anything has the name that a picture is to have."""
        return os.path.lexists(f"{folder}{os.sep}{stem}.{EXTENSIONS[media_type]}")

    def set_aside(self, folder: Path, stem: str, media_type: str) -> Path | None:
        """Keep what has the name of a picture that is to come, unless this store has its bytes.

        It keeps its name until the picture takes it. Nothing to be kept are an empty file, a link
        and whatever else is no picture file.

        Returns:
            Where it is kept; ``None`` if nothing had to be.
        """
        name = f"{stem}.{EXTENSIONS[media_type]}"
        try:
            with Folder(_without_links(folder)) as target:
                return self._set_aside(folder, target, name)
        except OSError as error:
            if says_not_there(error):
                return None
            raise StorageFailed(folder / name, error) from error

    def _set_aside(self, folder: Path, target: Folder, name: str) -> Path | None:
        details = target.details(name)
        if not is_regular(details) or details is None or details.st_size == 0:
            return None
        digest: str | None = None
        with suppress(OSError):  # what cannot be read is not known to be ours
            digest = digest_of(target, name)
        if digest is not None and self._has_whole(digest):
            return None
        try:
            return folder / KEPT / keep_beside(target, name, digest)
        except FileNotFoundError:  # somebody has just taken it away
            raise
        except OSError as error:  # something else has the name of the folder, say
            raise StorageFailed(folder / KEPT, error) from error

    def is_ours(self, folder: Path, name: str) -> bool:
        """Tell whether a name has the bytes of a stored picture; reads all of them."""
        try:
            with Folder(_without_links(folder)) as target:
                return is_regular(target.details(name)) and self._has_whole(digest_of(target, name))
        except OSError:  # what cannot be read is not known to be ours
            return False

    def _has_whole(self, digest: str) -> bool:
        try:
            return self.is_whole(self.object_path(digest))
        except StorageFailed:  # nobody can say so now
            return False

    def publish(
        self, kept: Path, folder: Path, stem: str, media_type: str, *, was: tuple[str, ...] = ()
    ) -> Path:
        """Copy an object to ``folder/<stem>.<extension>``, whole or not at all.

        Whatever has that name is replaced, a planted link too; nothing is ever written through
        one. A picture that is no copy of an object of this store is kept first, see
        :meth:`set_aside`. A picture of the same scene in another format, or under a name that it
        had in an earlier version, is removed if it is such a copy: then nothing is lost. One that
        was edited stays.

        The copy is not synced: a power cut may damage it, and the next run makes it again.

        Args:
            kept: What :meth:`keep` gave.
            folder: Is made. A link that leads out of the folder around it is refused.
            stem: From :func:`~stage3_plugin.domain.file_names.file_stem`.
            media_type: One of :data:`EXTENSIONS`.
            was: Stems that an earlier version gave this scene's file.
        """
        name = f"{stem}.{EXTENSIONS[media_type]}"
        if Path(name).name != name:
            raise ValueError(f"not a file name: {name!a}")
        _make_folder(folder)
        try:
            with Folder(_without_links(folder)) as target:
                self._set_aside(folder, target, name)
                copy_aside(kept, target, name)
                for one in (stem, *was):
                    for other in EXTENSIONS.values():
                        if name != f"{one}.{other}":
                            self._remove_our_copy(target, f"{one}.{other}")
        except OSError as error:
            raise StorageFailed(folder / name, error) from error
        if folder not in self._tidied:
            self._tidied.add(folder)
            _remove_leftovers(folder)
        return folder / name

    def _remove_our_copy(self, folder: Folder, name: str) -> None:
        if not is_regular(folder.details(name)):
            return
        if self._has_whole(digest_of(folder, name)):
            folder.remove(name)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(path, error) from error


def _without_links(folder: Path) -> Path:
    """Give where a folder really lies, unless it is a link to somewhere else entirely."""
    if not folder.is_symlink():
        return folder
    real = folder.resolve()
    if not real.is_relative_to(folder.parent.resolve()):
        raise _LedElsewhere(errno.ELOOP, "it is a link that leads out of its folder")
    return real


class _LedElsewhere(OSError):
    """A folder of results is a link to somewhere else entirely; nothing of ours is there."""


def _link_or_copy(source: Path, target: Path, extent: tuple[int, int] | None = None) -> None:
    """Give ``source`` a second name, and see to it that its bytes are on the disk.

    Where a file system has no links, or only a part is wanted (from where, how much), it is copied.
    """
    if extent is None and os.name != "nt":  # Windows syncs only what was opened to write
        try:
            os.link(source, target)
        except OSError:
            pass  # it has none
        else:
            _sync_file(target)
            return
    with source.open("rb", buffering=0) as original, NewFile(target) as copy:
        start, most_bytes = extent or (0, None)
        original.seek(start)
        copy.write_from(original, most_bytes)
        copy.sync()


def _sync_file(path: Path) -> None:
    """Sync a file that is only read: nothing stored is opened to write."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(folder: Path) -> None:
    """Remove what a killed run was writing; being harmless, it is not worth an error.

    How old it is is told by the time that nobody can set: a copy that is just being made has its
    original's time of change.
    """
    oldest = time.time() - _LEFTOVER_S
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(TEMPORARY_PREFIX) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_ctime < oldest:
                        Path(entry.path).unlink()


def _is_untouched(kept: Path | str, copy: Path | str) -> bool:
    try:
        original, found = os.stat(kept), os.lstat(copy)  # noqa: PTH116 - of texts too
    except OSError:
        return False
    is_same = (original.st_size, original.st_mtime_ns) == (found.st_size, found.st_mtime_ns)
    return is_same and is_regular(found)
