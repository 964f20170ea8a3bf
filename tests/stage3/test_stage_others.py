"""A run beside others on one ledger: what they have in work, and what they leave behind."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.keys import scene_keys
from stage3_plugin.domain.purchase import Held, Limits, NewPurchase
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.engine.backend import route_of
from stage3_plugin.engine.requests import request_for
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.owners import Owners
from stage3_plugin.ledger.place import LEDGER_NAME
from stage3_plugin.settings import Settings
from tests.stage3.buying import leave_lock
from tests.stage3.stored import Stored
from tests.stage3.test_stage import Maker, Story, run, virtually

OTHER = "another"


def hold(state_dir: Path, story: Story, positions: range, *, was_sent: bool) -> list[str]:
    """Have the other run hold money for scenes of a story; give the attempts' ids."""
    scenes = list(story)
    ids: list[str] = []
    with Ledger.open(state_dir / LEDGER_NAME) as ledger:
        for position in positions:
            request = request_for(scenes[position], Settings())
            keys = scene_keys(request, route_of(Settings(), None))
            new = NewPurchase(
                attempt_id=uuid.uuid4().hex,
                scene_key=keys.scene_key,
                scene_id=request.scene_id,
                run_id=OTHER,
                endpoint=Endpoint(provider="previz"),
                size=request.size,
                quality=request.quality,
                is_local=False,
                hold_microusd=0,
                content_key=keys.content_key,
                subject_key=uuid.uuid4().hex,
            )
            now = datetime.now(UTC)
            with ledger.transaction():
                held = ledger.hold(new, Limits(), day=date(2026, 1, 1), now=now)
            assert isinstance(held, Held)
            if not was_sent:
                Owners(state_dir).note_unsent(OTHER, new.attempt_id)
            ids.append(new.attempt_id)
    return ids


@dataclass
class LastOneOut(Maker):
    """Lets the other run die while its own last scene is made."""

    lives: ExitStack = field(default_factory=ExitStack)
    last: str = ""

    async def attempt(
        self, attempt_id: str, request: PictureRequest, _jobs: object = None
    ) -> AttemptResult:
        if request.scene_id == self.last:
            self.lives.close()
        return await super().attempt(attempt_id, request, _jobs)


def test_what_another_run_has_in_work_is_looked_at_once_more() -> None:
    """It died meanwhile, so its scenes are taken over; one that lives is left alone."""
    story = Story(3)
    for dies in (True, False):
        maker = LastOneOut(last="s2" if dies else "")

        def others(state_dir: Path, maker: LastOneOut = maker) -> None:
            claim = maker.lives.enter_context(Owners(state_dir).claim(OTHER))
            claim.leaves_rows = True
            hold(state_dir, story, range(2), was_sent=False)

        with maker.lives:
            ran = virtually(lambda: run(maker, story, capacity=1, before=others))  # noqa: B023 - run at once

        taken_over = "made" if dies else "busy"
        assert ran.codes() == {"s0": taken_over, "s1": taken_over, "s2": "made"}
        assert len(ran.outcomes) == 3


def test_a_run_that_stops_at_the_second_look_tells_of_every_scene() -> None:
    """What held them was let go when the other died; those it has not come to are not tried."""
    story = Story(4)
    maker = LastOneOut({"s0": [Verdict(kind=VerdictKind.OUT_OF_MONEY)]}, last="s3")

    def others(state_dir: Path) -> None:
        claim = maker.lives.enter_context(Owners(state_dir).claim(OTHER))
        claim.leaves_rows = True
        hold(state_dir, story, range(3), was_sent=False)

    with maker.lives:
        ran = virtually(lambda: run(maker, story, capacity=1, before=others))

    assert {one: ran.codes()[one] for one in ("s0", "s3")} == {"s0": "out_of_money", "s3": "made"}
    assert {ran.codes()["s1"], ran.codes()["s2"]} <= {"made", "not_tried"}
    assert len(ran.outcomes) == 4


def test_an_answer_that_cannot_be_taken_in_now_is_not_waited_for() -> None:
    """Its run is dead and its answer complete, but nobody here can read it: nothing is bought."""
    story = Story(2)

    def others(state_dir: Path) -> None:
        (attempt_id,) = hold(state_dir, story, range(1), was_sent=True)
        leave_lock(state_dir, OTHER)
        (Stored(state_dir).spool.new_folder(attempt_id) / "answer").write_bytes(b"{}\n{}\nend\n")

    maker = Maker()
    ran = virtually(lambda: run(maker, story, capacity=1, before=others))

    assert ran.codes() == {"s0": "pending", "s1": "made"}
    assert maker.sent == ["s1"]
