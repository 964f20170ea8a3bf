"""Walks a provider's listing for the job of a request whose answer was lost; it can only read.

Page by page, newest first as they come, until one has it or the last was read. A listing that is
not read to its end proves nothing: whatever keeps a page away ends the walk, and says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol

from stage3_plugin.attempt.asking import Asking, NotAsked
from stage3_plugin.attempt.ingest import storage_behind
from stage3_plugin.domain.exchange import Found, Lost, Reply, Sought, Unsaid
from stage3_plugin.errors import ProviderBroken, SpoolRefused
from stage3_plugin.providers.base import Looked

MOST_PAGES = 500
"""Of a hundred jobs each, as both listings that are known have them."""


class HasListing(Protocol):
    """Says where a listing is, and what a page of it shows: of jobs, or of batches."""

    def look_for(self, lost: Lost) -> str: ...
    def looked(self, reply: Reply, lost: Lost) -> Looked: ...


class Finding:
    """Looks for lost requests in the listing of one provider.

    Args:
        provider: Says where, and what a page shows.
        asking: Asks.
        now: The wall clock, aware.
    """

    def __init__(
        self, provider: HasListing, asking: Asking, *, now: Callable[[], datetime]
    ) -> None:
        self._provider = provider
        self._asking = asking
        self._now = now

    async def sought(self, folder: Path, lost: Lost) -> Sought:
        """Look for a request until its job is found, or the listing is over, or trouble comes.

        Args:
            folder: The attempt's, in which the pages come to lie for a moment.
            lost: What is known of the request.

        Raises:
            StorageFailed: The disk did not take a page.
        """
        asking = self._asking
        sought = Sought(
            began_at=self._now(), account=asking.account, is_trusted=asking.has_whole_listing
        )
        asked: set[str] = set()
        try:
            url: str | None = self._provider.look_for(lost)
            while url is not None:
                if url in asked or len(asked) == MOST_PAGES:
                    return replace(sought, problem="its listing does not come to an end")
                asked.add(url)
                said, moment = await self._page(folder, url, lost)
                if len(asked) == 1:
                    sought = replace(sought, listed_at=moment)
                if isinstance(said, Found):
                    return replace(sought, accepted=said.accepted)
                if isinstance(said, Unsaid):
                    return replace(sought, problem=said.message)
                url = said.next_url
        except NotAsked as unasked:
            return replace(sought, problem=str(unasked))
        except Exception as error:
            storage = storage_behind(error, folder)
            if storage is not None:
                raise storage from error
            known = isinstance(error, ProviderBroken | SpoolRefused)
            what = str(error) if known else type(error).__name__
            problem = f"a page of its listing could not be understood: {what}"
            return replace(sought, problem=problem)
        return replace(sought, is_whole=True)

    async def _page(self, folder: Path, url: str, lost: Lost) -> tuple[Looked, datetime | None]:
        def judge(reply: Reply) -> tuple[Looked, datetime | None]:
            return self._provider.looked(reply, lost), moment_of(reply)

        async with self._asking.answer(folder, url) as answer:
            return await self._asking.judged(answer, judge)


def moment_of(reply: Reply) -> datetime | None:
    """Return when an answer was made by the clock of who made it (RFC 9110, 6.6.1)."""
    try:
        moment = parsedate_to_datetime(reply.headers.get("date", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
