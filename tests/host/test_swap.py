"""Swapping is one word: a third party's distribution beside ours makes the same story's pictures.

The plugin here is built as a real wheel, knows nothing of ours but the two modules an author is
promised, and is installed by pip into a fresh environment; the host runs there as a process.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.installed import Environment, build_wheel

MODULE = '''
"""Striped pictures, by somebody who has read docs/writing-a-plugin.md."""

import hashlib
from contextlib import asynccontextmanager
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, SecretStr

from host_stub.contract import (
    Capabilities, Cost, ImagePlugin, SceneOutcome, StagePlan, StageSummary,
)
from host_stub.hookspecs import hookimpl


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    stripe_px: int = 4
    password: SecretStr | None = None


class Stripes:
    def __init__(self, settings):
        self.settings = settings

    async def plan(self, request):
        free = Decimal(0)
        return StagePlan(make=len(request.scenes), cost_low_usd=free, cost_high_usd=free)

    async def run(self, request, context):
        context.log.info("stage.started", scenes=len(request.scenes))
        for number, scene in enumerate(request.scenes):
            context.log.info("scene.started", scene_id=scene.scene_id, attempt=1, queued_s=0.0)
            width, height = scene.width or 16, scene.height or 16
            light, dark = b"\\xee\\xdd\\xcc", b"\\x33\\x44\\x55"
            row = b"".join(
                light if x // self.settings.stripe_px % 2 else dark for x in range(width)
            )
            content = b"P6 %d %d 255\\n" % (width, height) + row * height
            path = request.out_dir / "images" / f"stripes-{number}.ppm"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            sha256 = hashlib.sha256(content).hexdigest()
            context.log.info(
                "scene.finished", scene_id=scene.scene_id, attempt=1, attempts=1, duration_s=0.0,
                cost_usd="0.001", cost_basis="flat", sha256=sha256,
            )
            context.deliver(SceneOutcome(
                scene_id=scene.scene_id, image=path, sha256=sha256,
                media_type="image/x-portable-pixmap", width=width, height=height, attempts=1,
                generation_params={"model": "stripes", "prompt": scene.prompt},
                cost=Cost(usd=Decimal("0.001"), basis="flat"),
            ))
        context.log.info("stage.finished")
        return StageSummary()


@asynccontextmanager
async def open_stage(settings, services):
    yield Stripes(settings)


@hookimpl
def host_image_plugin():
    return ImagePlugin(
        name="stripes", contract=(1, 0), settings=Settings,
        capabilities=Capabilities(reports_cost=True, offline=True), open=open_stage,
    )
'''

STORY = [
    {"scene_id": f"scene_{number:03}", "prompt": f"a lighthouse, take {number}"}
    | {"width": 64, "height": 48}
    for number in (1, 2, 3)
]


def striped_pictures(folder: Path) -> Path:
    """Build the third party's distribution."""
    return build_wheel(
        folder,
        "striped-pictures 2.1",
        modules={"striped_pictures": MODULE},
        entry_points={"host_stub.plugins": {"stripes": "striped_pictures"}},
    )


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("third-party")
    environment = Environment(folder / "venv")
    environment.install(striped_pictures(folder))
    return environment


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a story and a config that keeps three plugins configured."""
    (tmp_path / "story.json").write_text(json.dumps(STORY), encoding="utf-8")
    (tmp_path / "host.toml").write_text(
        '[pipeline]\nimage = "stage3"\n'
        '[plugin.stage3]\nprovider = "previz"\n'
        '[plugin.plain]\ncolour = "#336699"\n'
        "[plugin.stripes]\nstripe_px = 8\n"
        'password = { env = "STRIPES_PASSWORD" }\n',
        encoding="utf-8",
    )
    return tmp_path


def manifest_of(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "out" / "manifest.json").read_bytes())
    return manifest


@pytest.mark.parametrize(
    "image, source, media",
    [
        ("stripes", "striped-pictures 2.1", b"P6 64 48 255\n"),
        ("plain", "stage3-plugin ", b"\x89PNG\r\n\x1a\n"),
        ("stage3", "stage3-plugin ", b"\x89PNG\r\n\x1a\n"),
    ],
)
def test_the_same_story_runs_with_any_of_them(
    environment: Environment, project: Path, image: str, source: str, media: bytes
) -> None:
    """``--image`` is all that changes, and the results have one shape."""
    environment.host_stub(
        project, "run", "story.json", "--image", image, environ={"STRIPES_PASSWORD": "open-sesame"}
    )
    manifest = manifest_of(project)

    assert manifest["plugin"] == image
    assert manifest["source"].startswith(source)
    assert [entry["scene_id"] for entry in manifest["images"]] == [
        "scene_001",
        "scene_002",
        "scene_003",
    ]
    for entry in manifest["images"]:
        content = (project / entry["image_path"]).read_bytes()
        assert content.startswith(media)
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert (entry["width"], entry["height"]) == (64, 48)
    assert set(manifest["images"][0]) >= {"image_url", "generation_params", "cost_usd", "attempts"}


@pytest.mark.parametrize("image", ["plain", "stage3"])
def test_a_story_with_references_runs_with_a_plugin_that_knows_none(
    environment: Environment, project: Path, image: str
) -> None:
    """Ours, and the storyboard: both say what they left out."""
    said = {"image": "refs/mira.png", "name": "Mira", "role": "character"}
    scene = STORY[0] | {"references": [said, "refs/harbour.png"]}
    story = [scene | {"model": "gpt-image-2", "quality": "low"}, *STORY[1:]]
    (project / "story.json").write_text(json.dumps(story), encoding="utf-8")

    planned = environment.host_stub(project, "plan", "story.json", "--image", image, "--json")
    environment.host_stub(project, "run", "story.json", "--image", image)

    plan, manifest = json.loads(planned.stdout), manifest_of(project)
    assert (plan["make"], plan["sheets"], plan["waves"]) == (3, 0, [])
    assert [row["scene_id"] for row in manifest["images"]] == [
        "scene_001",
        "scene_002",
        "scene_003",
    ]
    assert "references" in manifest["images"][0]["dropped"]
    assert (manifest["failures"], manifest["sheets"], manifest["exit_code"]) == ([], [], 0)


def test_a_secret_of_a_plugin_that_is_not_used_need_not_be_there(
    environment: Environment, project: Path
) -> None:
    """With plain selected, nobody asks for the password of stripes; with stripes, it is missed."""
    environment.host_stub(project, "run", "story.json", "--image", "plain")

    done = environment.host_stub(project, "run", "story.json", "--image", "stripes", code=2)

    assert "[plugin.stripes] password: environment variable STRIPES_PASSWORD is not set" in (
        done.stderr
    )
