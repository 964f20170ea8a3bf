"""What bytes a picture in the document stands for, however it is written.

A short picture stays in the document, and so does one in the middle of a text.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from stage3_plugin.domain.signature import (
    OPENING_BYTES,
    UNKNOWN_KIND,
    is_picture,
    name_of,
    nothing_before,
)
from stage3_plugin.errors import PictureRefused
from stage3_plugin.storage.spool.loose_base64 import behind_prefix, loosely_decoded

_DATA_URL = re.compile(r"[\s\"'`(<]*data:([^,\"]|\"[^\"]*\")*+,", re.IGNORECASE)
_IS_BASE64 = re.compile(r";\s*base64\s*,\Z", re.IGNORECASE)


def inline_bytes(text: str) -> bytes:
    """Decode a picture that is base64 or a data URL.

    Raises:
        PictureRefused: It is neither.
    """
    head = _DATA_URL.match(text)
    data = text[head.end() :] if head else text
    if head and not _IS_BASE64.search(head[0]):
        return unquote_to_bytes(data)
    raw = data.encode("utf-8", "replace")
    decoded = b"".join(loosely_decoded([raw[behind_prefix(raw) :]]))
    opening = decoded[nothing_before(decoded) :][:OPENING_BYTES]
    if not is_picture(opening) and name_of(opening) == UNKNOWN_KIND:
        raise PictureRefused("the picture is not base64")
    return decoded
