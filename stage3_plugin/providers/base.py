"""What a provider of pictures is: a profile and two pure functions, or a local renderer.

``compose`` turns a request into the one HTTP call to make; ``judge`` turns a complete answer into a
verdict. Neither sleeps, retries, opens a socket or touches the disk, so a provider is tested by
calling it, and the next one is one file. What happens upon a verdict is decided in ``retry``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias

from pydantic import JsonValue

from stage3_plugin.money import Prices, Usage
from stage3_plugin.providers.addressing import address_of, claims_to_be_address, unwrapped
from stage3_plugin.requests import PictureRequest


class VerdictKind(StrEnum):
    """What an exchange came to. The last two are the client's word, the others ``judge``'s."""

    PICTURES = "pictures"
    REFUSED = "refused"
    """The provider's policy says no: the same prompt gets the same answer."""
    REJECTED = "rejected"
    """A bad request: it would be bad again."""
    RATE_LIMITED = "rate_limited"
    """Too many requests; did not run."""
    BUSY = "busy"
    """Overloaded or passing trouble, told by the provider itself."""
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


@dataclass(frozen=True, slots=True)
class SpooledPart:
    """A picture whose bytes were decoded into a part file while the answer arrived."""

    index: int


@dataclass(frozen=True, slots=True)
class InlinePicture:
    """A picture short enough to have stayed in the document: base64, data URLs included."""

    base64: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RemotePicture:
    """A picture that must be fetched; the address is absolute, ``http`` or ``https``."""

    url: str


PictureSource: TypeAlias = SpooledPart | InlinePicture | RemotePicture


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one exchange came to, and all that ``retry`` and ``money`` need to know of it.

    Attributes:
        kind: See :class:`VerdictKind`.
        message: One line for people: the provider's own words where it gave some, cut to 300
            characters, never a prompt and never a key.
        may_be_billed: Whether money may have been taken for it. Then it is never sent again.
        sources: The pictures, for ``PICTURES``; the first one is the scene's.
        hint_s: Seconds the provider asks to wait, found in a header or in the body.
        used_up_s: Seconds until the account's window of requests begins anew, where an answer of
            any kind says that nothing is left in it.
        stops_run: True for every scene of this run, not for this one alone.
        lower_capacity: The provider is overloaded by what is in flight.
        reported_usd: The provider's own figure for this answer.
        gateway_usd: What a gateway in between makes of it, by a price table of its own.
        usage: Tokens, where the answer told them.
        provider_status: The HTTP status.
        provider_code: The provider's own word for the case, for logs and support.
        request_id: The provider's name of this exchange.
        details: Facts about the picture worth keeping, such as a revised prompt.
        should_retry: The provider's explicit yes or no, to be obeyed except for money.
    """

    kind: VerdictKind
    message: str = ""
    may_be_billed: bool = False
    sources: tuple[PictureSource, ...] = ()
    hint_s: float | None = None
    used_up_s: float | None = None
    stops_run: bool = False
    lower_capacity: bool = False
    reported_usd: Decimal | None = None
    gateway_usd: Decimal | None = None
    usage: Usage | None = None
    provider_status: int | None = None
    provider_code: str | None = None
    request_id: str | None = None
    details: Mapping[str, str] = field(default_factory=dict[str, str])
    should_retry: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One POST.

    Attributes:
        url: Absolute.
        payload: Becomes the JSON body.
        headers: Beside those the client sets itself; never the key.
        dropped: Wishes of the request that this call cannot express, such as ``seed``.
    """

    url: str
    payload: Mapping[str, JsonValue] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A long base64 string of the answer, decoded.

    Attributes:
        index: Its number in the answer, from 0.
        path: Where the decoded bytes lie.
        media_type: From its data URL, if it was one, else from how the bytes begin, which decide.
        size_bytes: Decoded length.
    """

    index: int
    path: Path
    media_type: str | None
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A complete answer.

    Attributes:
        status: HTTP status.
        headers: Names in lower case; a repeated header's values are joined with ``", "``.
        document: The body parsed as JSON with each spooled string replaced by its placeholder;
            numbers with a fraction are ``Decimal``; ``None`` if the body is not JSON.
        text: The beginning of a body that is not JSON, at most 2,000 characters.
        unread: Why a body that may be JSON was not read, such as having too many values; it is
            kept as it came. Empty if it was.
        parts: The spooled strings by placeholder. A raw picture as body is the one part, under
            the empty placeholder ``""``, and ``document`` is ``None``.
    """

    status: int
    headers: Mapping[str, str]
    document: JsonValue | Decimal = None
    text: str = ""
    parts: Mapping[str, Part] = field(default_factory=dict[str, Part])
    unread: str = ""

    def source(self, value: str, *, base_url: str) -> PictureSource | None:
        """Tell what a string of the document is: a spooled part, an address, or base64.

        A relative address is resolved against ``base_url``; ``None`` if there is nothing, or an
        address that cannot be one.
        """
        part = self.parts.get(value)
        if part is not None:
            return SpooledPart(part.index)
        return _picture_source(value, base_url)


def _picture_source(value: str, base_url: str) -> PictureSource | None:
    text = unwrapped(value)
    if not claims_to_be_address(text):
        return InlinePicture(text) if text else None
    url = address_of(text, base_url=base_url)
    return None if url is None else RemotePicture(url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is known of a provider beforehand, as data.

    Attributes:
        name: Its word in the settings.
        base_url: Where its API lives, unless the settings say otherwise.
        key_variable: The environment variable its key usually sits in, for hints.
        needs_key: Whether a key must be given.
        key_header: The header the key goes into, lower case.
        key_prefix: What stands before the key there.
        billed_statuses: Statuses of its own error answers that may have been billed, beside those
            of ``unbilled``.
        empty_is_unbilled: Whether a success without a picture is documented as free.
        picture_hosts: Hosts its picture addresses may live on, beside the API's own; a name with
            a leading dot stands for every host below it.
        idempotency_header: The header for an idempotency key, if it has one.
        seed: Has a field for a seed.
        negative_prompt: Has a field for a negative prompt.
        references: Takes reference pictures.
        sizes: The sizes it makes; empty means any.
        unsaid: Wishes about the file that its requests have no field for.
        reports_cost: Answers carry their cost.
        pictures_last_s: Seconds that its picture addresses are good for, where it says so.
    """

    name: str
    base_url: str
    key_variable: str
    needs_key: bool = True
    key_header: str = "authorization"
    key_prefix: str = "Bearer "
    billed_statuses: frozenset[int] = frozenset()
    empty_is_unbilled: bool = False
    picture_hosts: tuple[str, ...] = ()
    idempotency_header: str | None = None
    seed: bool = False
    negative_prompt: bool = False
    references: bool = False
    sizes: tuple[str, ...] = ()
    unsaid: frozenset[Literal["output_format", "background"]] = frozenset()
    reports_cost: bool = False
    pictures_last_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What one picture is expected to cost in micro-USD; ``None`` where it is not known."""

    low_microusd: int | None
    high_microusd: int | None


class Provider(Protocol):
    """A paid service over HTTP."""

    @property
    def profile(self) -> Profile: ...

    @property
    def prices(self) -> Prices | None:
        """Give the price table in force: the settings' own, else the shipped one."""
        ...

    def compose(self, request: PictureRequest) -> Call:
        """Turn a request into the one call to make."""
        ...

    def judge(self, reply: Reply) -> Verdict:
        """Tell what a complete answer means."""
        ...

    def estimate(self, request: PictureRequest) -> Estimate:
        """Tell what the picture is expected to cost by the price table."""
        ...


class LocalRenderer(Protocol):
    """A renderer on this machine: free, needs no network, may simply run again."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> bool | None: ...

    async def study(self, story: Iterable[PictureRequest]) -> None:
        """See the whole story before the first picture; ``story`` can be iterated repeatedly."""
        ...

    def edition(self, request: PictureRequest) -> str:
        """Name whatever decides the picture beside the request's own words.

        Two requests that are the same in these and in that are drawn alike.
        """
        ...

    async def render(self, request: PictureRequest, path: Path) -> None:
        """Write the picture to ``path``.

        Raises:
            RenderFailed: This picture cannot be made.
        """
        ...
