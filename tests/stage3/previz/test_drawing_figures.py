"""Figures: every look can be drawn, and one character is always the same one."""

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.previz.figure import (
    AGES,
    BEARDS,
    EMOTIONS,
    HAIRCUTS,
    HANDS,
    HELD,
    OUTFITS,
    POSES,
    Look,
    figure,
    grip,
)
from tests.laws import tried
from tests.stage3.previz.drawing import blank, check, colour_at, pixels

RED, BLUE = "#e4572e", "#2e86c8"
PLAIN = Look(age="adult", female=False, hair="short", hair_colour="#2a2630", ident="char_001")
MOST_ELEMENTS = 160

looks = st.builds(
    Look,
    age=st.sampled_from(AGES),
    female=st.booleans(),
    hair=st.sampled_from(HAIRCUTS),
    hair_colour=st.sampled_from(["#2a2630", "#d9dbe0", "#ffffff"]),
    beard=st.sampled_from(BEARDS),
    beard_colour=st.sampled_from([None, "#e4e6ea"]),
    glasses=st.booleans(),
    outfit=st.sampled_from(OUTFITS),
    garment=st.sampled_from([None, "#cc2233", "#ffffff"]),
    emotion=st.sampled_from(EMOTIONS),
    pose=st.sampled_from(POSES),
    sweat=st.booleans(),
    ident=st.text(max_size=8),
    hold=st.sampled_from([None, *HELD]),
    hands=st.sampled_from(HANDS),
)


def drawn(look: Look, *, unit: float = 20, colour: str = RED, facing: float = 0.5) -> str:
    return figure(blank((200, 200)), 100, 40, unit, look, colour, facing)


@tried(150)
@given(
    look=looks,
    # From a dot in a crowd to a face that fills the picture.
    unit=st.floats(1, 180),
    facing=st.floats(-1, 1),
    full=st.booleans(),
    seated=st.booleans(),
    light=st.sampled_from([-1, 1]),
    room=st.floats(0, 9),
    clasp=st.none() | st.tuples(st.floats(0, 200), st.floats(0, 200)),
)
def test_any_look_gives_a_sound_drawing(
    *,
    look: Look,
    unit: float,
    facing: float,
    full: bool,
    seated: bool,
    light: int,
    room: float,
    clasp: tuple[float, float] | None,
) -> None:
    """Markup is well-formed, finite, of bounded size, and the same the second time."""
    canvas = blank((200, 200))

    def drawing() -> str:
        return figure(
            canvas, 90, 50, unit, look, RED, facing,
            full=full, seated=seated, light=light, room=room, clasp=clasp,
        )  # fmt: skip

    markup = drawing()
    x, y = grip(canvas, 90, 50, unit, look, facing, full=full, seated=seated, clasp=clasp)

    assert check(canvas, markup) <= MOST_ELEMENTS
    assert markup == drawing()
    # No hand is farther from the head than a body is high, but one that a neighbour holds.
    assert clasp is not None or abs(x - 90) + abs(y - 50) < 9 * unit


def test_every_outfit_pose_and_haircut_is_seen() -> None:
    """Each changes the drawing, so that no word of the lists is drawn like another."""
    outfits = {drawn(replace(PLAIN, outfit=outfit)) for outfit in OUTFITS}
    haircuts = {drawn(replace(PLAIN, hair=hair)) for hair in HAIRCUTS}
    beards = {drawn(replace(PLAIN, beard=beard)) for beard in BEARDS}
    hands = {drawn(replace(PLAIN, hands=hand)) for hand in HANDS}
    emotions = {drawn(replace(PLAIN, emotion=emotion), unit=40) for emotion in EMOTIONS}
    poses = {
        figure(blank((200, 200)), 100, 40, 20, replace(PLAIN, pose=pose), RED, seated=pose == "sit")
        for pose in POSES
    }

    assert len(outfits) == len(OUTFITS)
    assert len(haircuts) == len(HAIRCUTS)
    assert len(beards) == len(BEARDS)
    assert len(hands) == len(HANDS)
    assert len(emotions) == len(EMOTIONS)
    assert len(poses) == len(POSES)


def test_the_cast_colour_can_be_found_on_every_outfit() -> None:
    """Each character is told by its colour, whatever it wears, unless words name another."""
    for outfit in OUTFITS:
        look = replace(PLAIN, outfit=outfit)

        assert drawn(look, colour=RED) != drawn(look, colour=BLUE), outfit


def test_a_garment_has_the_colour_that_words_name() -> None:
    """A red dress is red, also on the character whose own colour is blue."""
    canvas = blank((120, 200))
    look = replace(PLAIN, outfit="dress", garment="#cc2233")
    picture = pixels(canvas, figure(canvas, 60, 30, 20, look, BLUE))
    red, green, blue = colour_at(picture, 66, 110)

    assert red > 2 * green
    assert red > 2 * blue


def test_faces_have_as_much_detail_as_their_size_allows() -> None:
    """A figure in a crowd has no face, a small one dots for eyes, a close-up has irises."""
    sizes = [drawn(PLAIN, unit=unit).count("<") for unit in (4, 12, 60)]

    assert sizes[0] < sizes[1] < sizes[2]


def test_sitting_down_keeps_the_feet_and_lowers_the_head() -> None:
    """Who sits keeps the shadow where it was, so that staging need not know."""
    canvas = blank((200, 200))
    standing, sitting = (
        figure(canvas, 100, 40, 20, PLAIN, RED, seated=seated) for seated in (False, True)
    )
    shadow = re.compile(r"^<ellipse[^>]*/>")
    first, second = shadow.match(standing), shadow.match(sitting)
    assert first is not None
    assert second is not None

    assert first.group() == second.group()
    head = figure(canvas, 100, 40, 20, PLAIN, RED, full=False, seated=True)
    assert head == figure(canvas, 100, 40, 20, PLAIN, RED, full=False)
    skin = colour_at(pixels(canvas, standing), 100, 36)
    assert colour_at(pixels(canvas, sitting), 100, 36) != skin


def pixel(look: Look, x: int, y: int) -> tuple[int, int, int]:
    """Return one pixel of a figure that looks at the viewer, its head 40 pixels at (100, 60)."""
    canvas = blank((200, 420))
    return colour_at(pixels(canvas, figure(canvas, 100, 60, 40, look, RED)), x, y)


def test_a_white_beard_is_white_and_covers_the_chin() -> None:
    """Below the mouth there is hair and not skin; the shaven chin stays skin."""
    red, green, blue = pixel(replace(PLAIN, beard="full", beard_colour="#e4e6ea"), 100, 84)
    chin = pixel(PLAIN, 100, 76)

    assert min(red, green, blue) > 150
    assert abs(red - blue) < 25
    assert chin[0] > chin[2] + 30, "not skin"


def test_a_hand_meets_the_hand_it_is_to_hold() -> None:
    """There is skin where two hands are said to meet, also when the body leans."""
    for pose in ("stand", "run"):
        canvas = blank((200, 200))
        look = replace(PLAIN, pose=pose)
        markup = figure(canvas, 80, 40, 20, look, RED, 0.75, clasp=(118, 90))
        red, green, blue = colour_at(pixels(canvas, markup), 118, 90)

        assert red > green > blue > 60
