"""Takes in an answer that lies in its spool folder: judges it, finds the picture, stores it.

The same for an answer that has just come and for one that a run before left behind: what lies on
the disk is all it looks at. Only a picture that has to be fetched from an address needs the
network once more.

A fence as well: an answer is a stranger's bytes, and whatever reading, judging or pricing it raises
must neither lose it nor keep another scene from its work. So that becomes a verdict like any other:
paid for, perhaps; not understood; kept as it came.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio

from stage3_plugin.domain.attempt import AttemptResult, MissingPicture
from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.money import FREE, UNKNOWN, Cost, cost_of_answer
from stage3_plugin.domain.picture import (
    InlinePicture,
    Picture,
    PictureSource,
    RemotePicture,
    SpooledPart,
)
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import FetchRefused, PictureRefused, SpoolRefused, StorageFailed, out_of
from stage3_plugin.files.new_file import NewFile
from stage3_plugin.policy.refetch import next_of, shown
from stage3_plugin.providers.base import Provider
from stage3_plugin.runtime import interrupt
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.runtime.system_errors import from_lack, says_not_there
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool import awaited
from stage3_plugin.storage.spool.inline import inline_bytes
from stage3_plugin.storage.spool.reading import load_reply
from stage3_plugin.transport.picture_hosts import PictureHosts

if TYPE_CHECKING:
    from stage3_plugin.transport.client import Client  # imports httpx, which drawing does not need

_JUDGES = 2
"""So many answers are judged at once. It is work for the interpreter, of which there is one: each
more would only have the event loop wait for one more to let go of it."""


class Ingest:
    """Takes in the answers of one provider.

    Args:
        provider: Says what an answer means.
        client: Fetches pictures that are only an address.
        shelf: Takes the pictures.
        hosts: Where pictures may be fetched from.
        flat_usd: The settings' price per picture.
        fetch_bytes: The most one fetched picture may have.
        masked: Covers secrets in what an answer says.
    """

    def __init__(
        self,
        provider: Provider,
        client: Client,
        shelf: Pictures,
        *,
        hosts: PictureHosts,
        flat_usd: Decimal | None,
        fetch_bytes: int,
        masked: Masked = NOTHING,
    ) -> None:
        self._provider = provider
        self._client = client
        self._shelf = shelf
        self._hosts = hosts
        self._flat_usd = flat_usd
        self._fetch_bytes = fetch_bytes
        self._masked = masked
        self._judges = anyio.Semaphore(_JUDGES)

    async def take(self, folder: Path, *, age_s: float = 0.0) -> AttemptResult:
        """Take in the complete answer in ``folder``; never raises for what is in it.

        What only the disk, an address or an interrupt kept away stays open, the answer where it
        was: ``PICTURES`` without a picture is one that is to be had, and not now. The interrupt in
        force cuts short the fetching of its picture, and nothing else.

        Args:
            folder: Where it lies.
            age_s: How long ago it came.
        """
        taken = await self._take(folder, age_s)
        if taken.leaves_evidence:
            await self._shelf.secure(folder.name)  # it is all there is of what was paid for
        url = taken.image_url
        return replace(
            taken,
            verdict=self._masked.record(taken.verdict),
            image_url=url and self._masked.text(url),
            stays_open=taken.interrupted or taken.storage is not None or taken.not_here is not None,
        )

    async def _take(self, folder: Path, age_s: float) -> AttemptResult:
        try:
            async with self._judges:
                judged = await self._shelf.blocking(partial(self._judged, folder))
        except Exception as error:  # noqa: BLE001 - whatever strangers' bytes raise is told
            storage = _storage_behind(error, folder)
            return AttemptResult(verdict=_not_understood(error), cost=UNKNOWN, storage=storage)
        if judged.verdict.kind is not VerdictKind.PICTURES:
            return AttemptResult(verdict=_not_called_bad(judged.verdict), cost=judged.cost)
        taken = await _Pictures(self, folder, judged, age_s).one()
        if taken.not_here is not None:
            await self._note(folder, taken.not_here)
        return taken

    async def _note(self, folder: Path, missing: MissingPicture) -> None:
        """Leave a note for whoever looks what the purchase waits for; nothing depends on it."""
        with suppress(StorageFailed):
            await self._shelf.blocking(
                partial(
                    awaited.note,
                    folder,
                    address=missing.address,
                    problem=missing.problem,
                    needs_setting=missing.needs_setting,
                    now=datetime.now(UTC),
                )
            )

    def _judged(self, folder: Path) -> _Judged:
        """Read and judge an answer; run in a thread, since it may be large."""
        reply = load_reply(folder, self._masked)
        verdict = self._provider.judge(reply)
        return _Judged(reply, verdict, self._cost(verdict))

    def _cost(self, verdict: Verdict) -> Cost:
        """Tell what an answer cost; a failure may have been billed, too.

        A figure that cannot be reckoned with is no reason to lose the picture beside it.
        """
        figures = (verdict.reported_usd, verdict.usage, verdict.gateway_usd)
        told = any(figure is not None for figure in figures)
        if verdict.kind is VerdictKind.PICTURES or (verdict.may_be_billed and told):
            try:
                return cost_of_answer(
                    reported_usd=verdict.reported_usd,
                    usage=verdict.usage,
                    prices=self._provider.prices,
                    flat_usd=self._flat_usd,
                    gateway_usd=verdict.gateway_usd,
                    has_picture=verdict.kind is VerdictKind.PICTURES,
                )
            except Exception:  # noqa: BLE001 - then what was held is counted
                return UNKNOWN
        return UNKNOWN if verdict.may_be_billed else FREE

    async def fetched(self, source: RemotePicture, folder: Path, number: int) -> Picture:
        """Fetch a picture, unless an earlier fetch of it was whole, and keep it.

        What is being received has a name of its own until it is seen to be a whole picture; then
        it is renamed, and whoever dies after that finds it before asking the network.
        """
        path = folder / ("fetched" if number == 0 else f"fetched.{number}")
        with suppress(PictureRefused):
            if await self._shelf.blocking(path.is_file):
                return await self._shelf.keep(path)
        new = await self._client.fetch(
            self._address(source.url),
            folder,
            hosts=self._hosts,
            cap=self._fetch_bytes,
        )
        try:
            return await self._shelf.keep(new, when_whole=path)
        except PictureRefused as refusal:  # a page with status 200, or a picture that was cut
            raise FetchRefused(
                f"what came from the picture's address is no whole picture: {refusal}",
                reason="trouble",
                status=200,
            ) from refusal
        finally:
            await self._shelf.blocking(partial(_remove, new))

    def _address(self, url: str) -> str:
        """Give an address as it came: whoever knows the key already may be asked with it."""
        try:
            is_own = (urlsplit(url).hostname or "").lower() == self._hosts.api.host
        except ValueError:  # no address, as whoever fetches it finds
            return url
        return self._masked.restored(url) if is_own else url

    async def decoded(self, source: InlinePicture, folder: Path) -> Picture:
        """Decode a picture that stayed in the document, and keep it."""
        path = folder / f"inline-{secrets.token_hex(8)}"
        try:
            await self._shelf.blocking(partial(_write, path, source.base64))
            return await self._shelf.keep(path)
        finally:
            await self._shelf.blocking(partial(_remove, path))

    async def spooled(self, source: SpooledPart, reply: Reply) -> Picture:
        """Keep a picture that was decoded while the answer arrived."""
        path = next(part.path for part in reply.parts.values() if part.index == source.index)
        return await self._shelf.keep(path)

    @property
    def lasts_s(self) -> float | None:
        """Tell how long the provider keeps the pictures at its addresses."""
        return self._provider.profile.pictures_last_s


@dataclass(frozen=True, slots=True)
class _Judged:
    """An answer, what it means, and what it cost."""

    reply: Reply
    verdict: Verdict
    cost: Cost


class _Pictures:
    """The pictures of one answer, tried in their order until one is kept."""

    def __init__(self, intake: Ingest, folder: Path, judged: _Judged, age_s: float) -> None:
        self._intake = intake
        self._folder = folder
        self._reply = judged.reply
        self._verdict = judged.verdict
        self._cost = judged.cost
        self._age_s = age_s
        self._not_here: MissingPicture | None = None
        self._odd: str | None = None
        self._bad: str | None = None

    async def one(self) -> AttemptResult:
        """Keep the first picture that is good, and tell why not, if none is."""
        url: str | None = None
        for number, source in enumerate(self._verdict.sources):
            address = source.url if isinstance(source, RemotePicture) else None
            url = url or address
            try:
                picture = await self._keep(number, source)
            except FetchRefused as refusal:
                if interrupt.current().triggered:
                    return self._taken(interrupted=True, image_url=url, told=str(refusal))
                self._note(refusal, address or "")
            except PictureRefused as refusal:
                self._bad = self._bad or str(refusal)
            except Exception as error:  # noqa: BLE001 - the next picture may be good
                storage = _storage_behind(error, self._folder)
                if storage is not None:
                    return self._taken(storage=storage, image_url=url, told=str(storage))
                self._odd = self._odd or _told(error)
            else:
                return self._taken(picture=picture, image_url=address)
        return self._without(url)

    async def _keep(self, number: int, source: PictureSource) -> Picture:
        intake = self._intake
        if isinstance(source, SpooledPart):
            return await intake.spooled(source, self._reply)
        if isinstance(source, RemotePicture):
            return await intake.fetched(source, self._folder, number)
        return await intake.decoded(source, self._folder)

    def _note(self, refusal: FetchRefused, url: str) -> None:
        """Note what a fetch that failed means."""
        follows = next_of(refusal.reason, age_s=self._age_s, lasts_s=self._intake.lasts_s)
        if follows == "gone":
            self._odd = self._odd or f"{refusal} ({shown(url)})"
        elif self._not_here is None or (self._not_here.needs_setting and follows == "again"):
            self._not_here = MissingPicture(
                address=shown(url), problem=str(refusal), needs_setting=follows == "setting"
            )

    def _without(self, url: str | None) -> AttemptResult:
        """Tell what an answer is none of whose pictures could be kept."""
        if self._not_here is not None:
            return self._taken(not_here=self._not_here, image_url=url, told=self._not_here.problem)
        if self._odd is not None:
            told = f"its picture cannot be had: {self._odd}; the answer is kept as it came"
            verdict = replace(
                self._verdict, kind=VerdictKind.UNKNOWN, message=told, may_be_billed=True
            )
            return AttemptResult(verdict=verdict, cost=self._cost, image_url=url)
        verdict = replace(
            self._verdict,
            kind=VerdictKind.UNREADABLE,
            message=self._bad or "there is no picture in it",
            may_be_billed=True,
        )
        return AttemptResult(verdict=verdict, cost=self._cost, image_url=url)

    def _taken(
        self,
        *,
        image_url: str | None,
        told: str = "",
        picture: Picture | None = None,
        storage: StorageFailed | None = None,
        interrupted: bool = False,
        not_here: MissingPicture | None = None,
    ) -> AttemptResult:
        """Give a picture, or what keeps it away for now."""
        verdict = replace(self._verdict, message=told) if told else self._verdict
        return AttemptResult(
            verdict=verdict,
            cost=self._cost,
            picture=picture,
            image_url=image_url,
            storage=storage,
            interrupted=interrupted,
            not_here=not_here,
        )


def _not_called_bad(verdict: Verdict) -> Verdict:
    """Give a verdict as unknown that says of an answer only that it makes no sense.

    What is billed for nothing is bought again by the next run, so that has to be told by the answer
    itself, or by a picture that is none.
    """
    if verdict.kind is not VerdictKind.UNREADABLE or not verdict.may_be_billed:
        return verdict
    told = f"{verdict.message or 'the answer makes no sense'}; it is kept as it came"
    return replace(verdict, kind=VerdictKind.UNKNOWN, message=told)


def _not_understood(error: Exception) -> Verdict:
    """Give the verdict on an answer that could not even be read."""
    return Verdict(
        kind=VerdictKind.UNKNOWN,
        message=f"a whole answer came and could not be taken in: {_told(error)}; it may have been "
        "billed, and is kept as it came",
        may_be_billed=True,
    )


def _told(error: Exception) -> str:
    """Name an error; only our own words are sure to hold nothing secret."""
    if isinstance(error, SpoolRefused | PictureRefused | FetchRefused):
        return str(error)
    return type(error).__name__


def _storage_behind(error: BaseException | None, folder: Path) -> StorageFailed | None:
    """Find the disk behind an error: it may work the next time, so nothing is decided.

    A received file that is not there, or is not a file, does not come back. Memory and threads that
    were lacking do.
    """
    while error is not None:
        if isinstance(error, StorageFailed):
            return error
        if isinstance(error, OSError):
            return None if says_not_there(error) else StorageFailed(folder, error, reading=True)
        lacking = from_lack(error)
        if lacking is not None:
            return out_of(folder, lacking)
        error = error.__cause__
    return None


def _remove(path: Path) -> None:
    with suppress(OSError):  # it goes with its folder
        path.unlink()


def _write(path: Path, text: str) -> None:
    """Decode a picture that stood in the document into a new file.

    Raises:
        PictureRefused: It is not base64.
        StorageFailed: The disk did not take it.
    """
    data = inline_bytes(text)
    with NewFile(path) as file:
        file.write(data)
