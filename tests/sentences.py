"""Sentences of a page, so that their length can be held to what people read at once.

Code, tables, headings and the targets of links are no sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST_WORDS = 30
MEAN_WORDS = 18

_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[([^]]*)\]\([^)]*\)")
_END = re.compile(r"(?<=[.!?])\s+|\s+·\s+")


def sentences_of(markdown: str) -> Iterator[str]:
    """Return the sentences of a page, each item of a list apart."""
    text = _LINK.sub(r"\1", _CODE.sub("\n\n", markdown))
    for part in re.split(r"\n\s*\n|\n(?=\s*(?:[-*|#]|\d+\.)\s)", text):
        line = " ".join(part.split())
        if line and not line.startswith(("#", "|", "<!--")):
            yield from filter(None, _END.split(line))


def lengths_of(markdown: str) -> list[int]:
    """Return how many words each sentence has."""
    return [
        len(re.findall(r"[\w`$'’./<>=-]*\w[\w`$'’./<>=-]*", one)) for one in sentences_of(markdown)
    ]
