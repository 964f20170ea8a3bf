"""A prompt becomes decisions: where, when, in what weather, how seen, with whom and with what.

Everything a frame shows is decided here, from words alone, before a line is drawn; what is left
open is the drawing's to choose by lot. It is apart from drawing so that a decision can be tested
as a table of sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from stage3_plugin.previz.cast import Cast
from stage3_plugin.previz.lettering import drawable
from stage3_plugin.previz.lexicon import (
    CameraWords,
    boilerplate,
    earliest,
    people_words,
    scene_words,
)
from stage3_plugin.previz.people import MOST_PEOPLE, Person, Role, people_in, roles_in
from stage3_plugin.previz.plate import Plate
from stage3_plugin.previz.text import clean, story, wish
from stage3_plugin.previz.things import Prop, things_in

NO_PROMPT = "(no prompt)"

_WET = frozenset({"rain", "storm", "fog", "snow", "overcast"})


class Shot(StrEnum):
    """How near the camera is, by its usual abbreviation."""

    EXTREME_CLOSE_UP = "ECU"
    CLOSE_UP = "CU"
    MEDIUM_CLOSE_UP = "MCU"
    MEDIUM = "MS"
    MEDIUM_WIDE = "MWS"
    WIDE = "WS"
    EXTREME_WIDE = "EWS"

    @property
    def is_close(self) -> bool:
        """Return whether faces fill the frame."""
        return self in {Shot.EXTREME_CLOSE_UP, Shot.CLOSE_UP, Shot.MEDIUM_CLOSE_UP}

    @property
    def is_full(self) -> bool:
        """Return whether people are seen from head to foot."""
        return self in {Shot.MEDIUM_WIDE, Shot.WIDE, Shot.EXTREME_WIDE}


class Angle(StrEnum):
    """From where the camera looks."""

    EYE_LEVEL = "eye"
    LOW = "low"
    HIGH = "high"
    TOP_DOWN = "top"
    DUTCH = "dutch"
    OVER_SHOULDER = "ots"


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and when.

    Attributes:
        place: One of the places of ``scenes.toml``.
        indoor: Whether it is a room.
        time: Which palette lights it.
        names_time: Whether the prompt named the time.
        weather: ``clear`` where none is named.
        dim: Whether a room is lit by lamps.
        label: What the slate calls the place.
    """

    place: str
    indoor: bool
    time: str
    names_time: bool
    weather: str
    dim: bool
    label: str


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything decided about one frame.

    Attributes:
        scene_id: The scene's name.
        prompt: Cleaned.
        caption: What the slate shows of the prompt.
        setting: Where and when.
        shot: How near.
        angle: From where.
        moods: For the colour grade.
        people: Who is in focus.
        crowd: Whether more people stand in the distance.
        props: Things, in the order of the prompt.
        snowing: Whether snow falls, or only lies.
        numbers: Whether figures float in the air.
        dust: Whether the air glitters.
        bamboo: Whether the forest is one of bamboo.
        window: Whether a window is spoken of.
        features: What of ``scenes.toml`` stands or shows behind the place.
        hand_in_hand: Whether two neighbours hold hands.
        face_to_face: Whether people look at each other, also when they move.
    """

    scene_id: str
    prompt: str
    caption: str
    setting: Setting
    shot: Shot
    angle: Angle
    moods: frozenset[str]
    people: tuple[Person, ...]
    crowd: bool
    props: tuple[Prop, ...]
    snowing: bool
    numbers: bool
    dust: bool
    bamboo: bool
    window: bool
    features: frozenset[str] = frozenset()
    hand_in_hand: bool = False
    face_to_face: bool = False


def read(plate: Plate, cast: Cast) -> Reading:
    """Decide what the frame shows."""
    prompt = clean(plate.prompt)
    wished = wish(prompt)
    wording = boilerplate().removed_from(wished, leaving=" ")
    words = scene_words()
    located = words.misleading.removed_from(wording, leaving=" ")
    listed = tuple(Role(character) for character in plate.characters)
    told = people_words().owned.sub("", wished)
    roles = listed or roles_in(told, boilerplate().removed_from(told, leaving=" "))
    people = people_in(told, roles, cast)
    crowded = len(roles) > MOST_PEOPLE
    return Reading(
        scene_id=plate.scene_id,
        prompt=prompt,
        caption=drawable(story(plate.prompt)) or NO_PROMPT,
        setting=_setting(located, wording),
        shot=_shot(wording, has_people=bool(people)),
        angle=_angle(wording),
        moods=frozenset(mood for mood, each in words.moods.items() if each.found_in(wording)),
        people=people,
        crowd=crowded or (not people and people_words().crowd.found_in(wished)),
        props=things_in(located, [person.called for person in people]),
        snowing=words.snowing.found_in(wording),
        numbers=words.numbers.found_in(wording),
        dust=words.dust.found_in(wording),
        bamboo=words.bamboo.found_in(wished),
        window=words.window.found_in(wished),
        features=frozenset(name for name, each in words.features.items() if each.found_in(wording)),
        hand_in_hand=len(people) > 1 and people_words().hand_in_hand.found_in(wording),
        face_to_face=people_words().face_to_face.found_in(wording),
    )


def _setting(located: str, wording: str) -> Setting:
    words = scene_words()
    named_time = earliest(words.times, located)
    weather = earliest(words.weathers, located) or "clear"
    place, indoor = _place(located, is_open=weather != "clear" or words.open_air.found_in(located))
    return Setting(
        place=place,
        indoor=indoor,
        time=_time(named_time, weather, indoor=indoor),
        names_time=named_time is not None,
        weather=weather,
        dim=words.dim.found_in(wording),
        label=words.places[place].called(located),
    )


def _time(wording: str | None, weather: str, *, indoor: bool) -> str:
    """Fill in the light that the weather or a room suggests."""
    if wording is None:
        if weather in _WET:
            return "overcast"
        return "day" if indoor else "neutral"
    return "overcast" if wording == "day" and weather in _WET else wording


def _place(located: str, *, is_open: bool) -> tuple[str, bool]:
    """Return the place and whether it is a room; a bare stage where nothing says it."""
    words = scene_words()
    inside = words.interior.found_in(located)
    outside = words.exterior.found_in(located) and not inside
    named = _places_named(located)
    if not named:
        is_room = inside or words.window.found_in(located)
        return ("room", True) if is_room else ("field" if outside or is_open else "stage", False)
    indoors = {place: words.places[place].indoor for place in named}
    place = named[0]
    if inside:
        if "cave" in named:
            return "cave", False
        rooms = [place for place in named if indoors[place] and place != "room"]
        grand = "castle" in named or "pagoda" in named
        return (rooms[0] if rooms else "hall" if grand else "room"), True
    if outside:
        place = next((place for place in named if not indoors[place]), place)
    if place == "city" and "street" in named:
        place = "street"
    return place, indoors[place]


def _places_named(located: str) -> list[str]:
    """List the places in the text, the one that says most about the picture first."""
    hits = [
        (start + place.yields, name)
        for name, place in scene_words().places.items()
        if (start := place.words.start(located)) is not None
    ]
    return [name for _, name in sorted(hits, key=lambda hit: hit[0])]


def _shot(wording: str, *, has_people: bool) -> Shot:
    shot = _earliest_of(scene_words().shots, wording)
    if shot is None:
        return Shot.MEDIUM if has_people else Shot.WIDE
    return Shot(shot)


def _angle(wording: str) -> Angle:
    return Angle(_earliest_of(scene_words().angles, wording) or Angle.EYE_LEVEL)


def _earliest_of(table: Mapping[str, CameraWords], wording: str) -> str | None:
    return earliest({key: camera.words for key, camera in table.items()}, wording)
