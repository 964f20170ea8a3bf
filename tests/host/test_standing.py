"""How a scene stands: what is current, stale and why, missing, held; and what a run would make."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from host_stub.contract import (
    MOST_TAKES,
    ImageRequest,
    ImageStage,
    KnownTake,
    Scene,
    SceneSurvey,
    StaleReason,
    WantedTakes,
)
from host_stub.errors import ContractViolation
from host_stub.plugins.selection import SelectedPlugin
from host_stub.standing.standing import (
    SceneStanding,
    host_basis,
    is_wrong_aspect,
    standing_of,
    survey_stage,
    wanted_takes,
)
from host_stub.standing.story_state import MOST_SHOWN, Status
from host_stub.story.book import Noted
from host_stub.story.known_takes import new_takes_of
from host_stub.story.takes import Take
from tests.host.takes import FREE, PAID, WHEN, sha, take


def scene(scene_id: str = "s1", **said: Any) -> Scene:
    parts: dict[str, Any] = {"scene_id": scene_id, "prompt": "a pier", **said}
    return Scene(**parts)


def imported(number: int, basis: str | None = "now") -> Take:
    return take(number, basis, plugin=None, purchase=None, cost=FREE, is_import=True)


def known(number: int, *stale: StaleReason, current: bool = True, **said: Any) -> KnownTake:
    parts: dict[str, Any] = {
        "sha256": sha(number),
        "media_type": "image/png",
        "width": 64,
        "height": 64,
        "purchase": f"p{number}",
        "cost": PAID,
        "made_at": WHEN + timedelta(minutes=number),
    }
    return KnownTake(current=current and not stale, stale=stale, **{**parts, **said})


def survey(*takes: KnownTake, **said: Any) -> SceneSurvey:
    parts: dict[str, Any] = {"scene_id": "s1", "basis": "now", "size": "64x64", **said}
    return SceneSurvey(takes=takes, **parts)


def standing(told: SceneSurvey, *takes: Take, **said: Any) -> SceneStanding:
    return standing_of(told, scene(), takes, plugin="stage3", **said)


@pytest.mark.parametrize("told, state", [({"held": True}, "held"), ({"pending": True}, "pending")])
def test_what_is_in_doubt_is_said_only_where_nothing_is_current(
    told: dict[str, bool], state: str
) -> None:
    """A second take that is on its way does not take the first one's state."""
    assert standing(survey(**told), take(1, "then"), shown=1).state == state
    assert standing(survey(**told), take(1)).state == "current"


def test_what_is_on_the_way_has_no_price_any_more() -> None:
    """It would be the price of another one, and in whichever lane the status was asked for."""
    status = Status(path_of=lambda one: str(one.number))
    for told in ({"pending": True}, {}):
        status.add(standing(survey(cost_usd=Decimal("0.05"), **told)))

    said = [line.split() for line in status.as_lines()]

    assert ["s1", "on", "the", "way", "-"] in said
    assert ["s1", "missing", "-", "$0.05"] in said


def test_the_plugin_says_why_a_take_is_stale() -> None:
    """In the contract's order, each reason once."""
    told = survey(known(1, "sheet", "prompt"), known(2, "size"))

    found = standing(told, take(1, None), shown=1)

    assert (found.state, found.reasons) == ("stale", ("prompt", "sheet"))


def test_what_no_plugin_explains_is_seen_from_the_take() -> None:
    """Its row has the prompt; its size and its maker are columns."""
    row = {"generation_params": {"prompt": "a mole"}}

    assert standing(survey(), take(1, "then", row=row)).reasons == ("prompt",)
    assert standing(survey(), take(1, "then", plugin="plain")).reasons == ("model",)
    assert standing(survey(), take(1, "then", width=640)).reasons == ("size",)
    assert standing(survey(), take(1, "then")).reasons == ("settings",)
    waiting = survey(basis=None, waits_for=("char_001",))
    assert standing(waiting, take(1, "then")).reasons == ("sheet",)


def test_an_import_stands_for_one_picture_and_no_more() -> None:
    """A plain run makes nothing for it; what is asked for is made as if it were not there."""
    again = [WantedTakes(basis="now", takes=1)]
    asked = standing(survey(), imported(1), pick=1, shown=1, wants=again)
    found = standing(survey(), imported(1), pick=1, shown=1)
    two = scene(takes=2)
    more = standing_of(survey(), two, [imported(1)], plugin="stage3", pick=1, shown=1)
    not_shown = standing(survey(), take(1, "then"), imported(2, "then"), shown=1)

    assert (found.state, found.to_make) == ("current", 0)
    assert (more.state, more.made, more.to_make) == ("current", 0, 2)
    assert not_shown.to_make == 1
    assert (asked.asked_for, asked.to_make) == (1, 1)


def test_what_was_wanted_of_another_basis_says_nothing_of_this_one() -> None:
    """A new prompt begins anew."""
    wants = [WantedTakes(basis="then", takes=5), WantedTakes(basis="now", takes=2)]

    assert wanted_takes(scene(), "now", wants) == 2
    assert wanted_takes(scene(takes=3), "now", wants) == 3
    assert wanted_takes(scene(), None, wants) == 1
    assert wanted_takes(None, "now", wants) == 2
    assert wanted_takes(scene(), "now", [WantedTakes(basis="now", takes=MOST_TAKES)]) == MOST_TAKES


def test_a_known_take_has_a_row_as_the_manifest_has_it() -> None:
    """Addresses without what opens them; prompts as they were written."""
    params = {"prompt": "see http://a/b?c=d", "at": "http://a/b?key=x", "price": Decimal("0.10")}
    told = survey(known(1, generation_params=params, image_url="https://u:p@host/p.png?sig=1"))

    (new,) = new_takes_of(told, "stage3")

    assert new.row["image_url"] == "https://host/p.png"
    assert new.row["generation_params"] == {
        "prompt": "see http://a/b?c=d",
        "at": "http://a/b?…",
        "price": "0.10",
    }
    assert (new.row["cost_usd"], new.row["cost_basis"]) == ("0.05", "reported")


@pytest.mark.parametrize(
    "width, height, size, is_wrong",
    [
        (1536, 1024, "1536x1024", False),
        (768, 512, "1536x1024", False),
        (1024, 1024, "1536x1024", True),
        (1344, 896, "1536x1024", False),
        (1376, 768, "1280x720", False),
        (1000, 1024, "1024x1024", True),
        (1010, 1024, "1024x1024", False),
        (1024, 1024, None, False),
        (1024, 1024, "auto", False),
    ],
)
def test_a_picture_of_another_shape_is_noticed(
    width: int, height: int, size: str | None, *, is_wrong: bool
) -> None:
    """Two in a hundred are let pass, since models round to whole blocks."""
    assert is_wrong_aspect(width, height, size) == is_wrong


def test_a_basis_of_the_hosts_own_is_of_what_decides_the_picture() -> None:
    """And of the plugin; what it may only know of, or how many are wanted, is not in it."""
    one = host_basis(scene(), "plain")

    assert one == host_basis(scene("s2", takes=3, style_tags=["ink"], extra={"a": 1}), "plain")
    others: tuple[dict[str, Any], ...] = (
        {"prompt": "a mole"},
        {"negative_prompt": "fog"},
        {"seed": 1},
        {"width": 64, "height": 64},
        {"references": ["a.png"]},
        {"model": "m"},
        {"quality": "low"},
    )
    bases = {host_basis(scene(**other), "plain") for other in others}
    assert len({one, host_basis(scene(), "another"), *bases}) == 9


takes_of_some_scene = st.lists(
    st.tuples(st.sampled_from(["now", "then", None]), st.booleans(), st.booleans(), st.booleans()),
    max_size=5,
)


@given(
    found=takes_of_some_scene,
    pick=st.none() | st.integers(1, 6),
    shown=st.none() | st.integers(1, 6),
    wanted=st.integers(1, 5),
    is_guest=st.booleans(),
)
def test_states_and_what_is_to_be_made_agree(
    found: list[tuple[str | None, bool, bool, bool]],
    pick: int | None,
    shown: int | None,
    wanted: int,
    *,
    is_guest: bool,
) -> None:
    """What is current stays shown, whatever is made; what is made ends all that was wanted."""
    takes = [
        take(number, basis, is_draft=is_draft, is_import=is_import, is_rejected=is_rejected)
        for number, (basis, is_draft, is_import, is_rejected) in enumerate(found, start=1)
    ]
    pick, shown = (one if one is not None and one <= len(takes) else None for one in (pick, shown))
    wants = [WantedTakes(basis="now", takes=wanted)]
    said: dict[str, Any] = {"pick": pick, "shown": shown, "wants": wants, "is_guest": is_guest}
    before = standing(survey(), *takes, **said)
    new = [take(len(takes) + 1 + more) for more in range(before.to_make)]
    after = standing(survey(), *takes, *new, **said)

    assert 0 <= before.to_make <= wanted
    assert (before.state == "stale") == bool(before.reasons)
    assert before.to_make == wanted - min(before.made, wanted)
    assert after.to_make == 0
    assert after.state == "current"
    if before.state == "current":
        assert after.due == before.due  # one more take never moves the pointer by itself


@dataclass
class Notes:
    """Notes of a story, in memory."""

    takes: Sequence[Take] = ()

    def noted(self, scene_ids: Collection[str]) -> dict[str, Noted]:
        return {
            one: Noted(takes=[take for take in self.takes if take.scene_id == one])
            for one in scene_ids
        }


class Telling:
    """A stage that tells what it was given to tell."""

    def __init__(self, *told: object) -> None:
        self.told = told

    async def survey(self, request: ImageRequest, tell: Callable[[Any], None]) -> None:
        del request
        for one in self.told:
            tell(one)


PLUGIN = cast("SelectedPlugin", SimpleNamespace(name="p", source="p 1"))


async def surveyed(stage: object, *scenes: Scene, **said: Any) -> list[SceneStanding]:
    request = ImageRequest(run_id="r", scenes=scenes, out_dir=Path("out"))
    found: list[SceneStanding] = []
    await survey_stage(
        PLUGIN,
        cast("ImageStage", stage),
        request,
        said.pop("notes", Notes()),
        found.append,
        **said,
    )
    return found


@pytest.mark.anyio
async def test_scenes_come_in_their_order_whatever_the_plugins_is() -> None:
    """With their places; a sheet has none, and ``--takes`` is not for it."""
    sheet = survey(scene_id="mira", role="sheet")
    told = [sheet, *(survey(scene_id=f"s{number}") for number in (2, 1, 3))]
    scenes = [scene(f"s{number}", takes=2) for number in (1, 2, 3)]

    found = await surveyed(Telling(*told), *scenes)

    assert [(one.scene_id, one.position, one.to_make) for one in found] == [
        ("mira", None, 1),
        ("s1", 0, 2),
        ("s2", 1, 2),
        ("s3", 2, 2),
    ]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "told, problem",
    [
        ([], 'told nothing of scene "s1"'),
        ([survey(scene_id="s1")] * 2 + [survey(scene_id="s2")], "told of it twice"),
        ([survey(scene_id="s2")] * 2, 'told twice of scene "s2"'),
        ([survey(), survey(scene_id="s2"), survey(scene_id="\x1b[2J")], "was not asked for"),
        ([{"scene_id": "s1"}], "told dict, not SceneSurvey"),
    ],
)
async def test_a_survey_of_other_scenes_is_a_fault_of_the_plugin(
    told: list[object], problem: str
) -> None:
    """Each scene once and no other; what is named is escaped."""
    with pytest.raises(ContractViolation, match=problem) as caught:
        await surveyed(Telling(*told), scene("s1"), scene("s2"))

    assert caught.value.requirement == "survey.told"
    assert "\x1b" not in str(caught.value)


def test_a_table_fits_its_screen_and_names_what_wants_something() -> None:
    """Whatever a scene is called; a long story shows those that something is said of."""
    status = Status(path_of=lambda one: str(one.number))
    for _ in range(MOST_SHOWN):
        status.add(standing(survey(), take(1)))
    stale: tuple[StaleReason, ...] = ("prompt", "reference", "sheet", "quality", "settings")
    wanting = standing(survey(known(1, *stale, current=False), cost_usd=Decimal("1234.5")), take(1))
    status.add(
        replace(wanting, scene_id="長い場面" * 20, problem="reference 'a.png' is not there " * 9)
    )

    said = list(status.as_lines())

    assert all(cell_len(line) <= 80 for line in said)
    assert not any(line.startswith("s1") for line in said)
    assert f"and {MOST_SHOWN} others; --json has all of them" in said
    assert "".join(line[:22].split()[0] for line in said if line.startswith("長")).startswith(
        "長い場面"
    )
