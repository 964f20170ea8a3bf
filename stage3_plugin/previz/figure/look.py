"""How a person looks: the few words a figure is drawn from.

Values come from word lists, so they are plain words; a word that no drawing knows is drawn like
the first of its list here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stage3_plugin.previz.chance import Chance

AGES: Final = ("adult", "young", "child", "old")
EMOTIONS: Final = ("calm", "happy", "sad", "angry", "anxious", "serious", "shock", "delight")
HAIRCUTS: Final = ("short", "bald", "bob", "bun", "long", "messy", "ponytail")
BEARDS: Final = ("", "full", "moustache")
OUTFITS: Final = (
    "shirt",
    "armor",
    "coat",
    "dress",
    "labcoat",
    "raincoat",
    "robe",
    "spacesuit",
    "suit",
    "sweater",
)
POSES: Final = ("stand", "lean", "point", "run", "show", "sit", "think", "walk", "wave")
HELD: Final = ("sword", "umbrella")
HANDS: Final = ("", "both", "carry", "hang", "raise")

HAIR_COLOURS: Final = ("#2a2630", "#3a2c2a", "#4a3628", "#23232b")
"""What an undescribed head may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One character's looks, and what it feels and does in one scene.

    Attributes:
        age: one of ``AGES``; the young are drawn as adults.
        female: chooses proportions, nothing else.
        hair: one of ``HAIRCUTS``.
        hair_colour: "#rrggbb".
        beard: one of ``BEARDS``.
        beard_colour: "#rrggbb"; the hair's if None.
        glasses: whether it wears any.
        outfit: one of ``OUTFITS``.
        garment: the outfit's colour, if words named one; the character's own colour if None.
        emotion: one of ``EMOTIONS``.
        pose: one of ``POSES``.
        sweat: whether drops stand on its face.
        ident: who it is; the same identifier has the same strands of hair in every frame.
        hold: one of ``HELD``, or nothing. The umbrella itself is a prop, only the arm is drawn.
        hands: one of ``HANDS``: how the near hand, or both, have a prop, which is drawn elsewhere.
    """

    age: str
    female: bool
    hair: str
    hair_colour: str
    beard: str = ""
    beard_colour: str | None = None
    glasses: bool = False
    outfit: str = "shirt"
    garment: str | None = None
    emotion: str = "calm"
    pose: str = "stand"
    sweat: bool = False
    ident: str = ""
    hold: str | None = None
    hands: str = ""


def default_look(ident: str, chance: Chance) -> Look:
    """Draw by lot what no prompt has described: sex and hair colour."""
    female = chance.happens(0.45)
    hair_colour = chance.pick(HAIR_COLOURS)
    return Look(age="adult", female=female, hair="short", hair_colour=hair_colour, ident=ident)
