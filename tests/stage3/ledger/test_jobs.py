"""Jobs in the ledger: written before a request leaves, accepted once, with all their purchases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from stage3_plugin.domain.job import Accepted, Job, Lane
from stage3_plugin.domain.purchase import Limits, Purchase, Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.errors import IllegalTransition, JobRefused, LedgerFailed, LookupRefused
from stage3_plugin.ledger.book import Ledger
from tests.stage3.ledger import databases
from tests.stage3.ledger.databases import Raw, of_sqlite, refused_by
from tests.stage3.ledger.samples import (
    DAY,
    NOW,
    SETTLEMENTS,
    accepted,
    bring_to,
    hold,
    insert,
    new_job,
    new_purchase,
    opened,
    queued,
)

BEGUN = "token, provider, account, endpoint, lane, opened_at"
ONE_THAT_IS_ACCEPTED = (
    f"INSERT INTO jobs ({BEGUN}, job_id, poll_url, accepted_at, expires_at) "
    "VALUES (NULL, 'p', 'a', 'e', 'one', 'now', 'x', '', '', '')"
)
A_BATCH_WITHOUT_A_LABEL = f"INSERT INTO jobs ({BEGUN}) VALUES (NULL, 'p', 'a', 'e', 'batch', 'now')"
ACCEPTED_AS = "job_id = 'a name', poll_url = '', accepted_at = 'now', expires_at = 'then'"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A new ledger."""
    with opened(tmp_path) as ledger:
        yield ledger


@pytest.fixture
def raw(ledger: Ledger) -> Iterator[Raw]:
    """Somebody else's connection to it, without any of our pragmas."""
    with databases.raw(ledger) as raw:
        yield raw


def accept(ledger: Ledger, attempt_id: str, said: Accepted | None = None) -> Job | None:
    """Let a provider accept the job of a purchase."""
    with ledger.transaction():
        return ledger.accept(attempt_id, said or accepted(attempt_id), now=NOW)


def settle(ledger: Ledger, attempt_id: str, settlement: Settlement) -> None:
    with ledger.transaction():
        ledger.settle(attempt_id, settlement, now=NOW)


def found(ledger: Ledger, attempt_id: str) -> Purchase:
    """Return a purchase that is there."""
    purchase = ledger.purchase(attempt_id)
    assert purchase is not None
    return purchase


def batch(ledger: Ledger, lines: int) -> list[str]:
    """Hold the lines of one batch, all or nothing, and return their identifiers."""
    job = replace(new_job("the batch", lane="batch"), input_file="file-1")
    news = [replace(new_purchase(f"line {n}"), job=job, line=n) for n in range(lines)]
    with ledger.transaction():
        for new in news:
            ledger.hold(new, Limits(), day=DAY, now=NOW)
    return [new.attempt_id for new in news]


def test_a_job_is_accepted_once(ledger: Ledger) -> None:
    """Said again it stays as it is; another name for it, or its name for another, is refused."""
    one, other = (hold(ledger, queued(new_purchase(scene))) for scene in ("rain", "snow"))
    job = accept(ledger, one)
    later = replace(accepted(one), poll_url="https://elsewhere.example", keeps_s=1.0)

    assert accept(ledger, one, later) == job
    for attempt_id, said in ((one, accepted(other)), (other, accepted(one))):
        with pytest.raises(JobRefused, match="which cannot be"):
            accept(ledger, attempt_id, said)
    assert [found(ledger, one).job, found(ledger, other).state] == [job, State.SENDING]


def test_what_has_no_job_is_not_accepted(ledger: Ledger) -> None:
    """Nor does a settlement say that it was: nobody would know its name."""
    attempt_id = hold(ledger, new_purchase("rain"))

    with pytest.raises(LookupRefused, match="it has no job"):
        accept(ledger, attempt_id)
    with pytest.raises(IllegalTransition):
        settle(ledger, attempt_id, Settlement(state=State.ACCEPTED))


@pytest.mark.parametrize("why", ["a name", "a person"])
def test_a_setting_writes_off_neither_a_job_with_a_name_nor_what_a_person_has_touched(
    ledger: Ledger, why: str
) -> None:
    """The one can still be asked for; the other is theirs to decide."""
    unknown = SETTLEMENTS[State.UNKNOWN]
    if why == "a name":
        attempt_id = bring_to(ledger, State.ACCEPTED, new_purchase("rain")).new.attempt_id
        settle(ledger, attempt_id, unknown)
    else:
        attempt_id = hold(ledger, queued(new_purchase("rain")))
        settle(ledger, attempt_id, replace(unknown, decided_by="user"))

    with pytest.raises(LedgerFailed, match="only a person writes this purchase off"):
        settle(ledger, attempt_id, SETTLEMENTS[State.WROTE_OFF])
    settle(ledger, attempt_id, replace(SETTLEMENTS[State.WROTE_OFF], decided_by="user"))


@pytest.mark.parametrize("keeps_s", [0.0, 0.5, 1e9, 1e300, float("inf")])
def test_a_promise_is_kept_as_far_as_a_date_can_hold_it(ledger: Ledger, keeps_s: float) -> None:
    """A provider that promises to know a job for ever ends at a date all the same."""
    attempt_id = hold(ledger, queued(new_purchase("rain")))
    job = accept(ledger, attempt_id, accepted(attempt_id, keeps_s=keeps_s))

    assert job is not None
    assert job.expires_at is not None
    assert job.expires_at - NOW == timedelta(seconds=min(keeps_s, 3660 * 86_400))


# The database's own rules ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM jobs",
        f"UPDATE jobs SET {ACCEPTED_AS}, token = '{'a' * 32}'",
        pytest.param(
            f"UPDATE jobs SET {ACCEPTED_AS}, rowid = 77", marks=of_sqlite("a column's second name")
        ),
        f"UPDATE jobs SET {ACCEPTED_AS}, provider = 'another'",
        f"UPDATE jobs SET {ACCEPTED_AS}, account = 'another'",
        f"UPDATE jobs SET {ACCEPTED_AS}, endpoint = 'another'",
        f"UPDATE jobs SET {ACCEPTED_AS}, lane = 'batch'",
        f"UPDATE jobs SET {ACCEPTED_AS}, input_file = 'another'",
        f"UPDATE jobs SET {ACCEPTED_AS}, opened_at = 'another'",
        "UPDATE jobs SET job_id = 'a name'",
        "UPDATE jobs SET cancel_url = 'https://queue'",
        "UPDATE jobs SET cost_microusd = 1",
        "UPDATE jobs SET job_id = 'a name', poll_url = '', accepted_at = 'now'",
        "UPDATE purchases SET state = 'ACCEPTED'",
        pytest.param(
            "REPLACE INTO jobs SELECT * FROM jobs", marks=of_sqlite("a server has no REPLACE")
        ),
        ONE_THAT_IS_ACCEPTED,
        A_BATCH_WITHOUT_A_LABEL,
    ],
)
def test_a_job_never_changes_but_by_being_accepted(ledger: Ledger, raw: Raw, change: str) -> None:
    """Whatever program writes: not what it began as, not half of what was said, and once."""
    hold(ledger, queued(new_purchase("rain")))
    before = raw.execute("SELECT * FROM jobs").fetchall()

    with pytest.raises(databases.refused):
        raw.execute(change)

    assert raw.execute("SELECT * FROM jobs").fetchall() == before


@pytest.mark.parametrize(
    "change",
    ["poll_url = 'another'", "job_id = NULL", "expires_at = 'another'", "result_url = 'x'"],
)
def test_what_was_accepted_never_changes(ledger: Ledger, raw: Raw, change: str) -> None:
    """Nor is its name given to another, also by a program that replaces what is in its way."""
    bring_to(ledger, State.ACCEPTED, new_purchase("rain"))
    hold(ledger, queued(new_purchase("snow")))
    taken = "job_id = (SELECT job_id FROM jobs WHERE seq = 1), poll_url = ''"
    of_another = f"{taken}, accepted_at = '', expires_at = '' WHERE seq = 2"

    with pytest.raises(databases.refused, match="accepted once"):
        raw.execute(f"UPDATE jobs SET {change} WHERE seq = 1")
    how, words = ("", "one_job") if databases.is_server() else ("OR REPLACE", "accepted once")
    with pytest.raises(databases.refused, match=words):
        raw.execute(f"UPDATE {how} jobs SET {of_another}")


@pytest.mark.parametrize(
    "lane, is_accepted, changed",
    [
        ("one", False, {}),
        ("one", False, {"job": 2}),
        ("one", False, {"line": 1}),
        ("batch", False, {}),
        ("batch", False, {"line": 0}),
        ("batch", False, {"line": 7, "provider": "another"}),
        ("batch", True, {"line": 7}),
    ],
)
def test_a_purchase_joins_a_job_that_waits_for_it(
    ledger: Ledger,
    raw: Raw,
    *,
    lane: Lane,
    is_accepted: bool,
    changed: dict[str, object],
) -> None:
    """Of the same provider, before it is accepted; alone, or as a line of its own of a batch."""
    line = 0 if lane == "batch" else None
    new = replace(new_purchase("rain"), job=new_job("a job", lane=lane), line=line)
    attempt_id = hold(ledger, new)
    if is_accepted:
        accept(ledger, attempt_id)

    with pytest.raises(databases.refused):
        insert(raw, {"job": 1, **changed})
    if lane == "batch" and not is_accepted:
        insert(raw, {"job": 1, "line": 7})


def test_a_slot_is_live_once_whatever_it_is_bought_by(ledger: Ledger, raw: Raw) -> None:
    """By the index, and by the trigger where a program would replace what is in its way."""
    rain = bring_to(ledger, State.PAID, new_purchase("rain")).new
    again: dict[str, object] = {"subject_key": rain.subject_key, "scene_key": "of another model"}

    if not databases.is_server():
        with pytest.raises(databases.refused, match="there already"):
            insert(raw, again, how="REPLACE")
        raw.execute("DROP TRIGGER a_purchase_is_not_replaced")
    with pytest.raises(databases.refused) as caught:
        insert(raw, again)
    assert refused_by(caught.value) == "UNIQUE"
    insert(raw, {**again, "take": 2})
