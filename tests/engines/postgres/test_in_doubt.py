"""A connection that is lost over a commit: nothing is sent on it, and nothing is lost by it."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import pytest

from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.place import place_of
from stage3_plugin.purchase import run_ledger
from tests.doors import painter
from tests.engines.postgres.cutter import Cut, Cutter
from tests.engines.postgres_server import PostgresServer
from tests.fakes.image_api import ImageApi
from tests.stage3.buying import scenes
from tests.stage3.running import Ran, run_stage

pytestmark = pytest.mark.anyio

SCENES = 6
HOLD = b"INSERT INTO purchases"
SETTLEMENT = b"UPDATE purchases SET state"


@dataclass(frozen=True)
class Case:
    """Which commit is cut, whether it is made, and whether the server is away then."""

    after: bytes
    how: Cut
    _: KW_ONLY
    stays_shut: bool

    def __str__(self) -> str:
        what = "hold" if self.after == HOLD else "settlement"
        return f"{what} {self.how}, {'away' if self.stays_shut else 'there'}"


async def run(api: ImageApi, way: Cutter, name: str, folder: Path) -> Ran:
    """Run the story with its ledger on the other side of a way."""
    settings = painter(api, ledger=way.url(), project=name, capacity=2)
    return await run_stage(settings, scenes(SCENES), folder)


def rows(postgres: PostgresServer, name: str, folder: Path) -> list[Purchase]:
    """Read every row past the way, and see that the counters are right."""
    with place_of(postgres.url(), name, folder).open() as ledger:
        assert ledger.problems() == []
        return list(ledger.purchases())


@pytest.mark.parametrize(
    "case",
    [
        Case(HOLD, "made", stays_shut=False),
        Case(HOLD, "made", stays_shut=True),
        Case(HOLD, "not made", stays_shut=False),
        Case(SETTLEMENT, "made", stays_shut=False),
        Case(SETTLEMENT, "made", stays_shut=True),
        Case(SETTLEMENT, "not made", stays_shut=True),
    ],
    ids=str,
)
async def test_a_commit_whose_fate_is_not_known_is_not_sent_and_not_lost(
    postgres: PostgresServer,
    tmp_path: Path,
    image_api: ImageApi,
    monkeypatch: pytest.MonkeyPatch,
    case: Case,
) -> None:
    """The run itself gives it back once the ledger answers again, or the next of its home does."""
    monkeypatch.setattr(run_ledger, "WITHDRAWING_S", 0.2 if case.stays_shut else 20.0)
    name = f"doubt_{uuid.uuid4().hex}"
    way = Cutter(postgres, case.after, case.how, stays_shut=case.stays_shut)
    with way.listening():
        first = await run(image_api, way, name, tmp_path)
        assert way.has_cut.is_set()
        left = Counter(one.state for one in rows(postgres, name, tmp_path))
        sent = image_api.received()
        way.is_open = True
        second = await run(image_api, way, name, tmp_path)
    found = Counter(one.state for one in rows(postgres, name, tmp_path))

    assert first.ending is not None
    assert first.ending.stopped == "storage"
    if case.after == HOLD:
        assert sent == left[State.PAID]  # and nothing for what was in doubt
        assert bool(left[State.VOID]) is (case.how == "made" and not case.stays_shut)
        assert bool(left[State.SENDING]) is (case.how == "made" and case.stays_shut)
    assert {second.code(one) for one in second.outcomes} == {"made"}
    assert image_api.received() == SCENES
    assert found[State.PAID] == SCENES
    assert set(found) <= {State.PAID, State.VOID}
