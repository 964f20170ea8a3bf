"""Draw the life of a purchase: ``python docs/drawing.py``, or ``--check`` the picture.

The states and the ways between them are those of ``stage3_plugin.domain.states``; only where each
state stands on the sheet is decided here, so that no two ways cross. A state without a place is an
error: the picture never leaves one out in silence.
"""
# ruff: noqa: INP001  - a script beside the pages, not a module of a package

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from html import escape
from math import hypot
from pathlib import Path

from stage3_plugin.domain.states import COUNTED, LEGAL, LIVE, State

PICTURE = Path(__file__).parent / "images" / "life-of-a-purchase.svg"

PLACES: dict[State, tuple[float, float]] = {
    State.SENDING: (1, 1.2),
    State.ACCEPTED: (1.95, 1.8),
    State.UNKNOWN: (3.6, 1.2),
    State.PAID: (2.3, 0),
    State.PAID_BAD: (2.5, 3.7),
    State.REFUSED: (1, 4.4),
    State.VOID: (0, 2.7),
    State.WROTE_OFF: (4.6, 1.2),
}
"""Column and row of each state."""
CAPTIONS = {
    State.SENDING: "a byte may have left",
    State.ACCEPTED: "a job, by its name",
    State.UNKNOWN: "no whole answer",
    State.PAID: "the picture is on disk",
    State.PAID_BAD: "billed, no picture",
    State.REFUSED: "provably unbilled",
    State.VOID: "provably never sent",
    State.WROTE_OFF: "unknown for ever",
}

COLUMN_PX, ROW_PX = 196, 104
BOX_PX = (150, 54)
MARGIN_PX = 20
ARROW_PX = 11
"""The point of an arrow ends so far before its box."""
WIDTH_PX = round(4.6 * COLUMN_PX) + BOX_PX[0] + 2 * MARGIN_PX
HEIGHT_PX = round(4.4 * ROW_PX) + BOX_PX[1] + 2 * MARGIN_PX + 40

HEAD = f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" \
width="{WIDTH_PX}" height="{HEIGHT_PX}" role="img" font-family="sans-serif" text-anchor="middle">
<title>The life of a purchase</title>
<desc>{{description}}</desc>
<defs><marker id="point" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="8" markerHeight="8" \
orient="auto"><path d="M0 0 8 4 0 8z" fill="#555"/></marker></defs>
<rect width="{WIDTH_PX}" height="{HEIGHT_PX}" rx="10" fill="#fff"/>
"""


def drawing() -> str:
    """Return the picture as SVG.

    Raises:
        KeyError: A state has no place or no caption.
    """
    description = "; ".join(
        f"{old} becomes {' or '.join(new for new in State if new in news)}"
        for old, news in LEGAL.items()
        if news
    )
    lines = [*_ways(), *(_box(state) for state in State), _legend()]
    return HEAD.format(description=escape(description)) + "\n".join(lines) + "\n</svg>\n"


def _centre(state: State) -> tuple[float, float]:
    column, row = PLACES[state]
    x = MARGIN_PX + BOX_PX[0] / 2 + column * COLUMN_PX
    return x, MARGIN_PX + BOX_PX[1] / 2 + row * ROW_PX


def _ways() -> Iterator[str]:
    """Draw an arrow for every legal transition, from box to box."""
    for old in State:
        for new in State:
            if new in LEGAL[old]:
                (x1, y1), (x2, y2) = _edge(old, new, 0), _edge(new, old, ARROW_PX)
                yield (
                    f'<path class="way" data-from="{old}" data-to="{new}" '
                    f'd="M{x1:.0f} {y1:.0f} {x2:.0f} {y2:.0f}" stroke="#555" stroke-width="1.5" '
                    'fill="none" marker-end="url(#point)"/>'
                )


def _edge(state: State, towards: State, gap_px: float) -> tuple[float, float]:
    """Find where the line between two boxes leaves the first one, and go on by the gap."""
    (x, y), (other_x, other_y) = _centre(state), _centre(towards)
    away_x, away_y = other_x - x, other_y - y
    reach = min(
        side / 2 / abs(away) for side, away in zip(BOX_PX, (away_x, away_y), strict=True) if away
    )
    reach += gap_px / hypot(away_x, away_y)
    return x + away_x * reach, y + away_y * reach


def _box(state: State) -> str:
    x, y = _centre(state)
    width, height = BOX_PX
    fill = "#fde9c8" if state in COUNTED else "#eef1f4"
    line = 'stroke="#b4540a" stroke-width="3"' if state in LIVE else 'stroke="#999"'
    return (
        f'<g class="state" id="{state}"><rect x="{x - width / 2:.0f}" y="{y - height / 2:.0f}" '
        f'width="{width}" height="{height}" rx="7" fill="{fill}" {line}/>'
        f'<text x="{x:.0f}" y="{y - 3:.0f}" font-size="15" font-weight="bold" fill="#222">{state}'
        f'</text><text x="{x:.0f}" y="{y + 16:.0f}" font-size="12" fill="#444">'
        f"{escape(CAPTIONS[state])}</text></g>"
    )


def _legend() -> str:
    legend = "filled: counts as money held or spent.  thick border: its scene is not sent again"
    return (
        f'<text x="{WIDTH_PX / 2:.0f}" y="{HEIGHT_PX - MARGIN_PX:.0f}" font-size="13" '
        f'fill="#444">{legend}</text>'
    )


def main() -> int:
    """Write the picture anew, or report whether it would change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if out of date")
    options = parser.parse_args()
    wanted = drawing()
    is_current = PICTURE.exists() and PICTURE.read_text(encoding="utf-8") == wanted
    if options.check and not is_current:
        sys.stderr.write(f"{PICTURE.name} is out of date; run python docs/drawing.py\n")
        return 1
    if not is_current:
        PICTURE.write_text(wanted, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
