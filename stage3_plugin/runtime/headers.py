"""Which headers a request may have beside the program's own, whoever asks for them.

Apart from the settings and from what a provider returns, which both name some.
"""

from __future__ import annotations

import re

HEADER_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,127}")
OUR_HEADERS = frozenset(
    {
        "accept-encoding", "connection", "content-encoding", "content-length", "content-type",
        "cookie", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""What says how the request travels, or how long it is: only the client may set these."""
