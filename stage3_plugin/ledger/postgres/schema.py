# ruff: noqa: S608 - put together from the table of states and quoted names, never from data
"""The tables and rules of a ledger on a server, built from the same tables of columns and states.

Every rule that a file has is here, too: :mod:`stage3_plugin.ledger.schema` has their reasons. What
is different: the kinds of columns have other names; a row is never replaced, since PostgreSQL has
no REPLACE; nothing is deleted or cut off; and who may write at all is a matter of roles, so that
the program's own need not, and should not, own these tables. Names are written with their schema
wherever a rule looks into another table: no ``search_path`` leads it elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stage3_plugin.domain.job import TOKEN_DIGITS
from stage3_plugin.ledger.schema import (
    COLUMNS,
    FROZEN,
    FROZEN_OF_A_JOB,
    INDICES,
    RULES,
    UNCHANGED,
    WAYS,
    Rule,
)

VERSION_NAME: Final = "postgres_schema"
"""What ``meta`` calls the tables' version, so that a program that knows others refuses them."""
ID_NAME: Final = "ledger_id"
"""A word drawn when the ledger was made, so that another one under its address is noticed."""

TABLES: Final = ("jobs", "purchases", "counters", "events", "meta")

_KINDS = {
    "seq": "seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "text": 'TEXT COLLATE "C"',  # compared byte by byte, as SQLite does, whatever language it has
    "number": "BIGINT",
    "real": "DOUBLE PRECISION",
    "is_token": f"token ~ '^[0-9a-f]{{{TOKEN_DIGITS}}}$'",
    "is_attempt_id": "attempt_id ~ '^[0-9a-f]{32}$'",
    "is_sha256": "sha256 ~ '^[0-9a-f]{64}$'",
    "is_day": "day ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'",
    "is_same_as": "IS NOT DISTINCT FROM",
}


def _others(columns: tuple[str, ...]) -> str:
    new, old = (", ".join(f"{row}.{name}" for name in columns) for row in ("NEW", "OLD"))
    return f"({new}) IS DISTINCT FROM ({old})"


_NEWEST = (
    "SELECT 1 FROM {schema}.events AS its WHERE its.seq = (SELECT max(seq) FROM {schema}.events)"
)

_RULES = (
    RULES["a_purchase_begins_in_work"],
    RULES["a_purchase_is_there_before_its_job_is_accepted"]._replace(
        when="NEW.job IS NOT NULL",
        unless="""EXISTS (
    SELECT 1 FROM {schema}.jobs WHERE seq = NEW.job AND job_id IS NULL AND provider = NEW.provider
    AND (lane = 'batch') = (NEW.line IS NOT NULL)
    AND (lane = 'batch' OR NOT EXISTS (SELECT 1 FROM {schema}.purchases WHERE job = NEW.job))
  )""",
    ),
    RULES["a_purchase_goes_a_legal_way"]._replace(
        when=f"NOT ({WAYS} OR (NEW.state = OLD.state AND OLD.state IN ('PAID', 'PAID_BAD')))"
    ),
    RULES["a_job_is_known_before_it_is_accepted"]._replace(
        when="NEW.state = 'ACCEPTED'",
        unless="EXISTS (SELECT 1 FROM {schema}.jobs WHERE seq = NEW.job AND job_id IS NOT NULL)",
    ),
    RULES["a_picture_is_given_up_by_a_person"]._replace(
        when="OLD.state = 'PAID' AND NEW.state = 'PAID_BAD' "
        "AND NEW.decided_by IS DISTINCT FROM 'user'"
    ),
    RULES["a_setting_overrides_nobody"]._replace(
        when="NEW.state = 'WROTE_OFF' AND NEW.decided_by IS NOT DISTINCT FROM 'policy'",
        unless="""OLD.decided_by IS NULL AND NOT EXISTS (
    SELECT 1 FROM {schema}.jobs WHERE seq = OLD.job AND job_id IS NOT NULL
  )""",
    ),
    RULES["a_cost_is_corrected_by_a_person"]._replace(
        when="NEW.state = OLD.state AND OLD.state IN ('PAID', 'PAID_BAD')",
        unless=f"""NEW.decided_by IS NOT DISTINCT FROM 'user' AND NEW.cost_microusd IS NOT NULL
  AND NOT {_others(UNCHANGED)}
  AND EXISTS (
    {_NEWEST} AND its.event = 'corrected' AND its.purchase = OLD.seq
    AND its.old IS NOT DISTINCT FROM CAST(OLD.cost_microusd AS TEXT)
    AND its.new = CAST(NEW.cost_microusd AS TEXT)
  )""",
    ),
    RULES["an_agreement_is_frozen"]._replace(on="BEFORE UPDATE ON purchases", when=_others(FROZEN)),
    RULES["a_job_begins_unaccepted"],
    RULES["a_job_is_accepted_once"]._replace(
        when=f"OLD.job_id IS NOT NULL OR NEW.job_id IS NULL OR {_others(FROZEN_OF_A_JOB)}"
    ),
    RULES["an_event_is_not_changed"],
    RULES["a_day_does_not_come_back"]._replace(
        when="OLD.name = 'last_day'",
        unless=f"""NEW.name = OLD.name AND (NEW.value >= OLD.value OR EXISTS (
    {_NEWEST} AND its.event = 'day_set' AND its.old = OLD.value AND its.new = NEW.value
  ))""",
    ),
    Rule(
        "a_ledger_stays_what_it_is",
        "BEFORE UPDATE ON meta",
        "what a ledger is never changes",
        f"OLD.name IN ('{VERSION_NAME}', '{ID_NAME}')",
    ),
)
"""Those of a file that a server needs, in its words for what may be nothing."""


def tables(schema: str) -> Iterator[str]:
    """Write the statements that make the tables; a schema is quoted already.

    Rows may be brought in then, as they are, before :func:`rules` hold them to anything.
    """
    for name in TABLES:
        columns = COLUMNS[name].format(**_KINDS, schema=f"{schema}.")
        yield f"CREATE TABLE {schema}.{name} ({columns})"


def rules(schema: str) -> Iterator[str]:
    """Write the statements that make what speeds up and what refuses; behind :func:`tables`."""
    for kind, name, on in INDICES:
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
