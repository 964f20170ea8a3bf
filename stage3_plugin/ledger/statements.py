# ruff: noqa: S608 - put together from constants of the schema, never from data
"""The ledger's SQL statements: constant texts, so that each is compiled once and found again.

Each is written once, in words that SQLite and PostgreSQL both take and mean the same by.

Apart from the book, so that the ledger can be read as steps and the statements beside the schema.
"""

from __future__ import annotations

from typing import Final

from stage3_plugin.ledger.records import BEGUN, COLUMNS, JOB_COLUMNS, PurchaseRow
from stage3_plugin.ledger.schema import (
    IS_BAD,
    IS_BILLED,
    IS_GIVEN_UP,
    IS_IN_DOUBT,
    IS_LIVE,
    IS_OPEN,
    IS_PAID,
)

_BEGINNING = ", ".join(PurchaseRow._fields[:BEGUN])
INSERT: Final = f"INSERT INTO purchases ({_BEGINNING}, why) VALUES ({', '.join('?' * BEGUN)}, '')"
OPEN_JOB: Final = (
    "INSERT INTO jobs (token, provider, account, endpoint, lane, input_file, opened_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING seq"
)
JOB_DRAWN: Final = "SELECT seq FROM jobs WHERE token = ?"
LINES_OF: Final = f"""
SELECT {COLUMNS} FROM purchases
WHERE job = (SELECT seq FROM jobs WHERE token = ?) AND line IS NOT NULL ORDER BY line
"""
JOB_OF: Final = (
    "SELECT job FROM purchases WHERE attempt_id = ?1 "
    "UNION ALL SELECT seq FROM jobs WHERE token = ?1"
)
IS_MADE: Final = "SELECT 1 FROM purchases WHERE job = ? AND state = 'ACCEPTED' LIMIT 1"
JOB: Final = f"SELECT {JOB_COLUMNS} FROM jobs WHERE seq = ?"
JOB_CALLED: Final = "SELECT seq FROM jobs WHERE provider = ? AND job_id = ?"
ACCEPT_JOB: Final = (
    "UPDATE jobs SET job_id = ?, poll_url = ?, result_url = ?, cancel_url = ?, accepted_at = ?, "
    "expires_at = ?, cost_microusd = ? WHERE seq = ?"
)
ACCEPT_LINES: Final = (
    "UPDATE purchases SET state = 'ACCEPTED', changed_at = ?, why = ?, facts = NULL, "
    "took_s = NULL, decided_by = NULL WHERE job = ? AND state IN ('SENDING', 'UNKNOWN')"
)
LOST: Final = f"""
SELECT {COLUMNS} FROM purchases WHERE {IS_IN_DOUBT} AND state = 'UNKNOWN'
  AND EXISTS (SELECT 1 FROM jobs WHERE jobs.seq = purchases.job AND job_id IS NULL)
ORDER BY seq
"""
ACCEPTED: Final = f"""
SELECT {COLUMNS} FROM purchases WHERE {IS_IN_DOUBT} AND state = 'ACCEPTED' ORDER BY seq
"""
SETTLE: Final = (
    "UPDATE purchases SET state = ?, changed_at = ?, cost_microusd = ?, basis = ?, why = ?, "
    "sha256 = ?, facts = ?, took_s = ?, decided_by = ?, request_id = ? WHERE seq = ?"
)
CORRECT: Final = (
    "UPDATE purchases SET cost_microusd = ?, basis = 'reported', decided_by = 'user' WHERE seq = ?"
)
EVENT: Final = "INSERT INTO events (purchase, event, old, new, at, why) VALUES (?, ?, ?, ?, ?, ?)"
# What is asked for has a job, and what was said of it last is said of all its lines.
ASKINGS: Final = """
SELECT attempt_id, events.new, events.at, events.why FROM (
  SELECT MAX(events.seq) AS seq, job FROM events JOIN purchases ON purchases.seq = events.purchase
  WHERE event = 'asked' GROUP BY job
) AS newest JOIN events ON events.seq = newest.seq JOIN purchases ON purchases.job = newest.job
"""
# A job that was accepted was known then, whatever was asked before.
LOOKS: Final = """
SELECT CASE WHEN line IS NULL THEN attempt_id ELSE token END, events.at, events.old, events.new
FROM events JOIN purchases ON purchases.seq = events.purchase JOIN jobs ON jobs.seq = purchases.job
WHERE event = 'asked' AND state IN ('ACCEPTED', 'UNKNOWN')
  AND (accepted_at IS NULL OR events.at > accepted_at)
  AND (events.new = 'found' OR events.old IS NOT NULL) ORDER BY events.seq
"""
TAKEN_JOBS: Final = "SELECT job_id FROM jobs WHERE provider = ? AND job_id IS NOT NULL"
CORRECTIONS: Final = """
SELECT attempt_id, old, new, at, events.why FROM events
JOIN purchases ON purchases.seq = events.purchase
WHERE event = 'corrected' ORDER BY events.seq
"""
DANGLING: Final = """
SELECT 'purchases', seq, 'job' FROM purchases
WHERE job IS NOT NULL AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.seq = purchases.job)
UNION ALL SELECT 'events', seq, 'purchase' FROM events WHERE purchase IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM purchases WHERE purchases.seq = events.purchase)
ORDER BY 1 DESC, 2 LIMIT 20
"""
# What the last event of a purchase says must be what its row says; by groups, since one look into
# the events for each row would read all of them for each row.
UNWRITTEN: Final = """
SELECT attempt_id FROM purchases LEFT JOIN (
  SELECT purchase, max(seq) AS last FROM events WHERE event = 'changed' GROUP BY purchase
) AS changes ON changes.purchase = purchases.seq
LEFT JOIN events ON events.seq = changes.last
WHERE coalesce(events.new, '') <> purchases.state LIMIT 20
"""
UNCORRECTED: Final = """
SELECT attempt_id FROM (
  SELECT purchase, max(seq) AS last FROM events WHERE event = 'corrected' GROUP BY purchase
) AS corrected
JOIN purchases ON purchases.seq = corrected.purchase JOIN events ON events.seq = corrected.last
WHERE events.new <> coalesce(CAST(cost_microusd AS TEXT), '') AND state IN ('PAID', 'PAID_BAD')
LIMIT 20
"""
OVERBILLED: Final = f"""
SELECT {COLUMNS} FROM purchases
WHERE state IN ('PAID', 'PAID_BAD') AND decided_by IS NULL AND cost_microusd > hold_microusd * ?1
  AND cost_microusd > CASE hold_microusd WHEN 0 THEN ?3 ELSE ?2 END
ORDER BY seq DESC
"""
WITH_BASE: Final = f"SELECT {COLUMNS} FROM purchases WHERE base_key = ? AND {IS_PAID}"
PAID_CONTENT: Final = f"SELECT {COLUMNS} FROM purchases WHERE content_key = ? AND {IS_PAID}"
LAST_EVENT: Final = "SELECT max(seq) FROM events"
_BILLED_SINCE: Final = f"""
{IS_BAD} AND decided_by IS NULL AND EXISTS (
  SELECT 1 FROM events
  WHERE events.seq > ?2 AND events.purchase = purchases.seq AND events.new = 'PAID_BAD'
)
"""
BILLED_FOR_NOTHING: Final = f"""
SELECT {COLUMNS} FROM purchases WHERE scene_key = ?1 AND {_BILLED_SINCE} ORDER BY seq DESC
"""
BILLED_FOR_NOTHING_IN_SLOTS: Final = f"""
SELECT {COLUMNS} FROM purchases WHERE subject_key = ?1 AND {IS_GIVEN_UP} AND {_BILLED_SINCE}
ORDER BY seq DESC
"""
LIVE: Final = f"SELECT {COLUMNS} FROM purchases WHERE scene_key = ? AND {IS_LIVE}"
OF_SUBJECT: Final = f"""
SELECT {COLUMNS} FROM purchases WHERE subject_key = ?1 AND {IS_LIVE}
UNION ALL SELECT {COLUMNS} FROM purchases WHERE subject_key = ?1 AND {IS_GIVEN_UP}
"""
GIVEN_UP: Final = f"""
SELECT subject_key, count(*) FROM purchases WHERE {IS_GIVEN_UP}
GROUP BY subject_key
"""
LIVE_PICTURE: Final = f"SELECT sha256 FROM purchases WHERE scene_key = ? AND {IS_LIVE}"
ONE: Final = f"SELECT {COLUMNS} FROM purchases WHERE attempt_id = ?"
BY_PREFIX: Final = f"""
SELECT {COLUMNS} FROM purchases
WHERE attempt_id >= ?1 AND attempt_id < CAST(?1 AS TEXT) || 'g' LIMIT 2
"""
OPEN: Final = f"SELECT {COLUMNS} FROM purchases WHERE {IS_OPEN} ORDER BY run_id, seq"
BEING_MADE_OF: Final = f"""
SELECT count(*) FROM purchases WHERE {IS_IN_DOUBT} AND state = 'ACCEPTED' AND run_id = ?
"""
OPEN_OF: Final = f"SELECT count(*) FROM purchases WHERE run_id = ? AND {IS_OPEN}"
PAGE: Final = f"""
SELECT {COLUMNS} FROM purchases
WHERE seq < ?1 AND (CAST(?2 AS TEXT) IS NULL OR CAST(?2 AS TEXT) LIKE '%|' || state || '|%')
  AND (CAST(?3 AS TEXT) IS NULL OR scene_id = ?3)
ORDER BY seq DESC LIMIT ?4
"""
# What does not count costs 0, by a rule of the schema, so that it adds nothing. What has ended
# at an unknown cost counts what was held for it; in-sync with ``Purchase.counted_basis``.
TALLIES: Final = """
SELECT state, count(*), CAST(sum(coalesce(cost_microusd, hold_microusd)) AS BIGINT),
  count(*) FILTER (WHERE cost_microusd IS NULL),
  count(*) FILTER (
    WHERE cost_microusd IS NULL AND (basis = 'held' OR (basis = 'unknown' AND hold_microusd > 0))
  )
FROM purchases GROUP BY state
"""
RESENDS: Final = (
    "SELECT seq FROM purchases "
    "WHERE scene_key = ? AND take = ? AND state = 'WROTE_OFF' AND decided_by = 'policy'"
)
RESENDS_IN_A_SLOT: Final = f"""
SELECT seq FROM purchases WHERE subject_key = ? AND take = ? AND {IS_GIVEN_UP}
  AND state = 'WROTE_OFF' AND decided_by = 'policy'
"""
TYPICAL: Final = """
SELECT took_s FROM purchases
WHERE state = 'PAID' AND provider = ? AND model = ? AND took_s IS NOT NULL AND line IS NULL
ORDER BY seq DESC LIMIT 50
"""
HIGHEST_BILL: Final = (
    "SELECT max(cost_microusd) FROM purchases "
    f"WHERE provider = ? AND model = ? AND size = ? AND quality = ? AND {IS_BILLED} "
    "AND (? OR base_key IS NULL) AND (cost_microusd <= ? OR decided_by = 'user') "
    "AND (line IS NOT NULL) = ?"
)
META: Final = "SELECT value FROM meta WHERE name = ?"
NOTE: Final = (
    "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
# A picture is stored before its row says so, and stays where its row gives it up.
MAY_HAVE_PICTURES: Final = f"""
SELECT count(*) FROM purchases WHERE state <> 'PAID' AND (
  is_local = 1 OR {IS_OPEN} OR {IS_IN_DOUBT} OR {IS_GIVEN_UP} OR decided_by IS NOT NULL
)
"""
PICTURES: Final = "SELECT sha256 FROM purchases WHERE state = 'PAID'"
DRAWN_PICTURES: Final = (
    f"SELECT sha256 FROM purchases WHERE {IS_PAID} GROUP BY sha256 HAVING min(is_local) = 1"
)
PICTURES_OF: Final = f"SELECT scene_id, seq FROM purchases WHERE {IS_PAID} ORDER BY seq"
SHOWN_OTHERS: Final = f"""
SELECT scene_id, sha256, facts FROM purchases WHERE base_key IS NOT NULL AND {IS_PAID} ORDER BY seq
"""
BY_NUMBER: Final = f"SELECT {COLUMNS} FROM purchases WHERE seq = ?"
IS_THERE: Final = (
    "SELECT 1 FROM purchases WHERE attempt_id = ?1 UNION ALL SELECT 1 FROM jobs WHERE token = ?1"
)
ACKNOWLEDGE: Final = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
ACKNOWLEDGED: Final = "SELECT name FROM meta WHERE name LIKE 'accepted:%'"
