"""What a provider can be asked for free, and what its answers say of key, model and account.

Values apart from the steps of :mod:`~stage3_plugin.domain.exchange`, because nothing here is paid
for: it may be asked again, its answer is kept nowhere, and no purchase depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from stage3_plugin.domain.exchange import Reply
from stage3_plugin.runtime.declared import Address, Fact, Message

About: TypeAlias = Literal["key", "model", "account"]
Standing: TypeAlias = Literal["good", "bad", "unknown"]

_ORDER: tuple[About, ...] = ("key", "model", "account")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is known of the key, of a model or of the account.

    Attributes:
        about: Which of them.
        verdict: ``bad`` only where the provider says so: what cannot be asked is ``unknown``.
        message: One line for people, without the verdict.
        hint: The next step.
        model: Which model, if it is about one.
        is_warning: It is to be known, and no reason to end with an error.
    """

    about: About
    verdict: Standing
    message: Message
    hint: Message | None = None
    model: Fact | None = None
    is_warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a vendor's page says that a model costs.

    Attributes:
        usd: So much.
        per: For each of these.
    """

    usd: Decimal
    per: Literal["picture", "megapixel", "million picture tokens"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One GET that costs nothing.

    Attributes:
        url: Absolute, at the API's own address: nothing is sent to any other, with or without key.
        about: What stays unknown if no answer comes.
        judge: Returns what a complete answer to this says, on a day; it depends on nothing else.
        model: Which model is asked about, if one is.
    """

    url: Address
    about: Annotated[tuple[About, ...], Field(min_length=1)]
    judge: Judge
    model: Fact | None = None

    def judged(self, reply: Reply, today: date) -> tuple[Finding, ...]:
        """Return what an answer says."""
        return self.judge(self, reply, today)

    def unknown(self, why: str, hint: str | None = None) -> tuple[Finding, ...]:
        """Return that nothing is known of what it was about."""
        return tuple(
            Finding(
                about=about,
                verdict="unknown",
                message=why,
                hint=hint,
                model=self.model if about == "model" else None,
            )
            for about in self.about
        )


Judge: TypeAlias = Callable[[Ask, Reply, date], tuple[Finding, ...]]


def settled(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return what all findings come to: of each thing what is known best, bad before good.

    The key comes first, then the models in the order in which they were asked about, then the
    account.
    """
    of_each: dict[tuple[About, str | None], list[Finding]] = {}
    for finding in dict.fromkeys(findings):
        of_each.setdefault((finding.about, finding.model), []).append(finding)
    best = (_best(found) for found in sorted(of_each.values(), key=_place))
    return tuple(finding for found in best for finding in found)


def _place(found: list[Finding]) -> int:
    return _ORDER.index(found[0].about)


def _best(found: list[Finding]) -> list[Finding]:
    for verdict in ("bad", "good"):
        if of_it := [finding for finding in found if finding.verdict == verdict]:
            return of_it
    return found[:1]
