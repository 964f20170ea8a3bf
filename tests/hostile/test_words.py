"""What a run and its ledger say of the same matter is the same, whole, and true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host_stub.run.summary import left_beside
from host_stub.text.file_names import file_stem
from stage3_plugin.domain.money import usd_text
from stage3_plugin.errors import LookupRefused, SceneIdRefused
from tests.fakes.behaviours import EmptyData, Ok, ResetAfterRead
from tests.fakes.image_api import ImageApi
from tests.projects import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_what_was_held_is_said_by_the_listing_as_by_the_run(
    project: Project, image_api: ImageApi, tmp_path: Path
) -> None:
    """Of a picture without a bill, and of an answer without a picture."""
    image_api.script(Ok(usage=None), scene="s01")
    image_api.script(EmptyData(), scene="s02")
    project.scenes(2)
    project.config(
        image_api, capacity=1, provider="openai", model="gpt-image-1-mini", size="1024x1024"
    )
    config = tmp_path / "host.toml"
    text = config.read_text(encoding="utf-8").replace('price_usd = "0.05"\n', "")
    config.write_text(text, encoding="utf-8")
    project.run("run", "scenes.json")
    listed = project.stage3("attempts", "--all")
    (held,) = {one.hold_microusd for one in project.purchases()}

    manifest = project.manifest()
    rows = (*manifest["images"], *manifest["failures"])
    assert [(row["cost_usd"], row["cost_basis"]) for row in rows] == [(usd_text(held), "held")] * 2
    told = usd_text(held)
    assert listed.stdout.count(f"held ${told}, cost ${told} (held)") == 2
    assert listed.stdout.count(f"${told} counted; 1 of them by what was held") == 2
    assert "unknown" not in listed.stdout


def test_letters_of_any_script_are_shown_as_they_are(project: Project) -> None:
    """In errors as everywhere else; what would hide or turn them is escaped."""
    story = [{"scene_id": "日本", "prompt": "p"}, {"scene_id": "été", "prompt": "p"}]
    text = json.dumps(story, ensure_ascii=False)
    (project.folder / "scenes.json").write_text(text, encoding="utf-8")

    near = project.run("run", "scenes.json", "--image", "plain", "--scene", "été\u202e")
    far = project.run("run", "scenes.json", "--image", "plain", "--scene", "日木")
    doubled = text.replace('"日本", "prompt"', '"日本", "日": 1, "日": 2, "prompt"')
    (project.folder / "scenes.json").write_text(doubled, encoding="utf-8")
    twice = project.run("run", "scenes.json", "--image", "plain")

    assert "has no scene 'été\\u202e'" in near.stderr
    assert "did you mean 'été'?" in near.stderr
    assert "has no scene '日木'" in far.stderr
    assert "the key '日' stands twice" in twice.stderr


def test_no_error_of_ours_escapes_letters() -> None:
    """Those that name a scene in its own words."""
    assert "'日本'" in str(SceneIdRefused("日本", "is empty"))
    assert "'日本'" in str(LookupRefused("日本", "there is none"))


def test_a_size_that_is_wrong_twice_is_refused_once(project: Project) -> None:
    """Its width and its height, in the same words."""
    text = json.dumps([{"scene_id": "s", "prompt": "p", "size": "99999x99999"}])
    (project.folder / "scenes.json").write_text(text, encoding="utf-8")
    refused = project.run("run", "scenes.json", "--image", "plain")

    assert refused.returncode == 2
    assert refused.stderr.count("scene[0].size: expected") == 1


@pytest.mark.parametrize(
    "text",
    [
        "[run]\nmax_in_flight = 1\n[run]\n",
        "[run]\nmax_in_flight = 1\nmax_in_flight = 2\n",
        "[run]\nplace = {a = 1, a = 2}\n",
        "[plugin.plain]\n[plugin]\nplain.colour = 'red'\n",
    ],
)
def test_what_stands_twice_in_a_config_is_said_to(project: Project, text: str) -> None:
    """The way to begin anew is no help to whoever has added a table that was there."""
    (project.folder / "host.toml").write_text(text, encoding="utf-8")
    checked = project.run("check")

    assert checked.returncode == 2
    assert "it stands twice; change the one that is there" in checked.stderr


def test_another_mistake_of_a_config_has_its_own_hint(project: Project) -> None:
    (project.folder / "host.toml").write_text("[run\n", encoding="utf-8")

    assert "stands twice" not in project.run("check").stderr


@pytest.mark.parametrize(
    "name, text, told",
    [
        ("host.toml", '[pipeline]\nimage = "plain"\n', "this is not a scene file"),
        ("notes.md", "# A story\n", "this is not a scene file"),
        ("scenes.json", '[{"scene_id": "s",}]', "correct the file and run again"),
    ],
)
def test_a_file_that_is_no_story_is_called_so(
    project: Project, name: str, text: str, told: str
) -> None:
    """No correction of what is wrong with it as JSON makes it one."""
    (project.folder / name).write_text(text, encoding="utf-8")
    refused = project.run("run", name)

    assert refused.returncode == 2
    assert told in refused.stderr


def test_a_picture_of_another_plugin_that_stays_where_this_run_has_none_is_named(
    project: Project, image_api: ImageApi
) -> None:
    """It is shown since nothing else is, and whoever takes all of the folder hears of it."""
    image_api.script(ResetAfterRead(), scene="s02")
    project.scenes(3)
    project.config(image_api)
    first = project.run("run", "scenes.json")
    project.run("run", "scenes.json", "--image", "plain")
    back = project.run("run", "scenes.json")

    assert "an earlier picture" not in first.stdout
    assert project.codes() == {"s01": "made", "s02": "unknown", "s03": "made"}
    assert "1 of them still shows an earlier picture: s02\n" in back.stdout
    (shown,) = [row for row in project.manifest()["images"] if row["scene_id"] == "s02"]
    assert (shown["generation_params"]["model"], shown["state"]) == ("plain", "held")


def test_pictures_left_beside_are_counted_and_the_first_named(tmp_path: Path) -> None:
    """Under the names that both plugins give; what is in the making, or a folder, is none."""
    for name in (".tmp-s1.png", "notes.txt", *(f"s{number}.png" for number in range(9))):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / f"{file_stem('日本')}.jpg").write_bytes(b"x")
    (tmp_path / "kept").mkdir()

    (line,) = left_beside(tmp_path, [*(f"s{number}" for number in range(1, 8)), "kept", "other"])
    (other,) = left_beside(tmp_path, ["日本"])

    assert line.startswith("7 pictures in ")
    assert "s1.png, s2.png, s3.png, s4.png, s5.png and 2 more; " in line
    assert f"{file_stem('日本')}.jpg" in other
    assert list(left_beside(tmp_path, ["other"])) == []
    assert list(left_beside(tmp_path / "not there", ["s1"])) == []


@pytest.mark.parametrize(
    "settings, seed, negative_prompt",
    [
        ({"provider": "openai"}, False, True),
        ({"provider": "openrouter"}, True, True),
        ({"provider": "openai", "negative_prompt": "drop"}, False, False),
    ],
)
def test_a_check_says_what_is_honoured_with_these_settings(
    project: Project,
    image_api: ImageApi,
    settings: dict[str, str],
    seed: bool,  # noqa: FBT001 - pytest passes it by name
    negative_prompt: bool,  # noqa: FBT001 - likewise
) -> None:
    """As the plan does, which says what is left out."""
    project.config(image_api, **settings)
    can = json.loads(project.run("check", "--json").stdout)["plugin"]["capabilities"]

    assert (can["seed"], can["negative_prompt"]) == (seed, negative_prompt)
    assert can["resumes"] is True


def test_a_plugin_that_says_no_more_is_shown_as_it_describes_itself(project: Project) -> None:
    checked = project.run("check", "--json", "--image", "plain")

    assert json.loads(checked.stdout)["plugin"]["capabilities"]["offline"] is True
