"""What scenes show the model: a cast, sheets, files and other scenes, over the loopback API."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from host_stub.contract import Scene
from stage3_plugin.domain.money import FREE
from stage3_plugin.engine.build import open_stage
from stage3_plugin.settings import Settings
from tests.doors import settings_for
from tests.fakes.behaviours import Json, Ok, ResetAfterRead, ServerError
from tests.fakes.image_api import Entry, ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.requests import Refusing, shown_in
from tests.stage3.running import Ran, Story, asking, run_stage

pytestmark = pytest.mark.anyio

PROVIDERS: dict[str, dict[str, Any]] = {
    "openai": {},
    "openrouter": {"provider": "openrouter", "model": "openai/gpt-image-2"},
    "openrouter, chat": {
        "provider": "openrouter",
        "api": "chat",
        "model": "google/gemini-3.1-flash-image",
    },
    "gemini": {"provider": "gemini", "model": "gemini-3.1-flash-image"},
}
MIRA, BOARD = (make_png(one, 64, 64) for one in ("mira", "board"))
CAST: dict[str, dict[str, object]] = {
    "char_001": {"image": "refs/mira.png", "name": "Mira", "role": "character"},
    "char_002": {"prompt": "Tomas, an old keeper, four views", "name": "Tomas"},
    "board": {"image": "refs/board.png", "role": "style", "always": True},
}


def scene(scene_id: str, *references: str, characters: Sequence[str] = ()) -> Scene:
    return Scene(
        scene_id=scene_id,
        prompt=f"{scene_id}: a pier at dusk",
        references=references,
        characters=tuple(characters),
    )


STORY = Story(
    [
        scene("s1", characters=["char_001", "char_002", "dog"]),
        scene("s2", characters=["char_002"]),
        scene("s3", "scene:s1", "refs/mira.png"),
        scene("s4"),
    ]
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a project with references."""
    refs = tmp_path / "refs"
    refs.mkdir()
    (refs / "mira.png").write_bytes(MIRA)
    (refs / "board.png").write_bytes(BOARD)
    return tmp_path


def casting(api: ImageApi, provider: str = "openai", /, **more: Any) -> Settings:
    how = PROVIDERS[provider]
    if how.get("provider") == "gemini":
        how = {**how, "base_url": api.root_url}
    return settings_for(api, **{"cast": CAST, "size": "1024x1024", **how, **more})


async def run(settings: Settings, folder: Path, story: Story = STORY) -> Ran:
    return await run_stage(settings, story, folder, scenes_dir=folder)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sent(api: ImageApi, words: str) -> Entry:
    """Return the one request whose text has these words."""
    (found,) = (one for one in api.entries if words in one.asked.prompt)
    return found


def shown(api: ImageApi, words: str) -> list[str]:
    return [one.sha256 for one in shown_in(sent(api, words).asked)]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_unchanged_scene_file_gets_the_same_faces(
    provider: str, image_api: ImageApi, folder: Path
) -> None:
    """Sheets first; then each scene with its own references, its characters, and the board."""
    image_api.refuses = Refusing()
    ran = await run(casting(image_api, provider), folder)

    assert {one: ran.code(one) for one in ran.outcomes} == dict.fromkeys(
        ("char_002", "s1", "s2", "s3", "s4"), "made"
    )
    sheet = ran.outcomes["char_002"]
    assert sheet.role == "sheet"
    assert sheet.image is not None
    assert sheet.image.name == "cast-char_002.png"
    tomas = sheet.sha256
    first = ran.outcomes["s1"]
    assert shown(image_api, "four views") == []
    assert shown(image_api, "s1:") == [sha256(MIRA), tomas, sha256(BOARD)]
    assert shown(image_api, "s2:") == [tomas, sha256(BOARD)]
    assert shown(image_api, "s3:") == [first.sha256, sha256(MIRA), sha256(BOARD)]
    assert shown(image_api, "s4:") == [sha256(BOARD)]
    assert "Mira" in sent(image_api, "s1:").asked.prompt
    started = ran.named("stage.started")[0]
    assert (started["scenes"], started["sheets"]) == (4, ["char_002"])
    assert {one["scene_id"]: one["waits_for"] for one in ran.named("scene.waiting")} == {
        "s1": ["char_002"],
        "s2": ["char_002"],
        "s3": ["s1"],
    }
    (told,) = (one["message"] for one in ran.named("stage.warned") if "cast" in one["message"])
    assert "'dog' of scene 's1'" in told


async def test_a_sheet_that_fails_leaves_its_scenes_untried(
    image_api: ImageApi, folder: Path
) -> None:
    """With the reason, at no cost; other scenes are made."""
    image_api.script(Json({"error": {"code": "moderation_blocked"}}, 400), scene="four views")
    ran = await run(casting(image_api), folder)

    assert {one: ran.code(one) for one in ran.outcomes} == {
        "char_002": "refused",
        "s1": "not_tried",
        "s2": "not_tried",
        "s3": "not_tried",
        "s4": "made",
    }
    failure = ran.outcomes["s1"].failure
    assert failure is not None
    assert "sheet 'char_002' has no picture" in failure.message
    assert ran.outcomes["s1"].cost == FREE.told
    skipped = {one["scene_id"]: one.get("waits_for") for one in ran.named("scene.skipped")}
    assert skipped == {"s1": ["char_002"], "s2": ["char_002"], "s3": ["s1"]}


@pytest.mark.parametrize(
    "image, words",
    [
        ("refs/gone.png", "refs/gone.png"),
        ("../outside.png", "outside"),
        ("https://example.org/a.png", "download"),
        ("scene:s9", "names no scene"),
        ("scene:s1", "refers to itself"),
        ("refs/words.png", "refs/words.png"),
    ],
)
async def test_what_cannot_be_shown_refuses_its_scene_before_money(
    image: str, words: str, image_api: ImageApi, folder: Path
) -> None:
    """By name; what refers to it is not tried, and others are made."""
    (folder / "refs" / "words.png").write_text("no picture", encoding="utf-8")
    story = Story([scene("s1", image), scene("s2", "scene:s1"), scene("s3")])
    ran = await run(casting(image_api, cast={}), folder, story)

    assert {one: ran.code(one) for one in ran.outcomes} == {
        "s1": "rejected",
        "s2": "not_tried",
        "s3": "made",
    }
    failure = ran.outcomes["s1"].failure
    assert failure is not None
    assert words in failure.message
    waited = ran.outcomes["s2"].failure
    assert waited is not None
    assert waited.message.count("nothing was sent") == 1
    assert len(image_api.entries) == 1
    assert any("'s1' cannot be made" in one["message"] for one in ran.named("stage.warned"))


async def test_more_than_a_model_takes_is_refused(image_api: ImageApi, folder: Path) -> None:
    """Sixteen for OpenAI's; the number is said."""
    for number in range(17):
        (folder / f"{number}.png").write_bytes(make_png(str(number), 64, 64))
    names = [f"{number}.png" for number in range(17)]
    story = Story([scene("s1", *names), scene("s2", *names[1:])])
    ran = await run(casting(image_api, cast={}), folder, story)

    failure = ran.outcomes["s1"].failure
    assert failure is not None
    assert "17 references" in failure.message
    assert len(shown(image_api, "s2:")) == 16


async def test_a_scene_that_is_not_asked_for_is_shown_as_it_was_bought(
    image_api: ImageApi, folder: Path
) -> None:
    """One that has no picture yet is said, and nothing is bought for it."""
    asked = Story([STORY.scenes[2]])
    settings = casting(image_api)
    before = await run_stage(settings, asked, folder, scenes_dir=folder, whole_story=STORY)

    assert before.code("s3") == "not_tried"
    assert image_api.entries == []
    await run(settings, folder, Story(STORY.scenes[:1]))
    after = await run_stage(settings, asked, folder, scenes_dir=folder, whole_story=STORY)
    assert after.code("s3") == "made"
    assert list(after.outcomes) == ["s3"]


async def test_a_picture_that_is_named_twice_is_shown_once(
    image_api: ImageApi, folder: Path
) -> None:
    """By its bytes: in the first place that it is named in, with the name that any gives it."""
    (folder / "face.png").write_bytes(MIRA)
    story = Story([scene("s1", "face.png", characters=["char_001"])])
    ran = await run(casting(image_api), folder, story)

    assert shown(image_api, "s1:") == [sha256(MIRA), sha256(BOARD)]
    references: Any = ran.outcomes["s1"].generation_params["references"]
    assert [(one["image"], one["name"]) for one in references] == [
        ("face.png", "Mira"),
        ("refs/board.png", None),
    ]


async def test_what_is_bought_again_at_another_endpoint_is_said_with_a_cast_as_well(
    image_api: ImageApi, folder: Path
) -> None:
    """It is looked for while the run goes on, when some sheets are there and others are not."""
    await run(casting(image_api), folder)
    elsewhere = casting(image_api, endpoint="another")
    ran = await run(elsewhere, folder)

    assert {ran.code(one) for one in ran.outcomes} == {"made"}
    assert all(one.reused for one in ran.outcomes.values())
    moved = image_api.base_url.replace("127.0.0.1", "localhost")
    again = await run(casting(image_api, base_url=moved), folder)
    assert {again.code(one) for one in again.outcomes} == {"made"}
    assert not any(one.reused for one in again.outcomes.values())
    assert any("another" in one["message"] for one in again.named("stage.warned"))


async def test_a_sheet_in_doubt_keeps_its_scenes_back_until_somebody_decides(
    image_api: ImageApi, folder: Path
) -> None:
    """In the run that lost its answer, in the next, and in the plan between, nothing is sent."""
    image_api.script(ResetAfterRead(), scene="four views")
    story = Story(STORY.scenes[1:2])
    for _ in range(2):
        ran = await run(casting(image_api), folder, story)
        assert {one: ran.code(one) for one in ran.outcomes} == {
            "char_002": "unknown",
            "s2": "not_tried",
        }
    async with open_stage(casting(image_api), folder) as stage:
        plan = await stage.plan(asking(story, scenes_dir=folder))

    assert len(image_api.entries) == 1
    assert (plan.make, plan.held) == (0, 1)
    problems = {one.scene_id: one.problem for one in plan.scenes}
    assert "sheet 'char_002' waits for a decision" in str(problems["s2"])


async def test_a_changed_sheet_is_named_with_the_scenes_it_makes_stale(
    image_api: ImageApi, folder: Path
) -> None:
    """And what they would cost; a plan buys nothing."""
    await run(casting(image_api), folder)
    changed = {**CAST, "char_002": {**CAST["char_002"], "prompt": "Tomas, in a coat"}}
    async with open_stage(casting(image_api, cast=changed), folder) as stage:
        plan = await stage.plan(asking(STORY, scenes_dir=folder))

    assert (plan.make, plan.sheets, plan.stale, plan.reused) == (4, 1, 3, 1)
    (line,) = (one for one in plan.warnings if "sheet 'char_002' has changed" in one)
    assert "2 scenes (the first is 's1') would be made anew, for up to $0." in line
    assert any("the picture of scene 's1' has changed" in one for one in plan.warnings)
    assert [wave.scenes for wave in plan.waves] == [1, 2, 1]


async def test_two_runs_at_once_share_a_sheet(image_api: ImageApi, folder: Path) -> None:
    """One buys it, the other waits for it; their scenes are shown the same bytes."""
    image_api.otherwise = lambda _: Ok(delay_s=0.3)
    rans = [Ran(), Ran()]
    async with anyio.create_task_group() as runs:
        for ran in rans:
            into = partial(run_stage, scenes_dir=folder, into=ran)
            runs.start_soon(into, casting(image_api), STORY, folder)

    assert len(image_api.entries) == 5
    for ran in rans:
        assert {ran.code(one) for one in ran.outcomes} == {"made"}
        assert len(ran.outcomes) == 5


async def test_a_sheet_whose_picture_comes_later_is_waited_for(
    image_api: ImageApi, folder: Path
) -> None:
    """It is bought, and its address does not give it yet; its scenes are made when it is there."""
    image_api.script(Ok(url="own"), scene="four views")
    image_api.visit(ServerError(503))
    ran = await run(casting(image_api, capacity=1), folder, Story(STORY.scenes[1:]))

    assert {one: ran.code(one) for one in ran.outcomes} == {
        "char_002": "made",
        "s2": "made",
        "s3": "rejected",
        "s4": "made",
    }
    assert len(image_api.visits()) == 2
    sheet = ran.outcomes["char_002"]
    assert shown(image_api, "s2:") == [sheet.sha256, sha256(BOARD)]


@pytest.mark.parametrize("others", [(), ("s1",)])
async def test_no_sheet_is_made_for_a_scene_that_is_refused(
    others: tuple[str, ...], image_api: ImageApi, folder: Path
) -> None:
    """Nor for one that refers to that: it would be paid for and shown to nobody."""
    story = Story(
        [
            scene("s1", "gone.png", characters=["char_002"]),
            *(scene("s2", f"scene:{one}", characters=["char_002"]) for one in others),
            scene("s3", characters=["char_001"]),
        ]
    )
    settings = casting(image_api)
    async with open_stage(settings, folder) as stage:
        plan = await stage.plan(asking(story, scenes_dir=folder))
    ran = await run(settings, folder, story)

    assert (plan.make, plan.sheets) == (1, 0)
    codes = {one: ran.code(one) for one in ran.outcomes}
    assert codes == {"s1": "rejected", "s3": "made"} | dict.fromkeys(
        ("s2" for _ in others), "not_tried"
    )
    assert len(image_api.entries) == 1


async def test_who_is_to_look_as_in_a_scene_is_in_that_scene_too(
    image_api: ImageApi, folder: Path
) -> None:
    """The cast may name a scene's picture; the scene itself is not shown its own."""
    cast: dict[str, dict[str, object]] = {"mara": {"image": "scene:s2", "name": "Mara"}}
    story = Story([scene(one, characters=["mara"]) for one in ("s1", "s2")])
    ran = await run(casting(image_api, cast=cast), folder, story)

    assert {ran.code(one) for one in ran.outcomes} == {"made"}
    first = ran.outcomes["s2"]
    assert shown(image_api, "s2:") == []
    assert shown(image_api, "s1:") == [first.sha256]
