"""Requests that were sent and never answered: counted, kept from being sent again, decided."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from decimal import Decimal
from pathlib import Path

import pytest

from stage3_plugin.cli import main
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.purchase.run_ledger import RunLedger
from stage3_plugin.storage.spool.receipt import is_complete
from tests.doors import (
    HOLD,
    Ran,
    bills,
    counted,
    only,
    painter,
    purchases,
    run_stage,
    scenes,
    states,
)
from tests.fakes.behaviours import Behaviour, CutBody, Drip, Hang, Json, Ok, Page, ResetAfterRead
from tests.fakes.image_api import ImageApi

pytestmark = pytest.mark.anyio

REFUSED = Json({"error": {"code": "content_policy", "message": "policy"}}, status=403)
LOST: dict[str, Behaviour] = {
    "reset before the headers": ResetAfterRead(),
    "cut within the body": CutBody(),
    "closed within a body in chunks": CutBody(by="close", framing="chunked"),
    "no answer in time": Hang(),
    "no end of the answer in time": Drip(every_s=0.05),
    "a gateway's page": Page(504),
    "a proxy's page that says 200": Page(200),
}


def resolve(folder: Path, attempt_id: str, decision: str) -> None:
    """Decide with the command line."""
    state_dir = str(folder / ".stage3")
    with redirect_stdout(io.StringIO()):
        assert main(["resolve", attempt_id[:8], decision, "--state-dir", state_dir]) == 0


@pytest.mark.parametrize("way", LOST)
async def test_a_request_without_an_answer_is_counted_and_not_sent_again(
    image_api: ImageApi, tmp_path: Path, way: str
) -> None:
    """However it was lost: in the same run and in the next, and its cost is not called zero."""
    image_api.script(LOST[way], scene="s01")
    image_api.always(bills(0.05))
    settings = painter(image_api, timeout_s=1.5 if "in time" in way else 20.0)
    first = await run_stage(settings, scenes(2), tmp_path)
    second = await run_stage(settings, scenes(2), tmp_path)
    row = only(tmp_path, "s01")
    failure = second.outcomes["s01"].failure

    assert image_api.received("s01") == 1
    assert row.state is State.UNKNOWN
    assert counted(tmp_path) == 2 * HOLD
    assert [run.code("s01") for run in (first, second)] == ["unknown", "unknown"]
    assert [run.code("s02") for run in (first, second)] == ["made", "made"]
    assert first.outcomes["s01"].cost.usd is None
    assert second.outcomes["s01"].cost.usd == 0  # of this run
    assert failure is not None
    assert not failure.retryable
    assert f"stage3 resolve {row.attempt_id[:8]}" in failure.message
    assert "stage3 attempts" in failure.message


async def test_an_unknown_outcome_counts_under_every_cap(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """The provider may have billed it, so another picture has no room."""
    image_api.script(ResetAfterRead(), scene="s01")
    settings = painter(image_api, total_usd="0.05", capacity=1)
    ran = await run_stage(settings, scenes(2), tmp_path)

    assert (ran.code("s01"), ran.code("s02")) == ("unknown", "budget")
    assert image_api.received() == 1


async def test_what_was_received_of_it_stays_as_evidence(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Half an answer may hold the provider's name for the request; it is there after a rerun."""
    image_api.script(CutBody(), scene="s01")
    await run_stage(painter(image_api), scenes(1), tmp_path)
    await run_stage(painter(image_api), scenes(1), tmp_path)
    folder = tmp_path / ".stage3" / "spool" / only(tmp_path).attempt_id

    assert (folder / "answer").is_file()
    assert not is_complete(folder)


async def test_requests_that_never_left_are_not_unknown(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """A connection that is refused before the first byte costs nothing and is tried again."""
    nobody = painter(image_api, base_url="http://127.0.0.1:9/v1", max_attempts=2)
    ran = await run_stage(nobody, scenes(1), tmp_path)

    assert ran.code("s01") == "unavailable"
    assert states(tmp_path) == [State.VOID, State.VOID]
    assert counted(tmp_path) == 0


# Decisions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "decision, state, counts",
    [
        ("--billed", State.PAID_BAD, True),
        ("--not-billed", State.REFUSED, False),
        ("--resend", State.WROTE_OFF, True),
    ],
)
async def test_a_decision_lets_the_scene_be_made(
    image_api: ImageApi, tmp_path: Path, decision: str, state: State, *, counts: bool
) -> None:
    """Once more; the first is counted as was decided, and what came of it stays as evidence."""
    image_api.script(CutBody(), scene="s01")
    image_api.always(bills(0.05))
    await run_stage(painter(image_api), scenes(1), tmp_path)
    kept = tmp_path / ".stage3" / "spool" / only(tmp_path).attempt_id / "answer"
    resolve(tmp_path, only(tmp_path).attempt_id, decision)
    decided = counted(tmp_path)
    second = await run_stage(painter(image_api), scenes(1), tmp_path)
    third = await run_stage(painter(image_api), scenes(1), tmp_path)

    assert decided == (HOLD if counts else 0)
    assert second.code("s01") == "made"
    assert third.outcomes["s01"].reused
    assert image_api.received() == 2
    assert states(tmp_path) == [state, State.PAID]
    assert counted(tmp_path) == decided + HOLD
    assert purchases(tmp_path)[0].decided_by == "user"
    assert kept.stat().st_size > 0


# Sending again by policy -------------------------------------------------------------------------


async def test_resend_sends_once_more_in_the_same_run(image_api: ImageApi, tmp_path: Path) -> None:
    """The first stays counted, and the ledger names what decided."""
    image_api.script(ResetAfterRead(), scene="s01")
    image_api.always(bills(0.05))
    ran = await run_stage(painter(image_api, on_unknown="resend"), scenes(1), tmp_path)

    assert ran.code("s01") == "made"
    assert ran.outcomes["s01"].attempts == 2
    assert ran.outcomes["s01"].cost.usd is None  # of both, and the first is not known
    assert states(tmp_path) == [State.WROTE_OFF, State.PAID]
    assert purchases(tmp_path)[0].decided_by == "policy"
    assert counted(tmp_path) == 2 * HOLD


async def test_what_was_written_off_is_not_told_as_spent(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Nobody knows whether it was billed, whatever was decided: its hold is told apart for ever."""
    image_api.script(ResetAfterRead(), scene="s01")
    image_api.always(bills(0.05))
    await run_stage(painter(image_api, on_unknown="resend"), scenes(1), tmp_path)
    with redirect_stdout(io.StringIO()) as said:
        assert main(["costs", "--state-dir", str(tmp_path / ".stage3"), "--json"]) == 0
    total = json.loads(said.getvalue())["total"]

    assert states(tmp_path) == [State.WROTE_OFF, State.PAID]
    assert Decimal(total["spent_usd"]) == Decimal("0.05")
    assert Decimal(total["unknown"]["at_most_usd"]) == Decimal("0.05")
    assert Decimal(total["counted_usd"]) == Decimal("0.10")


async def test_resend_sends_once_more_in_a_later_run(image_api: ImageApi, tmp_path: Path) -> None:
    """What an earlier run left unknown under ``hold`` is sent when the setting changes."""
    image_api.script(ResetAfterRead(), scene="s01")
    image_api.always(bills(0.05))
    await run_stage(painter(image_api), scenes(1), tmp_path)
    second = await run_stage(painter(image_api, on_unknown="resend"), scenes(1), tmp_path)
    third = await run_stage(painter(image_api, on_unknown="resend"), scenes(1), tmp_path)

    assert second.code("s01") == "made"
    assert third.outcomes["s01"].reused
    assert states(tmp_path) == [State.WROTE_OFF, State.PAID]
    assert image_api.received() == 2


async def test_resend_never_sends_a_third_time(image_api: ImageApi, tmp_path: Path) -> None:
    """Not in the same run and not in later ones; both are counted."""
    image_api.script(ResetAfterRead(), scene="s01", times=9)
    settings = painter(image_api, on_unknown="resend")
    ended = [await run_stage(settings, scenes(1), tmp_path) for _ in range(3)]

    assert image_api.received() == 2
    assert [ran.code("s01") for ran in ended] == ["unknown"] * 3
    assert states(tmp_path) == [State.WROTE_OFF, State.UNKNOWN]
    assert counted(tmp_path) == 2 * HOLD


@pytest.mark.parametrize("in_one_run", [True, False])
async def test_resend_needs_room_for_both(
    image_api: ImageApi, tmp_path: Path, *, in_one_run: bool
) -> None:
    """If the cap allows for one only, the first waits for a decision as it would have."""
    image_api.script(ResetAfterRead(), scene="s01")
    if not in_one_run:
        await run_stage(painter(image_api), scenes(1), tmp_path)
    settings = painter(image_api, on_unknown="resend", total_usd="0.09")
    ran = await run_stage(settings, scenes(1), tmp_path)

    assert image_api.received() == 1
    assert states(tmp_path) == [State.UNKNOWN]
    assert counted(tmp_path) == HOLD
    assert ran.ending is not None
    assert ran.ending.stopped == "budget"


# The breaker -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["reset before the headers", "a gateway's page"])
async def test_five_in_a_row_stop_the_run(image_api: ImageApi, tmp_path: Path, way: str) -> None:
    """It is a breakdown on the way, and each of them may have been billed."""
    image_api.always(LOST[way])
    ran = await run_stage(painter(image_api, capacity=1), scenes(9), tmp_path)

    assert image_api.received() == 5
    assert ran.ending is not None
    assert ran.ending.stopped == "unknown"
    assert "5 requests in a row" in (ran.ending.message or "")
    assert [ran.code(one) for one in ran.outcomes] == ["unknown"] * 5 + ["not_tried"] * 4
    assert states(tmp_path) == [State.UNKNOWN] * 5  # for the rest nothing was even held


@pytest.mark.parametrize("answer", [Ok(), REFUSED], ids=["a picture", "a refusal"])
async def test_an_answer_in_between_resets_the_count(
    image_api: ImageApi, tmp_path: Path, answer: Behaviour
) -> None:
    """Whatever it says: somebody is there."""
    image_api.always(ResetAfterRead())
    image_api.script(answer, scene="s05")
    ran = await run_stage(painter(image_api, capacity=1), scenes(9), tmp_path)

    assert image_api.received() == 9
    assert ran.ending is not None
    assert ran.ending.stopped is None


async def test_unknown_outcomes_of_earlier_runs_do_not_count(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Nor do those that a run only finds: it is about this run's own requests."""
    image_api.always(ResetAfterRead())
    await run_stage(painter(image_api, capacity=1), scenes(4), tmp_path)
    image_api.always(bills(0.05))
    image_api.script(ResetAfterRead(), scene="s05")
    ran = await run_stage(painter(image_api, capacity=1), scenes(7), tmp_path)

    assert ran.ending is not None
    assert ran.ending.stopped is None
    assert (ran.code("s06"), ran.code("s07")) == ("made", "made")


async def test_what_a_fault_kept_from_being_recorded_is_not_called_free(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is spent all the same; the next run takes the answer in, and nothing is sent again."""

    async def settle(*_: object, **_more: object) -> list[Purchase]:
        raise ZeroDivisionError

    image_api.always(bills(0.05))
    broken = Ran()
    with monkeypatch.context() as patch:
        patch.setattr(RunLedger, "settle", settle)
        with pytest.raises(ZeroDivisionError):
            await run_stage(painter(image_api), scenes(1), tmp_path, into=broken)
    rerun = await run_stage(painter(image_api), scenes(1), tmp_path)

    assert broken.code("s01") == "unknown"
    assert broken.outcomes["s01"].cost.usd == Decimal("0.05")
    assert rerun.code("s01") == "made"
    assert image_api.received("s01") == 1
