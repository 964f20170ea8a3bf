"""A conversation with a provider that is its two functions alone: step by step, to a picture."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio.to_thread
import pytest
from pydantic import SecretStr

from stage3_plugin.attempt.conversation import Conversation
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.exchange import Asked, Fetch, Lost, Reply, Send
from stage3_plugin.domain.free_checks import Ask, Finding
from stage3_plugin.domain.job import Accepted, Job, Jobs
from stage3_plugin.domain.money import Estimate, Prices
from stage3_plugin.domain.picture import PictureSource, RemotePicture
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import BatchLane, Looked, Polled
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool.receipt import Receipt
from stage3_plugin.storage.spool.writing import Caps
from stage3_plugin.transport.client import Client
from stage3_plugin.transport.job_hosts import JobHosts
from stage3_plugin.transport.picture_hosts import PictureHosts
from tests.fakes.image_api import KEY, ImageApi
from tests.stage3.providers.replies import request
from tests.stage3.stored import Stored

pytestmark = pytest.mark.anyio

PICTURES = Verdict(kind=VerdictKind.PICTURES, may_be_billed=True)
Next = Callable[[Reply], Verdict | Fetch]
Result = TypeVar("Result")


class NoBook:
    """No job ever comes of these requests."""

    async def accept(self, attempt_id: str, accepted: Accepted) -> Job | None:
        raise AssertionError(f"{attempt_id} became {accepted.job_id}")


NO_JOBS = Jobs(book=NoBook(), waits_s=0)


class Gallery:
    """A provider that takes nothing from ours: it says two steps, and knows no price.

    Args:
        base_url: Where it is asked.
        following: What follows from an answer.
    """

    prices: Prices | None = None
    batch: BatchLane | None = None

    def __init__(self, base_url: str, following: Next) -> None:
        self.profile = Profile(name="gallery", base_url=base_url, key_variable="GALLERY_KEY")
        self.following = following

    def begin(self, request: PictureRequest) -> Send:
        url = f"{self.profile.base_url}/images/generations"
        return Send(url=url, payload={"model": "m", "prompt": request.prompt, "size": "64x64"})

    def next(self, reply: Reply) -> Verdict | Fetch:
        return self.following(reply)

    def estimate(self, request: PictureRequest) -> Estimate:
        raise NotImplementedError

    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:
        raise NotImplementedError

    def look_for(self, lost: Lost) -> str:
        raise NotImplementedError

    def looked(self, reply: Reply, lost: Lost) -> Looked:
        raise NotImplementedError

    def checks(self, models: tuple[str, ...]) -> tuple[Ask | Finding, ...]:
        raise NotImplementedError


async def in_thread(work: Callable[[], Result]) -> Result:
    return await anyio.to_thread.run_sync(work)


@asynccontextmanager
async def speaking(
    api: ImageApi, state_dir: Path, following: Next
) -> AsyncGenerator[tuple[Conversation, Pictures]]:
    """Make a conversation that knows nothing of any before it."""
    client = Client(
        key_header="authorization",
        key_prefix="Bearer ",
        key=SecretStr(KEY),
        own_urls=[api.base_url],
        timeout_s=10,
    )
    pictures = Stored(state_dir).pictures(max_pixels=1 << 24, blocking=in_thread)
    provider, hosts = Gallery(api.base_url, following), PictureHosts(api.base_url)
    yield (
        Conversation(
            provider,
            client,
            pictures,
            hosts=hosts,
            job_hosts=JobHosts(api.base_url, api.base_url),
            caps=Caps(),
        ),
        pictures,
    )


async def begun(api: ImageApi, state_dir: Path, following: Next) -> AttemptResult:
    """Hold a conversation from its beginning, in the folder ``a1``."""
    async with speaking(api, state_dir, following) as (conversation, pictures):
        folder = pictures.new_folder("a1")
        return await conversation.begin(request(), folder, Receipt(folder), NO_JOBS)


async def resumed(
    api: ImageApi, state_dir: Path, following: Next, *, age_s: float = 60.0
) -> AttemptResult:
    """Go on with it as another process would, from what lies in the folder."""
    async with speaking(api, state_dir, following) as (conversation, pictures):
        return await conversation.resume(pictures.spool.folder_of("a1"), NO_JOBS.book, age_s=age_s)


def fetching(*urls: str) -> Next:
    """Say of any answer that its picture lies at one of these addresses."""
    sources = tuple(RemotePicture(url) for url in urls)
    return lambda _reply: Fetch(sources=sources, verdict=PICTURES)


def in_the_answer(reply: Reply) -> Verdict:
    """Take the one picture of an answer from where the Images API has it."""
    document = cast("dict[str, Any]", reply.document)
    source = reply.source(document["data"][0]["b64_json"], base_url="")
    assert source is not None
    assert not isinstance(source, RemotePicture)
    return Verdict(kind=VerdictKind.PICTURES, may_be_billed=True, sources=(source,))


def address_in(api: ImageApi, name: str) -> str:
    return api.base_url.removesuffix("/v1") + f"/pictures/{name}.png"


async def test_a_verdict_ends_it_with_the_picture_that_came(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """One request, and no step after it."""
    result = await begun(image_api, tmp_path, in_the_answer)

    assert result.picture is not None
    assert (result.picture.width_px, result.image_url) == (64, None)
    assert result.took_s is not None
    assert (image_api.received(), len(image_api.visits())) == (1, 0)


async def test_an_address_is_one_step_more(image_api: ImageApi, tmp_path: Path) -> None:
    """The next address is tried where one gives nothing; the key goes to neither."""
    steps = fetching(address_in(image_api, "999"), address_in(image_api, "0"))
    result = await begun(image_api, tmp_path, steps)

    assert result.picture is not None
    assert result.image_url == address_in(image_api, "0")
    assert [visit.path for visit in image_api.visits()] == ["/pictures/999.png", "/pictures/0.png"]
    assert not any("authorization" in visit.headers for visit in image_api.visits())
    assert image_api.received() == 1


async def test_another_process_goes_on_from_the_disk_alone(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Nothing is sent again, and a picture that was fetched is not fetched again either."""
    first = await begun(image_api, tmp_path, fetching(address_in(image_api, "999")))
    second = await resumed(image_api, tmp_path, fetching(address_in(image_api, "0")))
    third = await resumed(image_api, tmp_path, fetching("http://127.0.0.1:9/gone.png"))

    assert first.picture is None
    assert first.stays_open
    assert first.not_here is not None
    assert second.picture is not None
    assert third.picture == second.picture
    assert (image_api.received(), len(image_api.visits())) == (1, 2)


async def test_an_address_that_is_gone_for_long_is_given_up_and_nothing_is_thrown_away(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """What was paid for without a picture is for a person to decide."""
    steps = fetching(address_in(image_api, "999"))
    await begun(image_api, tmp_path, steps)
    result = await resumed(image_api, tmp_path, steps, age_s=7200)

    assert result.verdict.kind is VerdictKind.UNKNOWN
    assert result.verdict.may_be_billed
    assert not result.stays_open
    assert (tmp_path / "spool" / "a1" / "answer").exists()


async def test_a_verdict_that_names_an_address_all_the_same_loses_no_picture(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Types forbid it, and who writes a provider without them has paid all the same."""

    def following(_reply: Reply) -> Verdict:
        source = cast("PictureSource", RemotePicture(address_in(image_api, "0")))
        return Verdict(kind=VerdictKind.PICTURES, may_be_billed=True, sources=(source,))

    assert (await begun(image_api, tmp_path, following)).picture is not None


async def test_a_provider_that_fails_over_an_answer_loses_nothing(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """It may have been billed, stays as it came, and is taken in when the provider is mended."""

    def fail(_reply: Reply) -> Verdict:
        raise KeyError("images")

    first = await begun(image_api, tmp_path, fail)
    second = await resumed(image_api, tmp_path, in_the_answer)

    assert first.verdict.kind is VerdictKind.UNKNOWN
    assert first.verdict.may_be_billed
    assert second.picture is not None
    assert image_api.received() == 1


def test_there_is_nothing_to_fetch_for_anything_but_pictures() -> None:
    """A failure that came with an address would hide what it is."""
    with pytest.raises(ValueError, match="pictures"):
        Fetch(sources=(RemotePicture("https://a.test/1"),), verdict=Verdict(kind=VerdictKind.BUSY))
