"""Where things go: vehicles and boats, animals, what flies, swims, lies on a table or is carried.

Which things there are was read from the prompt; this module alone knows how many of each kind a
frame bears and where each kind has its place: boats and whales in the water, birds in the sky, a
lantern in a hand or on a post, and nothing in front of anybody's belly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from stage3_plugin.previz.backdrop import Backdrop, pier_posts
from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import darken, lighten, mix
from stage3_plugin.previz.frame import Frame
from stage3_plugin.previz.icons import icon
from stage3_plugin.previz.lexicon import PropKind
from stage3_plugin.previz.reading import Reading
from stage3_plugin.previz.shapes import SHAPES, lamp_post, ripples, sitting_dog, tilted
from stage3_plugin.previz.svg import curve, number, opacity, path, rect, stroke
from stage3_plugin.previz.things import Held, Prop

HELD_AS = {"crossed-swords": "sword", "dagger": "sword", "umbrella": "umbrella"}
"""Icons that a figure holds instead, by what it then holds."""

LANTERNS = frozenset({"lantern", "red-paper-lantern"})
"""They light what is around them."""
_SHINING = LANTERNS | {"candle", "fire", "light-bulb", "magic-wand"}
_FLAMES = frozenset({"candle", "fire"})
_WATERS = frozenset({"sea", "lake", "beach", "harbour"})
_WHITE_TABLES = frozenset({"lab", "hospital", "kitchen"})
_WAITING = {"dog": sitting_dog}
_AT_FEET_HEADS = 1.9
"""How large an animal at a person's feet is, in heads."""
_ICONS_LIT = 0.45
"""How much lighter than the place icons are lit, so that they can be made out at night."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The props one frame bears; the rest is in the caption alone.

    Attributes:
        big: A vehicle, a tent, a boat.
        animals: On the ground.
        flying: In the sky.
        swimming: Under water.
        handy: On a table, in a hand, or about.
    """

    big: Prop | None
    animals: tuple[Prop, ...]
    flying: tuple[Prop, ...]
    swimming: tuple[Prop, ...]
    handy: tuple[Prop, ...]


@dataclass(frozen=True, slots=True)
class Feet:
    """Where a person stands, and how high their head is, in pixels."""

    x: float
    y: float
    head_px: float


@dataclass(slots=True)
class Room:
    """The width of a frame that is still free, from side to side, in pixels.

    Attributes:
        width_px: The whole width.
        taken: From where to where something stands.
    """

    width_px: int
    taken: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    def place(self, canvas: Canvas, need_px: float, *, near: float | None = None) -> float:
        """Return the middle of a free place for something so wide, and take it.

        The widest place is chosen, or of those that are wide enough the nearest to ``near``, which
        is a share of the width.
        """
        start, end = self._widest()
        fitting = [gap for gap in self._gaps() if gap[1] - gap[0] >= need_px]
        if near is not None and fitting:
            wanted = self.width_px * near
            start, end = min(fitting, key=lambda gap: abs((gap[0] + gap[1]) / 2 - wanted))
        spare = max(0.0, end - start - need_px)
        share = canvas.chance.pick((0.3, 0.7)) if spare > need_px else 0.5
        x = start + need_px / 2 + spare * share
        if end - start < need_px:
            x = (start + end) / 2
        self.taken.append((x - need_px / 2, x + need_px / 2))
        return x

    def row(self, most: int, need_px: float) -> list[float]:
        """Return the middles of a row of things in the widest place, and take it: one at least."""
        start, end = self._widest()
        count = max(1, min(most, int((end - start) / need_px)))
        step_px = (end - start) / count
        self.taken.append((start, end))
        return [start + step_px * (rank + 0.5) for rank in range(count)]

    def widest_px(self) -> float:
        """Return how wide the widest free place is."""
        start, end = self._widest()
        return end - start

    def _widest(self) -> tuple[float, float]:
        return max(self._gaps(), key=lambda gap: (round(gap[1] - gap[0]), gap[0]))

    def _gaps(self) -> list[tuple[float, float]]:
        gaps: list[tuple[float, float]] = []
        start = self.width_px * 0.03
        for left, right in sorted(self.taken):
            gaps.append((start, max(start, left)))
            start = max(start, right)
        return [*gaps, (start, max(start, self.width_px * 0.97))]


def choose(reading: Reading) -> Chosen:
    """Pick the first few of each kind."""

    def of_kind(*kinds: PropKind) -> tuple[Prop, ...]:
        return tuple(prop for prop in reading.props if prop.kind in kinds)

    big = [prop for prop in of_kind("ground", "water") if _fits(prop, reading)]
    has_flasks = reading.setting.place == "lab"  # the laboratory comes with its own
    handy = [p for p in of_kind("hand") if not (has_flasks and p.icon == "alembic")]
    return Chosen(
        big=big[0] if big else None,
        animals=of_kind("animal")[:2],
        flying=of_kind("sky")[:2],
        swimming=of_kind("underwater")[:2],
        handy=tuple(sorted(handy[:4], key=lambda prop: not prop.held.is_carried)[:3]),
    )


def _fits(big: Prop, reading: Reading) -> bool:
    setting = reading.setting
    if setting.indoor or (big.kind == "water" and not is_by_water(reading)):
        return False
    # A person at sea on "the boat" stands on it; a boat that carries people is drawn with them.
    at_sea = setting.place == "sea" and reading.people and big.kind == "water"
    return not (at_sea and big.is_known) and not any_afloat(reading)


def is_by_water(reading: Reading) -> bool:
    """Return whether there is water that something can float in."""
    place = reading.setting.place
    return place in _WATERS or (place == "tower" and "lighthouse" in reading.features)


def any_afloat(reading: Reading) -> bool:
    """Return whether a person stands in a boat in the harbour."""
    return reading.setting.place == "harbour" and any(person.aboard for person in reading.people)


def thing(
    prop: Prop,
    canvas: Canvas,
    x: float,
    y: float,
    size_px: float,
    *,
    flip: bool = False,
    shadow: bool = True,
) -> str:
    """Draw a prop: by our own drawing if there is one, as an icon if not."""
    shape = SHAPES.get(prop.icon)
    if shape is None:
        light = mix(canvas.palette.ambient, "#ffffff", _ICONS_LIT)
        lit = None if prop.icon in _SHINING else light
        return icon(prop.icon, x, y, size_px, flip=flip, shadow=shadow, dye=prop.colour, light=lit)
    return _flipped(shape(canvas, x, y, size_px, prop.colour), x, flip=flip)


def _flipped(drawn: str, x: float, *, flip: bool) -> str:
    return f'<g transform="translate({number(2 * x)},0) scale(-1,1)">{drawn}</g>' if flip else drawn


def behind(
    chosen: Chosen, reading: Reading, frame: Frame, backdrop: Backdrop, canvas: Canvas, room: Room
) -> str:
    """Draw what stands, flies and swims behind the people.

    Args:
        chosen: The things.
        reading: What the frame shows.
        frame: Its measures.
        backdrop: Where ground and water are.
        canvas: Where to.
        room: Where no person stands; what is drawn takes its place there.
    """
    is_outdoors = not reading.setting.indoor
    overhead = Room(room.width_px, list(room.taken))
    swimming = "".join(
        _swimming(prop, rank, reading, frame, backdrop, canvas, room)
        for rank, prop in enumerate(chosen.swimming)
    )
    return (
        swimming
        + (_big(chosen.big, reading, frame, backdrop, canvas, room) if chosen.big else "")
        + _animals(
            _elsewhere(chosen, reading), frame, backdrop, canvas, room, people=len(reading.people)
        )
        + (_flying(chosen.flying, frame, backdrop, canvas, overhead) if is_outdoors else "")
    )


def _elsewhere(chosen: Chosen, reading: Reading) -> tuple[Prop, ...]:
    """Return the animals that do not keep to a person's feet."""
    if not (reading.people and reading.shot.is_full):
        return chosen.animals
    return tuple(prop for prop in chosen.animals if prop.held is not Held.FEET)


def about(
    handy: tuple[Prop, ...],
    reading: Reading,
    frame: Frame,
    backdrop: Backdrop,
    canvas: Canvas,
    room: Room,
    head_px: float,
) -> str:
    """Draw what no person carries, beside the people, where there is no table.

    Lanterns outdoors hang on posts. The rest lies on the ground at its own size; in a near shot
    no ground can be seen, and it is in the caption alone.
    """
    is_full, has_people = reading.shot.is_full, bool(reading.people)
    ground_y = backdrop.ground_px + (frame.view_px - backdrop.ground_px) * 0.62
    ground_y = min(ground_y, frame.floor_px)
    drawn: list[str] = []
    for prop in handy:
        if prop.icon in LANTERNS and not reading.setting.indoor:
            drawn.append(_lamp_posts(prop, frame, backdrop, canvas, room, head_px=head_px))
        elif not has_people:
            size_px = frame.short_px * (0.12 if is_full else 0.26)
            x = room.place(canvas, size_px * 1.2)
            drawn.append(thing(prop, canvas, x, ground_y, size_px))
        elif is_full:
            size_px = max(prop.heads * head_px * 1.15, frame.short_px * 0.03)
            drawn.append(thing(prop, canvas, room.place(canvas, size_px * 1.5), ground_y, size_px))
    return "".join(drawn)


def table(
    handy: tuple[Prop, ...],
    reading: Reading,
    frame: Frame,
    canvas: Canvas,
    first_x: float,
    head_px: float,
) -> str:
    """Draw the table in front of the people, with what lies on it."""
    short_px = frame.short_px
    is_close = reading.shot.is_close
    y = frame.floor_px - short_px * (0.035 if is_close else 0.085)
    is_white = reading.setting.place in _WHITE_TABLES
    wood = canvas.tone("#e9eef0" if is_white else "#8a5a3a")
    top = canvas.linear([(0, lighten(wood, 0.12)), (0.06, wood), (1, darken(wood, 0.55))])
    markup = rect(-10, y, frame.width_px + 20, frame.height_px - y, top)
    edge = lighten(wood, 0.4)
    markup += rect(-10, y, frame.width_px + 20, short_px * 0.006, edge, 0, opacity(0.8))
    shares = _table_shares(len(reading.people), len(handy), first_x)
    for rank, (prop, share) in enumerate(zip(handy, shares, strict=False)):
        size_px = max(short_px * 0.09, min(prop.heads * head_px, short_px * 0.34))
        foot = y + short_px * 0.045 + rank * short_px * 0.012
        is_flipped = prop.icon == "microscope" and share < 0.5
        if prop.icon in _FLAMES:
            flame = (frame.width_px * share, foot - size_px * 0.8)
            markup += canvas.glow(*flame, size_px * 2.6, canvas.palette.warm, 0.55)
        markup += thing(prop, canvas, frame.width_px * share, foot, size_px, flip=is_flipped)
    return markup


def _waterline(frame: Frame, backdrop: Backdrop) -> float:
    if backdrop.waterline_px is not None:
        return backdrop.waterline_px
    return frame.horizon_px + (frame.height_px - frame.horizon_px) * 0.16


def _big(
    prop: Prop, reading: Reading, frame: Frame, backdrop: Backdrop, canvas: Canvas, room: Room
) -> str:
    if prop.kind == "water":
        return _afloat(prop, reading, frame, backdrop, canvas, room)
    size_px = frame.short_px * 0.30
    if backdrop.door:
        x = frame.width_px * canvas.chance.pick((0.2, 0.22))
    else:
        x = room.place(canvas, size_px)
    y = backdrop.ground_px + frame.height_px * 0.06
    return thing(prop, canvas, x, y, size_px, flip=x < frame.width_px * 0.5)


def _afloat(
    prop: Prop, reading: Reading, frame: Frame, backdrop: Backdrop, canvas: Canvas, room: Room
) -> str:
    """Draw a boat in the water, larger where it lies at a pier, on a wave where waves are high."""
    berth = backdrop.berth
    if berth is not None:
        size_px = frame.short_px * 0.26
        boat = _floating(prop, canvas, berth.x, berth.y, size_px, flip=berth.tilt > 0)
        return tilted(boat, berth.x, berth.y, berth.tilt)
    size_px = frame.short_px * (0.42 if reading.setting.place == "harbour" else 0.26)
    x = _in_water(reading, room).place(canvas, size_px * 1.05)
    y = _waterline(frame, backdrop)
    boat = _floating(prop, canvas, x, y, size_px, flip=x > frame.width_px * 0.5)
    if reading.setting.place == "harbour":
        boat += _rope(canvas, x, y, size_px, backdrop.ground_px - frame.height_px * 0.055)
    return boat


def _floating(prop: Prop, canvas: Canvas, x: float, y: float, size_px: float, *, flip: bool) -> str:
    """Draw a boat; of an icon, only what is above the water that it brings along."""
    if prop.icon in SHAPES:
        return thing(prop, canvas, x, y, size_px, flip=flip, shadow=False)
    box = rect(x - size_px, y - size_px * 2, size_px * 2, size_px * 2, "#000")
    sunk = thing(prop, canvas, x, y + size_px * 0.14, size_px, flip=flip, shadow=False)
    above = f'<g clip-path="{canvas.clip(box)}">{sunk}</g>'
    return above + ripples(canvas, x, y, size_px * 0.5)


def _in_water(reading: Reading, room: Room) -> Room:
    """Return the room that is water: a lighthouse stands on land."""
    if reading.setting.place != "tower":
        return room
    return Room(room.width_px, [*room.taken, (room.width_px * 0.42, room.width_px * 1.0)])


def _rope(canvas: Canvas, x: float, y: float, size_px: float, post_y: float) -> str:
    """Draw the rope that a boat is tied to a pier with."""
    aside = -1 if x > canvas.width_px * 0.5 else 1
    bow = (x + aside * size_px * 0.50, y - size_px * 0.22)
    post = min(pier_posts(canvas), key=lambda place: abs(place - bow[0]))
    sag = curve("M", bow, "Q", (post - aside * size_px * 0.06, post_y), (post, post_y))
    rope = canvas.tone("#d9c79a")
    return path(sag, extra=stroke(rope, size_px * 0.014, cap=True))


def _swimming(
    prop: Prop,
    rank: int,
    reading: Reading,
    frame: Frame,
    backdrop: Backdrop,
    canvas: Canvas,
    room: Room,
) -> str:
    """Draw what lives in water: in it under water, half out of it at the surface, else nowhere."""
    is_whale = prop.icon == "whale"
    size_px = frame.short_px * (0.3 if is_whale else 0.13)
    place = reading.setting.place
    if place == "underwater":
        x, y = frame.width_px * (0.3, 0.7)[rank], frame.height_px * (0.42, 0.55)[rank]
        light = mix(canvas.palette.ambient, "#ffffff", _ICONS_LIT)
        return icon(prop.icon, x, y, size_px, shadow=False, dye=prop.colour, light=light)
    if not is_by_water(reading):
        return ""
    size_px *= 1.5 if is_whale else 1.0
    # Farther off where people leave little room, so that it is seen beside them.
    size_px = max(size_px * 0.55, min(size_px, room.widest_px() * 0.9))
    x = _in_water(reading, room).place(canvas, size_px * 1.1)
    y = _waterline(frame, backdrop)
    if is_whale:
        return thing(prop, canvas, x, y, size_px)
    # Half of it is out of the water: it leaps.
    box = rect(x - size_px, y - size_px * 2, size_px * 2, size_px * 2, "#000")
    leaping = thing(prop, canvas, x, y + size_px * 0.35, size_px, shadow=False)
    stencil = canvas.clip(box)
    return f'<g clip-path="{stencil}">{leaping}</g>' + ripples(canvas, x, y, size_px * 0.6)


def _animals(
    animals: tuple[Prop, ...],
    frame: Frame,
    backdrop: Backdrop,
    canvas: Canvas,
    room: Room,
    *,
    people: int,
) -> str:
    size_px = frame.short_px * (0.20 if people else 0.30)
    y = max(backdrop.ground_px + frame.height_px * 0.08, frame.view_px * 0.84 if people else 0)
    y = min(y, frame.floor_px)
    drawn: list[str] = []
    for prop in animals:
        x = room.place(canvas, size_px * 1.1, near=0.84 if people else None)
        drawn.append(thing(prop, canvas, x, y, size_px, flip=x < frame.width_px * 0.5))
    return "".join(drawn)


def at_feet(
    animals: tuple[Prop, ...], feet: Sequence[Feet], canvas: Canvas, *, waiting: bool
) -> str:
    """Draw the animals that keep to a person's feet, before them, where there are feet to see.

    A dog sits while its people stand.
    """
    drawn: list[str] = []
    for rank, prop in enumerate(animals):
        if not feet:
            return ""
        if len(feet) > 1:
            # Between two neighbours, the shorter first: it is hidden least and hides no person.
            pairs = sorted(pairwise(sorted(feet, key=lambda each: each.x)), key=_height)
            left, right = pairs[min(rank, len(pairs) - 1)]
            x, y = (left.x + right.x) / 2, max(left.y, right.y)
            is_flipped = right.head_px > left.head_px
        else:
            x, y = feet[0].x + feet[0].head_px * 1.7 * (1 - 2 * rank), feet[0].y
            is_flipped = rank > 0
        size_px = max(each.head_px for each in feet) * _AT_FEET_HEADS
        shape = _WAITING.get(prop.icon) if waiting else None
        if shape is None:
            drawn.append(thing(prop, canvas, x, y, size_px, flip=is_flipped))
        else:
            drawn.append(_flipped(shape(canvas, x, y, size_px, prop.colour), x, flip=is_flipped))
    return "".join(drawn)


def _height(pair: tuple[Feet, Feet]) -> float:
    return pair[0].head_px + pair[1].head_px


def _flying(
    flying: tuple[Prop, ...], frame: Frame, backdrop: Backdrop, canvas: Canvas, overhead: Room
) -> str:
    """Draw what flies, away from the sun and, where there is room, from people's heads."""
    middle_px = frame.width_px * 0.5
    sun_is_right = backdrop.sun_px is None or backdrop.sun_px[0] > middle_px
    sizes = {"dragon": 0.20, "bird": 0.075, "eagle": 0.15}
    drawn: list[str] = []
    for prop, share in zip(flying, (0.30, 0.66) if sun_is_right else (0.70, 0.34), strict=False):
        size_px = frame.short_px * sizes.get(prop.icon, 0.11)
        y = frame.horizon_px * canvas.chance.between(0.36, 0.50)
        x = frame.width_px * share
        if any(left < x + size_px * 0.5 and x - size_px * 0.5 < right
               for left, right in overhead.taken):  # fmt: skip
            x = overhead.place(canvas, size_px * 1.3, near=share)
        drawn.append(thing(prop, canvas, x, y, size_px, shadow=False))
    return "".join(drawn)


def _lamp_posts(
    prop: Prop, frame: Frame, backdrop: Backdrop, canvas: Canvas, room: Room, *, head_px: float
) -> str:
    """Draw one post with a lantern, or three that grow towards the viewer."""
    foot = backdrop.ground_px + frame.height_px * 0.015
    if "afloat left" in canvas.features:
        room.taken.append((0, frame.width_px * 0.57))
    if "afloat right" in canvas.features:
        room.taken.append((frame.width_px * 0.43, frame.width_px))
    height_px = min(max(head_px * 4.2, frame.short_px * 0.26), frame.short_px * 0.46)
    if not prop.is_many:
        return lamp_post(canvas, room.place(canvas, height_px * 0.42), foot, height_px)
    height_px *= 0.85
    return "".join(
        lamp_post(canvas, x - height_px * 0.1, foot, height_px)
        for x in room.row(4, height_px * 0.30)
    )


def _table_shares(people: int, things: int, first_x: float) -> tuple[float, ...]:
    """Return where on the table things lie, as shares of the width: not in front of a face."""
    if people >= 3:
        return (0.36, 0.64)
    if people == 2:
        return (0.44, 0.58) if things > 1 else (0.5,)
    if 0.45 < first_x < 0.55:
        return (0.26, 0.74)
    return (0.22, 0.36) if first_x > 0.5 else (0.78, 0.64)
