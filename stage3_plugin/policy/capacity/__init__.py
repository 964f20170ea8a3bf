"""How many scenes may be in flight, and when the next may leave.

Pure: no clock, no chance and no I/O; the caller passes ``now`` in seconds of its own clock, and
draws for jitter. One limiter serves one account and model of one provider, so a limit that one
scene ran into holds back all of them. ``limiter`` is a fixed one,
``adaptive`` one that finds out the provider's limit: ``level`` is how many at once,
``rate_estimate`` how fast, ``departures`` when the next may leave. ``rate_limit`` has the limits
that are known.
"""

from __future__ import annotations

from stage3_plugin.policy.capacity.adaptive import AdaptiveLimiter
from stage3_plugin.policy.capacity.limiter import (
    Limiter,
    LimiterState,
    Permission,
    Permit,
    Reason,
)
from stage3_plugin.policy.capacity.rate_limit import (
    Pacing,
    RateLimit,
    Spacing,
    Window,
    rate_limit_of,
)

__all__ = [
    "AdaptiveLimiter",
    "Limiter",
    "LimiterState",
    "Pacing",
    "Permission",
    "Permit",
    "RateLimit",
    "Reason",
    "Spacing",
    "Window",
    "rate_limit_of",
]
