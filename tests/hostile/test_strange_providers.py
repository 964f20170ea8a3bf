"""A provider whose code is wrong: nothing leaves by it, nothing that came is given up by it."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import anyio.to_thread
import pytest
from pydantic import SecretStr

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.exchange import Asked, Fetch, Lost, Reply, Send
from stage3_plugin.domain.free_checks import Ask, Finding
from stage3_plugin.domain.job import Accepted, Job
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.picture import InlinePicture, RemotePicture
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.states import State
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.engine.following import Following
from stage3_plugin.errors import ProviderBroken
from stage3_plugin.policy.settlement import settlement_of
from stage3_plugin.providers.base import Looked, Polled
from stage3_plugin.providers.guarding import guarded
from stage3_plugin.purchase.asking import Asking
from stage3_plugin.purchase.conversation import Conversation
from stage3_plugin.purchase.maker import Jobs
from stage3_plugin.purchase.run_ledger import RunLedger
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool.receipt import MOST_BODY_BYTES
from stage3_plugin.transport.client import Client
from stage3_plugin.transport.job_hosts import JobHosts
from stage3_plugin.transport.picture_hosts import PictureHosts
from tests.fakes.image_api import KEY, ImageApi
from tests.stage3.providers.replies import request
from tests.stage3.stored import Stored

PICTURES = Verdict(kind=VerdictKind.PICTURES, may_be_billed=True)
FOUND = Finding(about="key", verdict="good", message="accepted")
HOLD = 30_000
Says = Callable[[Any], Any]
Result = TypeVar("Result")


class NoLedger(RunLedger):
    """No job ever comes of these requests."""

    def __init__(self) -> None:
        """Have nothing."""

    async def accept(self, name: str, accepted: Accepted) -> Job | None:
        raise AssertionError(f"{name} became {accepted.job_id}")

    def note_sent(self, name: str) -> None:
        """Let it leave."""


NO_JOBS = Jobs(ledger=NoLedger(), waits_s=0)


def raising(error: BaseException) -> Says:
    def say(_asked: object) -> object:
        raise error

    return say


def saying(found: object) -> Says:
    return lambda _asked: found


def with_(value: Any, **fields: Any) -> Any:
    """Return a value with others in it, whatever they are."""
    return replace(value, **fields)


def but(**fields: Any) -> Says:
    return lambda send: with_(send, **fields)


async def in_place_of_a_value() -> None:
    """Be what a function that should not be asynchronous returns."""


class Strange:
    """A provider that says what it is told to; without that, what is right."""

    prices = None

    def __init__(
        self,
        base_url: str = "https://strange.example/v1",
        *,
        begin: Says | None = None,
        following: Says | None = None,
        estimate: Says | None = None,
        checks: Says = lambda _models: (),
        batch: Any = None,
        **profile: Any,
    ) -> None:
        known: dict[str, Any] = {"name": "strange", "base_url": base_url, "key_variable": "K"}
        self.profile = Profile(**(known | profile))
        self._begin, self._following, self._estimate = begin, following, estimate
        self._checks = checks
        self.batch = batch

    @property
    def send(self) -> Send:
        url = f"{self.profile.base_url}/images/generations"
        return Send(url=url, payload={"model": "m", "prompt": "p", "size": "64x64"})

    def begin(self, request: object) -> Send:
        del request
        return self.send if self._begin is None else cast("Send", self._begin(self.send))

    def next(self, reply: Any) -> Verdict | Fetch:
        if self._following is not None:
            return cast("Verdict | Fetch", self._following(reply))
        source = reply.source(reply.document["data"][0]["b64_json"], base_url="")
        return replace(PICTURES, sources=(source,))

    def estimate(self, request: object) -> Estimate:
        assert self._estimate is not None
        return cast("Estimate", self._estimate(request))

    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:
        raise NotImplementedError

    def look_for(self, lost: Lost) -> str:
        raise NotImplementedError

    def looked(self, reply: Reply, lost: Lost) -> Looked:
        raise NotImplementedError

    def checks(self, models: tuple[str, ...]) -> tuple[Ask | Finding, ...]:
        return cast("tuple[Ask | Finding, ...]", self._checks(models))


async def in_thread(work: Callable[[], Result]) -> Result:
    return await anyio.to_thread.run_sync(work)


@asynccontextmanager
async def speaking(
    api: ImageApi, state_dir: Path, strange: Strange
) -> AsyncGenerator[tuple[Conversation, Pictures]]:
    client = Client(
        key_header="authorization",
        key_prefix="Bearer ",
        key=SecretStr(KEY),
        own_urls=[api.base_url],
        timeout_s=10,
    )
    pictures = Stored(state_dir).pictures(max_pixels=1 << 24, blocking=in_thread)
    asked, hosts = guarded(strange, "strange"), PictureHosts(api.base_url)
    asking = Asking(
        client=client,
        pictures=pictures,
        hosts=JobHosts(api.base_url, api.base_url),
        most_bytes=MOST_BODY_BYTES,
    )
    yield Conversation(asked, asking, hosts), pictures


async def begun(api: ImageApi, state_dir: Path, strange: Strange) -> AttemptResult:
    async with speaking(api, state_dir, strange) as (conversation, _):
        return await conversation.begin("a1", request(), NO_JOBS)


async def resumed(api: ImageApi, state_dir: Path, strange: Strange) -> AttemptResult:
    async with speaking(api, state_dir, strange) as (conversation, _):
        return await conversation.resume("a1", NO_JOBS.ledger)


def settled(result: AttemptResult) -> State | None:
    settlement = settlement_of(result, may_be_cut=False, hold_microusd=HOLD)
    return None if settlement is None else settlement.state


def deep() -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for _ in range(sys.getrecursionlimit() * 20):
        nested = {"in": nested}
    return nested


def sends() -> Iterator[tuple[str, Says]]:
    """Yield what ``begin`` must not do, with what is said of it."""
    yield "raised KeyError", raising(KeyError("x"))
    yield "raised SystemExit", raising(SystemExit(7))
    yield "raised OSError", raising(OSError(28, "No space left on device"))
    yield "returned a NoneType that should be an instance of Send", saying(None)
    yield "returned a dict that should be an instance of Send", saying({"url": "u"})
    for url in ("", "/paintings", "file:///etc/passwd", "http://", "http://[::1/x"):
        yield "whose url should be an http address", but(url=url)
    for no_url in (None, 5):
        yield "whose url should be a valid string", but(url=no_url)
    yield "whose payload should be a mapping", but(payload={1, 2})
    for headers in (None, [("a", "b")]):
        yield "whose headers should be a valid dictionary", but(headers=headers)
    yield "whose headers.5 should be a valid string", but(headers={5: "a"})
    yield "whose headers should match pattern", but(headers={"a\r\nb": "c"})
    yield "whose headers.a should match pattern", but(headers={"a": "b\r\nc: d"})
    for value in (5, "\ud800"):
        yield "whose headers.a should be a valid string", but(headers={"a": value})
    for name in ("Transfer-Encoding", "Content-Length", "host", "connection"):
        yield f"the header {name.lower()}", but(headers={name: "1"})
    for dropped in (None, "seed", ["seed"]):
        yield "whose dropped should be a valid tuple", but(dropped=dropped)
    yield "whose dropped.0 should be a valid string", but(dropped=(5,))
    yield "whose dropped.0 should match pattern", but(dropped=("a\nb",))


@pytest.mark.anyio
@pytest.mark.parametrize("words, begin", list(sends()))
async def test_nothing_is_sent_by_what_is_no_request(
    image_api: ImageApi, tmp_path: Path, words: str, begin: Says
) -> None:
    """The scene is rejected, by the provider's name, and its money is free again."""
    result = await begun(image_api, tmp_path, Strange(image_api.base_url, begin=begin))

    assert image_api.entries == []
    assert result.verdict.kind is VerdictKind.REJECTED
    assert "begin of the provider 'strange'" in result.verdict.message
    assert words in result.verdict.message
    assert settled(result) is State.VOID


@pytest.mark.anyio
async def test_nothing_is_sent_of_a_payload_without_an_end(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Python gives up on it with an error of its own."""
    nested = Strange(image_api.base_url, begin=but(payload=deep()))
    result = await begun(image_api, tmp_path, nested)

    assert image_api.entries == []
    assert settled(result) is State.VOID


def steps() -> Iterator[tuple[str, Says]]:
    """Yield what ``next`` must not do, with what is said of it."""
    yield "raised RuntimeError", raising(RuntimeError("boom"))
    yield "raised SystemExit", raising(SystemExit(7))
    yield "raised StopIteration", raising(StopIteration())
    yield "raised OSError", raising(OSError(28, "No space left on device"))
    for found in (None, "pictures", Send(url="http://x", payload={})):
        yield f"a {type(found).__name__} that should be an instance of Verdict or", saying(found)
    yield (
        "returned a NoneType that should be an instance of Verdict or",
        lambda _reply: in_place_of_a_value().close(),
    )
    yield "without a source of one", saying(Fetch(sources=(), verdict=PICTURES))
    yield "without a source of one", saying(PICTURES)
    words = "whose sources should be a valid tuple"
    for sources in (None, ["x"], iter(()), "http://x"):
        unlike: Any = sources
        yield words, saying(Fetch(sources=unlike, verdict=PICTURES))
        yield words, saying(with_(PICTURES, sources=unlike))
    words = "whose sources.0 should be an instance of SpooledPart or"
    for one in (None, "http://x"):
        unlike = (one,)
        yield words, saying(Fetch(sources=unlike, verdict=PICTURES))
    remote: Any = (RemotePicture("http://x"),)
    yield words, saying(with_(PICTURES, sources=remote))
    unlike = None
    for field, source in (("url", RemotePicture(unlike)), ("base64", InlinePicture(unlike))):
        fetch = Fetch(sources=(source,), verdict=PICTURES)
        yield f"whose sources.0.{field} should be a valid string", saying(fetch)
    yield "whose kind should be an instance of Ver", saying(with_(PICTURES, kind="refused"))
    unsent = Verdict(kind=VerdictKind.NOT_SENT)
    yield "whose kind should be one that an answer can have", saying(unsent)
    for field in ("may_be_billed", "stops_run", "lower_capacity"):
        refused = Verdict(kind=VerdictKind.REFUSED)
        yield f"whose {field} should be a valid boolean", saying(with_(refused, **{field: None}))
    yield (
        "whose should_retry should be a valid boolean",
        saying(with_(PICTURES, should_retry="yes")),
    )


@pytest.mark.anyio
@pytest.mark.parametrize("words, following", list(steps()))
async def test_what_came_is_kept_for_a_mended_one(
    image_api: ImageApi, tmp_path: Path, words: str, following: Says
) -> None:
    """It is in doubt and stays counted, by the provider's name; nothing is bought again."""
    result = await begun(image_api, tmp_path, Strange(image_api.base_url, following=following))

    assert result.verdict.kind is VerdictKind.UNKNOWN
    assert "next of the provider 'strange'" in result.verdict.message
    assert words in result.verdict.message
    assert settled(result) is State.UNKNOWN

    mended = await resumed(image_api, tmp_path, Strange(image_api.base_url))
    assert mended.picture is not None
    assert len(image_api.entries) == 1


@pytest.mark.anyio
async def test_an_odd_fact_keeps_no_picture_back(image_api: ImageApi, tmp_path: Path) -> None:
    """What is only reported is left out where it is not what it should be."""
    odd: dict[str, Any] = {
        "message": None, "hint_s": "5", "used_up_s": float("nan"), "provider_status": "ok",
        "provider_code": 5, "request_id": 7, "details": {"a": object(), "b": "kept"},
        "reported_usd": "0.03", "gateway_usd": 1, "usage": "many", "about": ["reference"],
    }  # fmt: skip
    right = Strange().next
    oddly = Strange(image_api.base_url, following=lambda reply: with_(right(reply), **odd))
    result = await begun(image_api, tmp_path, oddly)

    assert result.picture is not None
    assert (result.verdict.request_id, result.verdict.provider_code) == (None, None)
    assert result.verdict.about is None
    assert dict(result.verdict.details) == {"b": "kept"}
    assert result.cost.microusd is None  # so what was held counts


@pytest.mark.parametrize("hint_s", [-5.0, float("nan"), float("-inf"), "5", True])
def test_a_hint_that_is_no_time_is_none(hint_s: Any) -> None:
    """A time before now would have a scene sent again without a pause, for good."""
    limited = Verdict(kind=VerdictKind.RATE_LIMITED, hint_s=hint_s, used_up_s=hint_s)
    heard = guarded(Strange(following=saying(limited)), "strange").next(cast("Any", None))

    assert isinstance(heard, Verdict)
    assert (heard.hint_s, heard.used_up_s) == (None, None)


@pytest.mark.parametrize(
    "estimate",
    [
        raising(RuntimeError("est")),
        raising(SystemExit(1)),
        *map(saying, (None, 30_000)),
        *(
            saying(Estimate(low_microusd=cast("int", low), high_microusd=cast("int", high)))
            for low, high in (
                (0, -30_000), (0.5, 30_000.7), (0, float("nan")), ("1", "2"), (True, True),
                (0, 2**70), (50_000, 1),
            )
        ),
    ],
)  # fmt: skip
def test_no_money_is_held_by_what_is_no_estimate(estimate: Says) -> None:
    """A hold below nothing would make room under a cap that is not there."""
    asked = guarded(Strange(estimate=estimate), "strange")
    with pytest.raises(ProviderBroken, match="estimate of the provider 'strange' r") as broken:
        asked.estimate(request())
    run = SimpleNamespace(broken=None, stop=print)
    failure = Following.stop_on(cast("Following", run), broken.value)

    assert (failure.code, run.broken) == ("rejected", broken.value)
    assert failure.message.endswith("nothing was sent")
    assert broken.value.hint is not None


def test_what_is_right_goes_through_as_it_is() -> None:
    """The estimate of a price that is not known, too."""
    found = Estimate(low_microusd=None, high_microusd=None)
    asked = guarded(Strange(estimate=saying(found)), "strange")

    assert asked.estimate(request()) == found
    assert asked.begin(request()) == Strange().send


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": None}, {"base_url": "here"}, {"key_variable": None}, {"name": ""},
        {"vendor": 5}, {"key_header": 5}, {"key_header": "x\ny"}, {"key_header": "content-type"},
        {"key_prefix": None}, {"key_prefix": "a\nb"}, {"billed_statuses": None},
        {"billed_statuses": frozenset({"402"})}, {"picture_hosts": "a.example"},
        {"picture_hosts": None}, {"unsaid": None}, {"pictures_last_s": float("nan")},
        {"pictures_last_s": "soon"},
    ],
    ids=str,
)  # fmt: skip
def test_a_profile_that_is_none_is_refused_at_the_start(wrong: dict[str, Any]) -> None:
    """Before anything is asked for."""
    with pytest.raises(ProviderBroken, match="of the provider 'strange' returned a Profile whose"):
        guarded(Strange(**wrong), "strange")


def judging(found: object) -> Ask:
    def judge(_ask: Ask, _reply: Any, _today: date) -> tuple[Finding, ...]:
        return cast("tuple[Finding, ...]", found)

    return Ask(url="https://strange.example/v1/key", about=("key",), judge=judge)


@pytest.mark.parametrize(
    "checks",
    [
        raising(RuntimeError("no")),
        *map(saying, (None, [], "key", (None,), (judging,))),
        *(
            saying((with_(judging(()), **wrong),))
            for wrong in ({"url": "key"}, {"about": ()}, {"about": ("wallet",)}, {"judge": None})
        ),
        *(
            saying((with_(FOUND, **wrong),))
            for wrong in ({"about": "wallet"}, {"verdict": "fine"}, {"verdict": None})
        ),
    ],
)
def test_nothing_is_asked_by_what_is_no_check(checks: Says) -> None:
    """What may be asked for free is found out before anybody is asked."""
    asked = guarded(Strange(checks=checks), "strange")
    with pytest.raises(ProviderBroken, match="checks of the provider 'strange' r"):
        asked.checks(("m",))


@pytest.mark.parametrize("found", [None, [FOUND], ("key",), (with_(FOUND, verdict="fine"),)])
def test_a_judge_that_says_something_else_is_named(found: object) -> None:
    """Its answer is looked at like every other."""
    (ask,) = guarded(Strange(checks=saying((judging(found),))), "strange").checks(("m",))
    assert isinstance(ask, Ask)
    with pytest.raises(ProviderBroken, match="checks of the provider 'strange' r"):
        ask.judged(cast("Any", None), date(2026, 11, 25))


def test_what_a_check_finds_is_kept_short() -> None:
    """And is words."""
    found = with_(FOUND, message="x" * 5000, hint=7, model=8)
    (ask,) = guarded(Strange(checks=saying((judging((found,)),))), "strange").checks(("m",))
    assert isinstance(ask, Ask)
    (heard,) = ask.judged(cast("Any", None), date(2026, 11, 25))

    assert heard == replace(FOUND, message="x" * 300, hint="", model=None)


def test_a_lack_of_memory_is_nobodys_fault() -> None:
    """It may be there the next time, so nothing is decided by it."""
    asked = guarded(Strange(following=raising(MemoryError())), "strange")
    with pytest.raises(MemoryError):
        asked.next(cast("Any", None))


def test_there_is_nothing_to_fetch_for_anything_but_pictures() -> None:
    """A failure that came with an address would hide what it is."""
    with pytest.raises(ValueError, match="pictures"):
        Fetch(sources=(RemotePicture("https://a.test/1"),), verdict=Verdict(kind=VerdictKind.BUSY))
