"""How many scenes may be in flight, and when the next may leave.

Pure: no clock, no chance and no I/O; the caller passes ``now`` in seconds of its own clock, and
draws for jitter. One limiter serves one account and model of one provider, so a limit that one
scene ran into holds back all of them. ``limiter`` is a fixed one,
``adaptive`` one that finds out the provider's limit: ``level`` is how many at once,
``rate_estimate`` how fast, ``departures`` when the next may leave. ``rate_limit`` has the limits
that are known.
"""
