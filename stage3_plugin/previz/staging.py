"""Where people stand, how large they are, which way they look, and what they hold.

The rules of framing: a shot's size is the height of a head as a share of the frame, two people
face each other, one person looks across the frame's longer side or out of a window, and a house's
door is a place to stand at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stage3_plugin.previz.backdrop import Backdrop
from stage3_plugin.previz.carrying import hand_out
from stage3_plugin.previz.chance import Chance
from stage3_plugin.previz.figure import standing_foot_y
from stage3_plugin.previz.frame import Frame
from stage3_plugin.previz.people import Person
from stage3_plugin.previz.props import Chosen, Feet, is_by_water
from stage3_plugin.previz.reading import Angle, Reading, Shot
from stage3_plugin.previz.svg import Point
from stage3_plugin.previz.things import Prop

_HEADS_TALL = 7.45
"""A grown figure with the air above it, in heads."""
# Near shots: a head as a share of the shorter side; others: a figure as a share of the view.
_HEAD_SHARES = {
    Shot.EXTREME_CLOSE_UP: 0.86,
    Shot.CLOSE_UP: 0.43,
    Shot.MEDIUM_CLOSE_UP: 0.325,
    Shot.MEDIUM: 0.225,
}
_FIGURE_SHARES = {Shot.MEDIUM_WIDE: 0.66, Shot.WIDE: 0.50, Shot.EXTREME_WIDE: 0.17}
# Who is seen from below towers over the horizon.
_FROM_BELOW = {Shot.MEDIUM_WIDE: 1.06, Shot.WIDE: 1.24}
# A hand that is held up needs its arm in the picture: the camera is a little farther off.
_ARM_SHARE, _ARM_LIFT = 0.82, 0.10
# Where the middle of the head is, as a share of the view.
_HEAD_LINES = {
    Shot.EXTREME_CLOSE_UP: 0.50,
    Shot.CLOSE_UP: 0.46,
    Shot.MEDIUM_CLOSE_UP: 0.39,
    Shot.MEDIUM: 0.33,
}
# Half the distance of two people, as a share of the width of a square frame.
_HALF_DISTANCES = {
    Shot.EXTREME_CLOSE_UP: 0.27,
    Shot.CLOSE_UP: 0.26,
    Shot.MEDIUM_CLOSE_UP: 0.25,
    Shot.MEDIUM: 0.235,
    Shot.MEDIUM_WIDE: 0.15,
    Shot.WIDE: 0.11,
    Shot.EXTREME_WIDE: 0.06,
}
_TALL_FRAME = {Shot.MEDIUM: 1.12, Shot.MEDIUM_WIDE: 0.86, Shot.WIDE: 0.86}
# The distance of neighbours in a row, as a share of the width.
_STEPS = {4: 0.24, 5: 0.19, 6: 0.16}
_LANDMARKS = frozenset({"castle", "pagoda", "tower"})
_MOVING = frozenset({"run", "walk"})
_HANDS_APART = {Shot.MEDIUM: 2.2}
"""The distance of two who hold hands, in heads; farther apart where they are seen whole."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One figure as it will be drawn.

    Attributes:
        person: Who, with what they hold in their look.
        x: The middle of the head.
        head_y: The middle of the head.
        head_px: The height of the head, which scales all the rest.
        facing: -1 (left) to 1 (right).
        full: Whether legs are drawn.
        seated: Whether they are drawn sitting.
        carries: What they have in the hand.
        room: How far an arm may reach before it meets a neighbour, in heads.
        clasp: Where the hand is that holds a neighbour's, in pixels.
        afloat: Whether they stand in a boat of their own.
    """

    person: Person
    x: float
    head_y: float
    head_px: float
    facing: float
    full: bool
    seated: bool
    carries: Prop | None = None
    room: float = math.inf
    clasp: Point | None = None
    afloat: bool = False


@dataclass(frozen=True, slots=True)
class Staging:
    """Everybody's place.

    Attributes:
        figures: In drawing order, from the edges to the middle.
        over_shoulder: Whose dark shoulder the camera looks over.
        first_x: Where the first person stands, as a share of the width.
        has_table: Whether there is a table in front.
        handy: The props that no person holds.
        between: What hangs from two hands that hold each other.
        head_px: How high a grown head is.
        boat: The boat that a person stands in.
        light: 1 if the light comes from the right, -1 from the left.
    """

    figures: tuple[Standing, ...]
    over_shoulder: Person | None
    first_x: float
    has_table: bool
    handy: tuple[Prop, ...]
    light: int
    between: tuple[Prop, Point] | None = None
    head_px: float = 0.0
    boat: Prop | None = None

    def feet(self) -> tuple[Feet, ...]:
        """Return where those stand whose feet can be seen."""
        return tuple(
            Feet(
                standing.x,
                standing.head_y + (standing_foot_y(standing.person.look) + 0.16) * standing.head_px,
                standing.head_px,
            )
            for standing in self.figures
            if standing.full
        )

    def taken(self) -> list[tuple[float, float]]:
        """Return from where to where people stand, in pixels."""
        spans: list[tuple[float, float]] = []
        for standing in self.figures:
            reach = 1.9 if standing.person.look.pose == "run" and standing.full else 1.15
            half_px = standing.head_px * (2.7 if standing.afloat else reach)
            spans.append((standing.x - half_px, standing.x + half_px))
        return spans


def stage(
    reading: Reading, frame: Frame, backdrop: Backdrop, chosen: Chosen, chance: Chance
) -> Staging:
    """Put everybody in their place."""
    shares = _positions(reading, frame, backdrop, chosen, chance)
    has_table = _has_table(reading, chosen)
    hands = hand_out(reading, chosen.handy, has_table=has_table)
    people, handy = hands.people, hands.rest
    # A table that only carried something else's place is not needed.
    has_table = has_table and (bool(handy) or _all_sit(reading))
    order = sorted(range(len(people)), key=lambda rank: abs(shares[rank] - 0.5), reverse=True)
    over_shoulder = None
    if reading.angle is Angle.OVER_SHOULDER and len(people) >= 2 and not reading.shot.is_full:
        over_shoulder = people[0]
        order.remove(0)
        shares = [shares[0], *(min(0.86, 0.62 + 0.2 * rank) for rank in range(len(people) - 1))]
    between: tuple[Prop, Point] | None = None
    heads = _Heads(reading, frame, backdrop, has_table=has_table)
    figures: list[Standing] = []
    for rank in order:
        person = people[rank]
        x = frame.width_px * shares[rank]
        if len(people) == 1:
            looks_at = [*handy, *hands.carried.values()]
            facing = _facing_alone(reading, backdrop, chance, shares[0], looks_at=looks_at)
        else:
            facing = _facing_others(len(people), shares[rank], rank)
        facing = _facing_ahead(reading, facing)
        if _looks_at_water(reading, chosen):
            facing = -0.6
        head_y, head_px = heads.of(person, rank)
        afloat = person.aboard and reading.setting.place == "harbour"
        legs_show = not reading.shot.is_close and head_y + 4.4 * head_px < frame.height_px
        figures.append(
            Standing(
                person=person,
                x=x,
                head_y=head_y,
                head_px=head_px,
                facing=facing,
                full=(reading.shot.is_full or legs_show) and not afloat,
                seated=person.look.pose == "sit" and reading.shot.is_full,
                carries=hands.carried.get(rank),
                afloat=afloat,
            )
        )
    figures = _with_room(figures)
    clasp = _clasp(reading, figures)
    if clasp is not None:
        pair, place = clasp
        figures = [replace(figure, clasp=place) if figure in pair else figure for figure in figures]
        if hands.between:
            between = (hands.between, place)
    if hands.between and between is None:
        handy = (*handy, hands.between)
    return Staging(
        figures=tuple(figures),
        over_shoulder=over_shoulder,
        first_x=shares[0],
        has_table=has_table,
        handy=handy,
        light=_light(reading, frame, backdrop),
        between=between,
        head_px=_head_px(reading, frame),
        boat=next((prop for prop in reading.props if prop.kind == "water"), None),
    )


def _with_room(figures: list[Standing]) -> list[Standing]:
    """Set how far each may reach with an arm to the side they face: not through a neighbour."""
    placed: list[Standing] = []
    for figure in figures:
        ahead = [
            abs(other.x - figure.x) - 0.95 * other.head_px
            for other in figures
            if other is not figure and (other.x > figure.x) == (figure.facing >= 0)
        ]
        room = min(ahead, default=math.inf) / figure.head_px
        placed.append(replace(figure, room=room))
    return placed


def _clasp(
    reading: Reading, figures: Sequence[Standing]
) -> tuple[tuple[Standing, Standing], Point] | None:
    """Return the two who hold hands and where their hands meet, in pixels."""
    if not reading.hand_in_hand or len(figures) < 2 or reading.shot.is_close:
        return None
    left, right = sorted(figures, key=lambda figure: figure.x)[:2]
    x = (left.x + right.x) / 2
    heights = [
        figure.head_y + figure.head_px * (1.9 if figure.person.look.age == "child" else 2.7)
        for figure in (left, right)
    ]
    return (left, right), (x, sum(heights) / 2)


def _all_sit(reading: Reading) -> bool:
    people = reading.people
    return bool(people) and all(person.look.pose == "sit" for person in people)


def _has_table(reading: Reading, chosen: Chosen) -> bool:
    if not reading.setting.indoor or reading.shot.is_full:
        return False
    shows_table = reading.shot in {Shot.MEDIUM, Shot.MEDIUM_CLOSE_UP, Shot.CLOSE_UP}
    return _all_sit(reading) or (bool(chosen.handy) and shows_table)


def _light(reading: Reading, frame: Frame, backdrop: Backdrop) -> int:
    from_window = backdrop.window is not None and not backdrop.window_left
    sun_x = backdrop.sun_px[0] if backdrop.sun_px else 0
    from_sun = not reading.setting.indoor and sun_x > frame.width_px / 2
    return 1 if from_window or from_sun else -1


def _looks_at_water(reading: Reading, chosen: Chosen) -> bool:
    """Return whether two people look at something that comes up out of the water."""
    is_near = reading.shot in {Shot.MEDIUM, Shot.MEDIUM_WIDE}
    comes_up = bool(chosen.swimming) and is_by_water(reading)
    return comes_up and is_near and len(reading.people) == 2


def _positions(
    reading: Reading, frame: Frame, backdrop: Backdrop, chosen: Chosen, chance: Chance
) -> Sequence[float]:
    """Return everybody's x as a share of the width; without people, where they would stand."""
    shot, count = reading.shot, len(reading.people)
    if count == 1:
        shares = [_position_alone(reading, backdrop, chance)]
    elif count == 2:
        distance = _HALF_DISTANCES[shot]
        if frame.width_px > frame.height_px:
            distance *= 0.7 if shot.is_full else 0.8
        if reading.hand_in_hand and not shot.is_close:
            distance = _HANDS_APART.get(shot, 2.9) * _head_px(reading, frame) / frame.width_px / 2
        middle = 0.5
        if _looks_at_water(reading, chosen) and frame.is_wide:
            middle = 0.63  # aside, so that what comes up has room
        middle = 0.40 if reading.setting.place in _LANDMARKS and shot.is_full else middle
        shares = [middle - distance, middle + distance]
    elif count == 3:
        shares = [0.36, 0.5, 0.64] if shot.is_full else [0.22, 0.5, 0.78]
    else:
        shares = _row(max(4, count), step=0.12 if shot.is_full else _STEPS[max(4, count)])
    if backdrop.door and shot.is_full:
        door = backdrop.door[0] / frame.width_px
        if count == 1:
            return [door - 0.20]
        if count == 2:
            return [door - 0.26, door + 0.005]
    return shares


def _row(count: int, *, step: float) -> list[float]:
    return [0.5 + (rank - (count - 1) / 2) * step for rank in range(count)]


def _position_alone(reading: Reading, backdrop: Backdrop, chance: Chance) -> float:
    if reading.shot.is_close:
        return 0.5
    if reading.setting.place in _LANDMARKS:
        return 0.34
    if backdrop.window is not None:
        return 0.60 if backdrop.window_left else 0.40
    return chance.pick([0.40, 0.60])


def _facing_others(count: int, share: float, rank: int) -> float:
    if count == 2:
        return 0.75 if rank == 0 else -0.75
    return (0.5 - share) * 1.6


def _facing_ahead(reading: Reading, facing: float) -> float:
    """Let who walks or runs together look the same way: to the landmark, or to the right."""
    people = reading.people
    if reading.face_to_face or not all(person.look.pose in _MOVING for person in people):
        return facing
    if len(people) > 1 or reading.setting.place in _LANDMARKS:
        return 0.75
    return facing


def _facing_alone(
    reading: Reading,
    backdrop: Backdrop,
    chance: Chance,
    share: float,
    *,
    looks_at: Sequence[Prop],
) -> float:
    if reading.shot.is_close:
        facing = 0.22 * chance.pick([-1, 1])  # drawn in any case: the order of draws is the picture
        return 0.35 if looks_at else facing
    if backdrop.window is not None and reading.window:
        return -0.8 if backdrop.window_left else 0.8
    return 0.55 if share < 0.5 else -0.55


class _Heads:
    """Where each head is and how large, from the shot and the person's own height."""

    def __init__(
        self, reading: Reading, frame: Frame, backdrop: Backdrop, *, has_table: bool
    ) -> None:
        self._reading = reading
        self._frame = frame
        self._backdrop = backdrop
        self._has_table = has_table
        self._head_px = _head_px(reading, frame)

    def of(self, person: Person, rank: int) -> tuple[float, float]:
        """Return the y of the head's middle and its height."""
        stature = {"child": 0.80, "old": 0.97}.get(person.look.age, 1.0)
        stature *= 0.965 if person.look.female else 1
        if self._reading.shot.is_full:
            head_y, head_px = self._standing(person, rank, stature)
        else:
            head_y, head_px = self._cropped(person, stature)
        if self._reading.angle is Angle.LOW and not self._reading.shot.is_full:
            head_y -= self._frame.view_px * 0.03
        return head_y, head_px

    def _standing(self, person: Person, rank: int, stature: float) -> tuple[float, float]:
        """Measure up from the feet."""
        frame, backdrop, shot = self._frame, self._backdrop, self._reading.shot
        head_px = self._head_px * stature
        if shot is Shot.MEDIUM_WIDE:
            feet = frame.floor_px  # whole shoes, above the caption
        elif shot is Shot.WIDE:
            feet = frame.floor_px - frame.short_px * 0.01
        else:
            feet = min(backdrop.ground_px + frame.height_px * 0.06, frame.floor_px)
        if backdrop.door:
            if len(self._reading.people) == 2 and rank == 1:
                feet = backdrop.door[1] + frame.height_px * 0.004
                head_px = backdrop.door_height_px * 0.90 / _HEADS_TALL * stature
            elif shot is Shot.MEDIUM_WIDE:
                feet = frame.floor_px
                head_px *= 0.80
        legs = 5.0 if person.look.age == "child" else 6.7
        return feet - (legs + 0.14) * head_px, head_px

    def _cropped(self, person: Person, stature: float) -> tuple[float, float]:
        """Measure down from the line the eyes are on."""
        shot, pose = self._reading.shot, person.look.pose
        head_px = self._head_px * stature
        shorter = self._head_px - head_px
        head_y = self._frame.view_px * _HEAD_LINES[shot]
        if shot in {Shot.CLOSE_UP, Shot.MEDIUM_CLOSE_UP} and person.look.hands == "raise":
            head_px *= _ARM_SHARE
            head_y -= self._frame.view_px * _ARM_LIFT
        head_y += shorter * (0.5 if shot.is_close else 1.2)
        if not shot.is_close:
            if pose == "sit" or self._has_table:
                head_y += head_px * 0.22
            if pose == "lean" and len(self._reading.people) == 1:
                head_y += head_px * 0.10
        return head_y, head_px


def _head_px(reading: Reading, frame: Frame) -> float:
    """Return the height of a grown head, smaller where several must fit."""
    shot, count = reading.shot, len(reading.people)
    if shot.is_full:
        head_px = _FIGURE_SHARES[shot] * frame.view_px / _HEADS_TALL
        if reading.angle is Angle.LOW:
            head_px *= _FROM_BELOW.get(shot, 1.0)
    else:
        head_px = frame.short_px * _HEAD_SHARES[shot]
    if frame.is_wide and not shot.is_full:
        head_px *= 0.98
    if frame.is_tall:
        head_px *= _TALL_FRAME.get(shot, 1.02)
    if count >= 3:
        head_px *= 0.74 if shot.is_close else 0.86 if shot is Shot.MEDIUM else 1
    if count > 4 and not shot.is_full:
        head_px *= _STEPS[count] / _STEPS[4]
    if count == 2:
        if shot in {Shot.MEDIUM, Shot.MEDIUM_CLOSE_UP}:
            head_px *= 0.90
        elif shot.is_close:
            head_px *= 0.82 if frame.width_px > frame.height_px else 0.68
    return head_px
