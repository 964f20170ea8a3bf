"""Drawings of our own for things that no icon shows as a picture needs them.

An icon is a sign: its boat brings its own water, its bird stands, its map is flat. Here are boats
that float, birds in flight, a whale that comes up, a lantern that shines, a book that lies open.
Each is drawn with the middle of its lower edge, or of its waterline, at (``x``, ``y``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import darken, lighten, mix
from stage3_plugin.previz.svg import (
    Point,
    circle,
    curve,
    ellipse,
    group,
    line,
    number,
    opacity,
    path,
    polygon,
    rect,
    stroke,
)

Shape: TypeAlias = Callable[[Canvas, float, float, float, str | None], str]
"""Draws a thing of this size in pixels, dyed if words name a colour."""

HULL: Final = "#3f6f9f"
"""A boat of no colour, the same in every frame of a story."""
_SAIL = "#f3ead6"
_WOOD = "#8a6244"


def _outline(x: float, y: float, size_px: float, *parts: str | Point) -> str:
    """Write path data from places given as shares of the size."""
    return curve(
        *(
            part if isinstance(part, str) else (x + part[0] * size_px, y + part[1] * size_px)
            for part in parts
        )
    )


def hull(canvas: Canvas, x: float, y: float, size_px: float, colour: str | None) -> str:
    """Draw the side of an open boat with a white strake; ``y`` is the waterline."""
    paint = canvas.tone(colour or HULL)
    # fmt: off
    side = _outline(x, y, size_px,
                    "M", (-0.50, -0.20), "Q", (0, -0.10), (0.52, -0.25),
                    "C", (0.49, -0.10), (0.44, 0.01), (0.34, 0.02),
                    "L", (-0.36, 0.02), "C", (-0.45, 0.01), (-0.49, -0.10), (-0.50, -0.20), "Z")
    strake = _outline(x, y, size_px, "M", (-0.50, -0.195), "Q", (0, -0.095), (0.52, -0.245))
    plank = _outline(x, y, size_px, "M", (-0.485, -0.10), "Q", (0, -0.02), (0.47, -0.12))
    # fmt: on
    fill = canvas.linear([(0, lighten(paint, 0.08)), (1, darken(paint, 0.35))])
    white = canvas.tone("#f4efe2")
    return (
        path(side, fill)
        + path(plank, extra=stroke(darken(paint, 0.25), size_px * 0.008))
        + path(strake, extra=stroke(white, size_px * 0.028, cap=True))
    )


def wash(canvas: Canvas, x: float, y: float, size_px: float) -> str:
    """Draw the shade of a boat on the water, and the water's edge along it."""
    shade = darken(canvas.tone("#2f86a8"), 0.5)
    foam = lighten(canvas.tone("#bcdfe8"), 0.2)
    parts = [ellipse(x, y + size_px * 0.035, size_px * 0.44, size_px * 0.05, shade, opacity(0.5))]
    for across, down, length in ((-0.30, 0.03, 0.26), (0.08, 0.045, 0.34), (0.30, 0.025, 0.2)):
        left = x + size_px * (across - length / 2)
        top, thick = y + size_px * down, size_px * 0.012
        parts.append(rect(left, top, size_px * length, thick, foam, thick / 2, opacity(0.65)))
    return "".join(parts)


def boat(canvas: Canvas, x: float, y: float, size_px: float, colour: str | None) -> str:
    """Draw an open boat with a bare mast and its sail furled."""
    spar = canvas.tone(_WOOD, 0, 0.1)
    mast, boom, sail = size_px * 0.022, size_px * 0.018, canvas.tone(_SAIL)

    def at(across: float, up: float) -> Point:
        return x + size_px * across, y - size_px * up

    stay = darken(spar, 0.2)
    furled = _outline(x, y, size_px, "M", (0.06, -0.31), "Q", (-0.14, -0.26), (-0.34, -0.31))
    return (
        line(*at(0.06, 0.12), *at(0.06, 0.78), spar, mast)
        + line(*at(0.06, 0.74), *at(0.50, 0.24), stay, size_px * 0.006)
        + line(*at(0.06, 0.74), *at(-0.48, 0.20), stay, size_px * 0.006)
        + line(*at(0.07, 0.30), *at(-0.36, 0.30), spar, boom)
        + path(furled, extra=stroke(sail, size_px * 0.06, cap=True))
        + hull(canvas, x, y, size_px, colour)
        + wash(canvas, x, y, size_px)
    )


def sailboat(canvas: Canvas, x: float, y: float, size_px: float, colour: str | None) -> str:
    """Draw a boat under full sail."""
    spar, sail = canvas.tone(_WOOD, 0, 0.1), canvas.tone(_SAIL)
    # fmt: off
    main = _outline(x, y, size_px, "M", (0.02, -1.06), "Q", (-0.30, -0.62), (-0.42, -0.27),
                    "L", (0.02, -0.24), "Z")
    jib = _outline(x, y, size_px, "M", (0.07, -0.98), "Q", (0.34, -0.62), (0.50, -0.30),
                   "L", (0.07, -0.27), "Z")
    # fmt: on
    mast = (x + size_px * 0.045, y - size_px * 0.1, x + size_px * 0.045, y - size_px * 1.12)
    batten = stroke(darken(sail, 0.18), size_px * 0.007)
    seams = "".join(
        path(
            _outline(
                x, y, size_px, "M", (0.02, -up), "L", (-0.42 + (up - 0.27) * 0.54, -up + 0.04)
            ),
            extra=batten,
        )
        for up in (0.45, 0.63, 0.81)
    )
    return (
        line(*mast, spar, size_px * 0.022)
        + path(main, canvas.linear([(0, lighten(sail, 0.2)), (1, darken(sail, 0.12))]))
        + seams
        + path(jib, darken(sail, 0.10))
        + hull(canvas, x, y, size_px, colour or "#8c4a3c")
        + wash(canvas, x, y, size_px)
    )


def gulls(canvas: Canvas, x: float, y: float, size_px: float, colour: str | None) -> str:
    """Draw a few birds far away, each two strokes of the wings."""
    ink = canvas.tone(colour) if colour else mix(canvas.palette.haze, "#1d222c", 0.72)
    flock = (
        (0.0, 0.0, 1.0, 0.30),
        (-0.95, -0.34, 0.72, 0.20),
        (0.85, -0.62, 0.80, 0.36),
        (1.55, -0.08, 0.56, 0.22),
        (-0.25, -1.00, 0.50, 0.30),
    )
    return "".join(
        gull(x + size_px * across, y + size_px * down, size_px * 0.62 * scale, ink, lift)
        for across, down, scale, lift in flock
    )


def gull(x: float, y: float, span_px: float, ink: str, lift: float = 0.3) -> str:
    """Draw one bird in flight: a crescent for each wing and a small body."""
    half = span_px / 2
    # fmt: off
    wings = curve(
        "M", (x - half, y - half * (lift + 0.10)),
        "Q", (x - half * 0.50, y - half * (lift + 0.46)), (x, y),
        "Q", (x + half * 0.50, y - half * (lift + 0.46)), (x + half, y - half * (lift + 0.10)),
        "Q", (x + half * 0.46, y - half * (lift + 0.14)), (x, y + half * 0.20),
        "Q", (x - half * 0.46, y - half * (lift + 0.14)), (x - half, y - half * (lift + 0.10)), "Z")
    # fmt: on
    return path(wings, ink)


def eagle(canvas: Canvas, x: float, y: float, size_px: float, colour: str | None) -> str:
    """Draw a bird of prey that rises across the sky, seen from the side and a little from below."""
    dark = canvas.tone(colour or "#5a3d2b")
    pale, horn = canvas.tone("#efe6d4"), canvas.tone("#f0b43c")
    y -= size_px * 0.3
    # fmt: off
    far = _outline(
        x, y, size_px, "M", (0.10, -0.05), "C", (0.12, -0.22), (0.22, -0.38), (0.40, -0.50),
        "L", (0.37, -0.40), "L", (0.43, -0.41), "L", (0.36, -0.32), "L", (0.40, -0.31),
        "L", (0.31, -0.22), "C", (0.26, -0.14), (0.22, -0.06), (0.18, 0.0), "Z")
    near = _outline(
        x, y, size_px, "M", (0.16, 0.0), "C", (0.06, -0.20), (-0.10, -0.40), (-0.40, -0.52),
        "L", (-0.34, -0.43), "L", (-0.44, -0.42), "L", (-0.35, -0.35), "L", (-0.43, -0.31),
        "L", (-0.32, -0.27), "L", (-0.37, -0.21), "L", (-0.25, -0.18),
        "C", (-0.16, -0.08), (-0.06, 0.02), (0.02, 0.08), "Z")
    tail = _outline(
        x, y, size_px, "M", (-0.12, 0.04), "L", (-0.42, 0.14), "L", (-0.36, 0.18),
        "L", (-0.41, 0.23), "L", (-0.10, 0.13), "Z")
    body = _outline(
        x, y, size_px, "M", (-0.18, 0.10), "C", (-0.06, -0.04), (0.12, -0.09), (0.26, -0.08),
        "C", (0.26, 0.0), (0.12, 0.13), (-0.18, 0.13), "Z")
    head = _outline(
        x, y, size_px, "M", (0.19, -0.085), "C", (0.24, -0.15), (0.33, -0.15), (0.37, -0.10),
        "C", (0.36, -0.04), (0.28, -0.01), (0.20, 0.0), "Z")
    beak = _outline(
        x, y, size_px, "M", (0.36, -0.115), "Q", (0.44, -0.11), (0.435, -0.045),
        "Q", (0.41, -0.075), (0.35, -0.06), "Z")
    # fmt: on
    return "".join(
        [
            path(far, darken(dark, 0.25)),
            path(tail, pale),
            path(body, dark),
            path(head, pale),
            path(beak, horn),
            circle(x + size_px * 0.315, y - size_px * 0.095, size_px * 0.013, "#1a1412"),
            path(near, lighten(dark, 0.07)),
        ]
    )


def sitting_dog(canvas: Canvas, x: float, y: float, size_px: float, colour: str | None) -> str:
    """Draw a dog that sits and waits, its nose to the left."""
    coat = canvas.tone(colour or "#e8a254", 0, 0.1)
    dark, pale = darken(coat, 0.28), lighten(coat, 0.45)
    ink = canvas.tone("#241a18")
    # fmt: off
    tail = _outline(x, y, size_px, "M", (0.26, -0.06), "Q", (0.50, -0.08), (0.46, -0.34))
    back = _outline(
        x, y, size_px, "M", (-0.27, -0.66), "L", (0.0, -0.70),
        "C", (0.12, -0.56), (0.36, -0.32), (0.34, -0.06), "Q", (0.34, 0.0), (0.26, 0.0),
        "L", (-0.14, 0.0), "Q", (-0.22, -0.30), (-0.27, -0.66), "Z")
    leg = _outline(x, y, size_px, "M", (-0.12, -0.34), "L", (-0.14, -0.03))
    chest = _outline(
        x, y, size_px, "M", (-0.20, -0.50), "Q", (-0.26, -0.28), (-0.16, -0.16),
        "Q", (-0.08, -0.30), (-0.10, -0.50), "Z")
    head = _outline(
        x, y, size_px, "M", (-0.02, -0.60), "C", (0.04, -0.78), (-0.06, -0.90), (-0.18, -0.88),
        "C", (-0.28, -0.86), (-0.28, -0.76), (-0.32, -0.72), "L", (-0.42, -0.68),
        "Q", (-0.46, -0.58), (-0.36, -0.56), "C", (-0.28, -0.50), (-0.12, -0.50),
        (-0.02, -0.60), "Z")
    ear = _outline(
        x, y, size_px, "M", (-0.14, -0.86), "C", (0.02, -0.90), (0.10, -0.74), (0.04, -0.60),
        "C", (-0.04, -0.58), (-0.08, -0.70), (-0.14, -0.86), "Z")
    thigh = (x + size_px * 0.18, y - size_px * 0.14)
    # fmt: on
    return "".join(
        [
            ellipse(x, y, size_px * 0.40, size_px * 0.05, "#05060c", opacity(0.30)),
            path(tail, extra=stroke(coat, size_px * 0.09, cap=True)),
            path(back, coat),
            ellipse(*thigh, size_px * 0.15, size_px * 0.15, darken(coat, 0.12)),
            ellipse(x + size_px * 0.08, y - size_px * 0.03, size_px * 0.12, size_px * 0.04, dark),
            path(chest, pale),
            path(leg, extra=stroke(coat, size_px * 0.10, cap=True)),
            ellipse(x - size_px * 0.17, y - size_px * 0.03, size_px * 0.09, size_px * 0.04, pale),
            path(head, coat),
            path(ear, dark),
            circle(x - size_px * 0.22, y - size_px * 0.74, size_px * 0.028, ink),
            ellipse(x - size_px * 0.42, y - size_px * 0.665, size_px * 0.042, size_px * 0.034, ink),
        ]
    )


def whale(canvas: Canvas, x: float, y: float, size_px: float, colour: str | None) -> str:
    """Draw the back of a whale above the water, its fluke behind and its breath over it."""
    skin = canvas.tone(colour or "#4a6178")
    foam = lighten(canvas.tone("#d6edf2"), 0.3)
    # fmt: off
    back = _outline(x, y, size_px, "M", (-0.52, 0.01),
                    "C", (-0.50, -0.22), (-0.28, -0.33), (-0.06, -0.30),
                    "C", (0.10, -0.28), (0.14, -0.20), (0.30, 0.01), "Z")
    jaw = _outline(x, y, size_px, "M", (-0.51, -0.02),
                   "C", (-0.44, -0.12), (-0.34, -0.12), (-0.20, -0.05))
    fluke = _outline(x, y, size_px, "M", (0.45, 0.01), "Q", (0.50, -0.12), (0.52, -0.22),
                     "C", (0.44, -0.24), (0.36, -0.34), (0.36, -0.42),
                     "C", (0.44, -0.36), (0.52, -0.36), (0.555, -0.28),
                     "C", (0.60, -0.38), (0.70, -0.40), (0.76, -0.36),
                     "C", (0.72, -0.27), (0.66, -0.22), (0.59, -0.22),
                     "Q", (0.57, -0.10), (0.58, 0.01), "Z")
    spout = _outline(x, y, size_px, "M", (-0.30, -0.30), "Q", (-0.32, -0.52), (-0.46, -0.56),
                     "M", (-0.28, -0.30), "Q", (-0.26, -0.54), (-0.12, -0.58))
    # fmt: on
    fill = canvas.linear([(0, lighten(skin, 0.16)), (1, darken(skin, 0.3))])
    parts = [path(spout, extra=stroke(foam, size_px * 0.026, cap=True) + opacity(0.85))]
    for across, up, radius in ((-0.50, 0.53, 0.022), (-0.07, 0.55, 0.024), (-0.30, 0.60, 0.018)):
        parts.append(
            circle(x + size_px * across, y - size_px * up, size_px * radius, foam, opacity(0.8))
        )
    parts += [path(back, fill), path(fluke, fill)]
    parts.append(path(jaw, extra=stroke(darken(skin, 0.35), size_px * 0.012, cap=True)))
    parts.append(circle(x - size_px * 0.28, y - size_px * 0.13, size_px * 0.014, "#11161c"))
    return "".join(parts) + ripples(canvas, x + size_px * 0.05, y, size_px * 0.62)


def ripples(canvas: Canvas, x: float, y: float, reach_px: float) -> str:
    """Draw broken water around something that is half in it."""
    foam, shade = lighten(canvas.tone("#cfe8ef"), 0.25), darken(canvas.tone("#2f86a8"), 0.35)
    thick = max(reach_px * 0.035, 1.0)
    parts = [ellipse(x, y + thick, reach_px, thick * 1.5, shade, opacity(0.45))]
    for across, down, length in (
        (-0.62, 0.0, 0.5),
        (0.1, 0.4, 0.9),
        (0.66, -0.2, 0.5),
        (-0.2, 2.0, 0.7),
    ):
        left = x + reach_px * (across - length / 2)
        box = (left, y + thick * down, reach_px * length, thick)
        parts.append(rect(*box, foam, thick / 2, opacity(0.75)))
    return "".join(parts)


def lantern(canvas: Canvas, x: float, y: float, size_px: float, colour: str | None) -> str:
    """Draw a lit storm lantern; the ring it is carried by is at its top."""
    iron, glass = canvas.tone(colour or "#3d3a3c", 0, 0.1), canvas.palette.warm
    flame = lighten(glass, 0.55)

    def box(across: float, top: float, width: float, height: float, fill: str) -> str:
        left = x + size_px * (across - width / 2)
        return rect(
            left, y - size_px * top, size_px * width, size_px * height, fill, size_px * 0.02
        )

    shine = canvas.glow(x, y - size_px * 0.36, size_px * 1.7, glass, 0.75)
    ring = stroke(iron, size_px * 0.035)
    bail = _outline(x, y, size_px, "M", (-0.20, -0.60), "Q", (-0.22, -0.98), (0, -0.98),
                    "Q", (0.22, -0.98), (0.20, -0.60))  # fmt: skip
    bars = "".join(box(across, 0.60, 0.025, 0.46, iron) for across in (-0.19, 0.19))
    cap = [
        (x - size_px * 0.22, y - size_px * 0.58),
        (x - size_px * 0.09, y - size_px * 0.74),
        (x + size_px * 0.09, y - size_px * 0.74),
        (x + size_px * 0.22, y - size_px * 0.58),
    ]
    return (
        shine
        + path(bail, extra=ring)
        + box(0, 0.60, 0.36, 0.46, mix(glass, "#ffffff", 0.25))
        + ellipse(x, y - size_px * 0.34, size_px * 0.07, size_px * 0.14, flame)
        + bars
        + polygon(cap, iron)
        + box(0, 0.16, 0.44, 0.16, iron)
    )


def book(canvas: Canvas, x: float, y: float, size_px: float, colour: str | None) -> str:
    """Draw a thick book that lies open, seen a little from above."""
    cover, page = canvas.tone(colour or "#7b3b33"), canvas.tone("#f6efdf")
    # fmt: off
    board = _outline(x, y, size_px, "M", (-0.46, -0.40), "L", (0.46, -0.40),
                     "L", (0.56, 0.0), "L", (-0.56, 0.0), "Z")
    leaves = "".join(
        path(_outline(x, y, size_px, "M", (0, -0.42),
                      "C", (side * 0.14, -0.50), (side * 0.32, -0.48), (side * 0.44, -0.42),
                      "L", (side * 0.53, -0.06),
                      "C", (side * 0.38, -0.13), (side * 0.14, -0.14), (0, -0.05), "Z"),
             page if side < 0 else darken(page, 0.06))
        for side in (-1, 1))
    # fmt: on
    ink = stroke(darken(page, 0.42), size_px * 0.010, cap=True)
    text = "".join(
        path(
            _outline(
                x, y, size_px, "M", (-0.08, -up), "Q", (-0.22, -up - 0.06), (-0.38, -up - 0.02)
            ),
            extra=ink,
        )
        for up in (0.38, 0.32, 0.26, 0.20)
    )
    # The other page has a drawing on it.
    figure = stroke(darken(page, 0.55), size_px * 0.014, cap=True)
    drawing = _outline(x, y, size_px, "M", (0.22, -0.20), "L", (0.22, -0.30), "M", (0.15, -0.19),
                       "L", (0.30, -0.18))  # fmt: skip
    lamp = ellipse(
        x + size_px * 0.22, y - size_px * 0.34, size_px * 0.06, size_px * 0.05, "none", figure
    )
    gutter = _outline(x, y, size_px, "M", (0, -0.42), "L", (0, -0.05))
    return (
        path(board, cover)
        + leaves
        + text
        + path(drawing, extra=figure)
        + lamp
        + path(gutter, extra=stroke(darken(page, 0.35), size_px * 0.012))
    )


def folded_map(canvas: Canvas, x: float, y: float, size_px: float, colour: str | None) -> str:
    """Draw a map in three folds, with a coast and a way to a cross."""
    paper = lighten(canvas.tone(colour or "#f0e2b8"), 0.28)
    parts: list[str] = []
    for fold in range(3):
        left, right = -0.48 + fold * 0.32, -0.16 + fold * 0.32
        high, low = (0.06, 0.0) if fold % 2 else (0.0, 0.06)
        # fmt: off
        panel = _outline(x, y, size_px, "M", (left, -0.66 + high), "L", (right, -0.66 + low),
                         "L", (right, -0.04 + low), "L", (left, -0.04 + high), "Z")
        # fmt: on
        parts.append(path(panel, darken(paper, 0.12) if fold % 2 else paper))
    land = _outline(x, y, size_px, "M", (-0.42, -0.20), "Q", (-0.28, -0.42), (-0.10, -0.30),
                    "Q", (0.06, -0.20), (0.12, -0.42))  # fmt: skip
    way = _outline(x, y, size_px, "M", (-0.36, -0.46), "Q", (-0.06, -0.56), (0.22, -0.24))
    cross = _outline(x, y, size_px, "M", (0.28, -0.24), "L", (0.40, -0.12), "M", (0.40, -0.24),
                     "L", (0.28, -0.12))  # fmt: skip
    dashes = f' stroke-dasharray="{number(size_px * 0.05)}"'
    parts.append(path(land, extra=stroke(canvas.tone("#4f8f86"), size_px * 0.035, cap=True)))
    parts.append(path(way, extra=stroke(canvas.tone("#7a5a3c"), size_px * 0.022) + dashes))
    parts.append(path(cross, extra=stroke(canvas.tone("#c23a33"), size_px * 0.04, cap=True)))
    return "".join(parts)


def concertina(canvas: Canvas, x: float, y: float, size_px: float, colour: str | None) -> str:
    """Draw a bellows between two wooden ends."""
    end, cloth = canvas.tone(colour or "#7a3b2c"), canvas.tone("#2e2a33")
    brass = canvas.tone("#d9b25a")
    parts: list[str] = []
    pleats = 9
    for pleat in range(pleats):
        across = -0.30 + 0.60 * pleat / (pleats - 1)
        arch = 0.05 * (1 - (across / 0.30) ** 2)
        shade = cloth if pleat % 2 else lighten(cloth, 0.22)
        left = x + size_px * (across - 0.045)
        top, height = y - size_px * (0.50 + arch), size_px * 0.44
        parts.append(rect(left, top, size_px * 0.09, height, shade, size_px * 0.02))
    for side in (-1, 1):
        left = x + size_px * (side * 0.40 - 0.075)
        box = (left, y - size_px * 0.53, size_px * 0.15, size_px * 0.50)
        parts.append(rect(*box, end, size_px * 0.03))
        for button in range(3):
            where = (x + size_px * side * 0.40, y - size_px * (0.40 - 0.12 * button))
            parts.append(circle(*where, size_px * 0.022, brass))
    return "".join(parts)


def lamp_post(canvas: Canvas, x: float, y: float, height_px: float) -> str:
    """Draw a post with a lantern under its arm; lanterns do not lie about on the ground."""
    wood = canvas.tone("#4a3a30", 0, 0.1)
    arm = height_px * 0.20
    top = y - height_px
    brace = (x, top + height_px * 0.18, x + arm * 0.7, top + height_px * 0.03)
    return (
        line(x, y, x, top, wood, height_px * 0.045)
        + line(x, top + height_px * 0.03, x + arm, top + height_px * 0.03, wood, height_px * 0.035)
        + line(*brace, wood, height_px * 0.025)
        + lantern(canvas, x + arm * 0.9, top + height_px * 0.30, height_px * 0.27, None)
    )


def tilted(markup: str, x: float, y: float, degrees: float) -> str:
    """Turn a drawing around its foot."""
    if not degrees:
        return markup
    return group(markup, f' transform="rotate({number(degrees)} {number(x)} {number(y)})"')


SHAPES: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        "bird": gulls,
        "boat": boat,
        "concertina": concertina,
        "eagle": eagle,
        "lantern": lantern,
        "open-book": book,
        "sailboat": sailboat,
        "whale": whale,
        "world-map": folded_map,
    }
)
"""By the name that ``props.toml`` uses; what is not here is an icon."""
