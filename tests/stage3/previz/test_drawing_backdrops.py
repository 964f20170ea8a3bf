"""Every place in every light and weather, and what figures are told about it."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.previz.backdrop import EXTERIORS, INTERIORS, exterior, interior, weather_effects
from stage3_plugin.previz.backdrop.setting import Box
from stage3_plugin.previz.lexicon import scene_words
from stage3_plugin.previz.palette import PALETTES
from tests.heavy import some_of
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


@pytest.mark.parametrize("place", some_of(PLACES, every=5))
def test_a_place_can_be_drawn_in_any_light_and_weather(place: str) -> None:
    """Every time of day and every weather gives sound markup that resvg draws."""
    for time in PALETTES:
        for weather in WEATHERS:
            canvas = blank(time=time)
            drawn = backdrop(canvas, place, time, weather)
            markup = drawn.markup + weather_effects(canvas, weather)

            assert check(canvas, markup) <= MOST_ELEMENTS
            picture = pixels(canvas, markup)
            assert picture.size == (canvas.width_px, canvas.height_px)
            assert len(picture.getcolors(1 << 16) or ()) > 50, "hardly anything is there"


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


@pytest.mark.parametrize("place", PLACES)
def test_a_seed_is_a_picture(place: str) -> None:
    """The same seed gives the same markup, another one another."""
    drawings = [
        (backdrop(canvas, place, "day", "clear").markup, canvas.definitions)
        for canvas in (blank(seed=7), blank(seed=7), blank(seed=8))
    ]

    assert drawings[0] == drawings[1]
    # Rooms of plain furniture differ only in the side of their window.
    others = [backdrop(blank(seed=seed), place, "day", "clear").markup for seed in range(8, 20)]
    if place != "corridor":
        assert any(markup != drawings[0][0] for markup in others)


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


@pytest.mark.parametrize("place", sorted(EXTERIORS))
def test_outdoors_has_a_sun_unless_none_can_be_seen(place: str) -> None:
    """Rim light follows the sun, so its place is told even behind clouds."""
    canvas = blank()
    drawn = backdrop(canvas, place, "day", "storm")

    assert not drawn.indoors
    assert drawn.lamp is None
    assert drawn.window is None
    if place in {"space", "stage", "underwater"}:
        assert drawn.sun_px is None
    else:
        assert drawn.sun_px is not None
        assert 0 < drawn.sun_px[0] < canvas.width_px
        assert 0 < drawn.sun_px[1] < canvas.height_px * 0.57


@pytest.mark.parametrize("place", sorted(INTERIORS))
def test_a_room_tells_its_window_and_lamp(place: str) -> None:
    """Figures turn to the window and stand clear of it: its box lies on the side it names."""
    canvas = blank((400, 300))
    drawn = backdrop(canvas, place, "day", "clear")

    assert drawn.indoors
    assert drawn.sun_px is None
    assert drawn.lamp is not None
    assert (drawn.window is None) == (place in {"classroom", "cockpit", "corridor", "hall"})
    if drawn.window is not None:
        x, _, width, _ = drawn.window
        assert (x + width / 2 < canvas.width_px / 2) == drawn.window_left


def test_only_a_house_has_a_door_to_stand_at() -> None:
    """The second figure of a scene stands in the door, so it must be in the picture."""
    canvas = blank((400, 300), people=2)
    drawn = backdrop(canvas, "house", "night", "clear")
    without = {
        backdrop(blank(), place, "day", "clear").door for place in PLACES if place != "house"
    }

    assert drawn.door is not None
    assert 0 < drawn.door[0] < canvas.width_px
    assert drawn.ground_px - 20 < drawn.door[1] < canvas.height_px
    assert drawn.door_height_px > 0
    assert without == {None}


def test_every_place_of_the_word_lists_can_be_drawn() -> None:
    """A word that reads as a place must not fall back to a field or a living room."""
    places = scene_words().places

    assert {name for name, place in places.items() if place.indoor} == set(INTERIORS)
    assert {name for name, place in places.items() if not place.indoor} == set(EXTERIORS)


def test_an_unknown_place_is_a_field_or_a_living_room() -> None:
    """Every word gives a picture."""
    outside = exterior(blank(), "volcano lair", 40, "day", "clear")
    inside = interior(blank(), "volcano lair", 40, "day", "clear", dim=False)

    assert outside == exterior(blank(), "field", 40, "day", "clear")
    assert inside == interior(blank(), "room", 40, "day", "clear", dim=False)


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


def test_a_room_keeps_its_light_for_what_stands_in_it() -> None:
    """After drawing a room the canvas is lit as the room is, darker when the light is low."""
    bright, dim, outside = blank(), blank(), blank()
    backdrop(bright, "room", "day", "clear")
    backdrop(dim, "room", "day", "clear", dim=True)
    backdrop(outside, "field", "day", "clear")

    assert outside.palette is PALETTES["day"]
    assert bright.palette.ambient != outside.palette.ambient
    assert dim.tone("#ffffff") < bright.tone("#ffffff")


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


@pytest.mark.parametrize("place", ["cafe", "kitchen", "lab", "office"])
def test_nothing_on_the_wall_hangs_over_the_window(place: str) -> None:
    """In a square picture there is little wall beside the window; the window stays whole."""
    for seed in range(6):
        canvas = blank((300, 300), seed=seed)
        drawn = backdrop(canvas, place, "day", "clear")
        assert drawn.window is not None
        x, y, width, height = drawn.window
        # The window's own last parts are its bars, which are as long as the panes.
        after_the_view = drawn.markup.split('clip-path="url', 1)[1].split("</g>", 1)[1]
        for left, top, wide, tall in boxes(after_the_view):
            is_bar = abs(wide - width) < 0.1 or abs(tall - height) < 0.1
            is_beside = left > x + width or left + wide < x

            assert is_bar or is_beside or top > y + height or top + tall < y


def test_clear_weather_adds_nothing() -> None:
    """Only rain, storm, snow and fog come between the viewer and the picture."""
    canvas = blank()

    assert weather_effects(canvas, "clear") == ""
    assert weather_effects(canvas, "overcast") == ""
    assert weather_effects(canvas, "fog") != ""


@pytest.mark.parametrize("weather", ["rain", "storm", "snow"])
def test_strength_tells_how_much_falls(weather: str) -> None:
    """No strength is nothing, half is half."""
    full, half, none = (
        weather_effects(blank(), weather, strength).count("<") for strength in (1.0, 0.5, 0.0)
    )

    assert (full, half, none) == (190, 95, 0)
