"""``Previz`` as the stage uses it: study a story, render its scenes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import anyio
import pytest
from PIL import Image

from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.errors import NoWorker, Stage3Error, WorkerLost
from stage3_plugin.executors.base import Executor
from stage3_plugin.executors.replicas import Processes
from stage3_plugin.renderers.previz import WORK, Previz
from tests.stage3.in_process import InProcess

pytestmark = pytest.mark.anyio

Start: TypeAlias = Callable[[str, int], Executor]
ALL = pytest.mark.parametrize("start", [Processes, InProcess])
"""Pictures are the same wherever they are drawn."""


def request(
    scene_id: str, prompt: str, *characters: str, seed: int | None = None, **extra: object
) -> PictureRequest:
    """Ask for a small picture."""
    return PictureRequest(
        scene_id=scene_id,
        prompt=prompt,
        width_px=96,
        height_px=64,
        characters=characters,
        seed=seed,
        extra=extra,
    )


class Story:
    """A story that counts how often it is read."""

    def __init__(self, *requests: PictureRequest) -> None:
        self.requests = requests
        self.readings = 0

    def __iter__(self) -> Iterator[PictureRequest]:
        self.readings += 1
        return iter(self.requests)


def names_in(folder: Path) -> list[str]:
    """List the files in a folder."""
    return sorted(path.name for path in folder.iterdir())


async def rendered(renderer: Previz, wanted: PictureRequest, path: Path) -> bytes:
    """Render and read the file."""
    await renderer.render(wanted, path)
    return await anyio.Path(path).read_bytes()


def test_another_way_of_drawing_makes_old_pictures_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within one release, too: the drawing's own name is part of what a picture is known by."""
    wanted = request("scene_001", "a pier")
    before = Previz(InProcess(WORK)).edition(wanted)
    monkeypatch.setattr("stage3_plugin.renderers.previz.DRAWING", "another")

    assert Previz(InProcess(WORK)).edition(wanted) != before


@ALL
async def test_a_picture_has_the_size_that_was_asked_for(start: Start, tmp_path: Path) -> None:
    """The file is a whole PNG, and nothing lies beside it."""
    async with start(WORK, 1) as executor:
        renderer = Previz(executor)
        await renderer.render(request("scene_001", "a boat at dawn"), tmp_path / "a.png")

    with Image.open(tmp_path / "a.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (96, 64))
    assert names_in(tmp_path) == ["a.png"]


@ALL
async def test_a_studied_story_changes_the_pictures(start: Start, tmp_path: Path) -> None:
    """A look from one scene is drawn in another; the story is read again, not kept."""
    plain = request("2", "Close-up of Ann Lee.", "c1")
    story = Story(request("1", "Ann Lee, an old woman with glasses.", "c1"), plain)

    async with start(WORK, 1) as executor:
        renderer = Previz(executor, caption=False)
        before = await rendered(renderer, plain, tmp_path / "before.png")
        await renderer.study(story)
        after = await rendered(renderer, plain, tmp_path / "after.png")

    assert before != after
    assert story.readings == 2


@ALL
async def test_caption_and_seed_change_the_picture_and_nothing_else_does(
    start: Start, tmp_path: Path
) -> None:
    """Same words, same bytes, from another process too."""
    wanted = request("1", "a man in a forest")

    async with start(WORK, 1) as executor:
        renderer = Previz(executor)
        first = await rendered(renderer, wanted, tmp_path / "a.png")
        other = await rendered(renderer, request("1", wanted.prompt, seed=7), tmp_path / "b.png")
    async with start(WORK, 1) as executor:
        renderer = Previz(executor)
        again = await rendered(renderer, wanted, tmp_path / "c.png")
    async with start(WORK, 1) as executor:
        renderer = Previz(executor, caption=False)
        clean = await rendered(renderer, wanted, tmp_path / "d.png")

    assert first == again
    assert len({first, other, clean}) == 3


@ALL
async def test_what_the_scene_file_says_of_characters_is_used(start: Start, tmp_path: Path) -> None:
    """A list of objects beside the scene names and describes; anything else there is ignored."""
    sheets = [{"id": "c1", "name": "Ann", "description": "an old man in armor"}, 7, {"name": 3}]
    wanted = request("1", "close-up", "c1", character_sheets=sheets)
    odd = request("2", "close-up", "c1", character_sheets="nobody")

    async with start(WORK, 1) as executor:
        renderer = Previz(executor, caption=False)
        before = await rendered(renderer, wanted, tmp_path / "a.png")
        await renderer.study([wanted, odd])
        after = await rendered(renderer, wanted, tmp_path / "b.png")

    assert before != after


@ALL
async def test_a_failure_is_a_verdict(start: Start, tmp_path: Path) -> None:
    """The stage knows what to do with it."""
    async with start("builtins:int", 1) as executor:
        renderer = Previz(executor)
        verdict = await renderer.render(request("a", ""), tmp_path / "a.png")

    assert verdict is not None
    assert verdict.message.startswith("scene 'a' could not be drawn")


@pytest.mark.parametrize(
    "error, message",
    [
        (
            WorkerLost("was ended by SIGKILL", "Oh"),
            "the renderer process was ended by SIGKILL while it drew scene 'a'; its last words: Oh",
        ),
        (
            WorkerLost("ended with status 3"),
            "the renderer process ended with status 3 while it drew scene 'a'",
        ),
        (NoWorker("no room"), "no renderer process can be started: no room"),
    ],
)
async def test_a_lost_worker_is_a_verdict(error: Stage3Error, message: str, tmp_path: Path) -> None:
    """It says of which scene, and another try may help."""

    class Losing(InProcess):
        async def run(self, job: bytes, into: Path) -> None:
            del job, into
            raise error

    verdict = await Previz(Losing(WORK)).render(request("a", ""), tmp_path / "a.png")

    assert verdict is not None
    assert (verdict.message, verdict.should_retry) == (message, None)


async def test_studying_lets_others_have_their_turn() -> None:
    """A long story does not hold the event loop for its whole length."""
    story = [request(str(number), "Ann Lee walks.", "c1") for number in range(200)]
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(count_turns)
        await Previz(InProcess(WORK)).study(story)
        group.cancel_scope.cancel()

    assert turns > 10
