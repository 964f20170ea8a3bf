"""Whether a job that a whole listing does not have has never begun: then its money is free again.

Pure. No answer is no evidence, and neither is a listing, unless everything here holds: the provider
lists jobs of every state, so that one in work would be there; it promises to reach back to when the
request was held; and so much time has passed since nobody could send it any more that it would be
listed by now. That time begins when the outcome became unknown, and not when the request was held:
a process may sleep between its commit and its first byte. From ``protocol.md``, section 6, *Ask*.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from stage3_plugin.domain.profile import Listing

GRACE = timedelta(minutes=10)
"""How far two clocks may be apart: ours, that wrote when it became unknown, and the listing's."""


def settled_at(listing: Listing, *, unknown_since: datetime) -> datetime:
    """Return from when on a listing can prove absence by its own clock, as ours shows it."""
    return unknown_since + timedelta(seconds=listing.settle_s) + GRACE


def why_not_absent(
    listing: Listing,
    *,
    opened_at: datetime,
    unknown_since: datetime,
    watched_s: float,
    listed_at: datetime | None,
    now: datetime,
) -> str | None:
    """Return why a request may have arrived although a whole listing lacks it.

    Args:
        listing: What the provider's can prove.
        opened_at: When the request was held.
        unknown_since: When its outcome became unknown, by the clock of whoever wrote that.
        watched_s: For how long the process that asks has known it to be unknown, by a clock that is
            never set, when it began to ask.
        listed_at: When the listing was begun, by the provider's clock; ``None`` if it does not say.
        now: The wall clock here.

    Returns:
        The reason, in words; ``None`` if it has never arrived.
    """
    if not listing.proves_absence:
        return "it is not listed, but its provider does not list every job that is being made"
    reach = timedelta(seconds=listing.reaches_back_s)
    latest = max(now, now if listed_at is None else listed_at)
    if latest - opened_at > reach - GRACE:
        return "it is not listed, but the listing does not reach back that far any more"
    settle = timedelta(seconds=listing.settle_s)
    by_the_listing = listed_at is not None and listed_at - unknown_since >= settle + GRACE
    if watched_s >= listing.settle_s or by_the_listing:
        return None
    when = settled_at(listing, unknown_since=unknown_since)
    return f"it is not listed yet; that it never arrived is believed from {when:%Y-%m-%d %H:%M} UTC"
