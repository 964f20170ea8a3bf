"""An answer's bytes as a provider gets to see them, without the spool that a run has between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import cast

from pydantic import JsonValue

from stage3_plugin.domain.exchange import Part, Reply

_MOST_TEXT = 2000
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")


def reply_of(status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """Return what a provider is asked about: JSON as a document, a bare picture as a part."""
    named = {name.lower(): value for name, value in headers.items()}
    if body.startswith(_PICTURES):
        part = Part(index=0, path=Path("part-0"), media_type=None, size_bytes=len(body))
        return Reply(status=status, headers=named, parts={"": part})
    try:
        document = cast("JsonValue", json.loads(body, parse_float=Decimal))
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace")[:_MOST_TEXT]
        return Reply(status=status, headers=named, text=text)
    return Reply(status=status, headers=named, document=document)
