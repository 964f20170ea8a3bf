"""Where people stand, how large they are, which way they look, and what they hold.

The rules of framing: a shot's size is the height of a head as a share of the frame, two people
face each other, one person looks across the frame's longer side or out of a window, and a house's
door is a place to stand at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stage3_plugin.providers.previz.backdrop import Backdrop
from stage3_plugin.providers.previz.chance import Chance
from stage3_plugin.providers.previz.frame import Frame
from stage3_plugin.providers.previz.people import Person
from stage3_plugin.providers.previz.props import Chosen, held
from stage3_plugin.providers.previz.reading import Angle, Prop, Reading, Shot

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
_LANDMARKS = frozenset({"castle", "pagoda"})


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
    """

    person: Person
    x: float
    head_y: float
    head_px: float
    facing: float
    full: bool
    seated: bool


@dataclass(frozen=True, slots=True)
class Staging:
    """Everybody's place.

    Attributes:
        figures: In drawing order, from the edges to the middle.
        over_shoulder: Whose dark shoulder the camera looks over.
        first_x: Where the first person stands, as a share of the width.
        has_table: Whether there is a table in front.
        handy: The props nobody holds.
        light: 1 if the light comes from the right, -1 from the left.
    """

    figures: tuple[Standing, ...]
    over_shoulder: Person | None
    first_x: float
    has_table: bool
    handy: tuple[Prop, ...]
    light: int


def stage(
    reading: Reading, frame: Frame, backdrop: Backdrop, chosen: Chosen, chance: Chance
) -> Staging:
    """Put everybody in their place."""
    people = reading.people
    shares = _positions(reading, frame, backdrop, chance)
    order = sorted(range(len(people)), key=lambda rank: abs(shares[rank] - 0.5), reverse=True)
    has_table = _has_table(reading, chosen)
    hold, handy = (
        held(chosen.handy) if people and not reading.shot.is_close else (None, chosen.handy)
    )
    over_shoulder = None
    if reading.angle is Angle.OVER_SHOULDER and len(people) >= 2 and not reading.shot.is_full:
        over_shoulder = people[0]
        order.remove(0)
        shares = [shares[0], *(min(0.86, 0.62 + 0.2 * rank) for rank in range(len(people) - 1))]
    heads = _Heads(reading, frame, backdrop, has_table=has_table)
    figures: list[Standing] = []
    for rank in order:
        person = people[rank]
        x = frame.width_px * shares[rank]
        has_hand_free = rank == (0 if len(people) < 3 else 1) and person.look.pose != "sit"
        if len(people) == 1:
            facing = _facing_alone(reading, backdrop, chance, shares[0], looks_at=handy)
        else:
            facing = _facing_others(len(people), shares[rank], rank)
        head_y, head_px = heads.of(person, rank)
        legs_show = not reading.shot.is_close and head_y + 4.4 * head_px < frame.height_px
        figures.append(
            Standing(
                person=_holding(person, hold if has_hand_free else None),
                x=x,
                head_y=head_y,
                head_px=head_px,
                facing=facing,
                full=reading.shot.is_full or legs_show,
                seated=person.look.pose == "sit" and reading.shot.is_full,
            )
        )
    return Staging(
        figures=tuple(figures),
        over_shoulder=over_shoulder,
        first_x=shares[0],
        has_table=has_table,
        handy=handy,
        light=_light(reading, frame, backdrop),
    )


def _holding(person: Person, hold: str | None) -> Person:
    return replace(person, look=replace(person.look, hold=hold))


def _has_table(reading: Reading, chosen: Chosen) -> bool:
    if not reading.setting.indoor or reading.shot.is_full:
        return False
    people = reading.people
    all_sit = bool(people) and all(person.look.pose == "sit" for person in people)
    shows_table = reading.shot in {Shot.MEDIUM, Shot.MEDIUM_CLOSE_UP, Shot.CLOSE_UP}
    return all_sit or (bool(chosen.handy) and shows_table)


def _light(reading: Reading, frame: Frame, backdrop: Backdrop) -> int:
    from_window = backdrop.window is not None and not backdrop.window_left
    sun_x = backdrop.sun_px[0] if backdrop.sun_px else 0
    from_sun = not reading.setting.indoor and sun_x > frame.width_px / 2
    return 1 if from_window or from_sun else -1


def _positions(
    reading: Reading, frame: Frame, backdrop: Backdrop, chance: Chance
) -> Sequence[float]:
    """Give everybody's x as a share of the width; without people, where they would stand."""
    shot, count = reading.shot, len(reading.people)
    if count == 1:
        shares = [_position_alone(reading, backdrop, chance)]
    elif count == 2:
        distance = _HALF_DISTANCES[shot]
        if frame.width_px > frame.height_px:
            distance *= 0.7 if shot.is_full else 0.8
        shares = [0.5 - distance, 0.5 + distance]
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
        """Give the y of the head's middle and its height."""
        stature = {"child": 0.80, "old": 0.97}.get(person.look.age, 1.0)
        stature *= 0.965 if person.look.female else 1
        if self._reading.shot.is_full:
            head_y, head_px = self._standing(person, rank, stature)
        else:
            head_y, head_px = self._cropped(person, stature)
        if self._reading.angle is Angle.LOW:
            head_y -= self._frame.view_px * 0.03
        return head_y, head_px

    def _standing(self, person: Person, rank: int, stature: float) -> tuple[float, float]:
        """Measure up from the feet."""
        frame, backdrop, shot = self._frame, self._backdrop, self._reading.shot
        head_px = self._head_px * stature
        if shot is Shot.MEDIUM_WIDE:
            feet = frame.floor_px + head_px * 0.9
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
        head_y += shorter * (0.5 if shot.is_close else 1.2)
        if not shot.is_close:
            if pose == "sit" or self._has_table:
                head_y += head_px * 0.22
            if pose == "lean" and len(self._reading.people) == 1:
                head_y += head_px * 0.10
        return head_y, head_px


def _head_px(reading: Reading, frame: Frame) -> float:
    """Give the height of a grown head, smaller where several must fit."""
    shot, count = reading.shot, len(reading.people)
    if shot.is_full:
        head_px = _FIGURE_SHARES[shot] * frame.view_px / _HEADS_TALL
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
