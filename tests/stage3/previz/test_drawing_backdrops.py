"""Every place in every light and weather, and what figures are told about it."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.previz.backdrop import EXTERIORS, INTERIORS, weather_effects
from stage3_plugin.previz.backdrop.setting import Box
from stage3_plugin.previz.lexicon import scene_words
from stage3_plugin.previz.palette import PALETTES
from tests.laws import tried
from tests.stage3.previz.drawing import backdrop, blank, check, lightness, pixels

PLACES = sorted([*EXTERIORS, *INTERIORS])
WEATHERS = ("clear", "rain", "storm", "snow", "fog", "overcast")
MOST_ELEMENTS = 3800
"""For pictures at most four times as long as wide; a city at night has about 3,000."""


def boxes(markup: str) -> Iterator[Box]:
    """Return x, y, width and height of every rectangle."""
    box = r'<rect x="([-.\d]+)" y="([-.\d]+)" width="([.\d]+)" height="([.\d]+)"'
    for found in re.finditer(box, markup):
        x, y, width, height = map(float, found.groups())
        yield x, y, width, height


@pytest.mark.parametrize("place", PLACES)
def test_a_place_covers_the_whole_picture(place: str) -> None:
    """Nothing of the empty canvas shows through, at any size's edge."""
    for size in ((96, 64), (64, 96)):
        canvas = blank(size)
        drawn = backdrop(canvas, place, "day", "clear")
        magenta = f'<rect width="{size[0]}" height="{size[1]}" fill="#ff00ff"/>'
        picture = pixels(canvas, magenta + drawn.markup)
        colours = picture.getcolors(1 << 16) or []

        assert (255, 0, 255) not in {colour for _, colour in colours}


@tried(60)
@given(
    # From the smallest thumbnail to twice the largest size on offer; longer strips than 4:1
    # only repeat what they show.
    short_px=st.integers(16, 900),
    stretch=st.floats(1, 4),
    upright=st.booleans(),
    seed=st.integers(0, 2**64),
    place=st.sampled_from(PLACES),
    time=st.sampled_from(sorted(PALETTES)),
    weather=st.sampled_from(WEATHERS),
    people=st.integers(0, 4),
    flag=st.booleans(),
)
def test_any_size_and_seed_gives_a_sound_drawing(
    *,
    short_px: int,
    stretch: float,
    upright: bool,
    seed: int,
    place: str,
    time: str,
    weather: str,
    people: int,
    flag: bool,
) -> None:
    """Markup stays well-formed, finite and of bounded size."""
    long_px = int(short_px * stretch)
    size = (short_px, long_px) if upright else (long_px, short_px)
    canvas = blank(size, seed=seed, time=time, people=people, bamboo=flag)
    drawn = backdrop(canvas, place, time, weather, dim=flag)

    assert check(canvas, drawn.markup + weather_effects(canvas, weather)) <= MOST_ELEMENTS
    assert 0 < drawn.ground_px < size[1]


def test_every_place_of_the_word_lists_can_be_drawn() -> None:
    """A word that reads as a place must not fall back to a field or a living room."""
    places = scene_words().places

    assert {name for name, place in places.items() if place.indoor} == set(INTERIORS)
    assert {name for name, place in places.items() if not place.indoor} == set(EXTERIORS)


@pytest.mark.parametrize(
    "place", ["battlefield", "castle", "city", "field", "forest", "house", "mountain", "pagoda"]
)
def test_snow_lies_on_the_ground(place: str) -> None:
    """Where it snows the ground is much lighter than on a clear day."""
    ground: list[float] = []
    for weather in ("clear", "snow"):
        canvas = blank((120, 120))
        picture = pixels(canvas, backdrop(canvas, place, "day", weather).markup)
        ground.append(lightness(picture, (0, 95, 120, 120)))

    assert ground[1] > ground[0] + 25


def test_night_is_darker_and_lamps_are_lit() -> None:
    """A house at night is dark, with light in its door."""
    day, night = (
        pixels(canvas, backdrop(canvas, "house", time, "clear").markup)
        for time in ("day", "night")
        for canvas in [blank((240, 240), time=time)]
    )
    door = backdrop(blank((240, 240)), "house", "day", "clear").door
    assert door is not None
    x, y = int(door[0]), int(door[1]) - 14

    assert lightness(night, (0, 0, 240, 240)) < lightness(day, (0, 0, 240, 240)) / 2
    assert lightness(night, (x - 4, y - 8, x + 4, y)) > lightness(day, (x - 4, y - 8, x + 4, y))


@pytest.mark.parametrize("place", ["bedroom", "lab", "library"])
def test_a_window_is_where_figures_are_told_it_is(place: str) -> None:
    """A frame fits closely around the box that staging is given."""
    drawn = backdrop(blank((600, 300)), place, "day", "clear")
    assert drawn.window is not None
    x, y, width, height = drawn.window
    frames = [
        frame
        for frame in boxes(drawn.markup)
        if frame[0] < x < x + width < frame[0] + frame[2] < x + width * 1.1
        and frame[1] < y < y + height < frame[1] + frame[3] < y + height * 1.1
    ]

    assert len(frames) == 1
