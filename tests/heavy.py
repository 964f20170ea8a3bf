"""Further cases of long proofs: a full run tries the first, and ``tox -e night`` the others.

A proof that starts a process for each of ten limits takes minutes, and is hardly ever red for one
of them alone. So what is run for every change has a case or two of it. Likewise what is slow by its
place (``SLOW`` in ``conftest.py``) is tried on one event loop first, on the other at night.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import pytest


def some_of(cases: Iterable[Any], *, every: int) -> list[Any]:
    """Let a full run try one case in so many, the first among them, and leave the others."""
    marked: list[Any] = []
    for position, case in enumerate(cases):
        marked += further([case]) if position % every else [case]
    return marked


def further(cases: Iterable[Any]) -> list[Any]:
    """Mark the values of ``parametrize`` that are left to ``tox -e night``."""
    marked: list[Any] = []
    for case in cases:
        values = cast("tuple[object, ...]", case if isinstance(case, tuple) else (case,))
        marked.append(pytest.param(*values, marks=pytest.mark.heavy))
    return marked


def first_of(cases: Iterable[str], *first: str) -> list[Any]:
    """Let a full run try the cases of these names, and leave the others."""
    every = list(cases)
    if not set(first) <= set(every):
        raise LookupError(f"of {first} some are not among {every}")
    return [*first, *further(one for one in every if one not in first)]
