"""The step that brings a picture from its address into a file beside the answer that names it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import anyio.to_thread

from stage3_plugin.domain.picture import Picture
from stage3_plugin.errors import FetchRefused, PictureRefused, SpoolRefused
from stage3_plugin.files.new_file import NewFile, remove
from stage3_plugin.purchase.asking import Asking
from stage3_plugin.storage.inflating import codings_of, inflate_file
from stage3_plugin.transport.picture_hosts import PictureHosts
from stage3_plugin.transport.sinks import Ignored

if TYPE_CHECKING:
    from stage3_plugin.transport.client import Client  # imports httpx, which drawing needs not


class Fetching:
    """Fetches the pictures that one provider gave the addresses of.

    Args:
        asking: Has who fetches, who takes the pictures, and the key, should an address have it.
        hosts: Where pictures may be fetched from.
    """

    def __init__(self, asking: Asking, hosts: PictureHosts) -> None:
        self._asking = asking
        self._pictures = asking.pictures
        self._hosts = hosts

    async def kept(self, url: str, whole: Path) -> Picture:
        """Fetch a picture, unless an earlier fetch of it was whole, and keep it.

        What is being received has a name of its own until it is seen to be a whole picture; then it
        is renamed, and after a crash it is found before the network is asked.

        Args:
            url: Its address.
            whole: The name of a picture that was fetched whole.

        Raises:
            FetchRefused: The address did not give it.
            StorageFailed: The disk failed.
        """
        with suppress(PictureRefused):
            if await self._pictures.blocking(whole.is_file):
                return await self._pictures.save(whole)
        new = whole.with_name(f"fetched-{secrets.token_hex(8)}")
        client, cap = self._asking.client, self._asking.caps.total_bytes
        await fetch_into(client, self._address(url), new, hosts=self._hosts, cap=cap)
        try:
            return await self._pictures.save(new, when_whole=whole)
        except PictureRefused as refusal:  # a page with status 200, or a picture that was cut
            raise FetchRefused(
                f"what came from the picture's address is no whole picture: {refusal}",
                reason="trouble",
                status=200,
            ) from refusal
        finally:
            await self._pictures.blocking(partial(remove, new))

    def _address(self, url: str) -> str:
        """Return an address as it came: a host that knows the key already may be asked with it."""
        try:
            is_own = (urlsplit(url).hostname or "").lower() == self._hosts.api.host
        except ValueError:  # no address, as the fetch finds
            return url
        return self._asking.masked.restored(url) if is_own else url


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
