"""The ledger through its own door: holding, settling, finding again, and telling what is wrong."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from host_stub.contract import CostBasis
from stage3_plugin.domain.purchase import (
    Held,
    Purchase,
    Settlement,
    Sums,
)
from stage3_plugin.domain.states import State
from stage3_plugin.errors import (
    LedgerFailed,
    StorageFailed,
)
from stage3_plugin.ledger import statements as sql
from stage3_plugin.ledger.book import Ledger
from tests.stage3.ledger import databases
from tests.stage3.ledger.databases import of_sqlite
from tests.stage3.ledger.samples import (
    DAY,
    HOLD,
    NO_CAPS,
    NOW,
    bring_to,
    key_of,
    new_purchase,
    opened,
    paid,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A new ledger."""
    with opened(tmp_path) as ledger:
        yield ledger


def sums(ledger: Ledger, run_id: str = "run-1", day: date = DAY) -> Sums:
    """Return what the counters say."""
    return ledger.sums(run_id=run_id, provider="openrouter", day=day)


def all_three(microusd: int) -> Sums:
    """Return the sums of a ledger with one run, one provider, and one day."""
    return Sums(total_microusd=microusd, run_microusd=microusd, day_microusd=microusd)


def settle(ledger: Ledger, attempt_id: str, settlement: Settlement) -> Purchase:
    """Settle a purchase in a transaction of its own."""
    with ledger.transaction():
        return ledger.settle(attempt_id, settlement, now=NOW)[0]


def sent(ledger: Ledger, scene_id: str = "rain", hold_microusd: int = HOLD) -> str:
    """Hold the money of a request, which may leave then."""
    with ledger.transaction():
        new = new_purchase(scene_id, hold_microusd=hold_microusd)
        held = ledger.hold(new, NO_CAPS, day=DAY, now=NOW)
    assert isinstance(held, Held)
    return held.attempt_id


def on_disk(ledger: Ledger, statement: str) -> list[tuple[object, ...]]:
    """Ask the database directly, past the ledger."""
    with databases.raw(ledger) as raw:
        return raw.execute(statement).fetchall()


# Holding -----------------------------------------------------------------------------------------


def test_a_purchase_without_a_known_price_holds_nothing_and_is_counted_by_its_bill(
    ledger: Ledger,
) -> None:
    """Also if no counter had to be begun for its hold."""
    attempt_id = sent(ledger, hold_microusd=0)
    assert on_disk(ledger, "SELECT * FROM counters") == []

    settle(ledger, attempt_id, paid(39_000))

    assert sums(ledger) == all_three(39_000)
    assert ledger.problems() == []


# Settling ----------------------------------------------------------------------------------------


def test_facts_are_kept_as_they_were_told(ledger: Ledger) -> None:
    """In any script, and with what is not even text."""
    settlement = replace(
        paid(),
        image_url="https://pictures.example/雨.png",
        details={"revised_prompt": "雨 \N{UMBRELLA} \x00 \ud800", "": ""},
        dropped=("seed", "negative_prompt"),
    )
    attempt_id = sent(ledger)

    purchase = settle(ledger, attempt_id, settlement)

    assert ledger.purchase(attempt_id) == purchase
    assert purchase.details == settlement.details
    assert purchase.image_url == settlement.image_url
    assert purchase.dropped == settlement.dropped


def test_writing_off_needs_somebody_who_decided(ledger: Ledger) -> None:
    """A second payment for a scene is always somebody's decision."""
    purchase = bring_to(ledger, State.UNKNOWN)

    with pytest.raises(ValueError, match="decided_by"):
        settle(ledger, purchase.new.attempt_id, Settlement(state=State.WROTE_OFF))


def test_a_moment_without_a_zone_is_refused(ledger: Ledger) -> None:
    """It could mean any of 26 hours."""
    with pytest.raises(ValueError, match="needs a time zone"), ledger.transaction():
        ledger.hold(new_purchase(), NO_CAPS, day=DAY, now=NOW.replace(tzinfo=None))

    assert list(ledger.purchases()) == []


# Transactions ------------------------------------------------------------------------------------


def test_nothing_is_written_outside_of_a_transaction(ledger: Ledger) -> None:
    """Each statement would be a transaction of its own, and half a hold could be durable."""
    attempt_id = sent(ledger)

    for write in (
        lambda: ledger.hold(new_purchase("b"), NO_CAPS, day=DAY, now=NOW),
        lambda: ledger.settle(attempt_id, paid(), now=NOW),
        lambda: ledger.agree_on_zone("UTC", now=NOW),
        lambda: ledger.savepoint().__enter__(),
    ):
        with pytest.raises(LedgerFailed, match="no transaction"):
            write()


class Cramped(Ledger):
    """A ledger on a disk with little room left."""

    def fill_the_disk(self) -> None:
        """Let the next page that the ledger needs be one too many."""
        self._execute("PRAGMA max_page_count=1")

    def hold_until_it_is_full(self, scenes: int = 500) -> None:
        """Hold money until there is no room left, in one transaction."""
        with self.transaction():
            for number in range(scenes):
                self.hold(new_purchase(f"scene {number}"), NO_CAPS, day=DAY, now=NOW)


@of_sqlite("its file has no room")
def test_a_full_disk_is_told_in_our_words_and_undoes_the_whole_transaction(
    tmp_path: Path,
) -> None:
    """With what to do; and there is room again for what fits."""
    with Cramped.open(tmp_path / "ledger.db") as ledger:
        ledger.fill_the_disk()
        with pytest.raises(LedgerFailed, match="the disk is full") as caught:
            ledger.hold_until_it_is_full()

        assert "free space" in (caught.value.hint or "")
        assert str(ledger.path) in str(caught.value)
        assert isinstance(caught.value, StorageFailed)
        assert isinstance(caught.value.__cause__, sqlite3.Error)
        assert list(ledger.purchases()) == []


def go_on_after_all_was_undone(ledger: Ledger) -> None:
    """Write, meet an error with which SQLite undoes everything, and write again."""
    with ledger.transaction():
        ledger.hold(new_purchase("a"), NO_CAPS, day=DAY, now=NOW)
        with pytest.raises(LedgerFailed, match="as on a full disk"), ledger.savepoint():
            ledger.hold(new_purchase("too much"), NO_CAPS, day=DAY, now=NOW)
        with pytest.raises(LedgerFailed, match="was undone"):
            ledger.hold(new_purchase("b"), NO_CAPS, day=DAY, now=NOW)


@of_sqlite("it undoes by itself")
def test_what_was_undone_is_never_reported_as_durable(ledger: Ledger) -> None:
    """SQLite may roll back all by itself, as on a full disk; then the end of the block fails.

    Without a word of that, everything after it would be durable at once, each for itself, and
    everything before it lost.
    """
    tamper(
        ledger,
        "CREATE TRIGGER full BEFORE INSERT ON purchases WHEN NEW.scene_id = 'too much' "
        "BEGIN SELECT RAISE(ROLLBACK, 'as on a full disk'); END",
    )

    with pytest.raises(LedgerFailed, match="no transaction is active"):
        go_on_after_all_was_undone(ledger)

    assert list(ledger.purchases()) == []


# Finding -----------------------------------------------------------------------------------------


def test_a_typical_duration_is_the_median_of_the_last_fifty(ledger: Ledger) -> None:
    """Old ones and outliers do not count; what did not come took no time."""
    assert ledger.typical_s(provider="openrouter", model="painter-1") is None
    for number in range(60):
        settle(ledger, sent(ledger, f"scene {number}"), paid(took_s=1000.0 if number < 10 else 8.0))
    assert ledger.typical_s(provider="openrouter", model="painter-1") == 8.0
    settle(ledger, sent(ledger, "no time"), paid(took_s=None))
    for number in range(25):
        settle(ledger, sent(ledger, f"slow {number}"), paid(took_s=9.0))

    assert ledger.typical_s(provider="openrouter", model="painter-1") == 8.5
    assert ledger.typical_s(provider="openrouter", model="another") is None


def test_the_dearest_is_what_was_billed_and_not_what_was_believed(ledger: Ledger) -> None:
    """Only costs that the provider told or counted, for the same kind of picture."""

    def highest_bill(
        size: str = "1024x1024", *, shows: bool = False, plausible_microusd: int = 60_000
    ) -> int | None:
        return ledger.highest_bill(
            provider="openrouter",
            model="painter-1",
            size=size,
            quality="medium",
            shows=shows,
            plausible_microusd=plausible_microusd,
        )

    assert highest_bill() is None
    bills: list[tuple[int, CostBasis]] = [
        (70_000, "flat"), (50_000, "reported"), (60_000, "tokens"), (40_000, "reported")
    ]  # fmt: skip
    for number, (cost, basis) in enumerate(bills):
        attempt_id = sent(ledger, f"scene {number}")
        settle(ledger, attempt_id, replace(paid(cost), basis=basis))

    assert highest_bill() == 60_000
    assert highest_bill("512x512") is None
    assert highest_bill(plausible_microusd=59_999) == 50_000

    dear = next(one for one in ledger.purchases() if one.cost_microusd == 60_000)
    with ledger.transaction():
        ledger.correct_cost(dear.new.attempt_id, 60_000, now=NOW)

    assert highest_bill(plausible_microusd=59_999) == 60_000  # a person has confirmed it


def test_what_references_cost_is_no_bill_of_a_picture_without(ledger: Ledger) -> None:
    """One that shows some costs at least what one without does."""

    def highest_bill(*, shows: bool) -> int | None:
        return ledger.highest_bill(
            provider="openrouter",
            model="painter-1",
            size="1024x1024",
            quality="medium",
            shows=shows,
            plausible_microusd=60_000,
        )

    settle(ledger, sent(ledger, "bare"), paid(40_000))
    with ledger.transaction():
        new = replace(new_purchase("showing"), base_key=key_of("bare"))
        held = ledger.hold(new, NO_CAPS, day=DAY, now=NOW)
    assert isinstance(held, Held)
    settle(ledger, held.attempt_id, paid(50_000))

    assert (highest_bill(shows=False), highest_bill(shows=True)) == (40_000, 50_000)


# Keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement, index",
    [
        (sql.LIVE, "one_live (scene_key=?)"),
        (sql.OPEN, "in_work"),
        (sql.OPEN_OF, "in_work (run_id=?)"),
        (sql.RESENDS, "written_off (scene_key=?)"),
        (sql.PAID_CONTENT, "of_content (content_key=?)"),
        (sql.WITH_BASE, "of_base (base_key=?)"),
        (sql.HIGHEST_BILL, "billed (provider=? AND model=? AND size=? AND quality=?)"),
    ],
)
@of_sqlite("its plans")
def test_what_is_asked_for_every_scene_is_found_by_an_index(
    ledger: Ledger, statement: str, index: str
) -> None:
    """A partial index serves only conditions written as its own; else 100,000 rows are read."""
    connection = sqlite3.connect(ledger.path)
    asked = ("",) * statement.count("?")
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", asked).fetchall()
    connection.close()

    assert [row[3].partition(" INDEX ")[2] for row in plan] == [index]


# Zones -------------------------------------------------------------------------------------------


def agree(ledger: Ledger, zone: str, hour: int) -> tuple[str, ...]:
    """Agree on a zone at an hour of the day in UTC."""
    with ledger.transaction():
        return ledger.agree_on_zone(zone, now=datetime(2026, 11, 24, hour, tzinfo=UTC))


def test_a_zone_changes_only_while_it_is_the_same_day_in_both(ledger: Ledger) -> None:
    """Until then the earliest date of both decides."""
    assert agree(ledger, "America/Los_Angeles", 4) == ("America/Los_Angeles",)
    assert agree(ledger, "Europe/Berlin", 4) == ("America/Los_Angeles", "Europe/Berlin")
    assert agree(ledger, "Europe/Berlin", 12) == ("Europe/Berlin",)
    assert agree(ledger, "Europe/Berlin", 4) == ("Europe/Berlin",)
    assert agree(ledger, "America/Los_Angeles", 4) == ("Europe/Berlin", "America/Los_Angeles")


# Files -------------------------------------------------------------------------------------------


@of_sqlite("modes of its files")
def test_a_ledger_is_for_its_owner_only(tmp_path: Path) -> None:
    """Prompts and prices are nobody else's business; also in the files beside it."""
    folder = tmp_path / "deep" / "state"

    with Ledger.open(folder / "ledger.db") as ledger:
        sent(ledger)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}


@of_sqlite("its file")
def test_a_file_name_with_odd_characters_is_opened(tmp_path: Path) -> None:
    """Names reach SQLite as an address, in which these mean something."""
    path = tmp_path / "50% of #1?mode=ro&x" / "ledger.db"

    with Ledger.open(path) as ledger:
        sent(ledger, "rain")
    looking = Ledger.open_to_read(path)
    assert looking is not None
    with looking:
        assert looking.live(key_of("rain")) is not None


# What is wrong -----------------------------------------------------------------------------------


def tamper(ledger: Ledger, *statements: str) -> None:
    """Change the database past the ledger, and past its triggers."""
    with databases.raw(ledger, lawless=True) as raw:
        for statement in statements:
            raw.execute(statement)


@pytest.mark.parametrize(
    "change",
    [
        "facts = NULL",
        "facts = '{'",
        "facts = '[]'",
        "facts = '{}'",
        """facts = '{"media_type":"image/png","width_px":"1","height_px":1,"size_bytes":1}'""",
        """facts = '{"media_type":"image/png","width_px":-1,"height_px":1,"size_bytes":1}'""",
        """facts = '{"media_type":1,"width_px":1,"height_px":1,"size_bytes":1}'""",
        "facts = replace(facts, '{', '{\"more\":1,')",
        "facts = replace(facts, '{', '{\"details\":1,')",
        "facts = replace(facts, '}', ',\"details\":{\"a\":1}}')",
        "facts = replace(facts, '{', '{\"dropped\":\"seed\",')",
        "facts = replace(facts, '{', '{\"image_url\":1,')",
        "held_at = 'yesterday'",
        "day = '2026-02-31'",
    ],
)
def test_a_row_that_was_not_written_by_us_is_told_and_not_believed(
    ledger: Ledger, change: str
) -> None:
    """Read strictly: with the purchase's identifier, whoever comes across it."""
    purchase = bring_to(ledger, State.PAID, new_purchase("rain"))

    tamper(ledger, f"UPDATE purchases SET {change}")

    with pytest.raises(LedgerFailed, match=purchase.new.attempt_id) as caught:
        ledger.live(key_of("rain"))
    assert "stage3 verify" in (caught.value.hint or "")
    assert any(purchase.new.attempt_id in problem for problem in ledger.problems())


@of_sqlite("its rules of rows that speak of others can be switched off")
def test_a_row_that_speaks_of_another_which_is_not_there_is_told(ledger: Ledger) -> None:
    """A file may have been written to by a program that did not switch the rule on."""
    with databases.raw(ledger, lawless=True) as raw:
        raw.execute("PRAGMA foreign_keys = 0")
        raw.execute("INSERT INTO events VALUES (99, 98, 'asked', NULL, 'absent', '2026', '')")

    assert "row 99 of events speaks of a purchase that is not there" in ledger.problems()
