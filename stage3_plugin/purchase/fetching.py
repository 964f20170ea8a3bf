"""Brings a body from an address into a file of its own, as it comes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import anyio.to_thread

from stage3_plugin.errors import SpoolRefused
from stage3_plugin.files.new_file import NewFile, remove
from stage3_plugin.storage.inflating import codings_of, inflate_file
from stage3_plugin.transport.picture_hosts import PictureHosts
from stage3_plugin.transport.sinks import Ignored

if TYPE_CHECKING:
    from stage3_plugin.transport.client import Client  # imports httpx, which drawing needs not


async def fetch_into(
    client: Client, url: str, path: Path, *, hosts: PictureHosts, cap: int
) -> None:
    """Fetch a picture's address once, into a new file; a fetch that fails leaves none behind.

    Raises:
        FetchRefused: The host is not allowed, or the picture did not come in whole.
        StorageFailed: The disk did not take it.
    """
    try:
        with FileSink(path, cap) as file:
            await client.fetch(url, file.opened, hosts=hosts)
        if file.codings:
            work = partial(inflate_file, path, file.codings, most_bytes=cap)
            await anyio.to_thread.run_sync(work)
    except BaseException:
        remove(path)
        raise


class FileSink:
    """A body that goes into a file as it is; a context manager that owns the file."""

    def __init__(self, path: Path, most_bytes: int | None) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._file: NewFile | None = None
        self.codings: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()

    def opened(self, _status: int, headers: Mapping[str, str]) -> Self | Ignored:
        """Take a body whatever its head says."""
        self.codings = codings_of(headers)
        self._file = NewFile(self._path)
        return self

    def feed(self, chunk: bytes) -> None:
        assert self._file is not None
        if self._most_bytes is not None and self._file.size_bytes + len(chunk) > self._most_bytes:
            raise self.too_long()
        self._file.write(chunk)

    def too_long(self) -> SpoolRefused:
        """Return what is raised where more comes than may."""
        return SpoolRefused("the picture passes max_reply_bytes")

    def finish(self, how: str) -> bool:
        return how != "cut"  # one without a length shows by its own structure whether it is whole
