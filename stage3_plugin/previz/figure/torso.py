"""The neck and the outfit's shape; what is on the outfit is in ``outfits``."""

from __future__ import annotations

from stage3_plugin.previz.colour import darken
from stage3_plugin.previz.figure.mannequin import NECK, Mannequin
from stage3_plugin.previz.svg import opacity, path


def torso(figure: Mannequin) -> str:
    """Draw neck and outfit, with a shaded side."""
    paint = figure.paint
    # fmt: off
    neck = figure.outline("M", (-0.20, 0.40), "L", (0.20, 0.40), "L", (0.22, NECK + 0.12),
                          "L", (-0.22, NECK + 0.12), "Z")
    # fmt: on
    parts = [
        path(neck, figure.ink(darken(paint.skin, 0.14))),
        path(_outfit(figure), figure.ink(paint.coat)),
    ]
    if not figure.is_solid:
        parts.append(path(_shaded_side(figure), darken(paint.coat, 0.30), opacity(0.42)))
    return "".join(parts)


def _outfit(figure: Mannequin) -> str:
    body = figure.body
    shoulder, waist, skirt, hem = body.shoulder, body.waist, body.skirt, body.hem
    # fmt: off
    return figure.outline(
        "M", (-0.24, NECK),
        "C", (-0.45, NECK + 0.05), (-shoulder * 0.92, NECK + 0.12), (-shoulder, NECK + 0.48),
        "C", (-shoulder * 0.96, 1.6), (-waist, 2.0), (-waist, 2.45),
        "C", (-waist, 2.8), (-skirt, body.hip_y), (-skirt, hem),
        "L", (skirt, hem),
        "C", (skirt, body.hip_y), (waist, 2.8), (waist, 2.45),
        "C", (waist, 2.0), (shoulder * 0.96, 1.6), (shoulder, NECK + 0.48),
        "C", (shoulder * 0.92, NECK + 0.12), (0.45, NECK + 0.05), (0.24, NECK), "Z",
    )
    # fmt: on


def _shaded_side(figure: Mannequin) -> str:
    """Outline the half of the outfit that is turned away."""
    body, away = figure.body, -figure.near
    shoulder, waist, skirt, hem = body.shoulder, body.waist, body.skirt, body.hem
    # fmt: off
    return figure.outline(
        "M", (away * 0.02, NECK),
        "C", (away * 0.45, NECK + 0.05), (away * shoulder * 0.92, NECK + 0.12),
        (away * shoulder, NECK + 0.48),
        "C", (away * shoulder * 0.96, 1.6), (away * waist, 2.0), (away * waist, 2.45),
        "C", (away * waist, 2.8), (away * skirt, body.hip_y), (away * skirt, hem),
        "L", (away * skirt * 0.25, hem),
        "C", (away * 0.2, 2.6), (away * 0.30, 1.6), (away * 0.02, NECK), "Z",
    )
    # fmt: on
