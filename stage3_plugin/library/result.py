"""What came of a run: counted as it goes, and raised where somebody asks for all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from host_stub.contract import FailureCode, SceneOutcome
from stage3_plugin.domain.money import to_usd
from stage3_plugin.domain.waited import Waited as Standing
from stage3_plugin.errors import Stage3Error

_RERUN: Final = "call it again: what is paid for is found, and nothing is bought twice"
_HINTS: Mapping[str, str] = {
    "budget": "raise max_cost_usd, or the cap in the settings, and call it again: what is paid for "
    "is found, and nothing is bought twice",
    "unknown": "it may have been billed: 'stage3 attempts' shows it, 'stage3 resolve' decides it",
    "pending": "it is bought, or accepted, and not here yet: call it again later",
    "credentials": "correct api_key in the settings and call it again",
    "refused": "the provider does not make this picture: change its prompt",
    "rejected": "the request is wrong, and would be wrong again: change what the message names",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a run stands, or ended.

    Attributes:
        wanted: Pictures that the scenes want, one for each of their takes, and sheets of the cast.
        made: Pictures that were made.
        reused: Pictures that were there already, and cost nothing.
        failed: How many ended otherwise, by the code of the failure.
        known_usd: What is known to have been paid in this run.
        unknown_costs: Outcomes whose cost is not known.
        stopped: Why nothing new was started, if so.
        message: That in one line, with the next step.
    """

    wanted: int
    made: int = 0
    reused: int = 0
    failed: Mapping[FailureCode, int] = field(default_factory=dict[FailureCode, int])
    known_usd: Decimal = Decimal(0)
    unknown_costs: int = 0
    stopped: FailureCode | None = None
    message: str | None = None

    @property
    def ended(self) -> int:
        """Outcomes so far."""
        return self.made + self.reused + sum(self.failed.values())

    @property
    def cost_usd(self) -> Decimal | None:
        """What this run cost; ``None`` as soon as one cost is not known."""
        return None if self.unknown_costs else self.known_usd

    @property
    def is_whole(self) -> bool:
        """Whether every picture that was wanted is there."""
        return self.stopped is None and not self.failed and self.ended >= self.wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """How what is being made at providers stands, or stood when the waiting ended.

    Attributes:
        taken_in: Pictures that have come since the waiting began.
        without_picture: Requests that have ended without one; :attr:`cost_usd` has their cost, too.
        left: Requests that have not come to their end.
        lines: Lines of the batches among them, by their providers' word: all of them.
        lines_done: Those of them that are done.
        lines_failed: Those that came to an end without a picture.
        lines_expired: Those that were not begun in time, and cost nothing.
        cost_usd: What is counted for all that has ended.
        problems: What keeps us from asking for some of it, each in one line.
    """

    taken_in: int = 0
    without_picture: int = 0
    left: int = 0
    lines: int = 0
    lines_done: int = 0
    lines_failed: int = 0
    lines_expired: int = 0
    cost_usd: Decimal = Decimal(0)
    problems: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing is being made any more."""
        return self.left == 0


def waited_of(inner: Standing) -> Waited:
    """Return it as programs are given it."""
    counts = [one.lines for one in inner.jobs if one.lines is not None]
    ended = sum(sum(one.ended.values()) for one in inner.jobs)
    return Waited(
        taken_in=inner.pictures,
        without_picture=ended - inner.pictures,
        left=sum(one.left for one in inner.jobs),
        lines=sum(one.total for one in counts),
        lines_done=sum(one.done for one in counts),
        lines_failed=sum(one.failed for one in counts),
        lines_expired=sum(one.expired for one in counts),
        cost_usd=to_usd(sum(one.spent_microusd for one in inner.jobs)),
        problems=tuple(one.problem for one in inner.jobs if one.left and one.problem),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One more outcome.

    Attributes:
        outcome: It.
        summary: How the run stands with it.
    """

    outcome: SceneOutcome
    summary: Summary


def with_one_more(summary: Summary, outcome: SceneOutcome) -> Summary:
    """Return how a run stands with one more outcome."""
    failure, usd, failed = outcome.failure, outcome.cost.usd, summary.failed
    if failure is not None:
        failed = {**failed, failure.code: failed.get(failure.code, 0) + 1}
    return replace(
        summary,
        wanted=summary.wanted + (outcome.role == "sheet"),  # scenes do not say that they need one
        made=summary.made + (failure is None and not outcome.reused),
        reused=summary.reused + (failure is None and outcome.reused),
        failed=failed,
        known_usd=summary.known_usd + (usd or 0),
        unknown_costs=summary.unknown_costs + (usd is None),
    )


@dataclass(frozen=True, slots=True)
class Pictures:
    """What came of a call, in input order; sheets of the cast come first.

    Attributes:
        outcomes: One for each picture that was wanted.
        summary: How the run ended.
    """

    outcomes: Sequence[SceneOutcome] = field(repr=False)
    summary: Summary

    def __len__(self) -> int:
        return len(self.outcomes)

    def __iter__(self) -> Iterator[SceneOutcome]:
        return iter(self.outcomes)

    @property
    def made(self) -> list[SceneOutcome]:
        """Those with a picture, whether it was made now or before."""
        return [outcome for outcome in self.outcomes if outcome.image is not None]

    @property
    def failed(self) -> list[SceneOutcome]:
        """Those without one."""
        return [outcome for outcome in self.outcomes if outcome.failure is not None]

    def check(self) -> Pictures:
        """Return itself if every picture is there.

        Raises:
            BudgetReached: A cap left some out.
            PicturesMissing: Some are not there for another reason.
        """
        if self.summary.is_whole:
            return self
        is_capped = self.summary.stopped == "budget" or "budget" in self.summary.failed
        raise BudgetReached(self) if is_capped else PicturesMissing(self)


class PicturesMissing(Stage3Error):
    """Not every picture could be made; those that were are in ``pictures``, and on the disk.

    Attributes:
        pictures: What came of the call, failures included.
    """

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        summary = pictures.summary
        missing = sum(summary.failed.values())
        first = next(iter(pictures.failed), None)
        self.hint = _HINTS.get(summary.stopped or _code_of(first), _RERUN)
        why = summary.message
        if why is None and first is not None and first.failure is not None:
            why = f"the first is {first.scene_id!r}: {first.failure.code}: {first.failure.message}"
        total = missing + summary.made + summary.reused
        super().__init__(f"{missing} of {total} pictures are not there; {why}")


class BudgetReached(PicturesMissing):
    """A cap left pictures out; what was spent is below it."""


def _code_of(outcome: SceneOutcome | None) -> str:
    return "" if outcome is None or outcome.failure is None else outcome.failure.code
