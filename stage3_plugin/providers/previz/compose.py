"""One frame as SVG: three sheets and the instructions to put them together.

Background, figures and slate are separate documents, because resvg pays dearly for what Pillow does
cheaply: the background is drawn at half its size when it will be out of focus, and blur, colour
grade, vignette and grain never reach the vector renderer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from stage3_plugin.providers.previz import effects
from stage3_plugin.providers.previz.backdrop import (
    Backdrop,
    exterior,
    interior,
)
from stage3_plugin.providers.previz.canvas import Canvas
from stage3_plugin.providers.previz.chance import Chance, seed_of
from stage3_plugin.providers.previz.colour import lighten, mix
from stage3_plugin.providers.previz.figure import figure
from stage3_plugin.providers.previz.frame import Frame, divide
from stage3_plugin.providers.previz.grade import Desaturate, Grade, Lamp, Multiply, Screen
from stage3_plugin.providers.previz.icons import icon
from stage3_plugin.providers.previz.palette import PALETTES, Palette
from stage3_plugin.providers.previz.props import about, behind, choose, table
from stage3_plugin.providers.previz.reading import Angle, Reading, Shot
from stage3_plugin.providers.previz.slate import slate
from stage3_plugin.providers.previz.staging import Staging, Standing, stage
from stage3_plugin.providers.previz.svg import rect

_VERSION = "previz-1"
"""Part of every seed: a change of it redraws every picture."""


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
    middle = behind(chosen, reading, frame, backdrop, canvas)
    staging = stage(reading, frame, backdrop, chosen, canvas.chance)
    figures = "".join(_figure(standing, canvas, staging) for standing in staging.figures)
    if reading.crowd:
        middle += effects.crowd(frame, backdrop, canvas, staging.light)
    front = _front(reading, frame, backdrop, canvas, staging)
    numbers = effects.numbers(reading, frame, canvas) if reading.numbers else ""
    if reading.dust:
        front += effects.dust(frame, canvas)
    if not reading.setting.indoor:
        weather = effects.weather(reading, canvas)
        if reading.setting.weather == "fog" and not reading.shot.is_full:
            middle += weather  # bands of fog across a near face look like a fault
        else:
            front += weather
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
        grade=_grade(reading, frame, backdrop, canvas),
        scrim=_scrim(frame) if caption else None,
    )


def _canvas(reading: Reading, frame: Frame, seed: int) -> Canvas:
    characters = "|".join(person.character for person in reading.people)
    chance = Chance(
        seed_of(
            _VERSION,
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
    )


def _palette(reading: Reading, chance: Chance) -> Palette:
    """Give the time's palette, a little towards violet or teal, under the weather."""
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


def _figure(standing: Standing, canvas: Canvas, staging: Staging) -> str:
    head_px = standing.head_px
    look = standing.person.look
    umbrella = ""
    if look.hold == "umbrella":
        reach = (0.62 if standing.facing >= 0 else -0.62) + standing.facing * 0.9
        x, y = standing.x + reach * head_px, standing.head_y + 2.25 * head_px
        umbrella = icon("umbrella", x, y, 3.7 * head_px, shadow=False)
    return umbrella + figure(
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
    )


def _front(
    reading: Reading, frame: Frame, backdrop: Backdrop, canvas: Canvas, staging: Staging
) -> str:
    """Draw what is in front of the people: a shoulder, the table, things about."""
    shoulder = ""
    if staging.over_shoulder:
        shoulder = effects.shoulder(staging.over_shoulder, frame, canvas)
    if staging.has_table:
        things = table(staging.handy, reading, frame, canvas, staging.first_x)
    else:
        things = about(staging.handy, reading, frame, backdrop, staging.first_x)
    return shoulder + things


def _blur_px(reading: Reading, frame: Frame) -> float:
    if not reading.people:
        return 0
    if reading.shot.is_close:
        return frame.short_px * 0.0085
    return frame.short_px * 0.0030 if reading.shot is Shot.MEDIUM else 0


def _grade(reading: Reading, frame: Frame, backdrop: Backdrop, canvas: Canvas) -> tuple[Grade, ...]:
    """Tell what moods and lamps do to the colours."""
    setting, moods = reading.setting, reading.moods
    is_night = setting.time == "night"
    steps: list[Grade] = []
    if is_night:
        steps.append(Multiply(mix("#ffffff", "#2b3a8c", 0.06 if setting.indoor else 0.13)))
    if "tense" in moods:
        steps.append(Multiply(mix("#ffffff", "#123a4a", 0.13)))
    if "warm" in moods:
        steps.append(Screen(mix("#000000", "#ffae52", 0.10)))
    if "sad" in moods:
        steps.append(Desaturate(0.28))
    if backdrop.lamp and setting.indoor and (is_night or setting.dim):
        glow = mix("#000000", canvas.palette.warm, 0.17)
        steps.append(Lamp(*backdrop.lamp, frame.short_px * 0.80, glow))
    return tuple(steps)


def _scrim(frame: Frame) -> tuple[float, float]:
    top = frame.height_px - frame.caption_px
    return top - frame.short_px * 0.115, top + frame.short_px * 0.02


def _document(frame: Frame, body: str) -> str:
    width_px, height_px = frame.width_px, frame.height_px
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width_px}" height="{height_px}"'
        f' viewBox="0 0 {width_px} {height_px}">{body}</svg>'
    )
