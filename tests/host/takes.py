"""Takes of a scene called ``s1``, as a book has them: each with its bytes and its purchase."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from host_stub.contract import Cost
from host_stub.story.takes import Take

WHEN = datetime(2026, 11, 26, tzinfo=UTC)
PAID = Cost(usd=Decimal("0.05"), basis="reported")
FREE = Cost(usd=Decimal(0), basis="free")
PLUGIN = "stage3"


def sha(word: object) -> str:
    return hashlib.sha256(str(word).encode()).hexdigest()


def take(number: int, basis: str | None = "now", **said: Any) -> Take:
    """Make the take with this number, whose bytes are ``sha(number)``."""
    parts: dict[str, Any] = {
        "scene_id": "s1",
        "sha256": sha(number),
        "media_type": "image/png",
        "width": 64,
        "height": 64,
        "plugin": PLUGIN,
        "purchase": f"p{number}",
        "cost": PAID,
        "made_at": WHEN + timedelta(minutes=number),
    }
    return Take(number=number, basis=basis, **{**parts, **said})
