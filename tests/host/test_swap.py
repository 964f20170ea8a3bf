"""Swapping is one word: a third party's distribution beside ours makes the same story's pictures.

The plugin here is built as a real wheel, knows nothing of ours but the modules an author is
promised, and is installed by pip into a fresh environment; the host runs there as a process.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.installed import Environment, build_wheel
from tests.kit.mutants import Mutant

PIXMAP = '"image/x-portable-pixmap"'
MODULE = Mutant((
    ("from host_stub.plain_image import flat_png\n", ""),
    ("= flat_png(width_px, height_px, colour)",
     r'= b"P6 %d %d 255\n" % (width_px, height_px) + colour * width_px * height_px'),
    ('sha256=sha256, media_type="image/png"', f"sha256=sha256, media_type={PIXMAP}"),
    ('sha256=sha256,\n            media_type="image/png"', f"sha256=sha256, media_type={PIXMAP}"),
)).source  # fmt: skip
"""The kit's paragon, with pictures of a kind that the host does not know."""

STORY = [
    {"scene_id": f"scene_{number:03}", "prompt": f"a lighthouse, take {number}"}
    | {"width": 64, "height": 48}
    for number in (1, 2, 3)
]


def peoples_pictures(folder: Path) -> Path:
    """Build the third party's distribution."""
    return build_wheel(
        folder,
        "peoples-pictures 2.1",
        modules={"peoples_pictures": MODULE},
        entry_points={"host_stub.plugins": {"paragon": "peoples_pictures"}},
    )


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("third-party")
    environment = Environment(folder / "venv")
    environment.install(peoples_pictures(folder))
    return environment


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a story and a config that keeps three plugins configured."""
    (tmp_path / "story.json").write_text(json.dumps(STORY), encoding="utf-8")
    (tmp_path / "host.toml").write_text(
        '[pipeline]\nimage = "stage3"\n'
        '[plugin.stage3]\nprovider = "previz"\n'
        '[plugin.plain]\ncolour = "#336699"\n'
        "[plugin.paragon]\ncapacity = 2\n"
        'api_key = { env = "THEIR_KEY" }\n',
        encoding="utf-8",
    )
    return tmp_path


def manifest_of(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "out" / "manifest.json").read_bytes())
    return manifest


@pytest.mark.parametrize(
    "image, source, media",
    [
        ("paragon", "peoples-pictures 2.1", b"P6 64 48 255\n"),
        ("plain", "stage3-plugin ", b"\x89PNG\r\n\x1a\n"),
        ("stage3", "stage3-plugin ", b"\x89PNG\r\n\x1a\n"),
    ],
)
def test_the_same_story_runs_with_any_of_them(
    environment: Environment, project: Path, image: str, source: str, media: bytes
) -> None:
    """``--image`` is all that changes, and the results have one shape."""
    environment.host_stub(
        project, "run", "story.json", "--image", image, environ={"THEIR_KEY": "open-sesame"}
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
    """With plain selected, nobody asks for the key of theirs; with theirs, it is missed."""
    environment.host_stub(project, "run", "story.json", "--image", "plain")

    done = environment.host_stub(project, "run", "story.json", "--image", "paragon", code=2)

    assert "[plugin.paragon] api_key: environment variable THEIR_KEY is not set" in (done.stderr)
