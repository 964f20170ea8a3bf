"""How the references of a request are bound to names, in words that a model reads.

Pure. Apart from the providers because all of them say the same, a bare array of pictures in front
of the prompt, parts of a message before each picture; and because a plan shows it. Names are a
user's text: they stay on one line, and short.
"""

from __future__ import annotations

import unicodedata

from stage3_plugin.domain.reference import Reference
from stage3_plugin.domain.request import PictureRequest

MOST_NAME = 100
"""Characters of a name or a role that are sent."""
_UNSENDABLE = frozenset({"Cc", "Cs"})
"""Control characters, and halves of surrogate pairs."""


def labels_of(request: PictureRequest) -> str | None:
    """Return all that is said of a request's references; ``None`` if that is nothing."""
    said = (label for _, label in labelled(request) if label) if request.shown else ()
    return " ".join(said) or None


def labelled(request: PictureRequest) -> list[tuple[Reference, str]]:
    """Return each reference with what is said of it, which may be nothing."""
    return [
        (shown, _label(number, shown) if request.labels else "")
        for number, shown in enumerate(request.shown, start=1)
    ]


def _label(number: int, shown: Reference) -> str:
    name, role = one_line(shown.wish.name), one_line(shown.wish.role)
    if name and role:
        return f"Reference image {number} is {name}. Use it for: {role}."
    if name:
        return f"Reference image {number} is {name}."
    return f"Use reference image {number} for: {role}." if role else ""


def one_line(text: str | None) -> str:
    """Return a name as it is sent: on one line, and cut."""
    spaced = "".join(
        " " if unicodedata.category(character) in _UNSENDABLE else character
        for character in text or ""
    )
    return " ".join(spaced.split())[:MOST_NAME].rstrip()
