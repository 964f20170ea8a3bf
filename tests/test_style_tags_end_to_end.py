"""A scene's style tags, by the commands that a person types: planned, sent, paid once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from host_stub.cli import main
from stage3_plugin.testing.behaviours import Json, ResetAfterRead
from stage3_plugin.testing.bill import by_the_table
from stage3_plugin.testing.dialects import dialect_of
from stage3_plugin.testing.image_api import ImageApi
from tests.fakes.image_api import KEY
from tests.fakes.pngs import make_png
from tests.fakes.tables import TABLES
from tests.places import hurry

PAINTER = {"provider": "openrouter", "model": "a/painter", "price_usd": "0.05"}
STORY: list[dict[str, Any]] = [
    {
        "scene_id": "s1",
        "image_prompt": "s1: an Ink drawing",
        "style_tags": ["ink", "soft light"],
        "negative_prompt": "fog",
    },
    {
        "scene_id": "s2",
        "image_prompt": 's2: 港口 "quoted" \\ and\nnew',
        "style_tags": ["水彩"],
        "references": [{"image": "mira.png", "name": "Mira"}],
    },
    {"scene_id": "s3", "image_prompt": "s3: a pier"},
]
REFUSED = Json({"error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["x"]}}}, 403)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a project's folder, and wait for no queue."""
    hurry(monkeypatch, 100, "policy.polling")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mira.png").write_bytes(make_png("mira", 64, 64))


@pytest.fixture(params=TABLES)
def word(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def vendor(word: str) -> Iterator[ImageApi]:
    dialect = dialect_of(TABLES[word]["provider"])
    with ImageApi(dialect=None if dialect is None else dialect()) as api:
        if dialect is None:
            api.bill = by_the_table
        yield api


def config(api: ImageApi, /, extra: str = "", **values: object) -> None:
    """Write the config of a run against the loopback API."""
    url = api.root_url if values.get("provider") == "gemini" else api.base_url
    told = {"base_url": url, "api_key": KEY, "size": "1024x1024", "backoff_base_s": 0.01}
    lines = [f"{name} = {json.dumps(value)}" for name, value in (told | values).items()]
    Path("host.toml").write_text("\n".join(["[plugin.stage3]", *lines, extra]), encoding="utf-8")


def story(*scenes: dict[str, Any]) -> None:
    Path("scenes.json").write_text(json.dumps(list(scenes)), encoding="utf-8")


def planned(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["plan", "scenes.json", "--json", *words]) == 0
    plan: dict[str, Any] = json.loads(capsys.readouterr().out)
    return plan


def prompts_sent(plan: dict[str, Any]) -> dict[str, str]:
    return {one["scene_id"]: one["prompt_sent"] for one in plan["scene_plans"]}


def images() -> dict[str, dict[str, Any]]:
    manifest = json.loads(Path("out/manifest.json").read_text(encoding="utf-8"))
    return {one["scene_id"]: one for one in manifest["images"]}


def texts_in(sent: Any) -> Iterator[str]:
    """Yield every text of a body."""
    if isinstance(sent, str):
        yield sent
    elif isinstance(sent, dict | list):
        inside = cast("Any", sent)
        for one in inside.values() if isinstance(sent, dict) else inside:
            yield from texts_in(one)


def test_a_plan_has_each_prompt_as_it_arrives(
    vendor: ImageApi, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Byte for byte at every provider, with its tags, what to avoid and names of references."""
    config(vendor, **TABLES[word])
    story(*STORY)
    plan = planned(capsys)
    ended = main(["run", "scenes.json"])

    told = prompts_sent(plan)
    assert ended == 0
    assert told["s1"] == "s1: an Ink drawing. Style: soft light. Avoid: fog"
    assert told["s2"].endswith(f"{STORY[1]['image_prompt']}. Style: 水彩")
    assert told["s3"] == "s3: a pier"
    for scene_id, prompt in told.items():
        [asked] = vendor.asked(scene_id)
        assert prompt in set(texts_in(asked.document))
        assert asked.prompt.endswith(prompt)
    assert all("style_tags" not in one["dropped"] for one in images().values())


def test_dropped_tags_are_told_of_and_not_sent(
    image_api: ImageApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan warns, the prompt is as it was written, and the manifest lists the wish."""
    config(image_api, **PAINTER, style_tags="drop")
    story(*STORY)
    plan = planned(capsys)
    ended = main(["run", "scenes.json"])

    assert ended == 0
    assert prompts_sent(plan)["s1"] == "s1: an Ink drawing. Avoid: fog"
    assert [one["dropped"] for one in plan["scene_plans"]] == [["style_tags"]] * 2 + [[]]
    assert any(
        one.startswith("style_tags of 2 scenes (the first is 's1')") for one in plan["warnings"]
    )
    assert [one["dropped"] for one in images().values()] == [["style_tags"]] * 2 + [[]]
    assert "Style" not in "".join(one.prompt for one in image_api.asked())


def test_a_picture_without_its_tags_is_bought_anew_and_that_is_said_first(
    image_api: ImageApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its plan; the setting finds it again, and other scenes are found in any case."""
    story(*STORY)
    config(image_api, **PAINTER, style_tags="drop")
    assert main(["run", "scenes.json"]) == 0
    config(image_api, **PAINTER)
    plan = planned(capsys)
    kept = planned(capsys, "--set", 'plugin.stage3.style_tags="drop"')
    first = main(["run", "scenes.json"])
    again = main(["run", "scenes.json"])

    assert (first, again, image_api.billed()) == (0, 0, 5)
    assert (plan["make"], plan["reused"], plan["cost_high_usd"]) == (2, 1, "0.1")
    assert (kept["make"], kept["reused"]) == (0, 3)


def test_other_tags_are_another_picture_and_the_old_ones_find_theirs(
    image_api: ImageApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is paid for once; the reason why one is stale is its words."""
    config(image_api, **PAINTER)
    told: list[dict[str, Any]] = []
    for tags in (["ink"], ["oil"], ["ink"]):
        story({"scene_id": "s1", "prompt": "s1: a pier", "style_tags": tags})
        told.append(planned(capsys))
        assert main(["run", "scenes.json"]) == 0

    assert image_api.billed() == 2
    assert [one["make"] for one in told] == [1, 1, 0]
    assert [one.prompt for one in image_api.asked()] == [
        "s1: a pier. Style: ink",
        "s1: a pier. Style: oil",
    ]
    assert told[1]["stale_reasons"] == {"prompt": 1}
    assert images()["s1"]["generation_params"]["style_tags"] == ["ink"]


def test_what_is_in_doubt_without_tags_is_not_bought_with_them(
    image_api: ImageApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who changes how tags are said, or which, while a bill may come, does not pay twice."""
    config(image_api, **PAINTER, style_tags="drop")
    story(STORY[0])
    image_api.script(ResetAfterRead())
    assert main(["run", "scenes.json"]) != 0
    config(image_api, **PAINTER)
    plan = planned(capsys)
    story(STORY[0] | {"style_tags": ["oil"]})
    main(["run", "scenes.json"])

    assert (plan["make"], plan["held"], image_api.received()) == (0, 1, 1)


def test_other_words_routes_and_sheets_have_tags_likewise(
    image_api: ImageApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each prompt has the tags that it lacks itself; a route may leave them out for itself."""
    cast = '[plugin.stage3.cast.mira]\nname = "Mira"\nprompt = "a girl"\n'
    route = (
        '[[plugin.stage3.fallback]]\nprovider = "openrouter"\nmodel = "b/painter"\n'
        f'base_url = "{image_api.base_url}"\napi_key = "{KEY}"\nprice_usd = "0.05"\n'
        'style_tags = "drop"\n'
    )
    config(image_api, cast + route, **PAINTER)
    words = {"image_prompt": "s1: a fight", "if_refused": ["s1: an ink fight"]}
    of_mira = {"scene_id": "s2", "prompt": "s2: a pier", "characters": ["mira"]}
    story({"scene_id": "s1", **words, "style_tags": ["ink"]}, of_mira)
    image_api.script(REFUSED, times=2, scene="s1")
    plan = planned(capsys)
    ended = main(["run", "scenes.json"])

    asked = [(one.document["model"], one.prompt) for one in image_api.asked("s1")]
    assert ended == 0
    assert prompts_sent(plan)["mira"] == "a girl"
    assert prompts_sent(plan)["s1"] == "s1: a fight. Style: ink"
    assert asked == [
        ("a/painter", "s1: a fight. Style: ink"),
        ("b/painter", "s1: a fight"),
        ("a/painter", "s1: an ink fight"),
    ]


def test_a_style_line_of_a_chapter_reaches_the_model(
    image_api: ImageApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """The story's is for all scenes, a chapter's for its own, and a scene's for itself."""
    Path("story.md").write_text(
        "Style: pencil\n\nAn old tale.\n\n"
        "# The sea\n\n## Morning\nStyle: watercolour, soft light\n\nIt begins.\n\n"
        "### Dawn\ns-dawn: a boat\n\n### Noon\n**Style:** oil\n\ns-noon: a whale\n\n"
        "## Evening\n\n### Dusk\ns-dusk: a gull\n",
        encoding="utf-8",
    )
    assert main(["init", "--from", "story.md"]) == 0
    said = capsys.readouterr()
    config(image_api, **PAINTER)
    ended = main(["run", "scenes.json"])

    written: dict[str, Any] = json.loads(Path("scenes.json").read_text(encoding="utf-8"))
    assert ended == 0
    assert {one["scene_id"]: one["style_tags"] for one in written["prompts"]} == {
        "dawn": ["watercolour", "soft light"],
        "noon": ["oil"],
        "dusk": ["pencil"],
    }
    assert sorted(one.prompt for one in image_api.asked()) == [
        "s-dawn: a boat. Style: watercolour, soft light",
        "s-dusk: a gull. Style: pencil",
        "s-noon: a whale. Style: oil",
    ]
    assert "the text before the first heading" in said.out + said.err
    assert "Morning" in said.out + said.err
