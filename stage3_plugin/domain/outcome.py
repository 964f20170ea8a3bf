"""How a scene ends, in Stage3's own words; ``hooks`` translates it for a host.

Apart from the contract's models so that nothing in the stage depends on a host, and apart from the
stage so that dispatch, attempt and library can speak of an outcome without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from host_stub.contract import Failure
from stage3_plugin.domain.money import FREE, Cost
from stage3_plugin.domain.picture import Picture


@dataclass(frozen=True, slots=True)
class Placed:
    """A picture that is safely on disk, and its file in the output folder."""

    picture: Picture
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneStep:
    """One of the ways in which a scene was tried; see ``host_stub.contract.SceneStep``."""

    provider: str
    model: str
    prompt: int
    attempts: int
    cost: Cost
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one take of a scene ended: ``placed`` or ``failure``, never both, never neither.

    See ``host_stub.contract.SceneOutcome``.
    """

    scene_id: str
    take: int = 1
    placed: Placed | None = None
    failure: Failure | None = None
    image_url: str | None = None
    generation_params: Mapping[str, object] = field(default_factory=dict[str, object])
    attempts: int = 0
    duration_s: float = 0.0
    cost: Cost = FREE
    dropped: tuple[str, ...] = ()
    reused: bool = False
    bought_for: Cost | None = None
    request_id: str | None = None
    is_sheet: bool = False
    steps: tuple[SceneStep, ...] = ()
    purchase: str | None = None
    basis: str | None = None
    made_at: datetime | None = None

    def __post_init__(self) -> None:
        if (self.placed is None) == (self.failure is None):
            raise ValueError("an outcome is a picture or a failure")
