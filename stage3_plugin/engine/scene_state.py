"""What one scene has behind it in this run, and what it waits for.

A scene goes from dispatch to a room that brings it on and back, perhaps several times; this is all
that it takes along.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from stage3_plugin.domain.attempt import MissingPicture
from stage3_plugin.domain.file_names import picture_name
from stage3_plugin.domain.money import Cost
from stage3_plugin.domain.outcome import FailureCode
from stage3_plugin.domain.request import PictureRequest


@dataclass(slots=True, kw_only=True)
class Waiting:
    """What a scene waits for that nothing more is sent for.

    Attributes:
        purchase_id: The request that its picture may come of.
        since: When it began to wait.
        hold_microusd: What this run holds for it; ``None`` if it is another run's.
        asked: How often it was asked for.
        not_here: Why its picture is not here, as far as that is known.
        reported_at: When it was last reported that it waits.
    """

    purchase_id: str
    since: float
    hold_microusd: int | None = None
    asked: int = 0
    not_here: MissingPicture | None = None
    reported_at: float = -math.inf


@dataclass(slots=True, kw_only=True)
class SceneState:
    """What one scene has behind it while it runs.

    Attributes:
        request: Its picture.
        queued_at: Since when it has waited for capacity.
        started_at: When its first request started.
        attempts: Requests so far.
        turned_away: Those of them that a rate limit turned away.
        unknown: Those of unknown outcome.
        cause: Why the last of them was not the end.
        costs: One for each.
        dropped: Wishes that could not be expressed.
        request_id: What the provider calls the last exchange.
        waits_for: What it waits for beside dispatch.
    """

    request: PictureRequest
    queued_at: float
    started_at: float = math.nan
    attempts: int = 0
    turned_away: int = 0
    unknown: int = 0
    cause: FailureCode = "rate_limited"
    costs: list[Cost] = field(default_factory=list[Cost])
    dropped: tuple[str, ...] = ()
    request_id: str | None = None
    waits_for: Waiting | None = None

    @property
    def picture_name(self) -> str:
        """Return what its file is called after."""
        return picture_name(self.request)

    @property
    def was_started(self) -> bool:
        """Whether a request of it has started."""
        return self.attempts > 0
