"""Asks an address of the provider's once, for free, and has the answer read from the disk.

What is asked for is a job, or a page of a listing. An answer may be as large as any other, so it
goes to the disk as it comes: into a folder of its own within the attempt's, which is removed again
unless whoever asked has given it another name.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio

from stage3_plugin.domain.batch import Upload
from stage3_plugin.domain.exchange import Asked, Reply, Unclear, Unsaid
from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.descriptors import is_lack
from stage3_plugin.purchase.ingest import described, storage_behind
from stage3_plugin.purchase.renewing import RenewableKey
from stage3_plugin.purchase.sending import open_spool
from stage3_plugin.runtime.masking import Masked
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool import polls
from stage3_plugin.storage.spool.reading import load_reply
from stage3_plugin.storage.spool.receipt import Receipt
from stage3_plugin.storage.spool.writing import Caps
from stage3_plugin.transport.bodies import Content
from stage3_plugin.transport.job_hosts import JobHosts

if TYPE_CHECKING:
    from datetime import datetime

    from stage3_plugin.transport.client import Client  # imports httpx, which drawing needs not
    from stage3_plugin.transport.exchange import Exchange, OpenSink

_JUDGES = 2
"""Answers judged at once. It is work for the interpreter, of which there is one: each further one
would only make the event loop wait longer for it."""

Judged = TypeVar("Judged")
Said = TypeVar("Said")


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asking:
    """Asks one provider, with the key, what costs nothing; all that go on from it share this.

    Attributes:
        client: Asks.
        pictures: Has the folders for the answers.
        hosts: Where the key may go.
        caps: How much of an answer is taken.
        masked: Covers secrets in what comes back.
        now: The wall clock, aware.
        key: The key, where another one can be had.
    """

    client: Client
    pictures: Pictures
    hosts: JobHosts
    caps: Caps
    masked: Masked
    now: Callable[[], datetime]
    key: RenewableKey | None = None
    _judges: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(_JUDGES))

    async def by_key(
        self, ask: Callable[[], Awaitable[Said]], is_of_the_key: Callable[[Said], bool]
    ) -> Said:
        """Ask, and once more where that was turned away for its key and another one can be had."""
        number = 0 if self.key is None else self.key.number
        said = await ask()
        if self.key is not None and is_of_the_key(said) and await self.key.is_another_since(number):
            return await ask()
        return said

    def into(self, folder: Path, receipt: Receipt | None = None) -> OpenSink:
        """Return what opens the spool of an answer in its folder."""
        return partial(open_spool, folder, receipt=receipt, caps=self.caps, masked=self.masked)

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
        address = self.masked.restored(url)
        async with self._answer(
            attempt, lambda opened: self.client.read(address, opened, hosts=self.hosts)
        ) as answer:
            yield answer

    @asynccontextmanager
    async def uploaded(self, attempt: Path, step: Upload, content: Content) -> AsyncGenerator[Path]:
        """Take one step of handing a file over, and yield the folder of its whole answer.

        Raises:
            NotAsked: There is no whole answer.
            StorageFailed: The disk did not take it, or did not give the file.
        """
        step = replace(step, url=self.masked.restored(step.url))
        async with self._answer(
            attempt, lambda opened: self.client.upload(step, content, opened, hosts=self.hosts)
        ) as answer:
            yield answer

    async def downloaded(self, url: str, opened: OpenSink) -> Exchange:
        """Get a file of any size once."""
        return await self.client.download(self.masked.restored(url), opened, hosts=self.hosts)

    @asynccontextmanager
    async def _answer(
        self, attempt: Path, exchanged: Callable[[OpenSink], Awaitable[Exchange]]
    ) -> AsyncGenerator[Path]:
        await self.pictures.blocking(partial(self.pictures.new_folder, attempt.name))
        answer = polls.new_one(attempt)
        try:
            exchange = await exchanged(self.into(answer))
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
                await self.pictures.blocking(partial(polls.remove, answer))

    async def judged(self, answer: Path, judge: Callable[[Reply], Judged]) -> Judged:
        """Read a whole answer, and judge it, in a thread."""

        def read() -> Judged:
            with self.pictures.judging(answer, comes_anew=True):
                return judge(load_reply(answer, self.masked))

        return await self.in_turn(read)

    async def understood(self, answer: Path, judge: Callable[[Reply], Judged]) -> Judged | Unclear:
        """Judge an answer of a job's; a provider that breaks over it does not understand it.

        Raises:
            StorageFailed: The disk did not give it.
        """
        try:
            return await self.judged(answer, judge)
        except Exception as error:
            storage = storage_behind(error, answer)
            if storage is not None:
                raise storage from error
            return Unclear(message=f"an answer could not be understood: {described(error)}")

    async def heard(
        self,
        attempt: Path,
        url: str,
        of: Asked,
        judge: Callable[[Reply], Judged],
        is_last: Callable[[object], bool],
    ) -> Judged | Unclear | Unsaid | NotAsked:
        """Ask for a job once; an answer that ends it is kept, and so is one that is not understood.

        Raises:
            StorageFailed: The disk did not take the answer.
        """
        try:
            async with self.answer(attempt, url) as answer:
                step = await self.understood(answer, judge)
                if is_last(step) or isinstance(step, Unclear):
                    how: polls.Kept = "unclear" if isinstance(step, Unclear) else "done"
                    await self.pictures.blocking(partial(polls.keep, answer, of, how=how))
                return step
        except NotAsked as problem:
            return problem
        except StorageFailed as failure:
            if is_lack(failure.cause):  # of descriptors: others will free some
                return Unsaid(message=str(failure))
            raise

    async def in_turn(self, read: Callable[[], Judged]) -> Judged:
        """Read and judge an answer in a thread, when fewer are judged than may be at once."""
        async with self._judges:
            return await self.pictures.blocking(read)
