"""A story with a cast, by the commands a person types: planned, run, and run again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.requests import Refusing, shown_in
from tests.heavy import first_of
from tests.projects import Project

pytestmark = pytest.mark.slow
PROVIDERS: dict[str, dict[str, object]] = {
    "openai": {"provider": "openai", "model": "gpt-image-2"},
    "openrouter": {"provider": "openrouter", "model": "openai/gpt-image-2"},
    "openrouter, chat": {
        "provider": "openrouter",
        "api": "chat",
        "model": "google/gemini-3.1-flash-image",
    },
    "gemini": {"provider": "gemini", "model": "gemini-3.1-flash-image"},
}
MIRA, PIER = (make_png(one, 64, 64) for one in ("mira", "pier"))
CAST = """
[plugin.stage3.cast.char_001]
image = "refs/mira.png"
name = "Mira"

[plugin.stage3.cast.char_002]
prompt = "Tomas, an old keeper, four views"
name = "Tomas"
"""
STORY = [
    {
        "scene_id": "s1",
        "image_prompt": "s1: a pier at dusk",
        "characters_in_scene": ["char_001", "char_002"],
    },
    {
        "scene_id": "s2",
        "image_prompt": "s2: the lamp",
        "characters_in_scene": ["char_002"],
        "references": [{"image": "pier.png", "role": "place"}, "scene:s1"],
    },
    {"scene_id": "s3", "image_prompt": "s3: the sea", "references": ["pier.png", "gone.png"]},
]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Make a project whose scenes lie in a folder of their own."""
    made = Project(tmp_path)
    for name, data in {"refs/mira.png": MIRA, "story/pier.png": PIER}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(data)
    (tmp_path / "story" / "scenes.json").write_text(json.dumps(STORY), encoding="utf-8")
    return made


def configure(project: Project, api: ImageApi, provider: str) -> None:
    at = api.root_url if provider == "gemini" else api.base_url
    how = {**PROVIDERS[provider], "base_url": at, "size": "1024x1024", "budget_usd": "2"}
    project.config(api, **how)
    with (project.folder / "host.toml").open("a", encoding="utf-8") as config:
        config.write(CAST)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("provider", first_of(PROVIDERS, "openai", "gemini"))
def test_a_cast_goes_through_the_commands(
    provider: str, image_api: ImageApi, project: Project
) -> None:
    """What the plan says is sent arrives, in its order, and is written down; once, and no more."""
    image_api.refuses = Refusing()
    configure(project, image_api, provider)
    planned = project.run("plan", "story/scenes.json", "--json")
    first = project.run("run", "story/scenes.json")
    manifest: dict[str, Any] = json.loads(
        (project.folder / "out" / "manifest.json").read_text(encoding="utf-8")
    )
    second = project.run("run", "story/scenes.json")

    assert image_api.entries
    plan: dict[str, Any] = json.loads(planned.stdout)
    assert (plan["make"], plan["sheets"], plan["unsendable"]) == (3, 1, 1)
    assert [wave["scenes"] for wave in plan["waves"]] == [1, 1, 1]
    assert (first.returncode, second.returncode) == (1, 1), first.stderr
    (failure,) = manifest["failures"]
    assert failure["scene_id"] == "s3"
    assert "gone.png" in failure["message"]
    (sheet,) = manifest["sheets"]
    assert Path(sheet["image_path"]).name == "cast-char_002.png"
    pictures = {one["scene_id"]: one for one in (*manifest["images"], *manifest["sheets"])}
    shown = {
        one.asked.prompt: [picture.sha256 for picture in shown_in(one.asked)]
        for one in image_api.entries
    }
    assert len(shown) == len(image_api.entries) == 3
    by_scene = {
        scene_id: next(sent for prompt, sent in shown.items() if words in prompt)
        for scene_id, words in {"char_002": "four views", "s1": "s1:", "s2": "s2:"}.items()
    }
    tomas, pier_scene = pictures["char_002"]["sha256"], pictures["s1"]["sha256"]
    assert by_scene == {
        "char_002": [],
        "s1": [sha256(MIRA), tomas],
        "s2": [sha256(PIER), pier_scene, tomas],
    }
    for scene_id in ("s1", "s2"):
        params = pictures[scene_id]["generation_params"]
        assert [one["sha256"] for one in params["references"]] == by_scene[scene_id]
        assert "Tomas" in params["labels"]
