# ruff: noqa: S608 - put together from the table of states and quoted names, never from data
"""The tables and rules of a ledger on a server, built from the same table of states as SQLite's.

Every rule that a file has is here, too: :mod:`stage3_plugin.ledger.schema` has their reasons. What
is different: a row is never replaced, since PostgreSQL has no REPLACE; nothing is deleted or cut
off; and who may write at all is a matter of roles, so that the program's own need not, and should
not, own these tables. Names are written with their schema wherever a rule looks into another
table: no ``search_path`` leads it elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, get_args

from host_stub.contract import CostBasis
from stage3_plugin.domain.job import TOKEN_DIGITS, Lane
from stage3_plugin.domain.purchase import DecidedBy
from stage3_plugin.domain.states import COUNTED, LEGAL, UNSETTLED, State
from stage3_plugin.ledger.schema import (
    IS_BAD,
    IS_BILLED,
    IS_GIVEN_UP,
    IS_IN_DOUBT,
    IS_LIVE,
    IS_OPEN,
    IS_PAID,
    words,
)

VERSION_NAME: Final = "postgres_schema"
"""What ``meta`` calls the tables' version, so that a program that knows others refuses them."""
ID_NAME: Final = "ledger_id"
"""A word drawn when the ledger was made, so that another one under its address is noticed."""

TABLES: Final = ("jobs", "purchases", "counters", "events", "meta")

_TEXT = 'TEXT COLLATE "C"'
"""Compared byte by byte, as SQLite does, whatever the database's language is."""
_SEQ = "seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
_IS_UNSETTLED = f"state IN ({words(UNSETTLED)})"
_IS_UNCOUNTED = f"state IN ({words(set(State) - COUNTED)})"
_WAYS = " OR ".join(
    f"(OLD.state = '{old}' AND NEW.state IN ({words(news)}))" for old, news in LEGAL.items() if news
)
_COLUMNS = {
    "jobs": f"""
  {_SEQ},
  token {_TEXT} UNIQUE CHECK (token ~ '^[0-9a-f]{{{TOKEN_DIGITS}}}$'),
  provider {_TEXT} NOT NULL,
  account {_TEXT} NOT NULL,
  endpoint {_TEXT} NOT NULL,
  lane {_TEXT} NOT NULL CHECK (lane IN ({words(get_args(Lane))})),
  input_file {_TEXT},
  opened_at {_TEXT} NOT NULL,
  job_id {_TEXT},
  poll_url {_TEXT},
  result_url {_TEXT},
  cancel_url {_TEXT},
  accepted_at {_TEXT},
  expires_at {_TEXT},
  cost_microusd BIGINT CHECK (cost_microusd >= 0),
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
  {_SEQ},
  attempt_id {_TEXT} NOT NULL UNIQUE CHECK (attempt_id ~ '^[0-9a-f]{{32}}$'),
  scene_key {_TEXT} NOT NULL,
  scene_id {_TEXT} NOT NULL,
  run_id {_TEXT} NOT NULL,
  provider {_TEXT} NOT NULL,
  api {_TEXT} NOT NULL,
  base_url {_TEXT},
  model {_TEXT} NOT NULL,
  size {_TEXT} NOT NULL,
  quality {_TEXT} NOT NULL,
  is_local BIGINT NOT NULL CHECK (is_local IN (0, 1)),
  hold_microusd BIGINT NOT NULL CHECK (hold_microusd >= 0),
  day {_TEXT} NOT NULL CHECK (day ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$'),
  held_at {_TEXT} NOT NULL,
  state {_TEXT} NOT NULL CHECK (state IN ({words(State)})),
  changed_at {_TEXT} NOT NULL,
  cost_microusd BIGINT CHECK (cost_microusd >= 0),
  basis {_TEXT} CHECK (basis IN ({words(get_args(CostBasis))})),
  why {_TEXT} NOT NULL,
  sha256 {_TEXT} CHECK (sha256 ~ '^[0-9a-f]{{64}}$'),
  facts {_TEXT},
  took_s DOUBLE PRECISION,
  decided_by {_TEXT} CHECK (decided_by IN ({words(get_args(DecidedBy))})),
  content_key {_TEXT} NOT NULL,
  request_id {_TEXT},
  base_key {_TEXT},
  subject_key {_TEXT} NOT NULL,
  take BIGINT NOT NULL DEFAULT 1 CHECK (take >= 1),
  job BIGINT REFERENCES {{schema}}.jobs (seq),
  line BIGINT CHECK (line >= 0),
  CHECK ((state = 'PAID') = (sha256 IS NOT NULL)),
  CHECK (NOT {_IS_UNSETTLED} OR (cost_microusd IS NULL AND basis IS NULL)),
  CHECK ({_IS_UNSETTLED} OR basis IS NOT NULL),
  CHECK (NOT {_IS_UNCOUNTED} OR cost_microusd IS NOT DISTINCT FROM 0),
  CHECK (state <> 'WROTE_OFF' OR decided_by IS NOT NULL),
  CHECK (state <> 'ACCEPTED' OR job IS NOT NULL),
  CHECK (line IS NULL OR job IS NOT NULL)
""",
    "counters": f"""
  scope {_TEXT} NOT NULL PRIMARY KEY,
  committed_microusd BIGINT NOT NULL CHECK (committed_microusd >= 0)
""",
    "events": f"""
  {_SEQ},
  purchase BIGINT REFERENCES {{schema}}.purchases (seq),
  event {_TEXT} NOT NULL CHECK (event IN ('asked', 'changed', 'overrun', 'corrected', 'day_set')),
  old {_TEXT},
  new {_TEXT} NOT NULL,
  at {_TEXT} NOT NULL,
  why {_TEXT} NOT NULL,
  CHECK ((event = 'day_set') = (purchase IS NULL))
""",
    "meta": f"name {_TEXT} NOT NULL PRIMARY KEY, value {_TEXT} NOT NULL",
}
_INDICES = (
    ("UNIQUE INDEX", "one_live", f"purchases (scene_key) WHERE {IS_LIVE}"),
    ("UNIQUE INDEX", "one_in_a_slot", f"purchases (subject_key, take) WHERE {IS_LIVE}"),
    ("INDEX", "of_content", f"purchases (content_key) WHERE {IS_PAID}"),
    ("INDEX", "of_base", f"purchases (base_key) WHERE base_key IS NOT NULL AND {IS_PAID}"),
    ("INDEX", "in_work", f"purchases (run_id) WHERE {IS_OPEN}"),
    ("INDEX", "in_doubt", f"purchases (state, provider) WHERE {IS_IN_DOUBT}"),
    ("INDEX", "given_up", f"purchases (subject_key, take) WHERE {IS_GIVEN_UP}"),
    ("INDEX", "written_off", "purchases (scene_key) WHERE state = 'WROTE_OFF'"),
    ("INDEX", "paid_for_nothing", f"purchases (scene_key) WHERE {IS_BAD}"),
    (
        "INDEX", "billed",
        f"purchases (provider, model, size, quality, cost_microusd) WHERE {IS_BILLED}",
    ),
    ("INDEX", "of_job", "purchases (job) WHERE job IS NOT NULL"),
    ("UNIQUE INDEX", "one_line", "purchases (job, line) WHERE line IS NOT NULL"),
    ("UNIQUE INDEX", "one_job", "jobs (provider, job_id) WHERE job_id IS NOT NULL"),
)  # fmt: skip


class _Rule(NamedTuple):
    """What is refused, and in which words.

    Attributes:
        name: Of the trigger.
        on: When it is asked: the moment, the table.
        when: What it is asked for; all, if empty.
        unless: In these cases it is not refused, which other tables decide.
        words: Why it is refused.
    """

    name: str
    on: str
    when: str
    words: str
    unless: str = ""


def _others(columns: tuple[str, ...]) -> str:
    new, old = (", ".join(f"{row}.{name}" for name in columns) for row in ("NEW", "OLD"))
    return f"({new}) IS DISTINCT FROM ({old})"


_FROZEN = (
    "seq", "attempt_id", "scene_key", "scene_id", "run_id", "provider", "api", "base_url", "model",
    "size", "quality", "is_local", "hold_microusd", "day", "held_at", "content_key", "base_key",
    "subject_key", "take", "job", "line",
)  # fmt: skip
_FROZEN_OF_A_JOB = (
    "seq", "token", "provider", "account", "endpoint", "lane", "input_file", "opened_at"
)  # fmt: skip
_UNCHANGED = ("changed_at", "why", "sha256", "facts", "took_s", "request_id")
_NEWEST = (
    "SELECT 1 FROM {schema}.events AS its WHERE its.seq = (SELECT max(seq) FROM {schema}.events)"
)

_RULES = (
    _Rule(
        "a_purchase_begins_in_work", "BEFORE INSERT ON purchases", f"NOT NEW.{IS_OPEN}",
        "a new purchase is in work",
    ),
    _Rule(
        "a_purchase_is_there_before_its_job_is_accepted", "BEFORE INSERT ON purchases",
        "NEW.job IS NOT NULL", "no job waits for this purchase",
        unless="""EXISTS (
    SELECT 1 FROM {schema}.jobs WHERE seq = NEW.job AND job_id IS NULL AND provider = NEW.provider
    AND (lane = 'batch') = (NEW.line IS NOT NULL)
    AND (lane = 'batch' OR NOT EXISTS (SELECT 1 FROM {schema}.purchases WHERE job = NEW.job))
  )""",
    ),
    _Rule(
        "a_purchase_goes_a_legal_way", "BEFORE UPDATE ON purchases",
        f"NOT ({_WAYS} OR (NEW.state = OLD.state AND OLD.state IN ('PAID', 'PAID_BAD')))",
        "a purchase cannot go this way",
    ),
    _Rule(
        "a_job_is_known_before_it_is_accepted", "BEFORE UPDATE ON purchases",
        "NEW.state = 'ACCEPTED'", "nobody knows by which name its job was accepted",
        unless=(
            "EXISTS (SELECT 1 FROM {schema}.jobs WHERE seq = NEW.job AND job_id IS NOT NULL)"
        ),
    ),
    _Rule(
        "a_picture_is_given_up_by_a_person", "BEFORE UPDATE ON purchases",
        "OLD.state = 'PAID' AND NEW.state = 'PAID_BAD' AND NEW.decided_by IS DISTINCT FROM 'user'",
        "only a person gives up a picture that was paid for",
    ),
    _Rule(
        "a_setting_overrides_nobody", "BEFORE UPDATE ON purchases",
        "NEW.state = 'WROTE_OFF' AND NEW.decided_by IS NOT DISTINCT FROM 'policy'",
        "only a person writes this purchase off",
        unless="""OLD.decided_by IS NULL AND NOT EXISTS (
    SELECT 1 FROM {schema}.jobs WHERE seq = OLD.job AND job_id IS NOT NULL
  )""",
    ),
    _Rule(
        "a_cost_is_corrected_by_a_person", "BEFORE UPDATE ON purchases",
        "NEW.state = OLD.state AND OLD.state IN ('PAID', 'PAID_BAD')",
        "a cost is only corrected by a person, behind its event",
        unless=f"""NEW.decided_by IS NOT DISTINCT FROM 'user' AND NEW.cost_microusd IS NOT NULL
  AND NOT {_others(_UNCHANGED)}
  AND EXISTS (
    {_NEWEST} AND its.event = 'corrected' AND its.purchase = OLD.seq
    AND its.old IS NOT DISTINCT FROM CAST(OLD.cost_microusd AS TEXT)
    AND its.new = CAST(NEW.cost_microusd AS TEXT)
  )""",
    ),
    _Rule(
        "an_agreement_is_frozen", "BEFORE UPDATE ON purchases", _others(_FROZEN),
        "what a purchase began as never changes",
    ),
    _Rule(
        "a_job_begins_unaccepted", "BEFORE INSERT ON jobs", "NEW.job_id IS NOT NULL",
        "a new job has not been accepted",
    ),
    _Rule(
        "a_job_is_accepted_once", "BEFORE UPDATE ON jobs",
        f"OLD.job_id IS NOT NULL OR NEW.job_id IS NULL OR {_others(_FROZEN_OF_A_JOB)}",
        "a job is accepted once, and nothing else of it ever changes",
    ),
    _Rule(
        "an_event_is_not_changed", "BEFORE UPDATE ON events", "", "an event is never changed"
    ),
    _Rule(
        "a_day_does_not_come_back", "BEFORE UPDATE ON meta", "OLD.name = 'last_day'",
        "the last day only moves forward",
        unless=f"""NEW.name = OLD.name AND (NEW.value >= OLD.value OR EXISTS (
    {_NEWEST} AND its.event = 'day_set' AND its.old = OLD.value AND its.new = NEW.value
  ))""",
    ),
    _Rule(
        "a_ledger_stays_what_it_is", "BEFORE UPDATE ON meta",
        f"OLD.name IN ('{VERSION_NAME}', '{ID_NAME}')",
        "what a ledger is never changes",
    ),
)  # fmt: skip


def tables(schema: str) -> Iterator[str]:
    """Write the statements that make the tables; a schema is quoted already.

    Rows may be brought in then, as they are, before :func:`rules` hold them to anything.
    """
    for name in TABLES:
        columns = _COLUMNS[name].replace("{schema}", schema)
        yield f"CREATE TABLE {schema}.{name} ({columns})"


def rules(schema: str) -> Iterator[str]:
    """Write the statements that make what speeds up and what refuses; behind :func:`tables`."""
    for kind, name, on in _INDICES:
        yield f"CREATE {kind} {name} ON {schema}.{on}"
    yield _function(schema, "refuse", "RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = '23000';")
    for rule in _RULES:
        moment, table = rule.on.rsplit(" ", 1)
        checked = "refuse"
        if rule.unless:
            checked = rule.name
            yield _function(
                schema,
                checked,
                f"""IF NOT ({rule.unless.replace("{schema}", schema)}) THEN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = '23000';
  END IF;
  RETURN NEW;""",
            )
        when = f"WHEN ({rule.when})" if rule.when else ""
        yield (
            f"CREATE TRIGGER {rule.name} {moment} {schema}.{table} FOR EACH ROW {when} "
            f"EXECUTE FUNCTION {schema}.{checked}('{rule.words}')"
        )
    for table in TABLES:
        yield (
            f"CREATE TRIGGER nothing_is_deleted BEFORE DELETE OR TRUNCATE ON {schema}.{table} "
            f"EXECUTE FUNCTION {schema}.refuse('what a ledger has is never deleted')"
        )
    for name, moment, old in (
        ("a_beginning_is_written_down", "AFTER INSERT", "NULL"),
        ("a_change_is_written_down", "AFTER UPDATE", "OLD.state"),
    ):
        yield _function(
            schema,
            name,
            f"""INSERT INTO {schema}.events (purchase, event, old, new, at, why)
  VALUES (NEW.seq, 'changed', {old}, NEW.state, NEW.changed_at, NEW.why);
  RETURN NULL;""",
        )
        when = "WHEN (NEW.state <> OLD.state)" if "UPDATE" in moment else ""
        yield (
            f"CREATE TRIGGER {name} {moment} ON {schema}.purchases FOR EACH ROW {when} "
            f"EXECUTE FUNCTION {schema}.{name}()"
        )


def _function(schema: str, name: str, body: str) -> str:
    return f"""CREATE FUNCTION {schema}.{name}() RETURNS trigger LANGUAGE plpgsql AS $rule$
BEGIN
  {body}
END $rule$"""
