"""Draw characters: flat storyboard figures that look the same in every frame of a story."""

from __future__ import annotations

from stage3_plugin.providers.previz.figure.drawing import figure
from stage3_plugin.providers.previz.figure.look import (
    AGES,
    EMOTIONS,
    HAIRCUTS,
    HELD,
    OUTFITS,
    POSES,
    Look,
    default_look,
)

__all__ = [
    "AGES",
    "EMOTIONS",
    "HAIRCUTS",
    "HELD",
    "OUTFITS",
    "POSES",
    "Look",
    "default_look",
    "figure",
]
