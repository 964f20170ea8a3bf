# ruff: noqa: S608 - put together from the table of states, never from data
"""The database that enforces the ledger's rules by itself, built from the table of states.

No program that writes to it can take a purchase where it may not go, change what was agreed on
when its money was held, buy a scene twice at once, or unwrite what has happened.
Apart from the ledger, so that these rules hold without it and are tested without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, get_args

from host_stub.contract import CostBasis
from stage3_plugin.domain.job import TOKEN_DIGITS, Lane
from stage3_plugin.domain.purchase import DecidedBy
from stage3_plugin.domain.states import COUNTED, LEGAL, LIVE, OPEN, UNSETTLED, State

APPLICATION_ID = 0x53544733
"""``STG3``: what the file says it is (PRAGMA application_id)."""

VERSION: Final = 6
"""Of these tables, in a file and on a server. Those with smaller numbers were made by snapshots
before the first release, and are refused; see :mod:`stage3_plugin.ledger.refusal`."""


def words(of: Iterable[str]) -> str:
    """Write a list of words as SQL literals, always in the same order.

    SQLite takes a partial index only for a condition that is written exactly as in the index.
    """
    return ", ".join(f"'{word}'" for word in sorted(of))


IS_LIVE: Final = f"state IN ({words(LIVE)})"
(_OPEN,) = OPEN
IS_OPEN: Final = f"state = '{_OPEN}'"
"""SQLite makes this of a list of one, and would not find an index whose condition has the list."""
IS_COUNTED: Final = f"state IN ({words(COUNTED)})"
IS_BILLED: Final = "basis IN ('gateway', 'reported', 'tokens')"
"""Costs that the provider or a gateway reported, or that were counted out in tokens; a flat price
is only what we believe."""
IS_PAID: Final = "state = 'PAID'"
IS_BAD: Final = "state = 'PAID_BAD'"
"""Paid for nothing."""
IS_GIVEN_UP: Final = "state IN ('PAID_BAD', 'WROTE_OFF')"
IS_IN_DOUBT: Final = f"state IN ({words(UNSETTLED - OPEN)})"
"""What any run may bring on, whoever began it."""

IS_UNSETTLED: Final = f"state IN ({words(UNSETTLED)})"
WAYS: Final = " OR ".join(
    f"(OLD.state = '{old}' AND NEW.state IN ({words(news)}))" for old, news in LEGAL.items() if news
)
"""Where a purchase may go."""
_IS_UNCOUNTED = f"state IN ({words(set(State) - COUNTED)})"

COLUMNS: Final[Mapping[str, str]] = {
    "jobs": f"""
  {{seq}},
  token {{text}} UNIQUE CHECK ({{is_token}}),
  provider {{text}} NOT NULL,
  account {{text}} NOT NULL,
  endpoint {{text}} NOT NULL,
  lane {{text}} NOT NULL CHECK (lane IN ({words(get_args(Lane))})),
  input_file {{text}},
  opened_at {{text}} NOT NULL,
  job_id {{text}},
  poll_url {{text}},
  result_url {{text}},
  cancel_url {{text}},
  accepted_at {{text}},
  expires_at {{text}},
  cost_microusd {{number}} CHECK (cost_microusd >= 0),
  CHECK (lane = 'one' OR token IS NOT NULL),
  CHECK (
    (job_id IS NULL) = (poll_url IS NULL) AND (job_id IS NULL) = (accepted_at IS NULL)
    AND (job_id IS NULL) = (expires_at IS NULL)
  ),
  CHECK (
    job_id IS NOT NULL
    OR (result_url IS NULL AND cancel_url IS NULL AND cost_microusd IS NULL)
  )
""",
    "purchases": f"""
  {{seq}},
  attempt_id {{text}} NOT NULL UNIQUE CHECK ({{is_attempt_id}}),
  scene_key {{text}} NOT NULL,
  scene_id {{text}} NOT NULL,
  run_id {{text}} NOT NULL,
  provider {{text}} NOT NULL,
  api {{text}} NOT NULL,
  base_url {{text}},
  model {{text}} NOT NULL,
  size {{text}} NOT NULL,
  quality {{text}} NOT NULL,
  is_local {{number}} NOT NULL CHECK (is_local IN (0, 1)),
  hold_microusd {{number}} NOT NULL CHECK (hold_microusd >= 0),
  day {{text}} NOT NULL CHECK ({{is_day}}),
  held_at {{text}} NOT NULL,
  state {{text}} NOT NULL CHECK (state IN ({words(State)})),
  changed_at {{text}} NOT NULL,
  cost_microusd {{number}} CHECK (cost_microusd >= 0),
  basis {{text}} CHECK (basis IN ({words(get_args(CostBasis))})),
  why {{text}} NOT NULL,
  sha256 {{text}} CHECK ({{is_sha256}}),
  facts {{text}},
  took_s {{real}},
  decided_by {{text}} CHECK (decided_by IN ({words(get_args(DecidedBy))})),
  content_key {{text}} NOT NULL,
  request_id {{text}},
  base_key {{text}},
  subject_key {{text}} NOT NULL,
  take {{number}} NOT NULL DEFAULT 1 CHECK (take >= 1),
  job {{number}} REFERENCES {{schema}}jobs (seq),
  line {{number}} CHECK (line >= 0),
  CHECK ((state = 'PAID') = (sha256 IS NOT NULL)),
  CHECK (NOT {IS_UNSETTLED} OR (cost_microusd IS NULL AND basis IS NULL)),
  CHECK ({IS_UNSETTLED} OR basis IS NOT NULL),
  CHECK (NOT {_IS_UNCOUNTED} OR cost_microusd {{is_same_as}} 0),
  CHECK (state <> 'WROTE_OFF' OR decided_by IS NOT NULL),
  CHECK (state <> 'ACCEPTED' OR job IS NOT NULL),
  CHECK (line IS NULL OR job IS NOT NULL)
""",
    "events": """
  {seq},
  purchase {number} REFERENCES {schema}purchases (seq),
  event {text} NOT NULL CHECK (event IN ('asked', 'changed', 'overrun', 'corrected', 'day_set')),
  old {text},
  new {text} NOT NULL,
  at {text} NOT NULL,
  why {text} NOT NULL,
  CHECK ((event = 'day_set') = (purchase IS NULL))
""",
    "counters": """
  scope {text} NOT NULL PRIMARY KEY,
  committed_microusd {number} NOT NULL CHECK (committed_microusd >= 0)
""",
    "meta": "name {text} NOT NULL PRIMARY KEY, value {text} NOT NULL",
}
"""What each table has, in a file and on a server, which have their own words for the kinds."""
INDICES: Final = (
    ("UNIQUE INDEX", "one_live", f"purchases (scene_key) WHERE {IS_LIVE}"),
    ("UNIQUE INDEX", "one_in_a_slot", f"purchases (subject_key, take) WHERE {IS_LIVE}"),
    # Of pictures only: of everything live, each purchase would be written to it three times.
    ("INDEX", "of_content", f"purchases (content_key) WHERE {IS_PAID}"),
    ("INDEX", "of_base", f"purchases (base_key) WHERE base_key IS NOT NULL AND {IS_PAID}"),
    ("INDEX", "in_work", f"purchases (run_id) WHERE {IS_OPEN}"),
    ("INDEX", "in_doubt", f"purchases (state, provider) WHERE {IS_IN_DOUBT}"),
    # What does not block its slot and may keep it from being bought again; by its keys where the
    # wish differs in what the route is not told, and so is another subject.
    ("INDEX", "given_up", f"purchases (subject_key, take) WHERE {IS_GIVEN_UP}"),
    ("INDEX", "written_off", "purchases (scene_key) WHERE state = 'WROTE_OFF'"),
    ("INDEX", "paid_for_nothing", f"purchases (scene_key) WHERE {IS_BAD}"),
    (
        "INDEX", "billed",
        f"purchases (provider, model, size, quality, cost_microusd) WHERE {IS_BILLED}\n",
    ),
    ("INDEX", "of_job", "purchases (job) WHERE job IS NOT NULL"),
    ("UNIQUE INDEX", "one_line", "purchases (job, line) WHERE line IS NOT NULL"),
    ("UNIQUE INDEX", "one_job", "jobs (provider, job_id) WHERE job_id IS NOT NULL"),
)  # fmt: skip
FROZEN: Final = (
    "seq", "attempt_id", "scene_key", "scene_id", "run_id", "provider", "api", "base_url", "model",
    "size", "quality", "is_local", "hold_microusd", "day", "held_at", "content_key", "base_key",
    "subject_key", "take", "job", "line",
)  # fmt: skip
"""What of a purchase never changes."""
FROZEN_OF_A_JOB: Final = (
    "seq", "token", "provider", "account", "endpoint", "lane", "input_file", "opened_at"
)  # fmt: skip
UNCHANGED: Final = ("changed_at", "why", "sha256", "facts", "took_s", "request_id")
"""What of a purchase stays where its cost is corrected."""

_HEX = "NOT GLOB '*[^0-9a-f]*'"
_KINDS = {
    "seq": "seq INTEGER PRIMARY KEY",
    "text": "TEXT",
    "number": "INTEGER",
    "real": "REAL",
    "is_token": f"length(token) = {TOKEN_DIGITS} AND token {_HEX}",
    "is_attempt_id": f"length(attempt_id) = 32 AND attempt_id {_HEX}",
    "is_sha256": f"length(sha256) = 64 AND sha256 {_HEX}",
    "is_day": "day GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'",
    "is_same_as": "IS",
    "schema": "",
}
_NAMED = ("counters", "meta")
"""Tables whose rows have names and no numbers."""
_IS_UNCHANGED = " AND ".join(f"NEW.{name} IS OLD.{name}" for name in UNCHANGED)
_JOB_IS_ANOTHER = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in FROZEN_OF_A_JOB)


class Rule(NamedTuple):
    """What is refused, and in which words.

    Attributes:
        name: Of the trigger.
        on: When it is asked: the moment, the table.
        words: Why it is refused.
        when: What it is asked for; all, if empty.
        unless: In these cases it is not refused; for a server, whose triggers cannot look into
            other tables before they are run.
    """

    name: str
    on: str
    words: str
    when: str = ""
    unless: str = ""


_OF_PURCHASES: Final = (
    Rule(
        "a_purchase_begins_in_work", "BEFORE INSERT ON purchases",
        "a new purchase is in work", f"NOT NEW.{IS_OPEN}",
    ),
    # REPLACE would delete without asking the trigger against it.
    Rule(
        "a_purchase_is_not_replaced", "BEFORE INSERT ON purchases",
        "this purchase, or a live one of this scene, is there already",
        f"""EXISTS (SELECT 1 FROM purchases WHERE attempt_id = NEW.attempt_id)
  OR EXISTS (SELECT 1 FROM purchases WHERE seq = NEW.seq)
  OR EXISTS (SELECT 1 FROM purchases WHERE scene_key = NEW.scene_key AND {IS_LIVE})
  OR EXISTS (
    SELECT 1 FROM purchases
    WHERE subject_key = NEW.subject_key AND take = NEW.take AND {IS_LIVE}
  )""",
    ),
    # All lines of a batch are there before it is accepted; of any other job there is one purchase.
    Rule(
        "a_purchase_is_there_before_its_job_is_accepted", "BEFORE INSERT ON purchases",
        "no job waits for this purchase",
        """NEW.job IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM jobs WHERE seq = NEW.job AND job_id IS NULL AND provider = NEW.provider
  AND (lane = 'batch') = (NEW.line IS NOT NULL)
  AND (lane = 'batch' OR NOT EXISTS (SELECT 1 FROM purchases WHERE job = NEW.job))
)""",
    ),
    # Of any column: whatever is changed, the state changes with it. "rowid" is a second name of
    # seq, by which a trigger on named columns is passed by.
    Rule(
        "a_purchase_goes_a_legal_way", "BEFORE UPDATE ON purchases",
        "a purchase cannot go this way",
        f"""NOT ({WAYS} OR (NEW.state = OLD.state AND OLD.state IN ('PAID', 'PAID_BAD')))
  OR NEW.seq <> OLD.seq""",
    ),
    Rule(
        "a_job_is_known_before_it_is_accepted", "BEFORE UPDATE ON purchases",
        "nobody knows by which name its job was accepted",
        """NEW.state = 'ACCEPTED'
  AND NOT EXISTS (SELECT 1 FROM jobs WHERE seq = NEW.job AND job_id IS NOT NULL)""",
    ),
    Rule(
        "a_picture_is_given_up_by_a_person", "BEFORE UPDATE ON purchases",
        "only a person gives up a picture that was paid for",
        "OLD.state = 'PAID' AND NEW.state = 'PAID_BAD' AND NEW.decided_by IS NOT 'user'",
    ),
    # A job whose name is known can still be asked for, and what a person has touched is theirs.
    Rule(
        "a_setting_overrides_nobody", "BEFORE UPDATE ON purchases",
        "only a person writes this purchase off",
        """NEW.state = 'WROTE_OFF' AND NEW.decided_by IS 'policy' AND (
  OLD.decided_by IS NOT NULL
  OR EXISTS (SELECT 1 FROM jobs WHERE seq = OLD.job AND job_id IS NOT NULL)
)""",
    ),
    Rule(
        "a_cost_is_corrected_by_a_person", "BEFORE UPDATE ON purchases",
        "a cost is only corrected by a person, behind its event",
        f"""NEW.state = OLD.state AND OLD.state IN ('PAID', 'PAID_BAD') AND NOT (
  NEW.decided_by IS 'user' AND NEW.cost_microusd IS NOT NULL AND {_IS_UNCHANGED}
  AND EXISTS (
    SELECT 1 FROM events WHERE seq = (SELECT max(seq) FROM events)
    AND event = 'corrected' AND purchase = OLD.seq
    AND old IS CAST(OLD.cost_microusd AS TEXT) AND new = CAST(NEW.cost_microusd AS TEXT)
  )
)""",
    ),
    Rule(
        "an_agreement_is_frozen", f"BEFORE UPDATE OF {', '.join(FROZEN)} ON purchases",
        "what a purchase began as never changes",
    ),
    Rule("a_purchase_stays", "BEFORE DELETE ON purchases", "a purchase is never deleted"),
)  # fmt: skip
_OF_OTHERS: Final = (
    Rule(
        "a_job_begins_unaccepted", "BEFORE INSERT ON jobs",
        "a new job has not been accepted", "NEW.job_id IS NOT NULL",
    ),
    Rule(
        "a_job_is_not_replaced", "BEFORE INSERT ON jobs", "this job is there already",
        "EXISTS (SELECT 1 FROM jobs WHERE seq = NEW.seq OR token = NEW.token)",
    ),
    # With OR REPLACE an update, too, deletes what is in its way.
    Rule(
        "a_job_is_accepted_once", "BEFORE UPDATE ON jobs",
        "a job is accepted once, and nothing else of it ever changes",
        f"""OLD.job_id IS NOT NULL OR NEW.job_id IS NULL OR {_JOB_IS_ANOTHER}
  OR EXISTS (SELECT 1 FROM jobs WHERE provider = NEW.provider AND job_id = NEW.job_id)""",
    ),
    Rule("a_job_stays", "BEFORE DELETE ON jobs", "a job is never deleted"),
    Rule(
        "an_event_is_not_replaced", "BEFORE INSERT ON events", "an event is never replaced",
        "EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq)",
    ),
    Rule("an_event_is_not_changed", "BEFORE UPDATE ON events", "an event is never changed"),
    Rule("an_event_stays", "BEFORE DELETE ON events", "an event is never deleted"),
    Rule("a_counter_stays", "BEFORE DELETE ON counters", "a counter is never deleted"),
    Rule(
        "a_day_does_not_come_back", "BEFORE UPDATE ON meta", "the last day only moves forward",
        """OLD.name = 'last_day' AND (
  NEW.name <> OLD.name
  OR NEW.value < OLD.value AND NOT EXISTS (
    SELECT 1 FROM events WHERE seq = (SELECT max(seq) FROM events)
    AND event = 'day_set' AND old = OLD.value AND new = NEW.value
  )
)""",
    ),
    Rule(
        "what_is_known_stays", "BEFORE DELETE ON meta",
        "what the ledger knows of itself is never deleted",
    ),
)  # fmt: skip
RULES: Final[Mapping[str, Rule]] = {rule.name: rule for rule in (*_OF_PURCHASES, *_OF_OTHERS)}
"""What a file refuses, by name, in its own words for what may be nothing."""


def _refusing(rule: Rule) -> str:
    when = f"WHEN {rule.when}\n" if rule.when else ""
    return (
        f"\nCREATE TRIGGER {rule.name} {rule.on}\n{when}"
        f"BEGIN SELECT RAISE(ABORT, '{rule.words}'); END\n"
    )


def _writing_down(name: str, moment: str, old: str, when: str = "") -> str:
    return f"""
CREATE TRIGGER {name} AFTER {moment} ON purchases
{when}BEGIN
  INSERT INTO events (purchase, event, old, new, at, why)
  VALUES (NEW.seq, 'changed', {old}, NEW.state, NEW.changed_at, NEW.why);
END
"""


SCHEMA: Final[tuple[str, ...]] = (
    *(
        f"CREATE TABLE {name} ({columns.format_map(_KINDS)}) STRICT"
        f"{', WITHOUT ROWID' if name in _NAMED else ''}\n"
        for name, columns in COLUMNS.items()
    ),
    *(f"CREATE {kind} {name} ON {on}" for kind, name, on in INDICES),
    *map(_refusing, _OF_PURCHASES),
    _writing_down("a_beginning_is_written_down", "INSERT", "NULL"),
    _writing_down(
        "a_change_is_written_down", "UPDATE", "OLD.state", "WHEN NEW.state <> OLD.state\n"
    ),
    *map(_refusing, _OF_OTHERS),
)
"""The statements that make it, in their order; ``tests/stage3/ledger/schema.sql`` holds them."""
