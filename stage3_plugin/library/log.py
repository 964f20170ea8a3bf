"""The library's events, as lines of the standard library's logger ``stage3_plugin``.

Whatever structlog is configured to do in the calling program stays as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Final, cast

import structlog
from structlog.typing import FilteringBoundLogger

from host_stub.text.redaction import Redactor

LOGGER: Final = logging.getLogger("stage3_plugin")
LOGGER.addHandler(logging.NullHandler())  # where logging is not set up, nothing is printed


def log_without(secrets: Iterable[str]) -> FilteringBoundLogger:
    """Make a logger of our own that hands events to the standard library's.

    Args:
        secrets: Taken out of every line.
    """
    redactor = Redactor(secrets)

    def redacted(_logger: object, _method: str, line: Any) -> str:
        return redactor.text(line)

    log = structlog.wrap_logger(
        LOGGER,
        processors=[
            structlog.stdlib.filter_by_level,  # what nobody reads is not made
            structlog.processors.KeyValueRenderer(key_order=["event", "scene_id"]),
            redacted,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    return cast("FilteringBoundLogger", log)
