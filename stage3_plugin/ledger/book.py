"""The ledger: every request that may be billed, and every counter of money, in one database.

It gives access to the database and no more: the schema decides what may be written at all,
``commits`` who waits, ``owners`` who lives. One connection, used by one thread at a time; every
write is part of a transaction that the caller has begun, so that several share one durable commit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import Any, Final, get_args

from stage3_plugin.domain.job import Accepted, Job
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.money import to_microusd
from stage3_plugin.domain.purchase import (
    Answered,
    Asking,
    Correction,
    Held,
    Limits,
    Look,
    NewPurchase,
    OverCap,
    Purchase,
    Settlement,
    Sums,
    Tally,
)
from stage3_plugin.domain.states import LEGAL, OPEN, State
from stage3_plugin.errors import (
    CorrectionRefused,
    IllegalTransition,
    JobRefused,
    LedgerFailed,
    LookupRefused,
)
from stage3_plugin.ledger import counters
from stage3_plugin.ledger import statements as sql
from stage3_plugin.ledger.calendar import zone_named
from stage3_plugin.ledger.database import Database, translated
from stage3_plugin.ledger.records import (
    BEGUN,
    PurchaseRow,
    Row,
    begun,
    moment,
    read,
    read_facts,
    read_job,
    settled,
    storable,
    write_facts,
)
from stage3_plugin.ledger.translation import damaged

_PAGE_ROWS: Final = 500
STORY_OF: Final = "story:"
"""What ``meta`` calls the story of a run, before its name; see :mod:`.spending`."""
UNTOLD: Final = "untold:"
"""What ``meta`` calls the lines of batches that no scene has been told of, before their subject.
Whoever takes in a line of a run that has ended may be no run, or one of another story. What came of
it is noted in the transaction that settles it, until a scene has ended by it."""
_ACCEPTED: Final = "accepted:"
_LONGEST_S: Final = timedelta(days=3660).total_seconds()
"""Ten years: what is promised for longer may not fit into a date."""
_SEQ: Final = attrgetter("seq")

_ANSWERED: Final[dict[str, Answered]] = {word: word for word in get_args(Answered)}
_ID_PREFIX = re.compile(r"[0-9a-f]{6,32}")


class Ledger(Database):
    """An opened ledger; made by :meth:`open` and :meth:`open_to_read`.

    Attributes:
        path: Its file; of a server the address, as far as a path can hold one.

    Raises:
        LedgerFailed: Here and in every method: the database did not do what it was asked.
    """

    # Writing -------------------------------------------------------------------------------------

    def hold(
        self,
        new: NewPurchase,
        limits: Limits,
        *,
        day: date,
        now: datetime,
        known_as: Keys | None = None,
    ) -> Held | Purchase | OverCap:
        """Hold the money for one request, which may leave right after the commit.

        Args:
            new: The request.
            limits: The caps that its run obeys.
            day: Today. The ledger goes on with the latest day that it has seen.
            now: The wall clock, aware.
            known_as: Other keys by which the scene's live purchase may be found.

        Returns:
            The hold; or the scene's live purchase, of any run; or the cap that is in the way.
            In the last two cases nothing was changed.
        """
        self._inside()
        self.is_where_it_was()
        live = self.live(new.scene_key, known_as)
        if live is not None:
            return live
        today = day.isoformat()
        last_day = self._known("last_day")
        if last_day is not None and last_day > today:
            today = last_day
        scopes = counters.scopes_of(new.run_id, new.endpoint.provider, today)
        too_much = counters.hold(self._execute, scopes, new.hold_microusd, limits)
        if too_much is not None:
            return OverCap(
                **too_much._asdict(),
                needed_microusd=new.hold_microusd,
                open_here=self.open_of(new.run_id) + self.being_made_of(new.run_id),
                day=date.fromisoformat(today),
            )
        if today != last_day:
            self._execute(sql.NOTE, ("last_day", today))
        at = moment(now)
        self._execute(sql.INSERT, begun(new, day=today, at=at, job=self._join(new, at))[:BEGUN])
        if self.untold(new.subject_key):  # its wish is bought again
            self._write_untold(new.subject_key, {})
        return Held(
            attempt_id=new.attempt_id,
            hold_microusd=new.hold_microusd,
            token=None if new.job is None else new.job.token,
            line=new.line,
            held_at=now,
        )

    def accept(self, name: str, accepted: Accepted, *, now: datetime, why: str = "") -> Job | None:
        """Record by which name a job was accepted: it can be asked for since then.

        All lines of it are ``ACCEPTED`` with it, also where their outcome was unknown. Those that
        were decided about meanwhile stay as they are, and the name is kept all the same: pictures
        may be had by it. Said again, it changes nothing.

        Args:
            name: What the job is known by: the token of a batch, or else its purchase.
            accepted: What the provider said.
            now: The wall clock, aware.
            why: How it was found, where it was not simply answered.

        Returns:
            The job as it stands; ``None`` if nothing of it is ``ACCEPTED`` any more.

        Raises:
            JobRefused: Another job has that name, or this one another.
            LookupRefused: There is no such purchase, or it has no job.
        """
        self._inside()
        row = self._execute(sql.JOB_OF, (name,)).fetchone()
        if row is None or row[0] is None:
            raise LookupRefused(
                name, "there is no such purchase" if row is None else "it has no job"
            )
        (seq,) = row
        job = self._job(seq)
        if job.accepted is None:
            job = self._accept_job(seq, name, accepted, now, why)
        elif job.accepted.job_id != accepted.job_id:
            raise JobRefused(name, accepted.job_id)
        return job if self._execute(sql.IS_MADE, (seq,)).fetchone() else None

    def accept_again(self, attempt_id: str, asking: Asking) -> None:
        """Bring all that is unknown of an accepted job back to ``ACCEPTED``, as asking has shown.

        What was decided about meanwhile stays as it is.

        Raises:
            LookupRefused: There is no such purchase.
        """
        self.note_asking(attempt_id, asking)
        job, why = self._row(attempt_id).job, storable(asking.why)
        self._execute(sql.ACCEPT_LINES, (moment(asking.at), why, job))

    def settle(
        self,
        name: str,
        settlement: Settlement,
        *,
        of: Collection[State] | None = None,
        lines: Collection[int] | None = None,
        now: datetime,
    ) -> list[Purchase]:
        """Record how a job ended, or lines of it, and count their cost in the place of their hold.

        A cost that is not known leaves the hold counted, and a state that does not count gives it
        back. A cost above the hold is counted in full, with an event ``overrun``.

        Args:
            name: What the job is known by: the token of a batch, or else its purchase; a purchase
                that is a line of a batch is meant alone.
            settlement: What is true of each line; a picture is of one alone.
            of: The states that it was made for: what has gone on since stays as it is.
            lines: Only these lines of a batch, by their numbers.
            now: The wall clock, aware.

        Returns:
            Those that were changed, as they stand, in the order of their numbers.

        Raises:
            IllegalTransition: A state does not allow that; nothing may stay written.
            LookupRefused: There is no such purchase, nor such a batch.
            ValueError: ``PAID`` without a picture, or several with one; ``WROTE_OFF`` without
                saying who decided, or a picture that was paid for is given up without a person's
                decision.
        """
        self._inside()
        ended = [
            row
            for row in self._rows_of(name)
            if (of is None or row.state in of) and (lines is None or row.line in lines)
        ]
        if settlement.picture is not None and len(ended) > 1:
            raise ValueError("a picture is of one line alone")
        changed, moves = list[Purchase](), Counter[counters.Scopes]()
        for row, before in zip(ended, self._read_all(ended), strict=True):
            after = self._write_settlement(row, before, settlement, now)
            scopes = counters.scopes_of(before.new.run_id, before.new.endpoint.provider, row.day)
            moves[scopes] += after.counted_microusd - before.counted_microusd
            changed.append(after)
        for scopes, microusd in moves.items():
            counters.move(self._execute, scopes, microusd)
        return changed

    def _write_settlement(
        self, row: PurchaseRow, before: Purchase, settlement: Settlement, now: datetime
    ) -> Purchase:
        """Write down how a purchase ended; its counters are still to move."""
        state = settlement.state
        if state not in LEGAL[before.state] or state in {*OPEN, State.ACCEPTED}:
            raise IllegalTransition(before.new.attempt_id, before.state, state)
        after = settled(before, settlement, now)
        picture = after.picture
        self._execute(
            sql.SETTLE,
            (state, moment(now), after.cost_microusd, after.basis, after.why,
             None if picture is None else picture.sha256, write_facts(settlement), after.took_s,
             after.decided_by, after.request_id, row.seq),
        )  # fmt: skip
        if after.counted_microusd > after.new.hold_microusd:
            why = f"billed {after.cost_microusd} micro-USD, held {after.new.hold_microusd}"
            self._execute(sql.EVENT, (row.seq, "overrun", before.state, state, moment(now), why))
        return after

    def note_untold(self, line: Purchase, word: str) -> None:
        """Note what came of a line of a batch, for the next run that wants its picture.

        It stands until :meth:`tell`, or until money is held for its subject again.

        Args:
            line: It, settled in this transaction.
            word: That, without spaces.
        """
        self._inside()
        noted = self.untold(line.new.subject_key)
        self._write_untold(line.new.subject_key, {**noted, line.new.attempt_id: word})

    def tell(self, line: Purchase) -> None:
        """Note that a scene was told what came of a line; said again, it changes nothing."""
        self._inside()
        noted = self.untold(line.new.subject_key)
        if noted.pop(line.new.attempt_id, None) is not None:
            self._write_untold(line.new.subject_key, noted)

    def note_asking(self, attempt_id: str, asking: Asking) -> None:
        """Record that a provider was asked for a request of unknown outcome, and what that proved.

        Raises:
            LookupRefused: There is no such purchase.
        """
        self._inside()
        row = self._row(attempt_id)
        listed_at = None if asking.listed_at is None else moment(asking.listed_at)
        self._execute(
            sql.EVENT,
            (row.seq, "asked", listed_at, asking.answered, moment(asking.at), storable(asking.why)),
        )

    def correct_cost(
        self, attempt_id: str, cost_microusd: int, *, now: datetime, why: str = ""
    ) -> Purchase:
        """Put what a person says that a purchase cost in the place of what is recorded.

        The figure that was there stays in an event ``corrected``, and the counters follow. The
        same figure again confirms it.

        Raises:
            CorrectionRefused: It was not paid for.
            LookupRefused: There is no such purchase.
            ValueError: The amount is negative.
        """
        self._inside()
        if cost_microusd < 0:
            raise ValueError("a cost is at least 0")
        row = self._row(attempt_id)
        before = self._read(row)
        if before.state not in {State.PAID, State.PAID_BAD}:
            raise CorrectionRefused(attempt_id, before.state)
        recorded = before.cost_microusd
        if recorded == cost_microusd and before.decided_by == "user":
            return before
        old = None if recorded is None else str(recorded)
        note = storable(why)
        self._execute(sql.EVENT, (row.seq, "corrected", old, str(cost_microusd), moment(now), note))
        self._execute(sql.CORRECT, (cost_microusd, row.seq))
        after = replace(before, cost_microusd=cost_microusd, basis="reported", decided_by="user")
        scopes = counters.scopes_of(before.new.run_id, before.new.endpoint.provider, row.day)
        counters.move(self._execute, scopes, after.counted_microusd - before.counted_microusd)
        return after

    def set_day(self, day: date, *, now: datetime, why: str = "") -> date | None:
        """Set the last day back to one before it, for a clock that was once in the future.

        The day that was there stays in an event ``day_set``. What was held and spent stays counted
        on the days it was counted on.

        Returns:
            The last day that was there; ``None`` if there was none, or none after ``day``. Then
            nothing was changed.
        """
        self._inside()
        last_day, wanted = self._known("last_day"), day.isoformat()
        if last_day is None or last_day <= wanted:
            return None
        self._execute(sql.EVENT, (None, "day_set", last_day, wanted, moment(now), storable(why)))
        self._execute(sql.NOTE, ("last_day", wanted))
        return date.fromisoformat(last_day)

    def agree_on_zone(self, zone: str, *, now: datetime) -> tuple[str, ...]:
        """Agree with the ledger on the time zone that counts.

        A ledger changes its zone only while it is the same day in both; until then the earliest
        date of both counts, so that a change opens no day early.

        Returns:
            The zones whose earliest date is today.

        Raises:
            SettingsRefused: A zone is not known here.
        """
        self._inside()
        known = self._known("zone")
        if known == zone:
            return (zone,)
        here = now.astimezone(zone_named(zone)).date()
        if known is not None and now.astimezone(zone_named(known)).date() != here:
            return (known, zone)
        self._execute(sql.NOTE, ("zone", zone))
        return (zone,)

    # Reading -------------------------------------------------------------------------------------

    def live(self, scene_key: str, known_as: Keys | None = None) -> Purchase | None:
        """Return the purchase that stands for a scene, of any run.

        Args:
            scene_key: Its key.
            known_as: Other keys that it may have.
        """
        for key in (scene_key, *(() if known_as is None else known_as.elsewhere)):
            row = self._execute(sql.LIVE, (key,)).fetchone()
            if row is not None:
                return self._read(row)
        return None

    def of_subject(self, subject_key: str) -> list[Purchase]:
        """Return the purchases in the slots of a subject: those that live, and those given up."""
        found = self._execute(sql.OF_SUBJECT, (subject_key,)).fetchall()
        rows = sorted(map(PurchaseRow._make, found), key=_SEQ)
        return list(map(self._read, rows))

    def given_up(self) -> dict[str, int]:
        """Count, by subject, the purchases that were paid for, or may have been, for nothing."""
        return dict(self._execute(sql.GIVEN_UP, ()).fetchall())

    def with_base(self, base_keys: Collection[str]) -> list[Purchase]:
        """Return the pictures that were paid for by a wish whatever it showed the model.

        Newest first, those that it was shown nothing for among them.

        Args:
            base_keys: The wish's keys without its references, at each address of its endpoint.
        """
        found: list[Row] = []
        for key in base_keys:
            found += self._execute(sql.WITH_BASE, (key,)).fetchall()
            found += self._execute(sql.LIVE, (key,)).fetchall()
        rows = sorted(map(PurchaseRow._make, found), key=_SEQ, reverse=True)
        return [one for one in map(self._read, rows) if one.state is State.PAID]

    def picture_numbers(self) -> dict[str, list[int]]:
        """Return the numbers of all pictures that were paid for, by scene, those before first.

        One pass over the ledger, which has no index by scenes: few ask, and every hold would pay.
        """
        found: dict[str, list[int]] = {}
        for scene_id, seq in self._execute(sql.PICTURES_OF):
            found.setdefault(scene_id, []).append(seq)
        return found

    def numbered(self, numbers: Collection[int]) -> list[Purchase]:
        """Return purchases by their numbers, in that order."""
        rows = (self._execute(sql.BY_NUMBER, (number,)).fetchone() for number in numbers)
        return [self._read(row) for row in rows if row is not None]

    def shown_others(self) -> list[tuple[str, Mapping[str, str]]]:
        """Return the scenes whose pictures were made of others, with the facts about each picture.

        Those before first; a scene is in it as often as it has such pictures.
        """
        try:
            return [
                (scene_id, read_facts(sha256, facts).details)
                for scene_id, sha256, facts in self._execute(sql.SHOWN_OTHERS)
            ]
        except ValueError as error:
            raise damaged(self.shown, error) from error

    def live_picture(self, scene_key: str) -> str | None:
        """Return the SHA-256 of the picture that :meth:`live` has under this very key.

        It is asked for every scene before a run, and a whole purchase takes three times as long.
        """
        row = self._execute(sql.LIVE_PICTURE, (scene_key,)).fetchone()
        return None if row is None else row[0]

    def purchase(self, attempt_id: str) -> Purchase | None:
        """Return a purchase by its identifier, or by the first six or more digits of it.

        Raises:
            LookupRefused: Several begin so.
        """
        if _ID_PREFIX.fullmatch(attempt_id) is None:
            return None
        rows = self._execute(sql.BY_PREFIX, (attempt_id,)).fetchall()
        if len(rows) > 1:
            raise LookupRefused(attempt_id, "several begin so")
        return self._read(rows[0]) if rows else None

    def purchases(
        self,
        *,
        states: Collection[State] | None = None,
        scene_id: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Purchase]:
        """Return purchases, newest first, read a page at a time.

        Args:
            states: Only these.
            scene_id: Only of this scene.
            limit: At most so many.
        """
        among = None if states is None else f"|{'|'.join(states)}|"
        yield from map(self._read, self._newest_first(among, scene_id, limit))

    def _newest_first(
        self, among: str | None = None, scene_id: str | None = None, limit: int | None = None
    ) -> Iterator[PurchaseRow]:
        """Yield rows, read a page at a time: a server's driver would keep all at once."""
        left = counters.NO_LIMIT if limit is None else limit
        before: int | None = counters.NO_LIMIT
        while left > 0:
            page = self._page((before, among, scene_id, min(left, _PAGE_ROWS)))
            yield from page
            if len(page) < _PAGE_ROWS:
                return
            left -= len(page)
            before = page[-1].seq

    @translated
    def _page(self, parameters: tuple[Any, ...]) -> list[PurchaseRow]:
        return [PurchaseRow._make(row) for row in self._execute(sql.PAGE, parameters)]

    def open_purchases(self) -> list[Purchase]:
        """Return what is in work, or was when its run died; run by run, oldest first."""
        return [self._read(row) for row in self._execute(sql.OPEN).fetchall()]

    def accepted(self) -> list[Purchase]:
        """Return what is ``ACCEPTED``, of all runs, oldest first."""
        return [self._read(row) for row in self._execute(sql.ACCEPTED).fetchall()]

    def job_named(self, token: str) -> Job | None:
        """Return the job that a token was drawn for, as it stands; ``None`` if none was written."""
        row = self._execute(sql.JOB_DRAWN, (token,)).fetchone()
        return None if row is None else self._job(int(row[0]))

    def lines_of(self, token: str) -> list[Purchase]:
        """Return all lines of a batch, in the order of their numbers; none if there is no such."""
        return self._read_all(self._lines(token))

    def untold(self, subject_key: str) -> dict[str, str]:
        """Return what came of lines that no scene was told of, by purchase, for a subject."""
        noted = (one.partition("=") for one in (self._known(UNTOLD + subject_key) or "").split())
        return {attempt_id: word for attempt_id, _, word in noted}

    def lost(self) -> list[Purchase]:
        """Return what is of unknown outcome and can be asked for: its job's name is not known."""
        return [self._read(row) for row in self._execute(sql.LOST).fetchall()]

    def open_of(self, run_id: str) -> int:
        """Count what one run has in work."""
        return self._number(sql.OPEN_OF, run_id) or 0

    def being_made_of(self, run_id: str) -> int:
        """Count the jobs that one run has sent and are not at their end."""
        return self._number(sql.BEING_MADE_OF, run_id) or 0

    def resends(self, known_as: Keys, take: int = 1) -> int:
        """Count how often what is wanted was sent again because the setting said so.

        In its slot, whatever route it was sent to; or by its keys, for a wish that differs in what
        the route is not told.
        """
        found = self._execute(sql.RESENDS_IN_A_SLOT, (known_as.subject_key, take)).fetchall()
        for key in known_as.all:
            found += self._execute(sql.RESENDS, (key, take)).fetchall()
        return len(set(found))

    def paid_elsewhere(self, known_as: Keys) -> Purchase | None:
        """Return a picture that was paid for by the same wish, but at another endpoint."""
        found = self._execute(sql.PAID_CONTENT, (known_as.content_key,)).fetchall()
        others = (one for one in map(self._read, found) if one.new.scene_key not in known_as.all)
        return next(others, None)

    def last_event(self) -> int:
        """Return the number of the last thing that happened; 0 if nothing has yet."""
        return self._number(sql.LAST_EVENT) or 0

    def askings(self) -> dict[str, Asking]:
        """Return when a provider was last asked for a lost request, and what of it, by purchase.

        What was asked for a batch stands for each of its lines.
        """
        return {
            attempt_id: Asking(answered=_ANSWERED[answered], at=datetime.fromisoformat(at), why=why)
            for attempt_id, answered, at, why in self._execute(sql.ASKINGS)
        }

    def looks(self) -> dict[str, list[Look]]:
        """Return when providers were heard not to have what was asked for, by both clocks.

        By the purchase's id, or the token of its batch; oldest first, and none from before it was
        last found.
        """
        found: dict[str, list[Look]] = {}
        for name, at, listed_at, answered in self._execute(sql.LOOKS).fetchall():
            if answered == "found":
                found.pop(name, None)
                continue
            look = Look(at=datetime.fromisoformat(at), listed_at=datetime.fromisoformat(listed_at))
            found.setdefault(name, []).append(look)
        return found

    def jobs_named_by(self, provider: str) -> frozenset[str]:
        """Return every name that a provider has given to a job of ours."""
        return frozenset(name for (name,) in self._execute(sql.TAKEN_JOBS, (provider,)))

    def corrections(self) -> dict[str, tuple[Correction, ...]]:
        """Return every cost that a person put right, by purchase, oldest first."""
        found: dict[str, tuple[Correction, ...]] = {}
        for attempt_id, old, new, at, why in self._execute(sql.CORRECTIONS):
            one = Correction(
                old_microusd=None if old is None else int(old),
                new_microusd=int(new),
                at=datetime.fromisoformat(at),
                why=why,
            )
            found[attempt_id] = (*found.get(attempt_id, ()), one)
        return found

    def overbilled(
        self, *, times: int, at_least_microusd: int, unexpected_microusd: int
    ) -> list[Purchase]:
        """Return what was billed far above what was held for it, newest first.

        One whose cost a person has put right, or has decided about, is left out.

        Args:
            times: More than so many times its hold.
            at_least_microusd: And more than this.
            unexpected_microusd: And more than this where nothing was held.
        """
        asked = (times, at_least_microusd, unexpected_microusd)
        return [self._read(row) for row in self._execute(sql.OVERBILLED, asked).fetchall()]

    def billed_for_nothing_since(self, known_as: Keys, event: int) -> list[Purchase]:
        """Return all that was billed for a scene without a picture, after an event.

        In its slots, whatever route it was sent to, or by its keys. One that a person has decided
        about is left out: it was seen.

        Args:
            known_as: The scene's keys.
            event: See :meth:`last_event`.
        """
        slots = (known_as.subject_key, event)
        found = self._execute(sql.BILLED_FOR_NOTHING_IN_SLOTS, slots).fetchall()
        for key in known_as.all:
            found += self._execute(sql.BILLED_FOR_NOTHING, (key, event)).fetchall()
        return list(map(self._read, dict.fromkeys(found)))

    def sums(self, *, run_id: str, provider: str, day: date) -> Sums:
        """Return what is held and spent: in total, by a run, and with a provider on a day."""
        return counters.sums(self._execute, run_id=run_id, provider=provider, day=day)

    def day_sums(self, day: date) -> dict[str, int]:
        """Return what is held and spent on a day in micro-USD, by provider."""
        return counters.day_sums(self._execute, day)

    def tallies(self) -> dict[State, Tally]:
        """Count all purchases by state, without reading them one by one."""
        found = {
            State(state): Tally(
                count=count, counted_microusd=counted, unknown_costs=unknown, held_costs=held
            )
            for state, count, counted, unknown, held in self._execute(sql.TALLIES)
        }
        return {state: found.get(state, Tally()) for state in State}

    def rows(self, statement: str, values: tuple[str, ...]) -> Iterator[Row]:
        """Yield what a statement that changes nothing finds at one moment; none of it is kept."""
        try:
            yield from self.engine.rows(statement, values)
        except Exception as error:
            ours = self.translation(error)
            if ours is None:
                raise
            raise ours from error

    def zone(self) -> str | None:
        """Return the time zone of its days, as it was agreed on; ``None`` before the first run."""
        return self._known("zone")

    def name_story(self, run_id: str, story: str) -> None:
        """Note whose a run is, for people who ask what was spent on what."""
        self._inside()
        self._execute(sql.NOTE, (f"{STORY_OF}{run_id}", storable(story)))

    def last_day(self) -> date | None:
        """Return the latest day on which money was held."""
        known = self._known("last_day")
        return None if known is None else date.fromisoformat(known)

    def typical_s(self, *, provider: str, model: str) -> float | None:
        """Return the median of the last 50 durations of a model, in seconds."""
        took = sorted(row[0] for row in self._execute(sql.TYPICAL, (provider, model)))
        if not took:
            return None
        middle = len(took) // 2
        return float((took[middle] + took[~middle]) / 2)

    def highest_bill(
        self,
        *,
        provider: str,
        model: str,
        size: str,
        quality: str,
        shows: bool,
        plausible_microusd: int,
        in_batch: bool = False,
    ) -> int | None:
        """Return the highest cost ever billed for such a picture in micro-USD, if one is known.

        What a picture with references cost counts only for one that shows some, too. A higher one
        than is plausible counts only where a person has said so. What a line of a batch cost is no
        bill of a picture that is bought by itself, and the other way round.
        """
        kind = (provider, model, size, quality, shows, plausible_microusd, in_batch)
        return self._number(sql.HIGHEST_BILL, *kind)

    def problems(self) -> list[str]:
        """Check the file, the counters and every row; return each problem in one line."""
        with self.engine.one_moment():  # or a run that goes on would be taken for damage
            found = [f"the database is damaged: {line}" for line in self.damage()]
            if found:
                return found  # what is read from it now proves nothing
            found += [
                f"row {row} of {table} speaks of a {other} that is not there"
                for table, row, other in self._execute(sql.DANGLING)
            ]
            found += counters.disagreements(self._execute)
            found += [
                f"purchase {attempt_id} is not in the state that its last event tells"
                for (attempt_id,) in self._execute(sql.UNWRITTEN)
            ]
            found += [
                f"purchase {attempt_id} does not cost what its last correction tells"
                for (attempt_id,) in self._execute(sql.UNCORRECTED)
            ]
            unreadable: list[str] = []
            for row in self._newest_first():
                try:
                    self._read(row)
                except LedgerFailed as error:
                    unreadable.append(error.problem)
            return [*found, *reversed(unreadable)]

    def damage(self) -> list[str]:
        """Return what the database itself finds damaged, one in a line."""
        return self.engine.damage()

    # What lies in its folder ---------------------------------------------------------------------

    def acknowledge(self, names: Collection[str], *, now: datetime) -> None:
        """Record that a person knows of answers and pictures that no purchase accounts for."""
        self._inside()
        for name in names:
            self._execute(sql.ACKNOWLEDGE, (f"{_ACCEPTED}{name}", moment(now)))

    def acknowledged(self) -> frozenset[str]:
        """Return the answers and pictures that :meth:`acknowledge` has recorded."""
        names = self._execute(sql.ACKNOWLEDGED).fetchall()
        return frozenset(name.removeprefix(_ACCEPTED) for (name,) in names)

    def show_home(self, home: str) -> None:
        """Show to other drivers that a home is connected, for as long as this connection lasts.

        Only a brake for a person who gives a home up; it proves nothing about its purchases.
        """
        self.engine.show_home(home)

    def home_is_connected(self, home: str) -> bool:
        """Return whether a driver of a home is connected right now; for a file, ``False``."""
        return self.engine.home_is_connected(home)

    def pictures(self) -> frozenset[str]:
        """Return the SHA-256 of every picture that is recorded as there."""
        return frozenset(sha256 for (sha256,) in self._execute(sql.PICTURES))

    def drawn_pictures(self) -> frozenset[str]:
        """Return the SHA-256 of those that were only ever made on this machine, for nothing."""
        return frozenset(sha256 for (sha256,) in self._execute(sql.DRAWN_PICTURES))

    def may_have_pictures(self) -> int:
        """Count the purchases that may have a picture, though none is recorded."""
        (count,) = self._execute(sql.MAY_HAVE_PICTURES).fetchone()
        return int(count)

    def without_a_row(self, attempt_ids: Collection[str]) -> frozenset[str]:
        """Return those attempts, or tokens of batches, that no row has."""
        return frozenset(
            one for one in attempt_ids if self._execute(sql.IS_THERE, (one,)).fetchone() is None
        )

    def _row(self, attempt_id: str) -> PurchaseRow:
        row: Row | None = self._execute(sql.ONE, (attempt_id,)).fetchone()
        if row is None:
            raise LookupRefused(attempt_id, "there is no such purchase")
        return PurchaseRow._make(row)

    def _rows_of(self, name: str) -> list[PurchaseRow]:
        """Return the rows of a job: its one, or its lines in the order of their numbers."""
        one = self._execute(sql.ONE, (name,)).fetchone()
        rows = self._lines(name) if one is None else [PurchaseRow._make(one)]
        if not rows:
            raise LookupRefused(name, "there is no such purchase")
        return rows

    def _lines(self, token: str) -> list[PurchaseRow]:
        return list(map(PurchaseRow._make, self._execute(sql.LINES_OF, (token,)).fetchall()))

    def _read_all(self, rows: Sequence[PurchaseRow]) -> list[Purchase]:
        """Read rows of one job, which is read once."""
        seq = rows[0].job if rows else None
        job = None if seq is None else self._job(seq)
        return [self._read(row, job) for row in rows]

    def _read(self, row: Row, job: Job | None = None) -> Purchase:
        """Read a row; its job, too, unless it is known already."""
        columns = row if isinstance(row, PurchaseRow) else PurchaseRow._make(row)
        if job is None and columns.job is not None:
            job = self._job(columns.job)
        try:
            return read(columns, job)
        except ValueError as error:
            raise damaged(self.shown, error) from error

    def _job(self, seq: int) -> Job:
        row = self._execute(sql.JOB, (seq,)).fetchone()
        if row is None:
            raise damaged(self.shown, ValueError(f"the job {seq} is not there"))
        try:
            return read_job(row)
        except ValueError as error:
            raise damaged(self.shown, error) from error

    def _join(self, new: NewPurchase, at: str) -> int | None:
        """Return the row of a purchase's job, which is written for the first of its purchases."""
        if new.job is None:
            return None
        if new.job.lane == "batch":
            row = self._execute(sql.JOB_DRAWN, (new.job.token,)).fetchone()
            if row is not None:
                return int(row[0])
        job, provider = new.job, new.endpoint.provider
        opened = (job.token, provider, job.account, job.endpoint, job.lane, job.input_file, at)
        return int(self._execute(sql.OPEN_JOB, opened).fetchone()[0])

    def _accept_job(
        self, seq: int, asked_by: str, accepted: Accepted, now: datetime, why: str
    ) -> Job:
        """Write down by which name a job was accepted, and bring all its purchases to ``ACCEPTED``.

        Raises:
            JobRefused: Another job has that name already.
        """
        provider = self._job(seq).provider
        if self._execute(sql.JOB_CALLED, (provider, accepted.job_id)).fetchone() is not None:
            raise JobRefused(asked_by, accepted.job_id)
        cost_microusd = None if accepted.cost_usd is None else to_microusd(accepted.cost_usd)
        expires_at = now + timedelta(seconds=min(accepted.keeps_s, _LONGEST_S))
        self._execute(
            sql.ACCEPT_JOB,
            (accepted.job_id, accepted.poll_url, accepted.result_url, accepted.cancel_url,
             moment(now), moment(expires_at), cost_microusd, seq),
        )  # fmt: skip
        self._execute(sql.ACCEPT_LINES, (moment(now), storable(why), seq))
        return self._job(seq)

    def _number(self, statement: str, *parameters: str | int) -> int | None:
        number: int | None = self._execute(statement, parameters).fetchone()[0]
        return number

    def _known(self, name: str) -> str | None:
        row = self._execute(sql.META, (name,)).fetchone()
        return None if row is None else str(row[0])

    def _write_untold(self, subject_key: str, noted: Mapping[str, str]) -> None:
        words = " ".join(f"{attempt_id}={word}" for attempt_id, word in noted.items())
        self._execute(sql.NOTE, (UNTOLD + subject_key, words))
