"""Text in a picture: how wide it is, where its lines break, and its SVG.

resvg stops looking for glyphs at the first character that no font has, and gives up on lines of
mixed scripts; so what no font has becomes one box, and every font gets a ``tspan`` of its own.
Lines break between Chinese characters and between Latin words, never before closing punctuation
and never after an opening one.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from stage3_plugin.previz.fonts import Font, font_of, fonts
from stage3_plugin.previz.svg import number

BOX = "\u25a1"
"""Stands for characters that no font has."""

_EM = 1000
_NEVER_FIRST = frozenset("，。、！？；：”’）》】〉」』,.!?;:)]}%…·")
_NEVER_LAST = frozenset("“‘（《【〈「『([{")
_CJK = (
    "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\u3000-\u303f"  # Han, Hangul, full width
)
_TOKEN = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+|\s+")
_IDEOGRAPH = re.compile("[\u2e80-\u9fff]")
# Variation selectors, the joiner of emoji, and skin tones: the outline fonts have none of them.
_EMOJI_MODIFIERS = re.compile("[\ufe00-\ufe0f\u200d\U0001f3fb-\U0001f3ff]")
_ORPHAN_SHARE = 0.12
"""A last line shorter than this share of the width looks lost."""
_TIGHTER = 0.93
_LEFT_TO_RIGHT_ISOLATE, _RIGHT_TO_LEFT_ISOLATE, _END_OF_ISOLATE = "\u2066", "\u2067", "\u2069"
_JOINED_UP = frozenset({"Noto Sans Arabic Medium", "Noto Sans Hebrew Medium"})


def drawable(text: str) -> str:
    """Return ``text`` with a box for every run of characters that no font has."""
    text = _EMOJI_MODIFIERS.sub("", unicodedata.normalize("NFC", text))
    shown = "".join(
        " " if character.isspace() else character if font_of(character) else BOX
        for character in text
    )
    return re.sub(f"{BOX}{{2,}}", BOX, shown)


def width(text: str, size_px: float) -> float:
    """Measure a line in pixels at the given size of type."""
    return sum(map(_advance, text)) * size_px


def wrap(text: str, size_px: float, width_px: float, most_lines: int) -> list[str]:
    """Break ``text`` into lines of at most ``width_px``.

    Text that needs more than ``most_lines`` ends in an ellipsis, after a whole word where the
    script has words; nothing else is ever left out. ``width_px`` must take one character.
    """
    lines = _fill(text, size_px, width_px, most_lines)
    if len(lines) > most_lines:
        return [*lines[: most_lines - 1], _shortened(lines[most_lines - 1], size_px, width_px)]
    tight_px = width_px
    while len(lines) > 1 and width(lines[-1], size_px) < tight_px * _ORPHAN_SHARE:
        tight_px *= _TIGHTER
        tighter = _fill(text, size_px, tight_px, most_lines)
        if len(tighter) > most_lines:
            break
        lines = tighter
    return lines


def runs_right_to_left(text: str) -> bool:
    """Return whether the first letter with a direction is Hebrew, Arabic or the like."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in {"R", "AL"}:
            return True
        if direction == "L":
            return False
    return False


def text(
    x: float,
    y: float,
    line: str,
    size_px: float,
    fill: str,
    *,
    anchor: str = "start",
    spacing_px: float = 0,
    opacity: float = 1,
) -> str:
    """Draw one line of text with its baseline at ``y``.

    Args:
        x: Its start, middle or end, as ``anchor`` says.
        y: Its baseline.
        line: What :func:`drawable` gave.
        size_px: The size of the type.
        fill: Its colour.
        anchor: ``start``, ``middle`` or ``end``.
        spacing_px: Added between letters.
        opacity: 0 to 1.
    """
    attributes = [
        f'x="{number(x)}" y="{number(y)}"',
        f'font-family="{fonts()[0].family}" font-size="{number(size_px)}" fill="{fill}"',
    ]
    if anchor != "start":
        attributes.append(f'text-anchor="{anchor}"')
    if spacing_px:
        attributes.append(f'letter-spacing="{number(spacing_px)}"')
    if opacity < 1:
        attributes.append(f'opacity="{opacity}"')
    return f'<text {" ".join(attributes)} xml:space="preserve">{_spans(line)}</text>'


@lru_cache(maxsize=20_000)
def _advance(character: str) -> float:
    font = font_of(character)
    if font is not None:
        return font.advances[ord(character)] / _EM
    return 1.0 if ord(character) > 0x2E7F else 0.6


def _fill(line: str, size_px: float, width_px: float, most_lines: int) -> list[str]:
    """Fill lines one after the other; stops at one more than may be."""
    lines: list[str] = []
    current: list[str] = []
    for token in _pieces(line, size_px, width_px):
        if width("".join([*current, token]).rstrip(), size_px) <= width_px:
            current.append(token)
            continue
        carried = _carried(current, token)
        if width("".join(carried), size_px) > width_px:
            carried = [token]
        full = "".join(current[: len(current) - len(carried) + 1]).strip()
        if full:
            lines.append(full)
        if len(lines) > most_lines:
            return lines
        current = carried[1:] if carried[0].isspace() else carried
    rest = "".join(current).strip()
    return [*lines, rest] if rest else lines


def _carried(current: list[str], token: str) -> list[str]:
    """Return which tokens of a full line go down with the next one, that one included."""
    at = len(current)
    below = token
    while at > 1 and (below[0] in _NEVER_FIRST or current[at - 1][-1] in _NEVER_LAST):
        at -= 1
        below = current[at]
    return [*current[at:], token] if at else [token]


def _pieces(line: str, size_px: float, width_px: float) -> Iterator[str]:
    """Return the tokens of a line, a word that is longer than a line in pieces."""
    for token in _TOKEN.findall(line):
        while width(token, size_px) > width_px and len(token) > 1:
            head = 1
            while width(token[: head + 1], size_px) <= width_px:
                head += 1
            yield token[:head]
            token = token[head:]  # noqa: PLW2901 - what is left of the word
        yield token


def _shortened(line: str, size_px: float, width_px: float) -> str:
    is_chinese = _IDEOGRAPH.search(line[-3:]) is not None
    ellipsis = "……" if is_chinese else " ..."
    if " " in line and not is_chinese and width(line + ellipsis, size_px) > width_px:
        line = line.rsplit(" ", 1)[0]
    while line and width(line + ellipsis, size_px) > width_px:
        line = line[:-1].rstrip()
    return line.rstrip(" ,，、;.") + ellipsis


def _spans(line: str) -> str:
    runs: list[tuple[Font, str]] = []
    for character in line:
        font = _font_after(runs[-1][0] if runs else None, character)
        if runs and runs[-1][0] is font:
            runs[-1] = (font, runs[-1][1] + character)
        else:
            runs.append((font, character))
    spans = "".join(_span(font.family, run) for font, run in runs)
    shaped = next((font for font, _ in runs if font.family in _JOINED_UP), None)
    if shaped is None:
        return spans
    # resvg shapes the whole line in the font it starts with and then puts the other fonts' parts
    # over it, which garbles joined-up letters: so let the line start in their font, invisibly.
    # It also sets every line as if it were English; an isolate turns the order of its parts.
    start = _RIGHT_TO_LEFT_ISOLATE if runs_right_to_left(line) else _LEFT_TO_RIGHT_ISOLATE
    return _span(shaped.family, start) + spans + _span(shaped.family, _END_OF_ISOLATE)


def _font_after(previous: Font | None, character: str) -> Font:
    """Keep accents, spaces and joiners in the font of what they belong to, if it has them."""
    leans = character.isspace() or unicodedata.category(character) in {"Mn", "Mc", "Me", "Cf"}
    if previous and leans and ord(character) in previous.advances:
        return previous
    return font_of(character) or fonts()[0]


def _span(family: str, run: str) -> str:
    escaped = html.escape(run, quote=True)
    if family == fonts()[0].family:
        return escaped
    return f'<tspan font-family="{family}">{escaped}</tspan>'
