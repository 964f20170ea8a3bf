"""One run's purchases of lines over a real ledger, committed in the caller's thread."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.job import NewJob
from stage3_plugin.domain.keys import Keys, scene_keys
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.purchase import Held, Limits, Purchase
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.commits import Commit
from stage3_plugin.ledger.session import Session
from stage3_plugin.policy.reuse import OnUnknown
from stage3_plugin.purchase.checkout import Checkout, NotNow
from stage3_plugin.purchase.recovery import Recovery
from stage3_plugin.purchase.run_ledger import Line, RunLedger
from stage3_plugin.purchase.takes import Part
from tests.fakes.inline_commit import InlineCommit
from tests.stage3.buying import NoClaim
from tests.stage3.ledger.databases import place_in
from tests.stage3.ledger.samples import DAY, NOW

ENDPOINT = Endpoint(provider="painter", model="one")
ROUTE = Route(endpoint=ENDPOINT, sends=frozenset({"seed"}))
HOLD = 10
_opened: list[Ledger] = []


def opened_in(folder: Path) -> Ledger:
    """Open the ledger of a folder until :func:`close_all`."""
    _opened.append(place_in(folder).open())
    return _opened[-1]


def close_all() -> None:
    """Close what was opened."""
    while _opened:
        _opened.pop().close()


def request(scene_id: str, **more: Any) -> PictureRequest:
    """Return a picture that is wanted in a batch."""
    fixed: dict[str, Any] = {
        "prompt": scene_id, "width_px": 64, "height_px": 64, "lane": "batch"
    }  # fmt: skip
    return PictureRequest(scene_id=scene_id, **(fixed | more))


def keys_of(wanted: PictureRequest) -> Keys:
    return scene_keys(wanted, ROUTE)


def a_batch() -> NewJob:
    """Return a batch that was uploaded just now."""
    return NewJob(
        token=secrets.token_hex(16), account="a", endpoint="e", lane="batch", input_file="file-1"
    )


def _nothing(_purchase: Purchase) -> bool:
    return False


class LineShop:
    """A run that buys lines.

    Attributes:
        refused: Lines that its recovery has taken in without a picture.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str = "run-1",
        *,
        cap: int | None = None,
        on_unknown: OnUnknown = "hold",
        hold_of: Callable[[PictureRequest], int] = lambda _: HOLD,
        commit_with: Callable[[Ledger], Commit] = InlineCommit,
        now: datetime = NOW,
    ) -> None:
        self.run_id = run_id
        self.ledger = opened_in(folder)
        self.refused: list[tuple[Purchase, AttemptResult]] = []
        endings = SimpleNamespace(refused=self._refused_line, tell=self._tell)
        self.recovery = SimpleNamespace(is_going=False, may_have=_nothing, endings=endings)
        session = SimpleNamespace(
            reader=self.ledger, commit=commit_with(self.ledger), run_id=run_id, now=lambda: now,
            calendar=SimpleNamespace(today=lambda: DAY),
            claim=NoClaim(),
        )  # fmt: skip
        self.run_ledger = RunLedger(
            cast("Session", session),
            is_local=False,
            limits=Limits(total_microusd=cap),
            on_unknown=on_unknown,
            caretaker=str,
        )

        def estimate(wanted: PictureRequest) -> Estimate:
            return Estimate(low_microusd=0, high_microusd=hold_of(wanted))

        self.checkout = Checkout(
            self.run_ledger,
            replace(ROUTE, list_price=estimate),
            keys_of=keys_of,
            story=(),
            free_bytes=lambda: 1 << 40,
            answer_bytes=1,
            recovery=cast("Recovery", self.recovery),
        )

    def _refused_line(self, keys: Keys) -> tuple[Purchase, AttemptResult] | None:
        for one in self.refused:
            if keys.take_of(one[0].new) is not None:
                self.refused.remove(one)
                return one
        return None

    async def _tell(self, _line: Purchase) -> None:
        pass

    async def ready(self, *scene_ids: str) -> list[Line]:
        """Look at scenes for which nothing stands."""
        return [await self.line(request(one), Part()) for one in scene_ids]

    async def line(self, wanted: PictureRequest, part: Part) -> Line:
        found = await self.checkout.look(wanted, part)
        assert isinstance(found, Line)
        return found

    async def hold(self, *scene_ids: str) -> list[Held]:
        """Hold a batch of scenes, which all have to fit."""
        held = await self.checkout.hold(await self.ready(*scene_ids), a_batch())
        assert isinstance(held, list)
        return held

    async def in_the_way(self, lines: Sequence[Line]) -> dict[int, Line | NotNow]:
        """Return what keeps a batch from being held, which has changed nothing then."""
        before, job = self.rows(), a_batch()
        held = await self.checkout.hold(lines, job)
        assert isinstance(held, dict)
        assert self.rows() == before
        assert self.ledger.job_named(job.token or "") is None
        return held

    def rows(self) -> list[Purchase]:
        """Return every purchase, oldest first; what the counters say is looked at, too."""
        assert self.ledger.problems() == []
        return list(self.ledger.purchases())[::-1]

    def states(self) -> list[State]:
        return [one.state for one in self.rows()]

    def committed(self) -> int:
        sums = self.ledger.sums(run_id=self.run_id, provider=ENDPOINT.provider, day=DAY)
        return sums.total_microusd

    async def bring(self, held: Held, settlement: Any) -> Purchase:
        """Settle one line."""
        (after,) = await self.run_ledger.settle(held.attempt_id, settlement)
        return after
