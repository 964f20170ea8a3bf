"""SVG elements as text: the few shapes the drawings are made of.

Strings, not a tree: a frame has a few thousand elements, they are only ever appended, and
building nodes took longer than rendering. Numbers carry one decimal, which is finer than a pixel.
``extra`` is further attributes, beginning with a space, made by ``opacity`` and ``stroke``.
"""

# Coordinates come in the order of SVG itself; naming each would drown the drawing.

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
"""x and y in pixels, y downwards."""


def number(v: float) -> str:
    """Write a coordinate with at most one decimal."""
    return f"{v:.1f}".removesuffix(".0")


def points(ps: Iterable[Point]) -> str:
    """Write points as ``x,y x,y``."""
    return " ".join(f"{number(x)},{number(y)}" for x, y in ps)


def opacity(a: float) -> str:
    """Return the attribute that lets the ground shine through: 0 is glass, 1 is solid."""
    return f' opacity="{a:.3g}"'


def stroke(colour: str, width: float, *, cap: bool = False, join: bool = False) -> str:
    """Return the attributes of an outline, ``width`` in pixels, with round ends or corners."""
    return (
        f' stroke="{colour}" stroke-width="{number(width)}"'
        + (' stroke-linecap="round"' if cap else "")
        + (' stroke-linejoin="round"' if join else "")
    )


def rect(x: float, y: float, w: float, h: float, fill: str, rx: float = 0, extra: str = "") -> str:
    """Draw a rectangle from its top left corner; ``rx`` rounds the corners."""
    rounded = f' rx="{number(rx)}"' if rx else ""
    size = f'width="{number(w)}" height="{number(h)}"'
    return f'<rect x="{number(x)}" y="{number(y)}" {size}{rounded} fill="{fill}"{extra}/>'


def circle(x: float, y: float, r: float, fill: str, extra: str = "") -> str:
    """Draw a circle around its centre."""
    return f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(r)}" fill="{fill}"{extra}/>'


def ellipse(x: float, y: float, rx: float, ry: float, fill: str, extra: str = "") -> str:
    """Draw an ellipse around its centre."""
    radii = f'rx="{number(rx)}" ry="{number(ry)}"'
    return f'<ellipse cx="{number(x)}" cy="{number(y)}" {radii} fill="{fill}"{extra}/>'


def polygon(ps: Iterable[Point], fill: str, extra: str = "") -> str:
    """Draw a closed shape with straight sides."""
    return f'<polygon points="{points(ps)}" fill="{fill}"{extra}/>'


def polyline(ps: Iterable[Point], extra: str) -> str:
    """Draw an open line through points; ``extra`` holds its stroke."""
    return f'<polyline points="{points(ps)}" fill="none"{extra}/>'


def path(d: str, fill: str = "none", extra: str = "") -> str:
    """Draw a path; ``curve`` and ``smooth`` write its data."""
    return f'<path d="{d}" fill="{fill}"{extra}/>'


def line(
    x1: float, y1: float, x2: float, y2: float, colour: str, width: float, extra: str = ""
) -> str:
    """Draw a straight line, ``width`` in pixels."""
    ends = f'x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{number(width)}"{extra}/>'


def group(content: str, attributes: str) -> str:
    """Wrap elements into one group; ``attributes`` begins with a space."""
    return f"<g{attributes}>{content}</g>"


def curve(*parts: str | Point) -> str:
    """Write path data from commands and points: ``curve("M", (0, 0), "L", (5, 5), "Z")``.

    A command stands for all points after it until the next one, as in SVG itself.
    """
    data: list[str] = []
    after_point = False
    for part in parts:
        if isinstance(part, str):
            data.append(part)
            after_point = False
        else:
            data.append(f"{' ' if after_point else ''}{number(part[0])} {number(part[1])}")
            after_point = True
    return "".join(data)


def straight(ps: Sequence[Point], close_to: float | None = None) -> str:
    """Write path data through points with corners; ``close_to`` as with ``smooth``."""
    data = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in ps)
    return data if close_to is None else data + _down_to(ps, close_to)


def smooth(ps: Sequence[Point], close_to: float | None = None) -> str:
    """Write path data of a soft curve through points: Catmull-Rom, as cubic Bezier pieces.

    Args:
        ps: at least one point.
        close_to: if given, the shape is closed straight down to this y and back.
    """
    data = [f"M{number(ps[0][0])} {number(ps[0][1])}"]
    for index in range(len(ps) - 1):
        before, start = ps[max(index - 1, 0)], ps[index]
        end, after = ps[index + 1], ps[min(index + 2, len(ps) - 1)]
        leave = (start[0] + (end[0] - before[0]) / 6, start[1] + (end[1] - before[1]) / 6)
        arrive = (end[0] - (after[0] - start[0]) / 6, end[1] - (after[1] - start[1]) / 6)
        data.append(curve("C", leave, arrive, end))
    if close_to is not None:
        data.append(_down_to(ps, close_to))
    return "".join(data)


def _down_to(ps: Sequence[Point], y: float) -> str:
    return curve("L", (ps[-1][0], y), "L", (ps[0][0], y), "Z")
