"""Takes in the pictures of a whole answer: checks them, stores the first good one, says what came.

It uses no network: a picture lies in a file beside its answer, or in the answer itself; where it
could not be fetched, the fetch says why. Untrusted bytes may raise anything, which must neither
lose an answer nor keep another scene from its work, so it becomes a verdict like any other: paid
for, perhaps; not understood; kept as it came.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from stage3_plugin.domain.attempt import AttemptResult, MissingPicture
from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.money import UNKNOWN, Charge
from stage3_plugin.domain.picture import Picture, PictureSource, SpooledPart
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import (
    FetchRefused,
    JobRefused,
    PictureRefused,
    ProviderBroken,
    SpoolRefused,
    StorageFailed,
    out_of,
)
from stage3_plugin.files.new_file import NewFile, remove
from stage3_plugin.runtime.system_errors import from_lack, says_not_there
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool.loose_base64 import inline_bytes


class Ingest:
    """The pictures of one answer, taken in one after the other until one is kept.

    Args:
        pictures: Takes them.
        folder: Where the answer lies.
        verdict: What the answer comes to with a picture.
        cost: What it cost.
    """

    def __init__(self, pictures: Pictures, folder: Path, verdict: Verdict, cost: Charge) -> None:
        self._pictures = pictures
        self._folder = folder
        self._verdict = verdict
        self._cost = cost
        self._url: str | None = None
        self._missing: MissingPicture | None = None
        self._odd: str | None = None
        self._bad: str | None = None

    async def take_part(self, source: PictureSource, reply: Reply) -> AttemptResult | None:
        """Take in a picture that lies in the answer; ``None`` if another has to be tried."""
        if isinstance(source, SpooledPart):
            return await self._take(partial(self._spooled, source, reply))
        return await self._take(partial(self._decoded, source.base64))

    async def take_fetched(
        self, url: str, fetched: Callable[[], Awaitable[Picture]]
    ) -> AttemptResult | None:
        """Take in a picture from an address; ``None`` if another has to be tried.

        Args:
            url: The address.
            fetched: Fetches the picture and keeps it.

        Raises:
            FetchRefused: The address did not give it.
        """
        self._url = self._url or url
        return await self._take(fetched, url)

    async def _take(
        self, keep: Callable[[], Awaitable[Picture]], address: str | None = None
    ) -> AttemptResult | None:
        try:
            picture = await keep()
        except FetchRefused:
            raise
        except PictureRefused as refusal:
            self._bad = self._bad or str(refusal)
        except Exception as error:  # noqa: BLE001 - the next picture may be good
            storage = storage_behind(error, self._folder)
            if storage is not None:
                return self._result(image_url=self._url, message=str(storage), storage=storage)
            self._odd = self._odd or described(error)
        else:
            return self._result(image_url=address, picture=picture)
        return None

    def interrupted(self, refusal: FetchRefused) -> AttemptResult:
        """Return what came of an answer whose fetch was cut short by us."""
        return self._result(image_url=self._url, message=str(refusal), interrupted=True)

    def gone(self, problem: str) -> None:
        """Note that an address will never give its picture."""
        self._odd = self._odd or problem

    def missing(self, missing: MissingPicture) -> None:
        """Note that an address may give its picture later; the likeliest of them is reported."""
        before = self._missing
        if before is None or (before.needs_setting and not missing.needs_setting):
            self._missing = missing

    def without_picture(self) -> AttemptResult:
        """Return what came of an answer none of whose pictures could be kept."""
        missing = self._missing
        if missing is not None:
            return self._result(image_url=self._url, message=missing.problem, not_here=missing)
        kind, message = VerdictKind.UNREADABLE, self._bad or "there is no picture in it"
        if self._odd is not None:
            kind = VerdictKind.UNKNOWN
            message = f"its picture cannot be had: {self._odd}; the answer is kept as it came"
        verdict = replace(self._verdict, kind=kind, message=message, may_be_billed=True)
        return AttemptResult(verdict=verdict, cost=self._cost, image_url=self._url)

    def _result(
        self,
        *,
        image_url: str | None,
        message: str = "",
        picture: Picture | None = None,
        storage: StorageFailed | None = None,
        interrupted: bool = False,
        not_here: MissingPicture | None = None,
    ) -> AttemptResult:
        """Return a picture, or what keeps it away for now."""
        return AttemptResult(
            verdict=replace(self._verdict, message=message) if message else self._verdict,
            cost=self._cost,
            picture=picture,
            image_url=image_url,
            storage=storage,
            interrupted=interrupted,
            not_here=not_here,
        )

    async def _spooled(self, source: SpooledPart, reply: Reply) -> Picture:
        """Keep a picture that was decoded while the answer arrived."""
        path = next(part.path for part in reply.parts.values() if part.index == source.index)
        return await self._pictures.save(path)

    async def _decoded(self, text: str) -> Picture:
        """Decode a picture that stayed in the document, and keep it."""
        path = self._folder / f"inline-{secrets.token_hex(8)}"
        try:
            await self._pictures.blocking(partial(_write, path, text))
            return await self._pictures.save(path)
        finally:
            await self._pictures.blocking(partial(remove, path))


def not_taken_in(error: Exception, folder: Path) -> AttemptResult:
    """Return what came of an answer that could not even be read."""
    verdict = Verdict(
        kind=VerdictKind.UNKNOWN,
        message=f"a whole answer came and could not be taken in: {described(error)}; it may have "
        "been billed, and is kept as it came",
        may_be_billed=True,
    )
    return AttemptResult(verdict=verdict, cost=UNKNOWN, storage=storage_behind(error, folder))


def without_pictures(verdict: Verdict, cost: Charge) -> AttemptResult:
    """Return what came of an answer that says itself that it has no picture, or makes no sense.

    What is billed for nothing is bought again by the next run, so that has to be said by the answer
    itself, or by a picture that is none. One that only makes no sense is unknown.
    """
    if verdict.kind is VerdictKind.UNREADABLE and verdict.may_be_billed:
        message = f"{verdict.message or 'the answer makes no sense'}; it is kept as it came"
        verdict = replace(verdict, kind=VerdictKind.UNKNOWN, message=message)
    return AttemptResult(verdict=verdict, cost=cost)


def described(error: Exception) -> str:
    """Name an error; only our own words are sure to hold nothing secret."""
    if isinstance(
        error, SpoolRefused | PictureRefused | FetchRefused | ProviderBroken | JobRefused
    ):
        return str(error)
    return type(error).__name__


def storage_behind(error: BaseException | None, folder: Path) -> StorageFailed | None:
    """Find the disk behind an error: it may work the next time, so nothing is decided.

    A received file that is not there, or is not a file, does not come back. Memory and threads that
    were lacking do. What lies behind a provider's own fault is no disk of ours.
    """
    while error is not None and not isinstance(error, ProviderBroken):
        if isinstance(error, StorageFailed):
            return error
        if isinstance(error, OSError):
            return None if says_not_there(error) else StorageFailed(folder, error, reading=True)
        lacking = from_lack(error)
        if lacking is not None:
            return out_of(folder, lacking)
        error = error.__cause__
    return None


def _write(path: Path, text: str) -> None:
    """Decode a picture that stood in the document into a new file.

    Raises:
        PictureRefused: It is not base64.
        StorageFailed: The disk did not take it.
    """
    data = inline_bytes(text)
    with NewFile(path) as file:
        file.write(data)
