"""What follows from a verdict: keep it, try again at a time, give the scene up, or stop the run.

Pure, and the only place where a second request for a scene is decided. The table is the outcome
taxonomy of the providers' recorded answers, with one rule before all others: nothing that may have
been billed is sent again, unless ``on_unknown = "resend"`` asks for it, once.

Backoff is exponential with full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog,
2015): the wait is uniform between zero and the bound, so that scenes that failed together do not
come back together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from host_stub.contract import Failure, FailureCode
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.policy.streaks import NONE, Streaks

if TYPE_CHECKING:  # settings load ssl, and a decision no network
    from stage3_plugin.settings import Settings

HINT_JITTER_S = 0.5
"""Added at most to a wait the provider asked for, so that not all scenes return at one instant."""
OVERLOADED_WAIT_S = 1.0
"""Waited at the least after an overload, if backoff may be as long."""
CHANCE_TRIES = 2
"""Requests in all when an unbilled answer had no usable picture: that can be chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What one scene has behind it, the verdict at hand included.

    Attributes:
        ran: Requests that were not turned away by a rate limit or overload.
        turned_away: Requests that were.
        elapsed_s: Seconds since the scene's first start.
        unknown: Requests whose outcome is unknown.
        refused: Requests that were refused.
        has_seed: Whether a person has set the seed that is sent.
        streaks: What has come in a row in this run, this exchange included.
        now: The moment, by the clock that the streaks are counted with.
    """

    ran: int
    turned_away: int
    elapsed_s: float
    unknown: int = 0
    refused: int = 0
    has_seed: bool = False
    streaks: Streaks = NONE
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class Keep:
    """The picture is there."""


@dataclass(frozen=True, slots=True)
class Again:
    """Send again, not before ``wait_s`` seconds from now; the provider may have asked for that."""

    wait_s: float
    cause: FailureCode
    is_asked_for: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    """This scene ends without a picture; the others go on."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Stop:
    """This scene ends, and no new one is started."""

    failure: Failure


Decision: TypeAlias = Keep | Again | GiveUp | Stop

CODES: dict[VerdictKind, FailureCode] = {
    VerdictKind.REFUSED: "refused",
    VerdictKind.REJECTED: "rejected",
    VerdictKind.RATE_LIMITED: "rate_limited",
    VerdictKind.BUSY: "unavailable",
    VerdictKind.OUT_OF_MONEY: "out_of_money",
    VerdictKind.BAD_CREDENTIALS: "credentials",
    VerdictKind.NO_PICTURE: "no_picture",
    VerdictKind.UNREADABLE: "unreadable",
    VerdictKind.NOT_SENT: "unavailable",
    VerdictKind.UNKNOWN: "unknown",
}
"""The failure each kind of verdict ends in."""

_FINAL = {VerdictKind.REFUSED, VerdictKind.REJECTED}
_STOPPING = {VerdictKind.OUT_OF_MONEY, VerdictKind.BAD_CREDENTIALS}
_BY_CHANCE = {VerdictKind.NO_PICTURE, VerdictKind.UNREADABLE}
_RAN = {VerdictKind.PICTURES, VerdictKind.REFUSED, *_BY_CHANCE}
_LATER_MAY_HELP = {"rate_limited", "unavailable", "out_of_money"}


def decide(verdict: Verdict, history: History, policy: Settings, *, chance: float) -> Decision:
    """Decide what follows from a verdict.

    Args:
        verdict: What the last exchange came to.
        history: What the scene has behind it, this exchange included.
        policy: The settings.
        chance: Uniform in [0, 1), drawn by the caller.
    """
    if verdict.kind is VerdictKind.PICTURES:
        return Keep()
    if verdict.kind in _STOPPING or verdict.stops_run:
        return Stop(_failure(verdict))
    if verdict.is_unknown:
        return _follow_unknown(verdict, history, policy, chance)
    if verdict.may_be_billed:
        return _follow_billed(verdict, history)
    if verdict.kind is VerdictKind.REJECTED:
        for_all = history.streaks.all_rejected
        failure = _failure(verdict, because=for_all)
        return GiveUp(failure) if for_all is None else Stop(failure)
    if is_by_chance(verdict) and policy.seeds_after_refusal:
        return _with_another_seed(verdict, history, policy, chance)
    if verdict.kind in _FINAL or verdict.should_retry is False:
        return GiveUp(_failure(verdict))
    if not _tries_left(verdict, history, policy):
        return _without_tries(verdict, history, policy)
    return _wait(verdict, history, policy, chance)


def is_by_chance(verdict: Verdict) -> bool:
    """Return whether a refusal is about what came out, costs nothing, and may not come again."""
    is_about_it = verdict.kind is VerdictKind.REFUSED and verdict.about == "output"
    return is_about_it and not verdict.may_be_billed and verdict.should_retry is not False


def _with_another_seed(
    verdict: Verdict, history: History, policy: Settings, chance: float
) -> Again | GiveUp:
    """Draw a picture anew that was refused for what it shows, as often as the settings say."""
    if history.has_seed:
        return GiveUp(_failure(verdict, because="its seed is set, so no other one is tried"))
    if history.refused > policy.seeds_after_refusal:
        return GiveUp(_failure(verdict, because=f"with {history.refused} seeds"))
    wait_s = chance * backoff_bound_s(1, policy)
    if history.elapsed_s + wait_s > policy.deadline_s:
        return GiveUp(_failure(verdict, because="the scene's deadline_s is reached"))
    return Again(wait_s, "refused")


def _follow_billed(verdict: Verdict, history: History) -> Stop | GiveUp:
    """Give up a scene whose paid answer is no picture; stop, if it is one after another."""
    in_a_row = history.streaks.all_billed
    if in_a_row is not None:
        return Stop(_failure(verdict, because=in_a_row))
    return GiveUp(_failure(verdict, because="billed, perhaps; another run pays for another"))


def _without_tries(verdict: Verdict, history: History, policy: Settings) -> Stop | GiveUp:
    """Give up a scene whose tries are used up; stop, where nothing gets through.

    That takes as long as one scene's waits are on average.
    """
    if verdict.kind is VerdictKind.NOT_SENT:
        waits_s = sum(backoff_bound_s(tries, policy) for tries in range(1, policy.max_attempts))
        in_a_row = history.streaks.all_unsent(history.now, for_s=waits_s / 2)
        if in_a_row is not None:
            return Stop(_failure(verdict, because=in_a_row))
    tries = "1 try" if history.ran == 1 else f"{history.ran} tries"
    return GiveUp(_failure(verdict, because=f"after {tries}"))


def _follow_unknown(
    verdict: Verdict, history: History, policy: Settings, chance: float
) -> Stop | GiveUp | Again:
    """Give the scene up, or send once more where the user has said so: the first stays counted."""
    in_a_row = history.streaks.all_unanswered
    if in_a_row is not None:
        return Stop(_failure(verdict, because=in_a_row))
    may_resend = policy.on_unknown == "resend" and verdict.should_retry is not False
    if may_resend and history.unknown == 1:
        return Again(chance * backoff_bound_s(1, policy), "unknown")
    return GiveUp(_failure(verdict))


def _tries_left(verdict: Verdict, history: History, policy: Settings) -> bool:
    """Return whether the scene may be sent once more; being turned away uses up nothing."""
    if was_turned_away(verdict):
        return True
    if verdict.kind in _BY_CHANCE:
        return history.ran < min(CHANCE_TRIES, policy.max_attempts)
    return history.ran < min(verdict.most_tries or policy.max_attempts, policy.max_attempts)


def _wait(verdict: Verdict, history: History, policy: Settings, chance: float) -> Decision:
    """Find the wait before the next request, or give up where it would be too long."""
    if verdict.hint_s is None:
        failed = history.turned_away if was_turned_away(verdict) else history.ran
        wait_s = max(chance * backoff_bound_s(failed, policy), least_wait_s(verdict, policy))
    elif verdict.hint_s > policy.max_wait_s:
        asked = f"the provider asks to wait {verdict.hint_s:.0f} s, more than max_wait_s"
        return GiveUp(_failure(verdict, because=asked))
    else:
        wait_s = verdict.hint_s + chance * HINT_JITTER_S
    if history.elapsed_s + wait_s > policy.deadline_s:
        return GiveUp(_failure(verdict, because="the scene's deadline_s is reached"))
    return Again(wait_s, CODES[verdict.kind], is_asked_for=verdict.hint_s is not None)


def was_turned_away(verdict: Verdict) -> bool:
    """Return whether a request did not run because there were too many: a limit, or overload."""
    is_overloaded = verdict.kind is VerdictKind.BUSY and verdict.lower_capacity
    return verdict.kind is VerdictKind.RATE_LIMITED or is_overloaded


def least_wait_s(verdict: Verdict, policy: Settings) -> float:
    """Return the shortest wait before the next request in seconds.

    An overloaded provider is asked until the deadline, so short waits drawn by chance must not
    become a hail of requests.
    """
    is_overloaded = verdict.kind is VerdictKind.BUSY and was_turned_away(verdict)
    return min(OVERLOADED_WAIT_S, policy.backoff_max_s) if is_overloaded else 0.0


def was_taken(verdict: Verdict) -> bool:
    """Return whether a request ran, whatever came of it.

    A bad request and a wrong key are refused before the provider looks whether there is room.
    """
    return verdict.kind in _RAN


def backoff_bound_s(failed: int, policy: Settings) -> float:
    """Return the longest wait after ``failed`` requests in seconds; the first is the base."""
    doublings = min(failed - 1, 63)  # more would only overflow; the maximum is long reached
    return min(policy.backoff_max_s, policy.backoff_base_s * 2.0**doublings)


def _failure(verdict: Verdict, *, because: str | None = None) -> Failure:
    code = "unknown" if verdict.is_unknown else CODES[verdict.kind]
    message = verdict.message or verdict.kind.replace("_", " ")
    return Failure(
        code=code,
        message=f"{message} ({because})" if because else message,
        retryable=code in _LATER_MAY_HELP,
        provider_status=verdict.provider_status,
        cause=None if verdict.about == "input" else verdict.about,
    )
