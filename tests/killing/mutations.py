"""Ways to break the protocol that the checks must find, each done to this process alone.

Five that have to be found, one that stands behind another, and two more for the other checks.

Each takes away one rule and leaves the rest as it is, so that a check that stays green shows that
the rule was not looked at.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.purchase import Held, Limits, NewPurchase, OverCap, Purchase, Settlement
from stage3_plugin.domain.route import Route
from stage3_plugin.domain.states import State
from stage3_plugin.ledger import counters, sqlite
from stage3_plugin.ledger import statements as sql
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.engine import Cursor
from stage3_plugin.ledger.schema import IS_LIVE
from stage3_plugin.purchase import recovery, run_ledger
from stage3_plugin.purchase.run_ledger import InTheWay, Line, RunLedger
from stage3_plugin.purchase.takes import LiveTake, live_takes
from stage3_plugin.storage.inspect import inspect_file
from stage3_plugin.storage.pictures import Pictures
from tests.killing.failpoints import Failpoint, do_at
from tests.killing.steps import Step, place_of

PATIENCE_S = 20.0


def journal_after_send() -> None:
    """Let the request leave first, and write it down once its answer is there."""
    hold, settle = RunLedger.hold, RunLedger.settle
    pending: dict[str, Callable[[Any], Any]] = {}

    async def pretend(
        _: Any, lines: Sequence[Line], most_microusd: Sequence[int], **more: Any
    ) -> list[Held]:
        attempt_id = uuid.uuid4().hex
        pending[attempt_id] = partial(hold, lines=lines, most_microusd=most_microusd, **more)
        return [Held(attempt_id=attempt_id, hold_microusd=most_microusd[0])]

    async def hold_and_settle(
        self: Any, name: str, settlement: Settlement, **more: Any
    ) -> list[Purchase]:
        (held,) = await pending.pop(name)(self)
        return await settle(self, held.attempt_id, settlement, **more)

    place_of(Step.HELD).put(pretend)
    place_of(Step.SETTLED).put(hold_and_settle)


def paid_before_kept() -> None:
    """Say that a picture is paid for and there, and store it afterwards."""
    keep, put = Pictures.save, Pictures.put
    parts: dict[str, Path] = {}

    async def look_only(self: Any, part: Path) -> Picture:
        picture = inspect_file(part, max_pixels=self.max_pixels).picture
        parts[picture.sha256] = part
        return picture

    async def store_and_put(self: Any, picture: Picture, path: Path, **more: Any) -> Path | None:
        if picture.sha256 in parts:
            await keep(self, parts[picture.sha256])
        return await put(self, picture, path, **more)

    place_of(Step.KEEP).put(look_only)
    place_of(Step.PUBLISHED).put(store_and_put)


def unknown_releases_its_hold() -> None:
    """Take the money of an unknown outcome for unspent."""
    settle = Ledger.settle

    def settle_and_release(
        self: Any, name: str, settlement: Settlement, **more: Any
    ) -> list[Purchase]:
        ended = settle(self, name, settlement, **more)
        for after in ended:
            if after.state is State.UNKNOWN:
                scopes = counters.scopes_of(
                    after.new.run_id, after.new.endpoint.provider, str(after.day)
                )
                counters.move(self._execute, scopes, -after.new.hold_microusd)
        return ended

    place_of(Step.SETTLE).put(settle_and_release)


def hold_does_not_look() -> None:
    """Hold money for a scene without looking whether it has a live purchase already.

    Not one of the five: it takes away what stands before the unique index.
    """
    hold = Ledger.hold

    def blind(
        self: Any,
        new: NewPurchase,
        limits: Limits,
        *,
        day: date,
        now: datetime,
        known_as: Keys | None = None,
    ) -> Held | Purchase | OverCap:
        execute: Callable[..., Cursor] = self._execute

        def see_nothing(statement: str, parameters: Any = ()) -> Cursor:
            if statement == sql.LIVE:
                statement += " AND 0"
            return execute(statement, parameters)

        self._execute = see_nothing
        try:
            return hold(self, new, limits, day=day, now=now, known_as=known_as)
        finally:
            self._execute = execute

    place_of(Step.HOLD).put(blind)
    setattr(Ledger, "of_subject", _nothing)  # noqa: B010 - a method is not assigned to
    looking = live_takes

    def see_no_take(
        ledger: Ledger, keys: Keys, *, wanted: int, rows: Sequence[Purchase] | None = None
    ) -> list[LiveTake]:
        return looking(ledger, keys, wanted=wanted) if rows is None else []

    setattr(run_ledger, "live_takes", see_no_take)  # noqa: B010 - likewise


def _nothing(*_: object) -> list[Purchase]:
    return []


def unique_index_dropped() -> None:
    """Let the database take two live purchases of one scene."""
    prepare: Callable[..., None] = vars(sqlite)["prepare"]

    def prepare_and_drop(connection: sqlite3.Connection, path: Path, **more: Any) -> None:
        prepare(connection, path, **more)
        connection.executescript(
            "BEGIN IMMEDIATE; DROP INDEX IF EXISTS one_live; "
            "DROP TRIGGER IF EXISTS a_purchase_is_not_replaced; "
            f"CREATE INDEX one_live ON purchases (scene_key) WHERE {IS_LIVE}; "
            "DROP INDEX IF EXISTS one_in_a_slot; COMMIT;"
        )

    place_of(Step.LEDGER).put(prepare_and_drop)


def cap_looked_at_outside() -> None:
    """Look at the cap first, and hold the money in a transaction of its own."""
    hold = RunLedger.hold

    async def look_then_hold(
        self: Any,
        lines: Sequence[Line],
        most_microusd: Sequence[int],
        *,
        route: Route,
        **more: Any,
    ) -> list[Held] | Mapping[int, InTheWay]:
        (hold_microusd,) = most_microusd
        session, limits = self._session, self._limits
        day, cap_microusd = session.calendar.today(), limits.total_microusd
        spent_microusd = session.reader.sums(
            run_id=session.run_id, provider=route.endpoint.provider, day=day
        ).total_microusd
        if cap_microusd is not None and spent_microusd + hold_microusd > cap_microusd:
            over = OverCap(
                cap="total_usd",
                limit_microusd=cap_microusd,
                committed_microusd=spent_microusd,
                needed_microusd=hold_microusd,
                open_here=session.reader.open_of(session.run_id),
                day=day,
            )
            return {0: over}
        self._limits = Limits()
        try:
            return await hold(self, lines, most_microusd, route=route, **more)
        finally:
            self._limits = limits

    place_of(Step.HELD).put(look_then_hold)


def answer_removed_before_settled() -> None:
    """Remove the received answer as soon as its picture is stored. Not one of the five."""
    keep = Pictures.save

    async def keep_and_tidy(self: Any, part: Path) -> Picture:
        picture = await keep(self, part)
        await self.remove_answer(part.parent.name)
        return picture

    place_of(Step.KEEP).put(keep_and_tidy)


def unanswered_is_taken_for_unsent() -> None:
    """Let a dead run's requests go, as if none of them had left. Not one of the five."""
    after: Callable[..., State] = vars(recovery)["after_its_owner"]

    def let_go(purchase: Purchase, *, answer_is_complete: bool) -> State:
        state = after(purchase, answer_is_complete=answer_is_complete)
        return State.VOID if state is State.UNKNOWN else state

    place_of(Step.JUDGED).put(let_go)


def nothing_is_noted_as_sent() -> None:
    """Let requests leave that the run's list lacks. Not one of the five."""

    def leave(_claim: object, _name: str) -> None: ...

    place_of(Step.LEAVES).put(leave)


MUTATIONS: dict[str, Callable[[], None]] = {
    mutation.__name__: mutation
    for mutation in (
        journal_after_send,
        paid_before_kept,
        unknown_releases_its_hold,
        hold_does_not_look,
        unique_index_dropped,
        cap_looked_at_outside,
        answer_removed_before_settled,
        unanswered_is_taken_for_unsent,
        nothing_is_noted_as_sent,
    )
}


def meet_before_the_first_hold(folder: Path) -> None:
    """Wait until a second run stands where this one stands: all has been looked at, nothing held.

    A run's first commit agrees on the time zone; the second is the hold.
    """

    def meet(*_arguments: Any, **_named: Any) -> None:
        (folder / str(os.getpid())).touch()
        deadline = time.monotonic() + PATIENCE_S
        while len(list(folder.iterdir())) < 2:
            assert time.monotonic() < deadline, "the other run never came"
            time.sleep(0.001)

    commit = Failpoint(
        name="commit",
        target=Step.COMMIT,
        edge="before",
        leaves="nothing",
    )
    do_at(commit, 2, meet)
