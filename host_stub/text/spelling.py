"""How many letters two names are apart, for names that must not be taken for something else.

Apart from :func:`host_stub.errors.closest`, which guesses what a person may have meant: this module
decides whether an unknown name is refused.
"""

from __future__ import annotations

from functools import lru_cache

SHORT = 5
"""Names up to this long count as misspelt at one letter: two lead from ``size`` to ``time``, and
from ``model`` to ``node``."""


@lru_cache(maxsize=1024)
def misspelt(name: str, known: frozenset[str]) -> str | None:
    """Return the known name that ``name`` misspells by one or two letters, or ``None``.

    A letter is left out, added, another one, or changes places with its neighbour. Case and the
    choice between ``-`` and ``_`` count for nothing.
    """
    folded = _folded(name)
    near = {candidate: letters_apart(folded, _folded(candidate)) for candidate in sorted(known)}
    within = [word for word, apart in near.items() if apart <= (1 if len(word) <= SHORT else 2)]
    return min(within, key=near.__getitem__, default=None)


def _folded(name: str) -> str:
    return name.casefold().replace("-", "_")


def letters_apart(one: str, other: str, *, most: int = 3) -> int:
    """Count the fewest changes that lead from one word to the other, up to ``most``.

    The optimal string alignment distance (Damerau 1964; Boytsov, "Indexing methods for approximate
    dictionary searching", 2011).
    """
    if abs(len(one) - len(other)) >= most:
        return most
    rows = [list(range(len(other) + 1))]
    for i, left in enumerate(one, start=1):
        row = [i]
        for j, right in enumerate(other, start=1):
            apart = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and right == one[i - 2]:
                apart = min(apart, rows[-2][j - 2] + 1)
            row.append(apart)
        rows.append(row)
    return min(rows[-1][-1], most)
