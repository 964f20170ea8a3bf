"""What one exchange with a provider came to, as everything after it reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator

from stage3_plugin.domain.money import Tokens, Usd
from stage3_plugin.domain.picture import PictureSource
from stage3_plugin.runtime.declared import (
    Count,
    Fact,
    Facts,
    Hint,
    Message,
    Status,
    Wrong,
    or_unknown,
)

RefusedFor: TypeAlias = Literal["prompt", "reference", "output", "rights", "input"]
"""What a refusal is about; ``input`` is the prompt or a reference, and it is not said which."""
Cause: TypeAlias = Annotated[RefusedFor, or_unknown]
"""One that is not known is none."""


class VerdictKind(StrEnum):
    """What an exchange came to. The last two are said by who sends, the others by the provider."""

    PICTURES = "pictures"
    REFUSED = "refused"
    """The provider's policy says no: the same prompt gets the same answer."""
    REJECTED = "rejected"
    """A bad request: it would be bad again."""
    RATE_LIMITED = "rate_limited"
    """Too many requests; did not run."""
    BUSY = "busy"
    """Overloaded or passing trouble, as the provider itself says."""
    OUT_OF_MONEY = "out_of_money"
    """No balance, a reached limit of the account, a daily quota: hours away or never."""
    BAD_CREDENTIALS = "bad_credentials"
    """A wrong key, or one that may not do this."""
    NO_PICTURE = "no_picture"
    """A complete success without a picture in it."""
    UNREADABLE = "unreadable"
    """A complete answer that makes no sense, or a picture that is none."""
    NOT_SENT = "not_sent"
    """Provably nothing left: no connection."""
    UNKNOWN = "unknown"
    """Sent, and no complete answer: it may have been billed."""


def _of_an_answer(kind: VerdictKind) -> VerdictKind:
    if kind is VerdictKind.NOT_SENT:
        raise Wrong("should be one that an answer can have")
    return kind


Said: TypeAlias = Annotated[VerdictKind, AfterValidator(_of_an_answer)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one exchange came to, and all that ``retry`` and ``money`` need to know of it.

    Attributes:
        kind: See :class:`VerdictKind`.
        message: One line for people: the provider's own words where it gave some, cut to 300
            characters, never a prompt and never a key.
        may_be_billed: Whether money may have been taken for it. Then it is never sent again.
        sources: The pictures, for ``PICTURES``, all of them in the answer itself; the first good
            one is the scene's. One at an address takes a step more:
            :class:`~stage3_plugin.domain.exchange.Fetch`.
        hint_s: Seconds the provider asks to wait, found in a header or in the body.
        used_up_s: Seconds until the account's window of requests begins anew, where an answer of
            any kind says that nothing is left in it.
        stops_run: True for every scene of this run, not for this one alone.
        lower_capacity: The provider is overloaded by what is in flight.
        reported_usd: The provider's own figure for this answer.
        gateway_usd: What a gateway in between makes of it, by a price table of its own.
        listed_usd: What our price list makes of the quantity that the provider says it billed.
        usage: Tokens, where the answer reports them.
        provider_status: The HTTP status.
        provider_code: The provider's own word for the case, for logs and support.
        request_id: The provider's name of this exchange.
        details: Facts about the picture worth keeping, such as a revised prompt.
        should_retry: The provider's explicit yes or no, to be obeyed except for money.
        about: What a refusal is about, as far as it is known.
        most_tries: So many in all for one scene, if those are fewer than the settings allow.
    """

    kind: Said
    message: Message = ""
    may_be_billed: bool = False
    sources: tuple[PictureSource, ...] = ()
    hint_s: Hint | None = None
    used_up_s: Hint | None = None
    stops_run: bool = False
    lower_capacity: bool = False
    reported_usd: Usd | None = None
    gateway_usd: Usd | None = None
    listed_usd: Usd | None = None
    usage: Tokens | None = None
    provider_status: Status | None = None
    provider_code: Fact | None = None
    request_id: Fact | None = None
    details: Facts = field(default_factory=dict[str, str])
    should_retry: bool | None = None
    about: Cause | None = None
    most_tries: Count | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether no answer says what became of a request that may have been billed."""
        if self.kind is VerdictKind.UNKNOWN:
            return True
        return self.may_be_billed and self.kind in _SAYS_NOTHING


_SAYS_NOTHING = {VerdictKind.BUSY, VerdictKind.RATE_LIMITED}
"""Of a request that ran all the same, these say nothing."""
