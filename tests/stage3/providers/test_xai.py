"""xAI: what is sent, what its answers come to, and a lost picture that is found among the files."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Fetch, Found, Gone, Lost, NotListed, Reply, Unsaid
from stage3_plugin.domain.free_checks import Ask
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.picture import InlinePicture, SpooledPart
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.xai import XAI
from stage3_plugin.testing.dialects.xai import XAIDialect
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.pngs import make_png
from stage3_plugin.testing.queues import Queued, Trouble
from stage3_plugin.testing.talking import NoAnswer, Talk
from tests.fakes.test_requests import reference_to
from tests.stage3.providers.replies import NOW_S, PNG, page, part, reply, request, verdict_on

TOKEN = "0123456789abcdef" * 2
MODEL = "grok-imagine-image-2.0"
FILE = f"{TOKEN}.jpg"
OPENED = datetime.fromtimestamp(NOW_S, UTC)
LOST = Lost(token=TOKEN, endpoint=MODEL, opened_at=OPENED)


def xai(model: str = MODEL, base_url: str | None = None) -> XAI:
    endpoint = Endpoint(provider="xai", base_url=base_url, model=model)
    return XAI(endpoint, clock=lambda: NOW_S)


# What is sent ------------------------------------------------------------------------------------


def test_a_request_asks_for_the_picture_to_be_kept_under_its_token() -> None:
    """A ratio and a tier for the size, a quality, the picture itself, and no public address."""
    send = xai().begin(request(token=TOKEN, width_px=1920, height_px=1080, negative_prompt="fog"))

    assert send.url == "https://api.x.ai/v1/images/generations"
    assert send.payload == {
        "model": MODEL,
        "prompt": "a lighthouse at dusk. Avoid: fog",
        "n": 1,
        "aspect_ratio": "16:9",
        "resolution": "2k",
        "response_format": "b64_json",
        "quality": "medium",
        "storage_options": {"filename": FILE, "expires_after": 86400},
    }
    assert (dict(send.headers), send.dropped) == ({}, ())


@pytest.mark.parametrize(
    "model, quality, sent, dropped",
    [
        (MODEL, "low", "low", ()),
        (MODEL, "auto", "medium", ()),
        (MODEL, "high", "medium", ()),
        ("grok-imagine-image", "high", None, ()),
    ],
)
def test_only_the_newest_model_has_a_quality(
    model: str, quality: str, sent: str | None, dropped: tuple[str, ...]
) -> None:
    """Another word would be refused, and one that is left out is charged as medium."""
    send = xai(model).begin(request(model=model, quality=quality))

    assert send.payload.get("quality") == sent
    assert send.dropped == dropped
    assert ("quality" in xai(model).profile.unsaid) is (sent is None)


def test_what_there_is_no_word_for_is_named() -> None:
    wishes = request(seed=7, width_px=1000, height_px=777, output_format="webp",
                     background="opaque", references=("a",))  # fmt: skip

    assert sorted(xai().begin(wishes).dropped) == [
        "background", "output_format", "references", "seed", "size",
    ]  # fmt: skip


def test_references_make_it_an_edit() -> None:
    """As JSON, in their order, with their names before the prompt."""
    shown = (reference_to("image/png", "Mira", None), reference_to("image/jpeg", None, None))
    send = xai().begin(request(shown=shown))
    images: Any = send.payload["images"]

    assert send.url == "https://api.x.ai/v1/images/edits"
    assert [one["type"] for one in images] == ["image_url", "image_url"]
    assert [one["url"].prefix for one in images] == [
        "data:image/png;base64,", "data:image/jpeg;base64,",
    ]  # fmt: skip
    assert str(send.payload["prompt"]).startswith("Reference image 1 is Mira.")


# What answers come to ----------------------------------------------------------------------------

USAGE = {"cost_in_usd_ticks": 600_000_000}
WITHHELD: dict[str, Any] = {"mime_type": "image/jpeg", "respect_moderation": False}


def test_a_picture_costs_what_its_ticks_say() -> None:
    """To the last digit."""
    slot = {"b64_json": PNG, "mime_type": "image/jpeg", "respect_moderation": True}
    usage = {"cost_in_usd_ticks": 200_000_001}
    verdict = verdict_on(xai(), reply({"data": [slot], "usage": usage}))

    assert (verdict.kind, verdict.sources) == (VerdictKind.PICTURES, (InlinePicture(PNG),))
    assert verdict.reported_usd == Decimal("0.0200000001")


@pytest.mark.parametrize("slot", [{"url": "https://imgen.x.ai/x.jpg"}, {"b64_json": "part"}])
def test_a_picture_comes_in_either_form(slot: dict[str, Any]) -> None:
    step = xai().next(reply({"data": [slot]}, parts={"part": part()}))

    assert isinstance(step, Fetch if "url" in slot else Verdict)


@pytest.mark.parametrize(
    "slots",
    [
        [],
        [{}],
        [{"b64_json": ""}],
        [{"url": "", "mime_type": "image/jpeg", "respect_moderation": True}],
        [{"url": None, "revised_prompt": "a lighthouse"}],
        [WITHHELD],
        [WITHHELD | {"url": ""}],
        [WITHHELD | {"url": "https://imgen.x.ai/blurred.jpg"}],
        [WITHHELD | {"b64_json": "part"}, {}],
    ],
)
@pytest.mark.parametrize(
    "usage, billed", [(USAGE, True), ({}, True), ({"cost_in_usd_ticks": 0}, False)]
)
def test_a_picture_that_is_withheld_is_charged(
    slots: list[dict[str, Any]],
    usage: dict[str, Any],
    billed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """It says so, or its place is empty; only a cost of nothing is one."""
    parts = {"part": part()} if "part" in str(slots) else {}
    verdict = verdict_on(xai(), reply({"data": slots, "usage": usage}, parts=parts))

    assert (verdict.kind, verdict.about) == (VerdictKind.REFUSED, "output")
    assert verdict.may_be_billed is billed
    assert not verdict.is_unknown


def test_one_good_picture_is_enough() -> None:
    """And what is withheld beside it is not taken for it."""
    slots = [WITHHELD | {"b64_json": "bad"}, {"b64_json": "good"}]
    answer = reply({"data": slots}, parts={"bad": part(0), "good": part(1)})

    assert verdict_on(xai(), answer).sources == (SpooledPart(1),)


@pytest.mark.parametrize(
    "document",
    [
        {"outcome": 1},
        {"data": [{"picture": "https://imgen.x.ai/x.jpg"}]},
        {"data": [{"file_output": {"file_id": "file_1"}}]},
    ],
)
def test_what_is_not_known_may_have_been_billed(document: dict[str, Any]) -> None:
    assert verdict_on(xai(), reply(document)).is_unknown


def test_an_answer_that_failed_on_the_way_may_have_been_billed() -> None:
    for answer in (
        reply({"code": "Internal error", "error": "Oops."}, 500),
        reply({"code": "unavailable", "error": "overloaded: the connection was lost"}, 503),
        page(502),
    ):
        assert verdict_on(xai(), answer).is_unknown


NO_MODEL = (
    "The model x does not exist or your team does not have access to it. Please ensure you're "
    "using the correct API key."
)


@pytest.mark.parametrize(
    "status, code, error, kind, stops",
    [
        (400, "invalid-argument", "Argument not supported: size", VerdictKind.REJECTED, False),
        (400, "x", "Incorrect API key provided: xa***.", VerdictKind.BAD_CREDENTIALS, True),
        (403, "The caller does not have permission to execute it", "No.",
         VerdictKind.BAD_CREDENTIALS, True),
        (403, "x", "Your newly created team doesn't have any credits yet.",
         VerdictKind.OUT_OF_MONEY, True),
        (403, "x", "Content violates usage guidelines. Team: t, API key ID: k",
         VerdictKind.REFUSED, False),
        (400, "x", "Generated image rejected by content moderation.", VerdictKind.REFUSED, False),
        (404, "x", NO_MODEL, VerdictKind.REJECTED, True),
        (429, "x", "Too many requests", VerdictKind.RATE_LIMITED, False),
    ],
)  # fmt: skip
def test_a_flat_error_is_understood(
    status: int,
    code: str,
    error: str,
    kind: VerdictKind,
    stops: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Its code says little, and a bad key is a 400. Nothing of it is charged."""
    verdict = verdict_on(xai(), reply({"code": code, "error": error}, status))

    assert (verdict.kind, verdict.stops_run) == (kind, stops)
    assert not verdict.may_be_billed


# A lost picture ----------------------------------------------------------------------------------

JOB = Accepted(
    job_id="file_1", poll_url="https://api.x.ai/v1/files/file_1/content", keeps_s=86400.0
)


def files(*names: str, **more: Any) -> Reply:
    listed = [
        {"id": f"file_{number}", "filename": name, "created_at": int(NOW_S)}
        for number, name in enumerate(names)
    ]
    return reply({"data": listed, **more})


def test_a_file_of_the_tokens_name_is_its_picture() -> None:
    """Found, it is a job whose result is the file's content."""
    assert xai().look_for(LOST) == "https://api.x.ai/v1/files?limit=100&order=desc"
    assert xai().looked(files("other.jpg", FILE), LOST) == Found(accepted=JOB)


def test_other_files_are_not_it() -> None:
    """The next page is asked for, up to those from a day before."""
    more = "https://api.x.ai/v1/files?limit=100&order=desc&pagination_token=a%26b"
    old = reply(
        {"data": [{"filename": "x", "created_at": int(NOW_S) - 90_000}], "pagination_token": "a"}
    )

    assert xai().looked(files("a.jpg", pagination_token="a&b"), LOST) == NotListed(next_url=more)
    assert xai().looked(files("a.jpg"), LOST) == NotListed(next_url=None)
    assert xai().looked(old, LOST) == NotListed(next_url=None)
    taken = Lost(token=TOKEN, endpoint=MODEL, opened_at=OPENED, taken=frozenset({"file_0"}))
    assert xai().looked(files(FILE), taken) == NotListed(next_url=None)


def test_that_it_is_missing_proves_nothing() -> None:
    """One that was withheld leaves no file."""
    listing = xai().profile.listing

    assert listing is not None
    assert not listing.proves_absence


def test_the_content_is_the_picture() -> None:
    """A raw body; what it cost is not said anywhere."""
    body = Reply(status=200, headers={}, parts={"": part()})
    step = xai().polled(body, JOB, "status")

    assert isinstance(step, Verdict)
    assert (step.kind, step.sources) == (VerdictKind.PICTURES, (SpooledPart(0),))
    assert (step.may_be_billed, step.reported_usd) == (True, None)


@pytest.mark.parametrize(
    "answer, kind, stops",
    [
        (reply({"code": "x", "error": "File not found."}, 404), Gone, False),
        (reply({"code": "x", "error": "File not found."}, 410), Gone, False),
        (page(404), Unsaid, False),
        (reply({"message": "no Route matched with those values"}, 404), Unsaid, False),
        (reply({"code": "x", "error": "Incorrect API key provided."}, 400), Unsaid, True),
        (reply({"code": "x", "error": "Too many requests."}, 429), Unsaid, False),
        (page(502), Unsaid, False),
        (page(200), Unsaid, False),
        (reply({}), Unsaid, False),
    ],
)
def test_a_file_that_does_not_come(answer: Reply, kind: type, stops: bool) -> None:  # noqa: FBT001 - a column of the table
    """It is gone only where xAI says so."""
    step = xai().polled(answer, JOB, "status")

    assert isinstance(step, kind)
    if isinstance(step, Unsaid):
        assert step.stops_run is stops


# Over real sockets -------------------------------------------------------------------------------


@pytest.fixture
def api() -> Iterator[ImageApi]:
    with ImageApi(dialect=XAIDialect()) as api:
        yield api


def talking(api: ImageApi) -> Talk:
    return Talk(xai(base_url=api.base_url), KEY)


WISH = request(token=TOKEN)
DRAWN = make_png(WISH.prompt, 16, 16)


def test_a_picture_is_in_the_answer(api: ImageApi) -> None:
    step = talking(api).submit(WISH)

    assert isinstance(step, Verdict)
    assert step.sources == (InlinePicture(base64.b64encode(DRAWN).decode()),)
    assert (step.reported_usd, api.queue.billed_usd) == (Decimal("0.06"), Decimal("0.06"))


@pytest.mark.parametrize("lost", ["begun", "cut"])
def test_a_lost_picture_is_found_and_not_bought_again(api: ImageApi, lost: Any) -> None:
    """Over several pages, by its name alone; ``base_url`` alone leads all of it there."""
    api.queue.page_jobs = 1
    api.script(Queued(lost=lost))
    talk = talking(api)
    with pytest.raises(NoAnswer):
        talk.submit(WISH)
    for digit in "12":
        talk.submit(request(token=digit * 32))
    found = talk.look(Lost(token=TOKEN, endpoint=MODEL, opened_at=datetime.now(UTC)))
    assert isinstance(found, Found)
    made = talk.follow(found.accepted)

    assert isinstance(made, Verdict)
    assert made.kind is VerdictKind.PICTURES
    assert (api.received(), len(api.polls("file"))) == (3, 1)


@pytest.mark.parametrize(
    "plan", [Queued(lost="not begun"), Queued(lost="begun", ends="refused", billed=True)]
)
def test_what_left_no_file_is_not_found(api: ImageApi, plan: Queued) -> None:
    """Whether it was billed or not."""
    api.script(plan)
    talk = talking(api)
    with pytest.raises(NoAnswer):
        talk.submit(WISH)

    assert talk.look(LOST) == NotListed(next_url=None)


def test_one_that_is_withheld_costs_what_the_books_say(api: ImageApi) -> None:
    api.script(Queued(ends="refused", billed=True))
    step = talking(api).submit(WISH)

    assert isinstance(step, Verdict)
    assert (step.kind, step.reported_usd) == (VerdictKind.REFUSED, api.queue.billed_usd)


@pytest.mark.parametrize(
    "trouble, kind, stops",
    [
        ("bad key", VerdictKind.BAD_CREDENTIALS, True),
        ("no money", VerdictKind.OUT_OF_MONEY, True),
        ("no model", VerdictKind.REJECTED, True),
        ("limited", VerdictKind.RATE_LIMITED, False),
    ],
)
def test_who_may_not_pays_nothing(
    api: ImageApi,
    trouble: Trouble,
    kind: VerdictKind,
    stops: bool,  # noqa: FBT001 - a column of the table
) -> None:
    api.script(api.queue.dialect.tells(trouble))
    step = talking(api).submit(WISH)

    assert isinstance(step, Verdict)
    assert (step.kind, step.may_be_billed, step.stops_run) == (kind, False, stops)
    assert KEY not in step.message


def test_key_account_and_model_can_be_asked_after_for_free(api: ImageApi) -> None:
    talk = talking(api)
    asks = [one for one in talk.provider.checks((MODEL,)) if isinstance(one, Ask)]
    today = OPENED.date()
    found = [found for ask in asks for found in ask.judged(talk.read(ask.url), today)]
    key = asks[0]
    blocked = {"api_key_id": "k", "api_key_blocked": True, "team_blocked": True}
    closed = key.judged(reply(blocked), today)
    wrong = key.judged(reply({"code": "x", "error": "Incorrect API key provided."}, 400), today)

    assert [(one.about, one.verdict) for one in found] == [
        ("key", "good"), ("account", "unknown"), ("model", "good"),
    ]  # fmt: skip
    assert [(one.about, one.verdict) for one in closed] == [("key", "bad"), ("account", "bad")]
    assert ("key", "bad") in [(one.about, one.verdict) for one in wrong]


@pytest.mark.parametrize(
    "quality, side_px, microusd",
    [
        ("low", 1024, 40_000), ("low", 2048, 60_000), ("medium", 1024, 60_000),
        ("medium", 2048, 80_000), ("medium", 1536, 80_000), ("auto", 1024, 60_000),
        ("high", 2048, 80_000),
    ],
)  # fmt: skip
def test_a_price_is_held_for(quality: str, side_px: int, microusd: int) -> None:
    """That of what is asked for, a word it does not know is medium; and more for references.

    Nobody but third parties says it: half as much again is held.
    """
    asked = request(quality=quality, width_px=side_px, height_px=side_px)
    shown = replace(asked, shown=(reference_to("image/png", None, None),))

    assert xai().estimate(asked).low_microusd == microusd
    assert xai().estimate(asked).high_microusd == microusd * 3 // 2
    assert xai().estimate(shown).high_microusd == (microusd + 10_000) * 3 // 2
