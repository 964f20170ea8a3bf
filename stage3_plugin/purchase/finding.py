"""Walks a provider's listing for the job of a request whose answer was lost; it can only read.

Page by page, newest first as they come, until one has it or the last was read. A listing that is
not read to its end proves nothing: whatever keeps a page away ends the walk, and says why.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from stage3_plugin.domain.exchange import Found, Lost, Reply, Sought, Unsaid
from stage3_plugin.providers.base import BatchLane, Looked, Provider
from stage3_plugin.purchase.asking import Asking, NotAsked
from stage3_plugin.purchase.ingest import described, storage_behind

MOST_PAGES = 500
"""Of a hundred jobs each, as both listings that are known have them."""


async def sought(
    provider: Provider | BatchLane, asking: Asking, folder: Path, lost: Lost
) -> Sought:
    """Look for a request until its job is found, or the listing is over, or trouble comes.

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
            said, moment = await _page(provider, asking, folder, url, lost)
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


async def _page(
    provider: Provider | BatchLane, asking: Asking, folder: Path, url: str, lost: Lost
) -> tuple[Looked, datetime | None]:
    """Have one page, and when it was made by its provider's clock."""

    def judge(reply: Reply) -> tuple[Looked, datetime | None]:
        return provider.looked(reply, lost), moment_of(reply)

    async with asking.answer(folder, url) as answer:
        return await asking.judged(answer, judge)


def moment_of(reply: Reply) -> datetime | None:
    """Return when an answer was made by the clock of who made it (RFC 9110, 6.6.1)."""
    try:
        moment = parsedate_to_datetime(reply.headers.get("date", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
