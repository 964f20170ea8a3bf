"""A story of which every scene was bought before, recorded through the ledger's own door.

One picture for all, and nothing is ever sent.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from host_stub.contract import Scene
from stage3_plugin.domain.keys import scene_keys
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.purchase import Limits, NewPurchase, Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.engine.asked import request_for
from stage3_plugin.engine.backend import endpoint_of, route_of
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.place import LEDGER_NAME
from stage3_plugin.providers.registry import provider_at
from stage3_plugin.settings import Settings
from stage3_plugin.storage.inspect import inspect_file
from tests.fakes.pngs import make_png
from tests.stage3.stored import Stored

NOBODY = "http://127.0.0.1:9/v1"
"""A request there would fail."""
SETTINGS = Settings(
    provider="openrouter",
    model="a/painter",
    base_url=NOBODY,
    price_usd=Decimal("0.05"),
    size="64x64",
)
CONFIG = f"""
[plugin.stage3]
provider = "openrouter"
model = "a/painter"
base_url = "{NOBODY}"
price_usd = "0.05"
size = "64x64"
"""


def keep_picture(state_dir: Path) -> Picture:
    """Make the one picture that all scenes have."""
    store = Stored(state_dir)
    part = store.spool.new_folder("made") / "part-0"
    part.write_bytes(make_png("a harbour", 64, 64))
    inspected = inspect_file(part, max_pixels=64 * 64)
    store.save(part, inspected)
    store.spool.remove("made")
    return inspected.picture


def fill_ledger(state_dir: Path, scenes: Sequence[Scene], *, days_ago: int = 0) -> None:
    """Record every scene as bought."""
    picture = keep_picture(state_dir)
    now = datetime.now(UTC) - timedelta(days=days_ago)
    scope = route_of(SETTINGS, provider_at(endpoint_of(SETTINGS)).profile)
    paid = Settlement(state=State.PAID, cost_microusd=34_200, basis="reported", picture=picture)
    with Ledger.open(state_dir / LEDGER_NAME) as ledger, ledger.transaction():
        for scene in scenes:
            request = request_for(scene, SETTINGS)
            keys = scene_keys(request, scope)
            new = NewPurchase(
                attempt_id=uuid.uuid4().hex,
                scene_key=keys.scene_key,
                scene_id=scene.scene_id,
                run_id="before",
                endpoint=endpoint_of(SETTINGS),
                size=request.size,
                quality=request.quality,
                is_local=False,
                hold_microusd=50_000,
                content_key=keys.content_key,
                subject_key=keys.subject_key,
            )
            ledger.hold(new, Limits(), day=now.date(), now=now)
            ledger.settle(new.attempt_id, paid, now=now)
