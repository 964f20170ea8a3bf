"""How often a batch is asked how far it is, by whoever stays for it.

Pure. A run asks once or twice and ends; who stays asks gently: a batch takes hours, and each time
of asking is a request that its provider answers for nothing. What a queue makes comes in seconds,
so there the pace is another one (:mod:`stage3_plugin.policy.polling`).
"""

from __future__ import annotations

FIRST_WAIT_S = 60.0
GROWS = 1.5
LONGEST_WAIT_S = 600.0
LEAST_WAIT_S = 1.0
LONGEST_HINT_S = 3600.0
"""A provider that asks for more is asked once an hour: a batch must not be missed by a slip."""
STRANGE_TIMES = 2.0
"""What is not understood of a batch is asked for so much more slowly."""
_MOST_STEPS = 16


def batch_wait_s(asked: int, *, hint_s: float | None = None) -> float:
    """Return the seconds until a batch is asked for again.

    Args:
        asked: How often it was asked for by this process, this time included.
        hint_s: For how long its provider asks to be left alone: that goes before our own pace.
    """
    if hint_s is not None:
        return min(max(LEAST_WAIT_S, hint_s), LONGEST_HINT_S)
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * GROWS ** min(max(asked, 1) - 1, _MOST_STEPS))
