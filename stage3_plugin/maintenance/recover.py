"""Gives a home up: the one thing that a person may say of what another machine has sent.

What its dead runs had in work is of unknown outcome from then on, as it would be had the home come
back and found no answer. Nobody but a person can say so, since the answers may lie on a disk that
is out of reach. A driver of that home that is connected to the ledger is at work, so nothing is
given up under its hands; that one is not connected proves nothing, and so is left to the person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from difflib import get_close_matches

from stage3_plugin.domain.purchase import Purchase, Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.home import Homes
from stage3_plugin.maintenance import Refused, next_steps
from stage3_plugin.maintenance.next_steps import Next
from stage3_plugin.maintenance.report import (
    Foreseen,
    Line,
    Report,
    counted,
    moment,
    purchases_in_rows,
    usd,
)
from stage3_plugin.maintenance.state_folder import StateFolder
from stage3_plugin.policy.reuse import after_its_owner

_MOST_SHOWN = 20


class Recovery(Report):
    """What a home that never comes back has in work, and whether it is given up."""

    format = "stage3-recover/1"
    ledger: StateFolder
    home: str
    is_done: bool
    count: int
    held_microusd: int
    attempts: list[Foreseen]

    def sentences(self) -> Iterator[Line]:
        """Yield the first of them, what all of them hold, and what can be done."""
        found = [one.purchase for one in self.attempts]
        yield purchases_in_rows(self.attempts[:_MOST_SHOWN])
        if len(found) > _MOST_SHOWN:
            yield f"and {len(found) - _MOST_SHOWN:,} more"
        sent, held = counted(self.count, "request"), f"${usd(self.held_microusd)} held"
        if self.is_done:
            yield (
                f"home {self.home} is given up: {sent}, {held}; what may have been billed is "
                "UNKNOWN, stays counted, and is yours to decide: see 'stage3 attempts'"
            )
            yield (
                "a driver of it that comes back still takes in the answers that lie on its disk, "
                "as long as nothing is decided about them"
            )
            return
        first, last = (moment(pick(one.held_at for one in found)) for pick in (min, max))
        yield f"home {self.home}: {sent}, sent from {first} to {last}, {held}"
        yield (
            "whole answers may lie on its disk, and are paid for: if that machine can come back, "
            "start its driver there instead, and it takes them in"
        )
        yield "nothing was changed; the same command with --yes gives it up"

    def next_steps(self) -> Iterator[Next]:
        """Yield the command that gives it up, or what looks at what it has left."""
        if self.is_done:
            yield next_steps.looking(self.ledger)
            return
        yield Next(
            next_steps.stage3(self.ledger, "recover", "--of-home", self.home, "--yes"),
            "gives it up: what may have been billed is unknown then, and stays counted",
            is_safe=False,
        )


class RecoverRefused(Refused):
    """A home cannot be given up."""


def recover(folder: StateFolder, home: str, *, now: datetime, is_sure: bool) -> Report:
    """Give a home up, or look at what would be: what it had sent is ``UNKNOWN`` from then on.

    What costs nothing is ``VOID``. A driver of it that comes back all the same takes in its
    answers, as long as nobody has decided about them.

    Args:
        folder: Whose ledger.
        home: Its word.
        now: The time of it, aware.
        is_sure: Give it up; otherwise nothing is changed.

    Raises:
        RecoverRefused: It cannot be given up.
        LedgerMissing: There is no ledger.
        LedgerFailed: It cannot be changed; then nothing was.
    """
    if is_sure:
        with folder.writing() as ledger, ledger.transaction():
            found = [
                ledger.settle(
                    one.new.attempt_id,
                    Settlement(
                        state=after_its_owner(one, answer_is_complete=False),
                        why=f"its home {home} was given up before it said what became of it",
                        decided_by="user",
                    ),
                    now=now,
                )[0]
                for one in _in_work(folder, ledger, home)
            ]
    else:
        with folder.reading() as ledger:
            found = _in_work(folder, ledger, home)
    return Recovery(
        ledger=folder,
        home=home,
        is_done=is_sure,
        count=len(found),
        held_microusd=sum(one.new.hold_microusd for one in found),
        attempts=[Foreseen(purchase=one, becomes=_becomes(one)) for one in found],
    )


def _becomes(purchase: Purchase) -> State:
    is_open = purchase.state is State.SENDING
    return after_its_owner(purchase, answer_is_complete=False) if is_open else purchase.state


def _in_work(folder: StateFolder, ledger: Ledger, home: str) -> list[Purchase]:
    """Return what a home has in work, if it may be given up."""
    homes = folder.homes()
    if homes.is_alone:
        raise RecoverRefused(
            f"the ledger {folder.shown} lies in its state folder, and all it has is of that home",
            hint="run the story again: the next run looks after what a dead one has left",
        )
    open_ones = ledger.open_purchases()
    if home == homes.own:
        raise RecoverRefused(
            f"{home} is the home of this state folder",
            hint="run the story again here: the next run looks after what a dead one has left",
        )
    found = [one for one in open_ones if homes.other(one.new.run_id) == home]
    if not found:
        raise RecoverRefused(
            f"a home {home[:40]!r} has nothing in work", hint=_others(home, homes, open_ones)
        )
    if ledger.home_is_connected(home):
        raise RecoverRefused(
            f"a driver of home {home} is connected to the ledger: it is at work, or has not ended",
            hint="let it end, or end it, and look again with 'stage3 attempts'",
        )
    return found


def _others(home: str, homes: Homes, open_ones: Iterable[Purchase]) -> str:
    """Name the homes that have something in work."""
    words = sorted({word for one in open_ones if (word := homes.other(one.new.run_id))})
    if not words:
        return "no other home has anything in work: 'stage3 attempts' shows what waits for you"
    near = get_close_matches(home, words, n=1)
    return f"did you mean {near[0]}?" if near else f"these have: {', '.join(words)}"
