"""Scenes as a program has them, checked and kept before anything is sent.

Dictionaries, scenes of the contract, files and iterators all become the same thing: a private copy
in a file without a name. So memory is flat however many there are, an iterator is read once and no
more, and whoever changes a dictionary or a file during the run changes nothing of it.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import SpooledTemporaryFile, gettempdir
from threading import Lock
from typing import Any, Final, Self, TypeAlias, cast

import anyio
import anyio.lowlevel
import anyio.to_thread
from pydantic import BaseModel, Field
from pydantic_core import PydanticSerializationError

from host_stub.contract import ImageRequest, Scene
from host_stub.errors import HostError, Problem
from host_stub.scenes.fields import scene_from
from host_stub.scenes.file import read_scenes
from host_stub.scenes.index import SceneIndex, id_digest
from host_stub.text.file_names import expect_names
from stage3_plugin.errors import Stage3Error, StorageFailed


class Stage2Output(BaseModel):
    """One scene as Stage 2 wrote it.

    Attributes:
        scene_id: Names the picture's file.
        image_prompt: Sent as written.
        negative_prompt: Put behind the prompt as ``. Avoid: …``.
        style_tags: Kept for the caller by :class:`~stage3_plugin.Stage3ImageGenerationService`; a
            stage does with them as its setting ``style_tags`` says.
        characters_in_scene: Kept for the caller, and for the cast of a stage.
    """

    scene_id: str
    image_prompt: str
    negative_prompt: str | None = None
    style_tags: list[str] = Field(default_factory=list[str])
    characters_in_scene: list[str] = Field(default_factory=list[str])


SceneLike: TypeAlias = Scene | Stage2Output | Mapping[str, Any]
"""One scene: as the contract has it, as the original stage had it, or as an entry of a file."""
ScenesLike: TypeAlias = str | os.PathLike[str] | SceneLike | Iterable[SceneLike]
"""A scene file, one scene, or some of them; what can be gone through once is enough."""

_IN_MEMORY_BYTES: Final = 1 << 20
_MOST_PROBLEMS: Final = 20
_SCENES_A_TURN: Final = 200
_CLOSING_S: Final = 10.0
"""Seconds that a caller's generator may take to clean up."""
_HINT: Final = "correct them and call again; nothing was sent"


class ScenesRefused(Stage3Error, ValueError):
    """Scenes that cannot be run, found before anything was sent.

    Attributes:
        problems: Everything that is wrong, each with its place, up to twenty.
    """

    def __init__(self, problems: Iterable[str], *, hint: str | None = None) -> None:
        self.problems = tuple(problems)
        self.hint = hint or _HINT
        more = len(self.problems) - 1
        super().__init__(self.problems[0] + (f" (and {more} more problems)" if more else ""))


class KeptScenes:
    """Scenes of one run, kept: a source that can be gone through as often as needed.

    Attributes:
        folder: Where their references start, if they come from a file.
        takes: Pictures that are wanted of all of them.
        positions: Where each scene stands.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.takes = 0
        self.positions = SceneIndex(array("Q"))
        self._digests = array("Q")
        self._offsets = array("Q")
        self._end = 0
        self._taken = 0
        self._problems: list[str] = []
        self._lock = Lock()
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - close() does

    def __len__(self) -> int:
        return len(self._offsets)

    def __iter__(self) -> Iterator[Scene]:
        for offset in self._offsets:
            with self._lock:
                self._file.seek(offset)
                line = self._file.readline()
            yield Scene.model_validate_json(line)

    def close(self) -> None:
        """Let them go."""
        self._file.close()

    def asked_with(self, request: ImageRequest) -> ImageRequest:
        """Return what a stage is asked for with these scenes."""
        folder = self.folder if request.scenes_dir is None else request.scenes_dir
        return replace(request, scenes=self, scenes_dir=folder)

    def take(self, entry: object) -> None:
        """Check one more, and keep it, or what is wrong with it.

        Raises:
            ScenesRefused: So much is wrong that no more is looked at.
            StorageFailed: There is no room to keep it.
        """
        scene, place = _read(entry), f"scenes[{self._taken}]"
        self._taken += 1
        if not isinstance(scene, Scene):
            self._refuse(f"{place}.{one}" if one.where else f"{place}: {one}" for one in scene)
            return
        try:
            expect_names([(scene.scene_id, "scene")])
            problem = self._add(scene)
        except UnicodeEncodeError:
            problem = "scene_id: this locale's encoding has no such file name (see PYTHONUTF8)"
        except OSError as error:
            raise StorageFailed(Path(gettempdir()), error) from error
        if problem is not None:
            self._refuse([f"{place}.{problem}"])

    def _add(self, scene: Scene) -> str | None:
        """Keep one more, or return what is wrong with it."""
        try:
            line = scene.model_dump_json(exclude_defaults=True).encode() + b"\n"
        except (PydanticSerializationError, UnicodeEncodeError):
            return "extra: expected what JSON has: text, numbers, lists and objects"
        with self._lock:
            self._file.seek(self._end)
            self._file.write(line)
        self._digests.append(id_digest(scene.scene_id))
        self._offsets.append(self._end)
        self._end += len(line)
        self.takes += scene.takes
        return None

    def checked(self) -> Self:
        """Return itself, once all are there and good.

        Raises:
            ScenesRefused: They cannot be run.
        """
        if not self._problems:
            self.positions = SceneIndex(self._digests)
            self._refuse(
                f"scenes[{later}].scene_id: the same id as of scenes[{first}]; expected its own"
                for first, later in self.positions.repeats()
            )
        if self._problems:
            raise ScenesRefused(self._problems)
        return self

    def _refuse(self, problems: Iterable[str]) -> None:
        self._problems += problems
        if len(self._problems) >= _MOST_PROBLEMS:
            raise ScenesRefused(self._problems[:_MOST_PROBLEMS])


def keep(scenes: ScenesLike) -> KeptScenes:
    """Check scenes and keep them; blocks for as long as reading them takes.

    Raises:
        ScenesRefused: They cannot be run.
        StorageFailed: There is no room to keep them.
        Exception: What their iterator raised.
    """
    with _keeping(Path(scenes).parent if isinstance(scenes, str | os.PathLike) else None) as kept:
        for scene in _entries(scenes):
            kept.take(scene)
        return kept.checked()


async def keep_in_turns(scenes: ScenesLike | AsyncIterable[SceneLike]) -> KeptScenes:
    """Likewise; the event loop has its turn meanwhile, and a file is read in a thread.

    What is kept already is returned as it is.
    """
    if isinstance(scenes, KeptScenes):
        return scenes
    if isinstance(scenes, str | os.PathLike):
        return await anyio.to_thread.run_sync(keep, scenes)
    with _keeping() as kept:
        if isinstance(scenes, AsyncIterable):
            await _take_from_afar(kept, scenes)
        else:
            for number, scene in enumerate(_entries(scenes)):
                if number % _SCENES_A_TURN == 0:
                    await anyio.lowlevel.checkpoint()
                kept.take(scene)
        return kept.checked()


@contextmanager
def _keeping(folder: Path | None = None) -> Generator[KeptScenes]:
    """Let go what was kept, unless all of it is good."""
    kept = KeptScenes(folder)
    try:
        yield kept
    except BaseException:
        kept.close()
        raise


async def _take_from_afar(kept: KeptScenes, scenes: AsyncIterable[SceneLike]) -> None:
    """Take what comes, and close where it comes from, also where no more is wanted."""
    try:
        async for scene in scenes:
            kept.take(scene)
    finally:
        aclose: Callable[[], Awaitable[object]] | None = getattr(scenes, "aclose", None)
        if aclose is not None:
            with anyio.move_on_after(_CLOSING_S, shield=True):
                await aclose()


def _read(entry: object) -> Scene | list[Problem]:
    if isinstance(entry, Scene):
        return entry
    if isinstance(entry, BaseModel):
        entry = entry.model_dump()
    return scene_from(
        dict(cast("Mapping[str, Any]", entry)) if isinstance(entry, Mapping) else entry
    )


def _entries(scenes: ScenesLike) -> Iterator[object]:
    """Yield what is there, as it is, from wherever it is."""
    if isinstance(scenes, str | os.PathLike):
        yield from _from_file(Path(scenes))
    elif isinstance(scenes, Mapping):
        entry = cast("Mapping[str, Any]", scenes)
        prompts = entry.get("prompts")  # of the whole object that the original Stage 2 wrote
        yield from cast("list[object]", prompts) if isinstance(prompts, list) else [entry]
    elif isinstance(scenes, BaseModel):
        yield scenes
    else:
        yield from scenes


def _from_file(path: Path) -> Iterator[Scene]:
    """Yield the scenes of a file, each as it was when the file was found good."""
    try:
        yield from read_scenes(path)
    except HostError as error:
        raise ScenesRefused([str(error)], hint=error.hint) from error
