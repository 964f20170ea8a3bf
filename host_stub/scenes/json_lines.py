"""JSON Lines: one scene per line, read as often as asked; no more than some pages are held.

The first pass reads every line and keeps 25 bytes per scene (a digest of its id, a digest of its
line, where the line begins, and its takes). Each later pass reads the lines anew and compares them
with these, so that a file edited between two passes is noticed before a scene of the other version
is bought.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from host_stub.contract import Scene
from host_stub.errors import Problem, SceneFileError
from host_stub.scenes.fields import scene_from
from host_stub.scenes.index import SceneFile, SceneIndex, digest, id_digest
from host_stub.scenes.strict_json import JsonFault, parse

MAX_LINE_BYTES = 16 * 1024 * 1024
"""A longer line is no scene."""
MAX_PROBLEMS = 20
"""Problems reported at once; a file with more has one cause."""

PAGE_SCENES = 256
PAGES, MOST_PAGE_BYTES = 4, 256 * 1024
"""So many pages of scenes are held: a short story is read once more, and whoever goes through a
long one beside another reads nothing. A page of more bytes is held by nobody."""

Stamp = tuple[int, int, int]


class SceneLines(SceneFile):
    """The scenes of a JSON Lines file, checked when made.

    Args:
        path: A regular file.
        chosen: Ids to feed; empty means all.
        limit: Feed no more than so many.

    Attributes:
        path: The file.
        positions: Where each fed scene stands.
        takes: How many pictures each fed scene wants.

    Raises:
        SceneFileError: With up to :data:`MAX_PROBLEMS` problems and their lines.
    """

    def __init__(
        self, path: Path, *, chosen: Collection[str] = (), limit: int | None = None
    ) -> None:
        self.path = path
        self._line_digests = array("Q")
        self._offsets = array("Q")
        self._pages: dict[int, list[Scene]] = {}
        self.takes = bytearray()
        with path.open("rb") as file:
            self._stamp = _stamp(file)
            self.positions = self._check(file, frozenset(chosen), limit)

    def __iter__(self) -> Iterator[Scene]:
        """Feed the scenes from the file as it is on disk.

        Raises:
            SceneFileError: The file is not the one that was checked.
        """
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise self._changed(f"cannot be read any more: {error.strerror}") from error
        with file:
            if _stamp(file) != self._stamp:
                raise self._changed("was changed while the run was using it")
            for first in range(0, len(self), PAGE_SCENES):
                page = self._pages.get(first)
                yield from self._read(file, first) if page is None else page

    def _read(self, file: BinaryIO, first: int) -> Iterator[Scene]:
        """Read a page, which is held then for whoever goes through beside or after."""
        last = min(first + PAGE_SCENES, len(self))
        ends_at = self._offsets[last] if last < len(self) else self._stamp[1]
        if ends_at - self._offsets[first] > MOST_PAGE_BYTES:
            yield from (self._scene_of(file, place) for place in range(first, last))
            return
        page: list[Scene] = []
        for place in range(first, last):
            page.append(self._scene_of(file, place))
            if len(page) == last - first:  # before its last is taken: who goes beside comes next
                for oldest in list(self._pages)[: 1 - PAGES]:
                    self._pages.pop(oldest, None)
                self._pages[first] = page
            yield page[-1]

    def _scene_of(self, file: BinaryIO, place: int) -> Scene:
        file.seek(self._offsets[place])
        line = file.readline(MAX_LINE_BYTES)
        if digest(line) == self._line_digests[place]:
            scene = scene_from(parse(line))
            if isinstance(scene, Scene):  # the same bytes passed the check
                return scene
        raise self._changed("was changed while the run was using it")

    def _check(self, file: BinaryIO, chosen: frozenset[str], limit: int | None) -> SceneIndex:
        """Read every line; keep where those to feed begin; raise if anything is wrong."""
        problems: list[tuple[int, Problem]] = []
        digests, numbers, fed = array("Q"), array("Q"), array("Q")
        for number, offset, line in numbered_lines(file):
            if len(problems) >= MAX_PROBLEMS:
                break
            scene = self._scene_at(number, line)
            if not isinstance(scene, Scene):
                problems += [(number, problem) for problem in scene]
                continue
            digests.append(id_digest(scene.scene_id))
            numbers.append(number)
            if (not chosen or scene.scene_id in chosen) and (limit is None or len(self) < limit):
                fed.append(digests[-1])
                self._line_digests.append(digest(line))
                self._offsets.append(offset)
                self.takes.append(scene.takes)
        positions = SceneIndex(digests)
        for first, later in positions.repeats():
            if len(problems) >= MAX_PROBLEMS:
                break
            what = f"the same id as in line {numbers[first]}; expected one of its own"
            problems.append((numbers[later], Problem(f"line {numbers[later]}: scene_id", what)))
        if problems:
            raise refusal(self.path, [problem for _, problem in sorted(problems, key=_number)])
        if not digests:
            raise SceneFileError(
                self.path, "", "holds no scenes", "write one JSON object per line, or see the docs"
            )
        return positions if len(fed) == len(digests) else SceneIndex(fed)

    def _scene_at(self, number: int, line: bytes) -> Scene | list[Problem]:
        try:
            scene = scene_from(_parsed(line))
        except JsonFault as fault:
            problem = Problem(f"line {number}, column {fault.column}", fault.problem)
            if fault.hint:
                # A wrong encoding is one mistake, whatever the other lines look like under it.
                raise refusal(self.path, [problem], fault.hint) from None
            return [problem]
        if isinstance(scene, Scene):
            return scene
        return [
            Problem(f"line {number}: {problem.where}".removesuffix(": "), problem.what)
            for problem in scene
        ]

    def _changed(self, how: str) -> SceneFileError:
        return SceneFileError(
            self.path, "", how, "leave the file alone until the run has ended, then run it again"
        )


def numbered_lines(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Return number, offset and bytes of every line that is not blank."""
    number = offset = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if line.strip(b"\xef\xbb\xbf \t\r\n"):
            yield number, offset, line
        if len(line) > MAX_LINE_BYTES:
            return  # the caller refuses it, and needs no end of it
        offset += len(line)


def refusal(path: Path, problems: list[Problem], hint: str | None = None) -> SceneFileError:
    """Make one error of several problems."""
    first, *further = problems[:MAX_PROBLEMS]
    return SceneFileError(
        path,
        first.where,
        first.what,
        hint or "correct the file and run again; nothing was started",
        further=further,
    )


def _parsed(line: bytes) -> object:
    if len(line) > MAX_LINE_BYTES:
        raise JsonFault(1, 1, f"expected at most {MAX_LINE_BYTES // 1024**2} MiB in one line")
    return parse(line)


def _number(numbered: tuple[int, Problem]) -> int:
    return numbered[0]


def _stamp(file: BinaryIO) -> Stamp:
    status = os.fstat(file.fileno())
    return status.st_ino, status.st_size, status.st_mtime_ns
