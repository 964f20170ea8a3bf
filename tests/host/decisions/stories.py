"""Made-up takes, and how scenes stand that have them, for decisions about them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from host_stub.contract import Cost, Scene
from host_stub.decisions.decision import Decision, Origin
from host_stub.standing.standing import SceneStanding
from host_stub.story.takes import Take

WHEN = datetime(2026, 11, 26, tzinfo=UTC)
PAID = Cost(usd=Decimal("0.05"), basis="reported")
FREE = Cost(usd=Decimal(0), basis="free")
PLUGIN = "stage3"


def sha(word: object) -> str:
    return hashlib.sha256(str(word).encode()).hexdigest()


def take(number: int, basis: str | None = "now", *, scene_id: str = "s1", **said: Any) -> Take:
    """Make the take with this number, whose bytes are ``sha(number)``."""
    parts: dict[str, Any] = {
        "scene_id": scene_id,
        "sha256": sha(number),
        "media_type": "image/png",
        "width": 64,
        "height": 64,
        "plugin": PLUGIN,
        "purchase": f"p-{number}",
        "basis": basis,
        "cost": PAID,
        "made_at": WHEN + timedelta(minutes=number),
    }
    return Take(number=number, **{**parts, **said})


def standing(
    *takes: Take, basis: str | None = "now", scene_id: str = "s1", **said: Any
) -> SceneStanding:
    """Say how a scene stands that has these takes."""
    scene = said.pop("scene", Scene(scene_id=scene_id, prompt="a pier"))
    return SceneStanding(
        scene_id=scene_id, scene=scene, state="current", takes=takes, basis=basis, **said
    )


def decision(
    scene_id: str = "s1", *, index: int = 0, reviewer: str = "ana", **said: Any
) -> Decision:
    """Make a decision of a file that is named after its reviewer."""
    origin = Origin(Path(f"{reviewer}.json"), index, reviewer)
    return Decision(scene_id=scene_id, origin=origin, **said)
