"""The slate: what is written over a frame for people who read storyboards.

Scene number, shot and angle at the top left, place and time and the names of the cast above the
caption, corner marks, and the word PREVIZ, so that no frame is taken for the finished picture.
"""

from __future__ import annotations

from stage3_plugin.previz.colour import lighten, luminance, mix
from stage3_plugin.previz.frame import LINE_SPACING, Frame
from stage3_plugin.previz.lettering import drawable, runs_right_to_left, text, width
from stage3_plugin.previz.lexicon import scene_words
from stage3_plugin.previz.palette import PALETTES
from stage3_plugin.previz.reading import Reading
from stage3_plugin.previz.svg import circle, number, opacity, path, rect
from stage3_plugin.previz.text import clean, last_digits

_MARK = "PREVIZ"
_TIMELESS = frozenset({"space", "underwater", "cave"})
_LONGEST_TAG, _LONGEST_NUMBER, _LONGEST_NAME = 16, 6, 18
_GOLD = "#f2c14e"
_WHITE = "#ffffff"


def slate(reading: Reading, frame: Frame, light: str) -> str:
    """Draw everything that is written over the picture.

    Args:
        reading: What the frame shows.
        frame: Its measures.
        light: The colour of the light, for frames without people.
    """
    accent = reading.people[0].colour if reading.people else mix(light, _GOLD, 0.5)
    accent = lighten(accent, 0.12)
    return (
        _corners(frame)
        + _badge(reading, frame, accent)
        + _mark(frame)
        + _place_line(reading, frame, accent)
        + _name_chips(reading, frame)
        + _caption(frame)
    )


def _corners(frame: Frame) -> str:
    inset, arm = frame.short_px * 0.040, frame.short_px * 0.036
    outline = (
        f' stroke="{_WHITE}" stroke-opacity=".72"'
        f' stroke-width="{number(frame.short_px * 0.0026)}" fill="none"'
    )
    marks: list[str] = []
    for x, along in ((inset, arm), (frame.width_px - inset, -arm)):
        for y, down in ((inset, arm), (frame.height_px - inset, -arm)):
            d = f"M{number(x + along)} {number(y)}H{number(x)}V{number(y + down)}"
            marks.append(f'<path d="{d}"{outline}/>')
    return "".join(marks)


def _badge(reading: Reading, frame: Frame, accent: str) -> str:
    """Draw the scene's number, and beside it the shot and the angle."""
    short_px = frame.short_px
    tag = _tag(reading.scene_id)
    words = scene_words()
    label = f"{words.shots[reading.shot].label} · {words.angles[reading.angle].label}"
    tag_px, label_px = short_px * 0.024, short_px * 0.0165
    left, top, height = short_px * 0.058, short_px * 0.058, short_px * 0.044
    tag_width = width(tag, tag_px) + short_px * 0.034
    label_width = width(label, label_px) + len(label) * short_px * 0.0018 + short_px * 0.036
    middle = left + tag_width / 2
    ink = "#0b0d16" if luminance(accent) > 0.45 else _WHITE
    return (
        rect(left, top, tag_width + label_width, height, "#070912", height * 0.22, opacity(0.78))
        + path(_left_rounded(left, top, tag_width, height), accent)
        + text(middle, top + height * 0.70, tag, tag_px, ink, anchor="middle")
        + text(
            left + tag_width + short_px * 0.016,
            top + height * 0.66,
            label,
            label_px,
            _WHITE,
            spacing_px=short_px * 0.0018,
            opacity=0.94,
        )
    )


def _tag(scene_id: str) -> str:
    """Return the scene's number, or the beginning of its name; of a take's, ``take 2``, both."""
    digits = last_digits(scene_id)
    if digits and not scene_id.startswith("take "):
        return drawable(digits[-_LONGEST_NUMBER:])
    return drawable(clean(scene_id))[:_LONGEST_TAG] or "—"


def _left_rounded(x: float, y: float, width_px: float, height_px: float) -> str:
    """Return the outline of a box whose left corners are round."""
    radius = height_px * 0.22
    near, right, below = number(x + radius), number(x + width_px), number(y + height_px)
    left, top = number(x), number(y)
    return (
        f"M{near} {top}H{right}V{below}H{near}"
        f"Q{left} {below} {left} {number(y + height_px * 0.78)}"
        f"V{number(y + radius)}Q{left} {top} {near} {top}Z"
    )


def _mark(frame: Frame) -> str:
    short_px = frame.short_px
    size_px, top, height = short_px * 0.0165, short_px * 0.058, short_px * 0.044
    dot = frame.width_px - short_px * 0.058 - width(_MARK, size_px) - short_px * 0.036
    ground = rect(
        dot - short_px * 0.018,
        top,
        frame.width_px - short_px * 0.048 - dot + short_px * 0.018,
        height,
        "#070912",
        height * 0.22,
        opacity(0.38),
    )
    return (
        ground
        + circle(dot, top + height * 0.50, short_px * 0.0062, "#ff5a4f")
        + text(
            frame.width_px - short_px * 0.062,
            top + height * 0.66,
            _MARK,
            size_px,
            _WHITE,
            anchor="end",
            spacing_px=short_px * 0.0030,
            opacity=0.9,
        )
    )


def _above_caption(frame: Frame) -> float:
    return frame.height_px - frame.caption_px + frame.short_px * 0.008


def _place_line(reading: Reading, frame: Frame, accent: str) -> str:
    setting = reading.setting
    line = (
        "" if setting.place == "stage" else "INT. " if setting.indoor else "EXT. "
    ) + setting.label
    if setting.names_time or setting.place not in _TIMELESS:
        line += f" — {PALETTES[setting.time].label}"
    if setting.weather != "clear":
        line += f" · {setting.weather.upper()}"
    return text(
        frame.margin_px,
        _above_caption(frame),
        line,
        frame.short_px * 0.0165,
        mix(_WHITE, accent, 0.45),
        spacing_px=frame.short_px * 0.0022,
    )


def _name_chips(reading: Reading, frame: Frame) -> str:
    """Draw a dot of each one's colour and the name beside it, as many as there is room for."""
    short_px, y = frame.short_px, _above_caption(frame)
    size_px, gap = short_px * 0.0175, short_px * 0.040
    named = [(person, person.name[:_LONGEST_NAME]) for person in reading.people if person.name]
    room = frame.width_px * 0.58 - frame.margin_px
    shown = named
    while shown and sum(width(name, size_px) + gap for _, name in shown) > room:
        shown = shown[:-1]
    x = frame.width_px - frame.margin_px
    markup = ""
    if len(shown) < len(named):
        rest = f"+{len(named) - len(shown)}"
        markup += text(x, y, rest, size_px, _WHITE, anchor="end", opacity=0.95)
        x -= width(rest, size_px) + short_px * 0.022
    for person, name in reversed(shown):
        x -= width(name, size_px)
        markup += text(x, y, name, size_px, _WHITE, opacity=0.95)
        x -= short_px * 0.018
        dot_x, dot_y, radius = x + short_px * 0.003, y - short_px * 0.006, short_px * 0.0085
        ring = f' stroke="{_WHITE}" stroke-opacity=".6" stroke-width="{number(short_px * 0.0014)}"'
        markup += circle(dot_x, dot_y, radius, person.colour)
        markup += circle(dot_x, dot_y, radius, "none", ring)
        x -= short_px * 0.022
    return markup


def _caption(frame: Frame) -> str:
    y = frame.height_px - frame.caption_px + frame.short_px * 0.008 + frame.type_px * 1.5
    markup = ""
    for line in frame.lines:
        from_right = runs_right_to_left(line)
        x = frame.width_px - frame.margin_px if from_right else frame.margin_px
        anchor = "end" if from_right else "start"
        markup += text(x, y, line, frame.type_px, "#f6f4ee", anchor=anchor)
        y += frame.type_px * LINE_SPACING
    return markup
