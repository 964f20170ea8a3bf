"""A body on its way, and that of an upload: a file in pieces, alone or as a field of a form.

Nothing is put together in memory, whatever the file has; its length is known before. Apart from
what is sent, since a body is made once and may be sent again, and what is on its way may not.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterable
from itertools import chain

import httpx

from stage3_plugin.domain.batch import Upload
from stage3_plugin.domain.reference import Sliced
from stage3_plugin.transport.bodies import Content, small
from stage3_plugin.transport.patience import Patience

JSON = "application/json"


def upload_body(step: Upload, content: Content, patience: Patience) -> SentBody:
    """Make the body of one step.

    Raises:
        ValueError: Something in the step cannot be put into JSON or a form.
        TypeError: Likewise.
    """
    if not step.has_file:
        document = b""
        if step.payload is not None:
            document = json.dumps(step.payload, ensure_ascii=False, allow_nan=False).encode()
        return SentBody(JSON, len(document), (document,), patience)
    pieces = content.pieces()
    if step.file_field is None:
        return SentBody(step.media_type, content.size_bytes, pieces, patience)
    boundary = f"stage3-{secrets.token_hex(16)}"
    before, behind = _around(step, step.file_field, boundary)
    return SentBody(
        f"multipart/form-data; boundary={boundary}",
        len(before) + content.size_bytes + len(behind),
        chain((before,), pieces, (behind,)),
        patience,
    )


def _around(step: Upload, file_field: str, boundary: str) -> tuple[bytes, bytes]:
    """Return what stands before and behind the file in a form (RFC 7578)."""
    fields = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'
        for name, value in step.fields.items()
    )
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(file_field)}"; '
        f'filename="{_quoted(step.file_name)}"\r\nContent-Type: {step.media_type}\r\n\r\n'
    )
    return (fields + head).encode(), f"\r\n--{boundary}--\r\n".encode()


def _quoted(name: str) -> str:
    """Return a name as browsers write it into a form."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


class SentBody(httpx.AsyncByteStream):
    """A body on its way. Not a generator: trio would warn about one that is left early.

    Args:
        content_type: Of all of it.
        length: In bytes.
        pieces: Yields it, once.
        patience: Begins anew as it moves.

    Attributes:
        content_type: The same.
        length: The same.
        has_left: The system took all of it.
    """

    def __init__(
        self, content_type: str, length: int, pieces: Iterable[Sliced], patience: Patience
    ) -> None:
        self.content_type = content_type
        self.length = self._left = length
        self._pieces = map(bytes, small(pieces))
        self._patience = patience
        self.has_left = length == 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = next(self._pieces, b"")
        if not piece:
            self.has_left = self._left == 0
            raise StopAsyncIteration
        self._left -= len(piece)
        self._patience.moved(len(piece))
        return piece
