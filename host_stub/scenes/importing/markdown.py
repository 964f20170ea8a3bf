"""Markdown: a heading a scene, with the words beneath it as its prompt.

The innermost headings are the scenes; a heading with others beneath it is a title or a chapter.
What a scene says of itself may stand as ``Style: watercolour`` on a line, in a list or under a
heading of that name; a block that is fenced as ``prompt`` is the prompt alone. Front matter holds
for every scene. The marks of Markdown are taken off: they are no words for a picture.

A text is first parted into its headings, of both kinds, with the lines and the fenced blocks under
each, without a thought of what a scene is.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from host_stub.errors import Problem
from host_stub.scenes.importing.story import (
    Entry,
    Names,
    NotAStory,
    Origin,
    Read,
    field_named,
    listed,
    numbered,
    refuse_too_many,
    value_of,
)
from host_stub.text.file_names import readable

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


_MARK: Final = re.compile(
    r"\A[ \t]*(?:[-*+][ \t]+(?:\[[ xX]\][ \t]+)?|[0-9]{1,9}[.)][ \t]+|>[ \t]?)"
)
_FIELD: Final = re.compile(
    r"(?:\*{1,2}|_{1,2})?([A-Za-z][A-Za-z _-]{0,30}?)(?:\*{1,2}|_{1,2})?[ \t]*:"
    r"(?:\*{1,2}|_{1,2})?[ \t]*(.*)"
)
_PICTURE: Final = re.compile(r"!\[([^\[\]\n]{0,300})\]\([^)\n]{0,2000}\)")
_LINK: Final = re.compile(r"\[([^\[\]\n]{1,300})\]\([^)\n]{0,2000}\)")
_STRONG: Final = re.compile(r"(\*\*|__)(?=\S)([^*_\n]{1,2000})(?<=\S)\1")
_EMPHASIS: Final = re.compile(
    r"(?<![\w*])([*_])(?=[^\s*_])([^*_\n]{1,2000})(?<=[^\s*_])\1(?![\w*])"
)
_NOT_DRAWN: Final = frozenset(
    {
        *("notes", "note", "narration", "dialogue", "voiceover", "voice over", "script", "audio"),
        *("sound", "music", "transition", "duration", "camera notes"),
    }
)
"""Headings under a scene, and words before a colon, that are kept with it and not drawn."""
_SHARED: Final = frozenset(
    {"negative_prompt", "style_tags", "references", "size", "width", "height"}
    | {"seed", "takes", "model", "quality", "lane"}
)
"""Fields that front matter or a chapter may say for every scene. Not the characters: where a story
lists them, it says who they are."""
_LONGEST_ID: Final = 60
_FORM: Final = (
    "write a heading a scene, such as '## Dawn in the harbour', and its picture beneath it"
)


@dataclass
class _Notes:
    made_of_headings: list[str] = field(default_factory=list[str])
    chapters: list[str] = field(default_factory=list[str])
    dropped: list[str] = field(default_factory=list[str])
    pictures: int = 0
    blocks: list[str] = field(default_factory=list[str])
    kept: list[str] = field(default_factory=list[str])
    shared: list[str] = field(default_factory=list[str])
    has_preamble: bool = False

    def sentences(self) -> Iterator[str]:
        if self.has_preamble:
            yield "not a scene: the text before the first heading"
        if self.chapters:
            yield f"not scenes, since other headings are beneath them: {listed(self.chapters)}"
        if self.dropped:
            yield f"not scenes, by their names: {listed(self.dropped)}"
        if self.made_of_headings:
            yield (
                "without words of their own, so that the heading is the prompt: "
                f"{listed(self.made_of_headings)}"
            )
        if self.kept:
            yield f"kept with the scenes, and not sent to anybody: {listed(self.kept)}"
        if self.blocks:
            yield f"not taken over: blocks of code ({listed(self.blocks)})"
        if self.pictures:
            count = "1 picture" if self.pictures == 1 else f"{self.pictures} pictures"
            yield (
                f"not taken over: {count} in the text; to show one to the model, write a line "
                "'References: FILE' in its scene"
            )
        if self.shared:
            yield f"not taken over: {listed(self.shared)} of the front matter"


def is_markdown(text: str) -> bool:
    """Return whether a text has a heading."""
    lines = without_comments(text).split("\n")
    return has_heading(lines[_front_matter(lines)[1] :])


def read_markdown(text: str) -> Read:
    """Read a text.

    Raises:
        NotAStory: It has no heading, or a fenced block that does not end.
    """
    lines = without_comments(text).split("\n")
    shared, start = _front_matter(lines)
    whole = Heading(0, "", 1)
    headings = parted(lines, start, before=whole)
    notes = _Notes()
    for name, said in shared.items():
        if (ours := field_named(name)) not in _SHARED:
            notes.shared.append(name)
        else:
            whole.fields[str(ours)] = said
    scenes = _scenes(headings, whole, notes)
    if not scenes:
        raise NotAStory(Problem("", "expected a heading for each scene, found none"), hint=_FORM)
    refuse_too_many(len(scenes))
    names = Names()
    entries = tuple(_entry(scene, names, number, notes) for number, scene in enumerate(scenes, 1))
    origins = tuple(Origin(where=f"line {scene.line}") for scene in scenes)
    return Read(kind="Markdown", entries=entries, origins=origins, notes=tuple(notes.sentences()))


def _scenes(headings: list[Heading], whole: Heading, notes: _Notes) -> list[Heading]:
    """Keep the innermost headings; those named like a field become one of what is above them.

    Args:
        headings: All of them, in order.
        whole: Stands above them all.
        notes: What is left out is noted there.
    """
    kept: list[Heading] = []
    above = [whole]
    aside: Heading | None = None
    for heading in headings:
        if aside is not None and heading.level > aside.level:
            notes.dropped.append(heading.title)
            continue
        while above[-1].level >= heading.level:
            above.pop()
        name = _kept_name(heading.title)
        aside = None if name is None else heading
        if name is not None:
            above[-1].fields.setdefault(name, _body(heading, notes))
            above[-1].blocks += [block for block in heading.blocks if block[0] == "prompt"]
            continue
        heading.within = above[-1]
        above[-1].has_beneath = True
        above.append(heading)
        kept.append(heading)
    for one in (whole, *kept):
        if one.has_beneath:
            one.lines = list(_without_fields(one.lines, one.fields, _SHARED))
            notes.dropped += [name for name in one.fields if name not in _SHARED]
            if any(line.strip() for line in one.lines):
                notes.has_preamble |= one is whole
                notes.chapters += [one.title] if one is not whole else []
    return [one for one in kept if not one.has_beneath]


def _inherited(scene: Heading) -> dict[str, Any]:
    """Return what the headings above a scene say for all beneath them; the nearest counts."""
    same: dict[str, Any] = {}
    above = scene.within
    while above is not None:
        for name, said in above.fields.items():
            if name in _SHARED and name not in same:
                same[name] = value_of(name, said)
        above = above.within
    return same


def _kept_name(title: str) -> str | None:
    """Return the field, or the word of what is kept, that a heading or a line names."""
    ours = field_named(title)
    word = title.casefold().replace("-", " ").strip(" :")
    return ours if ours not in {None, "scene_id"} else word if word in _NOT_DRAWN else None


def _entry(scene: Heading, names: Names, number: int, notes: _Notes) -> Entry:
    said = dict(scene.fields)
    scene.lines = list(_without_fields(scene.lines, said))
    body = _body(scene, notes)
    fenced = [text for kind, text in scene.blocks if kind == "prompt"]
    written = said.pop("prompt", "")
    prompt = "\n\n".join(fenced) or written
    kept: dict[str, Any] = {}
    if prompt and body:
        kept["text"] = body
    if not prompt:
        prompt = body
    if not prompt:
        prompt = scene.title
        notes.made_of_headings.append(scene.title)
    entry: Entry = _inherited(scene)
    for name, text in said.items():
        ours = field_named(name)
        if ours is None:
            kept[name.replace(" ", "_")] = text
        else:
            entry[ours] = value_of(ours, text)
    notes.kept += kept
    name = readable(scene.title)[:_LONGEST_ID].strip("-") or numbered(number)
    return {"scene_id": names.new(name), "prompt": prompt, **entry, **kept}


def _without_fields(
    lines: list[str], said: dict[str, str], known: Container[str] | None = None
) -> Iterator[str]:
    """Take out what says a field, on its line or in the lines below it; the first of each counts.

    Where nothing stands behind the colon, the paragraph below is what is said; of a wish, such as
    its style, one that is directly below, since the next may be the scene's own words.

    Args:
        lines: Of a heading.
        said: Gets the fields; those that are in it stay.
        known: The fields to take out; all by default.
    """
    words: dict[str, list[str]] = {}
    below: list[str] | None = None
    is_wish = False
    for line in lines:
        text = _MARK.sub("", line, count=1).strip()
        found = _FIELD.fullmatch(text)
        name = None if found is None else _kept_name(found[1])
        if known is not None and name is not None and name not in known:
            name = None
        if found is not None and name is not None and name not in said and name not in words:
            words[name] = [_plain(found[2])] if found[2] else []
            below = None if found[2] else words[name]
            is_wish = name in _SHARED
        elif below is None:
            yield line
        elif text:
            below.append(_plain(text))
        elif below or is_wish:
            below = None
    said |= {name: " ".join(parts) for name, parts in words.items() if any(parts)}


def _body(heading: Heading, notes: _Notes) -> str:
    """Return the words of a heading's own, paragraph by paragraph, without marks."""
    paragraphs: list[str] = []
    lines: list[str] = []
    for line in [*heading.lines, ""]:
        notes.pictures += len(_PICTURE.findall(line))
        plain = _plain(_MARK.sub("", line, count=1))
        if plain:
            lines.append(plain)
        elif lines:
            paragraphs.append(" ".join(lines))
            lines = []
    notes.blocks += [kind for kind, _ in heading.blocks if kind != "prompt"]
    return "\n\n".join(paragraphs)


def _plain(text: str) -> str:
    text = _LINK.sub(r"\1", _PICTURE.sub("", text))
    return _EMPHASIS.sub(r"\2", _STRONG.sub(r"\2", text)).replace("`", "").strip()


def _front_matter(lines: list[str]) -> tuple[dict[str, str], int]:
    """Return what stands between ``---`` at the very beginning, and where the text begins.

    Only ``name: words`` and lists of words are read; that is what scenes have in common.
    """
    if not lines or lines[0].rstrip() != "---":
        return {}, 0
    ends = next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() in {"---", "..."}), None)
    if ends is None:
        return {}, 0
    said: dict[str, str] = {}
    name = ""
    for line in lines[1:ends]:
        found = re.fullmatch(r"([A-Za-z][\w -]{0,60}):(?:[ \t]+(.*))?", line.rstrip())
        if found is not None:
            name = found[1].strip()
            said[name] = _unquoted((found[2] or "").strip().removeprefix("[").removesuffix("]"))
        elif name and (item := re.fullmatch(r"[ \t]*-[ \t]+(.*)", line.rstrip())):
            said[name] = ", ".join(filter(None, [said[name], _unquoted(item[1])]))
    return said, ends + 1


def _unquoted(text: str) -> str:
    parts = [part.strip() for part in text.split(",")]
    return ", ".join(
        part[1:-1] if len(part) > 1 and part[0] == part[-1] and part[0] in "'\"" else part
        for part in parts
    )
