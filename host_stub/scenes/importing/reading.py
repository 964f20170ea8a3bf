"""Which kind of story a file is, its scenes, checked, and how they are written down.

The one module here that touches a disk. What it returns is a scene file: every entry has passed the
check that a run makes of it, so that what is written can be run. The cast becomes tables of a
config.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from host_stub.contract import Scene
from host_stub.errors import Problem, StoryNotRead
from host_stub.scenes.fields import scene_from
from host_stub.scenes.importing.markdown import is_markdown, read_markdown
from host_stub.scenes.importing.mulmoscript import is_mulmoscript, read_mulmoscript
from host_stub.scenes.importing.scene_plan import is_scene_plan, read_scene_plan
from host_stub.scenes.importing.story import MOST_BYTES, NotAStory, Read
from host_stub.scenes.importing.table import is_table, read_table
from host_stub.scenes.json_lines import MAX_PROBLEMS
from host_stub.scenes.strict_json import JsonFault, decoded, is_half_a_pair, parse

KINDS: Final = "Markdown, CSV, a mulmoscript and an OpenMontage scene plan can be read"
_MARKDOWN: Final = frozenset({".md", ".markdown", ".mdown", ".mkd"})
_TABLE: Final = frozenset({".csv", ".tsv"})
_CORRECT: Final = "correct the file and try again; nothing was written"


def read_story(path: Path) -> Read:
    """Read a story that was written elsewhere.

    Raises:
        StoryNotRead: It is not there, too large, of no kind that is known, or a scene of it would
            not be one; every problem is named, up to 20.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise StoryNotRead(path, [Problem("", "expected a file")], hint="name a file")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise StoryNotRead(
            path, [Problem("", "there is no such file")], hint="check the path"
        ) from error
    except OSError as error:
        problem = f"cannot be read: {error.strerror or type(error).__name__}"
        raise StoryNotRead(
            path, [Problem("", problem)], hint="check the path and its permissions"
        ) from error
    try:
        read = read_bytes(data, suffix=path.suffix)
    except NotAStory as error:
        raise StoryNotRead(path, error.problems, hint=error.hint) from None
    problems = problems_of(read)
    if problems:
        raise StoryNotRead(path, problems, hint=_CORRECT)
    return read


def read_bytes(data: bytes, *, suffix: str = "") -> Read:
    """Read a story's bytes.

    Args:
        data: All of them.
        suffix: How its name ends, which decides where the content may be several kinds.

    Raises:
        NotAStory: It is too large, or of no kind that is known, or broken.
    """
    if len(data) > MOST_BYTES:
        problem = Problem("", f"expected at most {MOST_BYTES // 1024**2} MiB")
        raise NotAStory(problem, hint="split the file, or write the scenes as JSON Lines")
    read = _read(data, suffix.lower())
    if not read.entries:
        raise NotAStory(Problem("", "holds no scenes"), hint="write at least one scene")
    if is_half_a_pair(json.dumps([read.entries, read.cast], ensure_ascii=False)):
        raise NotAStory(
            Problem("", "holds half of a surrogate pair, which is no text"), hint=_CORRECT
        )
    return read


def _read(data: bytes, suffix: str) -> Read:
    try:
        text = decoded(data)
    except JsonFault as fault:
        raise _not_text(fault) from None
    if not text.strip():
        raise NotAStory(Problem("", "is empty"), hint="name a file with scenes in it")
    if suffix == ".json" or (suffix not in _MARKDOWN | _TABLE and text.lstrip()[:1] in "{["):
        return _read_json(data)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if suffix in _TABLE or (suffix not in _MARKDOWN and is_table(text)):
        return read_table(text)
    if suffix in _MARKDOWN or is_markdown(text):
        return read_markdown(text)
    raise NotAStory(Problem("", "is none of the kinds that can be read"), hint=KINDS)


def problems_of(read: Read) -> Sequence[Problem]:
    """Return what a run would find wrong with the scenes, by the words and places of the file."""
    problems: list[Problem] = []
    first: dict[str, str] = {}
    for entry, origin in zip(read.entries, read.origins, strict=True):
        scene = scene_from(entry)
        if not isinstance(scene, Scene):
            for one in scene:
                name, dot, rest = one.where.partition("[")
                where = f"{origin.where}: {origin.names.get(name, name)}{dot}{rest}"
                problems.append(Problem(where.removesuffix(": "), one.what))
        elif (before := first.setdefault(scene.scene_id, origin.where)) != origin.where:
            what = f"the same id as in {before}; expected one of its own"
            where = f"{origin.where}: {origin.names.get('scene_id', 'id')}"
            problems.append(Problem(where, what))
        if len(problems) >= MAX_PROBLEMS:
            break
    return problems[:MAX_PROBLEMS]


def _read_json(data: bytes) -> Read:
    try:
        document = parse(data)
    except JsonFault as fault:
        raise _not_text(fault) from None
    if isinstance(document, dict):
        said = cast("Mapping[str, Any]", document)
        if is_mulmoscript(said):
            return read_mulmoscript(said)
        if is_scene_plan(said):
            return read_scene_plan(said)
    if isinstance(document, list) or (isinstance(document, dict) and "prompts" in document):
        problem = Problem("", "is a scene file already, or meant as one")
        raise NotAStory(problem, hint="'host-stub run FILE' makes its pictures as it is")
    raise NotAStory(Problem("", "is JSON, and none of the kinds that can be read"), hint=KINDS)


def _not_text(fault: JsonFault) -> NotAStory:
    where = f"line {fault.line}, column {fault.column}"
    return NotAStory(Problem(where, fault.problem), hint=fault.hint or _CORRECT)


_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
"""A key that TOML takes without quotation marks."""


def scene_file(read: Read) -> str:
    """Return the scenes as the text of a scene file, which a person may go on editing."""
    return json.dumps({"prompts": list(read.entries)}, ensure_ascii=False, indent=2) + "\n"


def references_from(read: Read, *, source: Path, folder: Path) -> dict[str, Mapping[str, str]]:
    """Return the cast with the files of its pictures as they are named from another folder.

    Args:
        read: A story; its files are relative to it.
        source: The story's file.
        folder: The folder of the config.
    """
    cast: dict[str, Mapping[str, str]] = {}
    for name, member in read.cast.items():
        image = member.get("image")
        cast[name] = member if image is None else {**member, "image": _moved(image, source, folder)}
    return cast


def _moved(image: str, source: Path, folder: Path) -> str:
    if source.parent.resolve() == folder.resolve() or Path(image).is_absolute():
        return image
    return Path(os.path.relpath(source.parent / image, folder)).as_posix()


def cast_tables(cast: Mapping[str, Mapping[str, str]], *, plugin: str) -> str:
    """Return a table of a plugin's settings for each member; nothing without any."""
    return "".join(
        f"\n[plugin.{plugin}.cast.{name if _BARE.fullmatch(name) else _quoted(name)}]\n"
        + "".join(f"{key} = {_quoted(value)}\n" for key, value in member.items())
        for name, member in cast.items()
    )


def _quoted(text: str) -> str:
    """Write a text as TOML has it; JSON's escapes are TOML's, but for one that JSON leaves out."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
