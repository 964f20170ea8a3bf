"""Tests that were written before the code that they ask for, each with the part that brings it.

Such a test is a strict ``xfail`` and names a part of the third house and its room. It may be red
for one reason alone: an assert in a block of :func:`not_yet`, in the words that today's behaviour
has. Anything else that goes wrong in it, a typo or a server that does not start, fails the lane;
and so does the day on which it is green, until its mark and its block are taken away.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest


class NotYet(Exception):
    """What is asked for does not hold yet, and what was seen is what is known."""


def turned_green_by(part: int, room: str, *, finding: str) -> pytest.MarkDecorator:
    """Mark a test of what does not hold yet.

    Args:
        part: Of the third house: 1, 2 or 3.
        room: Where it is mended.
        finding: By the number that the record of findings has for it.
    """
    why = f"{finding}: turned green by the third house, part {part} ({room})"
    return pytest.mark.xfail(strict=True, raises=NotYet, reason=why)


@contextmanager
def not_yet(today: str) -> Generator[None]:
    """Let asserts of the block fail for now, if they say what happens today."""
    try:
        yield
    except AssertionError as error:
        if today not in str(error):
            raise
        raise NotYet(str(error)) from error
