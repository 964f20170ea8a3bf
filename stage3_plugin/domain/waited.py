"""How what is being made at providers stands, for somebody who waits for it.

What is waited for is a job, whether one picture comes of it or a line's for each of a batch. Money
is whole micro-USD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.job import Job, LineCount
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State


@dataclass(slots=True, kw_only=True)
class WaitedJob:
    """One job that is waited for, or was.

    Attributes:
        job: As the ledger has it.
        endpoint: Where it is made.
        left: Purchases of it that have not come to their end.
        ended: Those that have since the waiting began, by the state that they came to.
        spent_microusd: What those that have ended count for.
        free_microusd: What was held for those whose money is free again.
        without: Those of them that have no picture, in the order in which they ended.
        lines: How far it is by its provider's word, where it is a batch that says so.
        problem: What keeps us from asking further, in words; empty where it is simply being made.
        asked: How often it was asked for.
        is_given_up: It is not asked for any more by this process.
        is_in_hands: A run that goes on has it in work, and takes it in.
    """

    job: Job
    endpoint: Endpoint
    left: int
    ended: Mapping[State, int] = field(default_factory=dict[State, int])
    spent_microusd: int = 0
    free_microusd: int = 0
    without: tuple[Purchase, ...] = ()
    lines: LineCount | None = None
    problem: str = ""
    asked: int = 0
    is_given_up: bool = False
    is_in_hands: bool = False

    @property
    def is_batch(self) -> bool:
        """Return whether many purchases are lines of it."""
        return self.job.new.lane == "batch"

    @property
    def count(self) -> int:
        """Return how many purchases it has."""
        return self.left + sum(self.ended.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """How all that is waited for stands.

    Attributes:
        jobs: Each, in the order in which they were bought.
        waited_s: Seconds since the waiting began.
        next_s: Seconds until one of them is asked for again, if one is.
    """

    jobs: tuple[WaitedJob, ...]
    waited_s: float
    next_s: float | None = None

    @property
    def is_over(self) -> bool:
        """Return whether nothing is being made any more."""
        return all(one.left == 0 for one in self.jobs)

    @property
    def is_all_batches(self) -> bool:
        """Return whether all of it was bought in batches."""
        return bool(self.jobs) and all(one.is_batch for one in self.jobs)

    @property
    def pictures(self) -> int:
        """Return how many pictures were taken in."""
        return sum(one.ended.get(State.PAID, 0) for one in self.jobs)
