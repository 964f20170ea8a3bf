"""Takes in the pictures of a whole answer: checks them, stores the first good one, says what came.

A picture lies in a file beside its answer, in the answer itself, or at an address; from there it is
fetched into a file beside the answer first. Untrusted bytes may raise anything, which must neither
lose an answer nor keep another scene from its work, so it becomes a verdict like any other: paid
for, perhaps; not understood; kept as it came.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import anyio.to_thread

from stage3_plugin.domain.attempt import AttemptResult, MissingPicture
from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.money import UNKNOWN, Charge
from stage3_plugin.domain.picture import Picture, PictureSource, RemotePicture, SpooledPart
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import FetchRefused, PictureRefused, SpoolRefused, StorageFailed
from stage3_plugin.files.new_file import NewFile, remove
from stage3_plugin.policy.refetch import next_of, shown
from stage3_plugin.purchase.asking import Asking, described, storage_behind
from stage3_plugin.runtime import interrupt
from stage3_plugin.storage.inflating import codings_of, inflate_file
from stage3_plugin.storage.spool import awaited
from stage3_plugin.storage.spool.loose_base64 import inline_bytes
from stage3_plugin.transport.picture_hosts import PictureHosts
from stage3_plugin.transport.sinks import Ignored

if TYPE_CHECKING:
    from stage3_plugin.transport.client import Client  # imports httpx, which drawing needs not


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, what it comes to, where its pictures are, and what it cost."""

    reply: Reply
    verdict: Verdict
    sources: tuple[PictureSource | RemotePicture, ...]
    cost: Charge


class Ingest:
    """Takes in the pictures of one provider's answers.

    Args:
        asking: Has who fetches, who takes the pictures, and the key, should an address have it.
        hosts: Where pictures may be fetched from.
        lasts_s: How long the provider keeps its pictures, if it says so.
    """

    def __init__(self, asking: Asking, hosts: PictureHosts, *, lasts_s: float | None) -> None:
        self._asking = asking
        self._pictures = asking.pictures
        self._hosts = hosts
        self._lasts_s = lasts_s

    async def first_good(
        self, folder: Path, answer: Answer, age_s: float, *, noted_in: Path
    ) -> AttemptResult:
        """Take in the pictures of an answer one after the other, until one is kept.

        Args:
            folder: Where it lies.
            answer: What it is.
            age_s: How long ago it came.
            noted_in: The attempt's folder, in which is noted what it waits for.
        """
        if answer.verdict.kind is not VerdictKind.PICTURES:
            return _without_pictures(answer.verdict, answer.cost)
        tried = _Tried(answer, folder, age_s, self._lasts_s)
        for number, source in enumerate(answer.sources):
            whole = folder / ("fetched" if number == 0 else f"fetched.{number}")
            try:
                picture = await self._kept(folder, source, answer.reply, whole)
            except Exception as error:  # noqa: BLE001 - the next picture may be good
                result = tried.note(error, source)
                if result is not None:
                    return result
            else:
                return replace(tried.result, picture=picture, image_url=_address_of(source))
        if tried.missing is not None:
            await self._note(noted_in, tried.missing)
        return tried.without_picture()

    async def _kept(
        self, folder: Path, source: PictureSource | RemotePicture, reply: Reply, whole: Path
    ) -> Picture:
        """Keep a picture, from wherever it is."""
        if isinstance(source, RemotePicture):
            return await self._fetched(source.url, whole)
        if isinstance(source, SpooledPart):  # it was decoded while the answer arrived
            part = next(part for part in reply.parts.values() if part.index == source.index)
            return await self._pictures.save(part.path)
        path = folder / f"inline-{secrets.token_hex(8)}"
        try:
            await self._pictures.blocking(partial(_write, path, source.base64))
            return await self._pictures.save(path)
        finally:
            await self._pictures.blocking(partial(remove, path))

    async def _fetched(self, url: str, whole: Path) -> Picture:
        """Fetch a picture, unless an earlier fetch of it was whole, and keep it.

        What is being received has a name of its own until it is seen to be a whole picture; then it
        is renamed, and after a crash it is found before the network is asked.
        """
        with suppress(PictureRefused):
            if await self._pictures.blocking(whole.is_file):
                return await self._pictures.save(whole)
        new = whole.with_name(f"fetched-{secrets.token_hex(8)}")
        client, cap = self._asking.client, self._asking.most_bytes
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

    async def _note(self, folder: Path, missing: MissingPicture) -> None:
        """Note, for people to look at, what a purchase waits for; nothing depends on it."""
        with suppress(StorageFailed):
            await self._pictures.blocking(
                partial(
                    awaited.note,
                    folder,
                    address=missing.address,
                    problem=missing.problem,
                    needs_setting=missing.needs_setting,
                    now=datetime.now(UTC),
                )
            )


@dataclass(slots=True)
class _Tried:
    """The pictures of one answer that could not be kept.

    Attributes:
        answer: The answer.
        folder: Where it lies.
        age_s: How long ago it came.
        lasts_s: How long its provider keeps pictures.
        missing: The likeliest of those that their addresses may give later.
        url: The first address.
        odd: Why the first of those that will never be had is not; empty if there is none.
        bad: Why the first that is no picture is none.
    """

    answer: Answer
    folder: Path
    age_s: float
    lasts_s: float | None
    missing: MissingPicture | None = None
    url: str | None = None
    odd: str = ""
    bad: str = ""

    @property
    def result(self) -> AttemptResult:
        """Return what the answer comes to with a picture."""
        return AttemptResult(verdict=self.answer.verdict, cost=self.answer.cost, image_url=self.url)

    def note(self, error: Exception, source: PictureSource | RemotePicture) -> AttemptResult | None:
        """Note why a picture was not kept; return what that comes to if no other is to be tried."""
        self.url = self.url or _address_of(source)
        if isinstance(error, FetchRefused):
            if interrupt.current().triggered:
                return replace(self._without(str(error)), interrupted=True)
            self._note_refusal(error, shown(_address_of(source) or ""))
        elif isinstance(error, PictureRefused):
            self.bad = self.bad or str(error)
        else:
            storage = storage_behind(error, self.folder)
            if storage is not None:
                return replace(self._without(str(storage)), storage=storage)
            self.odd = self.odd or described(error)
        return None

    def _note_refusal(self, refusal: FetchRefused, address: str) -> None:
        """Note that an address did not give its picture: it may later, or it never will."""
        follows = next_of(refusal.reason, age_s=self.age_s, lasts_s=self.lasts_s)
        needs_setting = follows == "setting"
        if follows == "gone":
            self.odd = self.odd or f"{refusal} ({address})"
        elif self.missing is None or (self.missing.needs_setting and not needs_setting):
            self.missing = MissingPicture(
                address=address, problem=str(refusal), needs_setting=needs_setting
            )

    def without_picture(self) -> AttemptResult:
        """Return what came of an answer none of whose pictures could be kept."""
        if self.missing is not None:
            return replace(self._without(self.missing.problem), not_here=self.missing)
        kind, message = VerdictKind.UNREADABLE, self.bad or "there is no picture in it"
        if self.odd:
            kind = VerdictKind.UNKNOWN
            message = f"its picture cannot be had: {self.odd}; the answer is kept as it came"
        verdict = replace(self.answer.verdict, kind=kind, message=message, may_be_billed=True)
        return replace(self.result, verdict=verdict)

    def _without(self, message: str) -> AttemptResult:
        """Return that what keeps a picture away for now does."""
        return replace(self.result, verdict=replace(self.answer.verdict, message=message))


def _address_of(source: PictureSource | RemotePicture) -> str | None:
    return source.url if isinstance(source, RemotePicture) else None


def not_taken_in(error: Exception, folder: Path) -> AttemptResult:
    """Return what came of an answer that could not even be read."""
    verdict = Verdict(
        kind=VerdictKind.UNKNOWN,
        message=f"a whole answer came and could not be taken in: {described(error)}; it may have "
        "been billed, and is kept as it came",
        may_be_billed=True,
    )
    return AttemptResult(verdict=verdict, cost=UNKNOWN, storage=storage_behind(error, folder))


def _without_pictures(verdict: Verdict, cost: Charge) -> AttemptResult:
    """Return what came of an answer that says itself that it has no picture, or makes no sense.

    What is billed for nothing is bought again by the next run, so that has to be said by the answer
    itself, or by a picture that is none. One that only makes no sense is unknown.
    """
    if verdict.kind is VerdictKind.UNREADABLE and verdict.may_be_billed:
        message = f"{verdict.message or 'the answer makes no sense'}; it is kept as it came"
        verdict = replace(verdict, kind=VerdictKind.UNKNOWN, message=message)
    return AttemptResult(verdict=verdict, cost=cost)


def _write(path: Path, text: str) -> None:
    """Decode a picture that stood in the document into a new file.

    Raises:
        PictureRefused: It is not base64.
        StorageFailed: The disk did not take it.
    """
    data = inline_bytes(text)
    with NewFile(path) as file:
        file.write(data)


async def fetch_into(
    client: Client, url: str, path: Path, *, hosts: PictureHosts, cap: int
) -> None:
    """Fetch a picture's address once, into a new file; a fetch that fails leaves none behind.

    Raises:
        FetchRefused: The host is not allowed, or the picture did not come in whole.
        StorageFailed: The disk did not take it.
    """
    try:
        with closing(FileSink(path, cap)) as file:
            await client.fetch(url, file.opened, hosts=hosts)
        if file.codings:
            work = partial(inflate_file, path, file.codings, most_bytes=cap)
            await anyio.to_thread.run_sync(work)
    except BaseException:
        remove(path)
        raise


class FileSink:
    """A body that goes into a file as it is; whoever makes it closes it."""

    def __init__(self, path: Path, most_bytes: int | None) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._file: NewFile | None = None
        self.codings: tuple[str, ...] = ()

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
