"""fal.ai: what is sent, and how a job is found; what answers come to stands in ``recorded/fal``."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import (
    Fetch,
    Lost,
    NotListed,
    Poll,
    Send,
    Unsaid,
)
from stage3_plugin.domain.free_checks import Ask
from stage3_plugin.domain.job import Accepted, seed_of
from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import Polled
from stage3_plugin.providers.fal import Fal
from stage3_plugin.providers.models import inputs_of
from stage3_plugin.testing.subject import TOKEN, WORDS
from tests.stage3.providers.replies import NOW_S, reply, request

TURBO = "fal-ai/flux-2/turbo"
FLUX3 = "blackforestlabs/flux-3"
QUEUE = "https://queue.fal.run/fal-ai/flux-2/requests/764c"
HISTORY = "https://api.fal.ai/v1/models/requests/by-endpoint"
JOB = Accepted(
    job_id="764c",
    poll_url=f"{QUEUE}/status",
    result_url=QUEUE,
    cancel_url=f"{QUEUE}/cancel",
    keeps_s=3600.0,
)
SENT = SentPicture(sha256="a" * 64, media_type="image/png", size_bytes=10)
SHOWN = Reference(wish=ReferenceWish(image="a"), sha256="a" * 64, sent=SENT)
OPENED = datetime(2026, 11, 26, 12, tzinfo=UTC)
LOST = Lost(token=TOKEN, endpoint=TURBO, opened_at=OPENED)
PICTURE = {"url": "https://v3b.fal.media/files/b/a.png", "content_type": "image/png"}


def fal(model: str = TURBO, *, base_url: str | None = None, **settings: Any) -> Fal:
    endpoint = Endpoint(provider="fal", base_url=base_url, model=model)
    return Fal(endpoint, clock=lambda: NOW_S, **settings)


def said(send: Send) -> dict[str, Any]:
    return dict(send.payload)


# What is sent ------------------------------------------------------------------------------------


def test_a_request_is_one_picture_in_the_queue() -> None:
    """Retries of its own, another endpoint, and waiting without an end are switched off."""
    send = fal().begin(request(token=TOKEN, negative_prompt="fog", quality="high"))

    assert send.url == f"https://queue.fal.run/{TURBO}"
    assert send.payload == {
        "prompt": "a lighthouse at dusk. Avoid: fog",
        "num_images": 1,
        "image_size": {"width": 1024, "height": 1024},
        "seed": seed_of(TOKEN),
        "output_format": "png",
        "enable_prompt_expansion": False,
    }
    assert dict(send.headers) == {
        "x-fal-no-retry": "1",
        "x-fal-request-timeout": "120",
        "x-app-fal-disable-fallback": "true",
    }
    assert send.dropped == ("quality",)


@pytest.mark.parametrize(
    "model, shows, endpoint",
    [
        (TURBO, True, f"{TURBO}/edit"),
        (f"{TURBO}/edit", False, TURBO),
        ("openai/gpt-image-2", True, "openai/gpt-image-2/edit"),
        ("fal-ai/bytedance/seedream/v4/text-to-image", True, "fal-ai/bytedance/seedream/v4/edit"),
        ("fal-ai/bytedance/seedream/v4/edit", False, "fal-ai/bytedance/seedream/v4/text-to-image"),
        ("fal-ai/flux-pro/kontext", True, "fal-ai/flux-pro/kontext"),
        ("fal-ai/flux-pro/kontext", False, "fal-ai/flux-pro/kontext/text-to-image"),
        ("fal-ai/flux-pro/kontext/max/text-to-image", True, "fal-ai/flux-pro/kontext/max"),
        (f"{FLUX3}/text-to-image", True, f"{FLUX3}/edit-image"),
        ("fal-ai/flux-2/text-to-image", True, "fal-ai/flux-2/edit"),
        ("fal-ai/flux-kontext/dev/text-to-image", True, "fal-ai/flux-kontext/dev/edit"),
        ("fal-ai/recraft/v3/text-to-image", True, "fal-ai/recraft/v3/text-to-image"),
        (f"{FLUX3}/edit", False, f"{FLUX3}/edit"),
        ("somebody/painter/text-to-image", True, "somebody/painter/edit"),
        ("somebody/painter/edit", True, "somebody/painter/edit"),
        ("somebody/painter/edit", False, "somebody/painter/edit"),
    ],
)
def test_who_shows_pictures_asks_the_sibling_that_takes_them(
    model: str,
    shows: bool,  # noqa: FBT001 - a column of the table
    endpoint: str,
) -> None:
    assert inputs_of("fal", model).endpoint_of(model, shows=shows) == endpoint


def test_a_sibling_is_asked_in_the_fields_of_its_family() -> None:
    """What its name ends in says nothing of them."""
    send = fal("openai/gpt-image-3/x/text-to-image").begin(request(seed=7, shown=(SHOWN,)))

    assert send.url == "https://queue.fal.run/openai/gpt-image-3/x/edit"
    assert {"image_urls", "quality"} <= set(send.payload)
    assert send.dropped == ("seed",)


def test_an_endpoint_stays_where_the_key_may_go() -> None:
    send = fal("../../x?y#z").begin(request())

    assert send.url == "https://queue.fal.run/x%3Fy%23z"


def test_a_base_url_alone_moves_queue_history_and_prices() -> None:
    """All of it lies below one address then."""
    there = fal(base_url="http://127.0.0.1:9/")
    gone = there.polled(reply({"detail": "Request not found"}, 404), JOB, "result")
    asks = [one.url for one in there.checks((TURBO,)) if isinstance(one, Ask)]

    assert there.begin(request()).url.startswith("http://127.0.0.1:9/fal-ai/")
    assert there.look_for(LOST).startswith("http://127.0.0.1:9/v1/models/requests/by-endpoint?")
    assert isinstance(gone, Poll)
    assert gone.url.startswith("http://127.0.0.1:9/v1/models/requests/by-endpoint?")
    assert [url.startswith("http://127.0.0.1:9/v1/models/pricing?") for url in asks] == [True]


# What the history still has ----------------------------------------------------------------------


def test_the_history_has_what_the_result_was() -> None:
    """A job that was found in it has no other address."""

    def record(*items: dict[str, Any]) -> Polled:
        history = reply({"items": list(items), "has_more": False})
        return fal().polled(history, replace(JOB, result_url=None), "status")

    made = {"request_id": "764c", "status_code": 200, "json_output": {"images": [PICTURE]}}
    refused = {"detail": [{"loc": ["body", "prompt"], "type": "content_policy_violation"}]}
    fetch = record({"request_id": "another", "status_code": 500}, made)
    refusal = record(made | {"status_code": 422, "json_output": refused})
    failure = record(made | {"status_code": 500, "json_output": None})

    assert isinstance(fetch, Fetch)
    assert isinstance(refusal, Verdict)
    assert (refusal.kind, refusal.may_be_billed) == (VerdictKind.REFUSED, True)
    assert isinstance(failure, Verdict)
    assert (failure.kind, failure.may_be_billed) == (VerdictKind.BUSY, False)


# A request whose answer was lost -----------------------------------------------------------------


def listed(
    seed: object, name: str = "764c", endpoint: str = TURBO, prompt: str = WORDS
) -> dict[str, Any]:
    given = {"seed": seed, "prompt": prompt}
    return {"request_id": name, "endpoint_id": endpoint, "json_input": given}


def looked(*items: dict[str, Any], lost: Lost = LOST, **more: Any) -> Any:
    return fal().looked(reply({"items": list(items), "has_more": False, **more}), lost)


def test_the_history_is_read_from_a_day_before() -> None:
    assert fal().look_for(LOST) == (
        f"{HISTORY}?endpoint_id={TURBO},{TURBO}/edit&start=2026-11-25T12:00:00Z&limit=100"
        "&expand=payloads"
    )


def test_what_is_another_requests_is_not_found() -> None:
    """Another seed, endpoint or prompt, a job of ours; and nothing proves that it never came."""
    mine = listed(seed_of(TOKEN))
    others = [
        listed(seed_of(TOKEN) + 1),
        listed(seed_of(TOKEN), prompt="a castle"),
        mine | {"endpoint_id": "fal-ai/flux/dev"},
    ]

    assert looked(*others) == NotListed(next_url=None)
    assert looked(mine, lost=replace(LOST, taken=frozenset({"764c"}))) == NotListed(next_url=None)
    listing = fal().profile.listing
    assert listing is not None
    assert not listing.proves_absence
    assert fal("openai/gpt-image-2").profile.listing is None  # nothing could be told from another


def test_a_persons_seed_finds_nothing() -> None:
    assert isinstance(looked(listed(7), lost=replace(LOST, token=None)), Unsaid)


# Free questions ----------------------------------------------------------------------------------


def test_the_list_of_prices_has_what_there_is() -> None:
    """Nothing free is known of the key and of the balance."""
    provider = fal()
    ask, *others = provider.checks((TURBO,))
    assert isinstance(ask, Ask)
    today = date(2026, 11, 26)
    there = ask.judged(reply({"prices": [{"endpoint_id": TURBO, "unit_price": 0.008}]}), today)
    absent = ask.judged(reply({"error": {"type": "not_found", "message": "no"}}, 404), today)
    refused = ask.judged(reply({"detail": "Invalid key"}, 401), today)

    assert [one.verdict for one in there] == ["good"]
    assert [one.verdict for one in absent] == ["bad"]
    assert ("key", "bad") in [(one.about, one.verdict) for one in refused]
    assert [(one.about, one.verdict) for one in others if not isinstance(one, Ask)] == [
        ("key", "unknown"),
        ("account", "unknown"),
    ]


def test_no_answer_shows_the_prompt_in_what_is_said_of_it() -> None:
    """An error's ``input`` repeats it."""
    entry = {"loc": ["body", "prompt"], "type": "content_policy_violation", "msg": "flagged",
             "input": "a secret prompt"}  # fmt: skip
    step = fal().polled(reply({"detail": [entry]}, 422), JOB, "result")

    assert "secret" not in json.dumps(str(step))
