"""How rows are laid out in columns, for the host's commands and for a plugin's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def in_columns(rows: Sequence[Sequence[str]], *, texts: int | None = None) -> Iterator[str]:
    """Yield a line for each row; cells behind so many ``texts`` are figures, and to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(
            cell.ljust(width) if texts is None or place < texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
