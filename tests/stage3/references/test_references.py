"""Pictures that are shown to a model: read once, hashed, and held for all who send them."""

import importlib
import io
import random
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import pytest

from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.reference import Limits
from stage3_plugin.errors import (
    JobFailed,
    NoWorker,
    ReferenceRefused,
    ResourceLacking,
    StorageFailed,
)
from stage3_plugin.storage.references import bodies
from stage3_plugin.storage.references.locating import Places
from stage3_plugin.storage.references.reading import read
from tests.fakes.pngs import make_png
from tests.stage3.in_process import InProcess
from tests.stage3.pictures.in_memory import MemoryStore
from tests.stage3.references.opened import (
    UNBOUNDED,
    chunk,
    descriptors,
    encoded,
    of_cast,
    opened,
    project,
    resident_bytes,
    sha256,
    wish,
)

pytestmark = pytest.mark.anyio

ANY = Limits()
PNG = make_png("Mira", 64, 64)


@pytest.mark.parametrize("kept", [None, make_png("another", 64, 64)], ids=["gone", "damaged"])
async def test_a_stored_picture_that_is_lost_is_refused(tmp_path: Path, kept: bytes | None) -> None:
    """And what to do about it is said."""
    store = MemoryStore()
    if kept is not None:
        store.kept[sha256(PNG)] = kept, 0
    picture = Picture(
        sha256=sha256(PNG), media_type="image/png", width_px=64, height_px=64, size_bytes=len(PNG)
    )

    async with opened(project(tmp_path), store=store) as references:
        with pytest.raises(ReferenceRefused, match="'scene:a' is gone or damaged") as refused:
            await references.show(wish("scene:a"), ANY, picture)

    assert "stage3 verify" in (refused.value.hint or "")


async def test_a_file_is_opened_once_for_all_who_ask_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds of scenes show Mira; one of them reads her, and the others wait for that."""
    (project(tmp_path) / "story/refs/mira.png").write_bytes(PNG)
    opening, times = Places.open, 0

    def counted(*arguments: Any) -> BinaryIO:
        nonlocal times
        times += 1
        return opening(*arguments)

    monkeypatch.setattr(Places, "open", staticmethod(counted))
    async with opened(tmp_path) as references, anyio.create_task_group() as scenes:
        for _ in range(100):
            scenes.start_soon(references.show, wish("refs/mira.png"), ANY)
            scenes.start_soon(references.show, of_cast("../story/refs/mira.png"), ANY)

    assert times == 1


async def test_a_plan_makes_no_state_folder(tmp_path: Path) -> None:
    """It looks at references where nothing was ever bought, and leaves nothing."""
    project(tmp_path)
    (tmp_path / "story/a.gif").write_bytes(encoded("GIF"))

    async with opened(tmp_path, state=tmp_path / "config/none") as references:
        shown = await references.show(wish("a.gif"), ANY)

    assert shown.is_copy
    assert not (tmp_path / "config/none").exists()


async def test_a_state_folder_that_takes_nothing_keeps_no_plan_from_looking(tmp_path: Path) -> None:
    """Where its place for files is none, they go where the system has them."""
    state = project(tmp_path) / "config/.stage3"
    (state / "tmp").write_text("a file has the name", encoding="utf-8")
    (tmp_path / "story/a.gif").write_bytes(encoded("GIF"))

    async with opened(tmp_path) as references:
        shown = await references.show(wish("a.gif"), ANY)

    assert shown.is_copy
    assert [path.name for path in state.iterdir()] == ["tmp"]


async def test_no_process_for_copies_is_no_reference_that_is_refused(tmp_path: Path) -> None:
    """The system lacks something; what is sent as it is, is sent."""
    story = project(tmp_path) / "story"
    (story / "a.png").write_bytes(PNG)
    (story / "a.gif").write_bytes(encoded("GIF"))

    class NoProcess(InProcess):
        async def run(self, job: bytes, into: Path) -> None:
            raise NoWorker(f"no process for {len(job)} bytes into {into.name}")

    async with opened(tmp_path, copying=NoProcess(UNBOUNDED)) as references:
        with pytest.raises(ResourceLacking, match="no process can be started that makes copies"):
            await references.show(wish("a.gif"), ANY)
        shown = await references.show(wish("a.png"), ANY)

    assert not shown.is_copy


@pytest.mark.parametrize(
    "work, said",
    [
        ("tests.stage3.references.harmful:fill_the_disk", "No space left on device"),
        ("tests.stage3.references.harmful:be_lacking", "AttributeError: module"),
    ],
)
async def test_what_keeps_a_copy_from_its_place_is_no_fault_of_the_picture(
    tmp_path: Path, work: str, said: str
) -> None:
    """A disk that fills up, or an installation that lacks something, refuses no reference."""
    (project(tmp_path) / "story/a.gif").write_bytes(encoded("GIF"))

    class There(InProcess):
        async def run(self, job: bytes, into: Path) -> None:
            module, _, name = work.partition(":")
            try:
                getattr(importlib.import_module(module), name)(job)
            except (OSError, AttributeError) as error:
                raise JobFailed(f"{type(error).__name__}: {error}") from error
            await super().run(job, into)

    async with opened(tmp_path, copying=There(UNBOUNDED)) as references:
        with pytest.raises(StorageFailed, match=said):
            await references.show(wish("a.gif"), ANY)


@pytest.mark.slow
@pytest.mark.heavy
async def test_thousands_of_references_take_few_descriptors_and_little_memory(
    tmp_path: Path,
) -> None:
    """Each of 4,000 scenes may show another picture: those lie on the disk until they are sent."""
    story = project(tmp_path) / "story"
    filling = random.Random(0).randbytes(40_000)
    for number in range(4_000):
        with (story / f"{number}.png").open("wb") as file:
            file.write(make_png(str(number), 64, 64)[:-12])
            file.write(chunk(b"teXt", filling + number.to_bytes(4)) + chunk(b"IEND", b""))
    before, had = resident_bytes(), descriptors()

    async with opened(tmp_path) as references:
        async with anyio.create_task_group() as scenes:
            for number in range(4_000):
                scenes.start_soon(references.show, wish(f"{number}.png"), ANY)
        grown, more = resident_bytes() - before, descriptors() - had

    assert grown < 60_000_000
    assert more <= 10
    assert descriptors() == had
    assert not list((tmp_path / "config/.stage3/tmp").iterdir())


def test_a_file_that_grows_is_written_over_nothing(tmp_path: Path) -> None:
    """What is held of another reference lies behind the room that it was given."""
    held, data = bodies.Bodies(tmp_path), make_png("growing", 600, 600, heavy=True)
    neighbours: list[bodies.Body] = []

    class Growing(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> int:
            found = super().seek(offset, whence)
            return 200_000 if whence == io.SEEK_END else found

        def read(self, size: int | None = -1) -> bytes:
            if self.tell():  # it has its room by now
                neighbours.append(held.new(1_000))
                held.write(neighbours[-1], 0, b"n" * 1_000)
            return super().read(size)

    with pytest.raises(ReferenceRefused, match="was changed while it was read"):
        read(lambda: Growing(data), held)

    assert neighbours
    assert {one[:] for one in neighbours} == {b"n" * 1_000}

    held.close()
