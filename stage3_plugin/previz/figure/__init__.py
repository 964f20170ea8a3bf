"""Draw characters: flat storyboard figures that look the same in every frame of a story."""

from __future__ import annotations

from stage3_plugin.previz.figure.drawing import figure, fist, grip, over_table
from stage3_plugin.previz.figure.look import (
    AGES,
    BEARDS,
    EMOTIONS,
    HAIRCUTS,
    HANDS,
    HELD,
    OUTFITS,
    POSES,
    Look,
    default_look,
)
from stage3_plugin.previz.figure.mannequin import standing_foot_y

__all__ = [
    "AGES",
    "BEARDS",
    "EMOTIONS",
    "HAIRCUTS",
    "HANDS",
    "HELD",
    "OUTFITS",
    "POSES",
    "Look",
    "default_look",
    "figure",
    "fist",
    "grip",
    "over_table",
    "standing_foot_y",
]
