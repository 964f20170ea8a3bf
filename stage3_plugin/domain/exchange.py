"""The steps of a conversation with a provider, and its complete answers, as plain values.

Apart from the providers, which say the next step, and from those that take it: the transport, the
spool, and who drives them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import JsonValue

from stage3_plugin.domain.addressing import address_of, claims_to_be_address, unwrapped
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.job import Asked as Asked  # noqa: PLC0414 - a step names it
from stage3_plugin.domain.picture import InlinePicture, PictureSource, RemotePicture, SpooledPart
from stage3_plugin.domain.reference import SentPicture
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.runtime.declared import Address, Headers, Hint, Line, Message, as_it_is


@dataclass(frozen=True, slots=True)
class InlinePictureOf:
    """Stands in a payload for a string: the bytes of a reference in base64.

    Attributes:
        sent: What is sent of the reference.
        prefix: What the string begins with, such as ``data:image/png;base64,``.
    """

    sent: SentPicture
    prefix: str = ""


Payload: TypeAlias = JsonValue | InlinePictureOf | Mapping[str, "Payload"] | Sequence["Payload"]
"""What becomes JSON; pictures are put in as it is sent, from buffers that all requests share."""
Body: TypeAlias = Annotated[Mapping[str, Payload], as_it_is]


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """The first step: one POST, which is paid for. It is sent once, whatever comes of it.

    Attributes:
        url: Absolute.
        payload: Becomes the JSON body.
        headers: Beside those the client sets itself; never the key, which the client adds where
            the address is the provider's own.
        dropped: Wishes of the request that it cannot express, such as ``seed``.
    """

    url: Address
    payload: Body = field(repr=False)
    headers: Headers = field(default_factory=dict[str, str])
    dropped: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """A step after a whole answer: at least one of its pictures lies at an address.

    Fetching costs nothing, so it is done again until the picture is there or will never be. The key
    does not go there.

    Attributes:
        sources: The pictures, tried in their order until one is good; the first is the scene's.
        verdict: What the answer comes to with a picture: ``PICTURES``, and what it cost. Its own
            ``sources`` are empty.

    Raises:
        ValueError: The verdict is another one, so that there would be nothing to fetch for.
    """

    sources: tuple[PictureSource | RemotePicture, ...]
    verdict: Verdict

    def __post_init__(self) -> None:
        if self.verdict.kind is not VerdictKind.PICTURES:
            raise ValueError("only a verdict of pictures has something to be fetched")


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """A step after an answer of a job's: it is asked once more, later or at its result's address.

    Asking costs nothing, and may be done again.

    Attributes:
        url: Where; absolute. The key goes along where the profile's ``job_hosts`` allow it.
        after_s: Seconds to wait before; ``None`` leaves that to who asks.
        of: What is asked for.
    """

    url: Address
    after_s: Hint | None = None
    of: Asked = "status"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsaid:
    """An answer of a job's that says nothing of it, such as an overload: it changes nothing.

    Attributes:
        message: One line for people.
        hint_s: Seconds the provider asks to wait.
        stops_run: It would be the same for every other job, such as a key that is not taken.
    """

    message: Message
    hint_s: Hint | None = None
    stops_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The provider does not know the job, or has its result no more.

    Attributes:
        message: One line for people.
        said_at: When it said so, by its own clock; ``None`` if its answer has no date.
    """

    message: Message
    said_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """An answer that is not understood: a word for its state, or a result, that nobody here knows.

    It ends nothing: the job is asked for again, more slowly, as long as its provider keeps it.

    Attributes:
        message: One line for people: who says it, and the word.
    """

    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A request that may have begun a job, and whose answer never came.

    Attributes:
        token: What was drawn for it; ``None`` if nothing in the request stands for one.
        endpoint: What a listing has to be asked for.
        opened_at: When its money was held.
        taken: Jobs of this provider that belong to other requests of ours: none of them is it.
    """

    token: str | None
    endpoint: str
    opened_at: datetime
    taken: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A listing has the job of a lost request."""

    accepted: Accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class NotListed:
    """A page of a listing does not have the job.

    Attributes:
        next_url: Where its next page is; ``None`` if this was the last, and the listing is whole.
    """

    next_url: Address | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What a listing shows of a lost request.

    Attributes:
        accepted: Its job, if it is there.
        is_whole: It is not there, and every page was read.
        began_at: When the first page was asked for.
        listed_at: The same by the provider's clock, if that says so.
        account: Whose listing it is.
        is_trusted: It is the vendor's own, or the settings say that it has every job.
        problem: What kept a page away, in words.
    """

    accepted: Accepted | None = None
    is_whole: bool = False
    began_at: datetime
    listed_at: datetime | None = None
    account: str
    is_trusted: bool
    problem: str = ""


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

    def source(self, value: str, *, base_url: str) -> PictureSource | RemotePicture | None:
        """Return what a string of the document is: a spooled part, an address, or base64.

        A relative address is resolved against ``base_url``; ``None`` if there is nothing, or an
        address that cannot be one.
        """
        part = self.parts.get(value)
        if part is not None:
            return SpooledPart(part.index)
        return _picture_source(value, base_url)


def _picture_source(value: str, base_url: str) -> PictureSource | RemotePicture | None:
    text = unwrapped(value)
    if not claims_to_be_address(text):
        return InlinePicture(text) if text else None
    url = address_of(text, base_url=base_url)
    return None if url is None else RemotePicture(url)
