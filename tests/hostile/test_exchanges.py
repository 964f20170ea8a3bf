"""What a provider calls an exchange is kept with its purchase, however that ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from stage3_plugin.domain.purchase import Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.book import Ledger
from tests.doors import settings_for
from tests.fakes.behaviours import Json
from tests.fakes.image_api import ImageApi
from tests.stage3.buying import ledger_path, only, scenes
from tests.stage3.ledger.samples import NOW
from tests.stage3.running import run_stage

pytestmark = pytest.mark.anyio

NAMED = {"x-request-id": "req_of_this_exchange"}
TIMED_OUT = {"error": {"message": "upstream request timeout", "type": "gateway"}}


async def test_its_name_outlasts_what_somebody_decides(image_api: ImageApi, tmp_path: Path) -> None:
    """A decision knows nothing of the exchange, and takes nothing away."""
    image_api.always(Json(TIMED_OUT, status=504, headers=NAMED, billed=True))
    await run_stage(settings_for(image_api, max_attempts=1), scenes(1), tmp_path)
    decided = Settlement(state=State.PAID_BAD, basis="unknown", decided_by="user")
    with Ledger.open(ledger_path(tmp_path)) as ledger, ledger.transaction():
        ledger.settle(only(tmp_path).new.attempt_id, decided, now=NOW)

    assert only(tmp_path).request_id == "req_of_this_exchange"
