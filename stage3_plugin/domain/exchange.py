"""What is sent to a provider, and its complete answer, as plain values.

Apart from the providers, which turn a request into the one and judge the other, and from the
transport and the spool, which carry the one and keep the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from pydantic import JsonValue

from stage3_plugin.domain.addressing import address_of, claims_to_be_address, unwrapped
from stage3_plugin.domain.picture import InlinePicture, PictureSource, RemotePicture, SpooledPart


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
        """Return what a string of the document is: a spooled part, an address, or base64.

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
