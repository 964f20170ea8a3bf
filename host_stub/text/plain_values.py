"""Whatever a plugin logs or reports, turned into values that JSON has.

A logging call must not fail because of what it was given: an object whose ``repr`` raises, a number
of a million digits and a structure that holds itself all come out as something readable, and short.

pydantic's ``to_jsonable_python`` is no substitute: it raises for bytes that are no text, for what
holds itself and for deep nesting, lets numbers of any length and NaN through, and turns amounts,
which are still to be added up, into text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, cast
from uuid import UUID

from pydantic import BaseModel, SecretBytes, SecretStr

LONGEST_TEXT = 16_384
"""Characters; the rest of a longer text is cut off."""
LONGEST_INTEGER_BITS = 256
LARGEST_EXPONENT = 40
"""A decimal beyond it is no amount, and writing it out would fill the disk."""
_DEEPEST = 12
_MANY = (list, tuple, set, frozenset)
_MASK = "[secret]"


def plain(value: object, *, longest: int = LONGEST_TEXT, _depth: int = 0) -> Any:
    """Turn ``value`` into ``None``, bool, int, float, ``Decimal``, text, list or dict of text keys.

    Decimals stay as they are, so that money can still be added up; :func:`as_json` writes them.

    Args:
        value: Anything.
        longest: Characters of one text; the rest is cut off.
    """
    # The most common ones first: this is done for every field of every event.
    if type(value) is str:
        return value if len(value) <= longest else _cut(value, longest)
    if value is None or type(value) is bool:
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is int and value.bit_length() <= LONGEST_INTEGER_BITS:
        return value
    return _plain_seldom(value, longest, _depth)


def _plain_seldom(value: object, longest: int, depth: int) -> Any:
    """Turn what is not plain already into plain values."""
    if isinstance(value, Enum):
        return plain(value.value, longest=longest, _depth=depth)
    if isinstance(value, str):
        return _cut(str(value), longest)
    if isinstance(value, int):
        return int(value) if value.bit_length() <= LONGEST_INTEGER_BITS else "<a huge number>"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        is_amount = value.is_finite() and abs(value.adjusted()) <= LARGEST_EXPONENT
        return value if is_amount else str(value)
    if depth >= _DEEPEST:
        return "<nested too deeply>"
    return _plain_whole(value, longest, depth + 1)


def _plain_whole(value: object, longest: int, depth: int) -> Any:
    """Turn what consists of parts, and every other object, into plain values."""
    if isinstance(value, _MANY):
        parts = cast("Iterable[object]", value)
        return [plain(part, longest=longest, _depth=depth) for part in parts]
    if type(value) is dict or isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return {
            (key if type(key) is str and len(key) <= longest else _key(key, longest)): (
                part
                if type(part) is str and len(part) <= longest
                else plain(part, longest=longest, _depth=depth)
            )
            for key, part in pairs
        }
    if isinstance(value, BaseModel):
        return {name: plain(part, longest=longest, _depth=depth) for name, part in value}
    if isinstance(value, SecretStr | SecretBytes):
        return _MASK
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    return _cut(_described(value), longest)


def _key(key: object, longest: int) -> str:
    return _cut(_described(key), longest)


def _described(value: object) -> str:
    try:
        return str(value) if isinstance(value, date | UUID | PurePath | str) else repr(value)
    except Exception:  # noqa: BLE001 - any __repr__ may raise anything
        return f"<{type(value).__name__} that cannot be shown>"


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… ({len(text) - longest} more characters)"


def as_json(value: object) -> str:
    """Write a decimal as a plain string; for ``json.dumps(default=…)``."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)
