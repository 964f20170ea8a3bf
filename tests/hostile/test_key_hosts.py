"""The key, and the headers of one's own, go to the API's own address and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from host_stub.contract import Scene
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Send
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.providers.openai_images import PROFILE, OpenAIImages
from tests.doors import settings_for
from tests.fakes.image_api import KEY, ImageApi
from tests.hostile.pages import Pages, response, serving
from tests.hostile.sending import Kept, client
from tests.stage3.running import Story, run_stage

pytestmark = pytest.mark.anyio

OWN = {"x-portkey-provider": "openai"}


@pytest.fixture
def elsewhere() -> Iterator[Pages]:
    """Be another server, which answers that it does not know us."""
    with serving() as pages:
        pages.otherwise = response(404, b'{"error": {"message": "who are you?"}}')
        yield pages


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_provider_that_asks_another_server_is_given_no_key_for_it(
    image_api: ImageApi,
    elsewhere: Pages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
) -> None:
    """Neither under another name nor at another port of the same: anybody may listen there."""
    begin_well = OpenAIImages.begin

    def begin(self: OpenAIImages, request: PictureRequest) -> Send:
        send = begin_well(self, request)
        return replace(send, url=f"http://{host}:{elsewhere.port}/v1/images/generations")

    monkeypatch.setattr(OpenAIImages, "begin", begin)
    settings = settings_for(image_api, headers=OWN)
    ran = await run_stage(settings, Story([Scene(scene_id="s1", prompt="a harbour")]), tmp_path)
    told = b"".join(elsewhere.heads).lower()

    assert ran.code("s1") != "made"
    assert image_api.received() == 0
    assert told.startswith(b"post /v1/images/generations")
    assert KEY.lower().encode() not in told
    for name in (b"authorization", b"portkey", b"litellm"):
        assert name not in told


async def test_a_key_for_ones_own_server_is_not_the_vendors(
    image_api: ImageApi, elsewhere: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``base_url`` alone says where it goes, whatever address a provider asks for."""
    vendors = f"http://127.0.0.1:{elsewhere.port}/v1"
    begin_well = OpenAIImages.begin

    def begin(self: OpenAIImages, request: PictureRequest) -> Send:
        return replace(begin_well(self, request), url=f"{vendors}/images/generations")

    def profile_of(_endpoint: Endpoint, /) -> Profile:
        return replace(PROFILE, base_url=vendors)

    monkeypatch.setattr(OpenAIImages, "begin", begin)
    monkeypatch.setattr(OpenAIImages, "profile_of", staticmethod(profile_of))
    scenes = Story([Scene(scene_id="s1", prompt="a harbour")])
    await run_stage(settings_for(image_api, headers=OWN), scenes, tmp_path / "own")
    told = b"".join(elsewhere.heads)
    await run_stage(settings_for(image_api, base_url=None), scenes, tmp_path / "vendors")

    assert b"POST /v1/images/generations" in told
    assert KEY.encode() not in told
    assert KEY.encode() in b"".join(elsewhere.heads)


async def test_a_run_that_asks_its_own_server_gives_it_the_key(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """The same run without the change: so the one above looks at the right thing."""
    settings = settings_for(image_api, headers=OWN)
    ran = await run_stage(settings, Story([Scene(scene_id="s1", prompt="a harbour")]), tmp_path)
    (asked,) = image_api.asked()

    assert ran.code("s1") == "made"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["x-portkey-provider"] == "openai"


@pytest.mark.parametrize(
    "own, has_key",
    [
        ("http://127.0.0.1:{port}/v1", True),
        ("HTTP://127.0.0.1:{port}", True),
        ("http://127.0.0.1:{port}/some/where/else", True),
        ("https://127.0.0.1:{port}/v1", False),
        ("http://127.0.0.1/v1", False),
        ("http://127.0.0.1.example:{port}/v1", False),
        ("http://example@127.0.0.2:{port}/v1", False),
    ],
)
async def test_an_address_is_the_apis_own_by_scheme_host_and_port(
    elsewhere: Pages, own: str, *, has_key: bool
) -> None:
    """Not by what stands before or behind them, and never without the TLS that was set."""
    headers = {"X-Tag": SecretStr("t 1")}
    sender = client(own.format(port=elsewhere.port), headers=headers)
    url = f"http://127.0.0.1:{elsewhere.port}/v1/images/generations"
    await sender.post(Send(url=url, payload={}, headers={"x-theirs": "1"}), Kept().open)
    (head,) = elsewhere.heads

    assert (KEY.encode() in head) == has_key
    assert (b"x-tag: t 1" in head) == has_key
    assert b"x-theirs: 1" in head


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_free_question_is_put_to_the_api_alone(
    image_api: ImageApi, elsewhere: Pages, host: str
) -> None:
    """Another server is not even asked without the key: there is nothing to be learned there."""
    asking = client(image_api.base_url, headers={"x-own": SecretStr("one")})
    answer = await asking.ask(f"http://{host}:{elsewhere.port}/v1/models/m")
    own = await asking.ask(f"{image_api.base_url}/models/m")
    bad = await asking.ask("http://[::1/v1/models/m")

    assert (answer.problem, answer.status) == ("the address to ask is not the API's own", 0)
    assert (bad.problem, bad.status) == ("the address to ask is not the API's own", 0)
    assert elsewhere.heads == []
    assert own.status == 200
    (entry,) = image_api.entries
    assert entry.asked.headers["authorization"] == f"Bearer {KEY}"
    assert entry.asked.headers["x-own"] == "one"
