"""Single buildings: a gabled house, a pagoda, a castle, and the skyline of a town.

Each stands with the middle of its foot at ``x``, ``y`` and is as wide as its size; the skyline
fills the picture from side to side.
"""

from __future__ import annotations

from dataclasses import dataclass

from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import darken, lighten, mix
from stage3_plugin.previz.svg import circle, curve, line, number, opacity, path, polygon, rect


def skyline(
    canvas: Canvas,
    y: float,
    base: str,
    depth: float,
    *,
    heights: tuple[float, float],
    lit_share: float,
    widths: tuple[float, float] = (0.035, 0.08),
) -> str:
    """Draw a row of blocks standing on ``y``.

    Args:
        canvas: where to.
        y: the foot of the row.
        base: the blocks' own colour.
        depth: how far away, from 0 to 1.
        heights: lowest and highest, in shares of the picture's height.
        lit_share: how many windows have light; at 0 it is day and they are dark bands.
        widths: narrowest and widest, in shares of the picture's shorter side.
    """
    chance = canvas.chance
    colour = canvas.tone(base, depth)
    x = -canvas.width_px * 0.02
    parts: list[str] = []
    while x < canvas.width_px:
        width = canvas.short_px * chance.between(*widths)
        height = canvas.height_px * chance.between(*heights)
        shade = mix(colour, "#000000", chance.between(0, 0.12))
        parts.append(rect(x, y - height, width, height + 4, shade))
        parts.append(_roof(canvas, x, y - height, width, height=height, colour=shade))
        if lit_share > 0:
            parts.append(_lit_windows(canvas, x, y - height, width, y, lit_share=lit_share))
        else:
            parts.append(_dark_windows(canvas, x, y - height, width, y, colour=shade))
        x += width * chance.between(0.86, 1.12)
    return "".join(parts)


def _roof(canvas: Canvas, x: float, top: float, width: float, *, height: float, colour: str) -> str:
    choice = canvas.chance.random()
    if choice < 0.25:
        middle = x + width * 0.5
        return rect(
            x + width * 0.3, top - height * 0.06, width * 0.4, height * 0.07, colour
        ) + line(middle, top - height * 0.16, middle, top, colour, width * 0.04)
    if choice < 0.4:
        return polygon([(x, top), (x + width, top), (x + width, top - width * 0.35)], colour)
    return ""


def _lit_windows(
    canvas: Canvas, x: float, top: float, width: float, bottom: float, *, lit_share: float
) -> str:
    chance = canvas.chance
    column, row = width / 6, canvas.short_px * 0.011
    parts: list[str] = []
    y = top + row * 1.4
    while y < bottom - row * 2:
        for index in range(1, 5):
            if chance.happens(lit_share):
                colour = canvas.palette.warm if chance.happens(0.8) else "#bfe3ff"
                shine = opacity(chance.between(0.45, 0.95))
                left = x + column * (index + 0.12)
                parts.append(rect(left, y, column * 0.62, row, colour, extra=shine))
        y += row * 1.9
    return "".join(parts)


def _dark_windows(
    canvas: Canvas, x: float, top: float, width: float, bottom: float, *, colour: str
) -> str:
    column, row = width / 6, canvas.short_px * 0.011
    glass = mix(colour, canvas.palette.sky[2], 0.35)
    parts: list[str] = []
    y = top + row * 1.4
    while y < bottom - row * 2:
        parts.append(rect(x + column, y, width - column * 2, row * 0.8, glass, extra=opacity(0.5)))
        y += row * 2.2
    return "".join(parts)


def pagoda(
    canvas: Canvas,
    x: float,
    y: float,
    size: float,
    *,
    tiers: int,
    base: str,
    roof: str,
    depth: float,
) -> str:
    """Draw a temple tower with swung roofs; ``base`` is the walls' own colour."""
    wall, tiles = canvas.tone(base, depth), canvas.tone(roof, depth)
    gold = canvas.tone("#caa24a", depth)
    terrace = canvas.tone("#b9b0a0", depth)
    parts = [rect(x - size * 0.62, y - size * 0.1, size * 1.24, size * 0.12, terrace)]
    foot = y - size * 0.1
    for tier in range(tiers):
        width, height = size * (1 - 0.17 * tier), size * 0.26 * (1 - 0.06 * tier)
        top = foot - height
        parts.append(rect(x - width * 0.36, top, width * 0.72, height, wall))
        for column in range(5):
            left = x - width * 0.34 + column * width * 0.163
            parts.append(rect(left, top, width * 0.028, height, darken(wall, 0.4)))
        if tier == 0:
            door = darken(wall, 0.55)
            parts.append(
                rect(x - width * 0.08, foot - height * 0.8, width * 0.16, height * 0.8, door)
            )
        else:
            window = mix(wall, canvas.palette.warm, 0.55)
            parts.append(
                rect(x - width * 0.1, foot - height * 0.7, width * 0.2, height * 0.45, window)
            )
        parts.append(path(_swung_roof(x, top, width, height), tiles))
        foot = top - height * 0.40
    spire = curve("M", (x - size * 0.02, foot), "L", (x, foot - size * 0.26))
    parts.append(path(spire + curve("L", (x + size * 0.02, foot), "Z"), gold))
    parts.append(circle(x, foot - size * 0.1, size * 0.03, gold))
    return "".join(parts)


def _swung_roof(x: float, y: float, width: float, height: float) -> str:
    eave, crest = width * 0.60, y - height * 0.42
    hollow, sag = y - height * 0.02, y + height * 0.16
    # fmt: off
    return curve("M", (x - eave, y + height * 0.06),
                 "Q", (x - width * 0.40, hollow), (x - width * 0.30, crest),
                 "L", (x + width * 0.30, crest),
                 "Q", (x + width * 0.40, hollow), (x + eave, y + height * 0.06),
                 "L", (x + eave * 0.98, y - height * 0.10),
                 "Q", (x + width * 0.46, sag), (x, sag),
                 "Q", (x - width * 0.46, sag), (x - eave * 0.98, y - height * 0.10), "Z")
    # fmt: on


def castle(
    canvas: Canvas, x: float, y: float, size: float, *, base: str, depth: float, is_lit: bool
) -> str:
    """Draw a castle of four towers, a wall and a gate."""
    wall = canvas.tone(base, depth)
    roof, flag = canvas.tone("#6a3b52", depth), canvas.tone("#d8524a", depth * 0.6)
    glass = canvas.palette.warm if is_lit else darken(wall, 0.6)
    parts: list[str] = []
    for across, width, height in (
        (-0.44, 0.17, 0.55),
        (0.46, 0.16, 0.5),
        (-0.2, 0.2, 0.85),
        (0.22, 0.18, 0.72),
    ):
        tower = _Tower(x + size * across, y, size * width, size * height)
        parts.append(tower.markup(canvas, wall, roof=roof, flag=flag, glass=glass))
    parts.append(rect(x - size * 0.5, y - size * 0.36, size, size * 0.36, wall))
    for merlon in range(11):
        left = x - size * 0.5 + merlon * size * 0.094
        parts.append(rect(left, y - size * 0.40, size * 0.05, size * 0.05, wall))
    half, spring = size * 0.09, y - size * 0.16
    arch = f"A{number(half)} {number(half)} 0 0 1 "
    gate = curve("M", (x - half, y), "L", (x - half, spring), arch, (x + half, spring))
    parts.append(path(gate + curve("L", (x + half, y), "Z"), darken(wall, 0.65)))
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Tower:
    """A round tower: the middle of its foot, its width and height in pixels."""

    x: float
    y: float
    width: float
    height: float

    def markup(self, canvas: Canvas, wall: str, *, roof: str, flag: str, glass: str) -> str:
        """Draw it with battlements, a pointed roof, a flag and two windows."""
        x, y, width, height = self.x, self.y, self.width, self.height
        top, bright = y - height, lighten(wall, 0.08)
        fill = canvas.linear([(0, wall), (1, darken(wall, 0.25))])
        parts = [
            rect(x - width / 2, top, width, height, fill),
            rect(x - width * 0.58, top - width * 0.16, width * 1.16, width * 0.2, bright),
        ]
        for merlon in range(4):
            left = x - width * 0.58 + merlon * width * 0.33
            parts.append(rect(left, top - width * 0.34, width * 0.17, width * 0.2, bright))
        eaves, tip, mast = top - width * 0.18, top - width * 1.5, top - width * 1.9
        cone = [(x - width * 0.62, eaves), (x, tip), (x + width * 0.62, eaves)]
        parts.append(polygon(cone, roof))
        parts.append(line(x, mast, x, top - width * 1.4, darken(roof, 0.3), width * 0.05))
        cloth = [(x, mast), (x + width * 0.4, top - width * 1.75), (x, top - width * 1.6)]
        parts.append(polygon(cloth, flag))
        slit, rounding = (width * 0.16, width * 0.36), width * 0.08
        for storey in range(2):
            sill = y - height * (0.45 + 0.3 * storey)
            parts.append(rect(x - width * 0.08, sill, *slit, glass, rounding))
        return "".join(parts)
