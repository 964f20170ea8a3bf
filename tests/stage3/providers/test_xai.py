"""xAI: prices and lost pictures; what answers come to stands in ``recorded/xai``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Lost, NotListed, Reply
from stage3_plugin.domain.free_checks import Ask
from stage3_plugin.domain.verdict import VerdictKind
from stage3_plugin.providers.xai import XAI
from stage3_plugin.testing.dialects.xai import XAIDialect
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.talking import Talk
from tests.fakes.test_requests import reference_to
from tests.stage3.providers.replies import NOW_S, part, reply, request, verdict_on

TOKEN = "0123456789abcdef" * 2
MODEL = "grok-imagine-image-2.0"
FILE = f"{TOKEN}.jpg"
OPENED = datetime.fromtimestamp(NOW_S, UTC)
LOST = Lost(token=TOKEN, endpoint=MODEL, opened_at=OPENED)


def xai(model: str = MODEL, base_url: str | None = None) -> XAI:
    endpoint = Endpoint(provider="xai", base_url=base_url, model=model)
    return XAI(endpoint, clock=lambda: NOW_S)


def test_a_picture_that_is_withheld_is_charged() -> None:
    """Though its bytes came, and were received beside the answer."""
    withheld = {"mime_type": "image/jpeg", "respect_moderation": False, "b64_json": "part"}
    verdict = verdict_on(xai(), reply({"data": [withheld, {}]}, parts={"part": part()}))

    assert (verdict.kind, verdict.about) == (VerdictKind.REFUSED, "output")
    assert verdict.may_be_billed


# A lost picture ----------------------------------------------------------------------------------


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
