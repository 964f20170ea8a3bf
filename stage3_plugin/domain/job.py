"""A job at a provider with a queue: how it is found there, and where it is asked how far it is.

A job is a row of its own beside the purchases that it makes, written with them, before a request
leaves. Once its identifier is durable nothing about it is unknown any more: any run can ask for it.
The rules are those of the ledger's protocol; a provider knows only :class:`Accepted`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_hex
from typing import Literal, TypeAlias

from stage3_plugin.domain.money import Usd
from stage3_plugin.runtime.declared import Address, Count, Name, Seconds

Lane: TypeAlias = Literal["one", "batch"]
Asked: TypeAlias = Literal["status", "result", "record"]
"""What a job's address is asked for: how far it is, what came of it, or what the provider's records
still have of it."""

TOKEN_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A step: the provider has the job, and says where it is asked for.

    Attributes:
        job_id: The provider's name of it.
        poll_url: Where it is asked how far it is; absolute, as the provider gave it.
        result_url: Where its result lies once it is done, if that is another address.
        cancel_url: Where it could be called off, if anywhere.
        keeps_s: Seconds after its acceptance for which the provider promises to know the job and
            to have its result.
        cost_usd: What the provider says that it costs, where its acceptance says so and nothing
            later does.
    """

    job_id: Name
    poll_url: Address
    result_url: Address | None = None
    cancel_url: Address | None = None
    keeps_s: Seconds
    cost_usd: Usd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What is written of a job before its request leaves.

    Attributes:
        token: 32 hex digits, drawn for this request alone (:func:`new_token`); in no key. ``None``
            where nothing in the request stands for one, since a person has set its seed.
        account: A hash of whose account sends it (:func:`account_of`): listings are of one.
        endpoint: What a listing has to be asked for, such as the model.
        lane: ``batch`` where many purchases are lines of it.
        input_file: What a batch was uploaded as.
    """

    token: str | None
    account: str
    endpoint: str
    lane: Lane = "one"
    input_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A row of the table ``jobs``.

    Attributes:
        new: What it began as.
        provider: Its word in the settings.
        opened_at: When its money was held.
        accepted: What the provider said of it; ``None`` while that is not known.
        accepted_at: When that became durable.
        expires_at: Until when the provider has promised to know it.
    """

    new: NewJob
    provider: str
    opened_at: datetime
    accepted: Accepted | None = None
    accepted_at: datetime | None = None
    expires_at: datetime | None = None

    def still_made(self, now: datetime) -> Job:
        """Return it as it stands once its provider says that it is being made: kept for longer.

        What the ledger has does not change: whoever asks next is told so, too, or is not.
        """
        if self.accepted is None or self.expires_at is None:
            return self
        renewed = now + timedelta(seconds=self.accepted.keeps_s)
        return replace(self, expires_at=max(self.expires_at, renewed))


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCount:
    """How far a batch is.

    Attributes:
        total: Its lines.
        done: Those that have come to an end with a picture, or to whatever the provider calls so.
        failed: Those that have come to an end without.
        expired: Those that were not begun in time.
    """

    total: Count
    done: Count = 0
    failed: Count = 0
    expired: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BeingMade:
    """A job whose picture is not here yet.

    Attributes:
        job: As the ledger has it.
        asked: How often it was asked for.
        problem: What kept us from asking further, in words; empty where it is simply being made.
        again_s: Seconds after which it may be asked again; ``None`` if this run asks no more.
        next_url: Where it is asked then, if its last answer said so.
        next_of: And what for.
        is_gone: The provider does not know it any more, and has said so once.
        gone_at: When it said so, by its own clock, if that is known.
        strange: How many of its answers were not understood by now, one after the other.
        stops_run: It would be the same for every other job.
        lines: How far it is, where it is a batch that says so.
    """

    job: Job
    asked: int = 0
    problem: str = ""
    again_s: float | None = None
    next_url: str | None = None
    next_of: Asked = "status"
    is_gone: bool = False
    gone_at: datetime | None = None
    strange: int = 0
    stops_run: bool = False
    lines: LineCount | None = None


def new_token(words: str) -> str:
    """Draw what a request is found by: half of it by chance, and half stands for its words.

    A seed can be used again for another picture: whoever finds one compares the words as well.
    """
    return token_hex(TOKEN_DIGITS // 4) + _hash_of(words)


def is_for(token: str, words: str) -> bool:
    """Return whether a token was drawn for a request with these words."""
    return token.endswith(_hash_of(words))


def _hash_of(words: str) -> str:
    plain = " ".join(words.split()).encode("utf-8", "surrogatepass")
    return sha256(plain).hexdigest()[: TOKEN_DIGITS // 2]


def seed_of(token: str, *, most: int = 2**31 - 1) -> int:
    """Return the seed that stands for a token where a listing returns the seed of each request.

    It is sent only where no person has set one: then it is no token.
    """
    return int.from_bytes(sha256(token.encode()).digest()[:8], "big") % most + 1


def account_of(key: str | None, *, headers: Mapping[str, str], address: str) -> str:
    """Return a hash of everything that decides whose account a request is for.

    An organization, a project or a virtual key is a header, and behind a gateway without a key all
    of it is. It is the same for all runs that say the same. A row from before it was made of all
    that has a hash of the key alone, which is nobody's: its listing can find, and prove nothing.
    """
    said = [address, key or "", *(f"{name}:{value}" for name, value in sorted(headers.items()))]
    return sha256("\n".join(["stage3-account/2", *said]).encode()).hexdigest()[:16]
