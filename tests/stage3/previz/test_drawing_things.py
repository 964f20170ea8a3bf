"""Where things are drawn: in the water, in the sky, in hands, and beside people."""

from dataclasses import replace

import pytest

from stage3_plugin.previz.backdrop import exterior
from stage3_plugin.previz.compose import compose
from stage3_plugin.previz.frame import divide
from stage3_plugin.previz.lexicon import prop_words
from stage3_plugin.previz.props import Room, behind, choose, thing
from stage3_plugin.previz.things import Prop
from tests.stage3.previz.drawing import (
    PLACE,
    SIZE,
    blank,
    check,
    colour_at,
    lightness,
    pixels,
    reading_of,
    staged,
)


def drawn(prompt: str, *characters: str) -> tuple[str, str]:
    """Return the markup behind the people, and that of the people and in front of them."""
    sheets = compose(reading_of(prompt, *characters), SIZE, seed=0, caption=False)
    return sheets.background, sheets.foreground or ""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(prop_words()))
@pytest.mark.parametrize("colour", [None, "#2f6fb8"])
def test_every_thing_can_be_drawn_at_any_size(name: str, colour: str | None) -> None:
    """Sound markup, something on the picture, and the same the second time."""
    words = prop_words()[name]
    prop = Prop(icon=name, kind=words.kind, heads=words.heads, colour=colour)
    for size_px in (6, 120):
        canvas, again = blank((200, 200)), blank((200, 200))
        markup = thing(prop, canvas, 100, 150, size_px, flip=size_px > 100)

        assert check(canvas, markup) > 1
        assert markup == thing(prop, again, 100, 150, size_px, flip=size_px > 100)
        assert len(pixels(canvas, markup).getcolors(1 << 16) or ()) > 2


def test_a_blue_boat_is_blue_and_brings_no_water_of_its_own() -> None:
    """Its hull is dyed, its sail is not."""

    def hull(colour: str | None) -> tuple[int, int, int]:
        canvas = blank((200, 200))
        prop = Prop(icon="boat", kind="water", colour=colour)
        return colour_at(pixels(canvas, thing(prop, canvas, 100, 150, 160)), 100, 145)

    red, _, blue = hull("#2f6fb8")
    other_red, _, other_blue = hull("#c8323c")

    assert blue > red
    assert other_red > other_blue


def test_an_icon_is_lit_by_the_place_it_stands_in() -> None:
    """At night a dog is darker than by day; a flame shines as it is."""

    def light(name: str, time: str) -> float:
        canvas = blank((100, 100), time=time)
        prop = Prop(icon=name, kind="animal")
        return lightness(pixels(canvas, thing(prop, canvas, 50, 90, 80)), (0, 0, 100, 100))

    assert light("dog", "night") < light("dog", "day") - 10
    assert light("fire", "night") == light("fire", "day")


@pytest.mark.parametrize(
    "prompt,is_there",
    [
        ("Wide shot of a whale in the open sea", True),
        ("Wide shot of a whale off the beach", True),
        ("Wide shot of a whale painted on the wall of a street", False),
        ("Wide shot of a desert, the bones of a whale", False),
    ],
)
def test_what_swims_is_in_water_or_nowhere(prompt: str, is_there: bool) -> None:  # noqa: FBT001 - a table
    """Where there is no water only the caption tells of it."""
    reading = reading_of(prompt)
    frame = divide(reading, SIZE, caption=False)
    markup = behind(choose(reading), reading, frame, PLACE, blank(SIZE), Room(SIZE[0]))

    assert bool(markup) is is_there


def test_who_is_at_sea_on_the_boat_does_not_see_it_from_outside() -> None:
    """They stand on the boat; a boat may pass by."""
    assert choose(reading_of("the sea, the boat", "Ann Lee")).big is None
    assert choose(reading_of("the sea, a boat far off", "Ann Lee")).big is not None
    assert choose(reading_of("the sea, the boat. Empty, nobody")).big is not None
    assert choose(reading_of("a boat in a street")).big is None


def test_what_words_put_into_a_hand_is_drawn_small_in_that_hand() -> None:
    """Whoever holds it has it, at its own size, and it is not on the ground too."""
    staging, _, _ = staged(
        "Wide shot of a pier. Ann Lee waits, Bob Ray walks with a folded map in his hand",
        "Ann Lee",
        "Bob Ray",
    )
    carrying = {figure.person.character: figure.carries for figure in staging.figures}

    assert carrying["Ann Lee"] is None
    held = carrying["Bob Ray"]
    assert held is not None
    assert (held.icon, held.heads < 1.5) == ("world-map", True)
    assert staging.handy == ()


def test_two_who_hold_hands_stand_close_and_look_the_same_way() -> None:
    """Both hands meet at one point; a lantern between them hangs from it."""
    staging, _, _ = staged(
        "Wide shot: Ann Lee and Bob Ray run hand in hand to a tower, a lantern between them",
        "Ann Lee",
        "Bob Ray",
    )
    first, second = sorted(staging.figures, key=lambda standing: standing.x)

    assert first.clasp is not None
    assert first.clasp == second.clasp
    assert first.x < first.clasp[0] < second.x
    assert second.x - first.x < 3.2 * first.head_px
    assert first.facing == second.facing > 0
    assert staging.between is not None
    assert staging.between[0].icon == "lantern"


def test_who_waves_from_the_boat_stands_in_it_and_the_pier_ends_before_it() -> None:
    """The other one stands on the pier; no second boat is drawn."""
    prompt = "Medium-wide shot of a harbour. Ann Lee waves from the blue boat, Bob Ray waits"
    staging, chosen, _ = staged(prompt, "Ann Lee", "Bob Ray")

    assert [(f.person.character, f.afloat, f.full) for f in staging.figures] == [
        ("Ann Lee", True, False),
        ("Bob Ray", False, True),
    ]
    assert chosen.big is None
    assert staging.boat is not None
    assert staging.boat.colour == "#2f6fb8"


@pytest.mark.parametrize(
    "feature,place",
    [
        ("lighthouse", "sea"),
        ("lighthouse", "harbour"),
        ("lighthouse", "beach"),
        ("lighthouse", "tower"),
        ("mountains", "field"),
        ("afloat", "harbour"),
        ("afloat left", "harbour"),
        ("afloat right", "harbour"),
    ],
)
def test_features_change_the_place_they_belong_to(feature: str, place: str) -> None:
    """What the prompt names behind a place is drawn there, soundly."""
    for time in ("day", "night"):
        canvas = replace(blank((300, 200), time=time, people=2), features=frozenset({feature}))
        plain = exterior(blank((300, 200), time=time, people=2), place, 110, time, "clear")
        markup = exterior(canvas, place, 110, time, "clear").markup

        assert check(canvas, markup) > 10
        assert markup != plain.markup
