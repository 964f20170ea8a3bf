"""The far side of a store: objects in a bucket, named by the SHA-256 of their bytes.

::

    <store>/<aa>/<sha256>   every picture once
    <store>/stage3-probe    what a run writes and reads before it buys anything

An object is named by what is in it, so writing it twice is harmless, and no server has to know
conditional writes. One request writes it: parts that were never put together would lie there unseen
and cost money, and servers differ in them. Everything blocks, and ends within :data:`PATIENCE`; it
belongs into threads that nothing else waits for. The only module that knows obstore: its errors are
put into our words here, and none of its texts is shown as it is, since they quote addresses and
what servers send, over a page.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from errno import EACCES, EIO, ENOENT, ENOSPC, ETIMEDOUT
from functools import cache
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from threading import Condition
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from stage3_plugin.errors import BucketFailed, SettingsRefused, need
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.runtime.buckets import CREDENTIALS, BucketAddress, bucket_address

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

PROBE: Final = "stage3-probe"
_PANIC: Final = "PanicException"
"""What Rust's libraries raise for faults of their own: no ``Exception``, and in no module."""
_PROBED: Final = b"stage3 was here before it bought anything\n"
_PIECE_BYTES: Final = 1 << 20
_LONGEST_BYTES: Final = 1 << 30
"""No picture that was stored is longer; what is was put there by another, and is not read."""
_MOST_SENT_BYTES: Final = 48 << 20
"""So much may be on its way at once, or one picture that is longer; in memory it is thrice that."""
_LISTED_AT_ONCE: Final = 1000

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_SYSTEM = re.compile(r"\(os error (\d{1,4})\)")
_OBJECT = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62})")
_NO_BUCKET = re.compile(
    r"NoSuchBucket|ContainerNotFound|ContainerBeingDeleted|specified bucket does not exist"
)
_NO_CREDENTIALS = re.compile(
    r"169\.254\.169\.254|/latest/(api/token|meta-data)|metadata\.google|token request",
    re.IGNORECASE,
)
_UNREACHABLE = re.compile(r"error sending request|timed? ?out|connect", re.IGNORECASE)
_ENDPOINTS: Final = (
    "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "GOOGLE_BASE_URL",
    "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT",
)  # fmt: skip
"""Variables in which a server of one's own is named."""
_MAY_BE_PLAIN: Final = ("AWS_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP", "AZURE_ALLOW_HTTP")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a bucket is waited for.

    Attributes:
        connect_s: Seconds for a connection.
        request_s: Seconds for one request, to the last byte.
        retries: How often a request is repeated that found no answer, or a fault of the server.
        retry_s: Seconds after the first request in which another one may start.
    """

    connect_s: float = 5.0
    request_s: float = 120.0
    retries: int = 2
    retry_s: float = 60.0


PATIENCE: Final = Patience()


class Bucket:
    """Objects in a bucket, or below a folder that other machines see.

    Args:
        address: Where, to be shown to people; without a slash at its end.
        store: What obstore made of it.
        folder: Where that is a folder: it.

    Raises:
        BucketFailed: In every method: it did not let us, or does not answer.
    """

    def __init__(self, address: str, store: ObjectStore, folder: Path | None = None) -> None:
        self.address = address
        self._store = store
        self._folder = folder
        self._first = folder.stat() if folder else None
        self._is_probed = False
        self._scheme = address.partition("://")[0]
        self._sending = Room(_MOST_SENT_BYTES)

    @classmethod
    def at(cls, address: str, patience: Patience = PATIENCE) -> Bucket:
        """Open the bucket at an address, with the environment's credentials; asks nobody.

        Raises:
            ExtraMissing: The extra is not installed.
            SettingsRefused: It cannot be used so.
        """
        need("cloud", setting="store")
        try:
            where = bucket_address(address)
        except ValueError as error:
            raise SettingsRefused("store", str(error)) from error
        folder = Path(where.prefix) if where.scheme == "file" else None
        return cls(str(where), _opened(where, patience), folder)

    def url_of(self, sha256: str) -> str:
        """Return the address of a picture, which opens nothing by itself."""
        return f"{self.address}/{_key(sha256)}"

    def probe(self) -> None:
        """See that objects can be written and read, with one small object."""
        with self._failing(PROBE):
            if self._folder is not None:  # obstore tries for ever where the system knows no folder
                TemporaryFile(dir=self._folder).close()
            self._store.put(PROBE, _PROBED, use_multipart=False)
        with self._failing(PROBE, reading=True):
            found = bytes(self._store.get(PROBE).bytes())
        if found != _PROBED:
            problem = "what was just written there comes back as something else"
            raise BucketFailed(self.address, problem, number=EIO, reading=True)
        self._is_probed = True

    def put(self, sha256: str, path: Path, media_type: str | None = None) -> None:
        """Write a picture, whole or not at all, durably once this returns."""
        attributes = {"Content-Type": media_type} if media_type and self._has_types else None
        with on_disk(path, reading=True):
            size_bytes = path.stat().st_size
        with self._sending.room(size_bytes), self._failing(_key(sha256)):
            self._store.put(_key(sha256), path, attributes=attributes, use_multipart=False)

    @property
    def _has_types(self) -> bool:
        return self._scheme in CREDENTIALS

    def get(self, sha256: str, write: Callable[[bytes], object]) -> bool:
        """Hand over what has the name of a picture, in pieces; ``False`` if no picture has it."""
        with self._failing(_key(sha256), reading=True), _unless_there():
            found = self._store.get(_key(sha256))
            if found.meta["size"] > _LONGEST_BYTES:
                return False
            for piece in found.stream(min_chunk_size=_PIECE_BYTES):
                write(bytes(piece))
            return True
        return False

    def size_of(self, sha256: str) -> int | None:
        """Return the length of what has the name of a picture, in bytes; ``None`` if nothing."""
        with self._failing(_key(sha256), reading=True), _unless_there():
            return self._store.head(_key(sha256))["size"]
        return None

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Name all pictures there are, with their lengths in bytes; a thousand a request."""
        with self._failing("", reading=True):
            listed = self._store.list(chunk_size=_LISTED_AT_ONCE)  # pyright: ignore[reportUnknownMemberType] - its other overload is of a library that is not here
            pages: Iterator[Sequence[ObjectMeta]] = iter(listed)
            for one in chain.from_iterable(pages):
                named = _OBJECT.fullmatch(one["path"])
                if named is not None:
                    yield named[2], one["size"]

    @contextmanager
    def _failing(self, key: str, *, reading: bool = False) -> Generator[None]:
        """Put what obstore raises into our words, and see whose folder it was that did the work."""
        self._expect_folder()
        try:
            yield
        except BaseException as error:
            if not (isinstance(error, _raised()) or type(error).__name__ == _PANIC):
                raise
            number, problem, hint = _told(error, self._scheme)
            address = f"{self.address}/{key}" if key else self.address
            raise BucketFailed(
                address, problem, number=number, hint=hint, reading=reading
            ) from error

    def _expect_folder(self) -> None:
        """See that a folder is the one of the start, since obstore makes one that is not there.

        Where its disk was, the empty folder of another one may lie. One that was removed and made
        anew may have its numbers, but not what was written there first.
        """
        if self._folder is None or self._first is None:
            return
        with suppress(OSError):
            is_used = not self._is_probed or (self._folder / PROBE).exists()
            if is_used and os.path.samestat(self._folder.stat(), self._first):
                return
        raise BucketFailed(
            self.address,
            "it is gone, or another folder than at the start: see whether its disk is mounted",
            number=ENOENT,
            hint="then run the same command again: what was paid for is kept, and goes there then",
        )


class Room:
    """Lets so many bytes be in memory at once, or one thing that is longer."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._used_bytes = 0
        self._changed = Condition()

    @contextmanager
    def room(self, size_bytes: int) -> Generator[None]:
        """Wait until there is room, and have it until the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._fits(size_bytes))
            self._used_bytes += size_bytes
        try:
            yield
        finally:
            with self._changed:
                self._used_bytes -= size_bytes
                self._changed.notify_all()

    def _fits(self, size_bytes: int) -> bool:
        return not self._used_bytes or self._used_bytes + size_bytes <= self._most_bytes


@contextmanager
def _unless_there() -> Generator[None]:
    """Pass over that there is no such object, but not that there is no such bucket."""
    try:
        yield
    except FileNotFoundError as error:
        if _NO_BUCKET.search(str(error)):
            raise


@cache
def _raised() -> tuple[type[Exception], ...]:
    """Return what obstore raises."""
    from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra

    return BaseError, OSError, ValueError, NotImplementedError


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


def _told(error: BaseException, scheme: str) -> tuple[int, str, str | None]:
    """Say what an error of obstore's is about: a number of the system's, a problem, a next step.

    Nothing of its text is taken over but a status, a code of the server's, and a number.
    """
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError  # noqa: PLC0415 - an extra

    text = str(error).partition("\n\nDebug source")[0]
    status, code, system = _STATUS.search(text), _CODE.search(text), _SYSTEM.search(text)
    said = ", ".join(filter(None, (f"HTTP {status[1]}" if status else "", code[1] if code else "")))
    said = f" ({said})" if said else ""
    credentials = CREDENTIALS.get(scheme, "")
    if scheme == "file":
        own = getattr(error, "errno", None)
        gone = ENOENT if isinstance(error, FileNotFoundError) else EIO
        number = int(system[1]) if system else own or gone
        return number, os.strerror(number), "see to the folder, its permissions and its room"
    if _NO_BUCKET.search(text):
        hint = "make the bucket, or correct `store`; a server of your own is named by a variable"
        return ENOENT, f"there is no such bucket{said}", hint
    if _NO_CREDENTIALS.search(text):
        return EACCES, "no credentials were found for it", f"set {credentials}"
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        hint = f"it needs rights to read, write and list; credentials come from {credentials}"
        return EACCES, f"the credentials do not allow that{said}", hint
    if status is None and _UNREACHABLE.search(text):
        hint = "see whether it can be reached from here, and run the same command again"
        return ETIMEDOUT, "the bucket's server does not answer", hint
    if status is not None and status[1] == "507":
        return ENOSPC, f"it has no room{said}", None
    hint = "run the same command again later"
    if status is not None and status[1] < "500":
        hint = "see to `store`, to the region (AWS_REGION), and to the address of the server"
    return EIO, f"it did not do that{said or f' ({type(error).__name__})'}", hint


def _opened(where: BucketAddress, patience: Patience) -> ObjectStore:
    """Make obstore's store.

    Raises:
        SettingsRefused: It cannot be made.
    """
    from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra
    from obstore.store import AzureStore, GCSStore, LocalStore, S3Store  # noqa: PLC0415 - likewise

    options: ClientConfig = {
        "connect_timeout": f"{round(1000 * patience.connect_s)}ms",
        "timeout": f"{round(1000 * patience.request_s)}ms",
        "allow_http": _may_be_plain(os.environ),
        "user_agent": "stage3-plugin",
    }
    retry: RetryConfig = {
        "max_retries": patience.retries,
        "retry_timeout": timedelta(seconds=patience.retry_s),
        "backoff": {
            "init_backoff": timedelta(seconds=0.1),
            "max_backoff": timedelta(seconds=5),
            "base": 2,
        },
    }
    prefix = where.prefix or None
    try:
        if where.scheme == "file":
            return LocalStore(where.prefix)
        kinds: Mapping[str, type[S3Store | GCSStore | AzureStore]]
        kinds = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
        return kinds[where.scheme](
            where.bucket, prefix=prefix, client_options=options, retry_config=retry
        )
    except (BaseError, ValueError, OSError) as error:
        raise _refused(where, error) from error


def _refused(where: BucketAddress, error: Exception) -> SettingsRefused:
    if where.scheme == "file":
        problem = f"there is no folder {where.prefix}, or it cannot be looked into"
        hint = "make it, or see whether its disk is mounted; it is not made here, lest pictures "
        return SettingsRefused("store", problem, hint=f"{hint}go to another disk unseen")
    if "account must be specified" in str(error).lower():
        problem = f"{where} does not say whose container that is"
        return SettingsRefused("store", problem, hint="set AZURE_STORAGE_ACCOUNT_NAME")
    problem = f"{where} cannot be used with the environment's credentials ({type(error).__name__})"
    hint = f"see to {CREDENTIALS[where.scheme]}"
    return SettingsRefused("store", problem, hint=hint)


def _may_be_plain(environment: Mapping[str, str]) -> bool:
    """Return whether a server may be asked without TLS: on this machine, or if it is said so.

    Raises:
        SettingsRefused: A server elsewhere is to be asked so, and nobody has allowed it.
    """
    is_allowed = any(environment.get(one, "").lower() in {"1", "true"} for one in _MAY_BE_PLAIN)
    may = is_allowed
    for name in _ENDPOINTS:
        said = environment.get(name, "")
        parts = urlsplit(said)
        if said and (parts.scheme not in {"http", "https"} or not parts.hostname):
            problem = f"the variable {name} is no address of a server"
            hint = "let it begin with https:// and name a host, or take it out"
            raise SettingsRefused("store", problem, hint=hint)
        if parts.scheme != "http":
            continue
        if not is_allowed and parts.hostname not in _LOOPBACK:
            problem = f"the server in {name} would be asked without TLS"
            hint = "let it begin with https://, or set AWS_ALLOW_HTTP=true if the network is yours"
            raise SettingsRefused("store", problem, hint=hint)
        may = True
    return may
