"""Trouble in every fifth step: what a request for each kind of page meets, by a seed.

The books stay right whatever happens: what a behaviour bills is what the vendor would.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from stage3_plugin.testing.batch_plans import Batched, CutFile
from stage3_plugin.testing.image_api import Met
from stage3_plugin.testing.queues import Queued
from stage3_plugin.testing.wire import Asked
from tests.fakes.behaviours import (
    Behaviour,
    CutBody,
    CutJson,
    CutPng,
    HalfPicture,
    Json,
    Missing,
    Ok,
    Page,
    ResetAfterRead,
    ServerError,
)

EVERY = 5
NOWHERE = "/nothing"
"""Asked by tests, and by no provider."""

OF_ANSWERS: tuple[Behaviour, ...] = (
    ResetAfterRead(billed=True),
    ResetAfterRead(billed=False),
    CutBody(),
    CutBody(by="close", framing="chunked"),
    CutJson(),
    CutPng(),
    Page(502, billed=True),
    Page(502, billed=False),
    Page(200, billed=True),
    Json({"error": {"message": "Rate limit reached.", "code": "rate_limit_exceeded"}}, 429),
    Ok(url="own", visits=(503, 404)),
)
"""What a paid request meets where the picture comes with the answer."""
OF_SUBMITS: tuple[Behaviour, ...] = (
    Queued(lost="begun"),
    Queued(lost="not begun"),
    Queued(lost="cut"),
    Queued(lost="begun", unlisted=2),
    Queued(delay_s=0.2),
    Queued(polls=0, again=3),
    Queued(ends="refused", billed=True),
    Queued(between=(Page(502, billed=False), Missing(503)), visits=(503, 404)),
    Queued(polls=6),
    Queued(polls=1, kept=1),
    CutJson(),
    Page(502, billed=False),
    Json({"detail": "Too many requests", "error": "Too many requests"}, 429),
)
"""What a submit meets, and what becomes of its job."""
OF_LOOKS: tuple[Behaviour, ...] = (
    Page(502, billed=False),
    Page(200, billed=False),
    ServerError(500),
    ResetAfterRead(billed=False),
    Json({"half": "an answer"}),
    Json(None, 429),
    Json({}, 503),
)
"""What a look at a job, a listing or a free page meets."""
OF_VISITS: tuple[Behaviour, ...] = (
    Page(502, billed=False),
    Missing(503),
    HalfPicture(),
    HalfPicture(is_cut=True),
    ResetAfterRead(billed=False),
)
"""What a visit of a picture's address meets."""


OF_UPLOADS: tuple[Behaviour, ...] = (
    Page(502, billed=False),
    ServerError(500),
    ResetAfterRead(billed=False),
    Json({"half": "an answer"}),
    Json({"error": {"message": "Rate limit reached.", "code": "rate_limit_exceeded"}}, 429),
)
"""What a step of handing a file over meets."""
OF_CREATES: tuple[Behaviour, ...] = (
    Batched(lost="begun"),
    Batched(lost="not begun"),
    Batched(lost="cut"),
    Batched(lost="begun", unlisted=1),
    Batched(delay_s=0.2),
    Batched(ends="expired", done=2),
    Batched(ends="expired", done=1, tells_expired=False),
    Batched(ends="cancelled", done=1),
    Batched(ends="failed"),
    Batched(again=2, foreign=1),
    Batched(between=(Page(502, billed=False), Missing(503)), lag=1),
    Batched(polls=4, no_file=None),
    Batched(framing="chunked"),
    CutJson(),
    Page(502, billed=False),
    Json({"error": {"message": "Rate limit reached.", "code": "rate_limit_exceeded"}}, 429),
)
"""What a create meets, and what becomes of its batch."""
OF_RESULTS: tuple[Behaviour, ...] = (
    CutFile(at=0),
    CutFile(at=5000),
    CutFile(at=-5, by="close"),
    CutFile(at=-2000),
    Page(502, billed=False),
    Missing(503),
    ResetAfterRead(billed=False),
)
"""What a visit of a result file meets."""


@dataclass(slots=True)
class Weather:
    """A server's trouble.

    Attributes:
        chance: Says which.
        has_queue: Submits are answered with a job.
        every: At each of so many steps something happens.
        is_fair: Nothing happens any more.
        met: What happened how often, by its kind of page.
    """

    chance: random.Random
    has_queue: bool
    every: int = EVERY
    is_fair: bool = False
    met: dict[Met, int] = field(default_factory=dict[Met, int])
    _steps: int = 0

    def __call__(self, asked: Asked, kind: Met) -> Behaviour | None:
        if asked.path == NOWHERE:
            return None
        self._steps += 1
        if self.is_fair or self._steps % self.every:
            return None
        self.met[kind] = self.met.get(kind, 0) + 1
        return self.chance.choice(self._menu(kind))

    def _menu(self, kind: Met) -> tuple[Behaviour, ...]:
        menus: Mapping[Met, tuple[Behaviour, ...]] = {
            "submit": OF_SUBMITS if self.has_queue else OF_ANSWERS,
            "visit": OF_VISITS,
            "file": OF_VISITS,
            "upload": OF_UPLOADS,
            "create": OF_CREATES,
            "results": OF_RESULTS,
        }
        return menus.get(kind, OF_LOOKS)
