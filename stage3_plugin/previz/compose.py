"""One frame as SVG: three sheets and the instructions to put them together.

Background, figures and slate are separate documents, because resvg pays dearly for what Pillow does
cheaply: the background is drawn at half its size when it will be out of focus, and blur, colour
grade, vignette and grain never reach the vector renderer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from stage3_plugin.previz import effects
from stage3_plugin.previz.backdrop import Backdrop, exterior, interior
from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.chance import Chance, seed_of
from stage3_plugin.previz.colour import lighten, mix
from stage3_plugin.previz.edition import DRAWING
from stage3_plugin.previz.figure import figure, fist, grip, over_table
from stage3_plugin.previz.frame import Frame, divide
from stage3_plugin.previz.grade import Desaturate, Grade, Lamp, Multiply, Screen
from stage3_plugin.previz.icons import icon
from stage3_plugin.previz.palette import PALETTES, Palette
from stage3_plugin.previz.props import (
    LANTERNS,
    Chosen,
    Room,
    about,
    at_feet,
    behind,
    choose,
    table,
    thing,
)
from stage3_plugin.previz.reading import Angle, Reading, Shot
from stage3_plugin.previz.shapes import hull, wash
from stage3_plugin.previz.slate import slate
from stage3_plugin.previz.staging import Staging, Standing, stage
from stage3_plugin.previz.svg import Point, rect
from stage3_plugin.previz.things import Held, Prop


@dataclass(frozen=True, slots=True)
class Sheets:
    """A frame before it is rastered.

    Attributes:
        background: Always there.
        foreground: Figures, things in front and weather.
        overlay: The slate; ``None`` on a clean plate.
        blur_px: How far out of focus the background is.
        grade: What is done to the colours, in order.
        scrim: From where to where, in y, the picture darkens towards the caption.
    """

    background: str
    foreground: str | None
    overlay: str | None
    blur_px: float
    grade: tuple[Grade, ...]
    scrim: tuple[float, float] | None


def compose(reading: Reading, size: tuple[int, int], *, seed: int, caption: bool) -> Sheets:
    """Draw one frame.

    Args:
        reading: What it shows.
        size: Width and height in pixels.
        seed: Another one moves what the prompt leaves open.
        caption: Whether to write the slate over it.
    """
    frame = divide(reading, size, caption=caption)
    canvas = _canvas(reading, frame, seed)
    backdrop = _backdrop(reading, frame, canvas)
    chosen = choose(reading)
    if _is_lamplit(reading):
        # A figure there is seen by lamplight, not by the moon alone.
        canvas.lit_by(mix(canvas.palette.ambient, canvas.palette.warm, 0.30))
    staging = stage(reading, frame, backdrop, chosen, canvas.chance)
    room = Room(frame.width_px, staging.taken())
    middle = behind(chosen, reading, frame, backdrop, canvas, room)
    if not staging.has_table:
        middle += about(
            staging.handy, reading, frame, backdrop, canvas, room, head_px=staging.head_px
        )
    if reading.crowd:
        middle += effects.crowd(frame, backdrop, canvas, staging.light)
    figures = _everybody(reading, frame, canvas, staging, chosen)
    front = _front(reading, frame, canvas, staging)
    numbers = effects.numbers(reading, frame, canvas) if reading.numbers else ""
    if reading.dust:
        front += effects.dust(frame, canvas)
    if not reading.setting.indoor:
        if reading.setting.weather == "fog":
            middle += effects.fog(canvas, is_behind=True)
            if reading.shot.is_full:  # bands of fog across a near face look like a fault
                front += effects.fog(canvas, is_behind=False)
        else:
            front += effects.weather(reading, canvas)
    background = _ground(frame, canvas) + backdrop.markup + middle
    foreground = numbers + figures + front
    if reading.angle is Angle.DUTCH:
        background = effects.tilted(background, frame)
        foreground = effects.tilted(foreground, frame)
    definitions = f"<defs>{''.join(canvas.definitions)}</defs>"
    overlay = slate(reading, frame, canvas.palette.light) if caption else ""
    return Sheets(
        background=_document(frame, definitions + background),
        foreground=_document(frame, definitions + foreground) if foreground else None,
        overlay=_document(frame, overlay) if overlay else None,
        blur_px=_blur_px(reading, frame),
        grade=_grade(reading, frame, backdrop, canvas, staging),
        scrim=_scrim(frame) if caption else None,
    )


def _canvas(reading: Reading, frame: Frame, seed: int) -> Canvas:
    characters = "|".join(person.character for person in reading.people)
    chance = Chance(
        seed_of(
            DRAWING,
            reading.prompt,
            reading.scene_id,
            frame.width_px,
            frame.height_px,
            seed,
            characters,
        )
    )
    return Canvas(
        width_px=frame.width_px,
        height_px=frame.height_px,
        chance=chance,
        palette=_palette(reading, chance),
        people=len(reading.people),
        bamboo=reading.bamboo,
        features=reading.features | _afloat(reading),
    )


def _is_lamplit(reading: Reading) -> bool:
    setting = reading.setting
    lamps = LANTERNS | {"fire", "candle"}
    is_dark = setting.time in {"night", "evening"} and not setting.indoor
    return is_dark and any(prop.icon in lamps for prop in reading.props)


def _afloat(reading: Reading) -> frozenset[str]:
    """Return on which side of a harbour boats with people in them lie, as the pier must know."""
    people = reading.people
    if reading.setting.place != "harbour" or not any(person.aboard for person in people):
        return frozenset()
    if len(people) != 2 or all(person.aboard for person in people):
        return frozenset({"afloat"})
    return frozenset({"afloat left" if people[0].aboard else "afloat right"})


def _palette(reading: Reading, chance: Chance) -> Palette:
    """Return the time's palette, a little towards violet or teal, under the weather."""
    palette = PALETTES[reading.setting.time]
    hue = chance.between(-1, 1)
    palette = _sky_towards(palette, "#7a5cff" if hue > 0 else "#2fb0c7", abs(hue) * 0.09)
    weather = reading.setting.weather
    if weather in {"rain", "storm"}:
        return replace(
            _sky_towards(palette, "#2b3544", 0.45),
            haze=mix(palette.haze, "#4a5666", 0.5),
            ambient=mix(palette.ambient, "#76849a", 0.4),
        )
    if weather == "fog":
        return _sky_towards(palette, palette.haze, 0.45)
    if weather == "snow":
        return replace(palette, haze=lighten(palette.haze, 0.25))
    return palette


def _sky_towards(palette: Palette, colour: str, share: float) -> Palette:
    top, high, low, horizon = palette.sky
    return replace(
        palette,
        sky=(
            mix(top, colour, share),
            mix(high, colour, share),
            mix(low, colour, share),
            mix(horizon, colour, share),
        ),
    )


def _ground(frame: Frame, canvas: Canvas) -> str:
    """Paint under everything, beyond the edges: a tilted frame shows its corners."""
    return rect(
        -frame.width_px * 0.1,
        -frame.height_px * 0.1,
        frame.width_px * 1.2,
        frame.height_px * 1.2,
        canvas.palette.sky[2],
    )


def _backdrop(reading: Reading, frame: Frame, canvas: Canvas) -> Backdrop:
    setting = reading.setting
    where = (canvas, setting.place, frame.horizon_px, setting.time, setting.weather)
    return interior(*where, setting.dim) if setting.indoor else exterior(*where)


def _everybody(
    reading: Reading, frame: Frame, canvas: Canvas, staging: Staging, chosen: Chosen
) -> str:
    """Draw the people, what lies under their feet and what keeps to them."""
    figures = "".join(_figure(standing, canvas, staging) for standing in staging.figures)
    figures += _between(staging, canvas)
    if not reading.shot.is_full:
        return figures
    feet = staging.feet()
    close_by = tuple(prop for prop in chosen.animals if prop.held is Held.FEET)
    poses = {person.look.pose for person in reading.people}
    ground = ""
    if "puddles" in reading.features and not reading.setting.indoor:
        ground = effects.puddles(feet, frame, canvas, splash="run" in poses)
    waiting = not poses & {"run", "walk"}
    return ground + figures + at_feet(close_by, feet, canvas, waiting=waiting)


def _figure(standing: Standing, canvas: Canvas, staging: Staging) -> str:
    head_px = standing.head_px
    look = standing.person.look
    umbrella = ""
    if look.hold == "umbrella":
        reach = (0.62 if standing.facing >= 0 else -0.62) + standing.facing * 0.9
        x, y = standing.x + reach * head_px, standing.head_y + 2.25 * head_px
        umbrella = icon("umbrella", x, y, 3.7 * head_px, shadow=False)
    drawn = figure(
        canvas,
        standing.x,
        standing.head_y,
        head_px,
        look,
        standing.person.colour,
        standing.facing,
        full=standing.full,
        seated=standing.seated,
        light=staging.light,
        room=standing.room,
        clasp=standing.clasp,
    )
    boat = ""
    if standing.afloat:
        # Its gunwale is at the hips, so that legs need not be drawn in it.
        boat_px = head_px * 5.4
        waterline = standing.head_y + head_px * 2.75 + boat_px * 0.22
        where = (standing.x, waterline, boat_px)
        boat = hull(canvas, *where, _boat_colour(staging)) + wash(canvas, *where)
    return umbrella + drawn + _carried(standing, canvas) + boat


def _boat_colour(staging: Staging) -> str | None:
    return staging.boat.colour if staging.boat else None


def _carried(standing: Standing, canvas: Canvas) -> str:
    """Draw what somebody has in the hand, and the hand around it."""
    prop = standing.carries
    if prop is None:
        return ""
    head_px = standing.head_px
    x, y = grip(
        canvas,
        standing.x,
        standing.head_y,
        head_px,
        standing.person.look,
        standing.facing,
        full=standing.full,
        seated=standing.seated,
        clasp=standing.clasp,
    )
    size_px = prop.heads * head_px
    hands = standing.person.look.hands
    if hands == "both":
        return thing(prop, canvas, x, y + size_px * 0.42, size_px, shadow=False)
    if hands == "hang":
        return _hung(prop, canvas, (x, y), size_px) + fist(canvas, (x, y), head_px)
    foot = y + size_px * (0.30 if hands == "carry" else 0.14)
    return thing(prop, canvas, x, foot, size_px, shadow=False) + fist(canvas, (x, y), head_px)


def _hung(prop: Prop, canvas: Canvas, hand: Point, size_px: float) -> str:
    return thing(prop, canvas, hand[0], hand[1] + size_px * 0.96, size_px, shadow=False)


def _between(staging: Staging, canvas: Canvas) -> str:
    """Draw what hangs from the hands of two."""
    if staging.between is None:
        return ""
    prop, hands = staging.between
    return _hung(prop, canvas, hands, prop.heads * staging.head_px) + fist(
        canvas, hands, staging.head_px
    )


def _front(reading: Reading, frame: Frame, canvas: Canvas, staging: Staging) -> str:
    """Draw what is in front of the people: a shoulder, the table."""
    shoulder = ""
    if staging.over_shoulder:
        shoulder = effects.shoulder(staging.over_shoulder, frame, canvas)
    if not staging.has_table:
        return shoulder
    pointing = "".join(
        over_table(
            canvas,
            standing.x,
            standing.head_y,
            standing.head_px,
            standing.person.look,
            standing.person.colour,
            standing.facing,
        )
        for standing in staging.figures
    )
    before = table(staging.handy, reading, frame, canvas, staging.first_x, staging.head_px)
    return shoulder + before + pointing


def _blur_px(reading: Reading, frame: Frame) -> float:
    if not reading.people:
        return 0
    if reading.shot.is_close:
        return frame.short_px * 0.0085
    return frame.short_px * 0.0030 if reading.shot is Shot.MEDIUM else 0


def _grade(
    reading: Reading, frame: Frame, backdrop: Backdrop, canvas: Canvas, staging: Staging
) -> tuple[Grade, ...]:
    """Return what moods and lamps do to the colours."""
    setting, moods = reading.setting, reading.moods
    is_night, is_dark = setting.time == "night", setting.time in {"night", "evening"}
    steps: list[Grade] = []
    if is_night:
        steps.append(Multiply(mix("#ffffff", "#2b3a8c", 0.06 if setting.indoor else 0.13)))
    if "tense" in moods:
        steps.append(Multiply(mix("#ffffff", "#123a4a", 0.13)))
    if "warm" in moods:
        steps.append(Screen(mix("#000000", "#ffae52", 0.10)))
    if "sad" in moods:
        steps.append(Desaturate(0.28))
    if backdrop.lamp and setting.indoor and (is_dark or setting.dim):
        glow = mix("#000000", canvas.palette.warm, 0.17)
        steps.append(Lamp(*backdrop.lamp, frame.short_px * 1.05, glow))
    if is_dark or setting.dim or setting.weather in {"rain", "storm"}:
        glow = mix("#000000", canvas.palette.warm, 0.30)
        steps.extend(
            Lamp(*place, max(staging.head_px * 5.0, frame.short_px * 0.30), glow)
            for place in _lanterns(staging)
        )
    return tuple(steps)


def _lanterns(staging: Staging) -> list[Point]:
    """Return where the lanterns are that people carry, in pixels."""
    places = [
        (standing.x + standing.head_px * (0.8 if standing.facing >= 0 else -0.8),
         standing.head_y + standing.head_px * 2.4)
        for standing in staging.figures
        if standing.carries is not None and standing.carries.icon in LANTERNS
    ]  # fmt: skip
    if staging.between is not None and staging.between[0].icon in LANTERNS:
        x, y = staging.between[1]
        places.append((x, y + staging.head_px * 0.5))
    return places


def _scrim(frame: Frame) -> tuple[float, float]:
    top = frame.height_px - frame.caption_px
    return top - frame.short_px * 0.115, top + frame.short_px * 0.02


def _document(frame: Frame, body: str) -> str:
    width_px, height_px = frame.width_px, frame.height_px
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width_px}" height="{height_px}"'
        f' viewBox="0 0 {width_px} {height_px}">{body}</svg>'
    )
