"""Replicate: what is sent, and what its listing proves; see ``recorded/replicate`` for answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import (
    Found,
    Lost,
    NotListed,
    Unsaid,
)
from stage3_plugin.domain.free_checks import Ask
from stage3_plugin.domain.job import Accepted, seed_of
from stage3_plugin.domain.picture import InlinePicture, SpooledPart
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import Polled
from stage3_plugin.providers.models import table
from stage3_plugin.providers.replicate import Replicate, ReplicateOptions
from stage3_plugin.testing.dialects.replicate import ReplicateDialect
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.subject import TOKEN, WORDS
from stage3_plugin.testing.talking import Talk
from tests.stage3.providers.replies import NOW_S, PNG, page, part, reply, request

MODEL = "black-forest-labs/flux-2-pro"
VERSION = "0" * 64
OPENED = datetime.fromtimestamp(NOW_S, UTC)


def replicate(model: str = MODEL, base_url: str | None = None) -> Replicate:
    endpoint = Endpoint(provider="replicate", base_url=base_url, model=model)
    return Replicate(endpoint, clock=lambda: NOW_S)


# What is sent ------------------------------------------------------------------------------------


def test_a_prediction_is_begun_at_its_models_address() -> None:
    """Without waiting for it, with a time by which it has to begin, and with its token as seed."""
    wish = request(token=TOKEN, width_px=1280, height_px=704, negative_prompt="fog")
    send = replicate().begin(wish)

    assert send.url == (
        "https://api.replicate.com/v1/models/black-forest-labs/flux-2-pro/predictions"
    )
    assert dict(send.headers) == {"cancel-after": "10m"}
    assert send.payload == {
        "input": {
            "prompt": "a lighthouse at dusk. Avoid: fog",
            "aspect_ratio": "custom",
            "width": 1280,
            "height": 704,
            "seed": seed_of(TOKEN),
            "output_format": "png",
            "prompt_upsampling": False,
        }
    }
    assert send.dropped == ()


@pytest.mark.parametrize("model", [f"{MODEL}:{VERSION}", VERSION])
def test_a_version_is_named_in_the_body(model: str) -> None:
    send = replicate(model).begin(request())

    assert send.url == "https://api.replicate.com/v1/predictions"
    assert send.payload["version"] == model


def test_a_models_name_stays_two_steps_of_the_path() -> None:
    """Whatever a setting holds, the key goes to no other address."""
    send = replicate("..#x/y?z").begin(request())

    assert send.url.endswith("/v1/models/..%23x/y%3Fz/predictions")


def test_every_family_has_ratios() -> None:
    """A row without them would be an error at the first purchase."""
    for row in (row for row in table().inputs if row.provider == "replicate"):
        for begins in row.begins:
            replicate(begins or "a/b").begin(request(width_px=1000, height_px=777))


def test_no_input_that_a_row_fills_in_is_an_option() -> None:
    """What follows from size, files and references cannot be said once more by a person."""
    rows = [row for row in table().inputs if row.provider == "replicate"]

    assert {row.references for row in rows} - {None} <= ReplicateOptions.reserved.keys()
    assert {row.tier for row in rows} - {""} <= ReplicateOptions.reserved.keys()


# What becomes of a prediction --------------------------------------------------------------------

GET = "https://api.replicate.com/v1/predictions/p1"
JOB = Accepted(job_id="p1", poll_url=GET, keeps_s=3600.0)
AT = "https://replicate.delivery/xezq/out-0.png"
DATA = f"data:image/png;base64,{PNG}"


def prediction(status: str = "starting", **more: Any) -> dict[str, Any]:
    return {
        "id": "p1",
        "model": MODEL,
        "version": "hidden",
        "input": {"prompt": "a lighthouse", "seed": 7, "input_images": [DATA]},
        "output": None,
        "error": None,
        "status": status,
        "data_removed": False,
        "created_at": OPENED.isoformat(),
        "urls": {"get": GET, "cancel": f"{GET}/cancel", "web": "https://replicate.com/p/p1"},
        **more,
    }


def test_a_picture_may_come_with_the_first_answer() -> None:
    """Where a server waits by itself; then there is nothing to be asked for."""
    step = replicate().next(reply(prediction("processing", output=[DATA]), 201))

    assert isinstance(step, Verdict)
    assert (step.kind, step.sources) == (VerdictKind.PICTURES, (InlinePicture(DATA),))


@pytest.mark.parametrize("urls", [{}, {"get": ""}, {"get": "ftp://x/y"}, {"get": 7}])
def test_one_that_does_not_say_where_it_is_is_unknown(urls: dict[str, Any]) -> None:
    """Its address is never guessed. What was shown to it is not taken for its picture."""
    placeholder = "part"
    begun = prediction(urls=urls, input={"image_input": [placeholder]})
    step = replicate().next(reply(begun, 201, parts={placeholder: part()}))

    assert isinstance(step, Verdict)
    assert step.is_unknown


def polled(document: Any, status: int = 200, **more: Any) -> Polled:
    return replicate().polled(reply(document, status, **more), JOB, "status")


@pytest.mark.parametrize("status", ["processing", "succeeded", "failed", "odd"])
def test_a_picture_in_the_answer_counts_whatever_its_state(status: str) -> None:
    """One was recorded as a data URL while its prediction was still being processed."""
    inline = polled(prediction(status, output=[DATA]))
    spooled = polled(prediction(status, output="part"), parts={"part": part(3), "mine": part(0)})

    assert isinstance(inline, Verdict)
    assert isinstance(spooled, Verdict)
    assert (inline.kind, len(inline.sources)) == (VerdictKind.PICTURES, 1)
    assert spooled.sources == (SpooledPart(3),)


# What a listing shows ----------------------------------------------------------------------------

LOST = Lost(token=TOKEN, endpoint=MODEL, opened_at=OPENED)
MINE = {"prompt": WORDS, "seed": seed_of(TOKEN)}
DATE = OPENED.strftime("%a, %d %b %Y %H:%M:%S GMT")


def listing(*items: Any, following: Any = None) -> Any:
    document = {"previous": None, "next": following, "results": list(items)}
    return reply(document, headers={"date": DATE})


def test_a_listing_can_prove_that_nothing_arrived() -> None:
    """A quarter of an hour later, and only of a request whose seed is ours."""
    profile = replicate().profile

    assert profile.token_is_seed
    assert profile.listing is not None
    assert (profile.listing.proves_absence, profile.listing.settle_s) == (True, 900.0)


def test_it_begins_a_day_before() -> None:
    """Everything since then, of every state."""
    assert replicate().look_for(LOST) == (
        "https://api.replicate.com/v1/predictions?created_after="
        + (OPENED - timedelta(days=1)).strftime("%Y-%m-%dT%H%%3A%M%%3A%SZ")
    )


@pytest.mark.parametrize("status", ["starting", "processing", "succeeded", "failed", "odd"])
def test_one_with_the_token_is_found_in_any_state(status: str) -> None:
    """Behind what cannot be told from it, too."""
    doubtful = prediction(id="p0", input={}, data_removed=True)
    step = replicate().looked(listing(doubtful, prediction(status, input=MINE)), LOST)

    assert isinstance(step, Found)
    assert (step.accepted.job_id, step.accepted.poll_url) == ("p1", GET)


@pytest.mark.parametrize(
    "endpoint, says",
    [
        (f"{MODEL}:{VERSION}", {"version": VERSION}),
        (VERSION, {"model": "a/b", "version": VERSION}),
        (MODEL, {"model": None}),
    ],
)
def test_a_version_is_found_as_well(endpoint: str, says: dict[str, Any]) -> None:
    lost = Lost(token=TOKEN, endpoint=endpoint, opened_at=OPENED)
    step = replicate(endpoint).looked(listing(prediction(input=MINE, **says)), lost)

    assert isinstance(step, Found)


@pytest.mark.parametrize(
    "item",
    [
        prediction(input={"prompt": "a lighthouse", "seed": 7}),
        prediction(input={"prompt": "a lighthouse"}),
        prediction(input=MINE, model="somebody/else"),
        prediction(input={}, data_removed=True, model="somebody/else"),
        prediction(input={}, created_at=(OPENED - timedelta(minutes=11)).isoformat()),
        prediction(id="ours", input={}),
        prediction(id="ours", input=MINE),
    ],
)
def test_another_ones_is_not_it(item: dict[str, Any]) -> None:
    """By its seed, its model, its time, or since it is known to belong to another request."""
    lost = Lost(token=TOKEN, endpoint=MODEL, opened_at=OPENED, taken=frozenset({"ours"}))

    assert replicate().looked(listing(item), lost) == NotListed(next_url=None)


@pytest.mark.parametrize(
    "item, lost",
    [
        (prediction(input={}, data_removed=True), LOST),
        (prediction(input=None), LOST),
        (prediction(input={}, created_at="?"), LOST),
        (prediction(input=MINE, urls={}), LOST),
        (prediction(input=MINE | {"prompt": "a castle"}), LOST),
        (None, LOST),
        (prediction(), Lost(token=None, endpoint=MODEL, opened_at=OPENED)),
        (
            prediction(model="somebody/else", input={"prompt": "a lighthouse"}),
            Lost(token=TOKEN, endpoint="somebody/else", opened_at=OPENED),
        ),
        (
            prediction(model="google/nano-banana"),
            Lost(token=TOKEN, endpoint="google/nano-banana", opened_at=OPENED),
        ),
    ],
)
def test_one_that_may_be_it_proves_nothing(item: Any, lost: Lost) -> None:
    """Its input is deleted or has other words, or nothing that we drew was sent: a person's seed.

    Said to be absent it would be bought again.
    """
    assert isinstance(replicate(lost.endpoint).looked(listing(item), lost), Unsaid)


def test_a_listing_goes_on_to_its_end() -> None:
    """A page that does not say where it goes on, or is none, is no end."""
    following = "https://api.replicate.com/v1/predictions?cursor=x"
    step = replicate().looked(listing(following=following), LOST)

    assert step == NotListed(next_url=following)
    for broken in (
        listing(following=7),
        listing(following="no address"),
        reply({"results": []}),
        reply({"results": {}, "next": None}),
        reply({"results": [], "next": None}, 500),
        page(200),
    ):
        assert isinstance(replicate().looked(broken, LOST), Unsaid), broken


def test_without_a_date_a_day_is_allowed_for_clocks() -> None:
    """What is not ten minutes older for certain may be it."""
    old = prediction(input={}, created_at=(OPENED - timedelta(hours=3)).isoformat())
    document = {"next": None, "results": [old]}
    there = (OPENED + timedelta(hours=3)).strftime("%a, %d %b %Y %H:%M:%S GMT")

    assert isinstance(replicate().looked(reply(document), LOST), Unsaid)
    assert isinstance(replicate().looked(reply(document, headers={"date": there}), LOST), Unsaid)
    assert replicate().looked(reply(document, headers={"date": DATE}), LOST) == NotListed(
        next_url=None
    )


# Over real sockets -------------------------------------------------------------------------------


@pytest.fixture
def api() -> Iterator[ImageApi]:
    with ImageApi(dialect=ReplicateDialect()) as api:
        yield api


def talking(api: ImageApi, model: str = MODEL, key: str = KEY) -> Talk:
    return Talk(replicate(model, api.base_url), key)


def test_key_and_model_can_be_asked_after_for_free(api: ImageApi) -> None:
    talk = talking(api)
    asks = [one for one in talk.provider.checks((MODEL, VERSION)) if isinstance(one, Ask)]
    today = OPENED.date()
    findings = [found for ask in asks for found in ask.judged(talk.read(ask.url), today)]

    assert [(one.about, one.verdict) for one in findings] == [("key", "good"), ("model", "good")]
    missing = reply({"detail": "Not found", "status": 404}, 404)
    bad = [f.verdict for ask in replicate().checks((MODEL,)) if isinstance(ask, Ask)
           and ask.about == ("model",) for f in ask.judged(missing, today)]  # fmt: skip
    assert bad == ["bad"]
