"""Failed answers in the providers' own shapes, by name: recorded ones and documented ones.

They stand in ``recorded.json``, by what they mean. Used twice: the tests of judging ask what each
one means, and a script for the fake API can send it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.fakes.behaviours import Json

_TABLES: Mapping[str, Any] = json.loads(
    Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
)


def _answers(means: str) -> dict[str, Json]:
    return {
        name: Json(told["body"], told["status"], told.get("headers", {}))
        for name, told in _TABLES[means].items()
    }


MODERATION: Mapping[str, Json] = _answers("moderation")
MONEY: Mapping[str, Json] = _answers("money")
CREDENTIALS: Mapping[str, Json] = _answers("credentials")
FOR_EVERY_SCENE: Mapping[str, Json] = _answers("for_every_scene")
FOR_ONE_SCENE: Mapping[str, Json] = _answers("for_one_scene")
RATE_LIMITS: Mapping[str, tuple[Json, float | None]] = {
    name: (answer, _TABLES["rate_limits"][name].get("hint_s"))
    for name, answer in _answers("rate_limits").items()
}
"""Each with the wait that it names."""
PASSING: Mapping[str, Json] = _answers("passing")
"""Failures in words that a vendor documents for what did not run, quoted by a gateway or not."""
IN_DOUBT: Mapping[str, Json] = _answers("in_doubt")
"""Failures that no vendor documents as free: the service behind may have worked on."""
(IN_FLIGHT_BUDGET,) = _answers("in_flight_budget").values()
