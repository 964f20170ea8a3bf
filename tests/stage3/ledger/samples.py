"""Purchases to try a ledger with: each one like the next, but for what a test is about."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

from host_stub.contract import CostBasis
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.job import Accepted, Lane, NewJob
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.purchase import Held, Limits, NewPurchase, Purchase, Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.records import moment
from tests.stage3.ledger.databases import Raw, place_in

NOW = datetime(2026, 11, 24, 9, 30, 0, 123456, tzinfo=UTC)
DAY = date(2026, 11, 24)
NO_CAPS = Limits()
HOLD = 40_000


def key_of(scene_id: str) -> str:
    """Return a scene's key; any digest will do."""
    return hashlib.sha256(scene_id.encode()).hexdigest()


def new_purchase(
    scene_id: str = "rain",
    *,
    run_id: str = "run-1",
    hold_microusd: int = HOLD,
    provider: str = "openrouter",
    attempt_id: str | None = None,
    size: str = "1024x1024",
    is_local: bool = False,
) -> NewPurchase:
    """Return a request that is about to be paid for."""
    return NewPurchase(
        attempt_id=attempt_id or uuid.uuid4().hex,
        scene_key=key_of(scene_id),
        scene_id=scene_id,
        run_id=run_id,
        endpoint=Endpoint(provider=provider, model="painter-1"),
        size=size,
        quality="medium",
        is_local=is_local,
        hold_microusd=hold_microusd,
        content_key=key_of(f"content of {scene_id}"),
        subject_key=key_of(f"subject of {scene_id}"),
    )


def new_job(attempt_id: str, *, lane: Lane = "one") -> NewJob:
    """Return a job that is written down before its request leaves."""
    token = hashlib.sha256(attempt_id.encode()).hexdigest()[:32]
    return NewJob(token=token, account="an account", endpoint="painter-1", lane=lane)


def queued(new: NewPurchase) -> NewPurchase:
    """Return a purchase at a provider that has a queue."""
    return replace(new, job=new_job(new.attempt_id))


def accepted(attempt_id: str, *, keeps_s: float = 3600.0) -> Accepted:
    """Return what a provider with a queue says of a purchase; each job has a name of its own."""
    return Accepted(
        job_id=f"job of {attempt_id}",
        poll_url=f"https://queue.example/{attempt_id}",
        result_url=f"https://queue.example/{attempt_id}/result",
        keeps_s=keeps_s,
    )


@dataclass(frozen=True, kw_only=True)
class Known:
    """The keys of a scene."""

    scene_key: str
    elsewhere: tuple[str, ...] = ()
    content_key: str = ""
    subject_key: str = ""

    @property
    def all(self) -> tuple[str, ...]:
        return (self.scene_key, *self.elsewhere)


def known(scene_id: str, *, elsewhere: tuple[str, ...] = ()) -> Keys:
    """Return the keys of :func:`new_purchase`."""
    keys = Known(
        elsewhere=elsewhere,
        scene_key=key_of(scene_id),
        content_key=key_of(f"content of {scene_id}"),
        subject_key=key_of(f"subject of {scene_id}"),
    )
    return cast("Keys", keys)


def picture(content: str = "a picture") -> Picture:
    """Return a picture that is safely among the objects."""
    return Picture(
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        media_type="image/png",
        width_px=1024,
        height_px=1024,
        size_bytes=1_234_567,
    )


def paid(cost_microusd: int | None = 39_000, *, took_s: float | None = 12.5) -> Settlement:
    """Return the happy end."""
    basis: CostBasis = "unknown" if cost_microusd is None else "reported"
    return Settlement(
        state=State.PAID,
        cost_microusd=cost_microusd,
        basis=basis,
        picture=picture(),
        took_s=took_s,
    )


SETTLEMENTS = {
    State.PAID: paid(),
    State.PAID_BAD: Settlement(
        state=State.PAID_BAD, cost_microusd=39_000, basis="reported", why="the picture is cut off"
    ),
    State.REFUSED: Settlement(state=State.REFUSED, why="content policy"),
    State.UNKNOWN: Settlement(state=State.UNKNOWN, why="the connection was lost"),
    State.VOID: Settlement(state=State.VOID, why="the name does not resolve"),
    State.WROTE_OFF: Settlement(state=State.WROTE_OFF, why="sent again", decided_by="policy"),
}
"""One for every state that a purchase can be settled in."""

TO_REACH: dict[State, tuple[State, ...]] = {
    State.SENDING: (),
    State.ACCEPTED: (State.ACCEPTED,),
    **{
        state: (state,)
        for state in (State.PAID, State.PAID_BAD, State.REFUSED, State.UNKNOWN, State.VOID)
    },
    State.WROTE_OFF: (State.UNKNOWN, State.WROTE_OFF),
}
"""The ways by which each state is reached from a new purchase."""


def hold(ledger: Ledger, new: NewPurchase, limits: Limits = NO_CAPS) -> str:
    """Hold the money for a purchase, which has to fit, and return its identifier."""
    with ledger.transaction():
        held = ledger.hold(new, limits, day=DAY, now=NOW)
    assert isinstance(held, Held)
    return held.attempt_id


def bring_to(ledger: Ledger, state: State, new: NewPurchase | None = None) -> Purchase:
    """Make a purchase and bring it to a state, on a way that is legal."""
    begun = new or new_purchase(f"a scene for {state}")
    attempt_id = hold(ledger, queued(begun) if State.ACCEPTED in TO_REACH[state] else begun)
    with ledger.transaction():
        for step in TO_REACH[state]:
            if step is State.ACCEPTED:
                assert ledger.accept(attempt_id, accepted(attempt_id), now=NOW) is not None
            else:
                ledger.settle(attempt_id, SETTLEMENTS[step], now=NOW)
    purchase = ledger.purchase(attempt_id)
    assert purchase is not None
    return purchase


def insert(raw: Raw, changed: Mapping[str, object] = {}, *, how: str = "INSERT") -> None:
    """Write a new row past the ledger, with some columns as told."""
    row: dict[str, object] = {
        "attempt_id": "d" * 32, "scene_key": "key", "scene_id": "rain", "run_id": "run",
        "provider": "openrouter", "api": "images", "model": "painter-1", "size": "1x1",
        "quality": "low", "is_local": 0, "hold_microusd": 1, "day": "2026-11-24",
        "held_at": moment(NOW), "state": "SENDING", "changed_at": moment(NOW), "why": "",
        "content_key": "content", "subject_key": "subject",
    }  # fmt: skip
    row.update(changed)
    marks = ", ".join("?" * len(row))
    raw.execute(f"{how} INTO purchases ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def opened(folder: Path) -> Ledger:
    """Open the ledger of a folder."""
    return place_in(folder).open()
