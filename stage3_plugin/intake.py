"""Takes in an answer that lies in its spool folder: judges it, finds the picture, stores it.

The same for an answer that has just come and for one that a run before left behind: what lies on
the disk is all it looks at. Only a picture that has to be fetched from an address needs the
network once more.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stage3_plugin.addresses import PictureHosts
from stage3_plugin.errors import FetchRefused, PictureRefused, SpoolRefused, StorageFailed
from stage3_plugin.interrupt import Interrupt
from stage3_plugin.ledger.rows import KeptPicture
from stage3_plugin.masking import NOTHING, Masked
from stage3_plugin.money import FREE, UNKNOWN, Cost, cost_of_answer
from stage3_plugin.pictures.inline import inline_bytes
from stage3_plugin.pictures.new_file import NewFile
from stage3_plugin.pictures.spool import load_reply
from stage3_plugin.providers.base import (
    PictureSource,
    Provider,
    RemotePicture,
    Reply,
    SpooledPart,
    Verdict,
    VerdictKind,
)
from stage3_plugin.shelf import Shelf

if TYPE_CHECKING:
    from stage3_plugin.client import Client  # imports httpx, which drawing does not need


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a complete answer came to.

    Attributes:
        verdict: What it means; ``PICTURES`` only if ``picture`` is stored.
        cost: Of this answer.
        picture: The stored picture.
        image_url: The provider's address of it, if it gave one.
        storage: The disk failed. The answer lies where it was.
        interrupted: A fetch was cut short by us. The answer lies where it was.
    """

    verdict: Verdict
    cost: Cost
    picture: KeptPicture | None = None
    image_url: str | None = None
    storage: StorageFailed | None = None
    interrupted: bool = False


class Intake:
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
        shelf: Shelf,
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

    async def take(self, folder: Path, interrupt: Interrupt) -> Taken:
        """Take in the complete answer in ``folder``; never raises for what is in it."""
        taken = await self._take(folder, interrupt)
        verdict, url = self._masked.record(taken.verdict), taken.image_url
        return replace(taken, verdict=verdict, image_url=url and self._masked.text(url))

    async def _take(self, folder: Path, interrupt: Interrupt) -> Taken:
        try:
            reply = await self._shelf.blocking(partial(load_reply, folder, self._masked))
        except SpoolRefused as refusal:  # its files were changed underneath
            verdict = Verdict(kind=VerdictKind.UNREADABLE, message=str(refusal), may_be_billed=True)
            return Taken(verdict=verdict, cost=UNKNOWN)
        verdict = self._provider.judge(reply)
        cost = self._cost(verdict)
        if verdict.kind is not VerdictKind.PICTURES:
            return Taken(verdict=verdict, cost=cost)
        return await self._keep_first(folder, reply, verdict, cost, interrupt)

    def _cost(self, verdict: Verdict) -> Cost:
        """Tell what an answer cost; a failure may have been billed, too."""
        figures = (verdict.reported_usd, verdict.usage, verdict.gateway_usd)
        told = any(figure is not None for figure in figures)
        if verdict.kind is VerdictKind.PICTURES or (verdict.may_be_billed and told):
            return cost_of_answer(
                reported_usd=verdict.reported_usd,
                usage=verdict.usage,
                prices=self._provider.prices,
                flat_usd=self._flat_usd,
                gateway_usd=verdict.gateway_usd,
            )
        return UNKNOWN if verdict.may_be_billed else FREE

    async def _keep_first(
        self, folder: Path, reply: Reply, verdict: Verdict, cost: Cost, interrupt: Interrupt
    ) -> Taken:
        """Store the first picture of an answer; bytes that are none were paid for all the same."""
        source = verdict.sources[0]
        url = source.url if isinstance(source, RemotePicture) else None
        try:
            part = await self._picture_file(source, folder, reply, interrupt)
            picture = await self._shelf.keep(part)
        except (PictureRefused, FetchRefused, StorageFailed) as failure:
            unreadable = replace(
                verdict, kind=VerdictKind.UNREADABLE, message=str(failure), may_be_billed=True
            )
            return Taken(
                verdict=unreadable,
                cost=cost,
                image_url=url,
                storage=failure if isinstance(failure, StorageFailed) else None,
                interrupted=isinstance(failure, FetchRefused) and interrupt.thrown,
            )
        return Taken(verdict=verdict, cost=cost, picture=picture, image_url=url)

    async def _picture_file(
        self, source: PictureSource, folder: Path, reply: Reply, interrupt: Interrupt
    ) -> Path:
        """Give the file that holds a picture's bytes, making it if need be.

        Raises:
            PictureRefused: It is not base64.
            FetchRefused: Its address may not be fetched, or did not give it.
            StorageFailed: The disk did not take it.
        """
        if isinstance(source, SpooledPart):
            return next(part.path for part in reply.parts.values() if part.index == source.index)
        path = folder / "fetched"
        if isinstance(source, RemotePicture):
            new = await self._client.fetch(
                self._address(source.url),
                folder,
                hosts=self._hosts,
                cap=self._fetch_bytes,
                interrupt=interrupt,
            )
            new.replace(path)
        else:
            await self._shelf.blocking(partial(_write, path, source.base64))
        return path

    def _address(self, url: str) -> str:
        """Give an address as it came: whoever knows the key already may be asked with it."""
        is_own = (urlsplit(url).hostname or "").lower() == self._hosts.api.host
        return self._masked.restored(url) if is_own else url


def _write(path: Path, text: str) -> None:
    """Decode a picture that stood in the document; whole under its name, or not there."""
    data = inline_bytes(text)
    aside = path.with_name(f"{path.name}-{secrets.token_hex(8)}")
    with NewFile(aside) as file:
        file.write(data)
    try:
        aside.replace(path)
    except OSError as error:
        raise StorageFailed(path, error) from error
