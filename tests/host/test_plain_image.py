"""The reference plugin keeps the contract: one outcome per scene, whole files, honest wishes."""

import re
import struct
import zlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from structlog.testing import CapturingLogger
from structlog.typing import FilteringBoundLogger

from host_stub import plain_image
from host_stub.contract import (
    ImageRequest,
    ImageStage,
    Scene,
    SceneOutcome,
    Services,
    StageContext,
    StageSummary,
)
from host_stub.plain_image import Settings, flat_png

pytestmark = pytest.mark.anyio


class Run:
    """One run of the stage, and all that came of it."""

    def __init__(self, out_dir: Path, *scenes: Scene, max_in_flight: int = 4) -> None:
        self.outcomes: list[SceneOutcome] = []
        self.captured = CapturingLogger()
        self.stopping = anyio.Event()
        self.stop_after: int | None = None
        log: FilteringBoundLogger = structlog.wrap_logger(self.captured, processors=[])
        self.request = ImageRequest(run_id="r", scenes=scenes, out_dir=out_dir)
        self.context = StageContext(
            log=log,
            max_in_flight=max_in_flight,
            stopping=self.stopping,
            deliver=self.deliver,
        )

    def deliver(self, outcome: SceneOutcome) -> None:
        self.outcomes.append(outcome)
        if len(self.outcomes) == self.stop_after:
            self.stopping.set()

    async def go(self, **settings: Any) -> StageSummary:
        async with opened(**settings) as stage:
            return await stage.run(self.request, self.context)

    @property
    def events(self) -> list[tuple[str, str | None]]:
        return [
            (str(call.kwargs["event"]), call.kwargs.get("scene_id")) for call in self.captured.calls
        ]


@asynccontextmanager
async def opened(**settings: Any) -> AsyncGenerator[ImageStage]:
    """Open the stage as a host does."""
    description = plain_image.host_image_plugin()
    services = Services(project_dir=Path(), now=lambda: datetime.now(UTC))
    async with description.open(description.settings.model_validate(settings), services) as stage:
        yield stage


def scene(scene_id: str, **fields: Any) -> Scene:
    values: dict[str, Any] = {"scene_id": scene_id, "prompt": f"the prompt of {scene_id}"}
    return Scene.model_validate(values | fields)


def stored(outcome: SceneOutcome) -> bytes:
    assert outcome.image is not None
    return outcome.image.read_bytes()


def picture(outcome: SceneOutcome) -> Image.Image:
    return Image.open(BytesIO(stored(outcome)))


def below(folder: Path) -> set[str]:
    """Return the names of all that lies in a folder."""
    return {path.name for path in folder.rglob("*")}


async def test_a_scenes_own_size_beats_the_setting(tmp_path: Path) -> None:
    """Width and height of a scene are honoured exactly."""
    run = Run(tmp_path, scene("a", width=7, height=5), scene("b"))

    await run.go(size="64x32")

    sizes = {outcome.scene_id: picture(outcome).size for outcome in run.outcomes}
    assert sizes == {"a": (7, 5), "b": (64, 32)}


async def test_the_colour_is_the_setting_or_the_prompts_own(tmp_path: Path) -> None:
    """A set colour fills every picture; without one, equal prompts look equal."""
    set_colour, own = (
        Run(tmp_path / "set", scene("a")),
        Run(
            tmp_path / "own", scene("a", prompt="x"), scene("b", prompt="x"), scene("c", prompt="y")
        ),
    )

    await set_colour.go(colour="#4466aa", size="4x4")
    await own.go(size="4x4")

    assert picture(set_colour.outcomes[0]).convert("RGB").getcolors() == [(16, (0x44, 0x66, 0xAA))]
    hashes = {outcome.scene_id: outcome.sha256 for outcome in own.outcomes}
    assert hashes["a"] == hashes["b"] != hashes["c"]


async def test_wishes_it_cannot_honour_are_listed(tmp_path: Path) -> None:
    """Nothing is dropped silently, and what was not asked for is not listed."""
    run = Run(
        tmp_path,
        scene("all", seed=0, negative_prompt="text", references=("a.png",)),
        scene("its own", model="m", quality="low"),
        scene("none", negative_prompt=""),
    )

    await run.go(size="4x4")

    dropped = {outcome.scene_id: outcome.dropped for outcome in run.outcomes}
    assert dropped == {
        "all": ("negative_prompt", "seed", "references"),
        "its own": ("model", "quality"),
        "none": (),
    }


async def test_a_disk_that_refuses_fails_its_scene_alone(tmp_path: Path) -> None:
    """A folder in the way of one picture costs one scene and leaves no half file."""
    (tmp_path / "images" / "b.png").mkdir(parents=True)
    run = Run(tmp_path, scene("a"), scene("b"), scene("c"), max_in_flight=1)

    await run.go(size="4x4")

    failures = {outcome.scene_id: outcome.failure for outcome in run.outcomes}
    assert failures["a"] is failures["c"] is None
    assert failures["b"] is not None
    assert failures["b"].code == "storage"
    assert failures["b"].message == "Is a directory"
    assert failures["b"].retryable
    assert not any(name.startswith(".tmp-") for name in below(tmp_path))


async def test_hostile_ids_stay_inside_the_folder(tmp_path: Path) -> None:
    """Ids that are no file names get one of their own, and no two meet."""
    out_dir = tmp_path / "out"
    ids = ["../up", "/etc/x", "a/b", "CON", "con", "A", "a", "场", "..", "x" * 500, "a\nb", ".hid"]
    run = Run(out_dir, *(scene(scene_id) for scene_id in ids))

    await run.go(size="4x4")

    files = {outcome.image for outcome in run.outcomes}
    assert len(files) == len(ids)
    assert {file.parent for file in files if file} == {out_dir / "images"}
    assert below(tmp_path) - below(out_dir) == {"out"}


@pytest.mark.parametrize("settings", [{"colour": "red"}, {"size": "0x4"}, {"size": "4"}, {"x": 1}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    """The model is strict."""
    with pytest.raises(ValueError, match="validation error"):
        Settings.model_validate(settings)


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Take a PNG apart, checking every checksum."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at = 8
    while at < len(png):
        [length] = struct.unpack_from(">I", png, at)
        body = png[at + 4 : at + 8 + length]
        [checksum] = struct.unpack_from(">I", png, at + 8 + length)

        assert zlib.crc32(body) == checksum
        yield body[:4], body[4:]
        at += 12 + length


@given(
    width_px=st.integers(1, 70),
    height_px=st.integers(1, 40),
    colour=st.binary(min_size=3, max_size=3),
)
def test_the_hand_written_png_is_a_right_one(width_px: int, height_px: int, colour: bytes) -> None:
    """Law: for every size and colour the chunks are sound and every pixel has the colour."""
    png = flat_png(width_px, height_px, colour)
    parts = dict(chunks(png))
    decoded = Image.open(BytesIO(png))

    assert list(parts) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert len(zlib.decompress(parts[b"IDAT"])) == height_px * (1 + -(-width_px // 8))
    assert decoded.size == (width_px, height_px)
    assert decoded.convert("RGB").getcolors() == [(width_px * height_px, tuple(colour))]


def test_the_reference_plugin_needs_nothing_but_the_contract() -> None:
    """Its imports from the host are the two modules an author is promised."""
    source = Path(plain_image.__file__).read_text(encoding="utf-8")

    assert set(re.findall(r"from (host_stub\S*) import", source)) == {
        "host_stub.contract",
        "host_stub.hookspecs",
    }
