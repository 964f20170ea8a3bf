"""Forms with files in them, ``multipart/form-data``, as a server gets them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
_NAME = re.compile(r'\bname="([^"]*)"')
_FILE_NAME = re.compile(r'\bfilename="([^"]*)"')
_TYPE = re.compile(r"(?im)^content-type:[ ]*(\S+)")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form; a file has a name of its own."""

    data: bytes = field(repr=False)
    file_name: str | None
    media_type: str

    @property
    def text(self) -> str:
        """Return what it says."""
        return self.data.decode("utf-8", "replace")


def form_of(content_type: str, body: bytes) -> dict[str, Field]:
    """Return the fields of a form, by their names; none of what is no whole form."""
    found = _BOUNDARY.search(content_type)
    if not content_type.startswith("multipart/form-data") or found is None:
        return {}
    mark = b"--" + found[1].encode("latin-1")
    fields: dict[str, Field] = {}
    start = body.find(mark)
    while start >= 0:
        end = body.find(b"\r\n" + mark, start + len(mark))
        if end < 0:
            is_whole = body.startswith(mark + b"--", start)
            return fields if is_whole else {}
        head_end = body.find(b"\r\n\r\n", start, end)
        head = body[start + len(mark) : head_end].decode("utf-8", "replace")
        if (name := _NAME.search(head)) is not None:
            file_name, media_type = _FILE_NAME.search(head), _TYPE.search(head)
            fields[name[1]] = Field(
                body[head_end + 4 : end],
                None if file_name is None else file_name[1],
                "text/plain" if media_type is None else media_type[1],
            )
        start = end + 2
    return fields
