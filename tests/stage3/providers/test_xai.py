"""xAI: what is sent, what its answers come to, and a lost picture that is found among the files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Gone, Lost, NotListed, Reply, Unsaid
from stage3_plugin.domain.free_checks import Ask
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.verdict import VerdictKind
from stage3_plugin.providers.xai import XAI
from stage3_plugin.testing.dialects.xai import XAIDialect
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.talking import Talk
from tests.fakes.test_requests import reference_to
from tests.stage3.providers.replies import NOW_S, page, part, reply, request, verdict_on

TOKEN = "0123456789abcdef" * 2
MODEL = "grok-imagine-image-2.0"
FILE = f"{TOKEN}.jpg"
OPENED = datetime.fromtimestamp(NOW_S, UTC)
LOST = Lost(token=TOKEN, endpoint=MODEL, opened_at=OPENED)


def xai(model: str = MODEL, base_url: str | None = None) -> XAI:
    endpoint = Endpoint(provider="xai", base_url=base_url, model=model)
    return XAI(endpoint, clock=lambda: NOW_S)


# What answers come to ----------------------------------------------------------------------------

USAGE = {"cost_in_usd_ticks": 600_000_000}
WITHHELD: dict[str, Any] = {"mime_type": "image/jpeg", "respect_moderation": False}


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


@pytest.mark.parametrize(
    "answer, kind, stops",
    [
        (reply({"code": "x", "error": "File not found."}, 404), Gone, False),
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
