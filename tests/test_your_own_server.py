"""A server of one's own as a provider, with the settings as the page has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.behaviours import ResetAfterRead, ServerError
from tests.fakes.image_api import ImageApi
from tests.projects import Project
from tests.rules.repository import blocks, page

ADDRESS = "http://gpu.example:8000/v1"
STORY = [{"scene_id": f"s{number}", "image_prompt": f"s{number}: the sea"} for number in (1, 2, 3)]


def project_of(folder: Path, api: ImageApi, **other: str) -> Project:
    """Make a project with the page's first settings, at the server that is there."""
    config = blocks(page("your-own-server.md"), "toml")[0]
    assert ADDRESS in config
    for setting, written in {
        ADDRESS: api.base_url,
        "timeout_s": "size = '64x64'\ntimeout_s",
        **other,
    }.items():
        assert setting in config
        config = config.replace(setting, written)
    (folder / "host.toml").write_text(config, encoding="utf-8")
    (folder / "scenes.json").write_text(json.dumps(STORY), encoding="utf-8")
    return Project(folder)


def test_a_server_of_ones_own_needs_a_table_and_no_more(tmp_path: Path) -> None:
    """No key, no price, no warning; what fails is tried again, a lost answer asked for again."""
    with ImageApi(key=None) as api:
        project = project_of(tmp_path, api)
        api.script(ServerError(), scene="s1")
        api.script(ResetAfterRead(), scene="s2")
        checked = project.run("check")
        ran = project.run("run", "scenes.json")
        asked = [entry.asked.document for entry in api.entries]
    manifest = project.manifest()

    assert (checked.returncode, ran.returncode) == (0, 0), ran.stderr
    assert "warning" not in checked.stdout + checked.stderr
    assert [one["cost_usd"] for one in manifest["images"]] == ["0", None, "0"]
    assert len(asked) == 5
    assert {*asked[0]} == {"model", "prompt", "n", "size", "quality", "output_format"}


@pytest.mark.parametrize("price, warned", [("0", False), ('"0.05"', True)])
def test_a_price_makes_a_lost_answer_a_matter_of_money(
    tmp_path: Path, price: str, *, warned: bool
) -> None:
    """``check`` says what may be paid twice, in the words of the page."""
    with ImageApi(key=None) as api:
        checked = project_of(tmp_path, api, **{"price_usd = 0": f"price_usd = {price}"}).run(
            "check"
        )
    (text,) = (one for one in blocks(page("your-own-server.md"), "text") if "warning" in one)

    assert checked.returncode == 0
    assert (text.strip() in checked.stdout + checked.stderr) is warned


def test_a_lost_answer_waits_for_a_person_without_the_setting(tmp_path: Path) -> None:
    """Also at a server of one's own: the run cannot know what became of it."""
    other: dict[str, Any] = {'on_unknown = "resend"': 'on_unknown = "hold"'}
    with ImageApi(key=None) as api:
        project = project_of(tmp_path, api, **other)
        api.script(ResetAfterRead(), scene="s2")
        ran = project.run("run", "scenes.json")

    assert ran.returncode == 4
    assert "stage3 resolve" in ran.stdout + ran.stderr
