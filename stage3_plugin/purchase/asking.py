"""Asks an address of the provider's for free, and has the answer read from the disk.

What is asked for is a job, or a listing, which is walked page by page. An answer may be as large as
any other, so it goes to the disk as it comes: into a folder of its own within the attempt's, which
is removed again unless whoever asked has given it another name. What is turned away for its key is
asked once more where another key can be had.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import anyio
from pydantic import SecretStr

from stage3_plugin.domain.batch import Upload
from stage3_plugin.domain.exchange import Found, Lost, Reply, Sought, Unclear, Unsaid
from stage3_plugin.errors import (
    FetchRefused,
    JobRefused,
    PictureRefused,
    ProviderBroken,
    SpoolRefused,
    StorageFailed,
    out_of,
)
from stage3_plugin.providers.base import BatchLane, Provider
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.runtime.system_errors import from_lack, says_not_there
from stage3_plugin.storage.pictures import Pictures, RunBlocking
from stage3_plugin.storage.spool import polls
from stage3_plugin.storage.spool.reading import load_reply
from stage3_plugin.storage.spool.writing import SpooledAnswer
from stage3_plugin.transport.bodies import Content
from stage3_plugin.transport.job_hosts import JobHosts

if TYPE_CHECKING:
    from stage3_plugin.transport.client import Client  # imports httpx, which drawing needs not
    from stage3_plugin.transport.exchange import Exchange

_JUDGES = 2
"""Answers judged at once. It is work for the interpreter, of which there is one: each further one
would only make the event loop wait longer for it."""

MOST_PAGES = 500
"""Of a hundred jobs each, as both listings that are known have them."""

Judged = TypeVar("Judged")
Said = TypeVar("Said")


KeyAnew: TypeAlias = Callable[[], SecretStr | None]
"""Returns the key of now, blocks, and has it masked before; ``None`` if there is none."""


@dataclass(eq=False, repr=False)
class RenewableKey:
    """The key of a route whose settings can be read anew.

    Args:
        key: The present one.
        ask: Returns the one of now.
        use: Takes another into use.
        blocking: Runs ``ask``.

    Attributes:
        number: Counts the keys that were in use; a request notes it as it leaves.
    """

    key: SecretStr
    _: KW_ONLY
    ask: KeyAnew
    use: Callable[[SecretStr], None]
    blocking: RunBlocking
    number: int = 0
    _may_ask: bool = True
    _turn: anyio.Lock = field(default_factory=anyio.Lock)

    def note_bought(self) -> None:
        """Note that something was bought with it, or may have been: it is kept from then on."""
        self._may_ask = False

    async def is_another_since(self, number: int) -> bool:
        """Return whether there is another key than that of a request which was turned away.

        It is asked for where that was the present one, and once at most.
        """
        async with self._turn:
            if self.number != number:
                return True
            if not self._may_ask:
                return False
            self._may_ask = False
            key = await self.blocking(self.ask)
            if key is None or key == self.key:
                return False
            self.key = key
            self.use(key)
            self.number += 1
            return True


class NotAsked(Exception):
    """No whole answer came.

    Attributes:
        exchange: What came of it.
        is_for_good: It would be so the next time, too, such as an address that must not be asked.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.is_for_good = exchange.permanent and not exchange.sent
        super().__init__(f"it could not be asked for: {exchange.problem}")

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
        most_bytes: How much of an answer is taken.
        masked: Covers secrets in what comes back.
        now: The wall clock, aware.
        key: The key, where another one can be had.
    """

    client: Client
    pictures: Pictures
    hosts: JobHosts
    most_bytes: int
    masked: Masked = NOTHING
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
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

    def to_come(self, folder: Path) -> SpooledAnswer:
        """Make what an answer goes into, in its folder."""
        return SpooledAnswer(folder, most_bytes=self.most_bytes, masked=self.masked)

    @asynccontextmanager
    async def answer(
        self, attempt: Path, url: str, uploads: tuple[Upload, Content] | None = None
    ) -> AsyncGenerator[Path]:
        """Ask an address once, and yield the folder of its whole answer.

        Args:
            attempt: The attempt's folder; made if it is not there.
            url: Absolute, as it came.
            uploads: A step of handing a file over, which goes there, and the file.

        Raises:
            NotAsked: There is no whole answer.
            StorageFailed: The disk did not take it, or did not give the file.
        """
        url = self.masked.restored(url)
        await self.pictures.blocking(partial(self.pictures.new_folder, attempt.name))
        answer = polls.new_one(attempt)

        def opened(status: int, headers: Mapping[str, str]) -> SpooledAnswer:
            return self.to_come(answer).opened(status, headers)

        try:
            if uploads is None:
                exchange = await self.client.read(url, opened, hosts=self.hosts)
            else:
                step, content = replace(uploads[0], url=url), uploads[1]
                exchange = await self.client.upload(step, content, opened, hosts=self.hosts)
            if exchange.storage is not None:
                raise exchange.storage
            if not exchange.complete:
                raise NotAsked(exchange)
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
        """Judge an answer that is free; a provider that breaks over it does not understand it.

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

    async def in_turn(self, read: Callable[[], Judged]) -> Judged:
        """Read and judge an answer in a thread, when fewer are judged than may be at once."""
        async with self._judges:
            return await self.pictures.blocking(read)


async def sought(
    provider: Provider | BatchLane, asking: Asking, folder: Path, lost: Lost
) -> Sought:
    """Walk a listing for the job of a request whose answer was lost; it can only read.

    Page by page, newest first as they come, until one has it or the last was read. A listing that
    is not read to its end proves nothing: whatever keeps a page away ends the walk, and says why.

    Args:
        provider: Says where its listing is, and what stands in it.
        asking: Asks it.
        folder: The attempt's, in which the pages come to lie for a moment.
        lost: What is known of the request.

    Raises:
        StorageFailed: The disk did not take a page.
    """
    found = Sought(
        began_at=asking.now(),
        account=asking.client.account,
        is_trusted=asking.hosts.have_whole_listing,
    )
    asked: set[str] = set()
    try:
        url: str | None = provider.look_for(lost)
        while url is not None:
            if url in asked or len(asked) == MOST_PAGES:
                return replace(found, problem="its listing does not come to an end")
            asked.add(url)
            async with asking.answer(folder, url) as answer:
                said, moment = await asking.judged(
                    answer, lambda reply: (provider.looked(reply, lost), moment_of(reply))
                )
            if len(asked) == 1:
                found = replace(found, listed_at=moment)
            if isinstance(said, Found):
                return replace(found, accepted=said.accepted)
            if isinstance(said, Unsaid):
                return replace(found, problem=said.message)
            url = said.next_url
    except NotAsked as unasked:
        return replace(found, problem=str(unasked))
    except Exception as error:
        storage = storage_behind(error, folder)
        if storage is not None:
            raise storage from error
        problem = f"a page of its listing could not be understood: {described(error)}"
        return replace(found, problem=problem)
    return replace(found, is_whole=True)


def moment_of(reply: Reply) -> datetime | None:
    """Return when an answer was made by the clock of who made it (RFC 9110, 6.6.1)."""
    try:
        moment = parsedate_to_datetime(reply.headers.get("date", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


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
