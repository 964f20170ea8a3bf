"""Words about a person to the look that is drawn.

What words leave open is drawn by lot from the character's identifier, so that a character without a
description still looks the same in every frame. That includes sex, age and hair: a figure must have
some, and an even lot is the least wrong guess. Skin has one neutral tone for everybody.
"""

from __future__ import annotations

from dataclasses import replace

from stage3_plugin.previz.chance import Chance, seed_of
from stage3_plugin.previz.figure import Look, default_look
from stage3_plugin.previz.lexicon import earliest, highest, people_words

_HAIR_OF_THE_OLD = "#d9dbe0"


def describe(description: str, character: str) -> Look:
    """Return the look of ``character`` as far as ``description`` has it, and by lot where not."""
    look = default_look(character, Chance(seed_of("look", character)))
    words = people_words()
    age = highest(words.ages, description) or look.age
    female = _is_female(description, otherwise=look.female)
    beard = "" if words.shaven.found_in(description) else highest(words.beards, description) or ""
    beard_colour = earliest(words.beard_colours, description) if beard else None
    garment = words.garment.search(description)
    return replace(
        look,
        age=age,
        female=female,
        hair=_hair(description, age=age, female=female),
        hair_colour=earliest(words.hair_colours, description)
        or (beard_colour or _HAIR_OF_THE_OLD if age == "old" else look.hair_colour),
        beard=beard,
        beard_colour=beard_colour,
        glasses=words.glasses.found_in(description),
        sweat=words.sweat.found_in(description),
        outfit=highest(words.outfits, description) or look.outfit,
        garment=earliest(words.colours, garment.group(0)) if garment else None,
        emotion=highest(words.emotions, description) or look.emotion,
        pose=highest(words.poses, description) or look.pose,
    )


def share(prompt: str, character: str) -> Look:
    """Return the look of one of several whom a prompt describes together (``two women talking``).

    Sex, age, clothes, feeling and pose are everybody's; the rest is each one's own.
    """
    own, shared = describe("", character), describe(prompt, character)
    words = people_words()
    has_women, has_men = words.female.found_in(prompt), words.male.found_in(prompt)
    female = own.female if has_women == has_men else has_women
    age = own.age if shared.age == "old" else shared.age
    return replace(
        own,
        female=female,
        age=age,
        hair=_hair("", age=age, female=female),
        emotion=shared.emotion,
        pose=shared.pose,
        outfit=shared.outfit,
        sweat=shared.sweat,
    )


def _is_female(description: str, *, otherwise: bool) -> bool:
    """Decide by the first word that says it."""
    female = people_words().female.start(description)
    male = people_words().male.start(description)
    if female is None:
        return otherwise if male is None else False
    return male is None or female < male


def _hair(description: str, *, age: str, female: bool) -> str:
    style = earliest(people_words().hair_styles, description)
    if style is None:
        if not female:
            return "short"
        return "bun" if age == "old" else "long"
    return "bob" if style == "short" and female else style
