"""The kit: colours, chance, SVG text, and the canvas that names definitions."""

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.previz.chance import Chance, seed_of
from stage3_plugin.previz.colour import darken, lighten, luminance, mix, multiply, screen
from stage3_plugin.previz.palette import CAST_COLOURS, PALETTES
from stage3_plugin.previz.svg import curve, number, rect, smooth, straight
from tests.stage3.previz.drawing import blank, check

colours = st.integers(0, 0xFFFFFF).map("#{:06x}".format)
shares = st.floats(0, 1)


def channels(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]


@given(colours, colours, shares)
def test_mixing_stays_between_its_ends(a: str, b: str, share: float) -> None:
    """Each channel of a mix lies between those it was mixed from, and the ends are exact."""
    mixed = channels(mix(a, b, share))

    assert mix(a, b, 0) == a
    assert mix(a, b, 1) == b
    assert all(
        min(pair) <= value <= max(pair)
        for value, *pair in zip(mixed, channels(a), channels(b), strict=True)
    )


@given(colours, colours)
def test_filters_only_darken_and_lights_only_lighten(a: str, b: str) -> None:
    """Multiplying never lightens a channel, screening never darkens one."""
    for value, filtered, lit in zip(
        channels(a), channels(multiply(a, b)), channels(screen(a, b)), strict=True
    ):
        assert filtered <= value <= lit


@given(colours, shares)
def test_luminance_follows_light(colour: str, share: float) -> None:
    """A darkened colour is never lighter, a lightened one never darker, beyond rounding."""
    assert 0 <= luminance(colour) <= 1
    assert luminance(lighten(colour, share)) >= luminance(colour)
    # The ink is not black: what is darker than ink comes lighter out of the shadow.
    if min(channels(colour)) >= 0x0F:
        assert luminance(darken(colour, share)) <= luminance(colour)


def test_a_seed_is_the_same_in_every_process() -> None:
    """A seed must not depend on the interpreter's hash seed, or no frame could be made again."""
    code = (
        "from stage3_plugin.previz.chance import Chance, seed_of;"
        "print(seed_of('scene_001', 7, '王'), Chance(seed_of('a')).between(0, 1))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }

    assert len(answers) == 1


def test_parts_of_a_seed_do_not_run_together() -> None:
    """``("ab", "c")`` and ``("a", "bc")`` are different pictures; a lone surrogate is no error."""
    assert seed_of("ab", "c") != seed_of("a", "bc")
    assert seed_of("\ud800") == seed_of("\udfff") != seed_of("")


@given(st.integers(), st.integers(-9, 9), st.integers(0, 9))
def test_chance_keeps_its_bounds(seed: int, low: int, width: int) -> None:
    """Whole numbers include both ends, picks are members, probabilities 0 and 1 are certain."""
    chance = Chance(seed)

    assert low <= chance.whole(low, low + width) <= low + width
    assert low <= chance.between(low, low + width) <= low + width
    assert chance.pick("abc") in "abc"
    assert not chance.happens(0)
    assert chance.happens(1)


def test_every_draw_takes_one_number() -> None:
    """Draws can be counted: that is what lets a drawing stay as it is when one is changed."""
    drawn, plain = Chance(5), Chance(5)
    drawn.between(0, 9)
    drawn.whole(1, 6)
    drawn.pick("abc")
    drawn.happens(0.5)
    for _ in range(4):
        plain.random()

    assert drawn.random() == plain.random()


def test_whole_numbers_reach_both_ends() -> None:
    """A die has six sides, about equally often."""
    die = Chance(3)
    rolls = Counter(die.whole(1, 6) for _ in range(6000))

    assert set(rolls) == {1, 2, 3, 4, 5, 6}
    assert min(rolls.values()) > 850


@pytest.mark.parametrize(
    "value, written", [(3.0, "3"), (3.04, "3"), (3.06, "3.1"), (-0.5, "-0.5"), (1e4, "10000")]
)
def test_numbers_are_short(value: float, written: str) -> None:
    """One decimal is finer than a pixel; more would only make documents longer."""
    assert number(value) == written


def test_curves_are_written_as_svg_expects() -> None:
    """Commands stand before their points, and closing goes straight down and back."""
    assert curve("M", (0, 1), "C", (1, 1), (2, 2), (3, 3), "Z") == "M0 1C1 1 2 2 3 3Z"
    assert straight([(0, 1), (5, 2)], 9) == "M0 1L5 2L5 9L0 9Z"
    assert smooth([(0, 0), (6, 0), (12, 0)]) == "M0 0C1 0 4 0 6 0C8 0 11 0 12 0"
    assert rect(1, 2, 3, 4, "#fff", 5) == (
        '<rect x="1" y="2" width="3" height="4" rx="5" fill="#fff"/>'
    )


def test_definitions_have_names_of_their_own() -> None:
    """Gradients, filters and stencils never share a name, whatever order they are made in."""
    canvas = blank()
    fills = [
        canvas.linear([(0, "#fff"), (1, "#000", 0.5)]),
        canvas.radial([(0, "#fff"), (1, "#000")], 10, 10, 5, user_space=True),
        canvas.blur(2),
        canvas.clip(rect(0, 0, 1, 1, "#fff")),
        canvas.linear([(0, "#fff"), (1, "#000")], user_space=True),
    ]
    markup = "".join(rect(0, 0, 9, 9, fill) for fill in fills) + canvas.glow(5, 5, 9, "#fff")

    assert len(set(fills)) == len(fills)
    assert check(canvas, markup) > len(fills)
    assert '<stop offset="1" stop-color="#000" stop-opacity="0.5"/>' in canvas.definitions[0]


def test_depth_ends_in_haze() -> None:
    """What is infinitely far has the colour of the haze, what is here that of the light."""
    canvas = blank(time="sunset")

    assert canvas.tone("#123456", 1.0) == canvas.palette.haze
    assert canvas.tone("#ffffff") == canvas.palette.ambient
    assert luminance(canvas.tone("#ffffff", 0, 0.5)) < luminance(canvas.palette.ambient)


def test_a_room_does_not_change_the_palettes_of_other_pictures() -> None:
    """Relighting a canvas replaces its own palette only."""
    before = PALETTES["night"]
    canvas = blank(time="night")
    canvas.lit_by("#ffffff")

    assert canvas.palette.ambient == "#ffffff"
    assert PALETTES["night"] is before
    assert before.ambient != "#ffffff"


def test_cast_colours_can_be_told_apart() -> None:
    """Twelve characters have twelve colours, each two of them clearly different."""
    pairs = [(a, b) for index, a in enumerate(CAST_COLOURS) for b in CAST_COLOURS[index + 1 :]]

    assert all(
        sum(abs(x - y) for x, y in zip(channels(a), channels(b), strict=True)) > 40
        for a, b in pairs
    )
