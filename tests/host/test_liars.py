"""Plugins that lie: each lie is named, and the manifest is true to what lies on the disk."""

from __future__ import annotations

import hashlib
import io
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from PIL import Image
from pydantic import BaseModel

from host_stub.contract import (
    Capabilities,
    Cost,
    ImagePlugin,
    ImageRequest,
    ImageStage,
    Scene,
    SceneOutcome,
    SceneStep,
    Services,
    StageContext,
    StagePlan,
    StageSummary,
)
from host_stub.plain_image import flat_png
from host_stub.run.pipeline import RunReport
from host_stub.story.pictures import Looks, look_at
from tests.host.test_story_run import Desk

FREE = Cost(usd=Decimal(0), basis="free")
THREE = Cost(usd=Decimal("3.00"), basis="reported")
PNG = flat_png(48, 32, b"\x00\xff\x00")
OTHER = flat_png(48, 32, b"\xff\x00\x00")


def jpeg() -> bytes:
    """Return a JPEG of another size."""
    made = io.BytesIO()
    Image.new("RGB", (20, 10)).save(made, "JPEG")
    return made.getvalue()


@dataclass(frozen=True)
class Lie:
    """What a plugin says of a picture, and what it is.

    Attributes:
        says: What is another in its outcome.
        data: The picture's bytes.
        event: What its event says that it cost, if there is one.
        is_gone: It removes the file.
        rule: The name of the rule that the host names.
    """

    rule: str
    says: Mapping[str, Any] = field(default_factory=dict[str, Any])
    data: bytes = PNG
    event: Cost | None = None
    is_gone: bool = False


LIES: Mapping[str, Lie] = {
    "a PNG that is called a JPEG": Lie("result.readable", {"media_type": "image/jpeg"}),
    "a JPEG that is called a PNG": Lie("result.readable", {}, jpeg()),
    "seven by seven": Lie("result.real-size", {"width": 7, "height": 7}),
    "a text that is called a PNG": Lie("result.readable", {}, b"no picture at all"),
    "another hash": Lie("result.file-matches-hash", {"sha256": hashlib.sha256(OTHER).hexdigest()}),
    "zeros for a hash": Lie("result.file-matches-hash", {"sha256": "0" * 64}),
    "a file that is gone": Lie("result.no-partial-files", is_gone=True),
    "nothing beside three dollars": Lie("events.as-delivered", event=THREE),
    "three dollars beside nothing": Lie("events.as-delivered", {"cost": THREE}, event=FREE),
    "steps that cost more": Lie(
        "events.as-delivered", {"steps": (SceneStep(provider="p", cost=THREE),)}
    ),
    "found, and bought now": Lie(
        "events.as-delivered", {"reused": True, "cost": THREE}, event=THREE
    ),
}


class Liar:
    """A stage that lies about its second scene."""

    def __init__(self, lie: Lie) -> None:
        self._lie = lie

    async def plan(self, request: ImageRequest) -> StagePlan:
        return StagePlan(make=len(request.scenes), cost_low_usd=None, cost_high_usd=None)

    async def run(self, request: ImageRequest, context: StageContext) -> StageSummary:
        for scene in request.scenes:
            self._make(
                scene, request, context, self._lie if scene.scene_id == "s2" else Lie("none")
            )
        return StageSummary()

    @staticmethod
    def _make(scene: Scene, request: ImageRequest, context: StageContext, lie: Lie) -> None:
        says: dict[str, Any] = {
            "sha256": hashlib.sha256(lie.data).hexdigest(),
            "media_type": "image/png",
            "width": 48,
            "height": 32,
            "cost": FREE,
            "attempts": 1,
            **lie.says,
        }
        place = request.out_dir / "images" / f"{scene.scene_id}.jpg"
        if request.place is not None:
            named = {name: says[name] for name in ("sha256", "media_type")}
            place = request.place(scene.scene_id, role="scene", **named)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(lie.data)
        if lie.event is not None:
            context.log.info("scene.started", scene_id=scene.scene_id, queued_s=0)
            cost = {"cost_usd": lie.event.usd, "cost_basis": lie.event.basis}
            facts: dict[str, Any] = {"duration_s": 0.0, "attempts": 1, **cost}
            context.log.info("scene.finished", scene_id=scene.scene_id, **facts)
        if lie.is_gone:
            place.unlink()
        context.deliver(SceneOutcome(scene_id=scene.scene_id, image=place, **says))


class Settings(BaseModel):
    """It has none."""


def liar(lie: Lie) -> ImagePlugin:
    """Describe a plugin that lies."""

    @asynccontextmanager
    async def opened(settings: Settings, services: Services) -> AsyncGenerator[ImageStage]:
        del settings, services
        yield Liar(lie)

    return ImagePlugin(
        name="liar",
        contract=(1, 0),
        settings=Settings,
        capabilities=Capabilities(reports_cost=True),
        open=opened,
    )


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend: str) -> Desk:
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path, anyio_backend)


def need_true_manifest(desk: Desk) -> None:
    """Compare all that the manifest says of pictures with what lies there."""
    manifest = desk.manifest()
    figures = Decimal(0)
    for row in manifest["images"]:
        data = Path(row["image_path"]).read_bytes()
        assert (desk.out / row["path"]).read_bytes() == data
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        if row["media_type"] != "application/octet-stream":
            with Image.open(io.BytesIO(data)) as picture:
                assert picture.get_format_mimetype() == row["media_type"]
                assert picture.size == (row["width"], row["height"])
            suffix = {"image/png": ".png", "image/jpeg": ".jpg"}[row["media_type"]]
            assert Path(row["image_path"]).suffix == suffix
        if row["cost_basis"] == "free":
            assert row["cost_usd"] == "0"
        figures += Decimal(row["cost_usd"])
        assert Decimal(row["take_cost_usd"]) == Decimal(row["cost_usd"])
        assert not row["reused"]
    figures += sum(Decimal(one["cost_usd"]) for one in manifest["failures"])
    assert Decimal(manifest["cost_usd"]) == figures
    assert manifest["reused"] == 0
    assert manifest["total_images"] == len(manifest["images"])
    shown = {path for path in (desk.out / "images").iterdir() if path.is_file()}
    assert shown == {desk.out / row["path"] for row in manifest["images"]}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_named_and_the_manifest_is_true(lie: str, desk: Desk) -> None:
    """Whether it is about the bytes, the file or the money."""
    told = LIES[lie]
    report = desk.run_with(liar(told))

    assert report.exit_code == 3
    assert [told.rule in str(one) and "s2" in str(one) for one in report.errors].count(True) == 1
    need_true_manifest(desk)
    lost = ["s2"] if told.is_gone else []
    assert [row["scene_id"] for row in desk.manifest()["failures"]] == lost


def test_who_says_the_truth_is_not_told_to_lie(desk: Desk) -> None:
    """Of a kind that the host cannot read, what the plugin says stands."""
    facts = {"media_type": "image/avif", "width": 9, "height": 9}
    of_another_kind = Lie("none", facts, b"\x00\x00\x00\x1cftypavif")
    report = desk.run_with(liar(of_another_kind))
    row = desk.rows()["s2"]

    assert report.exit_code == 0, report.errors
    assert {name: row[name] for name in facts} == facts


def test_a_picture_that_is_found_again_is_read_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is as it was when it was looked at; one that is not is looked at again."""
    looked: list[object] = []

    def look(file: BinaryIO) -> Looks | None:
        looked.append(file)
        return look_at(file)

    monkeypatch.setattr("host_stub.run.taking_in.look_at", look)
    desk.run()
    first = len(looked)
    again: RunReport = desk.run()

    assert (first, len(looked)) == (3, 3)
    assert again.exit_code == 0
