"""How text of unknown origin is put on a terminal or into a log line.

Prompts, ids, file names and providers' messages can hold control sequences that clear a screen,
line breaks that fake another record, and marks that turn the reading direction around. All of them
are shown as escapes, so that what is read is what is there (Trojan Source, CVE-2021-42574).
"""

from __future__ import annotations

import re

_HIDDEN = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of reading direction
    "\u200b-\u200d\u2060\ufeff"  # nothing to see, and yet there
    "\u2028\u2029"  # breaks that only some programs see
    "\ud800-\udfff"  # no text at all
    "\U000e0000-\U000e007f"  # tags: a second, invisible alphabet
    "]"
)


def escaped(text: str, *, limit: int | None = None) -> str:
    """Return text that stays on its line and says nothing to a terminal.

    Args:
        text: Anything.
        limit: Cut to so many characters, with an ellipsis in place of the rest.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return _HIDDEN.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")
