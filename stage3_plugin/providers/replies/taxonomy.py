"""What a provider's words and statuses mean: the outcome table, ``meanings.toml``.

Rules about words come before those about statuses, because the status is often wrong: 429 may mean
an empty balance, 402 may pass in a minute, 400 may be a bad key or a moderation block. The first
rule that fits counts. Whether an answer may have been billed is decided first, by ``unbilled``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from stage3_plugin.domain.verdict import RefusedFor, VerdictKind
from stage3_plugin.providers.replies.words import ErrorWords
from stage3_plugin.providers.tables import shipped

Case: TypeAlias = Literal[
    "bad key", "bad key elsewhere", "bad setting", "in-flight budget", "no money", "no such model",
    "not allowed", "overloaded", "passing trouble", "rate limited", "refused",
    "refused for a reference", "rejected", "the proxy wants a login", "wrong host", "wrong region",
]  # fmt: skip
ACCOUNT_LIMITED = "pup_limited_disabled"
_TOO_MUCH = frozenset({503, 529})


class Meaning(BaseModel):
    """What a failed answer means.

    Attributes:
        case: Its name, for tests and people.
        kind: See :class:`~stage3_plugin.domain.verdict.VerdictKind`.
        stops_run: True for every scene of the run.
        lower_capacity: The provider is overloaded by what is in flight.
        hint_s: Seconds to wait where the answer names none.
        next_step: What a person can do about it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    case: Case
    kind: VerdictKind
    stops_run: bool = False
    lower_capacity: bool = False
    hint_s: float | None = None
    next_step: str = ""


class Rule(BaseModel):
    """When a meaning holds; every condition that is given must be met.

    Attributes:
        words: A pattern for one of the error's words, in whole.
        fields: One of these fields is present.
        says: A pattern within the message.
        quotas: A pattern within the names of passed quotas.
        params: The parameter complained of is one of these.
        statuses: The status is one of these.
        below_500: It is one below 500.
        unless_hinted: Not if the answer says how long to wait.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    case: Case
    words: re.Pattern[str] | None = None
    fields: frozenset[str] = frozenset()
    says: re.Pattern[str] | None = None
    quotas: re.Pattern[str] | None = None
    params: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()
    below_500: bool = False
    unless_hinted: bool = False

    def fits(self, error: ErrorWords, status: int, *, hinted: bool) -> bool:
        return (
            (self.words is None or any(map(self.words.fullmatch, error.words)))
            and (not self.fields or not self.fields.isdisjoint(error.fields))
            and (self.says is None or self.says.search(error.message) is not None)
            and (self.quotas is None or self.quotas.search(error.quotas) is not None)
            and (not self.params or error.param in self.params)
            and (not self.statuses or status in self.statuses)
            and (not self.below_500 or 200 <= status < 500)
            and not (self.unless_hinted and hinted)
        )


class About(BaseModel):
    """What a refusal is about; ``meanings.toml`` says what each field is."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    says: tuple[tuple[re.Pattern[str], RefusedFor], ...]
    flagged: tuple[str, ...]
    begins: Mapping[str, RefusedFor]
    reasons: Mapping[str, RefusedFor]


class Meanings(BaseModel):
    """The whole of ``meanings.toml``.

    Attributes:
        refusal: Words of a policy's no, in errors and as reasons of a success without a picture.
        trouble: Words for trouble of any kind, which gateways put beside whatever happened to them.
        meaning: What there is.
        status: What a status means where no rule fits.
        about: What a refusal is about.
        flat: What a flat error has in it, and the known word for that.
        rpc: Google's own table from the codes of its calls to the statuses of HTTP.
        rule: Those about words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", title="meanings.toml", defer_build=True)

    refusal: re.Pattern[str]
    trouble: re.Pattern[str]
    meaning: tuple[Meaning, ...]
    status: Mapping[int, Case]
    about: About
    flat: Mapping[str, str]
    rpc: Mapping[int, int]
    rule: tuple[Rule, ...]


@cache
def meanings() -> Meanings:
    """Return the table."""
    return Meanings.model_validate(shipped("replies/meanings.toml"))


@cache
def meaning_named(case: Case) -> Meaning:
    """Return one of the meanings."""
    return next(one for one in meanings().meaning if one.case == case)


def meaning_of(error: ErrorWords, status: int, *, hinted: bool) -> Meaning:
    """Return what a failed answer means.

    Args:
        error: The provider's words; empty where it gave none.
        status: The HTTP status, or the one the body gives instead.
        hinted: Whether the answer says how long to wait.
    """
    known = meanings()
    otherwise: Case = "passing trouble" if status >= 500 else "rejected"
    case = known.status.get(status, otherwise)
    if any(map(known.refusal.fullmatch, (*error.words, error.upstream))):
        case = "refused"
    else:
        fitting = (one.case for one in known.rule if one.fits(error, status, hinted=hinted))
        case = next(fitting, case)
    if case == "passing trouble" and status in _TOO_MUCH:
        case = "overloaded"
    return meaning_named(case)
