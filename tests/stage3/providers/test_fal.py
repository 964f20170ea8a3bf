"""fal.ai: what is sent, what its queue and its history say, and what each answer comes to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import (
    Asked,
    Fetch,
    Found,
    Gone,
    Lost,
    NotListed,
    Poll,
    Reply,
    Send,
    Unclear,
    Unsaid,
)
from stage3_plugin.domain.free_checks import Ask
from stage3_plugin.domain.job import Accepted, seed_of
from stage3_plugin.domain.picture import RemotePicture
from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import Polled
from stage3_plugin.providers.fal import COMPLETED, PENDING, Fal, endpoint_of
from stage3_plugin.testing.behaviours import Json
from stage3_plugin.testing.dialects.fal import FalDialect
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.pngs import make_png
from stage3_plugin.testing.queues import Queued
from stage3_plugin.testing.subject import TOKEN, WORDS
from stage3_plugin.testing.talking import NoAnswer, Talk
from stage3_plugin.transport.job_hosts import JobHosts
from stage3_plugin.transport.picture_hosts import Place
from tests.stage3.providers.replies import NOW_S, page, reply, request

TURBO = "fal-ai/flux-2/turbo"
FLARE = "openai/gpt-image-2.5/flare"
GROK = "xai/grok-imagine-image/v2.0"
FLUX3 = "blackforestlabs/flux-3"
SEEDREAM5 = "bytedance/seedream/v5/pro"
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
        (f"{TURBO}/edit", True, f"{TURBO}/edit"),
        ("openai/gpt-image-2", True, "openai/gpt-image-2/edit"),
        ("fal-ai/bytedance/seedream/v4/text-to-image", True, "fal-ai/bytedance/seedream/v4/edit"),
        ("fal-ai/bytedance/seedream/v4/edit", False, "fal-ai/bytedance/seedream/v4/text-to-image"),
        ("fal-ai/flux-pro/kontext", True, "fal-ai/flux-pro/kontext"),
        ("fal-ai/flux-pro/kontext", False, "fal-ai/flux-pro/kontext/text-to-image"),
        ("fal-ai/flux-pro/kontext/max/text-to-image", True, "fal-ai/flux-pro/kontext/max"),
        (f"{FLARE}/text-to-image", True, f"{FLARE}/edit"),
        (f"{FLARE}/edit", False, f"{FLARE}/text-to-image"),
        (FLARE, False, f"{FLARE}/text-to-image"),
        (f"{GROK}/text-to-image", True, f"{GROK}/edit"),
        (f"{FLUX3}/text-to-image", True, f"{FLUX3}/edit-image"),
        (f"{FLUX3}/edit-image", False, f"{FLUX3}/text-to-image"),
        (f"{SEEDREAM5}/text-to-image", True, f"{SEEDREAM5}/edit"),
        ("fal-ai/flux-2/text-to-image", True, "fal-ai/flux-2/edit"),
        ("fal-ai/flux-2/text-to-image", False, "fal-ai/flux-2/text-to-image"),
        ("fal-ai/flux-kontext/dev/text-to-image", True, "fal-ai/flux-kontext/dev/edit"),
        ("fal-ai/flux-kontext/dev", True, "fal-ai/flux-kontext/dev"),
        ("openai/gpt-image-3/x/text-to-image", True, "openai/gpt-image-3/x/edit"),
        ("xai/grok-imagine-image/v3.0/text-to-image", True, "xai/grok-imagine-image/v3.0/edit"),
        ("fal-ai/recraft/v3/text-to-image", True, "fal-ai/recraft/v3/text-to-image"),
        (f"{FLUX3}/edit", True, f"{FLUX3}/edit"),
        (f"{FLUX3}/edit", False, f"{FLUX3}/edit"),
        ("somebody/painter/text-to-image", True, "somebody/painter/edit"),
        ("somebody/painter/text-to-image", False, "somebody/painter/text-to-image"),
        ("somebody/painter/edit", True, "somebody/painter/edit"),
        ("somebody/painter/edit", False, "somebody/painter/edit"),
    ],
)
def test_who_shows_pictures_asks_the_sibling_that_takes_them(
    model: str,
    shows: bool,  # noqa: FBT001 - a column of the table
    endpoint: str,
) -> None:
    assert endpoint_of(model, shows=shows) == endpoint


def test_a_sibling_is_asked_in_the_fields_of_its_family() -> None:
    """What its name ends in says nothing of them."""
    send = fal("openai/gpt-image-3/x/text-to-image").begin(request(seed=7, shown=(SHOWN,)))

    assert send.url == "https://queue.fal.run/openai/gpt-image-3/x/edit"
    assert {"image_urls", "quality"} <= set(send.payload)
    assert send.dropped == ("seed",)


@pytest.mark.parametrize(
    "model, wishes, expected, dropped",
    [
        (
            "openai/gpt-image-2",
            {"quality": "low", "seed": 7, "background": "transparent"},
            {
                "image_size": {"width": 1024, "height": 1024},
                "quality": "low",
                "background": "transparent",
                "output_format": "png",
            },
            {"seed"},
        ),
        (
            "fal-ai/nano-banana-2",
            {"seed": 7, "width_px": 512, "height_px": 512, "output_format": "webp"},
            {
                "aspect_ratio": "1:1",
                "resolution": "0.5K",
                "seed": 7,
                "output_format": "webp",
                "limit_generations": True,
                "enable_web_search": False,
                "thinking_level": "minimal",
            },
            set[str](),
        ),
        (
            "fal-ai/flux-pro/kontext",
            {"width_px": 1000, "height_px": 600, "output_format": "webp", "shown": (SHOWN,)},
            {
                "aspect_ratio": "16:9",
                "output_format": "png",
                "image_url": 1,
                "enhance_prompt": False,
            },
            {"size", "output_format"},
        ),
        (
            "fal-ai/ideogram/v3",
            {"output_format": "jpeg", "background": "opaque", "shown": (SHOWN,)},
            {
                "image_size": {"width": 1024, "height": 1024},
                "expand_prompt": False,
                "rendering_speed": "BALANCED",
            },
            {"output_format", "background", "references"},
        ),
    ],
)
def test_each_family_is_asked_in_its_own_fields(
    model: str, wishes: dict[str, Any], expected: dict[str, Any], dropped: set[str]
) -> None:
    """And what it has no word for is named."""
    send = fal(model).begin(request(**wishes))
    payload = said(send) | ({"image_url": 1} if "image_url" in send.payload else {})

    assert payload == {"prompt": "a lighthouse at dusk", "num_images": 1, **expected}
    assert set(send.dropped) == dropped


@given(st.sampled_from([TURBO, "openai/gpt-image-2", "fal-ai/recraft/v3"]), st.booleans())
def test_nothing_is_sent_that_takes_the_history_away(model: str, shows: bool) -> None:  # noqa: FBT001 - drawn
    """Nor what answers with the picture itself, which is kept for six minutes."""
    send = fal(model).begin(request(shown=(SHOWN,) * shows))

    assert "sync_mode" not in send.payload
    assert not {"x-fal-store-io"} & {name.lower() for name in send.headers}


def test_a_persons_seed_is_sent_and_is_no_token() -> None:
    send = fal().begin(request(token=None, seed=7))

    assert said(send)["seed"] == 7
    assert fal().profile.token_is_seed


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


def test_the_key_goes_where_jobs_are_asked_for() -> None:
    """And where all of it is moved, to no place of the vendor's."""
    profile = fal().profile
    vendors = JobHosts(profile.base_url, profile.base_url, profile.job_hosts)
    moved = JobHosts("http://127.0.0.1:9", profile.base_url, profile.job_hosts)
    known = Place.of("https", "api.fal.ai", None)

    assert vendors.objection(known) is None
    assert vendors.objection(Place.of("https", "fal.ai", None)) is not None
    assert vendors.objection(Place.of("http", "api.fal.ai", None)) is not None
    assert moved.objection(known) is not None


# What a submit is answered -----------------------------------------------------------------------


def test_a_submit_is_accepted_with_the_addresses_it_names() -> None:
    """They drop the end of the endpoint's name, so that none is built."""
    answer = {
        "status": "IN_QUEUE",
        "request_id": "764c",
        "queue_position": 0,
        "response_url": QUEUE,
        "status_url": f"{QUEUE}/status",
        "cancel_url": f"{QUEUE}/cancel",
    }

    assert fal().next(reply(answer)) == JOB


@pytest.mark.parametrize(
    "answer, kind, stops, billed",
    [
        (reply({"detail": "User is locked. Reason: Exhausted balance."}, 403),
         VerdictKind.OUT_OF_MONEY, True, False),
        (reply({"detail": "Exhausted balance"}, 402), VerdictKind.OUT_OF_MONEY, True, False),
        (reply({"detail": "No."}, 403), VerdictKind.BAD_CREDENTIALS, True, False),
        (reply({"detail": "Invalid key"}, 401), VerdictKind.BAD_CREDENTIALS, True, False),
        (reply({"detail": "Application not found"}, 404), VerdictKind.REJECTED, True, False),
        (reply({"detail": [{"loc": ["body", "seed"], "msg": "bad"}]}, 422),
         VerdictKind.REJECTED, False, False),
        (reply({"detail": "Too many"}, 429), VerdictKind.RATE_LIMITED, False, False),
        (reply({"detail": "x", "error_type": "runner_scheduling_failure"}, 503),
         VerdictKind.BUSY, False, False),
        (reply({"detail": "upstream timed out", "error_type": "gateway_timeout"}, 504),
         VerdictKind.UNKNOWN, False, True),
        (reply({"detail": "generated and billed", "error_type": "bad_gateway"}, 502),
         VerdictKind.UNKNOWN, False, True),
        (reply({"detail": "Internal Server Error"}, 500), VerdictKind.UNKNOWN, False, True),
        (page(502), VerdictKind.UNKNOWN, False, True),
        (reply({"status": "IN_QUEUE", "request_id": "764c"}), VerdictKind.UNKNOWN, False, True),
        (reply({"request_id": "764c", "status_url": "ftp://x", "response_url": "https://["}),
         VerdictKind.UNKNOWN, False, True),
    ],
)  # fmt: skip
def test_a_submit_that_is_not_accepted(
    answer: Reply,
    kind: VerdictKind,
    stops: bool,  # noqa: FBT001 - a column of the table
    billed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """What fal says no to is free; what is not said may be in the queue."""
    step = fal().next(answer)

    assert isinstance(step, Verdict)
    assert (step.kind, step.stops_run, step.may_be_billed) == (kind, stops, billed)


def test_fals_words_are_believed_at_fals_address_alone() -> None:
    """Whoever stands between may have had them of another request."""
    answer = reply({"detail": "x", "error_type": "runner_scheduling_failure"}, 503)
    step = fal(base_url="http://127.0.0.1:9").next(answer)

    assert isinstance(step, Verdict)
    assert (step.kind, step.may_be_billed) == (VerdictKind.UNKNOWN, True)


# How far a job is --------------------------------------------------------------------------------


@pytest.mark.parametrize("word", sorted(PENDING))
def test_a_job_that_waits_is_asked_for_again(word: str) -> None:
    step = fal().polled(reply({"status": word, "logs": None}, 202), JOB, "status")

    assert step == Poll(url=JOB.poll_url)


def test_completed_is_no_success() -> None:
    """What came of it waits at the result's address, an error as well."""
    for more in ({}, {"error": "flagged", "error_type": "content_policy_violation"}):
        step = fal().polled(reply({"status": COMPLETED, **more}), JOB, "status")

        assert step == Poll(url=QUEUE, of="result")


@pytest.mark.parametrize("word", ["runner_disconnected", "startup_timeout", "request_timeout"])
def test_a_job_that_fals_machines_failed_is_free(word: str) -> None:
    """A server's error is never charged; one that never began says that too many were before it."""
    completed = {"status": COMPLETED, "error": "The runner was lost", "error_type": word}
    step = fal().polled(reply(completed), JOB, "status")

    assert isinstance(step, Verdict)
    assert (step.kind, step.may_be_billed) == (VerdictKind.BUSY, False)
    assert step.message == f"{word}: The runner was lost"
    assert step.lower_capacity is (word == "request_timeout")


@given(st.text(min_size=1, max_size=200).filter(lambda word: word not in {*PENDING, COMPLETED}))
def test_a_word_that_is_not_known_ends_the_asking(word: str) -> None:
    step = fal().polled(reply({"status": word}), JOB, "status")

    assert isinstance(step, Unclear | Unsaid)
    assert isinstance(step, Unclear) or not word.strip()


@pytest.mark.parametrize("of", ["status", "result", "record"])
@pytest.mark.parametrize(
    "answer",
    [
        page(200), page(502), page(404),
        reply({"detail": "Invalid key"}, 401), reply({"detail": "Exhausted balance"}, 403),
        reply({"detail": "Too many"}, 429), reply({"detail": "Bad gateway"}, 502), reply([], 200),
        reply({"detail": "moved"}, 302),
    ],
)  # fmt: skip
def test_what_says_nothing_of_the_job_changes_nothing(answer: Reply, of: Asked) -> None:
    """Least of all that it was bought."""
    step = fal().polled(answer, JOB, of)

    assert isinstance(step, Unsaid)
    assert step.stops_run is (answer.status == 401)


# What came of it ---------------------------------------------------------------------------------


def result(document: Any, status: int = 200, **headers: str) -> Polled:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return fal().polled(reply(document, status, named), JOB, "result")


def test_a_result_is_where_its_picture_lies() -> None:
    """Priced by the list, for the quantity that fal says it billed."""
    made = {"images": [PICTURE], "seed": 42, "has_nsfw_concepts": [False], "prompt": "a pier"}
    step = result(made, x_fal_billable_units="0.6")

    assert isinstance(step, Fetch)
    assert step.sources == (RemotePicture(PICTURE["url"]),)
    verdict = step.verdict
    assert (verdict.may_be_billed, verdict.listed_usd) == (True, Decimal("0.0048"))
    assert (verdict.details["seed"], verdict.details["billable_units"]) == ("42", "0.6")
    assert verdict.request_id == "764c"


def test_a_single_picture_and_shapes_of_others_are_found() -> None:
    """It was paid for."""
    for document in ({"image": PICTURE}, {"data": [PICTURE]}, {"images": [PICTURE["url"]]}):
        step = result(document)

        assert isinstance(step, Fetch)
        assert step.sources == (RemotePicture(PICTURE["url"]),)


def test_a_picture_that_is_covered_is_a_refusal_that_was_paid_for() -> None:
    """It comes black, or blurred."""
    step = result({"images": [PICTURE], "has_nsfw_concepts": [True], "seed": 1})

    assert isinstance(step, Verdict)
    assert (step.kind, step.about, step.may_be_billed) == (VerdictKind.REFUSED, "output", True)


@pytest.mark.parametrize(
    "entry, kind, about",
    [
        ({"loc": ["body", "prompt"], "type": "content_policy_violation", "msg": "flagged"},
         VerdictKind.REFUSED, "prompt"),
        ({"loc": ["body", "image_urls", 0], "type": "content_policy_violation", "msg": "flagged"},
         VerdictKind.REFUSED, "reference"),
        ({"loc": ["body"], "type": "content_policy_violation",
          "msg": "Output contains sensitive content"}, VerdictKind.REFUSED, "output"),
        ({"loc": ["body", "image_size"], "type": "value_error", "msg": "too large"},
         VerdictKind.REJECTED, None),
        ({"loc": ["body", "image_urls", 0], "type": "image_load_error", "msg": "no picture"},
         VerdictKind.REJECTED, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("headers", [{}, {"x_fal_retryable": "true"}])
def test_the_models_own_error_may_have_been_billed(
    entry: dict[str, Any], kind: VerdictKind, about: str | None, headers: dict[str, str]
) -> None:
    """Whatever it says of trying again: that would be paid for, too."""
    step = result({"detail": [entry]}, 422, **headers)

    assert isinstance(step, Verdict)
    assert (step.kind, step.about, step.may_be_billed) == (kind, about, True)
    assert step.should_retry is None
    assert not step.stops_run


FLAT = {"detail": "x", "error_type": "runner_disconnected"}


@pytest.mark.parametrize(
    "document, status, named, is_free",
    [
        (FLAT, 503, "764c", True),
        ({"detail": "Service temporarily unavailable"}, 503, "764c", None),
        ({"detail": "x", "error_type": "gateway_timeout"}, 504, "764c", None),
        ({"detail": "Internal Server Error"}, 500, "764c", None),
        ({"detail": [{"type": "gateway_error", "msg": "upstream"}]}, 502, "", None),
        ({"detail": [{"type": "value_error", "msg": "x"}]}, 422, "", False),
        ({"detail": "Bad input"}, 400, "764c", False),
        (FLAT, 503, "", None),
        (FLAT, 503, "another", None),
        ({"detail": "Bad input"}, 400, "", None),
        ({}, 422, "", None),
    ],
)
def test_an_error_counts_where_it_is_the_jobs(
    document: dict[str, Any],
    status: int,
    named: str,
    is_free: bool | None,  # noqa: FBT001 - drawn
) -> None:
    """Else it may be the queue's, which says of itself what it says of jobs."""
    step = result(document, status, x_fal_request_id=named)

    if is_free is None:
        assert isinstance(step, Unsaid)
        return
    assert isinstance(step, Verdict)
    assert (step.kind is VerdictKind.BUSY, step.may_be_billed) == (is_free, not is_free)


def test_fals_word_for_a_failure_may_stand_in_a_header() -> None:
    """An answer has it in both places; what stands before the queue may leave one."""
    named = {"x_fal_request_id": "764c", "x_fal_error_type": "runner_disconnected"}
    step = result({"detail": "x"}, 503, **named)

    assert isinstance(step, Verdict)
    assert (step.kind, step.may_be_billed) == (VerdictKind.BUSY, False)


def test_a_queue_that_completed_too_early_is_asked_again() -> None:
    assert result({"detail": "Request is still in progress"}, 400) == Poll(url=JOB.poll_url)
    assert result({"status": "IN_PROGRESS"}, 202) == Poll(url=JOB.poll_url)


@pytest.mark.parametrize("document", [{}, {"image": {"url": 7}}, {"images": [{"url": "http://["}]}])
def test_a_result_that_is_not_understood_is_kept_for_a_person(document: dict[str, Any]) -> None:
    assert isinstance(result(document), Unclear)


def test_a_result_that_says_how_far_its_job_is_is_no_result() -> None:
    """Each page may say so; a word that nobody knows is no success without a picture."""
    step = result({"status": "PONDERING", "images": []})

    assert isinstance(step, Unclear)
    assert "PONDERING" in step.message


def test_no_picture_at_all_was_paid_for() -> None:
    step = result({"images": []})

    assert isinstance(step, Verdict)
    assert (step.kind, step.may_be_billed) == (VerdictKind.NO_PICTURE, True)


# What the history still has ----------------------------------------------------------------------


def record(*items: dict[str, Any], of: Asked = "record") -> Polled:
    job = replace(JOB, result_url=None if of == "status" else QUEUE)
    return fal().polled(reply({"items": list(items), "has_more": False}), job, of)


def test_what_the_queue_forgot_is_looked_up_in_the_history() -> None:
    """By its name, among the endpoint and its sibling."""
    for of in ("status", "result"):
        step = fal().polled(reply({"detail": "Request not found"}, 404), JOB, of)

        assert isinstance(step, Poll)
        assert step.of == "record"
        assert step.url.startswith(f"{HISTORY}?")
        assert parse_qs(urlsplit(step.url).query) == {
            "endpoint_id": [f"{TURBO},{TURBO}/edit"],
            "request_id": ["764c"],
            "expand": ["payloads"],
        }


@pytest.mark.parametrize("of", ["status", "record"])
def test_the_history_has_what_the_result_was(of: Asked) -> None:
    """A job that was found in it has no other address."""
    made = {"request_id": "764c", "status_code": 200, "json_output": {"images": [PICTURE]}}
    refused = {"detail": [{"loc": ["body", "prompt"], "type": "content_policy_violation"}]}
    fetch = record({"request_id": "another", "status_code": 500}, made, of=of)
    refusal = record(made | {"status_code": 422, "json_output": refused}, of=of)
    failure = record(made | {"status_code": 500, "json_output": None}, of=of)

    assert isinstance(fetch, Fetch)
    assert isinstance(refusal, Verdict)
    assert (refusal.kind, refusal.may_be_billed) == (VerdictKind.REFUSED, True)
    assert isinstance(failure, Verdict)
    assert (failure.kind, failure.may_be_billed) == (VerdictKind.BUSY, False)


@pytest.mark.parametrize("word", ["PONDERING", 102, 302, True, 7, 999])
def test_a_status_in_the_history_that_is_none_ends_nothing(word: object) -> None:
    """Neither a word nor a number that nobody knows is taken for the model's own error."""
    step = record({"request_id": "764c", "status_code": word, "json_output": None})

    assert isinstance(step, Unclear)
    assert repr(str(word)) in step.message


def test_what_the_history_does_not_have_is_gone() -> None:
    assert isinstance(record(), Gone)
    assert isinstance(record({"request_id": "764c", "status_code": 200}), Gone)
    assert isinstance(fal().polled(reply({"error": "no"}, 404), JOB, "record"), Gone)
    assert record({"request_id": "764c"}) == Poll(
        url=f"{HISTORY}?endpoint_id={TURBO},{TURBO}/edit&request_id=764c&expand=payloads",
        of="record",
    )


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


@pytest.mark.parametrize("endpoint", [TURBO, f"{TURBO}/edit"])
def test_a_lost_request_is_found_by_its_seed(endpoint: str) -> None:
    step = looked(listed(7, "other"), listed(seed_of(TOKEN), endpoint=endpoint))

    assert isinstance(step, Found)
    assert step.accepted.job_id == "764c"
    assert step.accepted.poll_url.startswith(f"{HISTORY}?")
    assert step.accepted.result_url is None


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


def test_every_page_is_read() -> None:
    step = looked(has_more=True, next_cursor="c/2")

    assert step == NotListed(next_url=f"{fal().look_for(LOST)}&cursor=c%2F2")


def test_a_persons_seed_finds_nothing() -> None:
    assert isinstance(looked(listed(7), lost=replace(LOST, token=None)), Unsaid)


@pytest.mark.parametrize("answer", [page(500), reply({"detail": "no"}, 401), reply({"items": 1})])
def test_a_listing_that_fails_says_nothing(answer: Reply) -> None:
    assert isinstance(fal().looked(answer, LOST), Unsaid)


# Whatever comes ----------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(
        ["IN_QUEUE", "COMPLETED", "764c", "https://v3.fal.media/a.png", "content_policy_violation"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([
            "status", "request_id", "status_url", "response_url", "images", "image", "url", "items",
            "has_nsfw_concepts", "detail", "type", "loc", "error_type", "json_output",
            "status_code", "json_input", "seed",
        ]), inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(values, st.sampled_from([200, 202, 302, 400, 404, 422, 500, 504]))
def test_nothing_that_comes_breaks_it(document: Any, status: int) -> None:
    """And no answer below a refusal of a job's is free."""
    answer = reply(document, status)
    fal().next(answer)
    fal().looked(answer, LOST)
    for of in ("status", "result", "record"):
        step = fal().polled(answer, JOB, of)
        if isinstance(step, Verdict) and not step.may_be_billed:
            assert step.provider_status is not None
            assert step.provider_status >= 500


# Over sockets ------------------------------------------------------------------------------------


@pytest.fixture
def api() -> Iterator[ImageApi]:
    with ImageApi(dialect=FalDialect()) as api:
        yield api


def talking(api: ImageApi) -> Talk:
    return Talk(fal(base_url=api.base_url), KEY)


def test_a_picture_is_made_of_it(api: ImageApi) -> None:
    """Priced as it was billed."""
    api.script(Queued(polls=3))
    talk = talking(api)
    job = talk.submit(request(token=TOKEN, width_px=64, height_px=64))
    assert isinstance(job, Accepted)
    step = talk.follow(job)

    assert isinstance(step, Fetch)
    assert talk.picture(step) == make_png("a lighthouse at dusk", 64, 64)
    assert step.verdict.listed_usd == api.queue.billed_usd == Decimal("0.008")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_trouble_at_the_results_address_costs_no_picture(api: ImageApi, status: int) -> None:
    """It is there at the next look, and is not bought again."""
    api.script(Queued(polls=0))
    talk = talking(api)
    job = talk.submit(request(token=TOKEN))
    assert isinstance(job, Accepted)
    api.poll(Json({"detail": "x"}, status, headers={"X-Fal-Request-Id": job.job_id}), of="result")

    assert isinstance(talk.follow(job), Unsaid)
    assert isinstance(talk.follow(job), Fetch)
    assert api.billed() == 1


@pytest.mark.parametrize("ends, kind", [("refused", VerdictKind.REFUSED), ("failed", "busy")])
def test_a_job_without_a_picture(api: ImageApi, ends: Any, kind: VerdictKind) -> None:
    api.script(Queued(ends=ends))
    talk = talking(api)
    job = talk.submit(request(token=TOKEN))
    assert isinstance(job, Accepted)
    step = talk.follow(job)

    assert isinstance(step, Verdict)
    assert step.kind == kind


def test_what_the_queue_forgets_the_history_gives(api: ImageApi) -> None:
    api.script(Queued(polls=1, kept=2))
    talk = talking(api)
    job = talk.submit(request(token=TOKEN, width_px=64, height_px=64))
    assert isinstance(job, Accepted)

    assert isinstance(talk.follow(job), Fetch)
    assert len(api.polls("listing")) == 1


def test_a_lost_submit_is_found_once_it_has_ended(api: ImageApi) -> None:
    """Not before: so its absence proves nothing."""
    api.script(Queued(lost="begun", polls=2), *[Queued(polls=0)] * 3)
    api.queue.page_jobs = 2
    talk = talking(api)
    with pytest.raises(NoAnswer):
        talk.submit(request(token=TOKEN, width_px=64, height_px=64))
    for number in range(3):
        talk.submit(request(seed=number))
    early, found = talk.look(LOST), talk.look(LOST)

    assert early == NotListed(next_url=None)
    assert isinstance(found, Found)
    assert isinstance(talk.follow(found.accepted), Fetch)
    assert api.billed() == 4


@pytest.mark.parametrize(
    "trouble, kind",
    [
        ("bad key", VerdictKind.BAD_CREDENTIALS),
        ("no money", VerdictKind.OUT_OF_MONEY),
        ("no model", VerdictKind.REJECTED),
        ("limited", VerdictKind.RATE_LIMITED),
        ("overloaded", VerdictKind.UNKNOWN),  # this address is not fal's
    ],
)
def test_who_is_turned_away_is_told_why(api: ImageApi, trouble: Any, kind: VerdictKind) -> None:
    api.script(FalDialect().tells(trouble))
    step = talking(api).submit(request(token=TOKEN))

    assert isinstance(step, Verdict)
    assert (step.kind, step.may_be_billed) == (kind, kind is VerdictKind.UNKNOWN)


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


def test_its_own_server_answers_them(api: ImageApi) -> None:
    talk = talking(api)
    ask = talk.provider.checks((TURBO,))[0]
    assert isinstance(ask, Ask)
    (found,) = ask.judged(talk.read(ask.url), date(2026, 11, 26))

    assert (found.about, found.verdict, found.model) == ("model", "good", TURBO)


def test_no_answer_shows_the_prompt_in_what_is_said_of_it() -> None:
    """An error's ``input`` repeats it."""
    entry = {"loc": ["body", "prompt"], "type": "content_policy_violation", "msg": "flagged",
             "input": "a secret prompt"}  # fmt: skip
    step = result({"detail": [entry]}, 422)

    assert "secret" not in json.dumps(str(step))
