"""What was bought once is found again, and only where it was bought."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from host_stub.contract import Scene, StagePlan
from stage3_plugin.domain.addressing import canonical_address
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.keys import Keys, scene_keys
from stage3_plugin.domain.money import usd_text
from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.request import PictureRequest, Wish, labels_of
from stage3_plugin.domain.route import Route
from stage3_plugin.domain.states import State
from stage3_plugin.engine.asked import request_for
from stage3_plugin.engine.backend import endpoint_of, route_of
from stage3_plugin.engine.build import open_stage
from stage3_plugin.providers.base import Provider
from stage3_plugin.providers.registry import provider_at
from stage3_plugin.settings import Settings
from tests.doors import painter
from tests.fakes.behaviours import BadBase64, Behaviour, Gate, Hang, Ok, ResetAfterRead, ServerError
from tests.fakes.image_api import ImageApi
from tests.stage3.buying import purchases, scenes, states
from tests.stage3.running import Ran, Story, asking, run_stage

RECORDED = Path(__file__).with_name("keys.json")
RUNS = pytest.mark.anyio
"""For what an event loop has a part in."""
HARBOUR = Scene(scene_id="s01", prompt="a harbour at dusk", negative_prompt="fog", seed=7)


def at(api: ImageApi, host: str = "localhost") -> str:
    """Return another address of the same server, which is another endpoint as far as is known."""
    return api.base_url.replace("127.0.0.1", host)


def outcomes(ran: Ran) -> list[bool]:
    """Return which pictures were found, and none failed."""
    assert [one.failure for one in ran.outcomes.values()] == [None] * len(ran.outcomes)
    return [one.reused for one in ran.outcomes.values()]


def warned(ran: Ran) -> list[str]:
    """Return what the run warned of."""
    return [event["message"] for event in ran.named("stage.warned")]


async def planned(settings: Settings, story: Story, folder: Path) -> StagePlan:
    """Plan a story."""
    async with open_stage(settings, folder) as stage:
        return await stage.plan(asking(story))


# What decides -------------------------------------------------------------------------------------


PROVIDERS: list[dict[str, Any]] = [
    {"provider": "openai"},
    {"provider": "openrouter"},
    {"provider": "openrouter", "api": "chat"},
]
words = st.sampled_from(["fog", "people", "a. Avoid: b", "雨"])
sizes = st.sampled_from([64, 512, 1000, 1024, 1536, 2048])
requests = st.builds(
    PictureRequest,
    scene_id=st.sampled_from(["s1", "s2"]),
    prompt=words,
    negative_prompt=st.none() | words,
    width_px=sizes,
    height_px=sizes,
    quality=st.sampled_from(["low", "high"]),
    output_format=st.sampled_from(["png", "jpeg"]),
    background=st.sampled_from(["auto", "opaque"]),
    model=st.just("a/painter"),
    seed=st.none() | st.integers(0, 2),
    references=st.sampled_from([(), ("a.png",), ("b.png",)]),
    characters=st.sampled_from([(), ("keeper",)]),
)
"""Small enough that two of them often come to the same request."""


@given(
    one=requests,
    other=requests,
    how=st.sampled_from([*PROVIDERS, {"provider": "gemini"}]),
    negative=st.sampled_from(["append", "drop"]),
)
def test_one_key_is_one_request_as_sent(
    one: PictureRequest, other: PictureRequest, how: dict[str, Any], negative: Any
) -> None:
    """Whatever has the same key is composed alike; what differs in unsent wishes has one key."""
    settings = Settings(**how, model="a/painter", negative_prompt=negative)
    provider = _provider(settings)
    scope = route_of(settings, provider.profile)
    keys, others = scene_keys(one, scope), scene_keys(other, scope)
    unsent = replace(one, **_unsent(one, other, provider))

    if keys.scene_key == others.scene_key:
        assert provider.begin(one).payload == provider.begin(other).payload
    assert (keys.scene_key == others.scene_key) is (keys.content_key == others.content_key)
    assert scene_keys(unsent, scope).scene_key == keys.scene_key
    assert provider.begin(unsent).payload == provider.begin(one).payload


def _unsent(one: PictureRequest, other: PictureRequest, provider: Provider) -> dict[str, Any]:
    """Return what another request has of the wishes that do not reach the provider, in either."""
    everything = replace(
        other, negative_prompt="fog", seed=1, references=("a.png",), background="opaque",
        output_format="jpeg", width_px=one.width_px, height_px=one.height_px,
    )  # fmt: skip
    dropped = set(provider.begin(everything).dropped) - {"size"}
    unnamed = {"quality"} & provider.profile.unsaid  # it always has a value, and is not named
    return {name: getattr(other, name) for name in (*dropped, *unnamed, "characters")}


def _provider(settings: Settings) -> Provider:
    return provider_at(endpoint_of(settings), negative_prompt=settings.negative_prompt)


# What is shown ------------------------------------------------------------------------------------

SENT: frozenset[Wish] = frozenset(get_args(Wish))
OPENAI = Route(
    endpoint=Endpoint(provider="openai", model="gpt-image-2"),
    public_url="https://api.openai.com/v1",
    sends=SENT,
)
PIER = PictureRequest(
    scene_id="s1", prompt="a pier", width_px=1024, height_px=1024, model="gpt-image-2"
)


def shown(sha256: str = "a" * 64, image: str = "refs/mira.png", **wish: Any) -> Reference:
    """Return a picture that is shown to the model as it is."""
    sent = SentPicture(sha256=sha256, media_type="image/png", size_bytes=1)
    return Reference(wish=ReferenceWish(image=image, **wish), sha256=sha256, sent=sent)


shown_pictures = st.builds(
    shown,
    st.sampled_from(["a" * 64, "b" * 64]),
    image=st.sampled_from(["a.png", "scene:s0"]),
    name=st.sampled_from([None, "", "Mira"]),
    role=st.sampled_from([None, "face"]),
    by=st.sampled_from(["scene", "cast"]),
)
showing = st.builds(
    partial(replace, PIER),
    shown=st.lists(shown_pictures, max_size=2).map(tuple),
    labels=st.booleans(),
)


@given(showing, showing)
def test_one_key_is_what_is_shown_and_what_is_said_of_it(
    one: PictureRequest, other: PictureRequest
) -> None:
    """By the bytes and their order, and the words with them; never by where a file lies."""

    def sent(request: PictureRequest) -> tuple[list[str], str | None]:
        return [reference.sha256 for reference in request.shown], labels_of(request)

    keys, others = scene_keys(one, OPENAI), scene_keys(other, OPENAI)

    assert (keys.scene_key == others.scene_key) is (sent(one) == sent(other))
    assert (keys.content_key == others.content_key) is (sent(one) == sent(other))
    assert keys.base_keys == others.base_keys
    assert keys.base_key == (keys.base_keys[0] if one.shown else None)


def test_a_smaller_copy_is_in_no_key() -> None:
    """Whoever makes a better one finds what was bought with the first."""
    copy = SentPicture(sha256="c" * 64, media_type="image/jpeg", size_bytes=7)
    whole, small = shown(), replace(shown(), sent=copy)

    assert (
        scene_keys(replace(PIER, shown=(whole,)), OPENAI).scene_key
        == scene_keys(replace(PIER, shown=(small,)), OPENAI).scene_key
    )


def test_what_an_endpoint_is_not_sent_is_not_in_its_key() -> None:
    """And where nothing is sent, there is nothing that it could have been made without."""
    unsent = replace(OPENAI, sends=SENT - {"references"})
    keys = scene_keys(replace(PIER, shown=(shown(),)), unsent)

    assert keys.scene_key == scene_keys(PIER, unsent).scene_key
    assert keys.base_key is None


@given(showing)
def test_the_base_is_the_key_without_references(one: PictureRequest) -> None:
    """At each address; a wish whose references cannot be opened is found by it, too."""
    scope = replace(OPENAI, name="studio", was=("http://old:4000/v1",))
    keys, bare = scene_keys(one, scope), scene_keys(replace(one, shown=()), scope)

    assert keys.base_keys == bare.base_keys == (bare.scene_key, *bare.elsewhere)
    assert len(set(bare.base_keys)) == 3


# Where it is bought -------------------------------------------------------------------------------


@RUNS
async def test_what_was_paid_for_elsewhere_is_said_before_it_is_bought_again(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """With how many and for how much, by the plan and by the run, and how to find them."""
    here, there = painter(image_api), painter(image_api, base_url=at(image_api))
    await run_stage(here, scenes(3), tmp_path)
    plan = await planned(there, scenes(4), tmp_path)
    ran = await run_stage(there, scenes(4), tmp_path)
    again = await run_stage(there, scenes(4), tmp_path)

    (warning,) = warned(ran)
    assert plan.warnings == (warning,)
    assert warning.startswith("3 pictures of this story were paid for at another endpoint")
    spent = sum(one.cost_microusd or 0 for one in purchases(tmp_path)[:3])
    assert f"(${usd_text(spent)} at {image_api.base_url})" in warning
    assert "for up to $0.15" in warning
    names = [event["event"] for event in ran.events]
    assert names.index("stage.warned") < names.index("scene.started")
    assert warned(again) == []


@RUNS
@pytest.mark.parametrize("first", [None, "http://localhost:1/v1"])
async def test_a_named_endpoint_is_one_whatever_its_address(
    image_api: ImageApi, tmp_path: Path, first: str | None
) -> None:
    """What was bought at an address that it had is its own, named then or not."""
    old = painter(image_api) if first is None else painter(image_api, endpoint="studio")
    named = {"name": "studio", "was": [image_api.base_url]}
    new = painter(image_api, base_url=at(image_api), endpoint=named)
    await run_stage(old, scenes(2), tmp_path)
    plan = await planned(new, scenes(3), tmp_path)
    ran = await run_stage(new, scenes(3), tmp_path)

    assert (plan.make, plan.reused, plan.warnings) == (1, 2, ())
    assert sorted(outcomes(ran)) == [False, True, True]
    assert warned(ran) == []
    assert image_api.billed() == 3


@RUNS
async def test_a_name_finds_what_was_bought_before_it_was_given(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """At the same address, which need not be written down again."""
    await run_stage(painter(image_api), scenes(1), tmp_path)
    ran = await run_stage(painter(image_api, endpoint="studio"), scenes(1), tmp_path)

    assert outcomes(ran) == [True]


@RUNS
async def test_another_name_is_another_endpoint_and_that_is_said(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Behind one address may be several; whoever only changed the name hears of it."""
    await run_stage(painter(image_api, endpoint="studio"), scenes(1), tmp_path)
    ran = await run_stage(painter(image_api, endpoint="atelier"), scenes(1), tmp_path)

    assert outcomes(ran) == [False]
    assert "give it the name back that it had" in warned(ran)[0]


@pytest.mark.parametrize(
    "spelled",
    [
        "https://openrouter.ai/api/v1",
        "https://openrouter.ai/api/v1/",
        "https://openrouter.ai:443/api/v1",
        "HTTPS://OpenRouter.AI/api/v1",
        "https://openrouter.ai./api/v1",
    ],
)
def test_the_public_address_spelled_out_is_no_other(spelled: str) -> None:
    """Unset, and every spelling of it."""
    unset = Settings(provider="openrouter", model="a/painter")
    told = Settings(provider="openrouter", model="a/painter", base_url=spelled)
    request = request_for(HARBOUR, unset)

    assert _keys(request, told).all == _keys(request, unset).all


def _keys(request: PictureRequest, settings: Settings) -> Any:
    return scene_keys(request, route_of(settings, _provider(settings).profile))


@pytest.mark.parametrize(
    "one, other, is_same",
    [
        ("http://localhost:80/v1", "http://localhost/v1/", True),
        ("https://localhost:80/v1", "https://localhost/v1", False),
        ("http://münchen.example/v1", "http://xn--mnchen-3ya.example/v1", True),
        ("http://MÜNCHEN.example/v1", "http://xn--mnchen-3ya.example/v1", True),
        ("http://faß.example", "http://fass.example", False),
        ("http://[::1]:4000", "http://[0:0:0:0:0:0:0:1]:4000/", True),
        ("http://a.example/v1", "http://a.example/V1", False),
        ("http://a.example/v1", "https://a.example/v1", False),
        ("http://a.example/v1", "http://b.example/v1", False),
        ("http://a.example:99999", "http://a.example", False),
        ("http://a.example:x", "http://a.example:x", True),
    ],
)
def test_spellings_of_one_address_are_one(one: str, other: str, is_same: bool) -> None:  # noqa: FBT001 - a table
    """Case, default port, slash and script of a name do not matter; path and host do."""
    assert (canonical_address(one) == canonical_address(other)) is is_same


@example("A://0\x85/")
@example("http://a.example/v1 / /")
@example("http://xn--xn--mnchen-3ya-.example")
@given(st.text(max_size=40) | st.from_regex(r"\Ahttps?://[^/]{0,12}(:[0-9]{0,6})?/?[^?#]{0,8}\Z"))
def test_a_canonical_address_is_its_own(url: str) -> None:
    """And nothing that once stood in a ledger raises."""
    assert canonical_address(canonical_address(url)) == canonical_address(url)


@pytest.mark.parametrize(
    "endpoint",
    [
        "", " studio", "stu\ndio", "a" * 101, 7, {"was": []},
        {"name": "studio", "was": ["not an address"]}, {"name": "studio", "is": []},
    ],
)  # fmt: skip
def test_an_endpoint_that_cannot_be_one_is_refused(endpoint: object) -> None:
    """Before anything is bought under it."""
    with pytest.raises(ValidationError, match="endpoint"):
        Settings(provider="openai", model="gpt-image-2", endpoint=cast("Any", endpoint))


# Recorded -----------------------------------------------------------------------------------------


def recorded() -> list[dict[str, Any]]:
    """Read the recorded wishes with their keys."""
    loaded = json.loads(RECORDED.read_text(encoding="utf-8"))
    return cast("list[dict[str, Any]]", loaded["keys"])


def keys_of_recorded(one: Mapping[str, Any]) -> Keys:
    """Make the keys of a recorded wish, whose provider is sent the pictures that it shows."""
    settings = Settings(**one["settings"])
    scene = {name.removesuffix("_px"): said for name, said in one["scene"].items()}
    scene["references"] = tuple(scene.get("references", ()))
    request = request_for(Scene(**scene), settings)
    is_here = settings.provider == "previz"
    profile = None if is_here else _provider(settings).profile
    scope = route_of(settings, profile, is_here=is_here)
    if "shown" in one:
        request = replace(request, shown=tuple(shown(**told) for told in one["shown"]))
        scope = replace(scope, sends=scope.sends | {"references"})

    def edition_of(_request: PictureRequest) -> str:
        return cast("str", one.get("edition", ""))

    route = replace(scope, edition_of=edition_of)
    return scene_keys(request, route, take=one.get("take", 1))


@pytest.mark.parametrize("one", recorded(), ids=lambda one: cast("str", one["what"]))
def test_a_recorded_key_never_changes(one: Mapping[str, Any]) -> None:
    """What was bought under it would be bought again."""
    keys = keys_of_recorded(one)

    assert keys.scene_key == one["key"]
    assert keys.content_key == one["content"]
    assert keys.subject_key == one["subject"]
    assert keys.base_key == one.get("base")


@RUNS
@pytest.mark.parametrize(
    "lost, says",
    [
        pytest.param(
            Hang(),
            (
                "it was sent to http://127.0.0.1",
                'set endpoint = { name = "NAME", was = ["http://127.0.0.1',
            ),
            id="unknown",
        ),
        pytest.param(
            Ok(url="own", usage={"cost": 0.03}),
            ("the next run asks for it again, and nothing is bought twice",),
            id="pending",
        ),
    ],
)
async def test_what_is_in_doubt_at_another_address_is_not_bought_again(
    image_api: ImageApi, tmp_path: Path, lost: Behaviour, says: tuple[str, ...]
) -> None:
    """The same server by another name: nobody has decided to pay twice, and the plan says so.

    A picture that waits at its own address is asked for there, whatever the settings say by now.
    """
    image_api.always(lost)
    image_api.visit_always(ServerError(503))
    settings = painter(image_api, timeout_s=1.0, deadline_s=1.0)
    first = await run_stage(settings, Story([HARBOUR]), tmp_path)
    image_api.always(Ok())
    moved = settings.model_copy(
        update={"base_url": (settings.base_url or "").replace("127.0.0.1", "localhost")}
    )
    plan = await planned(moved, Story([HARBOUR]), tmp_path)
    again = await run_stage(moved, Story([HARBOUR]), tmp_path)
    failure = again.outcomes["s01"].failure

    assert again.code("s01") == first.code("s01")
    assert failure is not None
    assert [part for part in says if part not in failure.message] == []
    assert (plan.make, plan.held) == (0, 1)
    assert image_api.received() == 1


@RUNS
async def test_what_was_billed_for_nothing_of_another_model_meanwhile_is_not_bought_again(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """By no run that began before: nobody can have seen it. The next run buys it, as ever."""
    gate = Gate()
    image_api.script(Ok(gate=gate), scene="s00")
    image_api.script(BadBase64(), scene="s01")
    here = painter(image_api, capacity=1)
    other = here.model_copy(update={"model": "another/painter"})
    before = Scene(scene_id="s00", prompt="s00: a quay")
    wish = Scene(scene_id="s01", prompt="s01: a harbour at dusk")
    rans: list[Ran] = []
    async with anyio.create_task_group() as tasks:

        async def run_here() -> None:
            rans.append(await run_stage(here, Story([before, wish]), tmp_path))

        tasks.start_soon(run_here)
        with anyio.fail_after(20):
            while not image_api.received():
                await anyio.sleep(0.005)
        await run_stage(other, Story([wish]), tmp_path)
        gate.open()
    billed = states(tmp_path)
    rans.append(await run_stage(here, Story([wish]), tmp_path))

    assert sorted(billed) == [State.PAID, State.PAID_BAD]
    assert [ran.code("s01") for ran in rans] == ["no_picture", "made"]
    assert image_api.received() == 3


@RUNS
async def test_what_is_in_doubt_of_another_model_is_not_bought_of_this_one(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """It is the same picture that is wanted; which model was asked is said."""
    image_api.script(ResetAfterRead())
    settings = painter(image_api)
    await run_stage(settings, Story([HARBOUR]), tmp_path)
    ran = await run_stage(
        settings.model_copy(update={"model": "another/painter"}), Story([HARBOUR]), tmp_path
    )
    failure = ran.outcomes["s01"].failure

    assert ran.code("s01") == "unknown"
    assert failure is not None
    assert f"it was asked of {settings.model}, and is bought nowhere else" in failure.message
    assert image_api.received() == 1


@RUNS
async def test_what_gets_in_doubt_at_another_address_meanwhile_is_not_bought_again(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """The hold itself sees it: a run that looked before it was sent does not pay a second time."""
    gate = Gate()
    image_api.script(Ok(gate=gate), scene="s00")
    image_api.script(ResetAfterRead(), scene="s01")
    here = painter(image_api, capacity=1)
    there = here.model_copy(update={"base_url": at(image_api)})
    before = Scene(scene_id="s00", prompt="s00: a quay")
    wish = Scene(scene_id="s01", prompt="s01: a harbour at dusk")
    rans: list[Ran] = []
    async with anyio.create_task_group() as tasks:

        async def run_there() -> None:
            rans.append(await run_stage(there, Story([before, wish]), tmp_path))

        tasks.start_soon(run_there)  # it has looked what is in doubt before the other one sends
        with anyio.fail_after(20):
            while not image_api.received():
                await anyio.sleep(0.005)
        await run_stage(here, Story([wish]), tmp_path)
        gate.open()
    lost = [one for one in purchases(tmp_path) if one.state is State.UNKNOWN]
    again = there.model_copy(update={"on_unknown": "resend"})
    plan = await planned(again, Story([wish]), tmp_path)
    rans.append(await run_stage(again, Story([wish]), tmp_path))

    for ran in rans:
        failure = ran.outcomes["s01"].failure
        assert ran.code("s01") == "unknown"
        assert failure is not None
        assert f"it was sent to {here.base_url}" in failure.message
    assert (plan.make, plan.held) == (0, 1)
    assert image_api.received() == 2
    assert [one.new.endpoint.base_url for one in lost] == [here.base_url]
    assert purchases(tmp_path)[1:] == lost
