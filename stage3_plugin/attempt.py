"""One attempt at a picture, step by step, from the request to a file that is safely kept.

A paid attempt goes: compose → send and spool → judge → check → store. It is shielded from
cancellation from end to end, because whatever was paid for must be stored and told; only the
waiting for an answer is cut short, through :class:`~stage3_plugin.interrupt.Interrupt`. A local
attempt goes: render → check → store, and may simply be cut.

An attempt never tries again and never raises for what a provider, a network or a renderer did: its
result says what came of it. Holding the money before it and settling after it are the run's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import anyio

from stage3_plugin.descriptors import is_lack
from stage3_plugin.errors import PictureRefused, RenderFailed, StorageFailed
from stage3_plugin.intake import Intake, Taken
from stage3_plugin.interrupt import Interrupt
from stage3_plugin.ledger.rows import KeptPicture
from stage3_plugin.masking import NOTHING, Masked
from stage3_plugin.money import FREE, UNKNOWN, Cost
from stage3_plugin.not_here import NotHere
from stage3_plugin.pictures.receipt import Receipt
from stage3_plugin.pictures.spool import Caps, Spool
from stage3_plugin.providers.base import LocalRenderer, Provider, Verdict, VerdictKind
from stage3_plugin.requests import PictureRequest
from stage3_plugin.shelf import Shelf

if TYPE_CHECKING:
    from stage3_plugin.client import Client, Exchange  # imports httpx, which drawing needs not

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """What came of an attempt.

    Attributes:
        verdict: What it came to; ``PICTURES`` only if ``picture`` is stored.
        cost: Of this attempt alone.
        picture: The stored picture.
        image_url: The provider's address of it, if it gave one.
        dropped: Wishes that could not be expressed.
        interrupted: It was cut short by us.
        storage: The disk failed.
        stays_open: The whole answer lies in the spool and could not be taken in now; a later
            start takes it in.
        not_here: Its picture's address did not give it, and may yet.
        never_sent: It could not even be put into a request, and would not be the next time.
        took_s: Seconds from sending to the whole answer, if it came.
    """

    verdict: Verdict
    cost: Cost
    picture: KeptPicture | None = None
    image_url: str | None = None
    dropped: tuple[str, ...] = ()
    interrupted: bool = False
    storage: StorageFailed | None = None
    stays_open: bool = False
    not_here: NotHere | None = None
    never_sent: bool = False
    took_s: float | None = None

    @property
    def leaves_evidence(self) -> bool:
        """Tell whether what was received must be kept: paid for, perhaps, and no picture."""
        return self.picture is None and self.verdict.may_be_billed


class Maker(Protocol):
    """Makes one attempt at a picture."""

    async def attempt(
        self, attempt_id: str, request: PictureRequest, interrupt: Interrupt
    ) -> Attempted:
        """Try once; what is received goes into the attempt's spool folder."""
        ...


async def shielded(work: Callable[[], Awaitable[Result]]) -> Result:
    """Run ``work`` to its end, whatever is cancelled around it."""
    with anyio.CancelScope(shield=True):
        return await work()
    raise AssertionError("a shield without a deadline swallows nothing")


class PaidMaker:
    """Buys pictures from a provider over HTTP.

    Args:
        provider: Says what to send.
        client: Sends it.
        intake: Takes in the answers.
        shelf: Has the folders for them.
        caps: How much of an answer is taken.
        masked: Covers secrets in what comes back.
    """

    def __init__(
        self,
        provider: Provider,
        client: Client,
        intake: Intake,
        shelf: Shelf,
        *,
        caps: Caps,
        masked: Masked = NOTHING,
    ) -> None:
        self.provider = provider
        self.client = client
        self.intake = intake
        self.shelf = shelf
        self.caps = caps
        self.masked = masked

    async def attempt(
        self, attempt_id: str, request: PictureRequest, interrupt: Interrupt
    ) -> Attempted:
        """Buy one picture: send once, keep whatever comes, say what it was."""
        try:
            if not self.masked.is_prepared:  # the event loop would do it when the answer is there
                await shielded(partial(self.shelf.blocking, self.masked.prepare))
            folder = self.shelf.new_folder(attempt_id)
            receipt = Receipt(folder)
        except StorageFailed as failure:
            return without_room(failure) if is_lack(failure.cause) else without_storage(failure)
        purchase = _Purchase(self, request, folder, receipt, interrupt)
        return await shielded(purchase.to_the_end)


class _Purchase:
    """One purchase: the request, the folder its answer goes into, and the steps in their order."""

    def __init__(
        self,
        maker: PaidMaker,
        request: PictureRequest,
        folder: Path,
        receipt: Receipt,
        interrupt: Interrupt,
    ) -> None:
        self._maker = maker
        self._request = request
        self._folder = folder
        self._receipt = receipt
        self._interrupt = interrupt

    async def to_the_end(self) -> Attempted:
        """Send, spool, judge, check and store."""
        maker = self._maker
        try:
            try:
                call = maker.provider.compose(self._request)
            except Exception as error:  # noqa: BLE001 - nothing has left, so it is no unknown
                return _unsendable(error)
            sent_at = anyio.current_time()
            exchange = await maker.client.post(call, self._open_spool, self._interrupt)
            took_s = anyio.current_time() - sent_at
        finally:
            with suppress(StorageFailed):  # where no answer came, nothing is in it
                self._receipt.close()
        if not exchange.complete:
            if exchange.sent:  # what came of it is the only evidence
                await maker.shelf.secure(self._folder.name)
            return replace(_attempted_without_answer(exchange), dropped=call.dropped)
        taken = await maker.intake.take(self._folder, self._interrupt)
        return replace(attempted_with(taken), dropped=call.dropped, took_s=took_s)

    def _open_spool(self, status: int, headers: Mapping[str, str]) -> Spool:
        media_type = headers.get("content-type")
        maker = self._maker
        spool = Spool(
            self._folder,
            media_type=media_type,
            caps=maker.caps,
            masked=maker.masked,
            receipt=self._receipt,
        )
        spool.head(status, headers.items())
        return spool


def attempted_with(taken: Taken) -> Attempted:
    """Put what a complete answer came to into the words of an attempt."""
    return Attempted(
        verdict=taken.verdict,
        cost=taken.cost,
        picture=taken.picture,
        image_url=taken.image_url,
        interrupted=taken.interrupted,
        storage=taken.storage,
        stays_open=taken.interrupted or taken.storage is not None or taken.not_here is not None,
        not_here=taken.not_here,
    )


def _unsendable(error: Exception) -> Attempted:
    """Give an attempt that ended before its first byte, on something in the request itself."""
    message = f"the request cannot be made: {type(error).__name__}; nothing was sent"
    verdict = Verdict(kind=VerdictKind.REJECTED, message=message)
    return Attempted(verdict=verdict, cost=FREE, never_sent=True)


def _attempted_without_answer(exchange: Exchange) -> Attempted:
    """Put an exchange without a complete answer into words."""
    verdict = _verdict_of_failure(exchange)
    return Attempted(
        verdict=verdict,
        cost=UNKNOWN if verdict.may_be_billed else FREE,
        interrupted=exchange.interrupted,
        storage=exchange.storage,
    )


def without_storage(failure: StorageFailed) -> Attempted:
    """Give an attempt that was never made, because there was no place for its answer."""
    verdict = Verdict(kind=VerdictKind.NOT_SENT, message=str(failure))
    return Attempted(verdict=verdict, cost=FREE, storage=failure)


def without_room(failure: StorageFailed) -> Attempted:
    """Give an attempt that was not made because descriptors were lacking: others will free some."""
    verdict = Verdict(kind=VerdictKind.NOT_SENT, message=f"nothing was sent: {failure}")
    return Attempted(verdict=verdict, cost=FREE)


def _verdict_of_failure(exchange: Exchange) -> Verdict:
    """Put an exchange without a complete answer into a verdict."""
    if not exchange.sent:
        return Verdict(
            kind=VerdictKind.NOT_SENT,
            message=f"nothing was sent: {exchange.problem}",
            should_retry=False if exchange.permanent else None,
            stops_run=exchange.stops_run,
        )
    return Verdict(
        kind=VerdictKind.UNKNOWN,
        message=f"sent, but {exchange.problem}; it may have been billed",
        may_be_billed=True,
        provider_status=exchange.status,
    )


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

    async def attempt(
        self, attempt_id: str, request: PictureRequest, interrupt: Interrupt
    ) -> Attempted:
        """Render one picture; it may be cut short."""
        try:
            folder = self._shelf.new_folder(attempt_id)
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

    async def _render(self, request: PictureRequest, path: Path, interrupt: Interrupt) -> Attempted:
        began_at = anyio.current_time()
        with anyio.CancelScope() as scope, interrupt.calling(scope.cancel):
            await self._renderer.render(request, path)
        took_s = anyio.current_time() - began_at
        if scope.cancelled_caught:
            verdict = Verdict(kind=VerdictKind.NOT_SENT, message="interrupted")
            return Attempted(verdict=verdict, cost=FREE, interrupted=True)
        picture = await shielded(partial(self._shelf.keep, path))
        return Attempted(
            verdict=Verdict(kind=VerdictKind.PICTURES),
            cost=FREE,
            picture=picture,
            dropped=self._unmet(request),
            took_s=took_s,
        )
