"""Several takes of a scene as a survey tells them, and the one of a sheet that scenes are shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest

from host_stub.contract import KnownTake, SceneSurvey, ShownPicture, WantedTakes
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.made_from import WISH
from stage3_plugin.domain.money import to_usd
from stage3_plugin.engine import scene as scene_module
from stage3_plugin.settings import draft_settings
from tests.doors import bills, painter
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.stage3.buying import purchases
from tests.stage3.running import Story, run_stage
from tests.stage3.test_ladder_runs import REFUSED, ladder
from tests.stage3.test_survey import scene, states, survey

pytestmark = pytest.mark.anyio

CAST: dict[str, dict[str, object]] = {"mira": {"prompt": "Mira, four views"}}
STORY = [scene("s1", characters=["mira"]), scene("s2", characters=["mira"]), scene("s3")]


@pytest.fixture
def api(image_api: ImageApi) -> ImageApi:
    """Answer every request with another picture."""
    number = count(1)
    image_api.otherwise = lambda _asked: bills(
        0.05, picture=make_png(f"picture {next(number)}", 64, 64)
    )
    return image_api


@pytest.fixture
def second() -> Iterator[ImageApi]:
    with ImageApi(key="sk-second") as other:
        yield other


def hashes(takes: Sequence[KnownTake]) -> list[str]:
    return [one.sha256 for one in takes]


def picked(found: dict[str, SceneSurvey], scene_id: str, take: int) -> ShownPicture:
    """Return a take of a scene as the one that is shown."""
    one = found[scene_id]
    return ShownPicture(sha256=one.takes[take].sha256, basis=one.basis)


async def test_a_drawing_is_told_as_a_draft(api: ImageApi, tmp_path: Path) -> None:
    """By what it was made from, for a host whose notes are lost; what is paid for is none."""
    drafts = draft_settings(painter(api))
    await run_stage(drafts, Story([scene("s1")]), tmp_path, is_draft=True)
    await run_stage(painter(api), Story([scene("s1")]), tmp_path)

    [found] = (await survey(painter(api), [scene("s1")], tmp_path)).values()

    assert [(take.current, take.draft) for take in found.takes] == [(True, False), (False, True)]


async def test_takes_come_in_the_order_in_which_they_were_made(
    api: ImageApi, tmp_path: Path
) -> None:
    """Each with a purchase of its own, and all of one basis; those of before are stale."""
    settings, story = painter(api), [scene("s1")]
    await run_stage(settings, Story([scene("s1", prompt="before")]), tmp_path)
    await run_stage(settings, Story([story[0].model_copy(update={"takes": 3})]), tmp_path)

    [found] = (await survey(settings, story, tmp_path)).values()

    current = [take for take in found.takes if take.current]
    assert [take.current for take in found.takes] == [True, False, True, True]
    assert [take.basis == found.basis for take in found.takes] == [True, False, True, True]
    assert found.takes[1].stale == ("prompt",)
    assert len({take.purchase for take in found.takes}) == 4
    made_at = [take.made_at for take in current if take.made_at is not None]
    assert made_at == sorted(made_at)
    assert len(made_at) == len(current)
    assert found.cost_usd == to_usd(50_000)


async def test_a_sheet_begins_with_the_take_that_its_scenes_were_made_from(
    api: ImageApi, tmp_path: Path
) -> None:
    """So nothing is stale, and nothing bought, where nobody remembers what was shown."""
    settings = painter(api, cast=CAST)
    basis = (await survey(settings, STORY, tmp_path))["mira"].basis
    assert basis is not None
    three = {"mira": [WantedTakes(basis=basis, takes=3)]}
    await run_stage(settings, Story(STORY[:1]), tmp_path, wanted=lambda one: three.get(one, ()))
    found = await survey(settings, STORY, tmp_path)
    third = {"mira": picked(found, "mira", 2)}.get
    await run_stage(settings, Story(STORY), tmp_path, shown=third)
    bought = len(purchases(tmp_path))

    forgotten = await survey(settings, STORY, tmp_path)
    await run_stage(settings, Story(STORY), tmp_path)

    assert hashes(forgotten["mira"].takes)[0] == hashes(found["mira"].takes)[2]
    assert [one.takes[0].current for one in forgotten.values()] == [True] * 4
    assert len(purchases(tmp_path)) == bought


async def test_a_sheet_that_a_person_brought_is_bought_only_where_that_is_wanted(
    api: ImageApi, tmp_path: Path
) -> None:
    """A re-roll says so; a plain run and its plan do not."""
    settings = painter(api, cast=CAST)
    own = tmp_path / "own.png"
    own.write_bytes(make_png("own", 64, 64))
    found = await survey(settings, STORY, tmp_path)
    basis = found["mira"].basis
    assert basis is not None
    sha256 = hashlib.sha256(own.read_bytes()).hexdigest()
    shown = {"mira": ShownPicture(sha256=sha256, basis=basis, path=own)}.get
    plain = await run_stage(settings, Story(STORY), tmp_path, shown=shown)
    one = {"mira": [WantedTakes(basis=basis, takes=1)]}
    asked = await run_stage(
        settings, Story(STORY), tmp_path, shown=shown, wanted=lambda name: one.get(name, ())
    )
    then = await survey(settings, STORY, tmp_path, shown=shown)

    assert set(plain.outcomes) == {"s1", "s2", "s3"}
    [started] = plain.named("stage.started")
    assert started.get("sheets", []) == []
    assert set(asked.outcomes) == {"mira", "s1", "s2", "s3"}
    assert not asked.outcomes["mira"].reused
    assert all(asked.outcomes[name].reused for name in ("s1", "s2", "s3"))
    assert states(then) == {"mira": [True], "s1": [True], "s2": [True], "s3": [True]}


def _without_facts(result: AttemptResult, *_args: object, **_more: object) -> AttemptResult:
    return result


async def test_takes_without_facts_are_known_by_their_keys(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed leaves an answer, and who takes it in knows nothing of the wish."""
    monkeypatch.setattr(scene_module, "with_facts", _without_facts)
    settings = painter(api, cast=CAST)
    story = [one.model_copy(update={"takes": 3}) for one in STORY]
    await run_stage(settings, Story(story), tmp_path)

    found = await survey(settings, STORY, tmp_path)
    other = await survey(painter(api, cast={"mira": {"prompt": "Mira, older"}}), STORY, tmp_path)

    assert all(WISH not in one.details for one in purchases(tmp_path))
    assert states(found) == {"mira": [True], "s1": [True] * 3, "s2": [True] * 3, "s3": [True] * 3}
    assert states(other)["s3"] == [True] * 3
    assert set(map(str, states(other)["s1"])) == {"('sheet',)"}


async def test_a_picture_of_a_further_route_is_current_until_that_route_is_gone(
    image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """Its basis is that of the wish, whichever way it came; without its route it is foreign."""
    image_api.otherwise = lambda _asked: REFUSED
    settings, story = ladder(image_api, second), [scene("s1")]
    ran = await run_stage(settings, Story(story), tmp_path)
    found = await survey(settings, story, tmp_path)
    alone = await survey(settings.model_copy(update={"fallback": ()}), story, tmp_path)
    turned = await survey(ladder(second, image_api), story, tmp_path)

    assert ran.outcomes["s1"].basis == found["s1"].basis
    assert states(found) == {"s1": [True]}
    assert found["s1"].takes[0].model == "route/2"
    assert found["s1"].takes[0].generation_params["model"] == "route/2"
    assert states(alone) == {"s1": [("model",)]}
    assert alone["s1"].takes[0].basis == found["s1"].basis
    assert len(turned["s1"].takes) == 1
