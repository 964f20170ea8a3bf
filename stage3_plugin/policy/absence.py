"""What proves that a lost request has never begun, so that its money is free again.

Pure, and the one place where that is written: the list in :func:`why_not_absent`. No answer is no
evidence, and neither is a listing that lacks the request, unless everything in the list holds. It
holds of two listings, one after the other (:mod:`stage3_plugin.purchase.lost` asks for them).

Time counts only as far as one clock has measured it, from when nobody could send the request any
more, and never by the difference of two clocks: ours may be slow when the outcome is lost and set
right before the next run, and a provider's may be fast. So each look at the listing is kept with
what both clocks said, and of two looks the shorter of their two spans counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from stage3_plugin.domain.exchange import Sought
from stage3_plugin.domain.job import Job
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.purchase import Look
from stage3_plugin.domain.verdict import Verdict

GRACE = timedelta(minutes=10)
"""How far two clocks may disagree about one span of time: beyond that, one of them was set."""


def why_not_absent(
    listing: Listing,
    job: Job,
    sought: Sought,
    *,
    watched_s: float,
    looks: Sequence[Look],
    heard: Verdict | None = None,
) -> str | None:
    """Return why a request that was not found may have arrived all the same.

    Args:
        listing: What its provider's can prove.
        job: Its row.
        sought: What a walk through the listing came to.
        watched_s: For how long the process that asks has known it to be unknown, by a clock that
            is never set, when it began to ask.
        looks: When whole listings were read for it before.
        heard: What its answer came to, if a whole one came that does not settle it.

    Returns:
        The reason, in words; ``None`` if it has never arrived.
    """
    if not sought.is_whole:
        return sought.problem
    unknown_for = measured(sought.began_at, sought.listed_at, watched_s, looks)
    settle = timedelta(seconds=listing.settle_s)
    from_then = sought.began_at + settle - (unknown_for or timedelta(0))
    ages = [one - job.opened_at for one in (sought.began_at, sought.listed_at or sought.began_at)]
    reach = timedelta(seconds=listing.reaches_back_s)
    told = "" if heard is None else heard.message
    conditions = (
        (
            heard is None or is_turned_away(heard),
            f", but an answer came that nobody understands: {told}",
        ),
        (job.new.token is not None, ", but nothing in the request was drawn to find it by"),
        (job.new.account == sought.account, f", but {_OTHER_ACCOUNT}"),
        (sought.is_trusted, f", but {_NOT_THE_VENDORS}"),
        (listing.proves_absence, f", but {_NOT_EVERY_JOB}"),
        (
            all(-GRACE <= age <= reach - GRACE for age in ages),
            ", but the listing does not reach back that far any more",
        ),
        (unknown_for is not None, f", but {_CLOCKS_DISAGREE}"),
        (
            unknown_for is not None and unknown_for >= settle,
            f" yet; that it never arrived is believed from {from_then:%Y-%m-%d %H:%M} UTC",
        ),
    )
    return next((f"it is not listed{why}" for holds, why in conditions if not holds), None)


def is_turned_away(heard: Verdict) -> bool:
    """Return whether a whole answer leaves it open that its request was never taken in.

    A gateway's error page does; a success that nobody understands says that there is a job.
    """
    return heard.provider_status is not None and not 200 <= heard.provider_status < 300


def measured(
    at: datetime, listed_at: datetime | None, watched_s: float, looks: Sequence[Look]
) -> timedelta | None:
    """Return for how long it has been unknown at least; ``None`` if the clocks disagree.

    Args:
        at: The moment of this look, by the wall clock here.
        listed_at: The same by the provider's.
        watched_s: For how long this process has known it, by a clock that is never set.
        looks: When it was looked for before.
    """
    if listed_at is None or not looks:
        return timedelta(seconds=watched_s)
    spans = [(at - one.at, listed_at - one.listed_at) for one in looks]
    agreed = (min(here, there) for here, there in spans if abs(here - there) <= GRACE)
    return max(agreed, default=None)


_OTHER_ACCOUNT = "it was sent with another key, other headers, or to another address"
_NOT_THE_VENDORS = (
    "only the vendor's own listing is believed to have every job; see `listing_is_whole`"
)
_NOT_EVERY_JOB = "its provider does not list every job that is being made"
_CLOCKS_DISAGREE = (
    "the clock here and its provider's disagree on the time since it was looked for before"
)
