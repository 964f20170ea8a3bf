"""Asks an address of the provider's once, for free, and has the answer read from the disk.

What is asked for is a job, or a page of a listing. An answer may be as large as any other, so it
goes to the disk as it comes: into a folder of its own within the attempt's, which is removed again
unless whoever asked has given it another name.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio

from stage3_plugin.attempt.renewing import RenewableKey
from stage3_plugin.attempt.sending import open_spool
from stage3_plugin.domain.batch import Upload
from stage3_plugin.domain.exchange import Reply, Unsaid
from stage3_plugin.runtime.masking import Masked
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool import polls
from stage3_plugin.storage.spool.reading import load_reply
from stage3_plugin.storage.spool.writing import Caps
from stage3_plugin.transport.bodies import Content
from stage3_plugin.transport.job_hosts import JobHosts

if TYPE_CHECKING:
    from stage3_plugin.transport.client import (  # imports httpx, which drawing needs not
        Client,
        Exchange,
    )
    from stage3_plugin.transport.exchange import OpenSink

_JUDGES = 2
"""Answers judged at once. It is work for the interpreter, of which there is one: each further one
would only make the event loop wait longer for it."""

Judged = TypeVar("Judged")


class NotAsked(Exception):
    """No whole answer came.

    Attributes:
        problem: Why, in words.
        is_for_good: It would be so the next time, too, such as an address that must not be asked.
        stops_run: It would be so for everybody, such as a certificate that is not trusted.
        interrupted: It was cut short by us.
    """

    def __init__(
        self,
        problem: str,
        *,
        is_for_good: bool,
        stops_run: bool = False,
        interrupted: bool = False,
    ) -> None:
        self.problem = problem
        self.is_for_good = is_for_good
        self.stops_run = stops_run
        self.interrupted = interrupted
        super().__init__(f"it could not be asked for: {problem}")

    @property
    def said(self) -> Unsaid:
        """Return that nothing was said."""
        return Unsaid(message=str(self))


class Asking:
    """Asks one provider, with the key, what costs nothing.

    Args:
        client: Asks.
        pictures: Has the folders for the answers.
        hosts: Where the key may go.
        caps: How much of an answer is taken.
        masked: Covers secrets in what comes back.
        key: The key, where another one can be had.
    """

    def __init__(
        self,
        client: Client,
        pictures: Pictures,
        *,
        hosts: JobHosts,
        caps: Caps,
        masked: Masked,
        key: RenewableKey | None = None,
    ) -> None:
        self._key = key
        self._client = client
        self._pictures = pictures
        self._hosts = hosts
        self._caps = caps
        self._masked = masked
        self._judges = anyio.Semaphore(_JUDGES)

    @property
    def account(self) -> str:
        """Return what stands for the account that is asked."""
        return self._client.account

    @property
    def has_whole_listing(self) -> bool:
        """Return whether what is listed there is believed to be all that there is."""
        return self._hosts.have_whole_listing

    @property
    def number(self) -> int:
        """Return which key is in use."""
        return 0 if self._key is None else self._key.number

    async def has_another_key_since(self, number: int) -> bool:
        """Return whether there is another key than that of a question that was turned away."""
        return self._key is not None and await self._key.is_another_since(number)

    @asynccontextmanager
    async def answer(self, attempt: Path, url: str) -> AsyncGenerator[Path]:
        """Ask an address once, and yield the folder of its whole answer.

        Args:
            attempt: The attempt's folder; made if it is not there.
            url: Absolute, as it came.

        Raises:
            NotAsked: There is no whole answer.
            StorageFailed: The disk did not take it.
        """
        address = self._masked.restored(url)
        async with self._answer(
            attempt, lambda opened: self._client.read(address, opened, hosts=self._hosts)
        ) as answer:
            yield answer

    @asynccontextmanager
    async def uploaded(self, attempt: Path, step: Upload, content: Content) -> AsyncGenerator[Path]:
        """Take one step of handing a file over, and yield the folder of its whole answer.

        Raises:
            NotAsked: There is no whole answer.
            StorageFailed: The disk did not take it, or did not give the file.
        """
        step = replace(step, url=self._masked.restored(step.url))
        async with self._answer(
            attempt, lambda opened: self._client.upload(step, content, opened, hosts=self._hosts)
        ) as answer:
            yield answer

    async def downloaded(self, url: str, opened: OpenSink) -> Exchange:
        """Get a file of any size once."""
        return await self._client.download(self._masked.restored(url), opened, hosts=self._hosts)

    @asynccontextmanager
    async def _answer(
        self, attempt: Path, exchanged: Callable[[OpenSink], Awaitable[Exchange]]
    ) -> AsyncGenerator[Path]:
        await self._pictures.blocking(partial(self._pictures.new_folder, attempt.name))
        answer = polls.new_one(attempt)
        try:
            exchange = await exchanged(
                partial(open_spool, answer, caps=self._caps, masked=self._masked)
            )
            if exchange.storage is not None:
                raise exchange.storage
            if not exchange.complete:
                raise NotAsked(
                    exchange.problem,
                    is_for_good=exchange.permanent and not exchange.sent,
                    stops_run=exchange.stops_run,
                    interrupted=exchange.interrupted,
                )
            yield answer
        finally:
            with anyio.CancelScope(shield=True):
                await self._pictures.blocking(partial(polls.remove, answer))

    async def judged(self, answer: Path, judge: Callable[[Reply], Judged]) -> Judged:
        """Read a whole answer, and judge it, in a thread."""

        def read() -> Judged:
            with self._pictures.judging(answer, comes_anew=True):
                return judge(load_reply(answer, self._masked))

        return await self.in_turn(read)

    async def in_turn(self, read: Callable[[], Judged]) -> Judged:
        """Read and judge an answer in a thread, when fewer are judged than may be at once."""
        async with self._judges:
            return await self._pictures.blocking(read)
