"""One attempt at a picture, step by step, from the request to a file that is safely on disk.

A paid attempt goes: compose → send and spool → judge → check → store. It is shielded from
cancellation from end to end, because whatever was paid for must be stored and told; only the
waiting for an answer is cut short, through :class:`~stage3_plugin.interrupt.Interrupt`. A local
attempt goes: render → check → store, and may simply be cut.

An attempt never tries again and never raises for what a provider, a network or a renderer did: its
result says what came of it.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import anyio

from stage3_plugin.client import Client, Exchange, FetchRefused
from stage3_plugin.errors import PictureRefused, RenderFailed, SpoolRefused, StorageFailed
from stage3_plugin.interrupt import Interrupt
from stage3_plugin.money import FREE, UNKNOWN, Cost, cost_of_answer
from stage3_plugin.outcome import StoredPicture
from stage3_plugin.pictures.inspect import inspect_file
from stage3_plugin.pictures.spool import Caps, Spool, load_reply
from stage3_plugin.pictures.store import Store
from stage3_plugin.providers.base import (
    InlinePicture,
    LocalRenderer,
    PictureSource,
    Provider,
    RemotePicture,
    Reply,
    SpooledPart,
    Verdict,
    VerdictKind,
)
from stage3_plugin.requests import PictureRequest, file_stem

Result = TypeVar("Result")


class RunBlocking(Protocol):
    """Runs work that blocks on a disk away from the event loop."""

    async def __call__(self, work: Callable[[], Result], /) -> Result:
        """Run ``work`` and give its result."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """What came of an attempt.

    Attributes:
        verdict: What it came to; ``PICTURES`` only if ``picture`` is on disk.
        cost: Of this attempt alone.
        picture: The stored picture.
        image_url: The provider's address of it, if it gave one.
        dropped: Wishes that could not be expressed.
        interrupted: It was cut short by us.
        storage: The disk failed.
    """

    verdict: Verdict
    cost: Cost
    picture: StoredPicture | None = None
    image_url: str | None = None
    dropped: tuple[str, ...] = ()
    interrupted: bool = False
    storage: StorageFailed | None = None


class Maker(Protocol):
    """Makes one attempt at a picture."""

    async def attempt(self, request: PictureRequest, interrupt: Interrupt) -> Attempted:
        """Try once."""
        ...


class Shelf:
    """Checks a picture file and brings it where it belongs, off the event loop.

    Args:
        store: The content-addressed store and the output folder's names.
        folder: The folder pictures are published in.
        max_pixels: A larger picture is refused.
        blocking: Runs disk work.
    """

    def __init__(
        self, store: Store, folder: Path, *, max_pixels: int, blocking: RunBlocking
    ) -> None:
        self.store = store
        self.folder = folder
        self.max_pixels = max_pixels
        self.blocking = blocking

    def new_folder(self) -> Path:
        """Make a folder for what one attempt receives.

        Raises:
            StorageFailed: It cannot be made.
        """
        return self.store.spool_folder(uuid.uuid4().hex)

    async def tidy(self, folder: Path) -> None:
        """Remove an attempt's folder; one that resists is left over, and harms nobody."""
        with suppress(StorageFailed):
            await self.blocking(partial(self.store.remove_spool, folder))

    async def put(self, part: Path, scene_id: str) -> StoredPicture:
        """Check, store and publish one picture file.

        Raises:
            PictureRefused: The bytes are not an acceptable picture.
            StorageFailed: The disk did not take it.
        """
        return await self.blocking(partial(self._put, part, file_stem(scene_id)))

    def _put(self, part: Path, stem: str) -> StoredPicture:
        inspected = inspect_file(part, max_pixels=self.max_pixels)
        kept = self.store.keep(part, inspected)
        facts = inspected.facts
        return StoredPicture(
            path=self.store.publish(kept, self.folder, stem, facts.media_type),
            sha256=inspected.sha256,
            media_type=facts.media_type,
            width_px=facts.width_px,
            height_px=facts.height_px,
            size_bytes=inspected.size_bytes,
        )


class PaidMaker:
    """Buys pictures from a provider over HTTP.

    Args:
        provider: Says what to send and what an answer means.
        client: Sends it.
        shelf: Takes the pictures.
        base_url: Where the API is; pictures may be fetched from its host, too.
        flat_usd: The settings' price per picture.
        caps: How much of an answer is taken.
    """

    def __init__(
        self,
        provider: Provider,
        client: Client,
        shelf: Shelf,
        *,
        base_url: str,
        flat_usd: Decimal | None,
        caps: Caps,
    ) -> None:
        self.provider = provider
        self.client = client
        self.shelf = shelf
        self.flat_usd = flat_usd
        self.caps = caps
        host = (urlsplit(base_url).hostname or "").lower()
        self.hosts = (host, *provider.profile.picture_hosts)

    async def attempt(self, request: PictureRequest, interrupt: Interrupt) -> Attempted:
        """Buy one picture: send once, keep whatever comes, say what it was."""
        try:
            folder = self.shelf.new_folder()
        except StorageFailed as failure:
            return _without_storage(failure)
        purchase = _Purchase(self, request, folder, interrupt)
        attempted = await _shielded(purchase.to_the_end)
        if not _is_evidence(attempted):
            await _shielded(partial(self.shelf.tidy, folder))
        return attempted


class _Purchase:
    """One purchase: the request, the folder its answer goes into, and the steps in their order."""

    def __init__(
        self, maker: PaidMaker, request: PictureRequest, folder: Path, interrupt: Interrupt
    ) -> None:
        self._maker = maker
        self._request = request
        self._folder = folder
        self._interrupt = interrupt
        self._spool: Spool | None = None

    async def to_the_end(self) -> Attempted:
        """Send, spool, judge, check and store."""
        maker = self._maker
        call = maker.provider.compose(self._request)
        exchange = await maker.client.post(call, self._open_spool, self._interrupt)
        if self._spool is not None:
            exchange = await self._finish(self._spool, exchange)
        return replace(await self._conclude(exchange), dropped=call.dropped)

    def _open_spool(self, status: int, headers: Mapping[str, str]) -> Spool:
        media_type = headers.get("content-type")
        self._spool = Spool(self._folder, media_type=media_type, caps=self._maker.caps)
        self._spool.head(status, headers.items())
        return self._spool

    async def _finish(self, spool: Spool, exchange: Exchange) -> Exchange:
        """Close the spool; only then is a complete answer a received one."""
        try:
            await self._maker.shelf.blocking(partial(spool.finish, complete=exchange.complete))
        except SpoolRefused as refusal:
            return replace(exchange, complete=False, over_cap=True, problem=str(refusal))
        except StorageFailed as failure:
            problem = "the disk did not take the answer"
            return replace(exchange, complete=False, storage=failure, problem=problem)
        return exchange

    async def _conclude(self, exchange: Exchange) -> Attempted:
        """Judge a complete answer; put an incomplete one into words."""
        if not exchange.complete:
            verdict = _verdict_of_failure(exchange)
            return Attempted(
                verdict=verdict,
                cost=UNKNOWN if verdict.may_be_billed else FREE,
                interrupted=exchange.interrupted,
                storage=exchange.storage,
            )
        try:
            reply = await self._maker.shelf.blocking(partial(load_reply, self._folder))
        except SpoolRefused as refusal:  # its files were changed underneath
            verdict = Verdict(kind=VerdictKind.UNREADABLE, message=str(refusal), may_be_billed=True)
            return Attempted(verdict=verdict, cost=UNKNOWN)
        verdict = self._maker.provider.judge(reply)
        cost = self._cost(verdict)
        if verdict.kind is not VerdictKind.PICTURES:
            return Attempted(verdict=verdict, cost=cost)
        return await self._take_in(reply, verdict, cost)

    def _cost(self, verdict: Verdict) -> Cost:
        """Tell what an answer cost; a failure may have been billed, too."""
        told = verdict.reported_usd is not None or verdict.usage is not None
        if verdict.kind is VerdictKind.PICTURES or (verdict.may_be_billed and told):
            return cost_of_answer(
                reported_usd=verdict.reported_usd,
                usage=verdict.usage,
                prices=self._maker.provider.prices,
                flat_usd=self._maker.flat_usd,
            )
        return UNKNOWN if verdict.may_be_billed else FREE

    async def _take_in(self, reply: Reply, verdict: Verdict, cost: Cost) -> Attempted:
        """Store the first picture of an answer; bytes that are none were paid for all the same."""
        source = verdict.sources[0]
        url = source.url if isinstance(source, RemotePicture) else None
        try:
            part = await self._picture_file(source, reply)
            picture = await self._maker.shelf.put(part, self._request.scene_id)
        except (PictureRefused, FetchRefused, StorageFailed) as failure:
            unreadable = replace(
                verdict, kind=VerdictKind.UNREADABLE, message=str(failure), may_be_billed=True
            )
            storage = failure if isinstance(failure, StorageFailed) else None
            return Attempted(verdict=unreadable, cost=cost, image_url=url, storage=storage)
        return Attempted(verdict=verdict, cost=cost, picture=picture, image_url=url)

    async def _picture_file(self, source: PictureSource, reply: Reply) -> Path:
        """Give the file that holds a picture's bytes, making it if need be.

        Raises:
            PictureRefused: It is not base64.
            FetchRefused: Its address may not be fetched, or did not give it.
            StorageFailed: The disk did not take it.
        """
        if isinstance(source, SpooledPart):
            return next(part.path for part in reply.parts.values() if part.index == source.index)
        path = self._folder / "fetched"
        if isinstance(source, RemotePicture):
            maker = self._maker
            cap = maker.caps.total_bytes
            await maker.client.fetch(
                source.url, path, hosts=maker.hosts, cap=cap, interrupt=self._interrupt
            )
        else:
            await self._maker.shelf.blocking(partial(_write, path, _decode(source)))
        return path


def _without_storage(failure: StorageFailed) -> Attempted:
    """Give an attempt that was never made, because there was no place for its answer."""
    verdict = Verdict(kind=VerdictKind.NOT_SENT, message=str(failure))
    return Attempted(verdict=verdict, cost=FREE, storage=failure)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise StorageFailed(path, error) from error


def _is_evidence(attempted: Attempted) -> bool:
    """Tell whether what was received must be kept: paid for, perhaps, and no picture to show."""
    return attempted.picture is None and attempted.verdict.may_be_billed


def _decode(source: InlinePicture) -> bytes:
    text = source.base64
    if text.startswith("data:"):
        text = text.partition(",")[2]
    compact = "".join(text.split()).translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise PictureRefused("the picture is not base64") from None


def _verdict_of_failure(exchange: Exchange) -> Verdict:
    """Put an exchange without a complete answer into a verdict."""
    if not exchange.sent:
        return Verdict(
            kind=VerdictKind.NOT_SENT,
            message=f"nothing was sent: {exchange.problem}",
            should_retry=False if exchange.permanent else None,
        )
    if exchange.over_cap:
        return Verdict(kind=VerdictKind.UNREADABLE, message=exchange.problem, may_be_billed=True)
    return Verdict(
        kind=VerdictKind.UNKNOWN,
        message=f"sent, but {exchange.problem}; it may have been billed",
        may_be_billed=True,
    )


async def _shielded(work: Callable[[], Awaitable[Result]]) -> Result:
    """Run ``work`` to its end, whatever is cancelled around it."""
    with anyio.CancelScope(shield=True):
        return await work()
    raise AssertionError("a shield without a deadline swallows nothing")


class LocalMaker:
    """Renders pictures on this machine.

    Args:
        renderer: Draws them.
        shelf: Takes them.
        unmet: Names the wishes of a request that the renderer cannot honour.
    """

    def __init__(
        self,
        renderer: LocalRenderer,
        shelf: Shelf,
        unmet: Callable[[PictureRequest], tuple[str, ...]],
    ) -> None:
        self._renderer = renderer
        self._shelf = shelf
        self._unmet = unmet

    async def attempt(self, request: PictureRequest, interrupt: Interrupt) -> Attempted:
        """Render one picture; cut short, it leaves nothing behind."""
        try:
            folder = self._shelf.new_folder()
        except StorageFailed as failure:
            return _without_storage(failure)
        try:
            return await self._render(request, folder / "part-0", interrupt)
        except (RenderFailed, PictureRefused, StorageFailed) as failure:
            may_pass = isinstance(failure, RenderFailed)  # a dead worker, say; pictures stay as bad
            verdict = Verdict(
                kind=VerdictKind.UNREADABLE,
                message=str(failure),
                should_retry=None if may_pass else False,
            )
            storage = failure if isinstance(failure, StorageFailed) else None
            return Attempted(verdict=verdict, cost=FREE, storage=storage)
        finally:
            await _shielded(partial(self._shelf.tidy, folder))

    async def _render(self, request: PictureRequest, path: Path, interrupt: Interrupt) -> Attempted:
        with anyio.CancelScope() as scope, interrupt.calling(scope.cancel):
            await self._renderer.render(request, path)
        if scope.cancelled_caught:
            verdict = Verdict(kind=VerdictKind.NOT_SENT, message="interrupted")
            return Attempted(verdict=verdict, cost=FREE, interrupted=True)
        picture = await _shielded(partial(self._shelf.put, path, request.scene_id))
        return Attempted(
            verdict=Verdict(kind=VerdictKind.PICTURES),
            cost=FREE,
            picture=picture,
            dropped=self._unmet(request),
        )
