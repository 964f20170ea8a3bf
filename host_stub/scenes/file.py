"""Which kind of scene file this is, and which of its scenes a run is about.

Three kinds hold the same scenes: the original Stage 2 object (``{"prompts": [...]}``), a bare JSON
list, and JSON Lines. The first two are read whole, since JSON has no other way; JSON Lines are
checked once and then read anew for each pass (:mod:`host_stub.scenes.json_lines`). Nothing runs
before every scene of the file is known to be good.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import cast

from host_stub.contract import Scene
from host_stub.errors import Problem, SceneFileError, UsageError, closest
from host_stub.scenes.fields import scene_from
from host_stub.scenes.index import SceneFile, SceneIndex, id_digest
from host_stub.scenes.json_lines import MAX_LINE_BYTES, MAX_PROBLEMS, SceneLines, refusal
from host_stub.scenes.strict_json import JsonFault, parse

LINE_SUFFIXES = frozenset({".jsonl", ".ndjson"})
_MORE_IDS = 10_000  # enough names to find a near one among


class SceneView(SceneFile):
    """All scenes of a file as somebody sees them; what is not another is as the file has it.

    Args:
        scenes: Those of the file.
    """

    def __init__(self, scenes: SceneFile) -> None:
        self.path = scenes.path
        self.positions = scenes.positions
        self.takes = scenes.takes
        self._scenes = scenes

    def __iter__(self) -> Iterator[Scene]:
        return iter(self._scenes)


class SceneList(SceneFile):
    """The scenes of a JSON document."""

    def __init__(self, path: Path, scenes: Sequence[Scene]) -> None:
        self.path = path
        self.positions = SceneIndex(array("Q", (id_digest(scene.scene_id) for scene in scenes)))
        self.takes = bytearray(scene.takes for scene in scenes)
        self._scenes = tuple(scenes)

    def __iter__(self) -> Iterator[Scene]:
        return iter(self._scenes)


def read_scenes(
    path: Path, *, scene_ids: Collection[str] = (), limit: int | None = None
) -> SceneFile:
    """Check a scene file whole and return the scenes that were asked for, in the file's order.

    Args:
        path: The file; its kind shows in its name (``.jsonl``, ``.ndjson``) or its content.
        scene_ids: Only these; empty means all.
        limit: At most so many, from the first on.

    Raises:
        SceneFileError: The file cannot be read or something in it is wrong; every problem is
            named, up to 20.
        UsageError: A scene was asked for that the file does not have.
    """
    if limit is not None and limit < 1:
        raise UsageError("a limit on scenes is at least 1", hint="leave --limit out for all scenes")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SceneFileError(path, "", "expected a file", "name a file with scenes in it")
        if _is_lines(path):
            scenes: SceneFile = SceneLines(path, chosen=scene_ids, limit=limit)
        else:
            scenes = _read_document(path, frozenset(scene_ids), limit)
    except FileNotFoundError as error:
        names = {one.stem: one.name for one in path.parent.glob("*.json*")}
        near = closest(path.stem, names)
        hint = (
            f"did you mean {names[near]}?"
            if near
            else "'host-stub init' writes a small one to begin with"
        )
        raise SceneFileError(path, "", "there is no such file", hint) from error
    except OSError as error:
        problem = f"cannot be read: {error.strerror or type(error).__name__}"
        raise SceneFileError(path, "", problem, "check the path and its permissions") from error
    for wanted in scene_ids:
        if scenes.positions.find(wanted) is None and (limit is None or len(scenes) < limit):
            raise _unknown(path, wanted)
    return scenes


def _is_lines(path: Path) -> bool:
    """Return whether a file is JSON Lines: its first line is an object and not the whole story."""
    if path.suffix.lower() in LINE_SUFFIXES:
        return True
    with path.open("rb") as file:
        first = b""
        while not first and (line := file.readline(MAX_LINE_BYTES)):
            first = line.strip(b"\xef\xbb\xbf \t\r\n")
        try:
            entry = parse(first)
        except JsonFault:
            return False
        if not isinstance(entry, dict) or "prompts" in entry:
            return False
        return "scene_id" in entry or any(line.strip() for line in file)


def _read_document(path: Path, chosen: frozenset[str], limit: int | None) -> SceneList:
    data = path.read_bytes()
    if not data.strip(b"\xef\xbb\xbf \t\r\n"):
        raise SceneFileError(path, "", "is empty", "write at least one scene")
    try:
        name, entries = _entries(parse(data))
    except JsonFault as fault:
        where = f"line {fault.line}, column {fault.column}"
        hint = fault.hint or (_CORRECT if _is_meant_as_json(path, data) else _NOT_SCENES)
        raise SceneFileError(path, where, fault.problem, hint) from None
    except _NoScenes as error:
        raise SceneFileError(path, error.where, error.what, _FORMS) from None
    scenes = _checked(path, name, entries)
    kept = [scene for scene in scenes if not chosen or scene.scene_id in chosen]
    return SceneList(path, kept[:limit])


_CORRECT = "correct the file and run again"
_NOT_SCENES = "this is not a scene file: scenes are JSON or JSON Lines; --config names a config"


def _is_meant_as_json(path: Path, data: bytes) -> bool:
    """Return whether a broken file is a story with a slip, and not a file of another kind."""
    begins = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    return begins in {b"{", b"["} and path.suffix.lower() != ".toml"


_FORMS = 'write {"prompts": [{"scene_id": "scene_001", "image_prompt": "..."}]}, or only the list'


class _NoScenes(Exception):
    def __init__(self, where: str, what: str) -> None:
        self.where = where
        self.what = what
        super().__init__(what)


def _entries(document: object) -> tuple[str, list[object]]:
    """Find the list of scenes in a document, and its name for messages."""
    name, found = "scene", document
    if isinstance(document, dict):
        fields = cast("dict[str, object]", document)
        if "prompts" not in fields:
            near = closest("prompts", fields)
            guess = f", found {near[:60]!r}" if near else ""
            raise _NoScenes("", f"expected a list of scenes under 'prompts'{guess}")
        name, found = "prompts", fields["prompts"]
    if not isinstance(found, list):
        where = "prompts" if name == "prompts" else ""
        raise _NoScenes(where, "expected a list of scenes")
    if not found:
        raise _NoScenes("prompts" if name == "prompts" else "", "holds no scenes")
    return name, cast("list[object]", found)


def _checked(path: Path, name: str, entries: list[object]) -> list[Scene]:
    problems: list[Problem] = []
    scenes: list[Scene] = []
    first_places: dict[str, int] = {}
    for index, entry in enumerate(entries):
        scene = scene_from(entry)
        if not isinstance(scene, Scene):
            problems += [
                Problem(f"{name}[{index}].{problem.where}".removesuffix("."), problem.what)
                for problem in scene
            ]
            continue
        first = first_places.setdefault(scene.scene_id, index)
        if first != index:
            what = f"the same id as in {name}[{first}]; expected one of its own"
            problems.append(Problem(f"{name}[{index}].scene_id", what))
        scenes.append(scene)
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        raise refusal(path, problems)
    return scenes


def _unknown(path: Path, wanted: str) -> UsageError:
    """Refuse an id that the file does not have, with the nearest that it has."""
    names: list[str] = []
    for scene in read_scenes(path):
        names.append(scene.scene_id)
        if len(names) == _MORE_IDS:
            break
    near = closest(wanted, names)
    return UsageError(
        f"scene file {os.fspath(path)} has no scene {wanted[:80]!r}",
        hint=f"did you mean {near[:80]!r}?" if near else f"its first is {names[0][:80]!r}",
    )
