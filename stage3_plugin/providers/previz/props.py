"""Where things go: vehicles and boats, animals, what flies, swims, lies on a table or stands about.

Which things there are was read from the prompt; this module alone knows how many of each kind a
frame bears and where each kind has its place.
"""

from __future__ import annotations

from dataclasses import dataclass

from stage3_plugin.providers.previz.backdrop import Backdrop
from stage3_plugin.providers.previz.canvas import Canvas
from stage3_plugin.providers.previz.colour import darken, lighten
from stage3_plugin.providers.previz.frame import Frame
from stage3_plugin.providers.previz.icons import icon
from stage3_plugin.providers.previz.lexicon import PropKind
from stage3_plugin.providers.previz.reading import Prop, Reading
from stage3_plugin.providers.previz.svg import opacity, rect

HELD_AS = {"crossed-swords": "sword", "dagger": "sword", "umbrella": "umbrella"}
"""Icons that a figure holds instead, by what it then holds."""

_WATERS = frozenset({"sea", "lake", "beach"})
_WHITE_TABLES = frozenset({"lab", "hospital", "kitchen"})


@dataclass(frozen=True, slots=True)
class Chosen:
    """The props one frame bears; of the rest only the caption tells.

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


def choose(reading: Reading) -> Chosen:
    """Pick the first few of each kind."""

    def of_kind(*kinds: PropKind) -> tuple[Prop, ...]:
        return tuple(prop for prop in reading.props if prop.kind in kinds)

    big = of_kind("ground", "water")
    has_flasks = reading.setting.place == "lab"  # the laboratory comes with its own
    handy = [p for p in of_kind("hand") if not (has_flasks and p.icon == "alembic")]
    return Chosen(
        big=big[0] if big else None,
        animals=of_kind("animal")[:2],
        flying=of_kind("sky")[:2],
        swimming=of_kind("underwater")[:2],
        handy=tuple(handy[:3]),
    )


def held(handy: tuple[Prop, ...]) -> tuple[str | None, tuple[Prop, ...]]:
    """Give what a figure takes into its hand, and what is left lying."""
    hold = next((HELD_AS[prop.icon] for prop in handy if prop.icon in HELD_AS), None)
    if hold is None:
        return None, handy
    return hold, tuple(prop for prop in handy if prop.icon not in HELD_AS)


def behind(
    chosen: Chosen, reading: Reading, frame: Frame, backdrop: Backdrop, canvas: Canvas
) -> str:
    """Draw what stands, flies and swims behind the people."""
    big = ""
    if chosen.big and _fits(chosen.big, reading):
        big = _big(chosen.big, frame, backdrop, canvas, people=len(reading.people))
    return (
        big
        + _animals(chosen.animals, frame, backdrop, people=len(reading.people))
        + ("" if reading.setting.indoor else _flying(chosen.flying, frame, backdrop, canvas))
        + "".join(
            icon(
                prop.icon,
                frame.width_px * (0.3, 0.7)[rank],
                frame.height_px * (0.42, 0.55)[rank],
                frame.short_px * (0.3 if prop.icon == "whale" else 0.13),
                shadow=False,
            )
            for rank, prop in enumerate(chosen.swimming)
        )
    )


def about(
    handy: tuple[Prop, ...],
    reading: Reading,
    frame: Frame,
    backdrop: Backdrop,
    first_x: float,
) -> str:
    """Draw handy things beside the people, where there is no table.

    Args:
        handy: What nobody holds.
        reading: What the frame shows.
        frame: Its measures.
        backdrop: Where the ground is.
        first_x: Where the first person stands, as a share of the width.
    """
    is_full, has_people = reading.shot.is_full, bool(reading.people)
    size_px = frame.short_px * (0.12 if is_full or has_people else 0.26)
    if is_full:
        y = backdrop.ground_px + (frame.view_px - backdrop.ground_px) * 0.62
        y = min(y, frame.floor_px)
    else:
        y = max(backdrop.ground_px + frame.height_px * 0.075, frame.view_px * 0.86)
    free_sides = (0.80, 0.20) if first_x < 0.5 else (0.20, 0.80)
    shares = free_sides if has_people else (0.5, 0.7)
    return "".join(
        icon(prop.icon, frame.width_px * share, y, size_px)
        for prop, share in zip(handy, shares, strict=False)
    )


def table(
    handy: tuple[Prop, ...], reading: Reading, frame: Frame, canvas: Canvas, first_x: float
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
        is_tall = prop.icon == "microscope"
        if is_close:
            size_px = short_px * (0.30 if is_tall else 0.20)
        else:
            size_px = short_px * (0.135 if rank == 0 else 0.115)
        markup += icon(
            prop.icon,
            frame.width_px * share,
            y + short_px * 0.045 + rank * short_px * 0.012,
            size_px,
            flip=is_tall and share < 0.5,
        )
    return markup


def _fits(big: Prop, reading: Reading) -> bool:
    setting = reading.setting
    return not setting.indoor and (big.kind == "ground" or setting.place in _WATERS)


def _big(prop: Prop, frame: Frame, backdrop: Backdrop, canvas: Canvas, *, people: int) -> str:
    on_ground = prop.kind == "ground"
    size_px = frame.short_px * (0.30 if on_ground else 0.24)
    free_sides = (0.12, 0.88) if people else (0.34, 0.66)
    x = frame.width_px * canvas.chance.pick((0.2, 0.22) if backdrop.door else free_sides)
    if on_ground:
        y = backdrop.ground_px + frame.height_px * 0.06
    else:
        y = frame.horizon_px + (frame.height_px - frame.horizon_px) * 0.16
    return icon(prop.icon, x, y, size_px, flip=x < frame.width_px * 0.5, shadow=on_ground)


def _animals(animals: tuple[Prop, ...], frame: Frame, backdrop: Backdrop, *, people: int) -> str:
    size_px = frame.short_px * (0.20 if people else 0.30)
    y = max(backdrop.ground_px + frame.height_px * 0.08, frame.view_px * 0.84 if people else 0)
    drawn: list[str] = []
    for prop, share in zip(animals, (0.84, 0.14) if people else (0.5, 0.72), strict=False):
        x = frame.width_px * share
        drawn.append(icon(prop.icon, x, y, size_px, flip=x < frame.width_px * 0.5))
    return "".join(drawn)


def _flying(flying: tuple[Prop, ...], frame: Frame, backdrop: Backdrop, canvas: Canvas) -> str:
    """Draw what flies, away from the sun."""
    middle_px = frame.width_px * 0.5
    sun_is_right = backdrop.sun_px is None or backdrop.sun_px[0] > middle_px
    drawn: list[str] = []
    for prop, share in zip(flying, (0.30, 0.66) if sun_is_right else (0.70, 0.34), strict=False):
        size_px = frame.short_px * (0.20 if prop.icon == "dragon" else 0.11)
        y = frame.horizon_px * canvas.chance.between(0.42, 0.58)
        drawn.append(icon(prop.icon, frame.width_px * share, y, size_px, shadow=False))
    return "".join(drawn)


def _table_shares(people: int, things: int, first_x: float) -> tuple[float, ...]:
    """Tell where on the table things lie, as shares of the width: not in front of a face."""
    if people >= 3:
        return (0.36, 0.64)
    if people == 2:
        return (0.44, 0.56) if things > 1 else (0.5,)
    if 0.45 < first_x < 0.55:
        return (0.26, 0.74)
    return (0.22, 0.36) if first_x > 0.5 else (0.78, 0.64)
