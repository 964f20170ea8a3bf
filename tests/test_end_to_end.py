"""The whole thing as a user runs it: the command, a config, scenes, and a provider over sockets."""

from __future__ import annotations

import base64
import json
import signal
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.fakes.behaviours import (
    CutBody,
    Json,
    Limited,
    Ok,
    Page,
    ResetAfterRead,
    ServerError,
)
from tests.fakes.image_api import KEY, ImageApi
from tests.projects import Project, wait_until

SCENES = [
    {
        "scene_id": f"scene_{number:03}",
        "image_prompt": f"scene_{number:03}: a harbour at dusk",
        "negative_prompt": "people",
        "style_tags": ["anime"],
        "characters_in_scene": ["char_001"],
        "camera_note": "slow pan",
    }
    for number in range(1, 7)
]


OPENAI: dict[str, object] = {"provider": "openai", "model": "gpt-image-2"}


def write(project: Project, scenes: object) -> None:
    (project.folder / "scenes.json").write_text(json.dumps(scenes), encoding="utf-8")


def configure(project: Project, text: str) -> None:
    (project.folder / "host.toml").write_text(text, encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    write(project, {"prompts": SCENES})
    return project


def test_a_story_against_a_paid_api_leaves_pictures_and_a_manifest(
    project: Project, image_api: ImageApi
) -> None:
    """Every scene is bought once, and the manifest tells it all in input order."""
    project.config(image_api, **OPENAI, capacity=3)
    ran = project.run("run", "scenes.json")
    manifest = project.manifest()
    ids = [scene["scene_id"] for scene in SCENES]

    assert ran.returncode == 0, ran.stderr
    assert image_api.billed() == 6
    assert [image["scene_id"] for image in manifest["images"]] == ids
    assert manifest["failures"] == []
    assert manifest["total_images"] == 6
    assert manifest["speedup"] > 0
    for image in manifest["images"]:
        path = project.folder / image["image_path"]
        assert path.read_bytes().startswith(b"\x89PNG")
        assert image["image_path"] == f"out/images/{image['scene_id']}.png"
        assert image["image_path"] in ran.stdout
        assert image["generation_params"]["prompt"].endswith("a harbour at dusk")
    costs = [Decimal(image["cost_usd"]) for image in manifest["images"]]
    assert Decimal(manifest["cost_usd"]) == sum(costs) > 0
    assert "Avoid: people" in image_api.asked()[0].prompt


def test_failures_are_values_and_set_the_exit_code(project: Project, image_api: ImageApi) -> None:
    """A refused scene gives 1, an unknown one 4, and both lists together hold every scene."""
    project.config(image_api, **OPENAI, capacity=2)
    refused = {"error": {"code": "moderation_blocked", "message": "policy"}}
    image_api.script(Json(refused, status=400), scene="scene_002")
    assert project.run("run", "scenes.json").returncode == 1
    image_api.script(ResetAfterRead(), scene="scene_002")
    ran = project.run("run", "scenes.json")
    manifest = project.manifest()

    assert ran.returncode == 4, ran.stderr
    assert [one["scene_id"] for one in manifest["failures"]] == ["scene_002"]
    assert manifest["failures"][0]["code"] == "unknown"
    assert manifest["failures"][0]["cost_usd"] is None
    assert manifest["cost_usd"] is None
    assert len(manifest["images"]) == 5


def test_a_dead_key_stops_the_run_with_3(project: Project, image_api: ImageApi) -> None:
    """Nothing more is sent, and the message says what to do."""
    project.config(image_api, **OPENAI, capacity=1)
    image_api.script(Json({"error": {"code": "invalid_api_key"}}, status=401), scene="scene_002")
    ran = project.run("run", "scenes.json")

    assert ran.returncode == 3
    assert image_api.received() == 2
    assert [one["code"] for one in project.manifest()["failures"]] == [
        "credentials", "not_tried", "not_tried", "not_tried", "not_tried",
    ]  # fmt: skip


def test_a_part_of_a_story_looks_like_the_whole(project: Project) -> None:
    """One scene made again has the same cast, and the same bytes, as in a run of all."""
    write(
        project,
        [
            {"scene_id": "a", "prompt": "Close-up of Ann Bell, red hair", "characters": ["c1"]},
            {"scene_id": "b", "prompt": "Wide shot of Tom Fox, a boy", "characters": ["c2"]},
            {
                "scene_id": "c",
                "prompt": "Two people, Tom Fox and Ann Bell, on a beach",
                "characters": ["c1", "c2"],
            },
        ],
    )
    small = ("--set", 'plugin.stage3.size="128x128"')
    assert project.run("run", "scenes.json", *small).returncode == 0
    whole = {image["scene_id"]: image["sha256"] for image in project.manifest()["images"]}
    assert project.run("run", "scenes.json", *small, "--scene", "c").returncode == 0
    manifest = project.manifest()

    assert manifest["total_images"] == 1
    assert {image["scene_id"]: image["sha256"] for image in manifest["images"]} == whole


def test_swapping_the_plugin_is_one_word(project: Project, image_api: ImageApi) -> None:
    """The same story, the same config, another plugin; nothing is sent to the first one's API."""
    project.config(image_api, **OPENAI)
    ran = project.run("run", "scenes.json", "--image", "plain")

    assert ran.returncode == 0, ran.stderr
    assert len(project.manifest()["images"]) == 6
    assert image_api.received() == 0


def test_the_first_interrupt_lets_paid_pictures_end(project: Project, image_api: ImageApi) -> None:
    """Nothing new is started, both in flight are kept, and the exit code is 130."""
    project.config(image_api, **OPENAI, capacity=2)
    image_api.always(Ok(delay_s=1.5))
    running = project.start("run", "scenes.json")
    wait_until(lambda: image_api.in_flight == 2)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    manifest = project.manifest()

    assert running.returncode == 130, errors
    assert image_api.received() == 2
    assert len(manifest["images"]) == 2
    assert {one["code"] for one in manifest["failures"]} == {"not_tried"}
    assert "Traceback" not in errors


def test_the_key_is_nowhere(project: Project, image_api: ImageApi) -> None:
    """Not in any output, file, event, manifest or traceback of a run in which much goes wrong."""

    def echo(code: str) -> dict[str, object]:
        return {"error": {"message": f"bad key {KEY} in Bearer {KEY}", "code": code}}

    image_api.script(
        Json(echo("overloaded_error"), status=503), Limited(), ServerError(500), scene="scene_001"
    )
    image_api.script(CutBody(), scene="scene_002")
    image_api.script(Page(502), scene="scene_003")
    image_api.script(ResetAfterRead(), scene="scene_004")
    image_api.script(Json(echo("moderation_blocked"), status=400), scene="scene_005")
    image_api.script(Json(echo("invalid_api_key"), status=401), scene="scene_006")
    project.config(image_api, **OPENAI, capacity=1)
    ran = project.run("run", "scenes.json", "--debug")
    checked = project.run("check")
    configure(project, f"[plugin.stage3]\nprovider = 'openai'\napi_key = '{KEY}'\ncapacity = 'x'")
    refused = project.run("run", "scenes.json", "--debug")
    (project.folder / "host.toml").unlink()
    texts = {
        "run": ran.stdout + ran.stderr,
        "check": checked.stdout + checked.stderr,
        "refused": refused.stdout + refused.stderr,
    } | {
        str(path): path.read_bytes().decode("utf-8", "replace")
        for path in project.folder.rglob("*")
        if path.is_file()
    }
    forms = [KEY, base64.b64encode(KEY.encode()).decode(), quote(KEY, safe=""), KEY[::-1]]

    assert ran.returncode == 3, ran.stderr
    assert refused.returncode == 2
    assert any("events.jsonl" in name for name in texts)
    assert any("/spool/" in name for name in texts)
    assert [(name, form) for name, text in texts.items() for form in forms if form in text] == []
