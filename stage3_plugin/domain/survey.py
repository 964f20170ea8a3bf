"""What there is of a scene, in Stage3's own words; ``hooks`` translates it for a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from host_stub.contract import StaleReason
from stage3_plugin.domain.money import Cost
from stage3_plugin.domain.picture import Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTake:
    """A picture that was paid for, or drawn; see ``host_stub.contract.KnownTake``."""

    picture: Picture
    purchase: str
    basis: str
    is_current: bool
    stale: tuple[StaleReason, ...] = ()
    is_draft: bool = False
    made_at: datetime
    cost: Cost
    provider: str
    model: str
    image_url: str | None = None
    request_id: str | None = None
    generation_params: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSurvey:
    """What there is of a scene or a sheet; see ``host_stub.contract.SceneSurvey``."""

    scene_id: str
    is_sheet: bool = False
    basis: str | None = None
    waits_for: tuple[str, ...] = ()
    size: str
    model: str
    takes: tuple[KnownTake, ...] = ()
    is_held: bool = False
    is_pending: bool = False
    problem: str | None = None
    high_microusd: int | None = None
    lost: int = 0
