"""Minutes of waiting for a picture that is bought, in virtual time; and what a stop does to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from stage3_plugin.domain.attempt import AttemptResult, MissingPicture
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.money import Charge
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.engine.backend import Sender
from stage3_plugin.policy.refetch import LONGEST_WAIT_S
from stage3_plugin.purchase.conversation import Conversation
from stage3_plugin.runtime import interrupt
from tests.stage3 import test_stage
from tests.stage3.showing import Timed, virtually
from tests.stage3.stored import Stored
from tests.stage3.test_stage import Maker, Story, run

PAID: dict[str, Any] = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:9"}
PRICE = Charge(40_000, "reported")
NOT_YET = MissingPicture(address="https://pictures.example/a.png", problem="status 503")


@dataclass
class Addresses:
    """Every picture's address, which gives it from a moment on."""

    works_after_s: float
    hangs: bool = False
    asked_at: list[float] = field(default_factory=list[float])

    listing: None = None
    """Nothing is looked for."""

    async def find(self, _folder: Path, _lost: object) -> None: ...

    async def resume(self, folder: Path, _book: object, *, age_s: float = 0.0) -> AttemptResult:
        del folder, age_s
        self.asked_at.append(anyio.current_time())
        verdict = Verdict(kind=VerdictKind.PICTURES, may_be_billed=True)
        if self.hangs:
            with anyio.CancelScope(shield=True) as scope, interrupt.current().calling(scope.cancel):
                await anyio.sleep(3600)
            return AttemptResult(verdict=verdict, cost=PRICE, interrupted=True, stays_open=True)
        if self.asked_at[-1] - self.asked_at[0] < self.works_after_s:
            return AttemptResult(verdict=verdict, cost=PRICE, stays_open=True, not_here=NOT_YET)
        picture = Picture(
            sha256="0" * 64, media_type="image/png", width_px=1, height_px=1, size_bytes=1
        )
        return AttemptResult(verdict=verdict, cost=PRICE, picture=picture)


@dataclass
class ByAddress(Maker):
    """Buys pictures that come as addresses; the first ask of each is in vain."""

    addresses: Addresses = field(default_factory=lambda: Addresses(0))
    state_dir: Path = Path()

    async def attempt(
        self, attempt_id: str, request: PictureRequest, _jobs: object = None
    ) -> AttemptResult:
        self.sent.append(request.scene_id)
        self.sent_at.append(anyio.current_time())
        folder = Stored(self.state_dir).spool.new_folder(attempt_id)
        (folder / "answer").write_bytes(b"{}\n{}\nend\n")
        await anyio.sleep(self.duration_s)
        self.addresses.asked_at.append(anyio.current_time())
        verdict = Verdict(kind=VerdictKind.PICTURES, may_be_billed=True)
        return AttemptResult(verdict=verdict, cost=PRICE, stays_open=True, not_here=NOT_YET)


@pytest.fixture
def with_addresses(monkeypatch: pytest.MonkeyPatch) -> Callable[[Addresses], None]:
    """Let a stage of the other tests take answers in from addresses."""

    def use(addresses: Addresses) -> None:
        def made(**parts: Any) -> Any:
            def conversation_for(_: Endpoint) -> Conversation:
                return cast("Conversation", addresses)

            parts["conversation_for"] = conversation_for
            return Sender(**parts)

        monkeypatch.setattr(test_stage, "Sender", made)

    return use


def patient(
    addresses: Addresses, scenes: int = 1, *, stop_after_s: float | None = None, **settings: Any
) -> tuple[Timed, ByAddress]:
    """Run a story whose pictures are at addresses."""
    maker = ByAddress(addresses=addresses)

    def before(state_dir: Path) -> None:
        maker.state_dir = state_dir

    async def main() -> Timed:
        stopping, ran = anyio.Event(), Timed()
        async with anyio.create_task_group() as tasks:

            async def stop() -> None:
                await anyio.sleep(stop_after_s or 0)
                stopping.set()

            if stop_after_s is not None:
                tasks.start_soon(stop)
            more = PAID | settings
            await run(maker, Story(scenes), before=before, stopping=stopping, into=ran, **more)
            tasks.cancel_scope.cancel()
        return ran

    return virtually(main), maker


def test_an_address_is_asked_for_minutes_with_growing_pauses(
    with_addresses: Callable[[Addresses], None],
) -> None:
    """Four minutes of an outage cost a dozen visits and no second request."""
    addresses = Addresses(works_after_s=240)
    with_addresses(addresses)
    ran, maker = patient(addresses)
    pauses = [b - a for a, b in zip(addresses.asked_at, addresses.asked_at[1:], strict=False)]

    assert ran.ended() == {"s0": "made"}
    assert maker.sent == ["s0"]
    assert [round(pause) for pause in pauses[:7]] == [1, 2, 4, 8, 16, 32, 60]
    assert max(pauses) <= LONGEST_WAIT_S
    assert 240 <= ran.took_s <= 240 + LONGEST_WAIT_S + 2
