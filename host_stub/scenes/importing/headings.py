"""How a Markdown text is parted: its headings, with the lines and the fenced blocks under each.

It knows both kinds of headings, fences and comments, and nothing of what a scene is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from host_stub.errors import Problem
from host_stub.scenes.importing.story import NotAStory

_HEADING: Final = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_UNDERLINE: Final = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})(.*)$")
_RULE: Final = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")
_CLOSED: Final = re.compile(r"(?:^|[ \t])#+[ \t]*$")
_WORDS: Final = frozenset({"", "text", "txt"})
"""Blocks of these kinds are words like others."""


@dataclass
class Heading:
    """A heading and what stands under it, up to the next one.

    Attributes:
        level: From 1; what stands before the first has 0.
        title: Its words, with their marks.
        line: On which it stands, from 1.
        lines: What is written under it, without fenced blocks of a kind.
        blocks: Those, each with its kind in lower case.
        fields: What headings named like a field say of it.
        within: The one that it stands beneath.
        has_beneath: Others stand beneath it.
    """

    level: int
    title: str
    line: int
    lines: list[str] = field(default_factory=list[str])
    blocks: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    fields: dict[str, str] = field(default_factory=dict[str, str])
    within: Heading | None = None
    has_beneath: bool = False


def has_heading(lines: list[str]) -> bool:
    """Return whether there is a heading outside of fenced blocks; a broken text may have one."""
    try:
        return bool(parted(lines, 0, before=Heading(0, "", 1)))
    except NotAStory:
        return True


def parted(lines: list[str], start: int, *, before: Heading) -> list[Heading]:
    """Return the headings of a text in order.

    Args:
        lines: Of the whole text.
        start: Where to begin.
        before: Gets what stands before the first heading.

    Raises:
        NotAStory: A fenced block never ends.
    """
    reader = _Reader(before)
    for number, line in enumerate(lines[start:], start + 1):
        reader.take(number, line)
    if (fence := reader.fence) is not None:
        raise NotAStory(
            Problem(f"line {fence.line}", "a fenced block is opened here and never closed"),
            hint=f"close it with a line {fence.mark[:3]}",
        )
    return reader.found


def without_comments(text: str) -> str:
    """Take out HTML comments, keeping the lines they take; one that never ends is text."""
    parts: list[str] = []
    position = 0
    while (begins := text.find("<!--", position)) >= 0:
        ends = text.find("-->", begins + 4)
        if ends < 0:
            break
        parts += [text[position:begins], "\n" * text.count("\n", begins, ends)]
        position = ends + 3
    return "".join([*parts, text[position:]])


@dataclass
class _Fence:
    mark: str
    kind: str
    line: int
    lines: list[str] = field(default_factory=list[str])

    def is_closed_by(self, line: str) -> bool:
        text = line.strip()
        return len(text) >= len(self.mark) and set(text) == {self.mark[0]}


class _Reader:
    """Takes a text line by line."""

    def __init__(self, before: Heading) -> None:
        self.found: list[Heading] = []
        self.fence: _Fence | None = None
        self._current = before

    def take(self, number: int, line: str) -> None:
        """Take the next line."""
        if self.fence is not None:
            self._in_fence(self.fence, line)
        elif opened := _FENCE.fullmatch(line):
            self.fence = _Fence(opened[1], opened[2].strip().casefold(), number)
        elif made := _HEADING.fullmatch(line):
            title = _CLOSED.sub("", made[2] or "").strip()
            self._begin(Heading(len(made[1]), title or f"line {number}", number))
        elif (mark := _UNDERLINE.fullmatch(line)) and self._ends_with_one_line():
            title = self._current.lines.pop().strip()
            self._begin(Heading(1 if mark[1][0] == "=" else 2, title, number - 1))
        elif not _RULE.fullmatch(line):
            self._current.lines.append(line)

    def _in_fence(self, fence: _Fence, line: str) -> None:
        if not fence.is_closed_by(line):
            fence.lines.append(line)
            return
        if fence.kind in _WORDS:
            self._current.lines += ["", *fence.lines, ""]
        else:
            block = fence.kind.split()[0], "\n".join(fence.lines).strip()
            self._current.blocks.append(block)
        self.fence = None

    def _begin(self, heading: Heading) -> None:
        self._current = heading
        self.found.append(heading)

    def _ends_with_one_line(self) -> bool:
        """Return whether the last paragraph is one line, which an underline makes a heading."""
        lines = self._current.lines
        if not lines or not lines[-1].strip():
            return False
        return len(lines) == 1 or not lines[-2].strip()
