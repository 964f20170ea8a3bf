"""What follows when a picture's address did not give it: ask again, wait for a person, or give up.

Pure. A fetch costs nothing, so trouble at an address is never a reason to lose what was paid for:
only an address that says for long that there is nothing, or one that the provider keeps no longer,
is given up, and even then what was bought is not called bad.

==================  ==========================  =====================  ==========================
what came           while the answer is young   when it is old         when the provider's time
                                                                       for its pictures is over
==================  ==========================  =====================  ==========================
trouble             ask again                   ask again              gone
404, 410            ask again                   gone                   gone
a host that is not  wait for the setting        wait for the setting   wait for the setting
allowed
no address at all   gone                        gone                   gone
==================  ==========================  =====================  ==========================
"""

from __future__ import annotations

from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from stage3_plugin.errors import FetchReason

MISSING_LASTS_S = 3600.0
"""An answer so old whose address says 404 or 410 has lost its picture: a store that is slow to show
new files needs seconds, an outage that is reported as 404 rarely an hour."""
PATIENCE_S = 300.0
"""Seconds for which a run asks again for one picture that it has bought; the next run goes on."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0

Next: TypeAlias = Literal["again", "setting", "gone"]
"""Ask again; a person has to change a setting first; nothing will ever come."""


def next_of(reason: FetchReason, *, age_s: float, lasts_s: float | None) -> Next:
    """Return what follows from a fetch that failed.

    Args:
        reason: See :class:`~.errors.FetchRefused`.
        age_s: How old the answer is that named the address.
        lasts_s: How long the provider keeps its pictures, if it says so.
    """
    if reason == "address":
        return "gone"
    if reason == "host":
        return "setting"
    if lasts_s is not None and age_s > lasts_s:
        return "gone"
    return "gone" if reason == "missing" and age_s > MISSING_LASTS_S else "again"


def wait_s(asked: int) -> float:
    """Return the wait after so many times of asking: it doubles, up to a minute."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(asked - 1, 16))


def shown(url: str) -> str:
    """Return an address as people may see it: without query, fragment, and login."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
        text = f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
    except ValueError:
        return "an address that is none"
    return text[:200].encode("ascii", "backslashreplace").decode().translate(_BLANKS)


_BLANKS = dict.fromkeys((*range(33), 127), "?")
