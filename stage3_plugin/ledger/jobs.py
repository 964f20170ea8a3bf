"""Jobs beside the purchases that they make: written with them, accepted once, never changed again.

Apart from the book, which settles purchases one by one: a job is one row for one purchase or for
thousands, and so is what its provider says of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from stage3_plugin.domain.job import Accepted, Job
from stage3_plugin.domain.money import to_microusd
from stage3_plugin.domain.purchase import NewPurchase
from stage3_plugin.ledger import statements as sql
from stage3_plugin.ledger.engine import Execute
from stage3_plugin.ledger.records import moment, opened, read_job, storable

_LONGEST_S: Final = timedelta(days=3660).total_seconds()
"""Ten years: what is promised for longer may not fit into a date."""


def join(execute: Execute, new: NewPurchase, *, at: str) -> int | None:
    """Return the row of a purchase's job, which is written for the first of its purchases."""
    if new.job is None:
        return None
    if new.job.lane == "batch":
        row = execute(sql.JOB_DRAWN, (new.job.token,)).fetchone()
        if row is not None:
            return int(row[0])
    return int(execute(sql.OPEN_JOB, opened(new, new.job, at=at)).fetchone()[0])


def read(execute: Execute, seq: int) -> Job:
    """Return a job as it stands.

    Raises:
        ValueError: It is not there, or was not written by us.
    """
    row = execute(sql.JOB, (seq,)).fetchone()
    if row is None:
        raise ValueError(f"the job {seq} is not there")
    return read_job(row)


def accept(execute: Execute, seq: int, accepted: Accepted, *, now: datetime, why: str) -> bool:
    """Write down by which name a job was accepted, and bring all its purchases to ``ACCEPTED``.

    Returns:
        Whether it was; not if another job has that name already.
    """
    job = read(execute, seq)
    if execute(sql.JOB_CALLED, (job.provider, accepted.job_id)).fetchone() is not None:
        return False
    cost_microusd = None if accepted.cost_usd is None else to_microusd(accepted.cost_usd)
    expires_at = now + timedelta(seconds=min(accepted.keeps_s, _LONGEST_S))
    execute(
        sql.ACCEPT_JOB,
        (accepted.job_id, accepted.poll_url, accepted.result_url, accepted.cancel_url, moment(now),
         moment(expires_at), cost_microusd, seq),
    )  # fmt: skip
    execute(sql.ACCEPT_LINES, (moment(now), storable(why), seq))
    return True
