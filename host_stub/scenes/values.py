"""What a value of a scene file is, in a person's words: its kind, and whether it is text at all.

Apart from the fields, because a scene and each of its references are read by the same words.
"""

from __future__ import annotations

from collections.abc import Mapping

_KINDS: Mapping[type, str] = {
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number with a fraction",
    list: "a list",
    tuple: "a list",
    dict: "an object",
    type(None): "null",
}


def kind(value: object) -> str:
    """Name what stands there, without showing it."""
    if value == "" and isinstance(value, str):
        return "an empty string"
    return _KINDS.get(type(value), type(value).__name__)


def is_half_a_pair(text: str) -> bool:
    """Return whether a string holds half of a surrogate pair, which JSON has and no file has."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return True
    return False
