"""How an untrusted figure is read: a number of a sane size in plain digits, or none at all.

``int()``, ``float()`` and ``Decimal()`` take more than a provider means: ``1_0``, full-width
digits, ``nan``, ``1e999990``, which stalls as soon as it is made an integer. So the text is matched
first, and a value is compared with a ceiling before anything is computed from it.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

MOST_TEXT = 60
"""Characters; a sum in USD with every digit of a double has 26."""
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{0,30})?(?:[eE][+-]?[0-9]{1,3})?")


def figure_of(value: object, *, most: int) -> Decimal | None:
    """Read a number from 0 to ``most``; ``None`` if it is not a plausible number.

    Args:
        value: A number of a document, or a text with one; a truth value is no number.
        most: The highest that is believed.
    """
    found = _decimal_of(value)
    if found is None or not found.is_finite():
        return None
    is_one = not found.is_signed() and found <= most  # -0.0 is none
    return +found if is_one else None  # rounded: it may have a million digits


def count_of(value: object, *, most: int) -> int | None:
    """Read a whole number from 0 to ``most``; ``None`` if it cannot be one."""
    figure = figure_of(value, most=most)
    return None if figure is None or figure != figure.to_integral_value() else int(figure)


def _decimal_of(value: object) -> Decimal | None:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str):
        text = value[: MOST_TEXT + 1].strip()
        is_number = len(value) <= MOST_TEXT and _NUMBER.fullmatch(text)
        return Decimal(text) if is_number else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        return Decimal(str(value)) if math.isfinite(value) else None
    return Decimal(value) if abs(value) < 10**30 else None  # a longer one takes time to turn
